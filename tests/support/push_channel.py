"""A channel without a platform: it keeps what it is handed and answers by script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from bot.domain.message import OutboundMessage, SendReceipt
from bot.jobs.delivery_worker import DeliveryWorker
from bot.storage.db.database import Database
from tests.conftest import NOW, Clock

Script = Callable[[OutboundMessage], SendReceipt]


def accept(message: OutboundMessage) -> SendReceipt:
    return SendReceipt("sent", platform_id=f"id-{message.mark}")


@dataclass
class FakePushChannel:
    """A channel as the delivery worker sees it."""

    name: str = "wecom"
    script: Script = accept
    seconds: float = 0.0
    batches: list[list[str]] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    recalled: list[str] = field(default_factory=list)
    before: Callable[[Sequence[OutboundMessage]], None] = lambda batch: None

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        self.before(batch)
        self.batches.append([message.to.user for message in batch])
        if self.seconds:
            await asyncio.sleep(self.seconds)
        receipts = [self.script(message) for message in batch]
        self.said += [
            (message.to.user, message.reply.text) for message, receipt in zip(batch, receipts, strict=True) if receipt.outcome in ("sent", "unknown")
        ]
        return receipts

    @property
    def users(self) -> list[str]:
        return [user for user, _ in self.said]


@dataclass
class FakeRecallChannel(FakePushChannel):
    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        self.recalled += platform_ids
        return [SendReceipt("sent") if platform_id.endswith(("1", "2")) else SendReceipt("failed", "too late") for platform_id in platform_ids]


@dataclass
class NoteCounter:
    counts: dict[tuple[str, str], float] = field(default_factory=dict)

    def __call__(self, event: str, channel: str, value: float) -> None:
        self.counts[event, channel] = self.counts.get((event, channel), 0) + value


def delivery_worker(
    database: Database, *channels: FakePushChannel, clock: Clock | None = None, holder: str = "replica-1", **over: Any
) -> DeliveryWorker:
    """A delivery worker over fake channels, with an empty library."""
    stock: Any = SimpleNamespace(library=SimpleNamespace(lessons={}))
    return DeliveryWorker(database, lambda: stock, channels, clock=clock or Clock(NOW), holder=holder, note=over.pop("note", NoteCounter()), **over)


async def run_until_idle(worker: DeliveryWorker, rounds: int = 20) -> None:
    """Round after round until there is nothing more to claim, and everything has ended."""
    for _ in range(rounds):
        claimed = await worker.round()
        await worker.quiet()
        if not claimed:
            return
