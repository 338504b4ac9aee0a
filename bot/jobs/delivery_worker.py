"""The delivery worker: claims queued deliveries, plans them, sends them within the quotas and writes down what became of them.

Nothing is kept here that matters: a worker that dies leaves reservations that come back and leases that become `unknown`
(bot/storage/delivery/queue.py). It also recalls what went out in occurrences that were made void, on the channels that can.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

import structlog
from sqlmodel import Session

from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit, batch_sizes
from bot.services.campaign import notifications
from bot.services.delivery import plan, progress, send
from bot.services.delivery.plan import DeliveryGroup, OpenChannels
from bot.services.library.catalog import Catalog
from bot.storage.db.database import Database
from bot.storage.db.writer import DATABASE_AWAY, Busy
from bot.storage.delivery import outcomes, queue
from bot.storage.delivery.queue import SendResult

log = structlog.get_logger(__name__)

T = TypeVar("T")
Note = Callable[[str, str, float], None]
Clock = Callable[[], datetime]

ROUND_SECONDS = 1.0
"""Seconds between two looks when nothing wakes the worker."""
CLAIM_LIMIT = 1000
RESERVED_SECONDS = 10.0
"""Seconds until what a dead holder had claimed is taken up by another: longer than a plan is good for."""
LEASE_SECONDS = 60.0
"""Seconds: longer than any call may take with all its pieces (outbound: eight each)."""
PLAN_SECONDS = 3.0
"""Seconds that a plan is good for: whoever finishes a lesson meanwhile is not sent it any more."""
CALLS_PER_CHANNEL = 8
"""Calls under way on one channel at a time."""
SWEEP_EVERY = 5.0
CHANNEL_REFUSALS = ("rate", "quota")
"""The kinds of refusal that concern everybody on the channel; a receipt's error begins with its kind (bot/channels/batch_push.py)."""
SETTLE_RETRIES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
STOP_SECONDS = 5.0


@dataclass(slots=True)
class ChannelState:
    """One channel: the calls under way, and until when it is left alone."""

    sender: PushChannel
    running: set[asyncio.Task[None]] = field(default_factory=set)
    closed_until: datetime | None = None
    alarmed: bool = False


class DeliveryWorker:
    """One a replica. `wake` it when something was queued; it looks by itself every second anyway."""

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
        sizes: Mapping[str, int] | None = None,
        lease: float = LEASE_SECONDS,
        reserved: float = RESERVED_SECONDS,
        calls: int = CALLS_PER_CHANNEL,
    ) -> None:
        """`holder` names this replica in claims; `beyond_window` the channels that reach somebody who has not spoken for 48 hours."""
        self._database = database
        self._catalog = catalog
        self._channels = {sender.name: ChannelState(sender) for sender in senders}
        self._clock = clock
        self._holder = holder
        self._note = note
        self._beyond = tuple(beyond_window)
        self._limits = limits
        self._sizes = dict(sizes or batch_sizes(limits))
        self._lease = lease
        self._reserved = reserved
        self._calls = calls
        self._wake = asyncio.Event()
        self._stopping = False
        self._next_sweep = 0.0
        self._tried: dict[int, set[str]] = {}
        self._rng = random.Random()  # noqa: S311 - spreads the ticks of replicas, guards nothing

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`: a round after the other, a pause when there is nothing to do."""
        while not self._stopping:
            self._wake.clear()
            try:
                busy = await self.round()
            except DATABASE_AWAY as error:
                log.warning("delivery worker waits for the database", reason=str(error).partition("\n")[0])
                busy = 0
            except Exception:
                log.exception("delivery worker's round failed")
                busy = 0
            if not busy and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), ROUND_SECONDS * self._rng.uniform(0.8, 1.2))

    async def stop(self) -> None:
        """Begin nothing more, let what is under way end, give the rest back."""
        self._stopping = True
        self._wake.set()
        await self.quiet(STOP_SECONDS)
        with contextlib.suppress(Busy):
            await self._database.write(lambda session: queue.release(session, self._holder, self._clock()))

    async def quiet(self, seconds: float | None = None) -> None:
        """Wait until nothing is under way."""
        while running := [task for channel in self._channels.values() for task in channel.running]:
            _, unfinished = await asyncio.wait(running, timeout=seconds)
            if unfinished:
                log.warning("deliveries left under way", count=len(unfinished))
                return

    async def round(self) -> int:
        """One claim, planned and sent as far as the quotas go; how many were claimed."""
        await self._sweep()
        now = self._clock()
        claimed = await self._write(lambda session: queue.claim(session, self._holder, now, CLAIM_LIMIT, self._reserved))
        if not claimed:
            return 0
        open_channels = self._open_channels(now)
        tried = {delivery_id: frozenset(channels) for delivery_id, channels in self._tried.items()}
        delivery_plan = await self._database.read(lambda session: plan.plan_deliveries(session, self._catalog(), claimed, now, open_channels, tried))
        if delivery_plan.skip or delivery_plan.later:
            await self._write(lambda session: self._set_aside(session, delivery_plan))
        for delivery_id, _ in delivery_plan.skip:
            self._tried.pop(delivery_id, None)
        groups = send.group_deliveries(delivery_plan.ready, self._sizes)
        await asyncio.gather(*(self._send_groups(self._channels[channel], waiting) for channel, waiting in groups.items()))
        return len(claimed)

    def _open_channels(self, now: datetime) -> OpenChannels:
        closed = {
            name: channel.closed_until for name, channel in self._channels.items() if channel.closed_until is not None and channel.closed_until > now
        }
        return OpenChannels(tuple(self._channels), closed, self._beyond)

    def _set_aside(self, session: Session, delivery_plan: plan.DeliveryPlan) -> None:
        queue.skip(session, delivery_plan.skip, self._holder)
        queue.put_off(session, delivery_plan.later, self._holder)

    async def _write(self, work: Callable[[Session], T]) -> T:
        # One key for all delivery workers' writes: on PostgreSQL they meet one writer and never wait for each other crosswise.
        return await self._database.write(work, of="delivery")

    # ── One channel ──

    async def _send_groups(self, channel: ChannelState, waiting: list[DeliveryGroup]) -> None:
        """Begin group after group, as many at a time as a channel may have calls, until all are begun, the plan is stale or the quota is spent."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PLAN_SECONDS
        while waiting and not self._stopping:
            now = self._clock()
            free = self._calls - len(channel.running)
            if free <= 0:
                await asyncio.wait(channel.running, return_when=asyncio.FIRST_COMPLETED)
                continue
            if loop.time() >= until or (channel.closed_until is not None and channel.closed_until > now):
                break
            chunk, rest = waiting[:free], waiting[free:]
            begun = await self._write(lambda session, groups=chunk, at=now: self._begin(session, groups, at))  # type: ignore[misc]
            for group in begun.groups:
                task = asyncio.create_task(self._send_group(channel, group))
                channel.running.add(task)
                task.add_done_callback(channel.running.discard)
            waiting = [*begun.remaining, *rest]
            if begun.wait_until is not None:
                pause = (begun.wait_until - self._clock()).total_seconds()
                if pause > PLAN_SECONDS:
                    await self._put_off(waiting, begun.wait_until, "等通道额度")
                    return
                if loop.time() + pause >= until:
                    break
                await asyncio.sleep(max(pause, 0.001))
        if waiting:
            closed = channel.closed_until if channel.closed_until is not None and channel.closed_until > self._clock() else None
            await self._put_off(waiting, closed or self._clock(), "通道暂停中" if closed else "")

    def _begin(self, session: Session, chunk: Sequence[DeliveryGroup], now: datetime) -> send.BegunDeliveries:
        return send.begin(session, chunk, self._holder, now, self._lease, self._limits)

    async def _put_off(self, waiting: Sequence[DeliveryGroup], until: datetime, reason: str) -> None:
        rows = [(delivery.queued.id, until, reason) for group in waiting for delivery in group.ready]
        await self._write(lambda session: queue.put_off(session, rows, self._holder))

    async def _send_group(self, channel: ChannelState, group: DeliveryGroup) -> None:
        """One call to the channel, and what came of it."""
        batch = [delivery.message for delivery in group.ready]
        try:
            receipts = list(await channel.sender.push(batch))
        except Exception as error:
            # Whatever a channel lets through may have happened after the platform was reached.
            log.exception("push failed", channel=group.channel, count=len(batch))
            receipts = [SendReceipt("unknown", type(error).__name__)] * len(batch)
        if len(receipts) != len(batch):
            log.error("receipts do not match messages", channel=group.channel, messages=len(batch), receipts=len(receipts))
            receipts = [SendReceipt("unknown", "receipts")] * len(batch)
        now = self._clock()
        results = [send.send_result(delivery, receipt, now) for delivery, receipt in zip(group.ready, receipts, strict=True)]
        self._remember_failures(group, results, receipts)
        for result in results:
            if result.state != "sent":
                self._note({"failed": "send_failed", "unknown": "send_unknown", "queued": "send_later"}[result.state], group.channel, 1)
        await self._settle(group, results)
        await self._update_channel(channel, receipts, now)

    def _remember_failures(self, group: DeliveryGroup, results: Sequence[SendResult], receipts: Sequence[SendReceipt]) -> None:
        """On which channels something has failed already: the next plan takes another one."""
        for result, receipt in zip(results, receipts, strict=True):
            if result.state == "queued" and receipt.outcome == "failed":
                self._tried.setdefault(result.id, set()).add(group.channel)
            elif result.state != "queued":
                self._tried.pop(result.id, None)

    async def _settle(self, group: DeliveryGroup, results: Sequence[SendResult]) -> None:
        """Written down as soon as the database can be written; a settlement that comes after its lease still counts."""
        for wait in (*SETTLE_RETRIES, None):
            try:
                await self._write(lambda session: send.settle(session, group, results, self._holder, self._clock()))
            except Busy as busy:
                if wait is None:
                    log.error("deliveries not settled", count=len(results), reason=str(busy))
                    return
                await asyncio.sleep(wait)
            else:
                return

    async def _update_channel(self, channel: ChannelState, receipts: Sequence[SendReceipt], now: datetime) -> None:
        """Leave a channel alone when its platform asks for it; call somebody when it is the token, a right or the setup."""
        stops = [receipt for receipt in receipts if receipt.stop]
        refusals = [
            receipt for receipt in receipts if receipt.outcome == "later" and (receipt.stop or receipt.error.partition(" ")[0] in CHANNEL_REFUSALS)
        ]
        if refusals:
            channel.closed_until = now + timedelta(seconds=max(receipt.retry_after or 1.0 for receipt in refusals))
        name = channel.sender.name
        if stops and not channel.alarmed:
            channel.alarmed = True
            closed = channel.closed_until or now
            log.error("channel stopped", channel=name, error=stops[0].error, until=closed.isoformat())
            self._note("send_stopped", name, 1)
            await self._write_audit(lambda session: _report_stop(session, name, stops[0].error, closed, now))
        elif channel.alarmed and any(receipt.outcome == "sent" for receipt in receipts):
            channel.alarmed = False
            channel.closed_until = None
            await self._write_audit(lambda session: send.audit_recovery(session, name, now))

    async def _write_audit(self, work: Callable[[Session], Any]) -> None:
        try:
            await self._write(work)
        except Busy as busy:
            log.error("alarm not audited", reason=str(busy))

    # ── What nobody asked for ──

    async def _sweep(self) -> None:
        """Every few seconds: leases that ended without word, and what is to be taken back."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_sweep:
            return
        self._next_sweep = loop.time() + SWEEP_EVERY
        now = self._clock()
        if lost := await self._write(lambda session: queue.expire_leases(session, now)):
            log.error("deliveries in doubt", count=lost)
            self._note("send_unknown", "lease", lost)
        await recall_void({name: channel.sender for name, channel in self._channels.items()}, self._write, now)


def _report_stop(session: Session, channel: str, error: str, until: datetime, now: datetime) -> None:
    send.audit_stop(session, channel, error, until, now)
    notifications.notify_channel_stopped(session, channel, error, until, now)


Write = Callable[[Callable[[Session], Any]], Awaitable[Any]]


async def recall_void(senders: Mapping[str, PushChannel], write: Write, now: datetime) -> None:
    """Whatever went out in occurrences that are void by now; each delivery is asked for once, by one replica."""
    recalls: list[tuple[int, str, str]] = await write(lambda session: outcomes.claim_recalls(session, now))
    for channel in sorted({recall[1] for recall in recalls}):
        ids = {delivery_id: platform_id for delivery_id, recall_channel, platform_id in recalls if recall_channel == channel}
        receipts = await _recall_calls(senders.get(channel), channel, ids)
        counted = await write(lambda session, answers=receipts: progress.record_recalls(session, answers))  # type: ignore[misc]
        log.info("recalled", channel=channel, asked=len(ids), outcomes=dict(counted))


async def _recall_calls(sender: PushChannel | None, channel: str, ids: Mapping[int, str]) -> dict[int, SendReceipt]:
    """Once for each call that went out: many deliveries may share its id."""
    wanted = sorted({platform_id for platform_id in ids.values() if platform_id})
    answers: dict[str, SendReceipt] = {}
    if isinstance(sender, RecallChannel) and wanted:
        try:
            answers = dict(zip(wanted, await sender.recall(wanted), strict=True))
        except Exception as error:
            log.exception("recall failed", channel=channel, count=len(wanted))
            answers = dict.fromkeys(wanted, SendReceipt("unknown", type(error).__name__))
    return {delivery_id: answers.get(platform_id, SendReceipt("failed", progress.NO_RECALL)) for delivery_id, platform_id in ids.items()}


class PushChannel(Protocol):
    name: str

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]: ...


@runtime_checkable
class RecallChannel(Protocol):
    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]: ...
