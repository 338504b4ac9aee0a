"""What is said outside the courier counts against the same limits as what the courier says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.delivery.platform_limits import WECHAT_HOURS, CalendarWindow, PlatformLimit, of_channel
from bot.storage.delivery import quota, recipients
from bot.storage.delivery.quota import QuotaAccount


@dataclass(frozen=True, slots=True)
class SpokenCount:
    """So many calls and messages to one person; nobody's name where a call concerns no person. `granted`: the day and the month have it already."""

    channel: str
    user: str
    calls: int
    messages: int
    granted: bool = False

    def of(self, limit: PlatformLimit) -> int:
        """What it takes of a limit."""
        if self.granted and isinstance(limit.window, CalendarWindow):
            return 0
        return self.calls if limit.unit == "call" else self.messages


@dataclass(frozen=True, slots=True)
class UsedQuota:
    """By the names of rows: how much counts until when; and how many accounts each channel has."""

    until: Mapping[str, Mapping[datetime, int]]
    accounts: Mapping[str, int]


def count(session: Session, said: Sequence[SpokenCount], now: datetime, limits: tuple[PlatformLimit, ...]) -> UsedQuota:
    """Write down what was said, whether or not there was room for it; then what all replicas have used of the limits that it touched."""
    purse = QuotaAccount(session)
    rows = {limit.key(): limit for limit in limits if not limit.per_person}
    for one in said:
        for limit in of_channel(one.channel, limits):
            if not limit.per_person or one.user:
                purse.spend(limit.key(one.user), limit.window, one.of(limit), now)
                rows[limit.key(one.user)] = limit
        if one.channel == "wechat" and one.messages:
            heard = quota.last_heard(session, one.channel, one.user)
            if heard is not None and now - heard < WECHAT_HOURS:
                quota.spend_since_heard(session, one.user, heard, one.messages)
    purse.close()
    found: dict[str, dict[datetime, int]] = {name: {} for name in rows}
    for name, began, used in quota.parts(session, {name: limit.window for name, limit in rows.items()}, now):
        found[name][rows[name].window.ends(began)] = used
    return UsedQuota(found, recipients.accounts_on(session))


CARDS = "dingtalk/cards/month"


def grant_cards(session: Session, wanted: int, most: int, now: datetime, limits: tuple[PlatformLimit, ...]) -> int:
    """How many of so many cards may be pushed: `most` a month at all, and what is left of the month of all calls; they count from now on."""
    purse = QuotaAccount(session)
    month = [limit for limit in of_channel("dingtalk", limits) if limit.unit == "call" and isinstance(limit.window, CalendarWindow)]
    rooms = [(CARDS, most, CalendarWindow("month")), *((limit.key(), limit.room(), limit.window) for limit in month)]
    granted = min([wanted, *(purse.left(name, room, window, now) for name, room, window in rooms)])
    for name, _, window in rooms:
        purse.spend(name, window, granted, now)
    purse.close()
    return granted
