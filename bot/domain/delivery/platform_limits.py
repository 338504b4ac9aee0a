"""The documented rate limits of the platforms, each with its page, and the share of them that the service uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Literal

from bot.domain.message import Reply, plain_text
from bot.domain.times import day_of, end_of, start_of

USED_SHARE = Fraction(4, 5)
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

    def start(self, now: datetime) -> datetime:
        return _EPOCH + (now - _EPOCH) // self.part * self.part

    def since(self, now: datetime) -> datetime:
        return self.start(now) - self.parts * self.part

    def next_free(self, now: datetime) -> datetime:
        """When the oldest part counted now is over for good."""
        return self.start(now) + self.part

    def ends(self, began: datetime) -> datetime:
        """Until when the part that began then counts."""
        return began + (self.parts + 1) * self.part


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """A day or a month of Asia/Shanghai, as the platforms count their quotas."""

    unit: Literal["day", "month"]

    def start(self, now: datetime) -> datetime:
        today = day_of(now)
        return start_of(today if self.unit == "day" else today.replace(day=1)).astimezone(UTC)

    def since(self, now: datetime) -> datetime:
        return self.start(now)

    def next_free(self, now: datetime) -> datetime:
        today = day_of(now)
        if self.unit == "day":
            return end_of(today).astimezone(UTC)
        return start_of((today.replace(day=28) + timedelta(days=4)).replace(day=1)).astimezone(UTC)

    def ends(self, began: datetime) -> datetime:
        return self.next_free(began)


@dataclass(frozen=True, slots=True)
class HeardWindow:
    """WeChat's 48 hours: they count from what the person said last, and begin anew with every word."""

    heard: datetime

    def start(self, now: datetime) -> datetime:
        return self.heard

    def since(self, now: datetime) -> datetime:
        return self.heard

    def next_free(self, now: datetime) -> datetime:
        """Nobody knows when the person speaks again."""
        return now + timedelta(hours=1)

    def ends(self, began: datetime) -> datetime:
        return began + WECHAT_WINDOW


Window = SlidingWindow | CalendarWindow | HeardWindow


@dataclass(frozen=True, slots=True)
class PlatformLimit:
    """One documented limit. `unit` is what it counts: calls to the API, or messages to a person; `each_account` multiplies by the accounts bound.

    `people_per_call` is how many people get the same in one call, `extra_calls` how many more calls go with each of those.
    """

    channel: str
    name: str
    unit: Literal["call", "message"]
    allowed: int
    window: Window
    page: str
    per_person: bool = False
    each_account: bool = False
    people_per_call: int = 1
    extra_calls: int = 0

    @property
    def title(self) -> str:
        """How settings name it."""
        return f"{self.channel}/{self.name}"

    def key(self, user: str = "") -> str:
        """The name of its row. Members' names are the same in capitals; the names of WeChat's followers are not."""
        if not self.per_person:
            return self.title
        return f"{self.title}/{user if isinstance(self.window, HeardWindow) else user.lower()}"

    def keys(self, users: Iterable[str]) -> list[str]:
        """The names of the rows of many people."""
        beginning = f"{self.title}/"
        return [beginning + user.lower() for user in users] if self.per_person else [self.title for _ in users]

    def usable(self, accounts: int = 1) -> int:
        """How much of it the service may use, with `accounts` bound on the channel."""
        return int(self.allowed * USED_SHARE) * (max(accounts, 1) if self.each_account else 1)

    def usage(self, people: int, messages: int = 1) -> int:
        """What `messages` to each of `people`, the same for all, take of it at most."""
        return people * messages if self.unit == "message" else -(-people // self.people_per_call) * (messages + self.extra_calls)


PEOPLE_PER_CALL: Mapping[str, int] = {"wecom": 1000, "dingtalk": 20, "zwding": 100, "wechat": 1, "local": 100}
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

LIMITS: tuple[PlatformLimit, ...] = tuple(replace(limit, people_per_call=PEOPLE_PER_CALL[limit.channel]) for limit in _DOCUMENTED)
"""Sections of bot/docs/protocols.md; the 48 hours of WeChat are `heard_limit`, since they count from what a person says."""

WECHAT_WINDOW = timedelta(hours=48)


def heard_limit(heard: datetime) -> PlatformLimit:
    """Customer-service messages after each message of a person (bot/docs/protocols.md#wechat-customer-service)."""
    return PlatformLimit("wechat", "person/window", "message", 5, HeardWindow(heard), "wechat-customer-service", per_person=True)


NOTIFICATION_PEOPLE, NOTIFICATION_QUERIES = 100, 2
"""People in one work notification of DingTalk, and how often is asked afterwards what became of it (bot/docs/protocols.md#dingtalk-notification)."""


def limits_with(allowed: Mapping[str, int], notifications: bool = False) -> tuple[PlatformLimit, ...]:
    """The table with what an agency has bought or agreed by title, and with DingTalk's work notifications in place of its robot."""
    limits = (replace(limit, allowed=allowed.get(limit.title, limit.allowed)) for limit in LIMITS)
    return tuple(_as_notification(limit) if notifications and limit.channel == "dingtalk" else limit for limit in limits)


def _as_notification(limit: PlatformLimit) -> PlatformLimit:
    # What became of a notification is asked of another API: it counts where all calls count together.
    return replace(limit, people_per_call=NOTIFICATION_PEOPLE, extra_calls=NOTIFICATION_QUERIES if limit.name in ("corp/month", "ip/20s") else 0)


def batch_sizes(limits: tuple[PlatformLimit, ...]) -> Mapping[str, int]:
    """How many people get the same in one call, by channel."""
    return {**PEOPLE_PER_CALL, **{limit.channel: limit.people_per_call for limit in limits}}


def limits_of_channel(channel: str, limits: tuple[PlatformLimit, ...] = LIMITS) -> tuple[PlatformLimit, ...]:
    return tuple(limit for limit in limits if limit.channel == channel)


def message_count(reply: Reply) -> int:
    """How many messages a reply may become for one person at most: its pieces, and the card beside them."""
    texts = -(-len(plain_text(reply).encode()) // TEXT_BYTES) or 1
    return texts + (1 if reply.card is not None or reply.buttons else 0)
