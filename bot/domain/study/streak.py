"""连续学法: how many working days in a row somebody finished the daily set; duty, leave and one bad day are forgiven (bot/docs/rules.md S20)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bot.domain.calendar import ONE_DAY, Calendar
from bot.domain.people.person import Absence
from bot.domain.times import day_of

FREEZES = 2
"""Missed working days that a streak survives; every streak begins with so many and never holds more."""
DAYS_PER_FREEZE = 10
"""Working days studied since the last freeze was spent or earned, after which one that was spent comes back."""
GRACE = timedelta(minutes=30)
"""Until 00:30 the day before can still be finished."""


@dataclass(frozen=True, slots=True)
class Streak:
    """Working days in a row, freezes left, and whether today is done."""

    days: int = 0
    freezes: int = FREEZES
    done_today: bool = False


@dataclass(frozen=True, slots=True)
class FinishedDays:
    """The days on which the daily set counts as finished, and days whose own set was used up for the day before."""

    done: frozenset[date]
    excused: frozenset[date] = frozenset()


def finished_days(sets: Iterable[tuple[date, datetime]]) -> FinishedDays:
    """The days of finished sets, each given as (the day whose set it is, the moment it was finished).

    A set counts for the day on which it was finished. Finished before 00:30 it counts for the day before, unless that day has its own already;
    the set of the new day cannot be done twice, so that the new day then asks for nothing.
    """
    done: set[date] = set()
    late: list[tuple[date, date]] = []
    for set_day, finished_at in sets:
        day, graced = day_of(finished_at), day_of(finished_at - GRACE)
        if graced == day:
            done.add(day)
        else:
            late.append((set_day, day))
    excused: set[date] = set()
    for set_day, day in sorted(late):
        before = day - ONE_DAY
        if before in done:
            done.add(day if set_day == day else before)
        else:
            done.add(before)
            if set_day == day:
                excused.add(day)
    return FinishedDays(frozenset(done), frozenset(excused - done))


def count_streak(sets: FinishedDays, now: datetime, calendar: Calendar, absences: Iterable[Absence] = ()) -> Streak:
    """The streak as it stands at a moment.

    A working day that is finished counts one. One that is missed costs a freeze, and ends the streak when none is left. Weekends, holidays, leave,
    secondment, and days of a year whose calendar nobody has entered count only if they are worked days that were finished, and cost nothing; today
    costs nothing before it is over (at 00:30 of the next day). After ten counted days a spent freeze comes back.
    """
    away = tuple(absences)
    last = day_of(now - GRACE)
    days, freezes, counted_since = 0, FREEZES, 0
    day = min(sets.done, default=last)
    while day <= day_of(now):
        if day in sets.done:
            if _is_worked(calendar, day):
                days, counted_since = days + 1, counted_since + 1
                if counted_since >= DAYS_PER_FREEZE:
                    freezes, counted_since = min(FREEZES, freezes + 1), 0
        elif day < last and days and day not in sets.excused and _is_worked(calendar, day) and not any(day in stay for stay in away):
            if freezes:
                freezes, counted_since = freezes - 1, 0
            else:
                days, freezes, counted_since = 0, FREEZES, 0
        day += ONE_DAY
    return Streak(days, freezes, day_of(now) in sets.done)


def _is_worked(calendar: Calendar, day: date) -> bool:
    return calendar.knows(day.year) and calendar.is_workday(day)
