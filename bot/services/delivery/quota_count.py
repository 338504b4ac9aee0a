"""Counts what is sent outside the delivery worker (answers, cards) against the same limits as what the worker sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.delivery.platform_limits import WECHAT_WINDOW, CalendarWindow, PlatformLimit, limits_of_channel
from bot.storage.delivery import quota, recipients, wechat_window
from bot.storage.delivery.quota import QuotaAccount


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
    account = QuotaAccount(session)
    touched = {limit.key(): limit for limit in limits if not limit.per_person}
    for usage in counts:
        for limit in limits_of_channel(usage.channel, limits):
            if not limit.per_person or usage.user:
                account.spend(limit.key(usage.user), limit.window, usage.usage_of(limit), now)
                touched[limit.key(usage.user)] = limit
        if usage.channel == "wechat" and usage.messages:
            heard = wechat_window.last_heard(session, usage.channel, usage.user)
            if heard is not None and now - heard < WECHAT_WINDOW:
                quota.spend_since_heard(session, usage.user, heard, usage.messages)
    account.close()
    used_until: dict[str, dict[datetime, int]] = {name: {} for name in touched}
    for name, began, used in quota.used_by_part(session, {name: limit.window for name, limit in touched.items()}, now):
        used_until[name][touched[name].window.ends(began)] = used
    return UsedQuota(used_until, recipients.count_accounts(session))


CARDS_LIMIT = "dingtalk/cards/month"


def grant_cards(session: Session, wanted: int, monthly_limit: int, now: datetime, limits: tuple[PlatformLimit, ...]) -> int:
    """How many of so many cards may be pushed: `monthly_limit` a month at all, and what is left of the month of all calls; they count from now on."""
    account = QuotaAccount(session)
    monthly = [limit for limit in limits_of_channel("dingtalk", limits) if limit.unit == "call" and isinstance(limit.window, CalendarWindow)]
    allowances = [(CARDS_LIMIT, monthly_limit, CalendarWindow("month")), *((limit.key(), limit.usable(), limit.window) for limit in monthly)]
    granted = min([wanted, *(account.left(name, usable, window, now) for name, usable, window in allowances)])
    for name, _, window in allowances:
        account.spend(name, window, granted, now)
    account.close()
    return granted
