"""考试日期: plans reviews towards one day, within a person's minutes a day, and forecasts the result (bot/docs/rules.md S11).

Plain FSRS asks for a card when it is about to fall below 90 %. With a day that counts, another question is asked: by how much does one review today
raise the chance of a right answer on that day, when the card may be reviewed once more in the last round before it? Every day's minutes go to the
cards for which that is most. The day, the minutes and the target are parsed here as people type them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from statistics import fmean

from bot.domain.calendar import ONE_DAY
from bot.domain.message import Refusal
from bot.domain.study.spaced_repetition import AGAIN, GOOD, MemoryCard, Mistake, recall_probability, review
from bot.domain.text.dates import find_day
from bot.domain.text.numbers import find_whole
from bot.domain.times import day_of, start_of

REVIEW_SECONDS = 30
"""What a review takes, with the reading of its explanation."""
DEFAULT_MINUTES, MAX_MINUTES = 4, 60
DEFAULT_TARGET = 90
MIN_GAIN = 0.001
"""A review that raises the chance on the day by less is not worth the person's time."""
CANDIDATES = 100
"""So many cards, the least known on the day, are weighed against each other."""
SAMPLE_SIZE, MAX_STEPS = 30, 12
"""A forecast looks at so many cards and takes the way to the day in so many steps at most; more are taken together."""
REVIEW_STATE = 2
"""The state that FSRS gives to what has been learnt."""


@dataclass(frozen=True, slots=True)
class ReviewGoal:
    """A day in Asia/Shanghai on which it counts, minutes of review a day until then, and the percentage that should be answered right on it.

    `is_deadline`: an exam can be sat until that day and is open already.
    """

    day: date
    minutes: int = DEFAULT_MINUTES
    target: int = DEFAULT_TARGET
    is_deadline: bool = False

    @property
    def reviews(self) -> int:
        """How many reviews the minutes of one day hold."""
        return self.minutes * 60 // REVIEW_SECONDS

    @property
    def noon(self) -> datetime:
        """Noon of the day; what was reviewed on the day before is a day old by then."""
        return start_of(self.day) + timedelta(hours=12)

    def days_left(self, now: datetime) -> int:
        return max(0, (self.day - day_of(now)).days)


@dataclass(frozen=True, slots=True)
class RecallForecast:
    """What to expect on the day, from 0 to 1: without another review, and with the minutes of every day until then. `minutes_needed` a day would
    reach the target: None when these do, MOST_MINUTES + 1 when not even that many would."""

    without_reviews: float
    expected: float
    minutes_needed: int | None = None


def best_reviews(entries: Iterable[Mistake], goal: ReviewGoal, now: datetime, room: int) -> list[Mistake]:
    """At most `room` entries whose review today does most for the day, the best first."""
    all_of_them = list(entries)
    last_round = _last_round(len(all_of_them), goal, now)
    candidates = heapq.nsmallest(CANDIDATES, all_of_them, key=lambda entry: (recall_probability(entry.card, goal.noon), entry.question))
    worth = {entry.question: _review_gain(entry.card, goal, now, last_round) for entry in candidates}
    candidates.sort(key=lambda entry: (-worth[entry.question], entry.question))
    return [entry for entry in candidates[: max(0, room)] if worth[entry.question] >= MIN_GAIN]


def _last_round(cards: int, goal: ReviewGoal, now: datetime) -> datetime | None:
    """The middle of the last round over all cards before the day; None once it has begun, or must begin at once."""
    length = math.ceil(cards / max(1, goal.reviews))
    return None if goal.days_left(now) <= length else goal.noon - ONE_DAY * max(1, length // 2)


def _review_gain(card: MemoryCard, goal: ReviewGoal, now: datetime, last_round: datetime | None) -> float:
    """By how much a review now raises the chance of a right answer on the day."""
    right, wrong = review(card, GOOD, now), review(card, AGAIN, now)
    chance = recall_probability(card, now)
    if last_round is None:
        return (
            chance * recall_probability(right, goal.noon) + (1 - chance) * recall_probability(wrong, goal.noon) - recall_probability(card, goal.noon)
        )
    return (
        chance * _recall_after_last_round(right, goal, last_round)
        + (1 - chance) * _recall_after_last_round(wrong, goal, last_round)
        - _recall_after_last_round(card, goal, last_round)
    )


def _recall_after_last_round(card: MemoryCard, goal: ReviewGoal, last_round: datetime) -> float:
    chance = recall_probability(card, last_round)
    return chance * recall_probability(review(card, GOOD, last_round), goal.noon) + (1 - chance) * recall_probability(
        review(card, AGAIN, last_round), goal.noon
    )


# ── What to expect ──


def forecast_recall(cards: Sequence[MemoryCard], goal: ReviewGoal, now: datetime) -> RecallForecast:
    """What to expect of a person's cards; `cards` must not be empty."""
    expectation = expected_recall(cards, goal, now)
    idle = fmean(recall_probability(card, goal.noon) for card in cards)
    return RecallForecast(idle, expectation, None if expectation * 100 >= goal.target else minutes_needed(cards, goal, now))


def minutes_needed(cards: Sequence[MemoryCard], goal: ReviewGoal, now: datetime) -> int:
    """The fewest minutes a day that reach the target; MOST_MINUTES + 1 when there are none."""
    least, most = goal.minutes + 1, MAX_MINUTES + 1
    while least < most:
        middle = (least + most) // 2
        if expected_recall(cards, replace(goal, minutes=middle), now) * 100 >= goal.target:
            most = middle
        else:
            least = middle + 1
    return least


def expected_recall(cards: Sequence[MemoryCard], goal: ReviewGoal, now: datetime) -> float:
    """The mean chance of a right answer on the day when every day until then has its reviews, the least known first.

    A forecast by means, not by lot: a reviewed card goes on with the memory that lies between a right and a wrong answer.
    """
    sample = _sample(cards, now)
    days = goal.days_left(now)
    steps = min(days, MAX_STEPS)
    reviews = 0.0
    for step in range(steps):
        moment = now + timedelta(days=days * step / steps)
        reviews += goal.reviews * days / steps * len(sample) / len(cards)
        due_reviews, reviews = int(reviews), reviews - int(reviews)
        chances = [recall_probability(card, moment) for card in sample]
        for place in sorted(range(len(sample)), key=chances.__getitem__)[:due_reviews]:
            sample[place] = _mean_review(sample[place], moment)
    return fmean(recall_probability(card, goal.noon) for card in sample)


def _sample(cards: Sequence[MemoryCard], now: datetime) -> list[MemoryCard]:
    """At most SAMPLE of the cards, evenly from the least known to the best."""
    if len(cards) <= SAMPLE_SIZE:
        return list(cards)
    ranked = sorted(cards, key=lambda card: recall_probability(card, now))
    return [ranked[int((n + 0.5) * len(ranked) / SAMPLE_SIZE)] for n in range(SAMPLE_SIZE)]


def _mean_review(card: MemoryCard, moment: datetime) -> MemoryCard:
    right, wrong = review(card, GOOD, moment), review(card, AGAIN, moment)
    chance = recall_probability(card, moment)
    stability = math.exp(chance * math.log(right.stability) + (1 - chance) * math.log(wrong.stability))
    difficulty = chance * right.difficulty + (1 - chance) * wrong.difficulty
    return MemoryCard(REVIEW_STATE, None, stability, difficulty, moment, moment)


CONSTITUTION_DAY = (12, 4)
TARGET_RANGE = (50, 99)
YEARS_AHEAD = 2


def parse_goal_day(text: str, today: date) -> date:
    """2026-12-04, 12月4日, 12·4 or 宪法日 as a day from today on; without a year the next one. Raises `Refusal`."""
    if text.strip() in ("宪法日", "国家宪法日"):
        month, day = CONSTITUTION_DAY
        text = f"{month}月{day}日"
    goal_day = find_day(text, today)
    if goal_day is None:
        raise Refusal(f"「{text[:20]}」不是日期，应写作 2026-12-04 或 12月4日。")
    if goal_day < today:
        raise Refusal(f"{goal_day} 已经过去，请写今天或以后的日期。")
    if goal_day > date(today.year + YEARS_AHEAD, 12, 31):
        raise Refusal(f"{goal_day} 太远，考试日期最多设到 {today.year + YEARS_AHEAD} 年底。")
    return goal_day


def parse_minutes(text: str) -> int:
    """6 or 6分钟. Raises `Refusal`."""
    return _parse_number(text, ("分钟", "分"), 1, MAX_MINUTES, "每日复习", "分钟")


def parse_target(text: str) -> int:
    """90 or 90%. Raises `Refusal`."""
    return _parse_number(text, ("%", "分"), *TARGET_RANGE, "考试目标", "%")


def _parse_number(text: str, units: tuple[str, ...], least: int, most: int, name: str, unit_text: str) -> int:
    example = 6 if unit_text == "分钟" else 90
    number = find_whole(text, *units)
    if number is None or not least <= number <= most:
        raise Refusal(f"{name}应在 {least} 到 {most} {unit_text}之间，例如「设置 {name} {min(most, max(least, example))}」。")
    return number
