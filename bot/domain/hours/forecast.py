"""Who will miss the quota at the present pace, how sure that is, and the smallest plan that reaches it (bot/docs/rules.md V17).

我的学时, the report 预警 and 催学 all say what stands here, so that nobody is told two things. The pace is what was earned so far this year by
working day on duty, each category by itself; it is carried on to the last day of the year. The margin is made of
how much a person's own weeks differ: the range holds four times out of five, which the back-test checks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, Decimal
from math import sqrt

from bot.domain.calendar import ONE_DAY, Calendar
from bot.domain.hours.policy import HoursPolicy, shown_hours, total_hours
from bot.domain.library.library import Lesson
from bot.domain.people.person import Absence

MIN_ELAPSED_DAYS = 20
"""Working days on duty before anything is foretold."""
DEVIATIONS_80_PERCENT = 1.28
"""Standard deviations within which four of five outcomes lie."""
MIN_MINUTES = 3
"""Nothing smaller can be learned at a sitting: a lesson takes three minutes."""
ROUNDING_SPARE = 675
"""A quarter of an hour of 学时 in seconds: what the rounding of a second category may cost a plan that needs two."""
QUARTER = Decimal("0.25")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ForecastSpan:
    """Working days on duty so far and still to come, and the calendar weeks they lie in."""

    elapsed: int
    remaining: int
    weeks: float
    weeks_left: float


@dataclass(frozen=True)
class WorkYear:
    """The working days of a year, in order. Raises `UnknownYear` when nobody has entered it."""

    year: int
    calendar: Calendar
    days: tuple[date, ...] = field(init=False)

    def __post_init__(self) -> None:
        first = date(self.year, 1, 1)
        every = (first + ONE_DAY * n for n in range((date(self.year + 1, 1, 1) - first).days))
        object.__setattr__(self, "days", tuple(day for day in every if self.calendar.is_workday(day)))

    def between(self, first: date, last: date) -> Sequence[date]:
        """The working days from one day to another, both included."""
        return self.days[bisect_left(self.days, first) : bisect_right(self.days, last)]

    def span(self, on: date, joined: date | None = None, away: Iterable[Absence] = ()) -> ForecastSpan:
        """The days before and after the end of a day; leave and secondment are neither."""
        first, last = max(date(self.year, 1, 1), joined or date.min), date(self.year, 12, 31)
        stays = tuple(away)
        begun, left = self.between(first, on), self.between(on + ONE_DAY, last)
        if stays:
            begun, left = ([day for day in days if not any(day in stay for stay in stays)] for days in (begun, left))
        return ForecastSpan(len(begun), len(left), max(0, (on - first).days + 1) / 7, (last - on).days / 7)


@dataclass(frozen=True, slots=True)
class EarnedOnDay:
    """What a person earned in one category on one day, in credit seconds."""

    category: str
    day: date
    seconds: int


@dataclass(frozen=True, slots=True)
class ForecastQuota:
    """What a year asks of a person, in 学时; seconds beyond `caps` of a category earn nothing."""

    need: Decimal
    floor: Decimal
    per_hour: int
    caps: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where a person stands and where they will at the present pace, in 学时; `collective` is what is there and what is expected of that kind."""

    quota: ForecastQuota
    total: Decimal
    expected: Decimal
    margin: Decimal
    collective: tuple[Decimal, Decimal]

    @property
    def missing(self) -> Decimal:
        return max(_ZERO, self.quota.need - self.total)

    @property
    def collective_missing(self) -> Decimal:
        """What is missing of collective study."""
        return max(_ZERO, self.quota.floor - self.collective[0])

    @property
    def reached(self) -> bool:
        return not self.missing and not self.collective_missing

    @property
    def will_miss(self) -> bool:
        return self.expected < self.quota.need or self.collective[1] < self.quota.floor

    @property
    def will_surely_miss(self) -> bool:
        """Even the upper end of the range misses."""
        return self.will_miss and not (self.expected + self.margin >= self.quota.need and self.collective[1] + self.margin >= self.quota.floor)

    @property
    def doubtful(self) -> bool:
        """Expected to reach it, but the lower end of the range does not."""
        return not self.will_miss and not self.reached and self.expected - self.margin < self.quota.need


def forecast_year(earned: Iterable[EarnedOnDay], on: date, span: ForecastSpan, quota: ForecastQuota) -> Outlook | None:
    """The outlook at the end of a day, from what was earned in the year until then; None while there is too little to go by."""
    if span.elapsed < MIN_ELAPSED_DAYS:
        return None
    sums: dict[str, int] = {}
    weeks: dict[int, int] = {}
    for earning in earned:
        if earning.day <= on:
            sums[earning.category] = sums.get(earning.category, 0) + earning.seconds
            week = (on - earning.day).days // 7
            weeks[week] = weeks.get(week, 0) + earning.seconds
    future = {category: _projected_seconds(category, seconds, span, quota) for category, seconds in sums.items()}
    per_hour = quota.per_hour
    return Outlook(
        quota,
        total_hours(sums, per_hour),
        total_hours(future, per_hour),
        _margin(weeks, span, per_hour),
        (shown_hours(sums.get("collective", 0), per_hour), shown_hours(future.get("collective", 0), per_hour)),
    )


def _projected_seconds(category: str, seconds: int, span: ForecastSpan, quota: ForecastQuota) -> int:
    projected = seconds + seconds * span.remaining // span.elapsed
    return max(seconds, min(projected, quota.caps.get(category, projected)))


def _margin(weeks: Mapping[int, int], span: ForecastSpan, per_hour: int) -> Decimal:
    """How far the rest of the year may stray: the spread of the weeks so far, over the weeks left, and of the mean itself."""
    count = max(2.0, span.weeks)
    if not span.remaining:
        return _ZERO
    mean = sum(weeks.values()) / count
    # Week after week: in whatever order the entries were read, the same sum comes out to the last bit.
    spread = (sum((weeks[week] - mean) ** 2 for week in sorted(weeks)) + (count - min(count, len(weeks))) * mean**2) / (count - 1)
    seconds = DEVIATIONS_80_PERCENT * sqrt(spread * (span.weeks_left + span.weeks_left**2 / count))
    return (Decimal(round(seconds)) / per_hour / QUARTER).to_integral_value(ROUND_CEILING) * QUARTER


# ── How good it is ──


@dataclass(frozen=True, slots=True)
class TestedOutlook:
    """One person's outlook held against how the year ended: the absolute error in 学时, whether verdict and range came true."""

    error: Decimal
    is_hit: bool
    range_held: bool


def held_against(outlook: Outlook, total: Decimal, collective: Decimal) -> TestedOutlook:
    """`total` and `collective` are the hours at the end of the year."""
    error = abs(outlook.expected - total)
    is_hit = outlook.will_miss == (total < outlook.quota.need or collective < outlook.quota.floor)
    return TestedOutlook(error, is_hit, error <= outlook.margin)


@dataclass(slots=True)
class BackTest:
    """The same arithmetic on a year that is over, from the same day: people, their errors added up in 学时, verdicts and ranges that came true."""

    cut: date
    people: int = 0
    error: Decimal = _ZERO
    hits: int = 0
    ranges_held: int = 0

    def add(self, tested: TestedOutlook) -> None:
        self.people += 1
        self.error += tested.error
        self.hits += tested.is_hit
        self.ranges_held += tested.range_held

    @property
    def mean_error(self) -> Decimal:
        """Mean absolute error in 学时, to the hundredth; there is none without anybody."""
        return (self.error / self.people).quantize(Decimal("0.01"))


# ── The plan ──


@dataclass(frozen=True, slots=True)
class CatchUpPlan:
    """So many minutes on each working day, and the day on which the quota is reached."""

    minutes: int
    day: date


def smallest_plan(seconds: int, days: Sequence[date], most: int) -> CatchUpPlan | None:
    """The fewest whole minutes a working day that earn `seconds` within `days`; None when there are no days, or it takes more than `most` minutes."""
    if not days or seconds <= 0:
        return None
    minutes = max(MIN_MINUTES, -(-seconds // (60 * len(days))))
    if minutes > most:
        return None
    return CatchUpPlan(minutes, days[-(-seconds // (60 * minutes)) - 1])


@dataclass(frozen=True, slots=True)
class StudyDone:
    """What somebody has learned this year: the lessons that earned already, and of practice the seconds credited and the items counted."""

    lessons: frozenset[str] = frozenset()
    practice_seconds: int = 0
    items: int = 0


@dataclass(frozen=True, slots=True)
class StudyLeft:
    """What is left for somebody to learn by themselves, in the credit seconds that it can still earn this year (rules D2, D3)."""

    lessons: int
    items: int


def study_left(done: StudyDone, lessons: Iterable[Lesson], questions: int, policy: HoursPolicy, day: date) -> StudyLeft:
    """Of the lessons for a tier and so many questions, what earned nothing yet."""
    terms = policy.practice(day)
    room = terms.year_limit - done.practice_seconds
    unanswered = max(0, questions - done.items)
    unread = sum(lesson.minutes * 60 for lesson in lessons if lesson.id not in done.lessons)
    return StudyLeft(unread, max(0, min(room, unanswered * terms.item_seconds(0))))


def catch_up_plan(outlook: Outlook, left: StudyLeft, days: Sequence[date], policy: HoursPolicy, day: date) -> CatchUpPlan | None:
    """The smallest plan for the working days that are left; None when self-study cannot do it."""
    seconds = int(outlook.missing * outlook.quota.per_hour)
    if seconds > left.lessons:
        seconds += ROUNDING_SPARE
    if seconds > left.lessons + left.items:
        return None
    return smallest_plan(seconds, days, int(policy.at("D2", day).number("day_cap") * outlook.quota.per_hour) // 60)
