"""A push to five thousand while others answer: `python -m tests.bench push`; killed in the middle with `--kill`; occurrences under kills.

The service stands in a process of its own, as `python -m bot serve` builds it. Two things are simulated: the platform, which answers after 20 ms,
and its limit (200 calls a second, of which the service uses 160), so that the budget is what bounds the push and not the machine.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from aiohttp.test_utils import TestServer

from bot import logs, settings
from bot.app import build, run
from bot.cli.context import context
from bot.domain.campaign.content import CampaignContent
from bot.domain.delivery.platform_limits import PlatformLimit, SlidingWindow
from bot.jobs import delivery_worker
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from tests.bench import people as people_module
from tests.bench.load import AES_KEY, AGENT, CORP, SECRET, TOKEN, codec, opened, request
from tests.bench.server import free_port, stopping
from tests.support import postgres
from tests.support.kills import FireOutcome, Platform, PushOutcome, push_and_kill, tick_and_kill
from tests.support.queued_deliveries import queue_campaign
from tests.support.queued_deliveries import states as queued_deliveries_states

SECOND = PlatformLimit("wecom", "app/second", "call", 200, SlidingWindow(1), "bench")
PLATFORM_SECONDS = 0.02
ASKERS = 60
GOAL_SHARE, GOAL_P99 = 0.9, 0.5


@dataclass(frozen=True, slots=True)
class Measured:
    """How much of the budget a push reached, and how long answers took meanwhile."""

    people: int
    seconds: float
    share: float
    answers: int
    p50: float
    p99: float
    states: dict[str, int]

    @property
    def good(self) -> bool:
        return self.share >= GOAL_SHARE and self.p99 < GOAL_P99 and self.states == {"sent": self.people}

    def __str__(self) -> str:
        return (
            f"{self.people} deliveries in {self.seconds:.1f} s: {self.share:.1%} of the budget ({SECOND.usable()} a second; goal {GOAL_SHARE:.0%})\n"
            f"{self.answers} answers meanwhile: p50 {self.p50 * 1000:.1f} ms, p99 {self.p99 * 1000:.1f} ms (goal {GOAL_P99 * 1000:.0f} ms)\n"
            f"states {self.states}"
        )


async def serve(database: Path, platform: str) -> None:
    """The whole service, with the simulated limit and one call a person, as personal texts need."""
    config = {"corp_id": CORP, "agent_id": AGENT, "secret": SECRET, "token": TOKEN, "aes_key": AES_KEY, "api_base": platform, "cards": False}
    port = free_port()
    found = settings.load(environ={}, database_url=f"sqlite:///{database}", listen=f"127.0.0.1:{port}", wecom=config)
    logs.configure(found.secrets())
    delivery_worker.DeliveryWorker = partial(delivery_worker.DeliveryWorker, sizes={"wecom": 1})  # type: ignore[misc, assignment]
    app = build.build(found, context.engine(found))
    app.catalog.limits = (SECOND,)
    told: list[str] = []

    def announce(sentence: str) -> None:
        if not told:
            print(port, flush=True)
        told.append(sentence)

    await run.serve(app, stopping(600), announce)


@contextmanager
def served(database: Path, platform: str) -> Iterator[int]:
    words = [sys.executable, "-m", "tests.bench.push", str(database), platform]
    with (
        database.with_suffix(".log").open("wb") as errors,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=people_module.ROOT) as process,
    ):
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(60)


async def _asked(port: int, person: int, pause: float, until: asyncio.Event, seconds: list[float]) -> None:
    """One person answers a round of questions, with a pause between them; every answer has to be recorded."""
    sealer = codec()
    await asyncio.sleep(pause * person / ASKERS)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for n in range(people_module.ROUND):
        if until.is_set():
            break
        sent = time.perf_counter()
        writer.write(request(sealer, person, n, "ABCD"[(person + n) % 4]))
        head = await reader.readuntil(b"\r\n\r\n")
        at = head.index(b"Content-Length: ") + 16
        body = await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
        seconds.append(time.perf_counter() - sent)
        said = opened(sealer, head + body)
        if "已记录" not in said:
            raise RuntimeError(f"person {person}, answer {n}: {said[:200]}")
        await asyncio.sleep(pause)
    writer.close()


async def _pushed(path: Path, count: int) -> Measured:
    platform, done = Platform(PLATFORM_SECONDS), asyncio.Event()
    platform.at = lambda reached: done.set() if reached >= count else None
    database = Database(open_engine(f"sqlite:///{path}"))
    seconds: list[float] = []
    async with TestServer(platform.application()) as server:
        with served(path, str(server.make_url("")).rstrip("/")) as port:
            # An invitation does not wait for the tasks that everybody in this path has open.
            invite = CampaignContent("invitation", target="竞赛 1", text="竞赛马上开始")
            database.write_now(
                lambda session: queue_campaign(session, range(1, count + 1), content=invite, rule={"quiet": False}, now=datetime.now(UTC))
            )
            pause = count / SECOND.usable() / people_module.ROUND
            asking = [asyncio.create_task(_asked(port, person, pause, done, seconds)) for person in range(1, min(ASKERS, count) + 1)]
            await asyncio.wait_for(done.wait(), 600)
            await asyncio.gather(*asking)
            await _settled(database)
    took = platform.last - platform.first
    ordered = sorted(seconds)
    # An invitation weighs two messages: its text and its card; one call carries both here, and two are paid for.
    paid = count * 2
    return Measured(
        count,
        took,
        paid / (SECOND.usable() * took),
        len(ordered),
        ordered[len(ordered) // 2],
        ordered[int(len(ordered) * 0.99)],
        dict(queued_deliveries_states(database)),
    )


async def _settled(database: Database) -> None:
    for _ in range(100):
        if not queued_deliveries_states(database).keys() - {"sent"}:
            return
        await asyncio.sleep(0.2)


def push(count: int = 5_000) -> Measured:
    """The push, on SQLite, with answers meanwhile."""
    with tempfile.TemporaryDirectory() as place:
        database = Path(place) / "push.db"
        people_module.prepared(database, count)
        return asyncio.run(_pushed(database, count))


def kill(count: int = 5_000) -> PushOutcome:
    """A delivery worker killed -9 in the middle of it, on SQLite."""
    with tempfile.TemporaryDirectory() as place:
        database = Path(place) / "push.db"
        people_module.prepared(database, 0)
        engine = open_engine(f"sqlite:///{database}")
        return asyncio.run(push_and_kill(engine, count, count // 2, lease=10.0))


def occurrences(count: int = 1_000, minutes: int = 40) -> FireOutcome:
    """Three replicas on PostgreSQL, one of them killed every second."""
    from bot.storage.migrations.migrate import migrate

    with postgres.running() as url, tempfile.TemporaryDirectory() as place:
        engine = open_engine(url)
        migrate(engine)
        found = asyncio.run(tick_and_kill(engine, count, minutes, Path(place) / "said"))
        engine.dispose()
        return found


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
