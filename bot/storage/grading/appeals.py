"""Rows of appeals against exam results: filed, listed, answered once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_APPEALS = """SELECT l.id, l.person_id, p.staff_no, p.name, l.sitting_id, t.exam_id, e.name, t.score, t.passed, l.said, l.appealed_at, l.due_on,
    l.granted, l.answered, l.answered_at, l.correction_id FROM appeal l JOIN person p ON p.id = l.person_id
    JOIN attempt t ON t.sitting_id = l.sitting_id JOIN exam e ON e.id = t.exam_id """
_GET = Statement(_APPEALS + "WHERE l.id = :id")
_OPEN = Statement(_APPEALS + "WHERE l.answered_at IS NULL ORDER BY l.due_on, l.id LIMIT :top")
_MINE = Statement(_APPEALS + "WHERE l.person_id = :person_id ORDER BY l.id DESC LIMIT :top")
_OF_SITTING = Statement(_APPEALS + "WHERE l.sitting_id = :sitting_id AND l.answered_at IS NULL")
_ADD = Statement(
    """INSERT INTO appeal (person_id, sitting_id, said, appealed_at, due_on, answered)
       VALUES (:person_id, :sitting_id, :said, :at, :due_on, '') ON CONFLICT DO NOTHING RETURNING id"""
)
_ANSWER = Statement(
    """UPDATE appeal SET granted = :granted, answered = :text, answered_by = :by, answered_at = :at, correction_id = :correction_id
       WHERE id = :id AND answered_at IS NULL"""
)


@dataclass(frozen=True, slots=True)
class ExamAppeal:
    """A row with what it is about: the attempt's result as it stands now (thousandths of a point), the exam, and who appealed."""

    id: int
    person_id: int
    staff_no: str
    name: str
    sitting_id: int
    exam_id: int
    exam: str
    score: int | None
    passed: bool | None
    said: str
    appealed_at: datetime
    due_on: date
    granted: bool | None
    answered: str
    answered_at: datetime | None
    correction_id: int | None


def _appeal_from_row(row: Any) -> ExamAppeal:
    *_, passed, said, appealed_at, due_on, granted, answered, answered_at, correction_id = row
    return ExamAppeal(
        id=row[0],
        person_id=row[1],
        staff_no=row[2],
        name=row[3],
        sitting_id=row[4],
        exam_id=row[5],
        exam=row[6],
        score=row[7],
        passed=None if passed is None else bool(passed),
        said=said,
        appealed_at=moment(appealed_at),
        due_on=date.fromisoformat(due_on),
        granted=None if granted is None else bool(granted),
        answered=answered,
        answered_at=None if answered_at is None else moment(answered_at),
        correction_id=correction_id,
    )


def get(session: Session, appeal_id: int) -> ExamAppeal | None:
    row = _GET.one(session, id=appeal_id)
    return None if row is None else _appeal_from_row(row)


def open_appeals(session: Session, top: int = 200) -> list[ExamAppeal]:
    """What waits for an answer, the most urgent first."""
    return [_appeal_from_row(row) for row in _OPEN.all(session, top=top)]


def of_person(session: Session, person_id: int, top: int = 5) -> list[ExamAppeal]:
    """A person's own, newest first."""
    return [_appeal_from_row(row) for row in _MINE.all(session, person_id=person_id, top=top)]


def open_of_sitting(session: Session, sitting_id: int) -> ExamAppeal | None:
    """The appeal about a paper that still waits for its answer."""
    row = _OF_SITTING.one(session, sitting_id=sitting_id)
    return None if row is None else _appeal_from_row(row)


def add(session: Session, person_id: int, sitting_id: int, text: str, now: datetime, due_on: date) -> int | None:
    """The number of the new appeal; None when one about this paper waits already."""
    row = _ADD.one(session, person_id=person_id, sitting_id=sitting_id, said=text, at=stamp(now), due_on=due_on.isoformat())
    return None if row is None else int(row[0])


def answer(session: Session, appeal_id: int, granted: bool, text: str, by: int, correction_id: int | None, now: datetime) -> bool:
    """True for the one call that answered it."""
    rows_changed = _ANSWER.run(session, id=appeal_id, granted=int(granted), text=text, by=by, correction_id=correction_id, at=stamp(now))
    return rows_changed == 1
