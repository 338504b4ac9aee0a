"""Leave and secondment in the database: who is away, from which day to which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from bot.domain.people.person import Absence
from bot.storage.db.query import Statement
from bot.storage.tables.columns import stamp

KIND_LABELS = {"leave": "请假", "secondment": "借调"}

_ABSENCES = Statement("SELECT since, until FROM absence WHERE person_id = :person_id ORDER BY since, id")
_ALL_RECORDS = Statement("SELECT id, person_id, kind, since, until FROM absence ORDER BY person_id, since, id")
_RECORDS = Statement("SELECT id, person_id, kind, since, until FROM absence WHERE person_id = :person_id ORDER BY since, id")
_ADD = Statement(
    """INSERT INTO absence (person_id, kind, since, until, recorded_by, recorded_at)
       VALUES (:person_id, :kind, :since, :until, :by, :at) RETURNING id"""
)
_CHANGE = Statement("UPDATE absence SET until = :until, recorded_by = :by, recorded_at = :at WHERE id = :id")
_DELETE = Statement("DELETE FROM absence WHERE id = :id")


@dataclass(frozen=True, slots=True)
class LeaveRecord:
    """A row: whose, leave or secondment, first day, last day (None while it goes on)."""

    id: int
    person_id: int
    kind: str
    since: date
    until: date | None


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def absences_of(session: Session, person_id: int) -> list[Absence]:
    """When a person was or will be away."""
    return [Absence(date.fromisoformat(row[0]), _day(row[1])) for row in _ABSENCES.all(session, person_id=person_id)]


def records_by_person(session: Session) -> dict[int, list[LeaveRecord]]:
    """All rows by person."""
    by_person: dict[int, list[LeaveRecord]] = {}
    for row in _ALL_RECORDS.all(session):
        by_person.setdefault(row[1], []).append(LeaveRecord(row[0], row[1], row[2], date.fromisoformat(row[3]), _day(row[4])))
    return by_person


def absences_by_person(session: Session) -> dict[int, list[Absence]]:
    """When people were or will be away, by person."""
    return {person_id: [Absence(record.since, record.until) for record in records] for person_id, records in records_by_person(session).items()}


def records_of(session: Session, person_id: int) -> list[LeaveRecord]:
    return [LeaveRecord(row[0], row[1], row[2], date.fromisoformat(row[3]), _day(row[4])) for row in _RECORDS.all(session, person_id=person_id)]


def add(session: Session, person_id: int, kind: str, since: date, until: date | None, actor: str, now: datetime) -> int:
    row = _ADD.one(session, person_id=person_id, kind=kind, since=since.isoformat(), until=until and until.isoformat(), by=actor, at=stamp(now))
    return int(row[0])


def change_end(session: Session, absence_id: int, until: date | None, actor: str, now: datetime) -> None:
    """Give an absence another last day."""
    _CHANGE.run(session, id=absence_id, until=until and until.isoformat(), by=actor, at=stamp(now))


def delete(session: Session, absence_id: int) -> None:
    """For an absence that was recorded by mistake or never began."""
    _DELETE.run(session, id=absence_id)
