"""Pushing on a channel that says one thing to one person at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from bot.channels.base import Parcel, Receipt
from bot.channels.batches import AT_ONCE, receipt_of, sent
from bot.channels.outbound import PlatformError
from bot.domain.message import Address, Reply


class Sends(Protocol):
    async def send(self, to: Address, reply: Reply) -> None: ...


async def one_by_one(channel: Sends, batch: Sequence[Parcel], at_once: int = AT_ONCE) -> list[Receipt]:
    """`Channel.push` by `send`; once the platform asks to be left alone, what has not begun is left for later without asking it."""
    gate = asyncio.Semaphore(at_once)
    halted: Receipt | None = None

    async def one(parcel: Parcel) -> Receipt:
        nonlocal halted
        async with gate:
            if halted is not None:
                return halted
            try:
                await channel.send(parcel.to, parcel.reply)
            except PlatformError as wrong:
                receipt = receipt_of(wrong)
                if receipt.stop or wrong.kind in ("rate", "quota"):
                    halted = receipt
                return receipt
            return sent()

    return list(await asyncio.gather(*(one(parcel) for parcel in batch)))
