"""错题本: a question enters when it is answered wrong, leaves after two right answers in a row, and still comes back when FSRS says so (S09, S10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.domain.memory.cards import AGAIN, Card, Grade, begun, reviewed

RIGHTS_TO_LEAVE = 2
DAILY_REVIEWS = 8
"""Reviews that a day asks for at most; the rest of a backlog waits for the days after (features.md S10)."""
DAYS_AHEAD = 3
"""What is due within so many days may come with the daily set already."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A question in a person's notebook with its card. `entered_at` is the first wrong answer, `rights` those in a row since the last.

    Once left, it is no longer listed as wrong, and its card goes on.
    """

    question: str
    entered_at: datetime
    card: Card
    rights: int = 0
    left_at: datetime | None = None

    @property
    def listed(self) -> bool:
        return self.left_at is None


def answered(entry: Mistake | None, question: str, grade: Grade, at: datetime) -> Mistake | None:
    """The entry after an answer; None for a right answer to what was never wrong, which makes no card."""
    if entry is None:
        return Mistake(question, at, begun(grade, at)) if grade is AGAIN else None
    card = reviewed(entry.card, grade, at)
    if grade is AGAIN:
        return replace(entry, card=card, rights=0, left_at=None)
    rights = entry.rights + 1
    return replace(entry, card=card, rights=rights, left_at=at if entry.listed and rights >= RIGHTS_TO_LEAVE else entry.left_at)


def due_by(entries: Iterable[Mistake], day_end: datetime) -> list[Mistake]:
    """What is due before a moment, the longest due first."""
    return sorted((one for one in entries if one.card.due < day_end), key=lambda one: (one.card.due, one.question))


def near_due(entries: Iterable[Mistake], day_end: datetime) -> list[Mistake]:
    """What is due within the next days too, the longest due first."""
    return due_by(entries, day_end + timedelta(days=DAYS_AHEAD))
