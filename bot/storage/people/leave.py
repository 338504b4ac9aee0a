"""Leave and secondment in the database: who is away, from which day to which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import delete as delete_from
from sqlalchemy import select, update
from sqlmodel import Session

from bot.domain.people.person import Absence
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.people import AbsenceRow

KIND_LABELS = {"leave": "请假", "secondment": "借调"}
KIND_NAMES = {
    "请假": "leave", "事假": "leave", "病假": "leave", "公休": "leave", "公休假": "leave", "年假": "leave", "年休假": "leave", "带薪年休假": "leave",
    "产假": "leave", "陪产假": "leave", "护理假": "leave", "育儿假": "leave", "婚假": "leave", "丧假": "leave", "探亲假": "leave", "工伤假": "leave",
    "补休": "leave", "调休": "leave", "休假": "leave", "借调": "secondment", "借用": "secondment", "抽调": "secondment", "挂职": "secondment",
}  # fmt: skip
"""What agencies call the two kinds in their own sheets and words."""

_absences = table(AbsenceRow)


@dataclass(frozen=True, slots=True)
class LeaveRecord:
    """A row: whose, leave or secondment, first day, last day (None while it goes on)."""

    id: int
    person_id: int
    kind: str
    since: date
    until: date | None


_OF_PERSON = _absences.c.person_id == bind("person_id")
_ABSENCES = Query(select(*columns(_absences, Absence)).where(_OF_PERSON).order_by(_absences.c.since, _absences.c.id), gives=Absence)
_SELECT = select(*columns(_absences, LeaveRecord))
_ALL_RECORDS = Query(_SELECT.order_by(_absences.c.person_id, _absences.c.since, _absences.c.id), gives=LeaveRecord)
_RECORDS = Query(_SELECT.where(_OF_PERSON).order_by(_absences.c.since, _absences.c.id), gives=LeaveRecord)
_ADD = Query(
    insert(_absences).values(binds("person_id", "kind", "since", "until", "recorded_by", "recorded_at")).returning(_absences.c.id),
    gives=int,
)
_CHANGE = Query(update(_absences).values(binds("until", "recorded_by", "recorded_at")).where(_absences.c.id == bind("id")))
_DELETE = Query(delete_from(_absences).where(_absences.c.id == bind("id")))


def absences_of(session: Session, person_id: int) -> list[Absence]:
    """When a person was or will be away."""
    return _ABSENCES.all(session, person_id=person_id)


def records_by_person(session: Session) -> dict[int, list[LeaveRecord]]:
    """All rows by person."""
    by_person: dict[int, list[LeaveRecord]] = {}
    for record in _ALL_RECORDS.all(session):
        by_person.setdefault(record.person_id, []).append(record)
    return by_person


def absences_by_person(session: Session) -> dict[int, list[Absence]]:
    """When people were or will be away, by person."""
    return {person_id: [Absence(record.since, record.until) for record in records] for person_id, records in records_by_person(session).items()}


def records_of(session: Session, person_id: int) -> list[LeaveRecord]:
    return _RECORDS.all(session, person_id=person_id)


def add(session: Session, person_id: int, kind: str, since: date, until: date | None, actor: str, now: datetime) -> int:
    return _ADD.one(session, person_id=person_id, kind=kind, since=since, until=until, recorded_by=actor, recorded_at=now)


def change_end(session: Session, absence_id: int, until: date | None, actor: str, now: datetime) -> None:
    """Give an absence another last day."""
    _CHANGE.run(session, id=absence_id, until=until, recorded_by=actor, recorded_at=now)


def delete(session: Session, absence_id: int) -> None:
    """For an absence that was recorded by mistake or never began."""
    _DELETE.run(session, id=absence_id)
