"""The quota of what is sent outside the delivery worker (late answers, cards beside answers): taken in turn, and written down every second.

No answer waits for a row. What has to be said is spaced, so that a platform's seconds and minutes are kept; what may be left out is left out
when a limit is reached (`look`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.delivery.platform_limits import PlatformLimit
from bot.logs import get_logger
from bot.services.delivery import quota
from bot.services.delivery.quota import MessageUsage, ReplicaQuota
from bot.storage.db.commits import Busy
from bot.storage.db.database import Database

log = get_logger(__name__)

FLUSH_EVERY = timedelta(seconds=1)
MAX_WAIT = timedelta(minutes=5)
"""How long an answer waits for its turn at most. Then it goes, and the platform may say no."""

Clock = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ChannelQuota:
    """What a channel is handed (bot/channels/base.py, `Quota`)."""

    replies: ReplyQuota
    channel: str

    def look(self, user: str) -> bool:
        return self.replies.look(self.channel, user)

    async def take(self, user: str, *, calls: int = 1, messages: int = 1, granted: bool = False) -> None:
        await self.replies.take(MessageUsage(self.channel, user, calls, messages, granted))


class ReplyQuota:
    """One a replica, over what it knows of the quotas."""

    def __init__(self, database: Database, clock: Clock, limits: tuple[PlatformLimit, ...], sleep: Sleep = asyncio.sleep) -> None:
        self._database = database
        self._clock = clock
        self._quota = ReplicaQuota(limits)
        self._sleep = sleep
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def for_channel(self, channel: str) -> ChannelQuota:
        return ChannelQuota(self, channel)

    def look(self, channel: str, user: str) -> bool:
        """Whether one more message, which could as well be left out, has room in every limit."""
        return self._quota.look(MessageUsage(channel, user, 1, 1), self._clock())

    async def take(self, usage: MessageUsage) -> None:
        """Wait for a turn, and count. A person's own limit keeps that person waiting; a channel's is kept in the order of asking."""
        until = self._clock() + MAX_WAIT
        await self._wait_for_room(usage, until, of_person=True)
        async with self._locks[usage.channel]:
            await self._wait_for_room(usage, until, of_person=False)
            self._quota.take(usage, self._clock())

    async def _wait_for_room(self, usage: MessageUsage, until: datetime, *, of_person: bool) -> None:
        while (free_at := self._quota.wait(usage, self._clock(), of_person=of_person)) is not None and self._clock() < until:
            await self._sleep(max((free_at - self._clock()).total_seconds(), 0.01))

    async def flush(self) -> None:
        """Write down what was said since the last time, and see what all replicas have used. A busy database hears of it the next time."""
        if not self._quota.has_news():
            return
        usages, now = self._quota.hand_over(), self._clock()
        try:
            # The delivery worker's key: on PostgreSQL they meet one writer and never wait for each other crosswise.
            used = await self._database.write(lambda session: quota.record_usage(session, usages, now, self._quota.limits), of="delivery")
        except Exception as error:
            self._quota.give_back(usages)
            if isinstance(error, Busy):
                log.warning("said and not counted yet", reason=str(error), count=len(usages))
            else:
                log.exception("said and not counted")
        else:
            self._quota.update(used, now)
