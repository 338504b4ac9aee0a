"""The notebook of mistakes as rows: its cards, the reviews asked since a moment, and the review settings of a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.domain.study.review_goal import DEFAULT_MINUTES, DEFAULT_TARGET
from bot.domain.study.spaced_repetition import MemoryCard, Mistake
from bot.storage.db.query import Query, Statement, binds, insert, replacing, table
from bot.storage.tables.columns import moment, stamp
from bot.storage.tables.study import NotebookCardRow

_COLUMNS = "question, entered_at, right_in_a_row, left_at, state, step, stability, difficulty, due_at, reviewed_at"
_ENTRY = Statement(f"SELECT {_COLUMNS} FROM notebook_card WHERE person_id = :person_id AND question = :question")  # noqa: S608 - names of columns
_ENTRIES = Statement(f"SELECT {_COLUMNS} FROM notebook_card WHERE person_id = :person_id ORDER BY due_at, question")  # noqa: S608 - names of columns
_CARD = table(NotebookCardRow)
_MOVED = ("right_in_a_row", "left_at", "state", "step", "stability", "difficulty", "due_at", "reviewed_at")
_SAVE_ENTRY = Query(replacing(insert(_CARD).values(binds("person_id", "question", "entered_at", *_MOVED)), ["person_id", "question"], *_MOVED))
_REVIEWS_ASKED = Statement(
    """SELECT COUNT(*) FROM sitting s JOIN sitting_item i ON i.sitting_id = s.id
           JOIN notebook_card c ON c.person_id = s.person_id AND c.question = i.question AND c.entered_at < s.opened_at
           LEFT JOIN answer a ON a.sitting_id = s.id AND a.n = i.n
       WHERE s.person_id = :person_id AND s.kind IN ('daily', 'mistakes') AND s.opened_at >= :since
         AND (a.id IS NOT NULL OR (s.kind = 'daily' AND s.state = 'open'))"""
)
_SETTINGS = Statement("SELECT day, minutes, target FROM exam_goal WHERE person_id = :person_id")
_SAVE_SETTINGS = Statement(
    """INSERT INTO exam_goal (person_id, day, minutes, target) VALUES (:person_id, :day, :minutes, :target)
       ON CONFLICT (person_id) DO UPDATE SET day = excluded.day, minutes = excluded.minutes, target = excluded.target"""
)


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """What a person set for their reviews; nobody has a row who set nothing."""

    day: date | None = None
    minutes: int = DEFAULT_MINUTES
    target: int = DEFAULT_TARGET


def entry(session: Session, person_id: int, question: str) -> Mistake | None:
    """A question in a person's notebook, listed or left; None when it was never answered wrong."""
    row = _ENTRY.one(session, person_id=person_id, question=question)
    return None if row is None else _entry_from_row(row)


def entries(session: Session, person_id: int) -> list[Mistake]:
    """The whole notebook, listed and left, the longest due first."""
    return [_entry_from_row(row) for row in _ENTRIES.all(session, person_id=person_id)]


def _entry_from_row(row: Any) -> Mistake:
    question, entered_at, rights, left_at, state, step, stability, difficulty, due_at, reviewed_at = row
    card = MemoryCard(state, step, stability, difficulty, moment(due_at), moment(reviewed_at))
    return Mistake(question, moment(entered_at), card, rights, None if left_at is None else moment(left_at))


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
    return int(_REVIEWS_ASKED.one(session, person_id=person_id, since=stamp(since))[0])


def review_settings(session: Session, person_id: int) -> ReviewSettings:
    row = _SETTINGS.one(session, person_id=person_id)
    return ReviewSettings() if row is None else ReviewSettings(None if row[0] is None else date.fromisoformat(row[0]), row[1], row[2])


def save_review_settings(session: Session, person_id: int, settings: ReviewSettings) -> None:
    day = None if settings.day is None else settings.day.isoformat()
    _SAVE_SETTINGS.run(session, person_id=person_id, day=day, minutes=settings.minutes, target=settings.target)
