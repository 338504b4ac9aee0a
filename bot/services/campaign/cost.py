"""What a plan will take of the platforms' budgets, counted as the budgets count it when it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlmodel import Session

from bot.domain.calendar import UnknownYear
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule, due_between
from bot.domain.delivery.platform_limits import LIMITS, CalendarWindow, PlatformLimit, of_channel, weight
from bot.domain.message import Option, Reply
from bot.domain.people.person import CHANNELS
from bot.domain.times import day_of, start_of
from bot.services.library.catalog import Catalog
from bot.storage.delivery import quota, recipients
from bot.storage.people import audience


def messages(content: CampaignContent) -> int:
    """How many messages one person gets each time at most: the pieces of the text, and the card beside them."""
    taps = content.kind != "notice" or content.receipt
    text = "\n".join((content.title, content.text, *content.options))
    return weight(Reply(text, buttons=(Option("学习", "学习"),) if taps else ()))


def cost_of_schedule(
    session: Session, catalog: Catalog, invited: Sequence[int], rhythm: Schedule, now: datetime, content: CampaignContent | None
) -> QuotaCost:
    """What it takes this month, with every time that it still falls due; a plain message each where the content is not known yet."""
    first = day_of(now).replace(day=1)
    end = start_of((first + timedelta(days=32)).replace(day=1))
    try:
        times = len(due_between(rhythm, now, end, catalog.library.calendar))
    except UnknownYear:
        times = 0
    each = 1 if content is None else messages(content)
    return quota_cost(session, audience.count_by_channel(session, invited), now, messages=each, times_a_month=max(1, times), limits=catalog.limits)


# ── Before it begins ──


@dataclass(frozen=True, slots=True)
class QuotaCost:
    """What sending to so many will take of the budgets, in a sentence; `fits` is False when a day's or a month's rest is too small."""

    fits: bool
    text: str


def quota_cost(
    session: Session,
    by_channel: Mapping[str, int],
    now: datetime,
    *,
    messages: int = 1,
    times_a_month: int = 1,
    limits: tuple[PlatformLimit, ...] = LIMITS,
) -> QuotaCost:
    """`by_channel` counts people; `messages` what one person gets each time; `times_a_month` how often it still falls due this month."""
    accounts = recipients.accounts_on(session)
    left = quota.left(session, limits, accounts, now)
    fits, lines = True, []
    for channel, people in by_channel.items():
        if not people:
            continue
        table = [limit for limit in of_channel(channel, limits) if not limit.per_person]
        called = max((limit.taken(people, messages) for limit in table if limit.unit == "call"), default=0)
        said = [f"{people} 人" + (f"，{called} 次调用" if called else "")]
        seconds = 0.0
        for limit in table:
            needed = limit.taken(people, messages)
            if isinstance(limit.window, CalendarWindow):
                needed *= times_a_month if limit.window.unit == "month" else 1
                period, rest = "本月" if limit.window.unit == "month" else "今天", left[limit.key()]
                unit = "次调用" if limit.unit == "call" else "人次"
                said.append(f"{period}需 {needed} {unit}，还剩 {rest}" + ("" if needed <= rest else "，不够"))
                fits = fits and needed <= rest
            else:
                seconds = max(seconds, needed / limit.room(accounts.get(channel, 0)) * limit.window.seconds)
        lines.append(f"{CHANNELS.get(channel, channel)}：{'；'.join(said)}；至少 {_lasting(seconds)}")
    return QuotaCost(fits, "\n".join(lines) or "没有可发的人")


def _lasting(seconds: float) -> str:
    return f"{max(1, ceil(seconds))} 秒" if seconds < 120 else f"{ceil(seconds / 60)} 分钟"
