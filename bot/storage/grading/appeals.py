"""Rows of appeals against exam results: filed, listed, answered once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select, update
from sqlmodel import Session

from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.exam import AttemptRow, ExamRow
from bot.storage.tables.grading import AppealRow
from bot.storage.tables.people import PersonRow

_APPEAL, _PERSON, _ATTEMPT, _EXAM = (table(row) for row in (AppealRow, PersonRow, AttemptRow, ExamRow))


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


_APPEALS = (
    select(
        *columns(
            _APPEAL,
            ExamAppeal,
            staff_no=_PERSON.c.staff_no,
            name=_PERSON.c.name,
            exam_id=_ATTEMPT.c.exam_id,
            exam=_EXAM.c.name,
            score=_ATTEMPT.c.score,
            passed=_ATTEMPT.c.passed,
        )
    )
    .join_from(_APPEAL, _PERSON, _PERSON.c.id == _APPEAL.c.person_id)
    .join(_ATTEMPT, _ATTEMPT.c.sitting_id == _APPEAL.c.sitting_id)
    .join(_EXAM, _EXAM.c.id == _ATTEMPT.c.exam_id)
)
_IS_OPEN = _APPEAL.c.answered_at.is_(None)
_GET = Query(_APPEALS.where(_APPEAL.c.id == bind("id")), gives=ExamAppeal)
_OPEN = Query(_APPEALS.where(_IS_OPEN).order_by(_APPEAL.c.due_on, _APPEAL.c.id).limit(bind("top")), gives=ExamAppeal)
_OF_PERSON = Query(_APPEALS.where(_APPEAL.c.person_id == bind("person_id")).order_by(_APPEAL.c.id.desc()).limit(bind("top")), gives=ExamAppeal)
_OPEN_OF_SITTING = Query(_APPEALS.where(_APPEAL.c.sitting_id == bind("sitting_id"), _IS_OPEN), gives=ExamAppeal)
_ADD = Query(
    insert(_APPEAL)
    .values(binds("person_id", "sitting_id", "said", "appealed_at", "due_on") | {"answered": ""})
    .on_conflict_do_nothing()
    .returning(_APPEAL.c.id),
    gives=int,
)
_ANSWER = Query(
    update(_APPEAL).values(binds("granted", "answered", "answered_by", "answered_at", "correction_id")).where(_APPEAL.c.id == bind("id"), _IS_OPEN)
)


def get(session: Session, appeal_id: int) -> ExamAppeal | None:
    return _GET.first(session, id=appeal_id)


def open_appeals(session: Session, top: int = 200) -> list[ExamAppeal]:
    """What waits for an answer, the most urgent first."""
    return _OPEN.all(session, top=top)


def of_person(session: Session, person_id: int, top: int = 5) -> list[ExamAppeal]:
    """A person's own, newest first."""
    return _OF_PERSON.all(session, person_id=person_id, top=top)


def open_of_sitting(session: Session, sitting_id: int) -> ExamAppeal | None:
    """The appeal about a paper that still waits for its answer."""
    return _OPEN_OF_SITTING.first(session, sitting_id=sitting_id)


def add(session: Session, person_id: int, sitting_id: int, text: str, now: datetime, due_on: date) -> int | None:
    """The number of the new appeal; None when one about this paper waits already."""
    return _ADD.first(session, person_id=person_id, sitting_id=sitting_id, said=text, appealed_at=now, due_on=due_on)


def answer(session: Session, appeal_id: int, granted: bool, text: str, by: int, correction_id: int | None, now: datetime) -> bool:
    """True for the one call that answered it."""
    rows_changed = _ANSWER.run(session, id=appeal_id, granted=granted, answered=text, answered_by=by, correction_id=correction_id, answered_at=now)
    return rows_changed == 1
