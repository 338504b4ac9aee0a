"""What answers come to: the points of each, the result of a set, and of the sets that count the result of a person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from bot.domain.contest.contest import FULL_WITHIN, ContestRules


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
        """The smaller, the better: points, then right answers, then time, then who was done first (rules.TIES)."""
        done = float("inf") if self.finished is None else self.finished.timestamp()
        return (-self.points, -self.correct, self.millis, done)


NOTHING = ContestResult()
"""How somebody stands who has done nothing."""


@dataclass(frozen=True, slots=True)
class FinishedSet:
    """A set as it ended: the day in Asia/Shanghai on which it was begun, and what it came to."""

    day: date
    result: ContestResult


def worth(rules: ContestRules, said: ScoredAnswer, in_a_row: int = 0) -> int:
    """Points of one answer in thousandths. `in_a_row` right answers stood before it; a wrong one never costs anything.

    With a speed weight of w percent an answer after t of the T seconds keeps 100 − w·t/T percent; within half a second nothing is lost.
    """
    kept = 100_000
    if rules.speed and said.millis > FULL_WITHIN:
        kept -= rules.speed * 1000 * min(said.millis, rules.seconds * 1000) // (rules.seconds * 1000)
    points = rules.base * said.earned * kept // (1000 * 100_000)
    return points + (rules.streak if said.correct and in_a_row else 0)


def total(rules: ContestRules, answers: Sequence[ScoredAnswer], finished: datetime | None, *, is_whole: bool) -> ContestResult:
    """A set's result from its answers in the order they were given; `is_whole` when the set was finished, and so earns what finishing earns."""
    points, in_a_row = rules.finish if is_whole else 0, 0
    for said in answers:
        points += worth(rules, said, in_a_row)
        in_a_row = in_a_row + 1 if said.correct else 0
    return ContestResult(points, sum(said.correct for said in answers), sum(said.millis for said in answers), finished)


def overall(rules: ContestRules, sets: Iterable[FinishedSet]) -> ContestResult:
    """A person's result from the sets that were finished: of each day the best `counted_a_day`, together or the best of them alone."""
    days: defaultdict[date, list[ContestResult]] = defaultdict(list)
    for one in sets:
        days[one.day].append(one.result)
    counted = [result for results in days.values() for result in sorted(results, key=lambda each: each.order)[: rules.counted_a_day]]
    if not counted:
        return NOTHING
    if rules.take == "best":
        return min(counted, key=lambda each: each.order)
    moments = [each.finished for each in counted if each.finished is not None]
    return ContestResult(
        sum(each.points for each in counted),
        sum(each.correct for each in counted),
        sum(each.millis for each in counted),
        max(moments, default=None),
    )
