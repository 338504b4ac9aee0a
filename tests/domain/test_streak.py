"""The streak forgives duty, leave and a bad day, and nothing else."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from bot.domain.calendar import Calendar
from bot.domain.library.library import Library
from bot.domain.people.person import Absence
from bot.domain.study.streak import DAYS_PER_FREEZE, FREEZES, FinishedDays, Streak, count_streak, finished_days
from bot.domain.times import SHANGHAI


@pytest.fixture
def calendar(shipped: Library) -> Calendar:
    return shipped.calendar


def at(day: str, clock: str = "12:00") -> datetime:
    return datetime.combine(date.fromisoformat(day), time.fromisoformat(clock), SHANGHAI)


def march(*days: int) -> FinishedDays:
    """Days of March 2026: the 2nd is a Monday, no holiday in it."""
    return FinishedDays(frozenset(date(2026, 3, day) for day in days))


@pytest.mark.parametrize(
    ("done", "now", "expected"),
    [
        ((), "2026-03-06", Streak(0, 2, False)),
        ((6,), "2026-03-06", Streak(1, 2, True)),
        ((2, 3, 4, 5, 6), "2026-03-06", Streak(5, 2, True)),
        # Today is not over: nothing is lost yet.
        ((2, 3, 4, 5), "2026-03-06", Streak(4, 2, False)),
        # The weekend neither counts nor costs; nor does a set done on it.
        ((5, 6, 9), "2026-03-09", Streak(3, 2, True)),
        ((5, 6, 7, 8, 9), "2026-03-09", Streak(3, 2, True)),
        # One missed working day takes a freeze, two take both, three end it.
        ((2, 3, 5), "2026-03-05", Streak(3, 1, True)),
        ((2, 3, 6), "2026-03-06", Streak(3, 0, True)),
        ((2, 3, 9), "2026-03-09", Streak(1, 2, True)),
        ((2, 4, 6, 10), "2026-03-10", Streak(1, 2, True)),
        # Nothing has been lost by somebody who never began.
        ((2,), "2026-03-03", Streak(1, 2, False)),
        ((2,), "2026-03-04", Streak(1, 1, False)),
        ((2,), "2026-03-06", Streak(0, 2, False)),
    ],
)
def test_working_days_in_a_row_are_counted_and_single_misses_forgiven(calendar: Calendar, done: tuple[int, ...], now: str, expected: Streak) -> None:
    assert count_streak(march(*done), at(now), calendar) == expected


def test_a_spent_freeze_comes_back_after_ten_days_and_never_more_than_two_are_held(calendar: Calendar) -> None:
    worked = [day for n in range(40) if calendar.is_workday(day := date(2026, 3, 2) + timedelta(n))]
    missed = worked[2]
    kept = [day for day in worked if day != missed]
    up_to = {n: FinishedDays(frozenset(kept[:n])) for n in (2 + DAYS_PER_FREEZE - 1, 2 + DAYS_PER_FREEZE, len(kept))}

    found = [count_streak(sets, at(max(sets.done).isoformat()), calendar) for sets in up_to.values()]

    assert [one.freezes for one in found] == [1, 2, FREEZES]
    assert found[-1].days == len(kept)


@pytest.mark.parametrize(
    ("done", "now", "days"),
    [
        # The Spring Festival of 2026: off from the 15th to the 23rd of February, Saturday the 14th and 28th worked.
        (("2026-02-13", "2026-02-14", "2026-02-24"), "2026-02-24", 3),
        (("2026-02-26", "2026-02-27", "2026-02-28", "2026-03-02"), "2026-03-02", 4),
        (("2026-02-27", "2026-03-02"), "2026-03-02", 2),
    ],
)
def test_holidays_cost_nothing_and_a_worked_saturday_counts(calendar: Calendar, done: tuple[str, ...], now: str, days: int) -> None:
    assert count_streak(FinishedDays(frozenset(map(date.fromisoformat, done))), at(now), calendar).days == days


def test_a_worked_saturday_that_is_missed_costs_a_freeze(calendar: Calendar) -> None:
    done = FinishedDays(frozenset({date(2026, 2, 27), date(2026, 3, 2)}))
    assert count_streak(done, at("2026-03-02"), calendar).freezes == FREEZES - 1


@pytest.mark.parametrize(
    ("absence", "expected"),
    [
        (Absence(date(2026, 3, 4), date(2026, 3, 12)), Streak(3, 2, True)),
        (Absence(date(2026, 3, 4), date(2026, 3, 11)), Streak(3, 1, True)),
        (Absence(date(2026, 3, 5), date(2026, 3, 6)), Streak(1, 2, True)),
    ],
)
def test_leave_pauses_the_streak_to_the_day(calendar: Calendar, absence: Absence, expected: Streak) -> None:
    assert count_streak(march(2, 3, 13), at("2026-03-13"), calendar, [absence]) == expected


def test_a_secondment_without_an_end_pauses_for_good(calendar: Calendar) -> None:
    assert count_streak(march(2, 3), at("2026-11-20"), calendar, [Absence(date(2026, 3, 4))]) == Streak(2, 2, False)


@pytest.mark.parametrize(
    ("sets", "done", "excused"),
    [
        # Begun before midnight, finished after it.
        ([("2026-03-03", "2026-03-04 00:10")], {"2026-03-03"}, set()),
        # Begun after midnight: it fills the missing day, and the new day, whose set it was, asks for nothing.
        ([("2026-03-04", "2026-03-04 00:29")], {"2026-03-03"}, {"2026-03-04"}),
        ([("2026-03-04", "2026-03-04 00:30")], {"2026-03-04"}, set()),
        # The day before was done: it counts where it belongs.
        ([("2026-03-03", "2026-03-03 09:00"), ("2026-03-04", "2026-03-04 00:05")], {"2026-03-03", "2026-03-04"}, set()),
        # Yesterday's set after midnight, today's in the morning.
        ([("2026-03-03", "2026-03-04 00:10"), ("2026-03-04", "2026-03-04 08:40")], {"2026-03-03", "2026-03-04"}, set()),
        # Both after midnight.
        ([("2026-03-03", "2026-03-04 00:02"), ("2026-03-04", "2026-03-04 00:20")], {"2026-03-03", "2026-03-04"}, set()),
        # An old set put right days later counts for the day of the work.
        ([("2026-03-03", "2026-03-06 10:00")], {"2026-03-06"}, set()),
    ],
)
def test_until_half_past_midnight_the_day_before_can_be_finished(sets: list[tuple[str, str]], done: set[str], excused: set[str]) -> None:
    given = [(date.fromisoformat(scope), datetime.fromisoformat(moment).replace(tzinfo=SHANGHAI)) for scope, moment in sets]
    found = finished_days(given)
    assert {day.isoformat() for day in found.done} == done
    assert {day.isoformat() for day in found.excused} == excused


def test_at_a_quarter_past_midnight_yesterday_is_not_lost_yet(calendar: Calendar) -> None:
    done = FinishedDays(frozenset({date(2026, 3, 2)}))
    assert count_streak(done, at("2026-03-04", "00:15"), calendar) == Streak(1, 2, False)
    assert count_streak(done, at("2026-03-04", "00:30"), calendar) == Streak(1, 1, False)


def test_the_new_day_of_a_graced_set_costs_nothing(calendar: Calendar) -> None:
    sets = finished_days([(date(2026, 3, 2), at("2026-03-02")), (date(2026, 3, 4), at("2026-03-04", "00:20"))])
    assert count_streak(sets, at("2026-03-05"), calendar) == Streak(2, 2, False)


def test_a_year_nobody_entered_takes_nothing_away(calendar: Calendar) -> None:
    done = FinishedDays(frozenset({date(2026, 12, 30), date(2026, 12, 31)}))
    assert count_streak(done, at("2027-03-01"), calendar) == Streak(2, 2, False)
