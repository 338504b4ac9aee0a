"""A replica in a process of its own, to be killed: `python -m tests.support.replica push|tick …`.

push DATABASE PLATFORM LEASE  runs a delivery worker with the real WeCom channel until nothing is queued any more.
tick DATABASE BASE BEGAN SPEED LOG  runs campaigns and a delivery worker by a clock that showed BASE when the monotonic clock, which all
processes share, showed BEGAN, and that runs SPEED times as fast; each message it sends is a line of LOG.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bot.channels.base import Token, ignore_note
from bot.channels.config import ChannelContext
from bot.channels.outbound.client import Outbound
from bot.channels.wecom.channel import WeComChannel
from bot.channels.wecom.config import WeComConfig
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.jobs import schedule
from bot.jobs.delivery_worker import DeliveryWorker
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.delivery import queue
from bot.storage.files import loader
from bot.storage.system.tokens import SealedTokens
from tests.support.platforms.tokens import UNLIMITED

SECRET = "canary-corpsecret-kill"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


def holder() -> str:
    return f"pid-{os.getpid()}-{time.time_ns()}"


def stock(**more: Any) -> Any:
    return SimpleNamespace(library=SimpleNamespace(lessons={}, **more))


async def push(url: str, platform: str, lease: float) -> None:
    database = Database(open_engine(url))
    database.start()

    def now() -> datetime:
        return datetime.now(UTC)

    outbound = Outbound(tokens=SealedTokens(database, lambda _: SECRET, Token, now), clock=now, note=ignore_note, holder=holder(), total=8.0)
    async with outbound:
        config = WeComConfig.model_validate(
            {
                "corp_id": "ww1234567890abcdef",
                "agent_id": "1000002",
                "secret": SECRET,
                "token": "canary-token",
                "aes_key": AES_KEY,
                "api_base": platform,
                "cards": False,
            }
        )
        channel = WeComChannel(config, ChannelContext(outbound, now, ignore_note, UNLIMITED))
        # One call for each person: what a campaign with a personal text is.
        worker = DeliveryWorker(
            database, stock, [channel], clock=now, holder=holder(), note=ignore_note, sizes={"wecom": 1}, lease=lease, reserved=lease
        )
        running = asyncio.create_task(worker.run())
        print("ready", flush=True)  # noqa: T201
        while True:
            await asyncio.sleep(0.2)
            queued, _, sending = await database.read(queue.queue_depth)
            if not queued and not sending:
                break
        await worker.stop()
        await running
    await asyncio.to_thread(database.stop)


async def tick(url: str, base: float, began: float, speed: float, log: Path) -> None:
    database = Database(open_engine(url))
    database.start()
    calendar, _ = loader.load_calendar(loader.data_root())
    catalog = stock(calendar=calendar)
    start = datetime.fromtimestamp(base, UTC)

    def now() -> datetime:
        return start + timedelta(seconds=(time.monotonic() - began) * speed)

    class Wire:
        name = "local"

        async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
            with log.open("a") as lines:
                lines.writelines(f"{worker.mark} {worker.to.user}\n" for worker in batch)
            return [SendReceipt("sent")] * len(batch)

    one = DeliveryWorker(database, lambda: catalog, [Wire()], clock=now, holder=holder(), note=ignore_note, lease=5 * speed, reserved=4 * speed)
    running = asyncio.create_task(one.run())
    print("ready", flush=True)  # noqa: T201
    while not running.done():
        if await schedule.run_campaigns(database, catalog, now()):
            one.wake()
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "push":
        asyncio.run(push(given[0], given[1], float(given[2])))
    else:
        asyncio.run(tick(given[0], float(given[1]), float(given[2]), float(given[3]), Path(given[4])))
