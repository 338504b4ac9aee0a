"""What the platforms allow, row by row with the page it is documented on, and the share of it that the house uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Literal

from bot.domain.message import Reply, lettered
from bot.domain.times import day_of, end_of, start_of

SHARE = Fraction(4, 5)
"""Never more than 80 % of what is documented (bot/docs/reliability.md O3): other tools of the agency use the same limits."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXT_BYTES = 2048


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """Any stretch of so many seconds. It is counted in parts; so many and the one under way are held together, whatever the platform's clock."""

    seconds: float
    parts: int = 20

    @property
    def part(self) -> timedelta:
        return timedelta(seconds=self.seconds / self.parts)

    def began(self, now: datetime) -> datetime:
        return _EPOCH + (now - _EPOCH) // self.part * self.part

    def since(self, now: datetime) -> datetime:
        return self.began(now) - self.parts * self.part

    def freed(self, now: datetime) -> datetime:
        """When the oldest part counted now is over for good."""
        return self.began(now) + self.part

    def ends(self, began: datetime) -> datetime:
        """Until when the part that began then counts."""
        return began + (self.parts + 1) * self.part


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """A day or a month of Asia/Shanghai, as the platforms count their quotas."""

    unit: Literal["day", "month"]

    def began(self, now: datetime) -> datetime:
        today = day_of(now)
        return start_of(today if self.unit == "day" else today.replace(day=1)).astimezone(UTC)

    def since(self, now: datetime) -> datetime:
        return self.began(now)

    def freed(self, now: datetime) -> datetime:
        today = day_of(now)
        if self.unit == "day":
            return end_of(today).astimezone(UTC)
        return start_of((today.replace(day=28) + timedelta(days=4)).replace(day=1)).astimezone(UTC)

    def ends(self, began: datetime) -> datetime:
        return self.freed(began)


Window = SlidingWindow | CalendarWindow


@dataclass(frozen=True, slots=True)
class PlatformLimit:
    """One documented limit. `unit` is what it counts: calls to the API, or messages to a person; `each_account` multiplies by the accounts bound.

    `at_once` is how many people get the same in one call, `beside` how many more calls go with each of those.
    """

    channel: str
    name: str
    unit: Literal["call", "message"]
    most: int
    window: Window
    page: str
    per_person: bool = False
    each_account: bool = False
    at_once: int = 1
    beside: int = 0

    @property
    def title(self) -> str:
        """How settings name it."""
        return f"{self.channel}/{self.name}"

    def key(self, user: str = "") -> str:
        """The name of its row."""
        return f"{self.title}/{user.lower()}" if self.per_person else self.title

    def room(self, accounts: int = 1) -> int:
        """How much of it the house uses, of `accounts` bound on the channel."""
        return int(self.most * SHARE) * (max(accounts, 1) if self.each_account else 1)

    def taken(self, people: int, messages: int = 1) -> int:
        """What `messages` to each of `people`, the same for all, take of it at most."""
        return people * messages if self.unit == "message" else -(-people // self.at_once) * (messages + self.beside)


A_CALL: Mapping[str, int] = {"wecom": 1000, "dingtalk": 20, "zwding": 100, "wechat": 1, "local": 100}
"""People who can get the same thing in one call (the local page has no call)."""

_DOCUMENTED: tuple[PlatformLimit, ...] = (
    PlatformLimit("wecom", "corp/minute", "call", 10_000, SlidingWindow(60), "wecom-limits"),
    PlatformLimit("wecom", "corp/hour", "call", 150_000, SlidingWindow(3600), "wecom-limits"),
    PlatformLimit("wecom", "app/day", "message", 200, CalendarWindow("day"), "wecom-limits", each_account=True),
    PlatformLimit("wecom", "person/minute", "message", 30, SlidingWindow(60, 2), "wecom-limits", per_person=True),
    PlatformLimit("wecom", "person/hour", "message", 1000, SlidingWindow(3600, 4), "wecom-limits", per_person=True),
    PlatformLimit("dingtalk", "app/second", "call", 20, SlidingWindow(1), "dingtalk-limits"),
    PlatformLimit("dingtalk", "ip/20s", "call", 10_000, SlidingWindow(20), "dingtalk-limits"),
    PlatformLimit("dingtalk", "app/minute", "message", 5_000, SlidingWindow(60), "dingtalk-notification"),
    PlatformLimit("dingtalk", "corp/month", "call", 5_000, CalendarWindow("month"), "dingtalk-limits"),
    PlatformLimit("dingtalk", "person/day", "message", 500, CalendarWindow("day"), "dingtalk-notification", per_person=True),
    PlatformLimit("wechat", "app/day", "call", 100_000, CalendarWindow("day"), "wechat-push"),
    # Nothing is documented for 浙政钉 (D): DingTalk's figures, until a tenant says otherwise.
    PlatformLimit("zwding", "app/second", "call", 20, SlidingWindow(1), "D"),
)

LIMITS: tuple[PlatformLimit, ...] = tuple(replace(limit, at_once=A_CALL[limit.channel]) for limit in _DOCUMENTED)
"""Sections of bot/docs/protocols.md; the 48 hours of WeChat are `WECHAT_HOURS` and `WECHAT_MESSAGES`, since they count from what a person says."""

WECHAT_HOURS = timedelta(hours=48)
WECHAT_MESSAGES = int(5 * SHARE)
"""Customer-service messages after each message of a person (bot/docs/protocols.md#wechat-customer-service)."""

NOTIFIED, LOOKS = 100, 2
"""People in one work notification of DingTalk, and how often is asked afterwards what became of it (bot/docs/protocols.md#dingtalk-notification)."""


def limits_with(most: Mapping[str, int], notifications: bool = False) -> tuple[PlatformLimit, ...]:
    """The table with what an agency has bought or agreed by title, and with DingTalk's work notifications in place of its robot."""
    limits = (replace(limit, most=most.get(limit.title, limit.most)) for limit in LIMITS)
    return tuple(_notified(limit) if notifications and limit.channel == "dingtalk" else limit for limit in limits)


def _notified(limit: PlatformLimit) -> PlatformLimit:
    # What became of a notification is asked of another API: it counts where all calls count together.
    return replace(limit, at_once=NOTIFIED, beside=LOOKS if limit.name in ("corp/month", "ip/20s") else 0)


def sizes_of(limits: tuple[PlatformLimit, ...]) -> Mapping[str, int]:
    """How many people get the same in one call, by channel."""
    return {**A_CALL, **{limit.channel: limit.at_once for limit in limits}}


def of_channel(channel: str, limits: tuple[PlatformLimit, ...] = LIMITS) -> tuple[PlatformLimit, ...]:
    return tuple(limit for limit in limits if limit.channel == channel)


def weight(reply: Reply) -> int:
    """How many messages a reply may become for one person at most: its pieces, and the card beside them."""
    texts = -(-len(lettered(reply).encode()) // TEXT_BYTES) or 1
    return texts + (1 if reply.ask is not None or reply.buttons else 0)
