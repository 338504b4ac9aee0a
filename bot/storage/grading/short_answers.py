"""Short answers that wait for a person's grade: which of them an administrator may grade, and the confirmed grade."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import and_, exists, func, or_, select
from sqlmodel import Session

from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.exam import AttemptRow, ExamRow
from bot.storage.tables.grading import ConfirmationRow
from bot.storage.tables.people import PersonRow, PostRow, RoleRow, UnitRow
from bot.storage.tables.study import AnswerRow, SittingItemRow

_ANSWER, _ATTEMPT, _EXAM, _ITEM, _CONFIRMATION = (table(row) for row in (AnswerRow, AttemptRow, ExamRow, SittingItemRow, ConfirmationRow))
_PERSON, _POST, _ROLE, _UNIT = (table(row) for row in (PersonRow, PostRow, RoleRow, UnitRow))


@dataclass(frozen=True, slots=True)
class WaitingAnswer:
    """A short answer that somebody may grade: whose, in which sitting, to which question."""

    person_id: int
    sitting_id: int
    question: str


_TOP = _UNIT.alias("top_unit")
_AT_PUBLISHED = select().join_from(_ATTEMPT, _EXAM, _EXAM.c.id == _ATTEMPT.c.exam_id).where(_EXAM.c.state == "published")
_IS_ADMIN = and_(_ROLE.c.person_id == bind("by"), _ROLE.c.role == "admin")
_LOOKED_AFTER = or_(
    exists(select(_ROLE.c.id).where(_IS_ADMIN, _ROLE.c.unit_id.is_(None))),
    exists(
        select(_ROLE.c.id)
        .join_from(_ROLE, _TOP, _TOP.c.id == _ROLE.c.unit_id)
        .join(_POST, _POST.c.person_id == _ANSWER.c.person_id)
        .join(_UNIT, _UNIT.c.id == _POST.c.unit_id)
        .where(
            _IS_ADMIN,
            _POST.c.since <= bind("day"),
            or_(_POST.c.until.is_(None), _POST.c.until >= bind("day")),
            or_(_UNIT.c.path == _TOP.c.path, func.substr(_UNIT.c.path, 1, func.length(_TOP.c.path) + 1) == _TOP.c.path + "/"),
        )
    ),
)
# Nobody grades an answer of their own, of people they do not look after, of an exam that can still be sat, or of an item of their own paper, for
# the key stands beside the answer.
_MAY_GRADE = and_(
    _ANSWER.c.provisional == 1,
    _ANSWER.c.person_id != bind("by"),
    ~exists(_AT_PUBLISHED.add_columns(_ATTEMPT.c.sitting_id).where(_ATTEMPT.c.sitting_id == _ANSWER.c.sitting_id)),
    _ANSWER.c.question.not_in(
        _AT_PUBLISHED.add_columns(_ITEM.c.question).join(_ITEM, _ITEM.c.sitting_id == _ATTEMPT.c.sitting_id).where(_ATTEMPT.c.person_id == bind("by"))
    ),
    _LOOKED_AFTER,
)
_WAITING = Query(
    select(_ANSWER.c.id, _PERSON.c.name, _PERSON.c.staff_no, _ANSWER.c.version_id, _ANSWER.c.choice, _ANSWER.c.earned)
    .join_from(_ANSWER, _PERSON, _PERSON.c.id == _ANSWER.c.person_id)
    .where(_MAY_GRADE, ~exists(select(_CONFIRMATION.c.answer_id).where(_CONFIRMATION.c.answer_id == _ANSWER.c.id)))
    .order_by(_ANSWER.c.id)
    .limit(bind("top")),
    gives=tuple[int, str, str, int, str, int],
)
_FIND_GRADABLE = Query(select(*columns(_ANSWER, WaitingAnswer)).where(_ANSWER.c.id == bind("id"), _MAY_GRADE), gives=WaitingAnswer)
_AUTHOR = Query(select(_ANSWER.c.person_id).where(_ANSWER.c.id == bind("id"), _ANSWER.c.provisional == 1), gives=int)
_CONFIRM = Query(
    insert(_CONFIRMATION).values(binds("answer_id", "earned", "confirmed_by", "confirmed_at")).on_conflict_do_nothing(index_elements=["answer_id"])
)


def list_ungraded(session: Session, by: int, day: date, top: int = 5) -> list[tuple[int, str, str, int, str, int]]:
    """(answer, name, staff_no, version row, text, thousandths) of what waits for a grade by this administrator, oldest first."""
    return _WAITING.all(session, by=by, day=day, top=top)


def find_gradable(session: Session, answer_id: int, by: int, day: date) -> WaitingAnswer | None:
    """The answer, when this administrator may grade it."""
    return _FIND_GRADABLE.first(session, id=answer_id, by=by, day=day)


def is_own_answer(session: Session, answer_id: int, by: int) -> bool:
    return _AUTHOR.first(session, id=answer_id) == by


def confirm(session: Session, answer_id: int, earned: int, by: int, now: datetime) -> bool:
    """True for the one call that confirmed it; `earned` in thousandths of the item."""
    return _CONFIRM.run(session, answer_id=answer_id, earned=earned, confirmed_by=by, confirmed_at=now) == 1
