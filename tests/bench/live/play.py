"""One contest from the first way in to the frozen board, and the reference that its places are held against."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from sqlalchemy import text
from sqlmodel import Session

from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from tests.bench.live.hall import HOST, SECONDS, Prepared, WeCom, prepared, user_of
from tests.bench.live.phones import DROPPING, SPREAD, Line, Phone
from tests.bench.load import opened, posted
from tests.bench.load import sealer as load_sealer
from tests.bench.load import text as load_text
from tests.bench.server import ALL, served
from tests.support import postgres
from tests.support.platforms.envelopes import Sealer

Choices = dict[tuple[int, int], str]
"""(person, question) -> the letter that this person will tap."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one contest; seconds, and the counts that have to be nought."""

    phones: int
    replicas: int
    database: str
    budget: bool
    questions: int
    to_last_phone: list[float]
    to_board: list[float]
    slowest: float
    calls: int
    lost: int
    double: int
    odd: int
    misplaced: int
    joined: float
    shed: int
    late: int

    @property
    def good(self) -> bool:
        return (self.lost, self.double, self.odd, self.misplaced) == (0, 0, 0, 0)

    def __str__(self) -> str:
        kept = "within the documented budget" if self.budget else "without a budget"
        return (
            f"{self.phones:,} phones, {self.replicas} replica{'s' if self.replicas > 1 else ''} on {self.database}, {self.questions} questions, "
            f"1 in {DROPPING} drops and comes back, {kept}\n"
            f"  all in the room after {self.joined:.1f} s; slowest reply {self.slowest:.2f} s; {self.calls} calls to the platform\n"
            f"  taps told 系统繁忙 and made again {self.shed}, replies that came later as messages {self.late}\n"
            f"  from the host's next to the last phone: {_span(self.to_last_phone)}\n"
            f"  from the last tap to the board on the screen (close and show): {_span(self.to_board)}\n"
            f"  lost {self.lost}, double {self.double}, odd replies {self.odd}, places unlike the reference's {self.misplaced}"
        )


def _span(found: list[float]) -> str:
    ordered = sorted(found)
    return f"median {ordered[len(ordered) // 2]:.2f} s, longest {ordered[-1]:.2f} s"


def play(people: int, questions: int, *, replicas: int = 1, budget: bool = True, speed: int = 0, where: str = "sqlite") -> Played:
    """A contest on a database of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-live-") as place:
        if where == "sqlite":
            return asyncio.run(_played(f"sqlite:///{place}/live.db", Path(place), people, questions, replicas, budget, speed))
        with postgres.running() as url:
            return asyncio.run(_played(url, Path(place), people, questions, replicas, budget, speed))


async def _played(url: str, place: Path, people: int, questions: int, replicas: int, budget: bool, speed: int) -> Played:
    prepared_contest = await asyncio.to_thread(prepared, url, people, questions, speed)
    rng = random.Random(20260701)
    plan: Choices = {
        (person, n): prepared_contest.keys[n - 1] if rng.random() < 0.6 else rng.choice("ABCD")
        for person in range(1, people + 1)
        for n in range(1, questions + 1)
        if rng.random() < 0.97
    }
    platform = WeCom()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(platform.application()))
        api = str(server.make_url("")).rstrip("/")
        kind = "cards" if budget else "cards-unlimited"
        logs = [place / f"replica{n}.log" for n in range(replicas)]
        ports = [stack.enter_context(served(kind, url, log, outbound=api, on=ALL)).port for log in logs]
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)))
        sealer = load_sealer()
        phones = [Phone(n, [Line(port) for port in ports], sealer, random.Random(n), min(SPREAD, people / 400)) for n in range(1, people + 1)]
        stage = Stage(prepared_contest, sealer, Line(ports[0]), session, ports[-1], platform)
        joined = await stage.all_in(phones)
        for n in range(1, questions + 1):
            await stage.question(n, phones, plan)
        await stage.end(url)
        for phone in phones:
            await phone.close()
        await stage.line.close()
    odd = [oddity for phone in phones for oddity in phone.oddities]
    for oddity in odd[:3]:
        print("odd:", oddity)
    lost, double, misplaced = judged(url, prepared_contest, plan, phones, speed)
    shed, late = sum(phone.shed for phone in phones), sum(phone.late for phone in phones)
    slowest = max(phone.slowest for phone in phones)
    database = "SQLite" if url.startswith("sqlite") else "PostgreSQL"
    waits = (stage.to_last_phone, stage.to_board, slowest)
    return Played(people, replicas, database, budget, questions, *waits, platform.calls, lost, double, len(odd), misplaced, joined, shed, late)


class Stage:
    """The host with a chat, and the big screen, at the last replica."""

    def __init__(self, made: Prepared, sealer: Sealer, line: Line, session: aiohttp.ClientSession, port: int, platform: WeCom) -> None:
        self.made, self.sealer, self.line, self.session, self.port, self.platform = made, sealer, line, session, port, platform
        self.to_last_phone: list[float] = []
        self.to_board: list[float] = []
        self._said = 0

    async def say(self, words: str) -> str:
        self._said += 1
        inner = load_text(HOST, words, f"98{self._said:06d}")
        said = opened(self.sealer, await self.line.post(posted(self.sealer, inner, f"host{self._said:06d}")))
        if "参赛码" not in said:
            raise RuntimeError(f"{words}: {said[:300]}")
        return said

    async def end(self, url: str) -> None:
        """The end gives two thousand people their hours; where that takes longer than the platform waits, the reply comes later."""
        inner = load_text(HOST, "主持 结束 确认", "99999999")
        await self.line.post(posted(self.sealer, inner, "hostend"))
        database = Database(open_engine(url))
        for _ in range(300):
            if await asyncio.to_thread(database.read_now, _is_closed):
                break
            await asyncio.sleep(0.2)
        database.engine.dispose()

    async def all_in(self, phones: list[Phone]) -> float:
        """Everybody joins within ten seconds, or as fast as they are let."""
        began = time.perf_counter()
        spread = min(10.0, len(phones) / 200)

        async def one(phone: Phone) -> None:
            await asyncio.sleep(phone.rng.uniform(0, spread))
            await phone.join(self.made.code)

        await asyncio.gather(*map(one, phones))
        return time.perf_counter() - began

    async def question(self, n: int, phones: list[Phone], plan: Choices) -> None:
        """Next, taps, close, board; the next question follows from the board."""
        began = time.perf_counter()
        await self.say("主持 下一题")
        await self.platform.delivered(str(n), len(phones))
        self.to_last_phone.append(self.platform.last[str(n)] - began)
        taps = [phone.answer(self.platform, self.made.contest, n, plan[phone.number, n]) for phone in phones if (phone.number, n) in plan]
        await asyncio.gather(*taps)
        tapped = time.perf_counter()
        async with self.session.get(f"http://127.0.0.1:{self.port}/screen/{self.made.contest}/events?k={self.made.secret}") as response:
            await self.say("主持 收题")
            await self.say("主持 排行")
            await self._shown(response, n)
        self.to_board.append(time.perf_counter() - tapped)

    async def _shown(self, response: aiohttp.ClientResponse, n: int) -> None:
        async with asyncio.timeout(60):
            while True:
                line = (await response.content.readline()).decode()
                if line.startswith("data: "):
                    frame: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    if frame["phase"] == "board" and frame["n"] == n:
                        return


def _is_closed(session: Session) -> bool:
    return bool(session.execute(text("SELECT COUNT(*) FROM contest WHERE state = 'closed'")).scalar())


# ── The reference ──


def judged(url: str, made: Prepared, plan: Choices, phones: list[Phone], speed: int) -> tuple[int, int, int]:
    """(answers lost, answers double, places unlike the reference's): the rows against the plan."""
    database = Database(open_engine(url))
    rows = database.read_now(
        lambda session: session.execute(
            text(
                "SELECT p.staff_no, a.n, a.choice, a.arrived_at FROM answer a JOIN sitting s ON s.id = a.sitting_id "
                "JOIN person p ON p.id = a.person_id WHERE s.kind = 'live' ORDER BY a.id"
            )
        ).all()
    )
    opened_at = dict(
        database.read_now(lambda session: [(row[0], row[1]) for row in session.execute(text("SELECT n, opened_at FROM live_item")).all()])
    )
    places = dict(
        database.read_now(
            lambda session: [
                (row[0], row[1])
                for row in session.execute(text("SELECT p.staff_no, e.place FROM participation e JOIN person p ON p.id = e.person_id")).all()
            ]
        )
    )
    database.engine.dispose()
    kept = {(row[0], row[1]): (row[2], row[3]) for row in rows}
    lost = sum(kept.get((user_of(person), n), ("", ""))[0] != choice for (person, n), choice in plan.items())
    lost += sum((phone.user, n) not in kept for phone in phones for n in phone.promised)
    expected = reference(made, plan, {key: value[1] for key, value in kept.items()}, opened_at, speed)
    misplaced = sum(places.get(user) != place for user, place in expected.items())
    return lost, len(rows) - len(kept), misplaced


def reference(made: Prepared, plan: Choices, arrived: dict[tuple[str, int], str], opened_at: dict[int, str], speed: int) -> dict[str, int]:
    """Everybody's place from the plan: right ones, then time, then who was done first. Written without a line of the product's.

    Only the moments of arrival are taken from the rows: nobody outside can know them.
    """
    standing: dict[str, tuple[float, int, float, str]] = {}
    for person in range(1, made.people + 1):
        user, points, right, total_elapsed, last = user_of(person), 0, 0, 0, ""
        for n, key in enumerate(made.keys, 1):
            if (person, n) not in plan or (user, n) not in arrived:
                continue
            elapsed = (datetime.fromisoformat(arrived[user, n]) - datetime.fromisoformat(opened_at[n])) // timedelta(milliseconds=1)
            is_right = plan[person, n] == key
            share = 100_000 - (speed * 1000 * elapsed // (SECONDS * 1000) if elapsed > 500 else 0)
            points += 1000 * share // 100_000 if is_right else 0
            right += is_right
            total_elapsed += elapsed
            last = max(last, arrived[user, n])
        if last:
            standing[user] = (-points, -right, total_elapsed, last)
    ordered = sorted(standing.values())
    return {user: ordered.index(sort_key) + 1 for user, sort_key in standing.items()}
