"""The working calendar: day by day what the published notices say, and a question where nothing is published."""

from __future__ import annotations

from datetime import date, timedelta

import chinese_calendar
import pytest

from bot.domain.calendar import Calendar, UnknownYear, missing_year_warning
from bot.domain.library.library import Library


@pytest.fixture
def calendar(shipped: Library) -> Calendar:
    return shipped.calendar


@pytest.mark.parametrize("year", range(2021, 2027))
def test_every_day_is_worked_or_not_as_the_published_calendar_says(calendar: Calendar, year: int) -> None:
    days = [date(year, 1, 1) + timedelta(days=n) for n in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)]

    assert [day for day in days if calendar.is_workday(day) != chinese_calendar.is_workday(day)] == []


def test_a_year_without_a_file_is_asked_for_and_never_guessed(calendar: Calendar) -> None:
    with pytest.raises(UnknownYear, match="2027 年的放假安排还没有公布或录入，请") as asked:
        calendar.is_workday(date(2027, 12, 4))

    assert asked.value.year == 2027
    for ask in (calendar.holiday, calendar.workday_on_or_after, calendar.workday_on_or_before):
        with pytest.raises(UnknownYear):
            ask(date(2027, 3, 1))


@pytest.mark.parametrize(
    ("day", "before", "after"),
    [
        (date(2021, 12, 4), date(2021, 12, 3), date(2021, 12, 6)),
        (date(2021, 9, 26), date(2021, 9, 26), date(2021, 9, 26)),
        (date(2021, 10, 3), date(2021, 9, 30), date(2021, 10, 8)),
        (date(2025, 1, 31), date(2025, 1, 27), date(2025, 2, 5)),
        (date(2026, 2, 21), date(2026, 2, 14), date(2026, 2, 24)),
        (date(2022, 12, 31), date(2022, 12, 30), date(2023, 1, 3)),
    ],
)
def test_the_next_working_day_is_found_on_either_side(calendar: Calendar, day: date, before: date, after: date) -> None:
    assert (calendar.workday_on_or_before(day), calendar.workday_on_or_after(day)) == (before, after)


def test_the_search_for_a_working_day_stops_at_the_edge_of_what_is_known(calendar: Calendar) -> None:
    assert calendar.workday_after(date(2026, 12, 30)) == date(2026, 12, 31)
    with pytest.raises(UnknownYear):
        calendar.workday_after(date(2026, 12, 31))


def test_working_days_are_counted_in_a_half_open_span(calendar: Calendar) -> None:
    assert calendar.workdays_between(date(2026, 10, 1), date(2026, 10, 11)) == 3
    assert calendar.workdays_between(date(2026, 10, 11), date(2026, 10, 1)) == 0
    assert calendar.workday_before(date(2026, 10, 8), 2) == date(2026, 9, 29)


def test_a_holiday_has_its_name_and_a_plain_sunday_has_none(calendar: Calendar) -> None:
    assert calendar.holiday(date(2026, 2, 17)) == "春节"
    assert calendar.holiday(date(2026, 3, 8)) == ""


@pytest.mark.parametrize(
    ("today", "asked"),
    [(date(2026, 11, 30), ""), (date(2026, 12, 1), "2027"), (date(2026, 12, 31), "2027"), (date(2027, 1, 1), "2027"), (date(2025, 12, 31), "")],
)
def test_administrators_are_told_in_december_that_the_next_year_is_missing(calendar: Calendar, today: date, asked: str) -> None:
    told = missing_year_warning(calendar, today)

    assert (f"{asked} 年的放假安排还没有公布或录入" in told) is bool(asked)
    assert bool(told) is bool(asked)
