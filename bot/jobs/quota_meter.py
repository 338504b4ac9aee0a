"""Counts what is sent outside the delivery worker (late answers, cards beside answers) and writes it down every second.

No answer waits for a row. What has to be said is spaced, so that a platform's seconds and minutes are kept; what may be left out is left out
when a limit is reached.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Container, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit, SlidingWindow, limits_of_channel
from bot.services.delivery import quota
from bot.services.delivery.quota import MessageUsage, UsedQuota
from bot.storage.db.database import Database

log = structlog.get_logger(__name__)

FLUSH_EVERY = timedelta(seconds=1)
MAX_SPACED_SECONDS = 60.0
"""Windows of at most so many seconds are waited for. An hour, a day, a month are not: nobody's answer is held back so long."""
MAX_WAIT = timedelta(minutes=5)
"""How long an answer waits for its turn at most. Then it goes, and the platform may say no."""

Clock = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ChannelQuota:
    """What a channel is handed (bot/channels/base.py, `Spending`)."""

    meter: QuotaMeter
    channel: str

    def may(self, user: str) -> bool:
        return self.meter.may(self.channel, user)

    async def spend(self, user: str, *, calls: int = 1, messages: int = 1, granted: bool = False) -> None:
        await self.meter.spend(MessageUsage(self.channel, user, calls, messages, granted))


class QuotaMeter:
    """One a replica. The rows are the truth; here is what they said a second ago, and what this replica has said since."""

    def __init__(self, database: Database, clock: Clock, limits: tuple[PlatformLimit, ...] = LIMITS, sleep: Sleep = asyncio.sleep) -> None:
        self._database = database
        self._clock = clock
        self._limits = {channel: limits_of_channel(channel, limits) for channel in {limit.channel for limit in limits}}
        self._all = limits
        self._sleep = sleep
        self._used: defaultdict[str, defaultdict[datetime, int]] = defaultdict(lambda: defaultdict(int))
        self._accounts: dict[str, int] = {}
        self._unwritten: list[MessageUsage] = []
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._has_read = False

    def for_channel(self, channel: str) -> ChannelQuota:
        return ChannelQuota(self, channel)

    def may(self, channel: str, user: str) -> bool:
        """Whether one more message, which could as well be left out, has room in every limit."""
        return self._free_at(self._limits.get(channel, ()), MessageUsage(channel, user, 1, 1)) is None

    async def spend(self, usage: MessageUsage) -> None:
        """Wait for a turn, and count. A person's own limit keeps that person waiting; a channel's is kept in the order of asking."""
        short_limits = [
            limit
            for limit in self._limits.get(usage.channel, ())
            if isinstance(limit.window, SlidingWindow) and limit.window.seconds <= MAX_SPACED_SECONDS
        ]
        until = self._clock() + MAX_WAIT
        await self._wait_for_room([limit for limit in short_limits if limit.per_person and usage.user], usage, until)
        async with self._locks[usage.channel]:
            await self._wait_for_room([limit for limit in short_limits if not limit.per_person], usage, until)
            self._unwritten.append(usage)
            self._count(usage)

    async def _wait_for_room(self, limits: Iterable[PlatformLimit], usage: MessageUsage, until: datetime) -> None:
        while (free_at := self._free_at(limits, usage)) is not None and self._clock() < until:
            await self._sleep(max((free_at - self._clock()).total_seconds(), 0.01))

    def _free_at(self, limits: Iterable[PlatformLimit], usage: MessageUsage) -> datetime | None:
        """When the first limit that has no room for it may have some again; None while all have."""
        now = self._clock()
        for limit in limits:
            used = sum(count for until, count in self._used.get(limit.key(usage.user), {}).items() if until > now)
            if used + usage.usage_of(limit) > limit.usable(self._accounts.get(limit.channel, 0)):
                return limit.window.next_free(now)
        return None

    def _count(self, usage: MessageUsage, only: Container[str] | None = None) -> None:
        now = self._clock()
        for limit in self._limits.get(usage.channel, ()):
            name = limit.key(usage.user)
            if (only is None or name in only) and (usage.user or not limit.per_person):
                self._used[name][limit.window.ends(limit.window.start(now))] += usage.usage_of(limit)

    async def flush(self) -> None:
        """Write down what was said since the last time, and see what all replicas have used. A busy database hears of it the next time."""
        if self._has_read and not self._unwritten:
            return
        unwritten, self._unwritten = self._unwritten, []
        now = self._clock()
        try:
            # The delivery worker's key: on PostgreSQL they meet one writer and never wait for each other crosswise.
            used = await self._database.write(lambda session: quota.record_usage(session, _sum_usages(unwritten), now, self._all), of="delivery")
        except Exception as error:
            self._unwritten = unwritten + self._unwritten
            if isinstance(error, DATABASE_AWAY):
                log.warning("said and not counted yet", reason=str(error).partition("\n")[0], count=len(unwritten))
            else:
                log.exception("said and not counted")
        else:
            self._take_over(used, now)

    def _take_over(self, used: UsedQuota, now: datetime) -> None:
        """What the rows say, and on top of it what was said while they were written. What counts no longer is forgotten."""
        self._has_read = True
        self._accounts = dict(used.accounts)
        for parts in self._used.values():
            for until in [usage for usage in parts if usage <= now]:
                del parts[until]
        for name in [name for name, parts in self._used.items() if not parts]:
            del self._used[name]
        for name, shared in used.until.items():
            self._used[name] = defaultdict(int, shared)
        for usage in self._unwritten:
            self._count(usage, used.until)


def _sum_usages(usages: Iterable[MessageUsage]) -> list[MessageUsage]:
    sums: defaultdict[tuple[str, str, bool], list[int]] = defaultdict(lambda: [0, 0])
    for usage in usages:
        total = sums[usage.channel, usage.user, usage.granted]
        total[0] += usage.calls
        total[1] += usage.messages
    return [MessageUsage(channel, user, calls, messages, granted) for (channel, user, granted), (calls, messages) in sums.items()]
