"""What is known on the exam day at equal minutes: reviews aimed at the day, plain FSRS, cramming. `python -m tests.bench memory`.

See bot/docs/rules.md S11.

The bot's side is the product's own code (bot/domain/study); the learner's is simulated, and knows nothing of it. Two learners, since a learner who
forgets exactly as the scheduler believes would prove nothing:

- "other numbers": each person forgets as FSRS describes, but with weights of their own (each default weight times a lognormal factor, sigma 0.35,
  and once more, sigma 0.15, for each question);
- "other shape": forgetting is exponential. A half-life begins about 2 days (lognormal, sigma 0.5); a success lengthens it the more, the less was
  left (times 1 + 2g(1 - r), g from 1.2 to 2.8 by question), a failure cuts it to 0.4, but not below where it began.

Both guess right one time in four without knowing, which the scheduler cannot see. Everything was answered wrong once in the week before. "Known"
is the learner's own chance on the day, without guessing, mean over questions; "right" adds the guess; "+30" is known 30 days later. Cramming has
the same number of reviews, all in the last days, question after question. Each run is one person, by seed; sd and range are over runs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, stdev

import fsrs
from fsrs.scheduler import DEFAULT_PARAMETERS, LOWER_BOUNDS_PARAMETERS, UPPER_BOUNDS_PARAMETERS

from bot.domain.study.review_goal import ReviewGoal, best_reviews, forecast_recall
from bot.domain.study.spaced_repetition import AGAIN, GOOD, Mistake, first_review, update_mistake
from bot.domain.times import day_of

BEGIN = datetime(2026, 10, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
GUESS = 0.25


class OtherNumbers:
    """Forgets as FSRS describes, with weights of its own."""

    name = "other numbers"

    def __init__(self, rng: random.Random, n: int) -> None:
        own = _noisy(DEFAULT_PARAMETERS, rng, 0.35)
        self.models = [fsrs.Scheduler(_noisy(own, rng, 0.15), enable_fuzzing=False) for _ in range(n)]
        self.cards = [fsrs.Card(card_id=0, due=BEGIN) for _ in range(n)]

    def knows(self, i: int, at: datetime) -> float:
        return self.models[i].get_card_retrievability(self.cards[i], at)

    def met(self, i: int, at: datetime, *, knew: bool) -> None:
        self.cards[i], _ = self.models[i].review_card(self.cards[i], GOOD if knew else AGAIN, at)


def _noisy(weights: Sequence[float], rng: random.Random, sigma: float) -> list[float]:
    bounds = zip(weights, LOWER_BOUNDS_PARAMETERS, UPPER_BOUNDS_PARAMETERS, strict=True)
    return [min(max(weight * math.exp(rng.gauss(0, sigma)), low), high) for weight, low, high in bounds]


class OtherShape:
    """Forgets by half-lives."""

    name = "other shape"

    def __init__(self, rng: random.Random, n: int) -> None:
        self.first = [2 * math.exp(rng.gauss(0, 0.5)) for _ in range(n)]
        self.growth = [rng.uniform(1.2, 2.8) for _ in range(n)]
        self.half = [0.0] * n
        self.last = [BEGIN] * n

    def knows(self, i: int, at: datetime) -> float:
        return 0.0 if not self.half[i] else float(2 ** (-((at - self.last[i]) / DAY) / self.half[i]))

    def met(self, i: int, at: datetime, *, knew: bool) -> None:
        if not self.half[i]:
            self.half[i] = self.first[i]
        elif knew:
            self.half[i] *= 1 + 2 * self.growth[i] * (1 - self.knows(i, at))
        else:
            self.half[i] = max(self.first[i], 0.4 * self.half[i])
        self.last[i] = at


Learner = OtherNumbers | OtherShape


class Person:
    """One learner with a notebook, and the bot beside them."""

    def __init__(self, learner: type[Learner], n: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.learner = learner(self.rng, n)
        self.book: list[Mistake] = []
        self.reviews = 0
        for i in range(n):
            at = BEGIN - DAY * self.rng.randrange(1, 8) + timedelta(seconds=i)
            self.learner.met(i, at, knew=False)
            self.book.append(Mistake(str(i), at, first_review(AGAIN, at)))

    def asked(self, i: int, at: datetime) -> None:
        knew = self.rng.random() < self.learner.knows(i, at)
        right = knew or self.rng.random() < GUESS
        self.learner.met(i, at, knew=knew)
        kept = update_mistake(self.book[i], str(i), GOOD if right else AGAIN, at)
        assert kept is not None
        self.book[i] = kept
        self.reviews += 1

    def known(self, at: datetime) -> float:
        return fmean(self.learner.knows(i, at) for i in range(len(self.book)))


Plan = Callable[[Person, ReviewGoal], None]


def aimed(person: Person, goal: ReviewGoal) -> None:
    """Every day what does most for the day."""
    for at in _days(goal):
        for one in best_reviews(person.book, goal, at, goal.reviews):
            person.asked(int(one.question), at)


def plain(person: Person, goal: ReviewGoal) -> None:
    """Every day what is due first; minutes that are left go to what will be due next."""
    for at in _days(goal):
        for one in sorted(person.book, key=lambda one: one.card.due)[: goal.reviews]:
            person.asked(int(one.question), at)


def crammed(days: int) -> Plan:
    """All reviews in the last days, question after question."""

    def cram(person: Person, goal: ReviewGoal) -> None:
        last = _days(goal)[-days:]
        every = goal.reviews * len(_days(goal))
        for k in range(every):
            day, nth = divmod(k * days, every)
            person.asked(k % len(person.book), last[day] + timedelta(hours=day, seconds=nth // days))

    return cram


def _days(goal: ReviewGoal) -> list[datetime]:
    return [BEGIN + DAY * n for n in range((goal.day - day_of(BEGIN)).days)]


PLANS: dict[str, Plan] = {"aimed at the day": aimed, "plain FSRS": plain, "cramming, 1 day": crammed(1), "cramming, 3 days": crammed(3)}
CASES = ((40, 30, 4), (20, 60, 4), (60, 14, 4), (100, 30, 4))
"""Questions in the notebook, days to the exam, minutes a day."""


@dataclass(frozen=True, slots=True)
class Found:
    """One plan over many people: known on the day by person, means of the rest; `most` reviews on one day, `forecast` of "right" on the first."""

    plan: str
    known: tuple[float, ...]
    later: float
    reviews: float
    most: float
    forecast: float

    @property
    def right(self) -> float:
        return fmean(one + (1 - one) * GUESS for one in self.known)

    def __str__(self) -> str:
        spread = stdev(self.known) if len(self.known) > 1 else 0.0
        told = f"{self.forecast:.2f}" if self.forecast else "   -"
        return (
            f"  {self.plan:18}{fmean(self.known):8.3f}{spread:7.3f}   {min(self.known):.2f}-{max(self.known):.2f}{self.right:8.2f}{told:>10}"
            f"{self.later:7.2f}{self.reviews:9.0f}{self.most / 2:12.0f}"
        )


HEAD = f"  {'plan':18}{'known':>8}{'sd':>7}{'range':>12}{'right':>8}{'forecast':>10}{'+30':>7}{'reviews':>9}{'most min/day':>14}"


def run(learner: type[Learner], case: tuple[int, int, int], plan: str, people: int) -> Found:
    n, days, minutes = case
    goal = ReviewGoal(day_of(BEGIN + DAY * days), minutes)
    known, later, reviews, told = [], [], [], []
    for seed in range(people):
        person = Person(learner, n, seed)
        if plan == "aimed at the day":
            told.append(forecast_recall([one.card for one in person.book], goal, BEGIN).expected)
        PLANS[plan](person, goal)
        known.append(person.known(goal.noon))
        later.append(person.known(goal.noon + 30 * DAY))
        reviews.append(person.reviews)
    crammed_into = {"cramming, 1 day": 1, "cramming, 3 days": 3}.get(plan)
    most = goal.reviews * days / crammed_into if crammed_into else float(goal.reviews)
    return Found(plan, tuple(known), fmean(later), fmean(reviews), most, fmean(told) if told else 0.0)


def report(people: int, cases: Sequence[tuple[int, int, int]] = CASES) -> tuple[str, bool]:
    """The tables, and whether reviews aimed at the day were level with plain FSRS or better in the mean of every table (within 0.01)."""
    lines, good = [f"{people} people a row, seeds 0 to {people - 1}; see tests/bench/memory.py for what is simulated"], True
    for learner in (OtherNumbers, OtherShape):
        for case in cases:
            lines += ["", f"learner with {learner.name}: {case[0]} questions, {case[1]} days, {case[2]} minutes a day", HEAD]
            rows = {plan: run(learner, case, plan, people) for plan in PLANS}
            lines += [str(row) for row in rows.values()]
            gains = [a - b for a, b in zip(rows["aimed at the day"].known, rows["plain FSRS"].known, strict=True)]
            wins = sum(gain > 0 for gain in gains)
            lines.append(f"  aimed minus plain, person by person: {fmean(gains):+.3f}, better for {wins} of {people}")
            good &= fmean(gains) >= -0.01
    return "\n".join(lines), good
