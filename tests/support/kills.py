"""Replicas that are killed: in the middle of a push, and every second while campaigns fall due; and the count of what came of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule
from bot.domain.people.audience import All
from bot.domain.times import SHANGHAI
from bot.storage import campaign
from bot.storage.db.database import Database
from bot.storage.delivery import queue
from tests.conftest import NOW
from tests.support.queued_deliveries import add_people, queue_campaign, rows
from tests.support.queued_deliveries import states as queued_deliveries_states

ROOT = Path(__file__).parents[2]
STALL_SECONDS = 120.0


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://")


@dataclass(eq=False)
class Replica:
    """A child process (tests/support/replica.py)."""

    process: asyncio.subprocess.Process

    @classmethod
    async def begin(cls, *arguments: str) -> Replica:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.replica",
            *arguments,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        return cls(process)

    async def ready(self) -> None:
        assert self.process.stdout is not None
        assert (await asyncio.wait_for(self.process.stdout.readline(), 300)).strip() == b"ready"

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


# ── In the middle of a push ──


@dataclass
class Platform:
    """WeCom as far as sending goes: every call takes a while, and whom it reached is counted when it comes in."""

    seconds: float = 0.02
    reached: Counter[str] = field(default_factory=Counter)
    under_way: int = 0
    at: Callable[[int], None] = lambda count: None
    first: float = 0.0
    last: float = 0.0

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/cgi-bin/gettoken", self._token)
        app.router.add_post("/cgi-bin/message/send", self._send)
        return app

    async def _token(self, _: web.Request) -> web.Response:
        return web.json_response({"errcode": 0, "errmsg": "ok", "access_token": "t", "expires_in": 7200})

    async def _send(self, request: web.Request) -> web.Response:
        message = await request.json()
        self.under_way += 1
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.reached.update(message["touser"].split("|"))
        self.at(self.reached.total())
        await asyncio.sleep(self.seconds)
        self.under_way -= 1
        return web.json_response({"errcode": 0, "errmsg": "ok", "msgid": str(self.reached.total()), "invaliduser": ""})


@dataclass(frozen=True)
class PushOutcome:
    """What a push with a kill in the middle came to."""

    people: int
    states: dict[str, int]
    in_flight: int
    missed: int
    twice: int
    unreached_but_sent: int


async def push_and_kill(engine: Engine, count: int, at: int, lease: float = 3.0) -> PushOutcome:
    """Push to `count` people, kill the delivery worker with SIGKILL once the platform was called `at` times, let another one finish."""
    database = Database(engine)
    database.write_now(lambda session: queue_campaign(session, add_people(session, count), rule={"quiet": False}))
    platform, moment = Platform(), asyncio.Event()
    platform.at = lambda reached: moment.set() if reached >= at else None
    async with TestServer(platform.application()) as server:
        arguments = ("push", url_of(engine), str(server.make_url("")), str(lease))
        first = await Replica.begin(*arguments)
        await first.ready()
        await asyncio.wait_for(moment.wait(), 300)
        in_flight = platform.under_way
        await first.kill()
        # Calls that had left the dead process and were still on the wire.
        in_flight = max(in_flight, queued_deliveries_states(database)["sending"])
        second = await Replica.begin(*arguments)
        await second.ready()
        assert await asyncio.wait_for(second.process.wait(), 600) == 0
    state_of = {row[0]: row[1] for row in rows(database, "person_id, state")}
    user_of = {row[0]: row[1] for row in database.read_now(lambda s: s.execute(text('SELECT person_id, "user" FROM account')).all())}
    sent = {user_of[person] for person, state in state_of.items() if state == "sent"}
    unknown = {user_of[person] for person, state in state_of.items() if state == "unknown"}
    missed = sum(1 for user in user_of.values() if user not in sent | unknown)
    twice = sum(1 for calls in platform.reached.values() if calls > 1)
    return PushOutcome(count, dict(queued_deliveries_states(database)), in_flight, missed, twice, len(sent - set(platform.reached)))


# ── While campaigns fall due ──


@dataclass(frozen=True)
class FireOutcome:
    """What campaigns under replicas that were killed came to."""

    due: int
    fired: int
    twice: int
    missed: int
    surplus: int
    sent_twice: int
    unsettled: dict[str, int]
    kills: int
    latest: float


def add_campaigns(database: Database, count: int, minutes: int, began: datetime, people: int) -> None:
    """So many campaigns, each due once, spread over so many minutes after the first."""

    def work(session: Session) -> None:
        add_people(session, people, ("local",))
        local = began.astimezone(SHANGHAI)
        for number in range(count):
            due_at = local + timedelta(minutes=1 + number * minutes // count)
            schedule = Schedule("once", time=due_at.strftime("%H:%M"), on=due_at.date(), on_holiday="keep")
            campaign_id = campaign.add(
                session,
                f"活动{number}",
                CampaignContent("invitation", target="每日"),
                schedule,
                All(),
                by="1001",
                at=began,
                delivery={"quiet": False},
                state="running",
            )
            campaign.set_planned_until(session, campaign_id, began)

    database.write_now(work)


async def tick_and_kill(
    engine: Engine, count: int, minutes: int, log: Path, *, speed: float = 60.0, replicas: int = 3, people: int = 2
) -> FireOutcome:
    """`count` occurrences over `minutes` of a clock that runs `speed` times as fast, `replicas` at it, one of them killed every second.

    On a machine that starts a replica so slowly that those killed would not be replaced in time, everything is stretched alike.
    """
    database = Database(engine)
    # The clock that all replicas share shows the same day whenever this is run: what falls due is what is planned here and no notice of the season.
    started = time.monotonic()
    arguments = ("tick", url_of(engine), str(NOW.timestamp()), str(started), str(speed), str(log))
    alive = [await Replica.begin(*arguments) for _ in range(replicas)]
    starting = {replica: asyncio.create_task(replica.ready()) for replica in alive}
    log.touch()
    # Only once all are at work does anything fall due: however slow the machine, those that are killed first had something to lose.
    await asyncio.gather(*starting.values())
    pace = max(1.0, (time.monotonic() - started) / replicas)
    reached = NOW + timedelta(seconds=(time.monotonic() - started) * speed)
    add_campaigns(database, count, round(minutes * pace), reached.replace(second=0, microsecond=0) + timedelta(minutes=1), people)
    kills = fired = at_last_kill = 0
    moved = time.monotonic()
    # Until all have come about, or none for so long that none will.
    while fired < count and time.monotonic() - moved < STALL_SECONDS:
        await asyncio.sleep(pace)
        # The one that has worked longest; one that has not begun to work would be no replica to lose, and nobody
        # is killed before something came about since the last one was: else a slow machine would never have one at work.
        victim = next((replica for replica in alive if starting[replica].done()), None)
        if victim is not None and fired >= at_last_kill:
            at_last_kill = fired + 1
            alive.remove(victim)
            await victim.kill()
            starting.pop(victim).result()
            alive.append(await Replica.begin(*arguments))
            starting[alive[-1]] = asyncio.create_task(alive[-1].ready())
            kills += 1
        before, fired = fired, database.read_now(lambda session: session.execute(text("SELECT COUNT(*) FROM occurrence")).scalar_one())
        moved = moved if fired == before else time.monotonic()
    await asyncio.gather(*starting.values())
    for _ in range(300):
        queued, _, sending = database.read_now(queue.queue_depth)
        if not queued and not sending:
            break
        await asyncio.sleep(0.2)
    for replica in alive:
        await replica.kill()
    return _count_outcome(database, count, people, kills, log)


def _count_outcome(database: Database, count: int, people: int, kills: int, log: Path) -> FireOutcome:
    def value(session: Session, statement: str) -> int:
        return int(session.execute(text(statement)).scalar_one() or 0)

    def work(session: Session) -> tuple[int, int, int, int]:
        return (
            value(session, "SELECT COUNT(*) FROM occurrence WHERE state = 'fired'"),
            value(session, "SELECT COUNT(*) FROM (SELECT campaign_id FROM occurrence GROUP BY campaign_id HAVING COUNT(*) > 1) t"),
            value(session, "SELECT COUNT(*) FROM campaign WHERE id NOT IN (SELECT campaign_id FROM occurrence WHERE state = 'fired')"),
            value(session, "SELECT COUNT(*) FROM delivery"),
        )

    fired, twice, missed, queued = database.read_now(work)
    sends = Counter(line.split()[0] for line in log.read_text().splitlines())
    late = [
        datetime.fromisoformat(row[1]) - datetime.fromisoformat(row[0])
        for row in database.read_now(lambda session: session.execute(text("SELECT due, fired_at FROM occurrence")).all())
    ]
    by_state = queued_deliveries_states(database)
    return FireOutcome(
        count, fired, twice, missed, queued - count * people, sum(1 for times in sends.values() if times > 1),
        {state: times for state, times in by_state.items() if state != "sent"}, kills, max(late, default=timedelta()).total_seconds(),
    )  # fmt: skip
