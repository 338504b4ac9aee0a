"""A pack for a law day on the days of a year, and what each of its items sends (features.md A25)."""

from __future__ import annotations

from datetime import date

from bot.domain.calendar import Calendar
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import LAW_DAYS, Schedule
from bot.domain.library.pack import LawDayPack, PackItem


def content_of(item: PackItem) -> CampaignContent:
    """What an item sends; notices and invitations are headed with its name. Raises ValueError when its kind needs what is not there."""
    title = item.name if item.kind in ("notice", "invitation") else ""
    return CampaignContent(item.kind, title=title, text=item.text, options=item.options, receipt=item.receipt, lesson=item.lesson, target=item.target)


def dated(pack: LawDayPack, year: int, calendar: Calendar) -> list[tuple[PackItem, Schedule]]:
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
        found.append((item, Schedule("once", time=item.time, on=on, on_holiday="keep")))
    return sorted(found, key=lambda one: (one[1].on or centre, one[1].time))
