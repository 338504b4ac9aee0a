"""The delivery worker: the one loop that sends, within the quotas of the platforms, what its two sources bring.

The live source comes first: the calls of live contests, claimed by a row of the contest; nobody keeps a copy, a participant whom a call misses
catches up with 继续. The queue holds the deliveries of campaigns, reminders and notifications, and what became of each is a row. Nothing is kept
here that matters: a worker that dies leaves reservations that come back and leases that become `unknown` (bot/storage/delivery/queue.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

from sqlmodel import Session

from bot.domain.delivery.outbound_message import M, MessageGroup, OutboundMessage, ReadyMessage, SendReceipt, group_messages
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit, batch_sizes
from bot.domain.message import Refusal
from bot.logs import get_logger
from bot.services.campaign import notifications
from bot.services.contest import live_broadcast, live_host
from bot.services.contest.live_broadcast import LiveCall
from bot.services.delivery import plan, progress, quota, send
from bot.services.delivery.plan import OpenChannels, ReadyDelivery
from bot.services.delivery.quota import TakenGroups
from bot.services.library.catalog import Catalog
from bot.storage.contest import live_state
from bot.storage.db.commits import Busy
from bot.storage.db.database import Database
from bot.storage.db.engine import database_away
from bot.storage.delivery import outcomes, queue
from bot.storage.delivery.queue import SendResult

log = get_logger(__name__)

T = TypeVar("T")
Note = Callable[[str, str, float], None]
Clock = Callable[[], datetime]

CALLS_PER_CHANNEL = 8
"""Calls of one source under way on one channel at a time."""
CHANNEL_REFUSALS = ("rate", "quota")
"""The kinds of refusal that concern everybody on the channel; a receipt's error begins with its kind (bot/channels/batch_push.py)."""
CHANNEL_CLOSED, QUOTA_SPENT = "通道暂停中", "等通道额度"
YIELD_SECONDS = 0.05
"""Between two looks whether the source that comes first has said what it had to say."""
STOP_SECONDS = 5.0

QUEUE_INTERVAL = 1.0
"""Seconds between two looks into the queue when nothing wakes the worker."""
CLAIM_LIMIT = 1000
RESERVED_SECONDS = 10.0
"""Seconds until what a dead holder had claimed is taken up by another: longer than a plan is good for."""
LEASE_SECONDS = 60.0
"""Seconds: longer than any call may take with all its pieces (outbound: eight each)."""
PLAN_SECONDS = 3.0
"""Seconds that a plan is good for: whoever finishes a lesson meanwhile is not sent it any more."""
SWEEP_EVERY = 5.0
SETTLE_RETRIES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)

LIVE_IDLE_INTERVAL = 1.0
LIVE_INTERVAL = 0.2
"""Seconds between two looks at the live contests: with nothing running, and while a contest does."""
ABANDONED_AFTER = timedelta(hours=6)
"""A live contest without a change for so long is looked at as if nothing were running."""
LIVE_WAIT_SECONDS = 1.0
"""A call that waits for its quota looks at least so often whether anybody still wants it."""


class PushChannel(Protocol):
    name: str

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]: ...


@runtime_checkable
class RecallChannel(Protocol):
    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]: ...


class Batch(Protocol[M]):
    """Messages that a source brings, and what is to be written around the calls that send them."""

    urgent: bool
    """Whether those that are not wait for it."""

    async def take(self, groups: Sequence[MessageGroup[M]], now: datetime) -> TakenGroups[M]:
        """What of it may go now, taken of the quotas and marked as under way."""
        ...

    async def wait(self, until: datetime) -> bool:
        """Wait for that moment, or part of the way; False where it is given up instead."""
        ...

    async def settle(self, group: MessageGroup[M], receipts: Sequence[SendReceipt], now: datetime) -> None:
        """Write down what became of a call."""
        ...

    async def leave(self, groups: Sequence[MessageGroup[M]], until: datetime, reason: str) -> None:
        """These were not sent: not before then, and why."""
        ...


@dataclass(slots=True)
class ChannelState:
    """One channel: the calls under way, how many urgent batches wait on it, and until when it is left alone."""

    sender: PushChannel
    urgent_calls: set[asyncio.Task[None]] = field(default_factory=set)
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    urgent: int = 0
    closed_until: datetime | None = None
    alarmed: bool = False

    def is_closed(self, now: datetime) -> bool:
        return self.closed_until is not None and self.closed_until > now


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What the worker and its sources share. `holder` names this replica in claims."""

    database: Database
    catalog: Callable[[], Catalog]
    clock: Clock
    holder: str
    note: Note
    limits: tuple[PlatformLimit, ...]
    sizes: Mapping[str, int]


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
        self._context = WorkerContext(database, catalog, clock, holder, note, limits, dict(sizes or batch_sizes(limits)))
        self._channels = {sender.name: ChannelState(sender) for sender in senders}
        self._beyond = tuple(beyond_window)
        self._calls = calls
        self._queue = QueueSource(self._context, lease, reserved)
        self._live = LiveSource(self._context)
        self._live_calls: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._next_sweep = 0.0
        self._rng = random.Random()  # noqa: S311 - spreads the ticks of replicas, guards nothing

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`: both sources are looked at again and again, with a pause where there is nothing to do."""
        await asyncio.gather(self._run_queue(), self._run_live())

    async def stop(self) -> None:
        """Begin nothing more, let what is under way end, give the rest back."""
        self._stopping.set()
        self._wake.set()
        await self.quiet(STOP_SECONDS)
        with contextlib.suppress(Busy):
            await self._queue.release()

    async def quiet(self, seconds: float | None = None) -> None:
        """Wait until nothing is under way."""
        while running := [*(task for channel in self._channels.values() for task in channel.calls | channel.urgent_calls), *self._live_calls]:
            _, unfinished = await asyncio.wait(running, timeout=seconds)
            if unfinished:
                log.warning("messages left under way", count=len(unfinished))
                return

    # ── The sources ──

    async def _run_queue(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            claimed = 0
            try:
                claimed = await self.round()
            except database_away(Busy) as error:
                log.warning("delivery worker waits for the database", reason=str(error).partition("\n")[0])
            except Exception:
                log.exception("delivery worker's round failed")
            if not claimed and not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), QUEUE_INTERVAL * self._rng.uniform(0.8, 1.2))

    async def round(self) -> int:
        """One claim of the queue, planned and sent as far as the quotas go; how many were claimed."""
        await self._sweep()
        claimed, batch, groups = await self._queue.look(self._open_channels(self._context.clock()))
        await asyncio.gather(*(self._send(self._channels[name], batch, waiting) for name, waiting in groups.items()))
        return claimed

    async def _run_live(self) -> None:
        while not self._stopping.is_set():
            pause = LIVE_IDLE_INTERVAL
            try:
                pause = LIVE_INTERVAL if await self.look_live() else LIVE_IDLE_INTERVAL
            except database_away(Busy) as error:
                log.warning("live contests not looked at", reason=type(error).__name__)
            except Exception:
                log.exception("live contests not looked at")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def look_live(self) -> bool:
        """One look at the live contests, whose new calls are begun; True while a contest is active."""
        is_active, calls = await self._live.look()
        for call in calls:
            task = asyncio.create_task(self._make_live_call(call))
            self._live_calls.add(task)
            task.add_done_callback(self._live_calls.discard)
        return is_active

    async def _make_live_call(self, call: LiveCall) -> None:
        try:
            # Closed channels are waited for as long as the call is worth it.
            batch, groups = await self._live.begin(call, OpenChannels(tuple(self._channels), {}, self._beyond))
            begun = await asyncio.gather(*(self._send(self._channels[name], batch, waiting) for name, waiting in groups.items()))
            await asyncio.gather(*(task for tasks in begun for task in tasks))
            await batch.finish()
        except Exception:
            log.exception("call failed", contest=call.contest_id, n=call.n, what=call.kind)

    def _open_channels(self, now: datetime) -> OpenChannels:
        closed = {
            name: channel.closed_until for name, channel in self._channels.items() if channel.closed_until is not None and channel.closed_until > now
        }
        return OpenChannels(tuple(self._channels), closed, self._beyond)

    # ── One channel ──

    async def _send(self, channel: ChannelState, batch: Batch[M], waiting: Sequence[MessageGroup[M]]) -> list[asyncio.Task[None]]:
        """Begin group after group, as many at a time as a channel may have calls, until all are begun or their source gives them up; the calls."""
        begun: list[asyncio.Task[None]] = []
        running = channel.urgent_calls if batch.urgent else channel.calls
        until, reason = self._context.clock(), ""
        channel.urgent += batch.urgent
        try:
            while waiting and not self._stopping.is_set():
                if len(running) >= self._calls:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    continue
                now = self._context.clock()
                if channel.is_closed(now):
                    until, reason = channel.closed_until or now, CHANNEL_CLOSED
                    if not (batch.urgent and await batch.wait(until)):
                        break
                    continue
                if channel.urgent and not batch.urgent:
                    until, reason = now + timedelta(seconds=YIELD_SECONDS), ""
                if not await batch.wait(until):
                    break
                if channel.urgent and not batch.urgent:
                    continue
                free = self._calls - len(running)
                taken = await batch.take(waiting[:free], self._context.clock())
                for group in taken.groups:
                    task = asyncio.create_task(self._call(channel, batch, group))
                    begun.append(task)
                    running.add(task)
                    task.add_done_callback(running.discard)
                waiting = [*taken.remaining, *waiting[free:]]
                until, reason = (now, "") if taken.wait_until is None else (taken.wait_until, QUOTA_SPENT)
        finally:
            channel.urgent -= batch.urgent
        if waiting:
            await batch.leave(waiting, until, reason)
        return begun

    async def _call(self, channel: ChannelState, batch: Batch[M], group: MessageGroup[M]) -> None:
        """One call to the channel, and what came of it."""
        messages = [ready.message for ready in group.ready]
        try:
            receipts = list(await channel.sender.push(messages))
        except Exception as error:
            # Whatever a channel lets through may have happened after the platform was reached.
            log.exception("push failed", channel=group.channel, count=len(messages))
            receipts = [SendReceipt("unknown", type(error).__name__)] * len(messages)
        if len(receipts) != len(messages):
            log.error("receipts do not match messages", channel=group.channel, messages=len(messages), receipts=len(receipts))
            receipts = [SendReceipt("unknown", "receipts")] * len(messages)
        now = self._context.clock()
        await batch.settle(group, receipts, now)
        await self._update_channel(channel, receipts, now)

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
            self._context.note("send_stopped", name, 1)
            await self._write_audit(lambda session: _report_stop(session, name, stops[0].error, closed, now))
        elif channel.alarmed and any(receipt.outcome == "sent" for receipt in receipts):
            channel.alarmed = False
            channel.closed_until = None
            await self._write_audit(lambda session: send.audit_recovery(session, name, now))

    async def _write_audit(self, work: Callable[[Session], Any]) -> None:
        try:
            await self._queue.write(work)
        except Busy as busy:
            log.error("alarm not audited", reason=str(busy))

    # ── What nobody asked for ──

    async def _sweep(self) -> None:
        """Every few seconds: leases that ended without word, and what is to be taken back."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_sweep:
            return
        self._next_sweep = loop.time() + SWEEP_EVERY
        now = self._context.clock()
        if lost := await self._queue.write(lambda session: queue.expire_leases(session, now)):
            log.error("deliveries in doubt", count=lost)
            self._context.note("send_unknown", "lease", lost)
        await recall_void({name: channel.sender for name, channel in self._channels.items()}, self._queue.write, now)


# ── The queue ──


class QueueSource:
    """The deliveries of the queue: claimed for this replica, planned, and settled by what the platform answered."""

    def __init__(self, context: WorkerContext, lease: float, reserved: float) -> None:
        self.context = context
        self.lease = lease
        self._reserved = reserved
        self._tried: dict[int, set[str]] = {}

    async def write(self, work: Callable[[Session], T]) -> T:
        # One key for all delivery workers' writes: on PostgreSQL they meet one writer and never wait for each other crosswise.
        return await self.context.database.write(work, of="delivery")

    async def look(self, channels: OpenChannels) -> tuple[int, QueueBatch, dict[str, list[MessageGroup[ReadyDelivery]]]]:
        """How many were claimed, and what of them goes now, by channel; the others are set aside."""
        context, batch = self.context, QueueBatch(self)
        now = context.clock()
        claimed = await self.write(lambda session: queue.claim(session, context.holder, now, CLAIM_LIMIT, self._reserved))
        if not claimed:
            return 0, batch, {}
        tried = {delivery_id: frozenset(names) for delivery_id, names in self._tried.items()}
        batch.stale_at = asyncio.get_running_loop().time() + PLAN_SECONDS
        planned = await context.database.read(lambda session: plan.plan_deliveries(session, context.catalog(), claimed, now, channels, tried))
        if planned.skip or planned.later:
            await self.write(lambda session: _set_aside(session, planned, context.holder))
        for delivery_id, _ in planned.skip:
            self._tried.pop(delivery_id, None)
        return len(claimed), batch, group_messages(planned.ready, context.sizes)

    async def release(self) -> None:
        """Give back what was claimed and not begun."""
        await self.write(lambda session: queue.release(session, self.context.holder, self.context.clock()))

    def remember(self, channel: str, results: Sequence[SendResult], receipts: Sequence[SendReceipt]) -> None:
        """On which channels something has failed already: the next plan takes another one."""
        for result, receipt in zip(results, receipts, strict=True):
            if result.state == "queued" and receipt.outcome == "failed":
                self._tried.setdefault(result.id, set()).add(channel)
            elif result.state != "queued":
                self._tried.pop(result.id, None)


def _set_aside(session: Session, planned: plan.DeliveryPlan, holder: str) -> None:
    queue.skip(session, planned.skip, holder)
    queue.put_off(session, planned.later, holder)


class QueueBatch:
    """What one look claimed. A plan is good for seconds: what cannot begin by then goes back into the queue."""

    urgent = False

    def __init__(self, source: QueueSource) -> None:
        self._source = source
        self._context = source.context
        self.stale_at = 0.0

    async def take(self, groups: Sequence[MessageGroup[ReadyDelivery]], now: datetime) -> TakenGroups[ReadyDelivery]:
        context = self._context
        return await self._source.write(lambda session: send.begin(session, groups, context.holder, now, self._source.lease, context.limits))

    async def wait(self, until: datetime) -> bool:
        pause = (until - self._context.clock()).total_seconds()
        if pause > PLAN_SECONDS or asyncio.get_running_loop().time() + pause >= self.stale_at:
            return False
        if pause > 0:
            await asyncio.sleep(max(pause, 0.001))
        return True

    async def settle(self, group: MessageGroup[ReadyDelivery], receipts: Sequence[SendReceipt], now: datetime) -> None:
        """Written down as soon as the database can be written; a settlement that comes after its lease still counts."""
        results = [send.send_result(delivery, receipt, now) for delivery, receipt in zip(group.ready, receipts, strict=True)]
        self._source.remember(group.channel, results, receipts)
        for result in results:
            if result.state != "sent":
                self._context.note({"failed": "send_failed", "unknown": "send_unknown", "queued": "send_later"}[result.state], group.channel, 1)
        for wait in (*SETTLE_RETRIES, None):
            try:
                await self._source.write(lambda session: send.settle(session, group, results, self._context.holder, self._context.clock()))
            except Busy as busy:
                if wait is None:
                    log.error("deliveries not settled", count=len(results), reason=str(busy))
                    return
                await asyncio.sleep(wait)
            else:
                return

    async def leave(self, groups: Sequence[MessageGroup[ReadyDelivery]], until: datetime, reason: str) -> None:
        rows = [(delivery.queued.id, max(until, self._context.clock()), reason) for group in groups for delivery in group.ready]
        await self._source.write(lambda session: queue.put_off(session, rows, self._context.holder))


# ── Live contests ──


class LiveSource:
    """The calls of live contests, whose clocks it keeps: one replica closes a question and claims a call, by their rows."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context

    async def read(self, work: Callable[[Session], T]) -> T:
        # Not on the database's reader pool: a long report must not delay a live contest.
        return await asyncio.to_thread(self.context.database.read_now, work)

    async def write(self, work: Callable[[Session], T]) -> T:
        # A key of its own: on PostgreSQL a contest does not wait behind the queue.
        return await self.context.database.write(work, of="live")

    async def look(self) -> tuple[bool, list[LiveCall]]:
        """Close questions past their deadline, decide buzzers; whether a contest is active, and the calls claimed for this replica."""
        now = self.context.clock()
        moved, due_contests, calls = await self.read(lambda session: self._state(session, now))
        for contest_id in due_contests:
            with contextlib.suppress(Refusal):  # another replica was quicker
                await self.write(lambda session, due_id=contest_id: live_host.run_due(session, due_id, now))  # type: ignore[misc]
        if due_contests:
            calls = await self.read(lambda session: live_broadcast.pending_calls(session, self.context.catalog(), now))
        claimed = [call for call in calls if await self.write(lambda session, unclaimed=call: self._claim(session, unclaimed))]  # type: ignore[misc]
        return moved is not None and now - moved < ABANDONED_AFTER, claimed

    def _claim(self, session: Session, call: LiveCall) -> bool:
        return live_broadcast.claim_call(session, call, self.context.holder, self.context.clock())

    def _state(self, session: Session, now: datetime) -> tuple[datetime | None, list[int], list[LiveCall]]:
        """(last change, contests with a due step, calls to send)."""
        if (moved := live_state.last_change(session, now)) is None:
            return None, [], []
        return moved, live_host.due_contests(session, now), live_broadcast.pending_calls(session, self.context.catalog(), now)

    async def begin(self, call: LiveCall, channels: OpenChannels) -> tuple[LiveBatch, dict[str, list[MessageGroup[ReadyMessage]]]]:
        """The messages of a call, by channel."""
        groups, people = await self.read(lambda session: live_broadcast.plan_call(session, call, self.context.clock(), channels, self.context.sizes))
        return LiveBatch(self, call, people), groups


class LiveBatch:
    """The messages of one call. They are sent while the call is current, each at most once."""

    urgent = True

    def __init__(self, source: LiveSource, call: LiveCall, people: int) -> None:
        self._source = source
        self._context = source.context
        self._call = call
        self._people = people
        self._sent = 0

    async def take(self, groups: Sequence[MessageGroup[ReadyMessage]], now: datetime) -> TakenGroups[ReadyMessage]:
        """Whoever is over their own limit is left out."""
        return await self._source.write(lambda session: quota.take(session, groups, now, self._context.limits))

    async def wait(self, until: datetime) -> bool:
        pause = (until - self._context.clock()).total_seconds()
        if pause <= 0:
            return True
        await asyncio.sleep(min(max(pause, 0.01), LIVE_WAIT_SECONDS))
        return await self._source.read(lambda session: live_broadcast.is_current(session, self._call))

    async def settle(self, group: MessageGroup[ReadyMessage], receipts: Sequence[SendReceipt], now: datetime) -> None:
        self._sent += sum(receipt.outcome == "sent" for receipt in receipts)

    async def leave(self, groups: Sequence[MessageGroup[ReadyMessage]], until: datetime, reason: str) -> None:
        log.info("call not finished", contest=self._call.contest_id, n=self._call.n, left=sum(len(group.ready) for group in groups), reason=reason)

    async def finish(self) -> None:
        """Write down, for the host's console, how many were reached."""
        call, missed = self._call, self._people - self._sent
        await self._source.write(lambda session: live_broadcast.finish_call(session, call, self._context.clock(), self._people, self._sent, missed))
        log.info("called out", contest=call.contest_id, n=call.n, what=call.kind, people=self._people, sent=self._sent, failed=missed)


# ── Alarm and recall ──


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
