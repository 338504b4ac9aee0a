"""Leave and secondment: read from a table file or recorded by an administrator, compared first, applied whole or not at all.

The columns of a file are found by name; every wrong cell is listed with its row, its column and the reason, what it says and what it means at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.storage.files import cells
from bot.storage.files.table import Cell, TableSheet
from bot.storage.files.table_reader import BadTableRows, RowFault, TableColumn, TableLayout, read_rows, staff_no_column
from bot.storage.people import leave, roster
from bot.storage.people.leave import KIND_LABELS, KIND_NAMES, LeaveRecord
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
    """What the absences would change; writes nothing. Raises `BadTableRows` for people nobody knows, who have left, and for days already taken."""
    steps, faults = _steps(session, lines, _known_people(session), now)
    if faults:
        raise BadTableRows(LAYOUT.title, faults)
    return LeaveImportPlan(tuple(steps))


def _known_people(session: Session) -> dict[str, PersonRecord]:
    return {person.staff_no.casefold(): person for person in roster.list_people(session)}


def _in_office(known: Mapping[str, PersonRecord], staff_no: str, now: datetime) -> PersonRecord:
    person = known.get(staff_no.casefold())
    if person is None or (person.left_on is not None and person.left_on < day_of(now)):
        raise cells.BadCell(f"花名册里没有 {staff_no}" if person is None else f"{staff_no} 已离职")
    return person


def _steps(session: Session, lines: Sequence[LeaveLine], known: Mapping[str, PersonRecord], now: datetime) -> tuple[list[LeaveStep], list[RowFault]]:
    recorded = leave.records_by_person(session)
    faults: list[RowFault] = []
    steps: list[LeaveStep] = []
    for line in lines:
        try:
            person = _in_office(known, line.staff_no, now)
        except cells.BadCell as bad:
            faults.append(RowFault(line.row, "工号", str(bad)))
            continue
        records = recorded.get(person.id, [])
        same = next((record for record in records if record.kind == line.kind and record.since == line.since), None)
        other = next((record for record in records if record is not same and line.overlaps(record.since, record.until)), None)
        if other is not None:
            faults.append(RowFault(line.row, "开始", f"{person.staff_no} 已登记 {leave_text(other.kind, other.since, other.until)}，日期重叠"))
            continue
        steps.append(LeaveStep(line, person, NEW if same is None else SAME if same.until == line.until else CHANGED, same))
    return steps, faults


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


MAX_LEAVE = timedelta(days=3 * 366)


def _parse_kind(cell: Cell) -> str:
    text = cells.parse_text(cell) if isinstance(cell, str) else ""
    if text not in KIND_NAMES:
        expected = f"应是 {'或'.join(KIND_LABELS.values())}（事假、病假、公休等都算请假）"
        raise cells.BadCell(expected if text or cell == "" else f"这一格不是文字，{expected}")
    return KIND_NAMES[text]


def _parse_first_day(cell: Cell) -> date:
    day = cells.parse_day(cell)
    if day is None:
        raise cells.BadCell("没有填")
    return day


LAYOUT = TableLayout(
    "请假表",
    (
        staff_no_column(),
        TableColumn("类别", _parse_kind, ("类型", "请假类别", "请假类型", "假别"), required=True),
        TableColumn("开始", _parse_first_day, ("开始日期", "起始日期", "开始时间", "起始时间", "起", "自"), required=True),
        TableColumn("结束", cells.parse_day, ("结束日期", "终止日期", "截止日期", "结束时间", "截止时间", "止", "至"), required=True),
    ),
)


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


def lines_of(session: Session, sheet: TableSheet, now: datetime) -> tuple[tuple[LeaveLine, ...], tuple[str, ...]]:
    """The absences of a table, and what a reader ought to know of the reading.

    Raises `Refusal`, and `BadTableRows` with all that is wrong: cells, days that make no absence, rows that overlap each other or what is recorded,
    and people whom nobody knows.
    """
    known = _known_people(session)
    reading = read_rows(sheet, LAYOUT, {"工号": lambda staff_no: _in_office(known, staff_no, now).staff_no})
    lines: list[LeaveLine] = []
    for row in reading.rows:
        if row.values.keys() >= {"类别", "开始", "结束"} and (reason := dates_fault(row.get("类别"), row.get("开始"), row.get("结束"))):
            row.add_fault("结束", reason)
        if row.is_whole:
            lines.append(LeaveLine(row.get("工号"), row.get("类别"), row.get("开始"), row.get("结束"), row.number))
    reading.require_faultless([*_overlapping_rows(lines), *_steps(session, lines, known, now)[1]])
    return tuple(lines), reading.notes


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
