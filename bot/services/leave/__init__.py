"""Leave and secondment: recorded from a file or by an administrator, compared first, applied whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.services.leave.listed import Away, BadRows, leave_of, read_leave, unsound
from bot.services.roster.listed import Fault
from bot.storage import absence, audit, people
from bot.storage.absence import KINDS, Kept
from bot.storage.people import Known

__all__ = ["Away", "BadRows", "Plan", "Step", "apply", "cancel", "compare", "leave_of", "read_leave", "unsound"]

NEW, CHANGED, SAME = "new", "changed", "same"


@dataclass(frozen=True, slots=True)
class Step:
    """One absence against the rows: new, with another last day than is kept, or already there."""

    away: Away
    person: Known
    outcome: str
    kept: Kept | None = None

    def __str__(self) -> str:
        was = f"（原来到 {self.kept.until or '未定'}）" if self.kept is not None and self.outcome == CHANGED else ""
        return f"{self.person.staff_no} {self.person.name} {span(self.away.kind, self.away.since, self.away.until)}{was}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What recording the absences would change."""

    steps: tuple[Step, ...]

    def of(self, outcome: str) -> list[Step]:
        return [one for one in self.steps if one.outcome == outcome]

    @property
    def is_empty(self) -> bool:
        return len(self.of(SAME)) == len(self.steps)

    def as_json(self) -> dict[str, Any]:
        def row(one: Step) -> dict[str, Any]:
            return {
                "staff_no": one.person.staff_no,
                "kind": one.away.kind,
                "since": one.away.since.isoformat(),
                "until": one.away.until and one.away.until.isoformat(),
            }

        return {"new": [row(one) for one in self.of(NEW)], "changed": [row(one) for one in self.of(CHANGED)], "same": len(self.of(SAME))}

    def as_text(self) -> list[str]:
        new, changed = self.of(NEW), self.of(CHANGED)
        lines = [f"共 {len(self.steps)} 条：新增 {len(new)}，改结束日期 {len(changed)}，已登记 {len(self.of(SAME))}"]
        for label, steps in (("新增", new), ("改结束日期", changed)):
            lines += [f"{label}：", *(f"  {one}" for one in steps)] if steps else []
        return lines


def span(kind: str, since: date, until: date | None) -> str:
    return f"{KINDS[kind]} {since} 至 {until or '未定'}"


def compare(session: Session, asked: Sequence[Away], now: datetime) -> Plan:
    """What the absences would change; writes nothing. Raises `BadRows` for people nobody knows, who have left, and for days already taken."""
    known = {one.staff_no.casefold(): one for one in people.everybody(session)}
    kept = absence.everybody(session)
    faults: list[Fault] = []
    steps: list[Step] = []
    for away in asked:
        person = known.get(away.staff_no.casefold())
        if person is None or (person.left_on is not None and person.left_on < day_of(now)):
            faults.append(Fault(away.row, "工号", f"花名册里没有 {away.staff_no}" if person is None else f"{away.staff_no} 已离职"))
            continue
        rows = kept.get(person.id, [])
        same = next((one for one in rows if one.kind == away.kind and one.since == away.since), None)
        other = next((one for one in rows if one is not same and away.overlaps(one.since, one.until)), None)
        if other is not None:
            faults.append(Fault(away.row, "开始", f"{person.staff_no} 已登记 {span(other.kind, other.since, other.until)}，日期重叠"))
            continue
        steps.append(Step(away, person, NEW if same is None else SAME if same.until == away.until else CHANGED, same))
    if faults:
        raise BadRows(sorted(faults))
    return Plan(tuple(steps))


def apply(session: Session, asked: Sequence[Away], now: datetime, *, actor: str, via: str) -> Plan:
    """Record the absences in the caller's transaction, each with a line in the audit; worked out anew. Raises `Refusal`, nothing written."""
    people.lock_roll(session)
    plan = compare(session, asked, now)
    for one in plan.steps:
        if one.outcome == SAME:
            continue
        if one.kept is None:
            absence.add(session, one.person.id, one.away.kind, one.away.since, one.away.until, actor, now)
        else:
            absence.end(session, one.kept.id, one.away.until, actor, now)
        action = f"登记{KINDS[one.away.kind]}" if one.kept is None else f"修改{KINDS[one.away.kind]}"
        audit.record(session, now, actor, via, action, one.person.staff_no, detail=f"{one.away.since} 至 {one.away.until or '未定'}")
    return plan


def cancel(session: Session, person: Known, since: date, now: datetime, *, actor: str, via: str) -> Kept:
    """Take back an absence by its first day; from today on when it has begun, so that days already paused stay so. Raises `Refusal`."""
    today = day_of(now)
    found = next((one for one in absence.of(session, person.id) if one.since == since), None)
    if found is None:
        raise Refusal(f"{person.staff_no} 没有从 {since} 开始的请假或借调。发送「请假 {person.staff_no}」查看。")
    if found.until is not None and found.until < today:
        raise Refusal(f"{span(found.kind, found.since, found.until)} 已经结束，不能取消。")
    if since >= today:
        absence.drop(session, found.id)
    else:
        absence.end(session, found.id, date.fromordinal(today.toordinal() - 1), actor, now)
    audit.record(session, now, actor, via, f"取消{KINDS[found.kind]}", person.staff_no, detail=f"{found.since} 至 {found.until or '未定'}")
    return found
