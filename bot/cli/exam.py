"""`exam …` on the command line: draft from a file, publish, progress, extra time, close, cancel, release, make-up and export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from bot.cli.common import Apply, Json, cli, now, operator, reading, show, writing
from bot.cli.dry_run import DRY_RUN_NOTE, run_or_rehearse, with_catalog
from bot.commands.exam import messages
from bot.domain.campaign.campaign import Author
from bot.domain.exam import blueprint
from bot.domain.exam.exam import Exam, clock_text, gate_json
from bot.domain.people import audience
from bot.domain.text.dates import read_moment
from bot.domain.times import day_of
from bot.services.exam import extra_time, manage
from bot.services.exam.manage import ExamPreview, ExamProgress
from bot.services.library.catalog import Catalog
from bot.storage.exam import exams
from bot.storage.files.exam_files import read_exam
from bot.storage.system import audit
from bot.storage.tables.columns import stamp

group = typer.Typer(help="考试：起草、发布、进度、加时、批准、结束、公布、补考、成绩。", no_args_is_help=True)
cli.add_typer(group, name="exam")

Id = Annotated[int, typer.Argument(help="考试编号")]
Reason = Annotated[str, typer.Option("--reason", help="原因，必填")]


def _author() -> Author:
    return Author(operator(), "cli")


def _title(exam: Exam) -> str:
    return f"考试 {exam.id}《{exam.name}》"


def _exam_json(exam: Exam) -> dict[str, Any]:
    return {
        "id": exam.id,
        "name": exam.name,
        "state": exam.state,
        "opens_at": stamp(exam.opens_at),
        "closes_at": stamp(exam.closes_at),
        "minutes": exam.minutes,
        "late_minutes": exam.late_minutes,
        "attempts": exam.attempts,
        "items": exam.blueprint.size,
        "total": exam.total / 1000,
        "pass_line": exam.pass_line / 1000,
        "results": exam.results,
        "grace_seconds": exam.grace_seconds,
        "makeup_of": exam.makeup_of,
        "cap": None if exam.cap is None else exam.cap / 1000,
        "audience": audience.describe_audience(exam.audience),
        "gate": gate_json(exam.gate),
        "blueprint": blueprint.describe_blueprint(exam.blueprint),
        "clause": exam.clause,
        "created_by": exam.created_by,
    }


def _progress_json(counts: ExamProgress) -> dict[str, Any]:
    return {
        "invited": counts.invited,
        "begun": counts.begun,
        "sitting": counts.sitting,
        "handed_in": counts.handed_in,
        "passed": counts.passed,
        "absent": [{"staff_no": staff_no, "name": name} for staff_no, name in counts.absent],
    }


def _exam_and_preview(session: Session, catalog: Catalog, exam_id: int) -> tuple[Exam, ExamPreview]:
    exam = manage.require_exam(session, _author(), exam_id)
    return exam, manage.preview(session, catalog, exam, now())


@group.command("list")
def list_(as_json: Json = False) -> None:
    """全部考试，新的在前。"""
    exam_list = reading(lambda session: manage.list_exams(session, _author()))
    show([_exam_json(exam) for exam in exam_list], as_json, [messages.managed_exam_line(exam) for exam in exam_list] or ["还没有考试。"])


@group.command("show")
def show_(exam_id: Id, as_json: Json = False) -> None:
    """一场考试的蓝图、时间、规则，今天应考的人，题库够不够出卷。"""
    exam, preview = reading(with_catalog(lambda session, catalog: _exam_and_preview(session, catalog, exam_id)))
    lines = [
        *messages.exam_lines(exam),
        messages.invited_line(preview.count, preview.names),
        *([f"现在出不了卷：{'；'.join(preview.lacking)}。"] if preview.lacking else []),
    ]
    show({**_exam_json(exam), "people": preview.count, "lacking": list(preview.lacking)}, as_json, lines)


@group.command("new")
def new(
    file: Annotated[Path, typer.Argument(help="YAML 或 JSON：name opens closes to blueprint gate late attempts results grace clause")],
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """按文件起草一场考试；不加 --apply 只检查和预览。起草后用 exam publish 发布。"""
    wanted = read_exam(file)
    exam, preview = run_or_rehearse(
        lambda session, catalog: _exam_and_preview(session, catalog, manage.create(session, catalog, _author(), wanted, now())), apply=apply
    )
    end = f"已起草，编号 {exam.id}。发布：python -m bot exam publish {exam.id} --apply" if apply else DRY_RUN_NOTE
    shown = {**_exam_json(exam), "id": exam.id if apply else None, "applied": apply, "people": preview.count}
    show(shown, as_json, [*messages.exam_lines(exam), messages.invited_line(preview.count, preview.names), end])


@group.command("publish")
def publish(exam_id: Id, apply: Apply = False, as_json: Json = False) -> None:
    """发布：应考的人看得到，邀请和到期提醒会自动发出。不加 --apply 只预演。"""

    def work(session: Session, catalog: Catalog) -> tuple[Exam, ExamPreview]:
        manage.publish(session, catalog, _author(), exam_id, now())
        return _exam_and_preview(session, catalog, exam_id)

    exam, preview = run_or_rehearse(work, apply=apply)
    shown = exam if apply else replace(exam, state="draft")
    lines = [*messages.exam_lines(shown), messages.invited_line(preview.count, preview.names), "已发布。" if apply else DRY_RUN_NOTE]
    show({**_exam_json(exam), "applied": apply, "people": preview.count}, as_json, lines)


@group.command("progress")
def progress(exam_id: Id, as_json: Json = False) -> None:
    """应考、参考、在考、已交、合格，以及还没有考的人。"""
    exam, counts = reading(lambda session: (manage.require_exam(session, _author(), exam_id), manage.progress(session, _author(), exam_id, now())))
    show({**_exam_json(exam), **_progress_json(counts)}, as_json, messages.progress_lines(exam, counts))


@group.command("extend")
def extend(
    exam_id: Id,
    staff_no: Annotated[str, typer.Argument(help="工号")],
    minutes: Annotated[int, typer.Argument(help="分钟")],
    reason: Reason,
    reopen: Annotated[bool, typer.Option("--reopen", help="重开已交的卷，而不是给在考的人加时")] = False,
    as_json: Json = False,
) -> None:
    """申请加时或重开；另一位管理员批准后才生效（exam approve，或聊天里「考试 批准 编号」）。"""
    kind = "reopen" if reopen else "time"
    request = writing(lambda session: extra_time.request_extra_time(session, _author(), exam_id, staff_no, kind, minutes, reason, now()))
    line = messages.request_line(request, staff_no)
    show({"id": request.id, "kind": kind, "minutes": minutes, "asked_by": request.asked_by, "approved_by": None}, as_json, line)


@group.command("approve")
def approve(extension_id: Annotated[int, typer.Argument(help="申请编号")], as_json: Json = False) -> None:
    """批准另一个人的申请，马上生效并通知本人。"""
    request, attempt = writing(lambda session: extra_time.approve(session, _author(), extension_id, now()))
    shown = {"id": request.id, "asked_by": request.asked_by, "approved_by": request.approved_by, "deadline": stamp(attempt.deadline)}
    show(shown, as_json, f"已批准，新的截止时间 {clock_text(attempt.deadline)}。")


@group.command("close")
def close(exam_id: Id, reason: Reason, apply: Apply = False, as_json: Json = False) -> None:
    """提前结束：在考的按已保存的作答代交。到截止时间会自己结束，不用这条命令。不加 --apply 只预演。"""

    def work(session: Session, catalog: Catalog) -> tuple[Exam, int]:
        handed_in = manage.close(session, catalog, _author(), exam_id, reason, now())
        return manage.require_exam(session, _author(), exam_id), handed_in

    exam, handed_in = run_or_rehearse(work, apply=apply)
    end = "已结束。" if apply else DRY_RUN_NOTE
    shown = {"id": exam_id, "name": exam.name, "applied": apply, "handed_in": handed_in}
    show(shown, as_json, [f"结束{_title(exam)}：代交 {handed_in} 份。", end])


@group.command("cancel")
def cancel(exam_id: Id, reason: Reason, apply: Apply = False, as_json: Json = False) -> None:
    """取消：不计成绩和学时，作答记录保留，通知应考的人。不加 --apply 只预演。"""

    def work(session: Session, catalog: Catalog) -> tuple[Exam, int]:
        ended = manage.cancel(session, catalog, _author(), exam_id, reason, now())
        return manage.require_exam(session, _author(), exam_id), ended

    exam, ended = run_or_rehearse(work, apply=apply)
    end = "已取消。" if apply else DRY_RUN_NOTE
    shown = {"id": exam_id, "name": exam.name, "applied": apply, "ended": ended}
    show(shown, as_json, [f"取消{_title(exam)}：{ended} 人正在考。", end])


@group.command("release")
def release(exam_id: Id, apply: Apply = False, as_json: Json = False) -> None:
    """公布成绩，通知参考的人。不加 --apply 只预演。"""
    exam = run_or_rehearse(lambda session, _: manage.release(session, _author(), exam_id, now()), apply=apply)
    show({**_exam_json(exam), "applied": apply}, as_json, [f"公布{_title(exam)}的成绩。", "成绩已公布。" if apply else DRY_RUN_NOTE])


@group.command("makeup")
def makeup(
    exam_id: Id,
    opens: Annotated[str, typer.Option("--opens", help="开放时间，如 2026-03-20 09:00")],
    closes: Annotated[str, typer.Option("--closes", help="截止时间")],
    rule: Annotated[str, typer.Option("--who", help="absent 缺考、failed 不及格、both 两者")] = "both",
    cap: Annotated[float | None, typer.Option("--cap", help="最多计多少分，默认及格线")] = None,
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """安排补考：缺考、不及格的人，另一份卷，只补一次。不加 --apply 只看名单。"""

    def work(session: Session, catalog: Catalog) -> tuple[Exam, ExamPreview]:
        limit = None if cap is None else round(cap * 1000)
        opening, closing = (read_moment(text, day_of(now())) for text in (opens, closes))
        makeup_id = manage.create_makeup(session, catalog, _author(), exam_id, opening, closing, now(), rule=rule, cap=limit)
        return _exam_and_preview(session, catalog, makeup_id)

    exam, preview = run_or_rehearse(work, apply=apply)
    end = f"已起草，编号 {exam.id}。发布：python -m bot exam publish {exam.id} --apply" if apply else DRY_RUN_NOTE
    shown = {**_exam_json(exam), "id": exam.id if apply else None, "applied": apply, "people": preview.count}
    show(shown, as_json, [*messages.exam_lines(exam), messages.invited_line(preview.count, preview.names), end])


@group.command("export")
def export(exam_id: Id) -> None:
    """每次应考一行 JSON：工号、姓名、单位、第几次、开始、交卷、方式、得分、是否合格、卷面难度。"""

    def work(session: Session) -> list[dict[str, Any]]:
        manage.require_exam(session, _author(), exam_id)
        audit.record(session, now(), operator(), "cli", "导出考试成绩", f"exam:{exam_id}")
        return exams.export_attempts(session, exam_id)

    for row in writing(work):
        show(row, True, "")
