"""The rows of the duty list and its planned activities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select, update
from sqlmodel import Session

from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.activity import DutyRow, PlannedRow
from bot.storage.tables.people import PersonRow, UnitRow

_duties, _liaisons, _planned, _units = table(DutyRow), table(PersonRow).alias("liaison"), table(PlannedRow), table(UnitRow)


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


_OF_YEAR = Query(
    select(
        *columns(
            _duties,
            StoredDuty,
            unit=_units.c.path,
            liaison_no=func.coalesce(_liaisons.c.staff_no, ""),
            liaison=func.coalesce(_liaisons.c.name, ""),
        )
    )
    .select_from(_duties.join(_units, _units.c.id == _duties.c.unit_id).outerjoin(_liaisons, _liaisons.c.id == _duties.c.liaison_id))
    .where(_duties.c.year == bind("year"))
    .order_by(_units.c.path, _duties.c.law, _duties.c.form),
    gives=StoredDuty,
)
_ADD_DUTY = Query(
    insert(_duties)
    .values(binds("year", "law", "unit_id", "form", "count", "deadline", "liaison_id", "clause", "recorded_at"))
    .returning(_duties.c.id),
    gives=int,
)
_CHANGE_DUTY = Query(update(_duties).values(binds("count", "deadline", "liaison_id", "clause")).where(_duties.c.id == bind("id")))
_SELECT_PLANNED = select(*columns(_planned, PlannedActivity))
_PLANNED_IN_YEAR = Query(
    _SELECT_PLANNED.join_from(_planned, _duties, _duties.c.id == _planned.c.duty_id)
    .where(_duties.c.year == bind("year"))
    .order_by(_planned.c.duty_id, _planned.c.n),
    gives=PlannedActivity,
)
_GET_PLANNED = Query(_SELECT_PLANNED.where(_planned.c.id == bind("id")), gives=PlannedActivity)
_ADD_PLANNED = Query(
    insert(_planned).values(binds("duty_id", "n", "name", "due_on") | {"state": "planned", "note": ""}).returning(_planned.c.id), gives=int
)
_CHANGE_PLANNED = update(_planned).where(_planned.c.id == bind("id"))
_LINK = Query(_CHANGE_PLANNED.values(binds("campaign_id")))
_CHANGE_OPEN = _CHANGE_PLANNED.where(_planned.c.state == "planned")
_MOVE = Query(_CHANGE_OPEN.values(binds("due_on")))
_DONE = Query(_CHANGE_OPEN.values(binds("done_on", "note") | {"state": "done"}))
_CANCEL = Query(_CHANGE_OPEN.values(binds("note") | {"state": "cancelled"}))


def duties_of_year(session: Session, year: int) -> list[StoredDuty]:
    return _OF_YEAR.all(session, year=year)


def add_duty(
    session: Session, year: int, law: str, unit_id: int, form: str, count: int, deadline: date, liaison_id: int | None, clause: str, at: datetime
) -> int:
    return _ADD_DUTY.one(
        session,
        year=year,
        law=law,
        unit_id=unit_id,
        form=form,
        count=count,
        deadline=deadline,
        liaison_id=liaison_id,
        clause=clause,
        recorded_at=at,
    )


def change_duty(session: Session, duty_id: int, count: int, deadline: date, liaison_id: int | None, clause: str) -> None:
    _CHANGE_DUTY.run(session, id=duty_id, count=count, deadline=deadline, liaison_id=liaison_id, clause=clause)


def add_planned(session: Session, duty_id: int, number: int, name: str, due_on: date) -> int:
    return _ADD_PLANNED.one(session, duty_id=duty_id, n=number, name=name, due_on=due_on)


def planned_by_duty(session: Session, year: int) -> dict[int, list[PlannedActivity]]:
    """The activities of a year by row of the list, in order."""
    by_duty: dict[int, list[PlannedActivity]] = {}
    for planned in _PLANNED_IN_YEAR.all(session, year=year):
        by_duty.setdefault(planned.duty_id, []).append(planned)
    return by_duty


def get_planned(session: Session, planned_id: int) -> PlannedActivity | None:
    return _GET_PLANNED.first(session, id=planned_id)


def link_campaign(session: Session, planned_id: int, campaign_id: int) -> None:
    _LINK.run(session, id=planned_id, campaign_id=campaign_id)


def reschedule(session: Session, planned_id: int, due_on: date) -> None:
    _MOVE.run(session, id=planned_id, due_on=due_on)


def mark_done(session: Session, planned_id: int, done_on: date, note: str) -> bool:
    """True for the one call that ticked it off: an activity counts once."""
    return _DONE.run(session, id=planned_id, done_on=done_on, note=note) == 1


def cancel(session: Session, planned_id: int, note: str) -> bool:
    return _CANCEL.run(session, id=planned_id, note=note) == 1


def idle_units(session: Session, year: int, today: date) -> list[tuple[str, int, str]]:
    """(office, rows of the list, liaisons) of the offices that have done nothing of the year's list by a day."""
    activities = planned_by_duty(session, year)
    by_unit: dict[str, tuple[int, int, dict[str, None]]] = {}
    for duty in duties_of_year(session, year):
        done_count = sum(activity_row.done_on is not None and activity_row.done_on <= today for activity_row in activities.get(duty.id, []))
        duties, total, names = by_unit.get(duty.unit, (0, 0, {}))
        by_unit[duty.unit] = (duties + 1, total + done_count, {**names, **({duty.liaison: None} if duty.liaison else {})})
    return [(unit, duties, "、".join(names)) for unit, (duties, total, names) in sorted(by_unit.items()) if not total]
