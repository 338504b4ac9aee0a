"""The rows of the duty list and its planned activities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import stamp

_ALL = Statement(
    """SELECT d.id, d.year, d.law, u.path, d.form, d.count, d.deadline, p.staff_no, p.name, d.clause, d.unit_id
       FROM duty d JOIN unit u ON u.id = d.unit_id LEFT JOIN person p ON p.id = d.liaison_id
       WHERE d.year = :year ORDER BY u.path, d.law, d.form"""
)
_ADD = Statement(
    """INSERT INTO duty (year, law, unit_id, form, count, deadline, liaison_id, clause, recorded_at)
       VALUES (:year, :law, :unit_id, :form, :count, :deadline, :liaison_id, :clause, :at) RETURNING id"""
)
_CHANGE = Statement("UPDATE duty SET count = :count, deadline = :deadline, liaison_id = :liaison_id, clause = :clause WHERE id = :id")
_PLAN = Statement(
    """INSERT INTO planned (duty_id, n, name, due_on, state, campaign_id, note) VALUES (:duty_id, :n, :name, :due_on, 'planned', NULL, '')
       RETURNING id"""
)
_PLANNED = Statement(
    """SELECT l.id, l.duty_id, l.n, l.name, l.due_on, l.state, l.done_on, l.campaign_id, l.note FROM planned l JOIN duty d ON d.id = l.duty_id
       WHERE d.year = :year ORDER BY l.duty_id, l.n"""
)
_ONE = Statement("SELECT id, duty_id, n, name, due_on, state, done_on, campaign_id, note FROM planned WHERE id = :id")
_LINK = Statement("UPDATE planned SET campaign_id = :campaign_id WHERE id = :id")
_MOVE = Statement("UPDATE planned SET due_on = :due_on WHERE id = :id AND state = 'planned'")
_DONE = Statement("UPDATE planned SET state = 'done', done_on = :on, note = :note WHERE id = :id AND state = 'planned'")
_CANCEL = Statement("UPDATE planned SET state = 'cancelled', note = :note WHERE id = :id AND state = 'planned'")
_UNIT_ID = Statement("SELECT id FROM unit WHERE path = :path")


@dataclass(frozen=True, slots=True)
class StoredDuty:
    """A row of the list as it stands."""

    id: int
    year: int
    law: str
    unit: str
    form: str
    count: int
    deadline: date
    liaison_no: str
    liaison: str
    clause: str
    unit_id: int


@dataclass(frozen=True, slots=True)
class PlannedActivity:
    """A planned activity: `n` counts from one within its row."""

    id: int
    duty_id: int
    n: int
    name: str
    due_on: date
    state: str
    done_on: date | None
    campaign_id: int | None
    note: str


def duties_of_year(session: Session, year: int) -> list[StoredDuty]:
    return [_duty(row) for row in _ALL.all(session, year=year)]


def _duty(row: Any) -> StoredDuty:
    duty_id, year, law, unit, form, count, deadline, liaison_no, liaison, clause, unit_id = row
    return StoredDuty(duty_id, year, law, unit, form, count, date.fromisoformat(deadline), liaison_no or "", liaison or "", clause, unit_id)


def add_duty(
    session: Session, year: int, law: str, unit_id: int, form: str, count: int, deadline: date, liaison_id: int | None, clause: str, at: datetime
) -> int:
    row = _ADD.one(
        session,
        year=year,
        law=law,
        unit_id=unit_id,
        form=form,
        count=count,
        deadline=deadline.isoformat(),
        liaison_id=liaison_id,
        clause=clause,
        at=stamp(at),
    )
    return int(row[0])


def change_duty(session: Session, duty_id: int, count: int, deadline: date, liaison_id: int | None, clause: str) -> None:
    _CHANGE.run(session, id=duty_id, count=count, deadline=deadline.isoformat(), liaison_id=liaison_id, clause=clause)


def add_planned(session: Session, duty_id: int, number: int, name: str, due_on: date) -> int:
    return int(_PLAN.one(session, duty_id=duty_id, n=number, name=name, due_on=due_on.isoformat())[0])


def _activity(row: Any) -> PlannedActivity:
    planned_id, duty_id, number_in_duty, name, due_on, state, done_on, campaign_id, note = row
    return PlannedActivity(
        planned_id, duty_id, number_in_duty, name, date.fromisoformat(due_on), state, done_on and date.fromisoformat(done_on), campaign_id, note
    )


def planned_by_duty(session: Session, year: int) -> dict[int, list[PlannedActivity]]:
    """The activities of a year by row of the list, in order."""
    by_duty: dict[int, list[PlannedActivity]] = {}
    for row in _PLANNED.all(session, year=year):
        by_duty.setdefault(row[1], []).append(_activity(row))
    return by_duty


def get_planned(session: Session, planned_id: int) -> PlannedActivity | None:
    row = _ONE.one(session, id=planned_id)
    return None if row is None else _activity(row)


def link_campaign(session: Session, planned_id: int, campaign_id: int) -> None:
    _LINK.run(session, id=planned_id, campaign_id=campaign_id)


def reschedule(session: Session, planned_id: int, due_on: date) -> None:
    _MOVE.run(session, id=planned_id, due_on=due_on.isoformat())


def mark_done(session: Session, planned_id: int, done_on: date, note: str) -> bool:
    """True for the one call that ticked it off: an activity counts once."""
    return _DONE.run(session, id=planned_id, on=done_on.isoformat(), note=note) == 1


def cancel(session: Session, planned_id: int, note: str) -> bool:
    return _CANCEL.run(session, id=planned_id, note=note) == 1


def unit_id_of(session: Session, path: str) -> int:
    return int(_UNIT_ID.one(session, path=path)[0])


def idle_units(session: Session, year: int, today: date) -> list[tuple[str, int, str]]:
    """(office, rows of the list, liaisons) of the offices that have done nothing of the year's list by a day."""
    activities = planned_by_duty(session, year)
    by_unit: dict[str, tuple[int, int, dict[str, None]]] = {}
    for duty in duties_of_year(session, year):
        done_count = sum(activity_row.done_on is not None and activity_row.done_on <= today for activity_row in activities.get(duty.id, []))
        duties, total, names = by_unit.get(duty.unit, (0, 0, {}))
        by_unit[duty.unit] = (duties + 1, total + done_count, {**names, **({duty.liaison: None} if duty.liaison else {})})
    return [(unit, duties, "、".join(names)) for unit, (duties, total, names) in sorted(by_unit.items()) if not total]
