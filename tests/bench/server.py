"""The server of a run, in its own process on its own core: `python -m tests.bench.server KIND DATABASE`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
from pathlib import Path

from aiohttp import web

from bot import logs, settings
from bot.app import build, run
from bot.cli.context import context
from tests.bench.load import AES_KEY, AGENT, CORP, PATH, SECRET, TOKEN


def bare(_: Path) -> web.Application:
    """The yardstick: a POST whose body is read."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="success")

    app = web.Application()
    app.router.add_post(PATH, answer)
    return app


def naive(path: Path) -> web.Application:
    from tests.bench.naive import application

    return application(path)


KINDS = {"bare": bare, "naive": naive}


async def product(path: Path, seconds: float) -> None:
    """The service as `python -m bot serve` builds and runs it; cards off, because they go out beside the answer and not in it."""
    config = {
        "corp_id": CORP,
        "agent_id": AGENT,
        "secret": SECRET,
        "token": TOKEN,
        "aes_key": AES_KEY,
        "api_base": "http://127.0.0.1:9",
        "cards": False,
    }
    port = free_port()
    found = settings.load(environ={}, database_url=f"sqlite:///{path}", listen=f"127.0.0.1:{port}", wecom=config)
    logs.configure(found.secrets())
    app = build.build(found, context.engine(found))
    stop = stopping(seconds)
    told: list[str] = []

    def announce(sentence: str) -> None:
        if not told:
            print(port, flush=True)
        told.append(sentence)

    await run.serve(app, stop, announce)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def stopping(seconds: float) -> asyncio.Event:
    """Set by SIGTERM; a server nobody stops ends by itself."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.call_later(seconds, stop.set)
    return stop


async def serve(kind: str, path: Path, seconds: float) -> None:
    if kind == "product":
        await product(path, seconds)
        return
    runner = web.AppRunner(KINDS[kind](path), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=8192)
    await site.start()
    gc.collect()
    gc.freeze()
    stop = stopping(seconds)
    print(runner.addresses[0][1], flush=True)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("product", *KINDS))
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
