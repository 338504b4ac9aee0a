"""Leave and secondment: read from a table file or recorded by an administrator, compared first, applied whole or not at all.

The columns of a file are found by name; every wrong cell is listed with its row, its column and the reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.services.people.roster_file import MAX_FAULTS, RowFault
from bot.storage.files import cells
from bot.storage.files.sandbox import read_sheet
from bot.storage.files.table import Cell, TableSheet
from bot.storage.people import leave, roster
from bot.storage.people.leave import KIND_LABELS, LeaveRecord
from bot.storage.people.roster import PersonRecord
from bot.storage.system import audit

NEW, CHANGED, SAME = "new", "changed", "same"


@dataclass(frozen=True, slots=True)
class LeaveStep:
    """One absence against the rows: new, with another last day than is kept, or already there."""

    line: LeaveLine
    person: PersonRecord
    outcome: str
    recorded: LeaveRecord | None = None

    def __str__(self) -> str:
        previous = f"（原来到 {self.recorded.until or '未定'}）" if self.recorded is not None and self.outcome == CHANGED else ""
        return f"{self.person.staff_no} {self.person.name} {leave_text(self.line.kind, self.line.since, self.line.until)}{previous}"


@dataclass(frozen=True, slots=True)
class LeaveImportPlan:
    """What recording the absences would change."""

    steps: tuple[LeaveStep, ...]

    def steps_with(self, outcome: str) -> list[LeaveStep]:
        return [step for step in self.steps if step.outcome == outcome]

    @property
    def is_empty(self) -> bool:
        return len(self.steps_with(SAME)) == len(self.steps)

    def as_json(self) -> dict[str, Any]:
        def step_json(step: LeaveStep) -> dict[str, Any]:
            return {
                "staff_no": step.person.staff_no,
                "kind": step.line.kind,
                "since": step.line.since.isoformat(),
                "until": step.line.until and step.line.until.isoformat(),
            }

        return {
            "new": [step_json(step) for step in self.steps_with(NEW)],
            "changed": [step_json(step) for step in self.steps_with(CHANGED)],
            "same": len(self.steps_with(SAME)),
        }

    def as_text(self) -> list[str]:
        new, changed = self.steps_with(NEW), self.steps_with(CHANGED)
        lines = [f"共 {len(self.steps)} 条：新增 {len(new)}，改结束日期 {len(changed)}，已登记 {len(self.steps_with(SAME))}"]
        for label, steps in (("新增", new), ("改结束日期", changed)):
            lines += [f"{label}：", *(f"  {step}" for step in steps)] if steps else []
        return lines


def leave_text(kind: str, since: date, until: date | None) -> str:
    return f"{KIND_LABELS[kind]} {since} 至 {until or '未定'}"


def compare(session: Session, lines: Sequence[LeaveLine], now: datetime) -> LeaveImportPlan:
    """What the absences would change; writes nothing. Raises `BadLeaveRows` for people nobody knows, who have left, and for days already taken."""
    known = {person.staff_no.casefold(): person for person in roster.list_people(session)}
    recorded = leave.records_by_person(session)
    faults: list[RowFault] = []
    steps: list[LeaveStep] = []
    for line in lines:
        person = known.get(line.staff_no.casefold())
        if person is None or (person.left_on is not None and person.left_on < day_of(now)):
            faults.append(RowFault(line.row, "工号", f"花名册里没有 {line.staff_no}" if person is None else f"{line.staff_no} 已离职"))
            continue
        records = recorded.get(person.id, [])
        same = next((record for record in records if record.kind == line.kind and record.since == line.since), None)
        other = next((record for record in records if record is not same and line.overlaps(record.since, record.until)), None)
        if other is not None:
            faults.append(RowFault(line.row, "开始", f"{person.staff_no} 已登记 {leave_text(other.kind, other.since, other.until)}，日期重叠"))
            continue
        steps.append(LeaveStep(line, person, NEW if same is None else SAME if same.until == line.until else CHANGED, same))
    if faults:
        raise BadLeaveRows(sorted(faults))
    return LeaveImportPlan(tuple(steps))


def apply(session: Session, lines: Sequence[LeaveLine], now: datetime, *, actor: str, via: str) -> LeaveImportPlan:
    """Record the absences in the caller's transaction, each with a line in the audit; worked out anew. Raises `Refusal`, nothing written."""
    roster.lock_roster(session)
    plan = compare(session, lines, now)
    for step in plan.steps:
        if step.outcome == SAME:
            continue
        if step.recorded is None:
            leave.add(session, step.person.id, step.line.kind, step.line.since, step.line.until, actor, now)
        else:
            leave.change_end(session, step.recorded.id, step.line.until, actor, now)
        action = f"登记{KIND_LABELS[step.line.kind]}" if step.recorded is None else f"修改{KIND_LABELS[step.line.kind]}"
        audit.record(session, now, actor, via, action, step.person.staff_no, detail=f"{step.line.since} 至 {step.line.until or '未定'}")
    return plan


def cancel(session: Session, person: PersonRecord, since: date, now: datetime, *, actor: str, via: str) -> LeaveRecord:
    """Take back an absence by its first day; from today on when it has begun, so that days already paused stay so. Raises `Refusal`."""
    today = day_of(now)
    record = next((candidate for candidate in leave.records_of(session, person.id) if candidate.since == since), None)
    if record is None:
        raise Refusal(f"{person.staff_no} 没有从 {since} 开始的请假或借调。发送「请假 {person.staff_no}」查看。")
    if record.until is not None and record.until < today:
        raise Refusal(f"{leave_text(record.kind, record.since, record.until)} 已经结束，不能取消。")
    if since >= today:
        leave.delete(session, record.id)
    else:
        leave.change_end(session, record.id, date.fromordinal(today.toordinal() - 1), actor, now)
    audit.record(session, now, actor, via, f"取消{KIND_LABELS[record.kind]}", person.staff_no, detail=f"{record.since} 至 {record.until or '未定'}")
    return record


T = TypeVar("T")

COLUMNS = ("工号", "类别", "开始", "结束")
MAX_LEAVE = timedelta(days=3 * 366)
_KINDS_BY_LABEL = {label: kind for kind, label in KIND_LABELS.items()}
_MAX_HEADER_ROW = 10


class BadLeaveRows(Refusal):
    """The file was readable, but these cells are not right; nothing of it may be used."""

    def __init__(self, faults: list[RowFault]) -> None:
        self.faults = faults
        some = f"（只列出前 {MAX_FAULTS} 处）" if len(faults) >= MAX_FAULTS else ""
        super().__init__("\n".join([f"请假表有 {len(faults)} 处不对{some}，什么都没有改动：", *map(str, faults)]))


@dataclass(frozen=True, slots=True)
class LeaveLine:
    """One absence as it was asked for, both days included; without a last day it goes on (secondment only). `row` is 0 outside a file."""

    staff_no: str
    kind: str
    since: date
    until: date | None
    row: int = 0

    def overlaps(self, since: date, until: date | None) -> bool:
        return (until is None or self.since <= until) and (self.until is None or since <= self.until)


def read_leave(path: Path) -> tuple[tuple[LeaveLine, ...], tuple[str, ...]]:
    """The absences of a file, and what a reader ought to know of the reading. Raises `Refusal`, and `BadLeaveRows` when single cells are wrong."""
    sheet = read_sheet(path)
    return parse_leave(sheet), sheet.notes


def parse_leave(sheet: TableSheet) -> tuple[LeaveLine, ...]:
    header_index, columns = _find_header(sheet.rows)
    faults: list[RowFault] = []
    lines: list[LeaveLine] = []
    for number, row in enumerate(sheet.rows[header_index + 1 :], start=header_index + 2):
        if any(not isinstance(cell, str) or cell.strip() for cell in row):
            line = _parse_row(number, row, columns, faults)
            if line is not None:
                lines.append(line)
        if len(faults) >= MAX_FAULTS:
            raise BadLeaveRows(faults[:MAX_FAULTS])
    faults += _overlapping_rows(lines)
    if faults:
        raise BadLeaveRows(sorted(faults)[:MAX_FAULTS])
    if not lines:
        raise Refusal("请假表里除了表头没有一行。")
    return tuple(lines)


def _find_header(rows: list[list[Cell]]) -> tuple[int, dict[str, int]]:
    """Where the header stands (a title above it is common), and which column is where."""
    for number, row in enumerate(rows[:_MAX_HEADER_ROW]):
        titles = [re.sub(r"\s+", "", unicodedata.normalize("NFKC", str(cell))).strip("*") for cell in row]
        if sum(name in titles for name in COLUMNS) >= 2:
            missing = [name for name in COLUMNS if titles.count(name) != 1]
            if missing:
                raise Refusal(f"表头（第 {number + 1} 行）不对：{'、'.join(missing)} 应各有一列。应有的列：{'、'.join(COLUMNS)}；其余的列会略过。")
            return number, {name: titles.index(name) for name in COLUMNS}
    raise Refusal(f"文件开头没有表头。第一行应是列名：{'、'.join(COLUMNS)}。")


def _parse_row(number: int, row: list[Cell], columns: dict[str, int], faults: list[RowFault]) -> LeaveLine | None:
    fault_count = len(faults)

    def take(column: str, parse: Callable[[Cell], T]) -> T | None:
        index = columns[column]
        try:
            return parse(row[index] if index < len(row) else "")
        except cells.BadCell as bad:
            faults.append(RowFault(number, column, str(bad)))
            return None

    staff_no, kind = take("工号", cells.parse_staff_no), take("类别", _parse_kind)
    since, until = take("开始", cells.parse_day), take("结束", cells.parse_day)
    if len(faults) > fault_count or staff_no is None or kind is None:
        return None
    if since is None:
        faults.append(RowFault(number, "开始", "没有填"))
        return None
    reason = dates_fault(kind, since, until)
    if reason:
        faults.append(RowFault(number, "结束", reason))
        return None
    return LeaveLine(staff_no, kind, since, until, number)


def _parse_kind(cell: Cell) -> str:
    text = cell.strip() if isinstance(cell, str) else ""
    if text not in _KINDS_BY_LABEL:
        raise cells.BadCell(f"应是 {'或'.join(_KINDS_BY_LABEL)}" if text or cell == "" else f"这一格不是文字，应是 {'或'.join(_KINDS_BY_LABEL)}")
    return _KINDS_BY_LABEL[text]


def dates_fault(kind: str, since: date, until: date | None) -> str:
    """Why two days make no absence; empty when they do."""
    if until is None:
        return "" if kind == "secondment" else "请假要写结束日期（借调可以留空，表示尚未结束）"
    if until < since:
        return f"{until} 早于开始 {since}"
    if until - since > MAX_LEAVE:
        return f"从 {since} 到 {until} 超过三年，请核对"
    return ""


def _overlapping_rows(lines: list[LeaveLine]) -> list[RowFault]:
    """Rows of one person that overlap: nobody is away twice at a time."""
    faults: list[RowFault] = []
    by_person: dict[str, list[LeaveLine]] = {}
    for line in lines:
        for earlier in by_person.setdefault(line.staff_no, []):
            if line.overlaps(earlier.since, earlier.until):
                faults.append(RowFault(line.row, "开始", f"与第 {earlier.row} 行的日期重叠"))
                break
        by_person[line.staff_no].append(line)
    return faults
