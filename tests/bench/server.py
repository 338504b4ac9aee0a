"""The servers of a run, each in a process of its own, and the CPU that they take by thread: `python -m tests.bench.server KIND URL`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from aiohttp import web

from bot import logs, settings
from bot.app import build, run
from bot.app.build import App
from bot.cli.context import context
from bot.domain.delivery.platform_limits import PlatformLimit, SlidingWindow
from bot.domain.message import Incoming, Reply
from bot.jobs import delivery_worker
from tests.bench import peers
from tests.bench.databases import ROOT
from tests.bench.load import AES_KEY, AGENT, CORP, SECRET, TOKEN

LONGEST_SECONDS = 600
Prepare = Callable[[App], None]


# ── In the process of the server ──


async def product(url: str, outbound: str, prepare: Prepare, *, cards: bool = False, reply_seconds: float = 4.0) -> None:
    """The service as `python -m bot serve` builds and runs it. Cards go out beside an answer and not in it: off where the answer is measured."""
    config = {
        "corp_id": CORP,
        "agent_id": AGENT,
        "secret": SECRET,
        "token": TOKEN,
        "aes_key": AES_KEY,
        "api_base": outbound,
        "cards": cards,
    }
    port = free_port()
    loaded = settings.load(environ={}, database_url=url, listen=f"127.0.0.1:{port}", wecom=config, limits={"reply_seconds": reply_seconds})
    logs.configure(loaded.secrets())
    app = build.build(loaded, context.engine(loaded))
    prepare(app)
    lags: list[float] = []
    watching = asyncio.create_task(_watch_loop(lags))
    told_when_ready(lambda: {"lag": max(lags, default=0.0)})
    announced: list[str] = []

    def announce(sentence: str) -> None:
        if not announced:
            print(port, flush=True)
        announced.append(sentence)

    await run.serve(app, stopping(), announce)
    watching.cancel()


def as_served(service: Coroutine[Any, Any, None]) -> None:
    """Run it in the event loop that `serve` would take: uvloop's where that is installed."""
    with asyncio.Runner(loop_factory=run.loop_factory()) as runner:
        runner.run(service)


async def _watch_loop(lags: list[float], every: float = 0.01) -> None:
    """How much later than asked for the loop comes back."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        lags.append(loop.time() - due)
        if len(lags) > 100_000:
            lags[:] = [max(lags)]


def answer_without_database(app: App) -> None:
    """What the door and the codec cost inside the service: every message is answered with the same words, and nothing is recorded."""

    async def handle(_: Incoming) -> Reply:
        return Reply(peers.ECHO)

    app.dispatcher.handle = handle  # type: ignore[method-assign, assignment]


SECOND = PlatformLimit("wecom", "app/second", "call", 200, SlidingWindow(1), "bench")
"""The simulated limit of a push: calls a second, of which the service uses four fifths."""


def push_to_each(app: App) -> None:
    """The simulated limit instead of WeCom's own, and one call a person, as personal texts need."""
    delivery_worker.DeliveryWorker = partial(delivery_worker.DeliveryWorker, sizes={"wecom": 1})  # type: ignore[misc, assignment]
    app.catalog.limits = (SECOND,)


def call_without_limits(app: App) -> None:
    """The delivery worker calls as fast as the platform answers."""
    app.catalog.limits = ()


def bare() -> web.Application:
    """The yardstick: a POST whose body is read."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="success")

    return peers.posted_to(answer)


async def aiohttp_app(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=8192).start()
    gc.collect()
    gc.freeze()
    stop = stopping()
    told_when_ready(dict)
    print(runner.addresses[0][1], flush=True)
    await stop.wait()
    await runner.cleanup()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def stopping(seconds: float = LONGEST_SECONDS) -> asyncio.Event:
    """Set by SIGTERM; a server nobody stops ends by itself."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.call_later(seconds, stop.set)
    return stop


def told_when_ready(more: Callable[[], Mapping[str, float]]) -> None:
    """At SIGUSR1 the process writes which of its threads is which, and `more`, as one line on its standard output."""

    def tell(_: int, __: FrameType | None) -> None:
        threads = {str(thread.native_id): thread.name for thread in threading.enumerate()}
        print(json.dumps({"threads": threads, **more()}), flush=True)

    signal.signal(signal.SIGUSR1, tell)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("url")
    parser.add_argument("--outbound", default="http://127.0.0.1:9")
    parser.add_argument("--cores", type=int, nargs="+", required=True)
    given = parser.parse_args()
    os.sched_setaffinity(0, given.cores)
    KINDS[given.kind](given.url, given.outbound)


KINDS: dict[str, Callable[[str, str], Any]] = {
    "bare": lambda url, outbound: asyncio.run(aiohttp_app(bare())),
    "product": lambda url, outbound: as_served(product(url, outbound, lambda app: None)),
    "echo": lambda url, outbound: as_served(product(url, outbound, answer_without_database)),
    "hasty": lambda url, outbound: as_served(product(url, outbound, lambda app: None, reply_seconds=0.2)),
    "push": lambda url, outbound: as_served(product(url, outbound, push_to_each)),
    "cards": lambda url, outbound: as_served(product(url, outbound, lambda app: None, cards=True)),
    "cards-unlimited": lambda url, outbound: as_served(product(url, outbound, call_without_limits, cards=True)),
    "naive": lambda url, outbound: asyncio.run(aiohttp_app(peers.naive(url))),
    "wechatpy": lambda url, outbound: asyncio.run(aiohttp_app(peers.wechatpy())),
    "werobot": lambda url, outbound: peers.werobot(partial(told_when_ready, dict)),
    "nonebot": lambda url, outbound: peers.nonebot(free_port(), partial(told_when_ready, dict)),
}


# ── In the process of the benchmark ──


def thread_seconds(pid: int) -> dict[int, float]:
    """CPU seconds of each thread of a process so far, from its schedstat."""
    seconds = {}
    for place in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that ended meanwhile
            seconds[int(place.name)] = int((place / "schedstat").read_text().split()[0]) / 1e9
    return seconds


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass
class CpuSeconds:
    """CPU seconds between entering and leaving: of a server by thread, and of the backends of its database."""

    server: Server
    postmaster: int | None = None
    threads: dict[str, float] = field(default_factory=dict)
    backends: float = 0.0

    @property
    def client(self) -> float:
        return sum(self.threads.values())

    def __enter__(self) -> CpuSeconds:
        self._before = (thread_seconds(self.server.pid), self._backends())
        return self

    def __exit__(self, *_: object) -> None:
        after, backends = thread_seconds(self.server.pid), self._backends()
        threads = self.server.told()["threads"]
        for thread, seconds in after.items():
            name = str(threads.get(str(thread), "other"))
            name = "loop" if thread == self.server.pid else re.split(r"[-_ ]", name)[0]
            self.threads[name] = self.threads.get(name, 0.0) + seconds - self._before[0].get(thread, 0.0)
        self.backends = sum(seconds - self._before[1].get(pid, 0.0) for pid, seconds in backends.items())

    def _backends(self) -> dict[int, float]:
        return {} if self.postmaster is None else {pid: sum(thread_seconds(pid).values()) for pid in children(self.postmaster)}


@dataclass
class Server:
    """A server that runs."""

    process: subprocess.Popen[str]
    port: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def told(self) -> dict[str, Any]:
        """What the server says of itself (`told_when_ready`)."""
        self.process.send_signal(signal.SIGUSR1)
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def memory_mib(self) -> float:
        line = next(line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


CORES = sorted(os.sched_getaffinity(0))
"""The cores that the benchmark was given, before it pins itself."""
FIRST, LAST, ALL = slice(1), slice(-1, None), slice(None)


def pin(cores: slice) -> None:
    """This process to some of the cores: the servers take the first, the load the last."""
    os.sched_setaffinity(0, CORES[cores])


@contextmanager
def served(
    kind: str, url: str, log: Path, *, outbound: str = "http://127.0.0.1:9", on: slice = FIRST, preload: Path | None = None
) -> Iterator[Server]:  # fmt: skip
    """A server on some of the cores; stopped in the end. RuntimeError with the end of its log when it does not start."""
    environ = {**os.environ, **({"LD_PRELOAD": str(preload)} if preload else {})}
    words = [sys.executable, "-m", "tests.bench.server", kind, url, "--outbound", outbound, "--cores", *map(str, CORES[on])]
    with (
        log.open("wb") as errors,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ, cwd=ROOT) as process,
    ):
        try:
            assert process.stdout is not None
            # The first number is the port; some peers say other things before.
            port = next((line.strip() for line in process.stdout if line.strip().isdigit()), "")
            if not port:
                raise RuntimeError(f"the {kind} server did not start: {log.read_text(encoding='utf-8', errors='replace')[-1000:]}")
            _await_listener(int(port))
            yield Server(process, int(port))
        finally:
            process.terminate()
            process.wait(60)


def _await_listener(port: int, seconds: float = 30.0) -> None:
    last = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            if time.monotonic() > last:
                raise
            time.sleep(0.02)


if __name__ == "__main__":
    main()
