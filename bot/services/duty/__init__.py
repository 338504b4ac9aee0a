"""The duty list: compared with what is kept, compiled into planned activities and drafts of campaigns, ticked off one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.audience import Audience, People, Unit
from bot.domain.campaign import Author
from bot.domain.content import Content
from bot.domain.duty import ONLINE, Line, spread, state_of
from bot.domain.message import Refusal
from bot.domain.rhythm import Rhythm
from bot.domain.times import day_of
from bot.services import campaign as campaigns
from bot.services.duty.listed import BadRows, lines_of, read_list
from bot.services.roster.listed import Fault
from bot.services.shelf import Shelf
from bot.storage import audience as people
from bot.storage import audit
from bot.storage import duty as rows
from bot.storage.duty import Activity, Kept

__all__ = ["BadRows", "Change", "Plan", "apply", "cancel", "compare", "done", "lines_of", "read_list"]

AHEAD = 5
"""Working days before a planned activity on which its liaison is reminded."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row against what is kept: "new", "changed" or "same"."""

    line: Line
    unit: str
    liaison_id: int | None
    outcome: str
    kept: Kept | None = None

    def __str__(self) -> str:
        one = self.line
        was = f"（原为 {self.kept.count} 次，{self.kept.deadline}）" if self.kept is not None and self.outcome == "changed" else ""
        return f"{self.unit}　{one.law}　{one.form} {one.count} 次　{one.deadline}　{one.liaison}{was}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What importing a list would change; rows that the file no longer has are named and stay."""

    year: int
    changes: tuple[Change, ...]
    absent: tuple[Kept, ...]

    def of(self, outcome: str) -> list[Change]:
        return [one for one in self.changes if one.outcome == outcome]

    def as_json(self) -> dict[str, Any]:
        return {
            "year": self.year,
            "new": [str(one) for one in self.of("new")],
            "changed": [str(one) for one in self.of("changed")],
            "same": len(self.of("same")),
            "absent": [f"{one.unit}　{one.law}　{one.form}" for one in self.absent],
        }

    def as_text(self) -> list[str]:
        new, changed = self.of("new"), self.of("changed")
        times = sum(one.line.count for one in self.changes)
        lines = [f"{self.year} 年责任清单共 {len(self.changes)} 行、{times} 次：新增 {len(new)}，变更 {len(changed)}，相同 {len(self.of('same'))}"]
        for label, found in (("新增", new), ("变更", changed)):
            lines += [f"{label}：", *(f"  {one}" for one in found)] if found else []
        if self.absent:
            lines += ["以下各行文件里没有，仍然保留：", *(f"  {one.unit}　{one.law}　{one.form}" for one in self.absent)]
        return lines


def compare(session: Session, lines: Sequence[Line], year: int, now: datetime) -> Plan:
    """What the list would change; writes nothing. Raises `BadRows` for units and liaisons that nobody knows."""
    kept = {(one.law, one.unit, one.form): one for one in rows.of_year(session, year)}
    faults: list[Fault] = []
    changes: list[Change] = []
    for line in lines:
        try:
            unit = people.path_of(session, line.unit)
            liaison = _liaison(session, line.liaison, unit, now)
        except Refusal as no:
            faults.append(Fault(line.row, "联络员" if "联络员" in str(no) else "责任处室", str(no).rstrip("。")))
            continue
        had = kept.pop((line.law, unit, line.form), None)
        number = "" if liaison is None else liaison[1]
        same = had is not None and (had.count, had.deadline, had.liaison_no, had.clause) == (line.count, line.deadline, number, line.clause)
        changes.append(Change(line, unit, None if liaison is None else liaison[0], "same" if same else "changed" if had else "new", had))
    if faults:
        raise BadRows(sorted(faults))
    return Plan(year, tuple(changes), tuple(kept.values()))


def _liaison(session: Session, said: str, unit: str, now: datetime) -> tuple[int, str] | None:
    """(id, staff number) of a liaison by staff number, or by a name that only one person of the office has."""
    if not said:
        return None
    by_number = people.person_numbered(session, said)
    if by_number is not None:
        return by_number, said
    found = people.evaluate(session, Unit(unit), day_of(now), now)
    members = people.named(session, [*found.people, *(who for who, _ in found.excluded)])
    fitting = [(who, staff_no) for who, staff_no, name in members if name == said]
    if len(fitting) != 1:
        raise Refusal(f"联络员「{said[:20]}」在 {unit} {'没有这个人' if not fitting else '有重名'}，请写工号")
    return fitting[0]


def apply(session: Session, shelf: Shelf, author: Author, lines: Sequence[Line], year: int, now: datetime) -> Plan:
    """Keep the list, plan its activities, draft its campaigns; a second time changes nothing. Whole or not at all, audited row by row."""
    plan = compare(session, lines, year, now)
    for one in plan.changes:
        if one.outcome == "same":
            continue
        line = one.line
        if one.kept is None:
            unit_id = rows.unit_id(session, one.unit)
            duty_id = rows.add(session, year, line.law, unit_id, line.form, line.count, line.deadline, one.liaison_id, line.clause, now)
        else:
            duty_id = one.kept.id
            rows.change(session, duty_id, line.count, line.deadline, one.liaison_id, line.clause)
        _compile(session, shelf, author, one, duty_id, now)
        action = "新增责任清单" if one.kept is None else "变更责任清单"
        audit.record(session, now, author.actor, author.via, action, f"duty:{duty_id}", detail=str(one))
    return plan


def _compile(session: Session, shelf: Shelf, author: Author, change: Change, duty_id: int, now: datetime) -> None:
    """Planned activities, as many as the row asks for, and the drafts that go with those to come."""
    line = change.line
    had = rows.planned(session, line.deadline.year).get(duty_id, [])
    open_ones = [one for one in had if one.state == "planned"]
    live = [one for one in had if one.state != "cancelled"]
    for one in open_ones[::-1][: max(0, len(live) - line.count)]:
        rows.cancel(session, one.id, "清单次数减少")
    open_ones = open_ones[: max(0, line.count - (len(live) - len(open_ones)))]
    first = max(date(line.deadline.year, 1, 1), min(day_of(now), line.deadline))
    missing = line.count - (len(live) - len([one for one in live if one.state == "planned"])) - len(open_ones)
    days = spread(len(open_ones) + max(0, missing), first, line.deadline, shelf.library.calendar)
    for one, day in zip(open_ones, days, strict=False):
        rows.move(session, one.id, day)
    numbered = len(had)
    fresh: list[tuple[int, str, date]] = []
    for n, day in enumerate(days[len(open_ones) :], start=numbered + 1):
        name = f"{line.law} {line.form} 第 {n} 次"
        fresh.append((rows.plan(session, duty_id, n, name, day), name, day))
    _draft(session, shelf, author, change, fresh, now)


def _draft(session: Session, shelf: Shelf, author: Author, change: Change, fresh: Sequence[tuple[int, str, date]], now: datetime) -> None:
    """Online forms become a series for the office; the others a word to the liaison some working days ahead."""
    line, clause = change.line, change.line.clause or f"普法责任清单 {change.line.deadline.year}"
    lessons = tuple(
        lesson.id
        for short in line.law.split("、")
        for lesson in shelf.library.lessons.values()
        if lesson.law == short and lesson.in_force(day_of(now))
    )
    if line.form in ONLINE and lessons and fresh:
        rhythm = Rhythm("series", each="weekly", weekdays=(0,), on_holiday="after", last=line.deadline)
        series = Content("series", title=line.law[:80], lessons=lessons[:200])
        made = campaigns.create(session, shelf, author, f"{line.law} {line.form}"[:80], series, rhythm, Unit(change.unit), now, clause=clause)
        for planned_id, _, _ in fresh:
            rows.link(session, planned_id, made)
        return
    for planned_id, name, day in fresh:
        on = _ahead(shelf, day)
        if on <= day_of(now):
            continue
        audience: Audience = Unit(change.unit) if change.liaison_id is None else People((_number(session, change.liaison_id),))
        text = (
            f"责任清单：{change.unit}「{name}」计划在 {day.month} 月 {day.day} 日前开展（{clause}）。"
            "办好后请告诉管理员记一笔，附时间、人数和照片或签到。"
        )
        notice = Content("notice", title="普法责任清单", text=text, receipt=True)
        rhythm = Rhythm("once", time="09:00", on=on, on_holiday="keep")
        made = campaigns.create(session, shelf, author, f"责任清单：{name}"[:80], notice, rhythm, audience, now, clause=clause, missed="send")
        rows.link(session, planned_id, made)


def _ahead(shelf: Shelf, day: date) -> date:
    calendar = shelf.library.calendar
    return calendar.workday_before(day, AHEAD) if calendar.knows((day - timedelta(days=AHEAD * 4)).year) and calendar.knows(day.year) else day


def _number(session: Session, person_id: int) -> str:
    found = people.person(session, person_id)
    if found is None:
        raise AssertionError(person_id)
    return found[1]


# ── Ticking off ──


def done(session: Session, author: Author, planned_id: int, on: date, note: str, now: datetime) -> Activity:
    """An activity took place: it counts once, with a day and a note of its evidence. Raises `Refusal` for a second tick or a day to come."""
    found = rows.activity(session, planned_id)
    if found is None:
        raise Refusal(f"没有编号为 {planned_id} 的计划活动。")
    if on > day_of(now):
        raise Refusal(f"{on} 还没有到，不能记为已办。")
    if not note.strip():
        raise Refusal("请写明依据（时间、地点、人数，或签到、照片在哪里）。")
    if not rows.done(session, planned_id, on, note.strip()[:500]):
        raise Refusal(f"「{found.name}」{'已经记过，不重复计' if found.state == 'done' else '已经取消'}。")
    audit.record(session, now, author.actor, author.via, "责任清单已办", f"planned:{planned_id}", detail=f"{on}；{note.strip()}")
    return found


def cancel(session: Session, author: Author, planned_id: int, reason: str, now: datetime) -> Activity:
    """An activity will not take place; it does not count. Raises `Refusal` without a reason."""
    found = rows.activity(session, planned_id)
    if found is None or not reason.strip():
        raise Refusal(f"没有编号为 {planned_id} 的计划活动，或没有写原因。")
    if not rows.cancel(session, planned_id, reason.strip()[:500]):
        raise Refusal(f"「{found.name}」已经办过或已经取消。")
    audit.record(session, now, author.actor, author.via, "责任清单取消", f"planned:{planned_id}", detail=reason.strip())
    return found


def state(one: Kept, activities: Sequence[Activity], on: date) -> tuple[int, str]:
    """(done, state) of a row on a day."""
    ticked = sum(each.done_on is not None and each.done_on <= on for each in activities)
    return ticked, state_of(ticked, one.count, one.deadline, on)
