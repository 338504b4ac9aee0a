"""The working calendar, year by year as published: weekends, holidays and the weekend days worked instead (调休). Nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from bot.domain.message import Refusal

OnHoliday = Literal["skip", "before", "after", "keep"]
"""What becomes of a day that is not worked: left out, moved before it, moved after it, or kept."""
ONE_DAY = timedelta(days=1)
SATURDAY = 5


class UnknownYear(Refusal):
    """A day lies in a year whose holidays nobody has entered; the sentence says what to do. Never answered by a guess (bot/docs/rules.md A04)."""

    def __init__(self, year: int) -> None:
        super().__init__(
            f"{year} 年的放假安排还没有公布或录入，请在国务院办公厅发布通知后，"
            f"把它写进 content/calendar/{year}.yaml（照上一年的文件写），再重启服务。"
        )
        self.year = year


@dataclass(frozen=True, slots=True)
class Holiday:
    """A festival's days off, both ends included."""

    name: str
    first: date
    last: date

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(self.first + timedelta(days=offset) for offset in range((self.last - self.first).days + 1))


@dataclass(frozen=True, slots=True)
class Year:
    """One year's notice: the days off, and the Saturdays and Sundays that are worked."""

    year: int
    holidays: tuple[Holiday, ...]
    workdays: frozenset[date]
    source: str = ""


@dataclass(frozen=True)
class Calendar:
    """All years that are known."""

    years: Mapping[int, Year] = field(default_factory=dict)
    _off: dict[date, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for year in self.years.values():
            self._off.update({day: holiday.name for holiday in year.holidays for day in holiday.days})

    def knows(self, year: int) -> bool:
        return year in self.years

    def is_workday(self, day: date) -> bool:
        """Whether the agency works on a day. Raises `UnknownYear`."""
        known = self.years.get(day.year)
        if known is None:
            raise UnknownYear(day.year)
        return day in known.workdays or (day.weekday() < SATURDAY and day not in self._off)

    def holiday(self, day: date) -> str:
        """The festival whose day off a day is; empty for any other day. Raises `UnknownYear`."""
        if not self.knows(day.year):
            raise UnknownYear(day.year)
        return self._off.get(day, "")

    def workday_on_or_after(self, day: date) -> date:
        while not self.is_workday(day):
            day += ONE_DAY
        return day

    def workday_on_or_before(self, day: date) -> date:
        while not self.is_workday(day):
            day -= ONE_DAY
        return day

    def workday_after(self, day: date, count: int = 1) -> date:
        """The nth working day after a day."""
        for _ in range(count):
            day = self.workday_on_or_after(day + ONE_DAY)
        return day

    def workday_before(self, day: date, count: int = 1) -> date:
        """The nth working day before a day."""
        for _ in range(count):
            day = self.workday_on_or_before(day - ONE_DAY)
        return day

    def workdays_between(self, since: date, until: date) -> int:
        """How many working days lie in [since, until)."""
        return sum(self.is_workday(since + timedelta(days=offset)) for offset in range(max(0, (until - since).days)))


def last_day_of_month(year: int, month: int) -> date:
    return (date(year + month // 12, month % 12 + 1, 1)) - ONE_DAY


DECEMBER = 12


def missing_year_warning(calendar: Calendar, today: date) -> str:
    """The sentence for administrators about a year that is missing: this one at any time, the next one in December; empty when all is known."""
    if not calendar.knows(today.year):
        return str(UnknownYear(today.year))
    if today.month == DECEMBER and not calendar.knows(today.year + 1):
        return f"{UnknownYear(today.year + 1)}在此之前，{today.year + 1} 年按工作日安排的活动都不会触发。"
    return ""
