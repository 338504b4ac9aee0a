"""The quotas of the platforms, as sending meets them: look what a channel allows, take it, give back what surely was not sent.

What is sent outside the delivery worker (answers, cards) is counted afterwards, against the same limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.delivery.platform_limits import (
    LIMITS,
    WECHAT_MESSAGES,
    WECHAT_WINDOW,
    CalendarWindow,
    PlatformLimit,
    limits_of_channel,
    message_count,
)
from bot.services.delivery.plan import DeliveryGroup, ReadyDelivery
from bot.storage.delivery import quota as quota_rows
from bot.storage.delivery import recipients, wechat_window
from bot.storage.delivery.quota import Quota

PERSON_LIMIT_REACHED = "达到该成员的频率上限"
PAUSE_SECONDS = 60.0
"""Seconds a person's own limit is left alone once it is reached."""


# ── What is pushed ──


@dataclass(frozen=True, slots=True)
class QuotaShare:
    """How far the quotas go for a group: who goes now, who has to wait for their own limit, who for the channel's, and until when."""

    going: tuple[ReadyDelivery, ...]
    put_off: tuple[tuple[int, datetime, str], ...]
    rest: tuple[ReadyDelivery, ...] = ()
    wait: datetime | None = None


class DeliveryQuota:
    """The quotas of one channel in one transaction: whoever takes next, on whatever replica, sees what was taken here once it is closed."""

    def __init__(self, session: Session, channel: str, now: datetime, limits: tuple[PlatformLimit, ...] = LIMITS) -> None:
        self._session, self._now = session, now
        self._quota = Quota(session)
        self._limits = limits_of_channel(channel, limits)
        counted = recipients.count_accounts(session) if any(limit.each_account for limit in self._limits) else {}
        self._quotas = counted.get(channel, 0)

    def look(self, group: DeliveryGroup) -> QuotaShare:
        """What the quotas allow; looking takes nothing."""
        allowed, put_off = _within_personal_limits(self._session, self._quota, self._limits, group, self._now)
        messages = message_count(group.ready[0].message.reply)
        fitting, wait = _fit_channel_limits(self._quota, self._limits, self._quotas, len(allowed), messages, self._now)
        return QuotaShare(tuple(allowed[:fitting]), tuple(put_off), tuple(allowed[fitting:]), wait)

    def take(self, going: Sequence[ReadyDelivery]) -> None:
        """These go, all with the same reply."""
        if going:
            _take(self._session, self._quota, self._limits, going, message_count(going[0].message.reply), self._now)

    def close(self) -> None:
        self._quota.close()


def give_back(session: Session, group: DeliveryGroup, unsent: Sequence[ReadyDelivery]) -> None:
    """What WeChat surely did not send does not count against the few messages it allows."""
    if group.channel == "wechat":
        for delivery in unsent:
            if delivery.last_heard is not None:
                quota_rows.give_back_since_heard(session, delivery.message.to.user, delivery.last_heard, message_count(delivery.message.reply))


def _within_personal_limits(
    session: Session, quota: Quota, channel_limits: Sequence[PlatformLimit], group: DeliveryGroup, now: datetime
) -> tuple[list[ReadyDelivery], list[tuple[int, datetime, str]]]:
    """Those whose own limits allow one more, and those who have to wait."""
    messages = message_count(group.ready[0].message.reply)
    personal_limits = [limit for limit in channel_limits if limit.per_person]
    for limit in personal_limits:
        quota.load([limit.key(delivery.message.to.user) for delivery in group.ready], limit.window, now)
    allowed: list[ReadyDelivery] = []
    put_off: list[tuple[int, datetime, str]] = []
    for delivery in group.ready:
        user = delivery.message.to.user
        reached = next((limit for limit in personal_limits if quota.look(limit.key(user), limit.usable(), limit.window, now) < messages), None)
        if reached is not None:
            put_off.append((delivery.queued.id, max(reached.window.next_free(now), now + timedelta(seconds=PAUSE_SECONDS)), PERSON_LIMIT_REACHED))
        elif group.channel == "wechat" and not delivery.beyond_window and _is_window_used_up(session, delivery, messages):
            put_off.append((delivery.queued.id, now + timedelta(hours=1), "微信客服消息条数已用完，等本人再说话"))
        else:
            allowed.append(delivery)
    return allowed, put_off


def _is_window_used_up(session: Session, delivery: ReadyDelivery, messages: int) -> bool:
    """True when WeChat would not take another message until the person speaks again; with a template set the channel goes that way instead."""
    return (
        delivery.last_heard is not None
        and quota_rows.look_since_heard(session, delivery.message.to.user, delivery.last_heard) + messages > WECHAT_MESSAGES
    )


def _fit_channel_limits(
    quota: Quota, channel_limits: Sequence[PlatformLimit], accounts: int, people: int, messages: int, now: datetime
) -> tuple[int, datetime | None]:
    """How many of `people` fit into the channel's own limits, and when to ask again when that is not all."""
    fitting, wait = people, None
    for limit in channel_limits:
        if limit.per_person:
            continue
        left = quota.look(limit.key(), limit.usable(accounts), limit.window, now)
        # A call takes all of a group or nobody; of messages as many go as there are.
        fits = people if left >= limit.usage(people, messages) else 0 if limit.unit == "call" else left // messages
        if fits < fitting:
            fitting, wait = fits, limit.window.next_free(now)
    return fitting, wait


def _take(
    session: Session, quota: Quota, channel_limits: Sequence[PlatformLimit], going: Sequence[ReadyDelivery], messages: int, now: datetime
) -> None:
    channel = going[0].message.to.channel
    for limit in channel_limits:
        if limit.per_person:
            for delivery in going:
                quota.take(limit.key(delivery.message.to.user), limit.window, messages, now)
        else:
            quota.take(limit.key(), limit.window, limit.usage(len(going), messages), now)
    if channel == "wechat":
        for delivery in going:
            if delivery.last_heard is not None:
                quota_rows.take_since_heard(session, delivery.message.to.user, delivery.last_heard, messages)


# ── What is said besides ──


@dataclass(frozen=True, slots=True)
class MessageUsage:
    """So many calls and messages to one person; nobody's name where a call concerns no person. `granted`: the day and the month have it already."""

    channel: str
    user: str
    calls: int
    messages: int
    granted: bool = False

    def usage_of(self, limit: PlatformLimit) -> int:
        """What it takes of a limit."""
        if self.granted and isinstance(limit.window, CalendarWindow):
            return 0
        return self.calls if limit.unit == "call" else self.messages


@dataclass(frozen=True, slots=True)
class UsedQuota:
    """By the names of rows: how much counts until when; and how many accounts each channel has."""

    until: Mapping[str, Mapping[datetime, int]]
    accounts: Mapping[str, int]


def record_usage(session: Session, counts: Sequence[MessageUsage], now: datetime, limits: tuple[PlatformLimit, ...]) -> UsedQuota:
    """Write down what was said, whether or not there was room for it; then what all replicas have used of the limits that it touched."""
    quota = Quota(session)
    touched = {limit.key(): limit for limit in limits if not limit.per_person}
    for usage in counts:
        for limit in limits_of_channel(usage.channel, limits):
            if not limit.per_person or usage.user:
                quota.take(limit.key(usage.user), limit.window, usage.usage_of(limit), now)
                touched[limit.key(usage.user)] = limit
        if usage.channel == "wechat" and usage.messages:
            heard = wechat_window.last_heard(session, usage.channel, usage.user)
            if heard is not None and now - heard < WECHAT_WINDOW:
                quota_rows.take_since_heard(session, usage.user, heard, usage.messages)
    quota.close()
    used_until: dict[str, dict[datetime, int]] = {name: {} for name in touched}
    for name, began, used in quota_rows.used_by_part(session, {name: limit.window for name, limit in touched.items()}, now):
        used_until[name][touched[name].window.ends(began)] = used
    return UsedQuota(used_until, recipients.count_accounts(session))


CARDS_LIMIT = "dingtalk/cards/month"


def grant_cards(session: Session, wanted: int, monthly_limit: int, now: datetime, limits: tuple[PlatformLimit, ...]) -> int:
    """How many of so many cards may be pushed: `monthly_limit` a month at all, and what is left of the month of all calls; they count from now on."""
    monthly = [limit for limit in limits_of_channel("dingtalk", limits) if limit.unit == "call" and isinstance(limit.window, CalendarWindow)]
    allowances = [(CARDS_LIMIT, monthly_limit, CalendarWindow("month")), *((limit.key(), limit.usable(), limit.window) for limit in monthly)]
    return quota_rows.take(session, allowances, wanted, now)
