"""What a campaign will take of the platforms' quotas, counted as the quotas count it when it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlmodel import Session

from bot.domain.calendar import UnknownYear
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule, due_between
from bot.domain.delivery.platform_limits import LIMITS, CalendarWindow, PlatformLimit, SlidingWindow, limits_of_channel, message_count
from bot.domain.message import Option, Reply
from bot.domain.people.person import CHANNELS
from bot.domain.times import day_of, start_of
from bot.services.library.catalog import Catalog
from bot.storage.delivery import quota, recipients
from bot.storage.people import audience


def messages_per_person(content: CampaignContent) -> int:
    """How many messages one person gets each time at most: the pieces of the text, and the card beside them."""
    has_buttons = content.kind != "notice" or content.receipt
    text = "\n".join((content.title, content.text, *content.options))
    return message_count(Reply(text, buttons=(Option("学习", "学习"),) if has_buttons else ()))


def schedule_cost(
    session: Session,
    catalog: Catalog,
    invited: Sequence[int],
    schedule: Schedule,
    now: datetime,
    content: CampaignContent | None,
    also: Sequence[CampaignContent] = (),
) -> QuotaCost:
    """What it takes this month, with every time that it still falls due; a plain message each where the content is not known yet.

    `also` is what else the same act sends to the same people, each once.
    """
    first = day_of(now).replace(day=1)
    end = start_of((first + timedelta(days=32)).replace(day=1))
    try:
        occurrences = len(due_between(schedule, now, end, catalog.library.calendar))
    except UnknownYear:
        occurrences = 0
    messages_each = (1 if content is None else messages_per_person(content)) + sum(map(messages_per_person, also))
    return quota_cost(
        session, audience.count_by_channel(session, invited), now, messages=messages_each, times_a_month=max(1, occurrences), limits=catalog.limits
    )


# ── Before it begins ──


@dataclass(frozen=True, slots=True)
class QuotaCost:
    """What sending to so many will take of the quotas, in a sentence; `fits` is False when a day's or a month's rest is too small."""

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
    accounts = recipients.count_accounts(session)
    left = quota.remaining(session, limits, accounts, now)
    fits, lines = True, []
    for channel, people in by_channel.items():
        if not people:
            continue
        channel_limits = [limit for limit in limits_of_channel(channel, limits) if not limit.per_person]
        calls = max((limit.usage(people, messages) for limit in channel_limits if limit.unit == "call"), default=0)
        parts = [f"{people} 人" + (f"，{calls} 次调用" if calls else "")]
        seconds = 0.0
        for limit in channel_limits:
            needed = limit.usage(people, messages)
            if isinstance(limit.window, CalendarWindow):
                needed *= times_a_month if limit.window.unit == "month" else 1
                period, remaining = "本月" if limit.window.unit == "month" else "今天", left[limit.key()]
                unit = "次调用" if limit.unit == "call" else "人次"
                parts.append(f"{period}需 {needed} {unit}，还剩 {remaining}" + ("" if needed <= remaining else "，不够"))
                fits = fits and needed <= remaining
            elif isinstance(limit.window, SlidingWindow):
                seconds = max(seconds, needed / limit.usable(accounts.get(channel, 0)) * limit.window.seconds)
        lines.append(f"{CHANNELS.get(channel, channel)}：{'；'.join(parts)}；至少 {_duration_text(seconds)}")
    return QuotaCost(fits, "\n".join(lines) or "没有可发的人")


def _duration_text(seconds: float) -> str:
    return f"{max(1, ceil(seconds))} 秒" if seconds < 120 else f"{ceil(seconds / 60)} 分钟"
