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

from bot.domain.delivery.outbound_message import SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit, batch_sizes
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

IDLE = 1.0
WATCH = 0.2
"""Seconds between two looks: with nothing running, and while a contest does."""
FORGOTTEN = timedelta(hours=6)
"""A room that nobody has touched for so long is looked at as if nothing ran."""
AT_ONCE = 8
"""Calls to one platform under way at a time."""
END = 4.0


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
        self._limits, self._sizes = limits, batch_sizes(limits)
        self._calling: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stop.is_set():
            wait = IDLE
            try:
                wait = WATCH if await self.look() else IDLE
            except (Busy, *DRIVER_ERRORS) as wrong:
                log.warning("live contests not looked at", reason=type(wrong).__name__)
            except Exception:
                log.exception("the herald stumbled")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), wait)

    async def stop(self) -> None:
        """Begin nothing more; let the calls under way end."""
        self._stop.set()
        if self._calling:
            await asyncio.wait(self._calling, timeout=END)

    async def look(self) -> bool:
        """One look: close what has run out, decide who pressed first, call out what is new; True while a contest is on its way."""
        now = self._clock()
        moved, due, owed = await self._read(lambda session: self._seen(session, now))
        for contest_id in due:
            with contextlib.suppress(Refusal):  # another replica was quicker
                await self._write(lambda session, one=contest_id: live_clock.run(session, one, now))  # type: ignore[misc]
        if due:
            owed = await self._read(lambda session: live_broadcast.owed(session, self._shelf(), now))
        for call in owed:
            if await self._write(lambda session, one=call: live_broadcast.claim(session, one, self._holder, self._clock())):  # type: ignore[misc]
                task = asyncio.create_task(self._call(call))
                self._calling.add(task)
                task.add_done_callback(self._calling.discard)
        return moved is not None and now - moved < FORGOTTEN

    def _seen(self, session: Session, now: datetime) -> tuple[datetime | None, list[int], list[LiveCall]]:
        """When anything was last moved, what is due, and what is to be said."""
        moved = live_state.moved(session, now)
        return (moved, live_clock.due(session, now), live_broadcast.owed(session, self._shelf(), now)) if moved is not None else (None, [], [])

    async def _read(self, work: Callable[[Session], T]) -> T:
        # Not on the desk's readers: a long report must not hold up a hall.
        return await asyncio.to_thread(self._desk.read_now, work)

    async def _write(self, work: Callable[[Session], T]) -> T:
        return await self._desk.write(work, of="live")

    # ── One call ──

    async def _call(self, call: LiveCall) -> None:
        try:
            groups, people = await self._read(lambda session: live_broadcast.plan(session, call, self._clock(), self._doors, self._sizes))
            told = await asyncio.gather(*(self._on_channel(call, name, waiting) for name, waiting in groups.items()))
            sent, failed = sum(one[0] for one in told), sum(one[1] for one in told)
            await self._write(lambda session: live_broadcast.done(session, call, self._clock(), people, sent, people - sent))
            log.info("called out", contest=call.contest_id, n=call.n, what=call.what, people=people, sent=sent, failed=failed)
        except Exception:
            log.exception("call failed", contest=call.contest_id, n=call.n, what=call.what)

    async def _on_channel(self, call: LiveCall, name: str, waiting: list[DeliveryGroup]) -> tuple[int, int]:
        """Group after group as the budgets go, while it still makes sense; how many the platform took, and how many it did not."""
        gate, sent, failed = asyncio.Semaphore(AT_ONCE), 0, 0
        while waiting:
            now = self._clock()
            going, waiting, wait = await self._write(partial(_begun, waiting, now, self._limits))
            receipts = await asyncio.gather(*(self._push(gate, self._senders[name], group) for group in going))
            took = sum(one.outcome == "sent" for some in receipts for one in some)
            sent, failed = sent + took, failed + sum(len(some) for some in receipts) - took
            if wait is None or self._stop.is_set():
                break
            await asyncio.sleep(max(0.01, (wait - self._clock()).total_seconds()))
            if not await self._read(lambda session: live_broadcast.holds(session, call)):
                break
        return sent, failed + sum(len(group.ready) for group in waiting)

    async def _push(self, gate: asyncio.Semaphore, sender: PushChannel, group: DeliveryGroup) -> Sequence[SendReceipt]:
        async with gate:
            try:
                return await sender.push([one.message for one in group.ready])
            except Exception as wrong:
                log.exception("push failed", channel=sender.name, count=len(group.ready))
                return [SendReceipt("unknown", type(wrong).__name__)] * len(group.ready)


def _begun(
    waiting: list[DeliveryGroup], now: datetime, limits: tuple[PlatformLimit, ...], session: Session
) -> tuple[list[DeliveryGroup], list[DeliveryGroup], datetime | None]:
    return live_broadcast.begin(session, waiting, now, limits)
