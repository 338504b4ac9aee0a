"""The herald of live contests: watches their clocks and calls out what is new to everybody's phone, at once and within the budgets.

It looks once a second whether any contest runs, and five times a second while one does. What matters is in rows: a clock is closed and a call is
claimed by one replica, and whom a call misses is told everything on 继续 (bot/services/contest/live_broadcast.py).
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

from bot.domain.delivery.parcel import SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit, sizes_of
from bot.domain.message import Refusal
from bot.jobs.delivery_worker import PushChannel
from bot.services.contest import live_broadcast, live_clock
from bot.services.contest.live_broadcast import LiveCall
from bot.services.delivery.plan import OpenChannels
from bot.services.delivery.send import DeliveryGroup
from bot.services.library.catalog import Catalog
from bot.storage.contest import live_state
from bot.storage.db.database import Database
from bot.storage.db.engine import DRIVER_ERRORS
from bot.storage.db.writer import Busy

log = structlog.get_logger(__name__)

T = TypeVar("T")
Note = Callable[[str, str, float], None]
Clock = Callable[[], datetime]

IDLE_INTERVAL = 1.0
ACTIVE_INTERVAL = 0.2
"""Seconds between two looks: with nothing running, and while a contest does."""
ABANDONED_AFTER = timedelta(hours=6)
"""A room that nobody has touched for so long is looked at as if nothing ran."""
MAX_CONCURRENT_CALLS = 8
"""Calls to one platform under way at a time."""
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
        self._desk, self._shelf, self._clock, self._holder, self._note = database, catalog, clock, holder, note
        self._senders = {sender.name: sender for sender in senders}
        self._doors = OpenChannels(tuple(self._senders), {}, tuple(beyond_window))
        self._limits, self._sizes = limits, sizes_of(limits)
        self._calling: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stop.is_set():
            wait = IDLE_INTERVAL
            try:
                wait = ACTIVE_INTERVAL if await self.look() else IDLE_INTERVAL
            except (Busy, *DRIVER_ERRORS) as error:
                log.warning("live contests not looked at", reason=type(error).__name__)
            except Exception:
                log.exception("the herald stumbled")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), wait)

    async def stop(self) -> None:
        """Begin nothing more; let the calls under way end."""
        self._stop.set()
        if self._calling:
            await asyncio.wait(self._calling, timeout=STOP_TIMEOUT)

    async def look(self) -> bool:
        """One look: close what has run out, decide who pressed first, call out what is new; True while a contest is on its way."""
        now = self._clock()
        moved, due_contests, calls = await self._read(lambda session: self._seen(session, now))
        for contest_id in due_contests:
            with contextlib.suppress(Refusal):  # another replica was quicker
                await self._write(lambda session, due_id=contest_id: live_clock.run_due(session, due_id, now))  # type: ignore[misc]
        if due_contests:
            calls = await self._read(lambda session: live_broadcast.pending_calls(session, self._shelf(), now))
        for call in calls:
            if await self._write(lambda session, unclaimed=call: live_broadcast.claim_call(session, unclaimed, self._holder, self._clock())):  # type: ignore[misc]
                task = asyncio.create_task(self._call(call))
                self._calling.add(task)
                task.add_done_callback(self._calling.discard)
        return moved is not None and now - moved < ABANDONED_AFTER

    def _seen(self, session: Session, now: datetime) -> tuple[datetime | None, list[int], list[LiveCall]]:
        """When anything was last moved, what is due, and what is to be said."""
        moved = live_state.last_change(session, now)
        return (
            (moved, live_clock.due_contests(session, now), live_broadcast.pending_calls(session, self._shelf(), now))
            if moved is not None
            else (None, [], [])
        )

    async def _read(self, work: Callable[[Session], T]) -> T:
        # Not on the desk's readers: a long report must not hold up a hall.
        return await asyncio.to_thread(self._desk.read_now, work)

    async def _write(self, work: Callable[[Session], T]) -> T:
        return await self._desk.write(work, of="live")

    # ── One call ──

    async def _call(self, call: LiveCall) -> None:
        try:
            groups, people = await self._read(lambda session: live_broadcast.plan_call(session, call, self._clock(), self._doors, self._sizes))
            outcomes = await asyncio.gather(*(self._on_channel(call, name, waiting) for name, waiting in groups.items()))
            sent, failed = sum(outcome[0] for outcome in outcomes), sum(outcome[1] for outcome in outcomes)
            await self._write(lambda session: live_broadcast.finish_call(session, call, self._clock(), people, sent, people - sent))
            log.info("called out", contest=call.contest_id, n=call.n, what=call.what, people=people, sent=sent, failed=failed)
        except Exception:
            log.exception("call failed", contest=call.contest_id, n=call.n, what=call.what)

    async def _on_channel(self, call: LiveCall, name: str, waiting: list[DeliveryGroup]) -> tuple[int, int]:
        """Group after group as the budgets go, while it still makes sense; how many the platform took, and how many it did not."""
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
                return await sender.push([delivery.parcel for delivery in group.ready])
            except Exception as error:
                log.exception("push failed", channel=sender.name, count=len(group.ready))
                return [SendReceipt("unknown", type(error).__name__)] * len(group.ready)


def _take_within_quota(
    groups: list[DeliveryGroup], now: datetime, limits: tuple[PlatformLimit, ...], session: Session
) -> tuple[list[DeliveryGroup], list[DeliveryGroup], datetime | None]:
    return live_broadcast.take_within_quota(session, groups, now, limits)
