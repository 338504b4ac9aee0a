"""The grade that counts: for every place of a paper the recorded answer, a grader's confirmation of it, and the newest correction over both.

Whoever needs a score, a result, a statistic or a certificate reads it here; the answer itself never changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, exists, func, literal, select
from sqlmodel import Session

from bot.domain.grading.correction import GradedPlace
from bot.storage.db.query import Query, bind, columns, table
from bot.storage.tables.columns import FlagType
from bot.storage.tables.grading import ConfirmationRow, RegradeRow
from bot.storage.tables.study import AnswerRow, SittingItemRow

_ANSWER, _ITEM, _CONFIRMATION, REGRADE = (table(row) for row in (AnswerRow, SittingItemRow, ConfirmationRow, RegradeRow))
_LATER = REGRADE.alias("later")


def is_newest_regrade_of(place: FromClause) -> ColumnElement[bool]:
    """Whether a regrade is of a place (`sitting_id`, `n`), and no later correction has graded that place anew."""
    is_later = and_(_LATER.c.sitting_id == REGRADE.c.sitting_id, _LATER.c.n == REGRADE.c.n, _LATER.c.correction_id > REGRADE.c.correction_id)
    return and_(REGRADE.c.sitting_id == place.c.sitting_id, REGRADE.c.n == place.c.n, ~exists(select(_LATER.c.n).where(is_later)))


@dataclass(slots=True)
class CountingGrade:
    """One place of a paper. `earned` is in thousandths of the item, `points` what the item is worth (thousandths of a point); an answer that is
    not there is None; `waits` is true while a short answer waits for a person; `correction` is the one whose mark this is."""

    sitting_id: int
    n: int
    question: str
    version_id: int
    points: int
    answer_id: int | None
    choice: str | None
    earned: int
    counts: bool
    correction: int | None
    waits: bool

    @property
    def place(self) -> GradedPlace:
        return GradedPlace(self.points, self.earned, self.counts)


_IS_SETTLED = REGRADE.c.earned.is_not(None) | _CONFIRMATION.c.earned.is_not(None)
_SELECT = (
    select(
        *columns(
            _ITEM,
            CountingGrade,
            answer_id=_ANSWER.c.id,
            choice=_ANSWER.c.choice,
            earned=func.coalesce(REGRADE.c.earned, _CONFIRMATION.c.earned, _ANSWER.c.earned, 0),
            counts=func.coalesce(REGRADE.c.counts, literal(True, FlagType)),
            correction=REGRADE.c.correction_id,
            waits=case((_IS_SETTLED, literal(False, FlagType)), else_=func.coalesce(_ANSWER.c.provisional, literal(False, FlagType))),
        )
    )
    .join_from(_ITEM, _ANSWER, and_(_ANSWER.c.sitting_id == _ITEM.c.sitting_id, _ANSWER.c.n == _ITEM.c.n), isouter=True)
    .outerjoin(_CONFIRMATION, _CONFIRMATION.c.answer_id == _ANSWER.c.id)
    .outerjoin(REGRADE, is_newest_regrade_of(_ITEM))
)
_OF_SITTING = Query(_SELECT.where(_ITEM.c.sitting_id == bind("sitting_id")).order_by(_ITEM.c.n), gives=CountingGrade)


def grades_of_sitting(session: Session, sitting_id: int) -> list[CountingGrade]:
    """Every place of a paper in order, answered or not, with the grade that counts."""
    return _OF_SITTING.all(session, sitting_id=sitting_id)


def grades_of_sittings(sittings: Select[tuple[int]]) -> Query[CountingGrade]:
    """The statement for the same of many papers, given as a SELECT of their ids."""
    return Query(_SELECT.where(_ITEM.c.sitting_id.in_(sittings)).order_by(_ITEM.c.sitting_id, _ITEM.c.n), gives=CountingGrade)
