"""Packs for law days: what an agency sends around a day of the year, drafted with one command (features.md A25)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from bot.domain.calendar import Calendar
from bot.domain.content import Content
from bot.domain.rhythm import LAW_DAYS, OnHoliday, Rhythm


@dataclass(frozen=True, slots=True)
class Item:
    """One message of a pack, `day` working days after its law day (before it when negative), at HH:MM."""

    name: str
    day: int
    time: str
    content: Content


@dataclass(frozen=True, slots=True)
class Pack:
    """Everything for one law day; `on_holiday` says where the day itself goes when nobody works on it."""

    name: str
    law_day: str
    on_holiday: OnHoliday
    about: str
    clause: str
    items: tuple[Item, ...]


def dated(pack: Pack, year: int, calendar: Calendar) -> list[tuple[Item, Rhythm]]:
    """The items of a pack on the days of a year, in order. Raises `UnknownYear` when one of them depends on a year nobody has entered."""
    month, day = LAW_DAYS[pack.law_day]
    centre = date(year, month, day)
    if pack.on_holiday == "before":
        centre = calendar.workday_on_or_before(centre)
    elif pack.on_holiday == "after":
        centre = calendar.workday_on_or_after(centre)
    found = []
    for item in pack.items:
        on = centre
        if item.day > 0:
            on = calendar.workday_after(centre, item.day)
        elif item.day < 0:
            on = calendar.workday_before(centre, -item.day)
        found.append((item, Rhythm("once", time=item.time, on=on, on_holiday="keep")))
    return sorted(found, key=lambda one: (one[1].on or centre, one[1].time))
