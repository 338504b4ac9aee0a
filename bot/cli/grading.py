"""Commands `exam correct`, `contest correct`, `exam results` and `exam appeals`: corrections, imported results, open appeals."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from bot.cli import contest, exam
from bot.cli.common import Apply, Json, now, operator, reading, refuse, show, writing
from bot.cli.dry_run import DRY_RUN_NOTE, with_catalog
from bot.domain.campaign.campaign import Author
from bot.domain.grading.correction import AMENDMENT_HELP, parse_amendment
from bot.domain.message import Refusal
from bot.domain.text.numbers import points_text
from bot.domain.times import day_of
from bot.services.grading import appeals, correction_subject, corrections, outside_results
from bot.services.grading.correction_impact import CorrectionImpact
from bot.services.grading.corrections import WantedCorrection
from bot.services.grading.outside_results import TargetExam
from bot.services.library.catalog import Catalog
from bot.storage.exam import exams
from bot.storage.grading import outside_results as grading_outside_results
from bot.storage.tables.columns import stamp

Ref = Annotated[int, typer.Argument(help="编号")]
Question = Annotated[str, typer.Argument(help="题目编号，见 report 题目分析；有几个版本时写 题号@版本")]
Amended = Annotated[str, typer.Argument(help=AMENDMENT_HELP)]
Reason = Annotated[str, typer.Option("--reason", help="原因，必填，会写进通知和审计")]
Second = Annotated[str, typer.Option("--second", help="第二人：另一位管理员的工号（规则 R1 要两个人时必填）")]


def _author() -> Author:
    return Author(operator(), "cli")


# ── Keys put right ──


@exam.group.command("correct")
def correct_exam(
    ref: Ref, question: Question, amended: Amended, reason: Reason, second: Second = "", apply: Apply = False, as_json: Json = False
) -> None:
    """更正考试题目：列出谁的成绩、名次、合格、学时、证书会变；加 --apply 生效，重复执行不变。"""
    _correct("exam", ref, question, amended, reason, second, apply, as_json)


@contest.group.command("correct")
def correct_contest(
    ref: Ref, question: Question, amended: Amended, reason: Reason, second: Second = "", apply: Apply = False, as_json: Json = False
) -> None:
    """更正竞赛题目：列出谁的成绩、名次会变；加 --apply 生效，重复执行不变。"""
    _correct("contest", ref, question, amended, reason, second, apply, as_json)


def _correct(scope: str, subject_id: int, question: str, amended: str, reason: str, second: str, apply: bool, as_json: bool) -> None:
    moment, author = now(), _author()

    def work(session: Session, catalog: Catalog) -> CorrectionImpact:
        subject = correction_subject.load_subject(session, author, scope, subject_id)
        amendment = parse_amendment(amended, catalog.question(session, corrections.named_version(session, subject, question)))
        wanted = WantedCorrection(scope, subject_id, question, amendment, reason)
        if not apply:
            return corrections.rehearse(session, catalog, author, wanted, moment)
        proposed = corrections.propose(session, catalog, author, wanted, moment)
        if proposed.state == "proposed" and not second and corrections.names_needed(catalog, moment) > 1:
            raise Refusal("按规则 R1，更正要两个人：请加 --second 另一位管理员的工号。什么都没有改动。")
        return corrections.apply(session, catalog, author, proposed.id, moment, second=second)

    impact = writing(with_catalog(work))
    done = apply and impact.is_new
    closing = "已更正，有变化的人会收到通知。" if done else "" if apply else DRY_RUN_NOTE
    show({"applied": done, **impact.as_json()}, as_json, [*impact.as_text(shown=10_000), *([closing] if closing else [])])


# ── Results from elsewhere ──


@exam.group.command("results")
def results(
    file: Annotated[Path | None, typer.Argument(help="xlsx 或 csv，列：工号、姓名、单位、成绩；不写则列出导入过的外部考试")] = None,
    named: Annotated[str, typer.Option("--exam", help="本站考试的编号，或外部考试的名称")] = "",
    held_on: Annotated[str, typer.Option("--on", metavar="YYYY-MM-DD", help="考试日期；本站考试、以前导入过的可不写")] = "",
    line: Annotated[str, typer.Option("--pass", help="合格线")] = "60",
    total: Annotated[str, typer.Option("--total", help="满分")] = "100",
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """导入外部平台的考试成绩：按工号、或单位内的姓名对人，冲突逐行列出，不猜；合格的计一次学时。重复导入不变。"""
    if file is None:
        _list_outside_exams(as_json)
        return
    if not named.strip():
        raise refuse("请用 --exam 写明是哪一场考试：本站考试的编号，或外部考试的名称。", 2)
    moment, rows = now(), outside_results.read_results(file)

    def work(session: Session, catalog: Catalog) -> outside_results.OutsideImportPlan:
        target = _target_exam(session, named.strip(), held_on, line, total)
        if not apply:
            return outside_results.plan_import(session, rows, target, moment)
        return outside_results.import_results(session, catalog.policy, rows, target, _author(), file.name, moment)

    plan = writing(with_catalog(work)) if apply else reading(with_catalog(work))
    done = apply and bool(plan.fresh)
    closing = "已写入。" if done else "没有新的成绩，什么都没有改动。" if apply or not plan.fresh else DRY_RUN_NOTE
    show({"applied": done, **plan.as_json()}, as_json, [*plan.as_text(), closing])
    if plan.conflicts:
        raise typer.Exit(1)


def _target_exam(session: Session, named: str, held_on: str, line: str, total: str) -> TargetExam:
    """The exam that a file is about: one of ours by number, one that was imported before by name, or a new one."""
    if named.isascii() and named.isdigit():
        exam_here = exams.get(session, int(named)) if len(named) < 10 else None
        if exam_here is None or exam_here.state in ("draft", "cancelled"):
            raise Refusal(f"没有编号为 {named} 的考试。python -m bot exam list 看编号；外部考试请写名称。")
        day = _parse_day(held_on) if held_on else day_of(exam_here.closes_at)
        return TargetExam(exam_here.name, day, exam_here.pass_line, exam_here.total, exam_here.root)
    known = grading_outside_results.find_by_name(session, named)
    if known is not None and not held_on:
        return TargetExam(known.name, known.held_on, known.pass_line, known.total, known.exam_id)
    if not held_on:
        raise Refusal(f"「{named[:40]}」是第一次导入，请写明考试日期：--on 2026-11-20（合格线、满分用 --pass、--total，默认 60、100）。")
    if len(named) > 80:
        raise Refusal("外部考试的名称不超过 80 个字。")
    return TargetExam(named, _parse_day(held_on), _parse_points(line, "--pass"), _parse_points(total, "--total"))


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refusal(f"「{text[:20]}」不是日期，应写作 2026-11-20。") from None


def _parse_points(text: str, option: str) -> int:
    whole, _, part = text.strip().partition(".")
    if not (whole + part).isascii() or not (whole + part).isdigit() or len(whole) > 6 or len(part) > 3 or int(whole + part) == 0:
        raise Refusal(f"{option} 应是大于 0 的分数，例如 60。")
    return int(whole) * 1000 + int(part.ljust(3, "0"))


def _list_outside_exams(as_json: bool) -> None:
    exams_held = reading(grading_outside_results.list_exams)
    plain: list[dict[str, Any]] = [
        {
            "name": outside_exam.name,
            "held_on": outside_exam.held_on.isoformat(),
            "pass_line": outside_exam.pass_line / 1000,
            "total": outside_exam.total / 1000,
            "exam": outside_exam.exam_id,
            "people": people,
            "passed": passed,
        }
        for outside_exam, people, passed in exams_held
    ]
    lines = [
        f"{outside_exam.held_on}　{outside_exam.name}　{people} 人，合格 {passed}"
        f"（满分 {points_text(outside_exam.total)}，合格线 {points_text(outside_exam.pass_line)}）"
        for outside_exam, people, passed in exams_held
    ]
    show(plain, as_json, lines or ["还没有导入过外部成绩。"])


# ── Appeals ──


@exam.group.command("appeals")
def appeals_(as_json: Json = False) -> None:
    """待答复的申诉，最急的在前；答复在聊天里做（要本人具名）。"""
    today = day_of(now())
    open_appeals = reading(lambda session: appeals.open_appeals(session, _author(), today))
    plain = [
        {
            "id": item.id,
            "staff_no": item.staff_no,
            "name": item.name,
            "exam": item.exam_id,
            "score": None if item.score is None else item.score / 1000,
            "passed": item.passed,
            "said": item.said,
            "appealed_at": stamp(item.appealed_at),
            "due_on": item.due_on.isoformat(),
            "late": item.due_on < today,
        }
        for item in open_appeals
    ]
    lines = [
        f"#{item.id} {item.staff_no} {item.name}　考试 {item.exam_id}《{item.exam}》　{item.due_on} 前答复　{item.said}" for item in open_appeals
    ]
    show(plain, as_json, lines or ["没有待答复的申诉。"])
