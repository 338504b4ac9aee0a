"""`exam results`: results of exams held elsewhere, matched to people, listed with their conflicts, and credited once."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

from sqlmodel import Session

from bot.commands.actions import Act, ActValue, Outcome, SheetName, action
from bot.domain.message import Misuse, Refusal
from bot.domain.text.dates import find_day
from bot.domain.text.numbers import find_points, find_row_number, points_text
from bot.domain.times import day_of
from bot.services.grading import outside_results
from bot.services.grading.outside_results import TargetExam
from bot.storage.exam import exams
from bot.storage.files.table_reader import read_table
from bot.storage.grading import outside_results as grading_outside_results

REFUSED, PARTLY = 1, 3
"""Exit status where rows are in conflict: nothing was written, or the others were."""


@action(cli="exam results", effect=True)
def import_results(
    act: Act,
    file: Annotated[Path | None, ActValue("文件", "xlsx 或 csv，列：工号、姓名、单位、成绩；不写则列出导入过的外部考试")] = None,
    named: Annotated[str, ActValue("考试", "本站考试的编号，或外部考试的名称", "--exam")] = "",
    held_on: Annotated[str, ActValue("日期", "考试日期，如 2026-11-20；本站考试、以前导入过的可不写", "--on")] = "",
    line: Annotated[str, ActValue("分数", "合格线", "--pass")] = "60",
    total: Annotated[str, ActValue("分数", "满分", "--total")] = "100",
    sheet: SheetName = "",
) -> Outcome:
    """导入外部平台的考试成绩：按工号、或单位内的姓名对人，冲突逐行列出，不猜；合格的计一次学时。重复导入不变。"""
    if file is None:
        return _list_outside_exams(act)
    if not named.strip():
        raise Misuse("请用 --exam 写明是哪一场考试：本站考试的编号，或外部考试的名称。")
    act.require_whole_agency()
    rows = outside_results.read_results(read_table(file, outside_results.LAYOUT, sheet))
    target = _target_exam(act.session, named.strip(), held_on, line, total, act.today)
    if act.applies:
        plan = outside_results.import_results(act.session, act.catalog.policy, rows, target, act.author, file.name, act.now)
    else:
        plan = outside_results.plan_import(act.session, rows, target, act.now)
    status = 0 if not plan.conflicts else PARTLY if act.applies and plan.fresh else REFUSED
    done = "已写入。" if plan.fresh else "没有新的成绩，什么都没有改动。"
    return Outcome(plan.as_json(), plan.as_text(), done, unchanged=not plan.fresh, status=status)


def _target_exam(session: Session, named: str, held_on: str, line: str, total: str, today: date) -> TargetExam:
    """The exam that a file is about: one of ours by number, one that was imported before by name, or a new one."""
    if (number := find_row_number(named)) is not None:
        exam_here = exams.get(session, number)
        if exam_here is None or exam_here.state in ("draft", "cancelled"):
            raise Refusal(f"没有编号为 {named} 的考试。python -m bot exam list 看编号；外部考试请写名称。")
        day = _parse_day(held_on, today) if held_on else day_of(exam_here.closes_at)
        return TargetExam(exam_here.name, day, exam_here.pass_line, exam_here.total, exam_here.root)
    known = grading_outside_results.find_by_name(session, named)
    if known is not None and not held_on:
        return TargetExam(known.name, known.held_on, known.pass_line, known.total, known.exam_id)
    if not held_on:
        raise Refusal(f"「{named[:40]}」是第一次导入，请写明考试日期：--on 2026-11-20（合格线、满分用 --pass、--total，默认 60、100）。")
    if len(named) > 80:
        raise Refusal("外部考试的名称不超过 80 个字。")
    return TargetExam(named, _parse_day(held_on, today), _parse_points(line, "--pass"), _parse_points(total, "--total"))


def _parse_day(text: str, today: date) -> date:
    day = find_day(text, today, "past")
    if day is None:
        raise Refusal(f"「{text[:20]}」不是日期，应写作 2026-11-20。")
    return day


def _parse_points(text: str, option: str) -> int:
    points = find_points(text)
    if points is None or not 0 < points < 10**9:
        raise Refusal(f"{option} 应是大于 0 的分数，例如 60。")
    return points


def _list_outside_exams(act: Act) -> Outcome:
    exams_held = grading_outside_results.list_exams(act.session)
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
    return Outcome(plain, lines or ["还没有导入过外部成绩。"], unchanged=True)
