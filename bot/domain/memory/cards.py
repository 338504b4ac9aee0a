"""A question in somebody's memory, kept by FSRS: how well it sits, when it is due again, how likely it is still known on a day (features.md S10).

The `fsrs` package holds the formulas and its default weights; nothing here is a second copy of them. Intervals are not fuzzed, so that the same
answers at the same times always give the same card. Days between reviews are days in Asia/Shanghai: tomorrow morning is one day after this evening,
where the package would count full spans of 24 hours and take an answer five minutes earlier than yesterday's for one of the same day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import fsrs

from bot.domain.library import expected_seconds
from bot.domain.question import Question
from bot.domain.times import day_of

Grade = fsrs.Rating
AGAIN, HARD, GOOD = Grade.Again, Grade.Hard, Grade.Good
SCHEDULER = fsrs.Scheduler(enable_fuzzing=False)
READINGS, ALLOWANCE = 2, 30
"""A right answer is slow after twice the time that the question takes to read and 30 s, in which the words on the answer before are read too."""
AWAY = 600
"""Seconds after which somebody was not slow but away."""


@dataclass(frozen=True, slots=True)
class Card:
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
    words = "".join((question.stem, *(said for _, said in question.choices)))
    return READINGS * expected_seconds(words) + ALLOWANCE


def graded(question: Question, seconds: float | None, *, correct: bool) -> Grade:
    """The grade that an answer gives itself: wrong is Again, right but slow Hard, right Good. `seconds` on the server's clock, None if not known."""
    if not correct:
        return AGAIN
    return HARD if seconds is not None and slow_after(question) < seconds <= AWAY else GOOD


def begun(grade: Grade, at: datetime) -> Card:
    """The card of a question that was never reviewed, after its first grade."""
    return _after(fsrs.Card(card_id=0, due=at.astimezone(UTC)), grade, at)


def reviewed(card: Card, grade: Grade, at: datetime) -> Card:
    """The card after one more grade."""
    return _after(_package(card, at), grade, at)


def recall(card: Card, at: datetime) -> float:
    """How likely, from 0 to 1, the question is answered right at a moment, nothing being reviewed before it."""
    return SCHEDULER.get_card_retrievability(_package(card, at), at.astimezone(UTC))


def _package(card: Card, at: datetime) -> fsrs.Card:
    """The package's card, last reviewed so many full days before a moment as days have passed."""
    reviewed_at = at - timedelta(days=(day_of(at) - day_of(card.reviewed_at)).days)
    return fsrs.Card(0, fsrs.State(card.state), card.step, card.stability, card.difficulty, card.due, reviewed_at.astimezone(UTC))


def _after(card: fsrs.Card, grade: Grade, at: datetime) -> Card:
    made, _ = SCHEDULER.review_card(card, grade, at.astimezone(UTC))
    if made.stability is None or made.difficulty is None or made.last_review is None:
        raise ValueError("FSRS left a reviewed card without its memory")
    return Card(int(made.state), made.step, made.stability, made.difficulty, made.due, made.last_review)
