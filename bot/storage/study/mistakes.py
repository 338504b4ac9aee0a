"""The notebook of mistakes as rows: its cards, the reviews asked since a moment, and the review settings of a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlmodel import Session

from bot.domain.study.review_goal import DEFAULT_MINUTES, DEFAULT_TARGET
from bot.domain.study.spaced_repetition import MemoryCard, Mistake
from bot.storage.db.query import Query, bind, binds, insert, replacing, table
from bot.storage.tables.study import AnswerRow, ExamGoalRow, NotebookCardRow, SittingItemRow, SittingRow

_answers, _cards, _goals = table(AnswerRow), table(NotebookCardRow), table(ExamGoalRow)
_items, _sittings = table(SittingItemRow), table(SittingRow)


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """What a person set for their reviews; nobody has a row who set nothing."""

    day: date | None = None
    minutes: int = DEFAULT_MINUTES
    target: int = DEFAULT_TARGET


_CARD = ("state", "step", "stability", "difficulty", "due_at", "reviewed_at")
_COLUMNS = select(_cards.c.question, _cards.c.entered_at, _cards.c.right_in_a_row, _cards.c.left_at, *(_cards.c[name] for name in _CARD)).where(
    _cards.c.person_id == bind("person_id")
)
_ENTRY = Query(_COLUMNS.where(_cards.c.question == bind("question")))
_ENTRIES = Query(_COLUMNS.order_by(_cards.c.due_at, _cards.c.question))
_SAVE_ENTRY = Query(
    replacing(
        insert(_cards).values(binds("person_id", "question", "entered_at", "right_in_a_row", "left_at", *_CARD)),
        ["person_id", "question"],
        "right_in_a_row",
        "left_at",
        *_CARD,
    )
)
_REVIEWS_ASKED = Query(
    select(func.count())
    .select_from(_sittings)
    .join(_items, _items.c.sitting_id == _sittings.c.id)
    .join(
        _cards,
        (_cards.c.person_id == _sittings.c.person_id) & (_cards.c.question == _items.c.question) & (_cards.c.entered_at < _sittings.c.opened_at),
    )
    .join(_answers, (_answers.c.sitting_id == _sittings.c.id) & (_answers.c.n == _items.c.n), isouter=True)
    .where(
        _sittings.c.person_id == bind("person_id"),
        _sittings.c.kind.in_(["daily", "mistakes"]),
        _sittings.c.opened_at >= bind("since"),
        or_(_answers.c.id.is_not(None), (_sittings.c.kind == "daily") & (_sittings.c.state == "open")),
    ),
    gives=int,
)
_SETTINGS = Query(select(_goals.c.day, _goals.c.minutes, _goals.c.target).where(_goals.c.person_id == bind("person_id")), gives=ReviewSettings)
_SAVE_SETTINGS = Query(replacing(insert(_goals).values(binds("person_id", "day", "minutes", "target")), ["person_id"], "day", "minutes", "target"))


def entry(session: Session, person_id: int, question: str) -> Mistake | None:
    """A question in a person's notebook, listed or left; None when it was never answered wrong."""
    row = _ENTRY.first(session, person_id=person_id, question=question)
    return None if row is None else _entry_from_row(row)


def entries(session: Session, person_id: int) -> list[Mistake]:
    """The whole notebook, listed and left, the longest due first."""
    return [_entry_from_row(row) for row in _ENTRIES.all(session, person_id=person_id)]


def _entry_from_row(row: tuple[Any, ...]) -> Mistake:
    question, entered_at, rights, left_at, *card = row
    return Mistake(question, entered_at, MemoryCard(*card), rights, left_at)


def save_entries(session: Session, entries_of: Sequence[tuple[int, Mistake]]) -> None:
    """Write entries as (person, entry); that a question was first wrong on a day never changes."""
    _SAVE_ENTRY.many(
        session,
        [
            {
                "person_id": person_id,
                "question": mistake.question,
                "entered_at": mistake.entered_at,
                "right_in_a_row": mistake.right_in_a_row,
                "left_at": mistake.left_at,
                "state": mistake.card.state,
                "step": mistake.card.step,
                "stability": mistake.card.stability,
                "difficulty": mistake.card.difficulty,
                "due_at": mistake.card.due,
                "reviewed_at": mistake.card.reviewed_at,
            }
            for person_id, mistake in entries_of
        ],
    )


def reviews_asked(session: Session, person_id: int, since: datetime) -> int:
    """Reviews asked of a person since a moment, in the daily set (answered or to be answered) and in rounds over the notebook (answered)."""
    return _REVIEWS_ASKED.one(session, person_id=person_id, since=since)


def review_settings(session: Session, person_id: int) -> ReviewSettings:
    return _SETTINGS.first(session, person_id=person_id) or ReviewSettings()


def save_review_settings(session: Session, person_id: int, settings: ReviewSettings) -> None:
    _SAVE_SETTINGS.run(session, person_id=person_id, day=settings.day, minutes=settings.minutes, target=settings.target)
