"""`exam correct`, `contest correct`, `exam results`, `exam appeals`: keys put right, results from elsewhere, what waits for an answer."""

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
from bot.domain.grading.correction import HOW, parse_amendment
from bot.domain.message import Refusal
from bot.domain.text.numbers import points_text
from bot.domain.times import day_of
from bot.services.grading import appeals, correction_subject, corrections, outside_results
from bot.services.grading.correction_impact import CorrectionImpact
from bot.services.grading.corrections import WantedCorrection
from bot.services.grading.outside_results import MeantExam
from bot.services.library.catalog import Catalog
from bot.storage.exam import exams
from bot.storage.grading import outside_results as grading_outside_results
from bot.storage.tables.columns import stamp

Ref = Annotated[int, typer.Argument(help="编号")]
Question = Annotated[str, typer.Argument(help="题目编号，见 report 题目分析；有几个版本时写 题号@版本")]
Amended = Annotated[str, typer.Argument(help=HOW)]
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


def _correct(scope: str, ref: int, question: str, amended: str, reason: str, second: str, apply: bool, as_json: bool) -> None:
    at, author = now(), _author()

    def work(session: Session, catalog: Catalog) -> CorrectionImpact:
        subject = correction_subject.load_subject(session, author, scope, ref)
        heard = parse_amendment(amended, catalog.question(session, corrections.named_version(session, subject, question)))
        wanted = WantedCorrection(scope, ref, question, heard, reason)
        if not apply:
            return corrections.rehearse(session, catalog, author, wanted, at)
        made = corrections.propose(session, catalog, author, wanted, at)
        if made.state == "proposed" and not second and corrections.names_needed(catalog, at) > 1:
            raise Refusal("按规则 R1，更正要两个人：请加 --second 另一位管理员的工号。什么都没有改动。")
        return corrections.apply(session, catalog, author, made.id, at, second=second)

    impact = writing(with_catalog(work))
    done = apply and impact.is_new
    end = "已更正，有变化的人会收到通知。" if done else "" if apply else DRY_RUN_NOTE
    show({"applied": done, **impact.as_json()}, as_json, [*impact.as_text(shown=10_000), *([end] if end else [])])


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
        _listed(as_json)
        return
    if not named.strip():
        raise refuse("请用 --exam 写明是哪一场考试：本站考试的编号，或外部考试的名称。", 2)
    at, read = now(), outside_results.read_results(file)

    def work(session: Session, catalog: Catalog) -> outside_results.OutsideImportPlan:
        meant = _meant(session, named.strip(), held_on, line, total)
        if not apply:
            return outside_results.compare(session, read, meant, at)
        return outside_results.apply(session, catalog.policy, read, meant, _author(), file.name, at)

    plan = writing(with_catalog(work)) if apply else reading(with_catalog(work))
    done = apply and bool(plan.fresh)
    end = "已写入。" if done else "没有新的成绩，什么都没有改动。" if apply or not plan.fresh else DRY_RUN_NOTE
    show({"applied": done, **plan.as_json()}, as_json, [*plan.as_text(), end])
    if plan.conflicts:
        raise typer.Exit(1)


def _meant(session: Session, named: str, held_on: str, line: str, total: str) -> MeantExam:
    """The exam that a file is about: one of ours by number, one that was imported before by name, or a new one."""
    if named.isascii() and named.isdigit():
        found = exams.get(session, int(named)) if len(named) < 10 else None
        if found is None or found.state in ("draft", "cancelled"):
            raise Refusal(f"没有编号为 {named} 的考试。python -m bot exam list 看编号；外部考试请写名称。")
        day = _day(held_on) if held_on else day_of(found.closes_at)
        return MeantExam(found.name, day, found.pass_line, found.total, found.root)
    had = grading_outside_results.named(session, named)
    if had is not None and not held_on:
        return MeantExam(had.name, had.held_on, had.pass_line, had.total, had.exam_id)
    if not held_on:
        raise Refusal(f"「{named[:40]}」是第一次导入，请写明考试日期：--on 2026-11-20（合格线、满分用 --pass、--total，默认 60、100）。")
    if len(named) > 80:
        raise Refusal("外部考试的名称不超过 80 个字。")
    return MeantExam(named, _day(held_on), _points(line, "--pass"), _points(total, "--total"))


def _day(said: str) -> date:
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise Refusal(f"「{said[:20]}」不是日期，应写作 2026-11-20。") from None


def _points(said: str, option: str) -> int:
    whole, _, part = said.strip().partition(".")
    if not (whole + part).isascii() or not (whole + part).isdigit() or len(whole) > 6 or len(part) > 3 or int(whole + part) == 0:
        raise Refusal(f"{option} 应是大于 0 的分数，例如 60。")
    return int(whole) * 1000 + int(part.ljust(3, "0"))


def _listed(as_json: bool) -> None:
    found = reading(grading_outside_results.everything)
    plain: list[dict[str, Any]] = [
        {
            "name": one.name,
            "held_on": one.held_on.isoformat(),
            "pass_line": one.pass_line / 1000,
            "total": one.total / 1000,
            "exam": one.exam_id,
            "people": people,
            "passed": passed,
        }
        for one, people, passed in found
    ]
    lines = [
        f"{one.held_on}　{one.name}　{people} 人，合格 {passed}（满分 {points_text(one.total)}，合格线 {points_text(one.pass_line)}）"
        for one, people, passed in found
    ]
    show(plain, as_json, lines or ["还没有导入过外部成绩。"])


# ── Appeals ──


@exam.group.command("appeals")
def appeals_(as_json: Json = False) -> None:
    """待答复的申诉，最急的在前；答复在聊天里做（要本人具名）。"""
    today = day_of(now())
    found = reading(lambda session: appeals.within(session, _author(), today))
    plain = [
        {
            "id": one.id,
            "staff_no": one.staff_no,
            "name": one.name,
            "exam": one.exam_id,
            "score": None if one.score is None else one.score / 1000,
            "passed": one.passed,
            "said": one.said,
            "appealed_at": stamp(one.appealed_at),
            "due_on": one.due_on.isoformat(),
            "late": one.due_on < today,
        }
        for one in found
    ]
    lines = [f"#{one.id} {one.staff_no} {one.name}　考试 {one.exam_id}《{one.exam}》　{one.due_on} 前答复　{one.said}" for one in found]
    show(plain, as_json, lines or ["没有待答复的申诉。"])
