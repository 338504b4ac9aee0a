"""The live broadcaster: runs the clocks of live contests and sends what is new to all phones, within the platforms' quotas.

It polls once a second while no contest runs, and five times a second while one does. All state is in rows: one replica closes a clock and claims
a call, and a participant whom a call misses catches up with 继续 (bot/services/contest/live_broadcast.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlmodel import Session

from bot.domain.delivery.outbound_message import SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit, batch_sizes
from bot.domain.message import Refusal
from bot.jobs.delivery_worker import PushChannel
from bot.services.contest import live_broadcast, live_clock
from bot.services.contest.live_broadcast import LiveCall
from bot.services.delivery.plan import DeliveryGroup, OpenChannels
from bot.services.library.catalog import Catalog
from bot.storage.contest import live_state
from bot.storage.db.database import Database

log = structlog.get_logger(__name__)

T = TypeVar("T")
Note = Callable[[str, str, float], None]
Clock = Callable[[], datetime]

IDLE_INTERVAL = 1.0
ACTIVE_INTERVAL = 0.2
"""Seconds between two looks: with nothing running, and while a contest does."""
ABANDONED_AFTER = timedelta(hours=6)
"""A live contest without a change for so long is polled at the idle interval."""
MAX_CONCURRENT_CALLS = 8
"""Concurrent calls to one platform."""
STOP_TIMEOUT = 4.0


class LiveBroadcaster:
    """One a replica."""

    def __init__(
        self,
        database: Database,
        catalog: Callable[[], Catalog],
        senders: Sequence[PushChannel],
        *,
        clock: Clock,
        holder: str,
        note: Note,
        beyond_window: Sequence[str] = (),
        limits: tuple[PlatformLimit, ...] = LIMITS,
    ) -> None:
        self._database, self._catalog, self._clock, self._holder, self._note = database, catalog, clock, holder, note
        self._senders = {sender.name: sender for sender in senders}
        self._channels = OpenChannels(tuple(self._senders), {}, tuple(beyond_window))
        self._limits, self._sizes = limits, batch_sizes(limits)
        self._calling: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stop.is_set():
            wait = IDLE_INTERVAL
            try:
                wait = ACTIVE_INTERVAL if await self.look() else IDLE_INTERVAL
            except DATABASE_AWAY as error:
                log.warning("live contests not looked at", reason=type(error).__name__)
            except Exception:
                log.exception("live broadcaster failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), wait)

    async def stop(self) -> None:
        """Start no more calls, and wait for those under way."""
        self._stop.set()
        if self._calling:
            await asyncio.wait(self._calling, timeout=STOP_TIMEOUT)

    async def look(self) -> bool:
        """One poll: close questions past their deadline, decide buzzers, send new calls; True while a contest is active."""
        now = self._clock()
        moved, due_contests, calls = await self._read(lambda session: self._seen(session, now))
        for contest_id in due_contests:
            with contextlib.suppress(Refusal):  # another replica was quicker
                await self._write(lambda session, due_id=contest_id: live_clock.run_due(session, due_id, now))  # type: ignore[misc]
        if due_contests:
            calls = await self._read(lambda session: live_broadcast.pending_calls(session, self._catalog(), now))
        for call in calls:
            if await self._write(lambda session, unclaimed=call: live_broadcast.claim_call(session, unclaimed, self._holder, self._clock())):  # type: ignore[misc]
                task = asyncio.create_task(self._call(call))
                self._calling.add(task)
                task.add_done_callback(self._calling.discard)
        return moved is not None and now - moved < ABANDONED_AFTER

    def _seen(self, session: Session, now: datetime) -> tuple[datetime | None, list[int], list[LiveCall]]:
        """(last change, contests with a due step, calls to send)."""
        moved = live_state.last_change(session, now)
        return (
            (moved, live_clock.due_contests(session, now), live_broadcast.pending_calls(session, self._catalog(), now))
            if moved is not None
            else (None, [], [])
        )

    async def _read(self, work: Callable[[Session], T]) -> T:
        # Not on the database's reader pool: a long report must not delay a live contest.
        return await asyncio.to_thread(self._database.read_now, work)

    async def _write(self, work: Callable[[Session], T]) -> T:
        return await self._database.write(work, of="live")

    # ── One call ──

    async def _call(self, call: LiveCall) -> None:
        try:
            groups, people = await self._read(lambda session: live_broadcast.plan_call(session, call, self._clock(), self._channels, self._sizes))
            outcomes = await asyncio.gather(*(self._on_channel(call, name, waiting) for name, waiting in groups.items()))
            sent, failed = sum(outcome[0] for outcome in outcomes), sum(outcome[1] for outcome in outcomes)
            await self._write(lambda session: live_broadcast.finish_call(session, call, self._clock(), people, sent, people - sent))
            log.info("called out", contest=call.contest_id, n=call.n, what=call.kind, people=people, sent=sent, failed=failed)
        except Exception:
            log.exception("call failed", contest=call.contest_id, n=call.n, what=call.kind)

    async def _on_channel(self, call: LiveCall, name: str, waiting: list[DeliveryGroup]) -> tuple[int, int]:
        """Send group after group within the quota, while the call is current; (accepted by the platform, not accepted)."""
        semaphore, sent, failed = asyncio.Semaphore(MAX_CONCURRENT_CALLS), 0, 0
        while waiting:
            now = self._clock()
            sendable, waiting, resume_at = await self._write(partial(_take_within_quota, waiting, now, self._limits))
            receipts = await asyncio.gather(*(self._push(semaphore, self._senders[name], group) for group in sendable))
            accepted = sum(receipt.outcome == "sent" for batch in receipts for receipt in batch)
            sent, failed = sent + accepted, failed + sum(len(batch) for batch in receipts) - accepted
            if resume_at is None or self._stop.is_set():
                break
            await asyncio.sleep(max(0.01, (resume_at - self._clock()).total_seconds()))
            if not await self._read(lambda session: live_broadcast.is_current(session, call)):
                break
        return sent, failed + sum(len(group.ready) for group in waiting)

    async def _push(self, semaphore: asyncio.Semaphore, sender: PushChannel, group: DeliveryGroup) -> Sequence[SendReceipt]:
        async with semaphore:
            try:
                return await sender.push([delivery.message for delivery in group.ready])
            except Exception as error:
                log.exception("push failed", channel=sender.name, count=len(group.ready))
                return [SendReceipt("unknown", type(error).__name__)] * len(group.ready)


def _take_within_quota(
    groups: list[DeliveryGroup], now: datetime, limits: tuple[PlatformLimit, ...], session: Session
) -> tuple[list[DeliveryGroup], list[DeliveryGroup], datetime | None]:
    return live_broadcast.take_within_quota(session, groups, now, limits)
