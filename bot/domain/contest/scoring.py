"""Scoring: the points of one answer, the result of a set, and the result of a person over the sets that count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from bot.domain.contest.contest import FULL_SPEED_MILLIS, ContestRules


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One recorded answer: the share it earned in thousandths, whether it was right, and how long it took in milliseconds."""

    earned: int
    correct: bool
    millis: int


@dataclass(frozen=True, slots=True)
class ContestResult:
    """How somebody stands: points in thousandths, right answers, milliseconds, and the moment the last of it was done (None: nothing was)."""

    points: int = 0
    correct: int = 0
    millis: int = 0
    finished: datetime | None = None

    @property
    def order(self) -> tuple[int, int, int, float]:
        """The smaller, the better: points, then right answers, then time, then who was done first (bot/domain/contest/contest.py, TIE_RULE)."""
        done = float("inf") if self.finished is None else self.finished.timestamp()
        return (-self.points, -self.correct, self.millis, done)


NO_RESULT = ContestResult()
"""The result of somebody who has answered nothing."""


@dataclass(frozen=True, slots=True)
class FinishedSet:
    """A set as it ended: the day in Asia/Shanghai on which it was begun, and what it came to."""

    day: date
    result: ContestResult


def answer_points(rules: ContestRules, answer: ScoredAnswer, in_a_row: int = 0) -> int:
    """Points of one answer in thousandths. `in_a_row` right answers stood before it; a wrong one never costs anything.

    With a speed weight of w percent an answer after t of the T seconds keeps 100 − w·t/T percent; within half a second nothing is lost.
    """
    kept = 100_000
    if rules.speed and answer.millis > FULL_SPEED_MILLIS:
        kept -= rules.speed * 1000 * min(answer.millis, rules.seconds * 1000) // (rules.seconds * 1000)
    points = rules.base * answer.earned * kept // (1000 * 100_000)
    return points + (rules.streak if answer.correct and in_a_row else 0)


def set_result(rules: ContestRules, answers: Sequence[ScoredAnswer], finished: datetime | None, *, is_whole: bool) -> ContestResult:
    """A set's result from its answers in the order they were given; `is_whole` when the set was finished, and so earns what finishing earns."""
    points, in_a_row = rules.finish if is_whole else 0, 0
    for answer in answers:
        points += answer_points(rules, answer, in_a_row)
        in_a_row = in_a_row + 1 if answer.correct else 0
    return ContestResult(points, sum(answer.correct for answer in answers), sum(answer.millis for answer in answers), finished)


def overall_result(rules: ContestRules, sets: Iterable[FinishedSet]) -> ContestResult:
    """A person's result from the sets that were finished: of each day the best `counted_a_day`, together or the best of them alone."""
    days: defaultdict[date, list[ContestResult]] = defaultdict(list)
    for finished_set in sets:
        days[finished_set.day].append(finished_set.result)
    counted = [result for results in days.values() for result in sorted(results, key=lambda result: result.order)[: rules.counted_a_day]]
    if not counted:
        return NO_RESULT
    if rules.take == "best":
        return min(counted, key=lambda result: result.order)
    moments = [result.finished for result in counted if result.finished is not None]
    return ContestResult(
        sum(result.points for result in counted),
        sum(result.correct for result in counted),
        sum(result.millis for result in counted),
        max(moments, default=None),
    )
