"""The server of a run, in its own process on its own core: `python -m tests.bench.server KIND DATABASE`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from bot.channels.outbound import Outbound
from bot.channels.wecom import WeCom
from bot.dispatch import Dispatcher
from bot.storage import accounts
from bot.storage.db import Desk, open_engine
from bot.web.metrics import Metrics
from tests.bench.load import AES_KEY, AGENT, CORP, PATH, SECRET, TOKEN
from tests.bench.people import shelf_of
from tests.platforms.tokens import MemoryTokens


def now() -> datetime:
    return datetime.now(UTC)


def bare(_: Path) -> web.Application:
    """The yardstick: a POST whose body is read."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="success")

    app = web.Application()
    app.router.add_post(PATH, answer)
    return app


def product(path: Path) -> web.Application:
    """The answer path as it is shipped, with everything it counts; cards off, because they go out beside the answer and not in it."""
    desk = Desk(open_engine(f"sqlite:///{path}"), prelock=accounts.lock_people)
    shelf = shelf_of(desk)
    metrics = Metrics()
    hall = Dispatcher(desk, lambda: shelf, note=metrics.note)
    outbound = Outbound(tokens=MemoryTokens(now), clock=now, note=metrics.note, holder="bench")
    app = web.Application()
    WeCom(
        corp_id=CORP, agent_id=AGENT, secret=SECRET, token=TOKEN, aes_key=AES_KEY, outbound=outbound, clock=now, note=metrics.note, cards=False
    ).attach(app, hall.handle)
    desk.start()

    async def stop(_: web.Application) -> None:
        await asyncio.to_thread(desk.stop)

    app.on_cleanup.append(stop)
    return app


def naive(path: Path) -> web.Application:
    from tests.bench.naive import application

    return application(path)


KINDS = {"bare": bare, "product": product, "naive": naive}


async def serve(kind: str, path: Path, seconds: float) -> None:
    runner = web.AppRunner(KINDS[kind](path), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=8192)
    await site.start()
    gc.collect()
    gc.freeze()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print(runner.addresses[0][1], flush=True)
    try:
        # A server nobody stops ends by itself.
        async with asyncio.timeout(seconds):
            await stopped.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("database", type=Path)
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    if given.profile is None:
        asyncio.run(serve(given.kind, given.database, 300))
        return
    import cProfile

    with cProfile.Profile() as profile:
        asyncio.run(serve(given.kind, given.database, 300))
    profile.dump_stats(given.profile)


if __name__ == "__main__":
    main()
