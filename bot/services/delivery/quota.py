"""The quotas of the platforms: look what a limit allows, take it, give back what surely was not sent.

Everything that is sent counts here, against the same limits: what the delivery worker sends takes its share before the call, in the rows
(`take`); answers, cards and the like, which wait for no row, take theirs from `ReplicaQuota`, which is written down every second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic

from sqlmodel import Session

from bot.domain.delivery.outbound_message import M, MessageGroup
from bot.domain.delivery.platform_limits import (
    WECHAT_WINDOW,
    CalendarWindow,
    HeardWindow,
    PlatformLimit,
    SlidingWindow,
    heard_limit,
    limits_of_channel,
    message_count,
)
from bot.storage.delivery import quota as quota_rows
from bot.storage.delivery import recipients
from bot.storage.delivery.quota import QuotaRows

PERSON_LIMIT_REACHED = "达到该成员的频率上限"
WINDOW_USED_UP = "微信客服消息条数已用完，等本人再说话"
PAUSE_SECONDS = 60.0
"""Seconds a person's own limit is left alone once it is reached."""


# ── What the delivery worker sends ──


@dataclass(frozen=True, slots=True)
class QuotaShare(Generic[M]):
    """How far the quotas go for a group: who goes now, who has to wait for their own limit, who for the channel's, and until when."""

    going: tuple[M, ...]
    put_off: tuple[tuple[M, datetime, str], ...]
    rest: tuple[M, ...] = ()
    wait: datetime | None = None


@dataclass(slots=True)
class TakenGroups(Generic[M]):
    """What of some groups may be sent from now on, the groups that wait, and the moment before which there is no use in asking for more."""

    groups: list[MessageGroup[M]] = field(default_factory=list)
    remaining: list[MessageGroup[M]] = field(default_factory=list)
    wait_until: datetime | None = None


def take(
    session: Session,
    groups: Sequence[MessageGroup[M]],
    now: datetime,
    limits: tuple[PlatformLimit, ...],
    choose: Callable[[QuotaShare[M]], Sequence[M]] = lambda share: share.going,
) -> TakenGroups[M]:
    """Take what the quotas of one channel allow, group by group; `choose` says who of a share really goes."""
    taken = TakenGroups[M]()
    channel = _ChannelRows(session, groups[0].channel, now, limits)
    for position, group in enumerate(groups):
        share = channel.look(group)
        if going := tuple(choose(share)):
            channel.take(going)
            taken.groups.append(MessageGroup(group.channel, going))
        if share.wait is not None:
            taken.remaining = [*([MessageGroup(group.channel, share.rest)] if share.rest else []), *groups[position + 1 :]]
            taken.wait_until = share.wait
            break
    channel.rows.close()
    return taken


def give_back(session: Session, unsent: Sequence[M], now: datetime) -> None:
    """What WeChat surely did not send does not count against the few messages it allows."""
    for ready in unsent:
        for limit in _heard_limits(ready):
            quota_rows.give_back(session, limit.key(ready.message.to.user), limit.window, message_count(ready.message.reply), now)


class _ChannelRows:
    """The quotas of one channel in one transaction: whoever takes next, on whatever replica, sees what was taken here once they are closed."""

    def __init__(self, session: Session, channel: str, now: datetime, limits: tuple[PlatformLimit, ...]) -> None:
        self.rows = QuotaRows(session)
        self._now = now
        of_channel = limits_of_channel(channel, limits)
        self._personal = [limit for limit in of_channel if limit.per_person]
        self._common = [limit for limit in of_channel if not limit.per_person]
        counted = recipients.count_accounts(session) if any(limit.each_account for limit in of_channel) else {}
        self._accounts = counted.get(channel, 0)

    def look(self, group: MessageGroup[M]) -> QuotaShare[M]:
        messages = message_count(group.ready[0].message.reply)
        allowed, put_off = list(group.ready), []
        for limit in self._personal:
            left = self.rows.look_each(_keys(limit, allowed), limit.usable(), limit.window, self._now)
            reached = [(ready, limit) for ready, rest in zip(allowed, left, strict=True) if rest < messages]
            allowed = [ready for ready, rest in zip(allowed, left, strict=True) if rest >= messages]
            put_off += reached
        if group.channel == "wechat":
            # Beyond the window the channel goes another way.
            within = [ready for ready in allowed if not ready.beyond_window]
            reached = [(ready, limit) for ready in within for limit in _heard_limits(ready) if self._left(limit, ready) < messages]
            allowed = [ready for ready in allowed if all(ready is not waiting for waiting, _ in reached)]
            put_off += reached
        fitting, wait = self._fitting(len(allowed), messages)
        return QuotaShare(tuple(allowed[:fitting]), tuple(self._put_off(*each) for each in put_off), tuple(allowed[fitting:]), wait)

    def _left(self, limit: PlatformLimit, ready: M) -> int:
        return self.rows.look(limit.key(ready.message.to.user), limit.usable(), limit.window, self._now)

    def _put_off(self, ready: M, reached: PlatformLimit) -> tuple[M, datetime, str]:
        until = max(reached.window.next_free(self._now), self._now + timedelta(seconds=PAUSE_SECONDS))
        return ready, until, WINDOW_USED_UP if isinstance(reached.window, HeardWindow) else PERSON_LIMIT_REACHED

    def _fitting(self, people: int, messages: int) -> tuple[int, datetime | None]:
        """How many of `people` fit into the channel's own limits, and when to ask again when that is not all."""
        fitting, wait = people, None
        for limit in self._common:
            left = self.rows.look(limit.key(), limit.usable(self._accounts), limit.window, self._now)
            # A call takes all of a group or nobody; of messages as many go as there are.
            fits = people if left >= limit.usage(people, messages) else 0 if limit.unit == "call" else left // messages
            if fits < fitting:
                fitting, wait = fits, limit.window.next_free(self._now)
        return fitting, wait

    def take(self, going: Sequence[M]) -> None:
        """These go, all with the same reply."""
        messages = message_count(going[0].message.reply)
        for limit in self._common:
            self.rows.take(limit.key(), limit.window, limit.usage(len(going), messages), self._now)
        for limit in self._personal:
            self.rows.take_each(_keys(limit, going), limit.window, messages, self._now)
        if going[0].message.to.channel == "wechat":
            for ready in going:
                for limit in _heard_limits(ready):
                    self.rows.take(limit.key(ready.message.to.user), limit.window, messages, self._now)


def _keys(limit: PlatformLimit, people: Sequence[M]) -> list[str]:
    return limit.keys(ready.message.to.user for ready in people)


def _heard_limits(ready: M) -> tuple[PlatformLimit, ...]:
    return (heard_limit(ready.last_heard),) if ready.message.to.channel == "wechat" and ready.last_heard is not None else ()


# ── What is sent besides ──


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


MAX_SPACED_SECONDS = 60.0
"""Windows of at most so many seconds are waited for. An hour, a day, a month are not: nobody's answer is held back so long."""


class ReplicaQuota:
    """What one replica knows of the quotas: what the rows said a second ago, and what it has taken since. The rows are the truth."""

    def __init__(self, limits: tuple[PlatformLimit, ...]) -> None:
        self.limits = limits
        self._used: defaultdict[str, defaultdict[datetime, int]] = defaultdict(lambda: defaultdict(int))
        self._accounts: Mapping[str, int] = {}
        self._untold: list[MessageUsage] = []
        self._has_read = False

    def look(self, usage: MessageUsage, now: datetime) -> bool:
        """Whether every limit has room for it."""
        return self._free_at(limits_of_channel(usage.channel, self.limits), usage, now) is None

    def wait(self, usage: MessageUsage, now: datetime, *, of_person: bool) -> datetime | None:
        """When the person's own short limits, or those of the channel, may have room for it; None where they have."""
        short = [
            limit
            for limit in limits_of_channel(usage.channel, self.limits)
            if isinstance(limit.window, SlidingWindow) and limit.window.seconds <= MAX_SPACED_SECONDS and limit.per_person == of_person
        ]
        return None if of_person and not usage.user else self._free_at(short, usage, now)

    def take(self, usage: MessageUsage, now: datetime) -> None:
        """It is sent, whether or not there was room for it."""
        self._untold.append(usage)
        self._count(usage, now)

    def has_news(self) -> bool:
        """Whether anything is to be written down, or nothing was read yet."""
        return bool(self._untold) or not self._has_read

    def hand_over(self) -> list[MessageUsage]:
        """What was taken since the last time, to be written down; `give_back` it where that failed."""
        untold, self._untold = self._untold, []
        return untold

    def give_back(self, usages: Sequence[MessageUsage]) -> None:
        """They were not written down after all."""
        self._untold = [*usages, *self._untold]

    def update(self, used: UsedQuota, now: datetime) -> None:
        """What the rows say, and on top of it what was taken while they were written. What counts no longer is forgotten."""
        self._has_read = True
        self._accounts = used.accounts
        for name, parts in list(self._used.items()):
            for until in [until for until in parts if until <= now]:
                del parts[until]
            if not parts:
                del self._used[name]
        for name, shared in used.until.items():
            self._used[name] = defaultdict(int, shared)
        for usage in self._untold:
            self._count(usage, now, used.until)

    def _free_at(self, limits: Iterable[PlatformLimit], usage: MessageUsage, now: datetime) -> datetime | None:
        for limit in limits:
            used = sum(count for until, count in self._used.get(limit.key(usage.user), {}).items() if until > now)
            if used + usage.usage_of(limit) > limit.usable(self._accounts.get(limit.channel, 0)):
                return limit.window.next_free(now)
        return None

    def _count(self, usage: MessageUsage, now: datetime, only: Collection[str] | None = None) -> None:
        for limit in limits_of_channel(usage.channel, self.limits):
            name = limit.key(usage.user)
            if (only is None or name in only) and (usage.user or not limit.per_person):
                self._used[name][limit.window.ends(limit.window.start(now))] += usage.usage_of(limit)


def record_usage(session: Session, usages: Iterable[MessageUsage], now: datetime, limits: tuple[PlatformLimit, ...]) -> UsedQuota:
    """Write down what was sent, whether or not there was room for it; then what all replicas have used of the limits that it touched."""
    rows = QuotaRows(session)
    touched = {limit.key(): limit for limit in limits if not limit.per_person}
    for usage in _sums(usages):
        for limit in limits_of_channel(usage.channel, limits):
            if not limit.per_person or usage.user:
                rows.take(limit.key(usage.user), limit.window, usage.usage_of(limit), now)
                touched[limit.key(usage.user)] = limit
        if usage.channel == "wechat" and usage.messages:
            heard = recipients.last_heard(session, usage.channel, usage.user)
            if heard is not None and now - heard < WECHAT_WINDOW:
                limit = heard_limit(heard)
                rows.take(limit.key(usage.user), limit.window, usage.messages, now)
    rows.close()
    used_until: dict[str, dict[datetime, int]] = {name: {} for name in touched}
    for name, began, used in quota_rows.used_by_part(session, {name: limit.window for name, limit in touched.items()}, now):
        used_until[name][touched[name].window.ends(began)] = used
    return UsedQuota(used_until, recipients.count_accounts(session))


def _sums(usages: Iterable[MessageUsage]) -> list[MessageUsage]:
    sums: defaultdict[tuple[str, str, bool], list[int]] = defaultdict(lambda: [0, 0])
    for usage in usages:
        total = sums[usage.channel, usage.user, usage.granted]
        total[0] += usage.calls
        total[1] += usage.messages
    return [MessageUsage(channel, user, calls, messages, granted) for (channel, user, granted), (calls, messages) in sums.items()]


CARDS_LIMIT = "dingtalk/cards/month"


def grant_cards(session: Session, wanted: int, monthly_limit: int, now: datetime, limits: tuple[PlatformLimit, ...]) -> int:
    """How many of so many cards may be pushed: `monthly_limit` a month at all, and what is left of the month of all calls; they count from now on."""
    monthly = [limit for limit in limits_of_channel("dingtalk", limits) if limit.unit == "call" and isinstance(limit.window, CalendarWindow)]
    allowances = [(CARDS_LIMIT, monthly_limit, CalendarWindow("month")), *((limit.key(), limit.usable(), limit.window) for limit in monthly)]
    return quota_rows.take(session, allowances, wanted, now)
