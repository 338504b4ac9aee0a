"""The pace is carried on as it is, leave does not count against anybody, and the plan is the smallest that does it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from bot.domain.calendar import UnknownYear
from bot.domain.hours.forecast import (
    MIN_ELAPSED_DAYS,
    BackTest,
    EarnedOnDay,
    ForecastQuota,
    ForecastSpan,
    Outlook,
    WorkYear,
    forecast_year,
    held_against,
    smallest_plan,
)
from bot.domain.library.library import Library
from bot.domain.people.person import Absence

HOUR = 2700
FORTY = ForecastQuota(Decimal(40), Decimal(0), HOUR)
ON = date(2026, 6, 30)
HALF = ForecastSpan(120, 120, 26, 26)


def weekly(hours: float, weeks: int = 26, category: str = "online") -> list[EarnedOnDay]:
    return [EarnedOnDay(category, ON - timedelta(weeks=n), int(hours * HOUR)) for n in range(weeks)]


def outlook(earned: list[EarnedOnDay], quota: ForecastQuota = FORTY, span: ForecastSpan = HALF) -> Outlook:
    found = forecast_year(earned, ON, span, quota)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("hours", "expected", "misses", "surely", "doubtful"),
    [(1, "52", False, False, False), (0.75, "39", True, True, False), (0.5, "26", True, True, False)],
)
def test_an_even_pace_is_carried_to_the_end_of_the_year_without_doubt(
    hours: float, expected: str, misses: bool, surely: bool, doubtful: bool
) -> None:
    found = outlook(weekly(hours))
    assert (found.expected, found.will_miss, found.will_surely_miss, found.doubtful, found.margin) == (
        Decimal(expected),
        misses,
        surely,
        doubtful,
        Decimal(0),
    )


def test_uneven_weeks_widen_the_range_and_take_the_certainty() -> None:
    uneven = [EarnedOnDay("online", ON - timedelta(weeks=n), 6 * HOUR) for n in range(0, 26, 8)]
    found = outlook(uneven)
    assert found.expected == 48
    assert found.margin > 8
    assert found.doubtful

    found = outlook(uneven[:3])
    assert found.will_miss
    assert not found.will_surely_miss


def test_what_a_cap_holds_back_is_not_foretold() -> None:
    capped = ForecastQuota(Decimal(40), Decimal(0), HOUR, {"practice": 10 * HOUR})
    assert outlook(weekly(0.35, category="practice"), capped).expected == 10
    assert outlook(weekly(0.35, category="practice")).expected == Decimal("18")


def test_collective_study_has_its_own_floor_which_nothing_else_fills() -> None:
    leader = ForecastQuota(Decimal(40), Decimal(12), HOUR)
    found = outlook(weekly(1) + weekly(1, 4, "collective"), leader)
    assert (found.total, found.missing, found.collective_missing) == (Decimal(30), Decimal(10), Decimal(8))
    assert found.expected > 40
    assert found.will_miss


def test_nothing_is_foretold_before_twenty_days_and_nothing_earned_later_is_seen() -> None:
    assert forecast_year([], ON, ForecastSpan(MIN_ELAPSED_DAYS - 1, 200, 4, 40), FORTY) is None
    later = [EarnedOnDay("online", ON + timedelta(1), 30 * HOUR)]
    assert outlook([*weekly(0.5), *later]) == outlook(weekly(0.5))


def test_days_of_leave_are_neither_behind_nor_ahead(shipped: Library) -> None:
    year = WorkYear(2026, shipped.calendar)
    whole = year.span(ON)
    assert whole.elapsed + whole.remaining == len(year.days) == 248
    march = Absence(date(2026, 3, 1), date(2026, 3, 31))
    assert year.span(ON, away=[march]).elapsed == whole.elapsed - 22
    gone = Absence(date(2026, 7, 1))
    assert year.span(ON, away=[gone]).remaining == 0
    assert year.span(ON, joined=date(2026, 6, 29)).elapsed == 2


def test_a_year_nobody_entered_is_asked_for(shipped: Library) -> None:
    with pytest.raises(UnknownYear):
        WorkYear(2027, shipped.calendar)


@pytest.mark.parametrize(
    ("seconds", "n", "plan"),
    [
        # 28 working days: an hour of 学时 is 45 minutes of study.
        (HOUR, 28, (3, 15)),
        (4 * HOUR, 28, (7, 26)),
        (28 * 6 * 60, 28, (6, 28)),
        (28 * 6 * 60 + 1, 28, (7, 25)),
        (60, 28, (3, 1)),
        (90 * 60 * 28, 28, (90, 28)),
    ],
)
def test_the_plan_is_the_fewest_minutes_and_the_first_day_they_suffice(seconds: int, n: int, plan: tuple[int, int]) -> None:
    days = [date(2026, 11, 1) + timedelta(k) for k in range(n)]
    found = smallest_plan(seconds, days, 90)
    assert found is not None
    assert (found.minutes, (found.day - days[0]).days + 1) == plan
    assert found.minutes * 60 * plan[1] >= seconds > (plan[1] - 1) * found.minutes * 60
    assert found.minutes == 3 or (found.minutes - 1) * 60 * n < seconds


def test_what_no_day_can_hold_is_no_plan() -> None:
    days = [date(2026, 12, 31)]
    assert smallest_plan(91 * 60, days, 90) is None
    assert smallest_plan(60, [], 90) is None
    assert smallest_plan(0, days, 90) is None


def test_the_back_test_counts_errors_verdicts_and_ranges() -> None:
    made = outlook(weekly(0.75))
    found = BackTest(ON)
    for total in (39, 41, 36):
        found.add(held_against(made, Decimal(total), Decimal(0)))
    assert found is not None
    assert (found.people, found.mean_error, found.hits, found.ranges_held) == (3, Decimal("1.67"), 2, 1)
