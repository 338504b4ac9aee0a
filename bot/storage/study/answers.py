"""Answers of a whole batch: all that deciding them needs in one statement, and their rows in one statement a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Integer, Text, and_, case, exists, func, literal, select, update
from sqlmodel import Session

from bot.domain.study.spaced_repetition import MemoryCard, Mistake
from bot.storage.db.query import Query, bind, binds, columns, given, insert, table
from bot.storage.hours.ledger import UsedCredit
from bot.storage.study.sittings import OpenSitting, SittingItem
from bot.storage.tables.columns import FlagType
from bot.storage.tables.exam import AttemptRow, ExamRow
from bot.storage.tables.hours import DayTotalRow, EntryRow, YearTotalRow
from bot.storage.tables.study import AnswerRow, FocusRow, NotebookCardRow, SittingItemRow, SittingRow

PRACTICE = "practice"
"""The category of the ledger in which items earn."""


class PlaceLookup(NamedTuple):
    """Where somebody answers: a place of a sitting (None: the one in hand), the day on which it counts, and the source that it would earn from.

    `source` is what stands before the question in the ledger (`2026:` for an item, once a year).
    """

    person_id: int
    sitting_id: int
    n: int | None
    day: str
    year: int
    source: str


@dataclass(slots=True)
class _Standing:
    """Beside the rows of a place: the notebook's entry but its card, and what is known of the answer already."""

    entered_at: datetime | None
    right_in_a_row: int | None
    left_at: datetime | None
    since: datetime | None
    last_answer_at: datetime | None
    has_earned: bool
    is_answered: bool
    is_watched: bool


@dataclass(slots=True)
class AnswerFacts:
    """All that deciding an answer needs. `next_item` is the place after it where that is free, `used` None where the question earned before.

    `entry` is the question in the person's notebook, `asked_at` when it was put (None: unknown). `is_watched` says that the person has a paper of
    an exam that can still be sat.
    """

    sitting: OpenSitting
    item: SittingItem
    next_item: SittingItem | None
    used: UsedCredit | None
    entry: Mistake | None
    asked_at: datetime | None
    is_answered: bool
    is_watched: bool


_PLACES = given("places", person_id=Integer, sitting_id=Integer, n=Integer, day=Text, year=Integer, source=Text, k=Integer)
_SITTING, _ANSWER, _FOCUS, _ENTRY = table(SittingRow), table(AnswerRow), table(FocusRow), table(EntryRow)
_ITEM, _NEXT = table(SittingItemRow), table(SittingItemRow).alias("next_item")
_CARD, _YEAR, _DAY = table(NotebookCardRow), table(YearTotalRow), table(DayTotalRow)
_ATTEMPT, _EXAM = table(AttemptRow), table(ExamRow)


def _answered(item: Any) -> Any:
    return exists(select(_ANSWER.c.id).where(_ANSWER.c.sitting_id == item.c.sitting_id, _ANSWER.c.n == item.c.n))


_EARNED = exists(
    select(_ENTRY.c.id).where(
        _ENTRY.c.person_id == _SITTING.c.person_id,
        _ENTRY.c.source_kind == "item",
        _ENTRY.c.source_id == _PLACES.c.source + _ITEM.c.question,
        _ENTRY.c.reverses.is_(None),
    )
)
_WATCHED = exists(
    select(_ATTEMPT.c.sitting_id)
    .join_from(_ATTEMPT, _EXAM, _EXAM.c.id == _ATTEMPT.c.exam_id)
    .where(_ATTEMPT.c.person_id == _SITTING.c.person_id, _EXAM.c.state == "published")
)
_LAST_ANSWER_AT = (
    select(func.max(_ANSWER.c.recorded_at)).where(_ANSWER.c.sitting_id == _ITEM.c.sitting_id, _ANSWER.c.n != _ITEM.c.n).scalar_subquery()
)


def _flag(condition: Any) -> Any:
    return case((condition, literal(True, FlagType)), else_=literal(False, FlagType))


_FACTS = Query(
    select(
        _PLACES.c.k,
        *columns(_SITTING, OpenSitting),
        *columns(_ITEM, SittingItem),
        *columns(_NEXT, SittingItem),
        func.coalesce(_YEAR.c.seconds, 0).label("year_seconds"),
        func.coalesce(_YEAR.c["items"], 0).label("year_items"),
        func.coalesce(_DAY.c.seconds, 0).label("day_seconds"),
        *columns(_CARD, MemoryCard, due=_CARD.c.due_at),
        _CARD.c.entered_at,
        _CARD.c.right_in_a_row,
        _CARD.c.left_at,
        case((and_(_FOCUS.c.kind != "reading", _FOCUS.c.ref == _SITTING.c.id), _FOCUS.c.since)).label("since"),
        # Only a question of the notebook is graded by the time that it took.
        case((_CARD.c.state.is_not(None), _LAST_ANSWER_AT)).label("last_answer_at"),
        _flag(_EARNED).label("has_earned"),
        _flag(_answered(_ITEM)).label("is_answered"),
        _flag(_WATCHED).label("is_watched"),
    )
    .select_from(_PLACES)
    .join(_SITTING, _SITTING.c.id == _PLACES.c.sitting_id)
    .join(_ITEM, and_(_ITEM.c.sitting_id == _SITTING.c.id, _ITEM.c.n == func.coalesce(_PLACES.c.n, _SITTING.c.next)))
    .outerjoin(_NEXT, and_(_NEXT.c.sitting_id == _SITTING.c.id, _NEXT.c.n == _ITEM.c.n + 1, ~_answered(_NEXT)))
    .outerjoin(_CARD, and_(_CARD.c.person_id == _SITTING.c.person_id, _CARD.c.question == _ITEM.c.question))
    .outerjoin(_YEAR, and_(_YEAR.c.person_id == _SITTING.c.person_id, _YEAR.c.year == _PLACES.c.year, _YEAR.c.category == PRACTICE))
    .outerjoin(_DAY, and_(_DAY.c.person_id == _SITTING.c.person_id, _DAY.c.day == _PLACES.c.day, _DAY.c.category == PRACTICE))
    .outerjoin(_FOCUS, _FOCUS.c.person_id == _SITTING.c.person_id)
    .where(_SITTING.c.person_id == _PLACES.c.person_id),
    gives=(int, OpenSitting, SittingItem, SittingItem | None, UsedCredit, MemoryCard | None, _Standing),
)


def gather(session: Session, places: Sequence[PlaceLookup]) -> list[AnswerFacts | None]:
    """The facts of each place, in their order; None for a sitting that is not the person's, or a place that it does not have."""
    gathered: list[AnswerFacts | None] = [None] * len(places)
    for k, sitting, item, next_item, used, card, standing in _FACTS.all(session, places=[(*place, k) for k, place in enumerate(places)]):
        entry = None
        if card is not None:
            entry = Mistake(item.question, standing.entered_at, card, standing.right_in_a_row, standing.left_at)
        asked_at = max(filter(None, (standing.since, standing.last_answer_at)), default=None)
        gathered[k] = AnswerFacts(
            sitting, item, next_item, None if standing.has_earned else used, entry, asked_at, standing.is_answered, standing.is_watched
        )
    return gathered


_RECORD = Query(
    insert(_ANSWER).values(
        binds(
            "person_id", "sitting_id", "n", "question", "version_id", "choice", "correct", "earned", "provisional", "channel", "message_id",
            "arrived_at", "recorded_at",
        )
        | {"late": False}
    )
)  # fmt: skip
_MOVE_ON = Query(update(_SITTING).where(_SITTING.c.id == bind("sitting_id")).values(next=bind("n")))


def record(session: Session, answers: Sequence[Mapping[str, Any]]) -> None:
    """Record answers, each with the columns of its row; the place of each must be free (unique in the database)."""
    _RECORD.many(session, answers)


def move_on(session: Session, places: Sequence[tuple[int, int]]) -> None:
    """Take the next places of sittings in hand: (sitting, place)."""
    _MOVE_ON.many(session, [{"sitting_id": sitting_id, "n": n} for sitting_id, n in places])
