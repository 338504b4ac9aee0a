"""Spaced repetition by FSRS: how firmly a question is remembered, when it is due again, how likely it is still known on a day.

See bot/docs/rules.md S10.

The `fsrs` package holds the formulas and its default weights; nothing here is a second copy of them. Intervals are not fuzzed, so that the same
answers at the same times always give the same card. Days between reviews are days in Asia/Shanghai: tomorrow morning is one day after this evening,
where the package would count full spans of 24 hours and take an answer five minutes earlier than yesterday's for one of the same day.

错题本: a question enters when it is answered wrong, leaves after two right answers in a row, and still comes back when FSRS says so (S09, S10).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import fsrs

from bot.domain.library.library import expected_reading_seconds
from bot.domain.library.question import Question
from bot.domain.times import day_of

Rating = fsrs.Rating
AGAIN, HARD, GOOD = Rating.Again, Rating.Hard, Rating.Good
SCHEDULER = fsrs.Scheduler(enable_fuzzing=False)
SLOW_FACTOR, SLOW_ALLOWANCE = 2, 30
"""A right answer is slow after twice the time that the question takes to read and 30 s, in which the words on the answer before are read too."""
AWAY_AFTER = 600
"""Seconds after which somebody was not slow but away."""


@dataclass(frozen=True, slots=True)
class MemoryCard:
    """What FSRS knows of one question: `state` 1 learning, 2 review, 3 relearning; `step` while (re)learning; `stability` in days, `difficulty` from
    1 to 10; moments aware UTC."""

    state: int
    step: int | None
    stability: float
    difficulty: float
    due: datetime
    reviewed_at: datetime


def slow_after(question: Question) -> int:
    """Seconds from the moment the question was put, after which a right answer to it counts as slow (Hard)."""
    text = "".join((question.stem, *(said for _, said in question.choices)))
    return SLOW_FACTOR * expected_reading_seconds(text) + SLOW_ALLOWANCE


def grade_answer(question: Question, seconds: float | None, *, correct: bool) -> Rating:
    """The grade that an answer gives itself: wrong is Again, right but slow Hard, right Good. `seconds` on the server's clock, None if not known."""
    if not correct:
        return AGAIN
    return HARD if seconds is not None and slow_after(question) < seconds <= AWAY_AFTER else GOOD


class _FsrsCard(fsrs.Card):
    """The package's card, which it copies at every review; taken apart and put together by `copy` itself, that is half of a review's cost."""

    def __copy__(self) -> _FsrsCard:
        return _FsrsCard(self.card_id, self.state, self.step, self.stability, self.difficulty, self.due, self.last_review)


def first_review(grade: Rating, moment: datetime) -> MemoryCard:
    """The card of a question that was never reviewed, after its first grade."""
    return _review_fsrs_card(_FsrsCard(card_id=0, due=moment.astimezone(UTC)), grade, moment)


def review(card: MemoryCard, grade: Rating, moment: datetime) -> MemoryCard:
    """The card after one more grade."""
    return _review_fsrs_card(_fsrs_card(card, moment), grade, moment)


def recall_probability(card: MemoryCard, moment: datetime) -> float:
    """How likely, from 0 to 1, the question is answered right at a moment, nothing being reviewed before it."""
    return SCHEDULER.get_card_retrievability(_fsrs_card(card, moment), moment.astimezone(UTC))


def _fsrs_card(card: MemoryCard, moment: datetime) -> fsrs.Card:
    """The package's card, last reviewed so many full days before a moment as days have passed."""
    reviewed_at = moment - timedelta(days=(day_of(moment) - day_of(card.reviewed_at)).days)
    return _FsrsCard(0, fsrs.State(card.state), card.step, card.stability, card.difficulty, card.due, reviewed_at.astimezone(UTC))


def _review_fsrs_card(card: fsrs.Card, grade: Rating, moment: datetime) -> MemoryCard:
    updated, _ = SCHEDULER.review_card(card, grade, moment.astimezone(UTC))
    if updated.stability is None or updated.difficulty is None or updated.last_review is None:
        raise ValueError("FSRS left a reviewed card without its memory")
    return MemoryCard(int(updated.state), updated.step, updated.stability, updated.difficulty, updated.due, updated.last_review)


RIGHTS_TO_LEAVE = 2
DAILY_REVIEWS = 8
"""Reviews that a day asks for at most; the rest of a backlog waits for the days after (bot/docs/rules.md S10)."""
DAYS_AHEAD = 3
"""What is due within so many days may come with the daily set already."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A question in a person's notebook with its card.

    `entered_at` is the first wrong answer, `right_in_a_row` the right answers since the last wrong one. Once left, it is no longer listed as wrong,
    and its card goes on.
    """

    question: str
    entered_at: datetime
    card: MemoryCard
    right_in_a_row: int = 0
    left_at: datetime | None = None

    @property
    def listed(self) -> bool:
        return self.left_at is None


def update_mistake(entry: Mistake | None, question: str, grade: Rating, moment: datetime) -> Mistake | None:
    """The entry after an answer; None for a right answer to what was never wrong, which makes no card."""
    if entry is None:
        return Mistake(question, moment, first_review(grade, moment)) if grade is AGAIN else None
    card = review(entry.card, grade, moment)
    if grade is AGAIN:
        return replace(entry, card=card, right_in_a_row=0, left_at=None)
    rights = entry.right_in_a_row + 1
    return replace(entry, card=card, right_in_a_row=rights, left_at=moment if entry.listed and rights >= RIGHTS_TO_LEAVE else entry.left_at)


def due_by(entries: Iterable[Mistake], day_end: datetime) -> list[Mistake]:
    """What is due before a moment, the longest due first."""
    return sorted((entry for entry in entries if entry.card.due < day_end), key=lambda entry: (entry.card.due, entry.question))


def due_soon(entries: Iterable[Mistake], day_end: datetime) -> list[Mistake]:
    """What is due within the next days too, the longest due first."""
    return due_by(entries, day_end + timedelta(days=DAYS_AHEAD))
