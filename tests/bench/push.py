"""A push to five thousand while others answer: `python -m tests.bench push`; `push-kill` kills it in the middle; `occurrences` under kills.

The service stands in a process of its own, as `python -m bot serve` builds it. Two things are simulated: the platform, which answers after 20 ms,
and its limit (200 calls a second, of which the service uses 160), so that the budget is what bounds the push and not the machine.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp.test_utils import TestServer

from bot.domain.campaign.content import CampaignContent
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from tests.bench import databases
from tests.bench.databases import ROUND
from tests.bench.load import RECORDED, ask, opened, request, sealer
from tests.bench.server import ALL, SECOND, served
from tests.support import postgres
from tests.support.kills import FireOutcome, Platform, PushOutcome, push_and_kill, tick_and_kill
from tests.support.queued_deliveries import queue_campaign
from tests.support.queued_deliveries import states as queued_deliveries_states

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


async def _pushed(place: Path, count: int) -> Measured:
    sink, done = Platform(PLATFORM_SECONDS), asyncio.Event()
    sink.at = lambda reached: done.set() if reached >= count else None
    url = f"sqlite:///{place / 'push.db'}"
    databases.prepare(url, count)
    database, platform = Database(open_engine(url)), sealer()
    async with TestServer(sink.application()) as sent:
        with served("push", url, place / "push.log", outbound=str(sent.make_url("")).rstrip("/"), on=ALL) as server:
            # An invitation does not wait for the tasks that everybody in this path has open.
            invite = CampaignContent("invitation", target="竞赛 1", text="竞赛马上开始")
            database.write_now(
                lambda session: queue_campaign(session, range(1, count + 1), content=invite, rule={"quiet": False}, now=datetime.now(UTC))
            )
            # A round of questions each, spread over the time that the push takes.
            pause = 2 * count / SECOND.usable() / ROUND
            people = range(1, min(ASKERS, count) + 1)
            requests = [[request(platform, person, n, "ABCD"[(person + n) % 4]) for n in range(ROUND)] for person in people]
            asking = asyncio.create_task(ask(server.port, requests, 600, over=pause, every=pause))
            await asyncio.wait_for(done.wait(), 600)
            run = await asking
            await _settled(database)
    if wrong := [words for answers in run.answers for answer in answers if RECORDED not in (words := opened(platform, answer))]:
        raise RuntimeError(f"{len(wrong)} answers were not recorded: {wrong[0][:200]}")
    took = sink.last - sink.first
    # An invitation weighs two messages: its text and its card; one call carries both here, and two are paid for.
    paid = count * 2
    share = paid / (SECOND.usable() * took)
    return Measured(count, took, share, run.count, run.percentile(0.5), run.percentile(0.99), dict(queued_deliveries_states(database)))


async def _settled(database: Database) -> None:
    for _ in range(100):
        if not queued_deliveries_states(database).keys() - {"sent"}:
            return
        await asyncio.sleep(0.2)


def push(count: int = 5_000) -> Measured:
    """The push, on SQLite, with answers meanwhile."""
    with tempfile.TemporaryDirectory() as place:
        return asyncio.run(_pushed(Path(place), count))


def kill(count: int = 5_000) -> PushOutcome:
    """A delivery worker killed -9 in the middle of it, on SQLite."""
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{Path(place) / 'push.db'}"
        databases.prepare(url, 0)
        engine = open_engine(url)
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
