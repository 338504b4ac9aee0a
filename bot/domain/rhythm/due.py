"""When a rhythm falls due, on the working calendar and in Asia/Shanghai."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import chain

from bot.domain.calendar import Calendar, UnknownYear, last_of_month
from bot.domain.rhythm.base import LAW_DAYS, Rhythm
from bot.domain.times import SHANGHAI, day_of, start_of

FARTHEST = timedelta(days=16)
"""No run of days off is longer than this, so no due day lies farther from its own day of the calendar."""


def due_between(rhythm: Rhythm, since: datetime, until: datetime, calendar: Calendar) -> list[datetime]:
    """The moments in [since, until), in order, each once, in Asia/Shanghai.

    Raises `UnknownYear` when a moment within the window depends on a year that nobody has entered; a year beyond the window is not asked for.
    """
    if since >= until:
        return []
    found: set[datetime] = set()
    for nominal in _days(rhythm, day_of(since) - FARTHEST, day_of(until) + FARTHEST):
        try:
            day = _moved(rhythm, nominal, calendar)
        except UnknownYear as unknown:
            if until > start_of(date(unknown.year, 1, 1)):
                raise
            continue
        if day is None or not _is_wanted(rhythm, nominal, day):
            continue
        due = datetime.combine(day, time.fromisoformat(rhythm.time), SHANGHAI)
        if since <= due < until:
            found.add(due)
    return sorted(found)


def next_due(rhythm: Rhythm, since: datetime, calendar: Calendar, count: int = 1, years: int = 4) -> tuple[list[datetime], UnknownYear | None]:
    """The first `count` moments from `since` on, and the year that stopped the search before there were so many (None when none did)."""
    found: list[datetime] = []
    last_year = day_of(since).year + years
    begin = since
    for year in range(day_of(since).year, last_year + 1):
        end = start_of(date(year + 1, 1, 1))
        try:
            found += due_between(rhythm, begin, end, calendar)
        except UnknownYear as unknown:
            return found[:count], unknown if len(found) < count else None
        if len(found) >= count:
            break
        begin = end
    return found[:count], None


def _is_wanted(rhythm: Rhythm, nominal: date, day: date) -> bool:
    if rhythm.first is not None and day < rhythm.first:
        return False
    if rhythm.last is not None and day > rhythm.last:
        return False
    return nominal not in rhythm.skip_dates and day not in rhythm.skip_dates


def _moved(rhythm: Rhythm, day: date, calendar: Calendar) -> date | None:
    """The working day that stands for a day, or None when it is left out."""
    kind = rhythm.each or rhythm.kind
    if kind == "monthly_last_workday":
        return calendar.workday_on_or_before(day)
    if (rhythm.on_holiday == "keep" and kind != "workdays") or calendar.is_workday(day):
        return day
    if kind == "workdays" or rhythm.on_holiday == "skip":
        return None
    return calendar.workday_on_or_before(day) if rhythm.on_holiday == "before" else calendar.workday_on_or_after(day)


def _days(rhythm: Rhythm, first: date, last: date) -> Iterator[date]:
    """The rhythm's own days within [first, last], before any holiday is looked at."""
    kind = rhythm.each or rhythm.kind
    if kind == "once":
        given = [rhythm.on] if rhythm.on is not None else []
    elif kind in ("workdays", "weekly"):
        every = (first + timedelta(days=n) for n in range((last - first).days + 1))
        yield from every if kind == "workdays" else (one for one in every if one.weekday() in rhythm.weekdays)
        return
    else:
        given = list(chain.from_iterable(_of_month(rhythm, kind, year, month) for year, month in _months(first, last)))
    yield from (one for one in given if first <= one <= last)


def _months(first: date, last: date) -> Iterator[tuple[int, int]]:
    at = first.year * 12 + first.month - 1
    while at <= last.year * 12 + last.month - 1:
        yield at // 12, at % 12 + 1
        at += 1


def _of_month(rhythm: Rhythm, kind: str, year: int, month: int) -> list[date]:
    last = last_of_month(year, month)
    match kind:
        case "monthly_last_workday":
            return [last]
        case "monthly_nth_weekday":
            fitting = [one for one in (date(year, month, n) for n in range(1, last.day + 1)) if one.weekday() == rhythm.weekdays[0]]
            place = rhythm.nth if rhythm.nth < 0 else rhythm.nth - 1
            return [fitting[place]] if place < len(fitting) else []
        case "quarterly":
            applies, day = (month - 1) % 3 + 1 == rhythm.month, rhythm.day
        case "yearly_date":
            applies, day = month == rhythm.month, rhythm.day
        case "law_day":
            of_year, day = LAW_DAYS[rhythm.law_day]
            applies = month == of_year
        case _:
            applies, day = True, rhythm.day
    return [date(year, month, min(day, last.day))] if applies else []
