"""A campaign as a value: what is sent, when, to whom and by which clause; and the items of a law day's pack on the days of a year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from bot.domain.calendar import Calendar
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import LAW_DAYS, Schedule
from bot.domain.library.library import LawDayPack, PackItem
from bot.domain.people.audience import Audience


def pack_item_content(item: PackItem) -> CampaignContent:
    """What an item sends; notices and invitations are headed with its name. Raises ValueError when its kind needs what is not there."""
    title = item.name if item.kind in ("notice", "invitation") else ""
    return CampaignContent(item.kind, title=title, text=item.text, options=item.options, receipt=item.receipt, lesson=item.lesson, target=item.target)


def dated_items(pack: LawDayPack, year: int, calendar: Calendar) -> list[tuple[PackItem, Schedule]]:
    """The items of a pack on the days of a year, in order. Raises `UnknownYear` when one of them depends on a year nobody has entered."""
    month, day = LAW_DAYS[pack.law_day]
    centre = date(year, month, day)
    if pack.on_holiday == "before":
        centre = calendar.workday_on_or_before(centre)
    elif pack.on_holiday == "after":
        centre = calendar.workday_on_or_after(centre)
    dated_items = []
    for item in pack.items:
        due_day = centre
        if item.day > 0:
            due_day = calendar.workday_after(centre, item.day)
        elif item.day < 0:
            due_day = calendar.workday_before(centre, -item.day)
        dated_items.append((item, Schedule("once", time=item.time, on=due_day, on_holiday="keep")))
    return sorted(dated_items, key=lambda dated: (dated[1].on or centre, dated[1].time))


STATE_LABELS = {"draft": "草稿", "running": "进行中", "paused": "已暂停", "stopped": "已停止", "done": "已完成"}
DELIVERY_LABELS = {"queued": "待发", "sending": "发送中", "sent": "已发", "failed": "失败", "unknown": "不明", "skipped": "未发"}
MISSED_LABELS = {"send": "错过补发", "mark": "错过不补"}
SYSTEM = "system"
"""`created_by` of campaigns that the service makes by itself."""
SHELL = "cli"
"""`via` of what is typed at the command line; before a colon and the user of the operating system where nobody's staff number was given."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as stored. Due times from `planned_until` on have not been looked at; `delivery` is its rule, as JSON."""

    id: int
    name: str
    content: CampaignContent
    schedule: Schedule
    audience: Audience
    delivery: Mapping[str, Any]
    missed: str
    clause: str
    state: str
    version: int
    created_by: str
    changed_at: datetime
    planned_until: datetime | None

    @property
    def kind(self) -> str:
        return self.content.kind


@dataclass(frozen=True, slots=True)
class Author:
    """Who plans: for the audit the staff number (or the operator at the shell) and the channel; `roots` are the units reached, None for all."""

    actor: str
    via: str
    roots: tuple[str, ...] | None = None

    @property
    def is_own_word(self) -> bool:
        """Whether the person said it: what is typed at the shell is the operator's word, under whose number ever it stands."""
        return self.via != SHELL


def is_person(actor: str) -> bool:
    """Whether an actor is somebody of the agency, who can be one of two names; a user of the operating system and the service are not."""
    return actor != SYSTEM and not actor.startswith(f"{SHELL}:")


@dataclass(frozen=True, slots=True)
class CampaignPreview:
    """What would happen: how many people, some of their names, who is left out and why, when, and whether the quotas allow it."""

    count: int
    names: tuple[str, ...]
    excluded: tuple[tuple[str, str, str], ...]
    due: tuple[datetime, ...]
    asks: str = ""
    cost: str = ""
    fits: bool = True


@dataclass(frozen=True, slots=True)
class FiredCampaign:
    """One occurrence that this call brought about: sent out (perhaps late) or marked missed.

    `invited` and `excluded` count everybody, also where `is_complete` says that the deliveries of some are still to be queued.
    """

    campaign_id: int
    occurrence_id: int
    name: str
    due: datetime
    state: str
    invited: int = 0
    excluded: int = 0
    note: str = ""
    is_complete: bool = True
