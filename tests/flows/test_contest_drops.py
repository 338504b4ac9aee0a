"""Lines drop, messages come twice, replicas share the players: no score and no team is lost, and the ranks are those of a run without trouble."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.library.question import Question
from bot.domain.message import Address, Incoming, QuestionCard, Reply
from bot.domain.people.audience import All
from bot.jobs.schedule import end_contests
from bot.services.contest import closing, manage
from bot.storage.contest import contests, players
from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite, open_engine
from bot.storage.people import accounts
from bot.storage.tables.people import AccountRow
from tests.conftest import NOW, enroll

ADMIN = Author("9001", "cli")
END = NOW + timedelta(hours=2)
CHANNELS = ("local", "wecom")


@pytest.fixture
async def replicas(dispatcher: Dispatcher) -> AsyncIterator[list[Dispatcher]]:
    """Two dispatchers over one database: with a `Database` each on PostgreSQL; SQLite serves one process, the second is that after a restart."""
    if is_sqlite(dispatcher.database.engine):
        yield [dispatcher, Dispatcher(dispatcher.database, dispatcher.catalog, rng=random.Random(2))]
        return
    url = dispatcher.database.engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://")
    second = Database(open_engine(url), prelock=accounts.lock_people)
    second.start()
    yield [dispatcher, Dispatcher(second, dispatcher.catalog, rng=random.Random(2))]
    await asyncio.to_thread(second.stop)


def opened(dispatcher: Dispatcher, rules: ContestRules, crowd: int) -> int:
    """A contest of two hours, and so many people in units of three sizes, each with an account on two channels."""
    plan = ContestPlan("七一知识竞赛", "windowed", rules, ("监察法",), All(), NOW, END)

    def work(session: Session) -> int:
        for n in range(crowd):
            unit = "某局/" + ("甲处" if n % 10 == 0 else "乙处" if n % 10 < 4 else "丙处")
            person_id = enroll(session, f"{n:04}", f"员{n:04}", unit=unit)
            session.add(AccountRow(channel="wecom", user=f"{n:04}", person_id=person_id, bound_at=NOW, bound_by="test"))
        made = manage.create(session, dispatcher.catalog(), ADMIN, plan, NOW)
        manage.open_contest(session, ADMIN, made, NOW)
        return made

    return int(dispatcher.database.write_now(work))


@dataclass
class Player:
    """A phone: it speaks to whichever replica answers, on whichever channel is at hand, and may lose what it is told."""

    staff_no: str
    halls: list[Dispatcher]
    rng: random.Random
    channel: str = "local"
    drops: int = 0
    sent: int = 0
    card: QuestionCard | None = field(default=None)

    async def say(self, words: str, at: datetime, task: str = "", copies: int = 1) -> Reply:
        """One message, in copies that reach the replicas at once; all are told the same or nothing."""
        self.sent += 1
        incoming = Incoming(Address(self.channel, "app", self.staff_no), words, f"{self.staff_no}-{self.sent}", at, "tap" if task else "text", task)
        halls = [self.rng.choice(self.halls) for _ in range(copies)]
        replies = await asyncio.gather(*(hall.handle(incoming) for hall in halls))
        assert len(set(replies)) == 1, replies
        self.card = replies[0].card
        return replies[0]

    async def drop(self, contest_id: int, at: datetime) -> None:
        """The client dies: what it was told is gone, and it comes back on either channel, to either replica."""
        self.drops += 1
        self.card = None
        self.channel = self.rng.choice(CHANNELS)
        await self.say(self.rng.choice((f"竞赛 {contest_id} 开始", "继续", f"竞赛 {contest_id} 开始")), at)

    async def answer(self, right: bool, at: datetime, copies: int = 1) -> Reply:
        assert self.card is not None
        said = choice(self.halls[0], self.card, right=right)
        if self.rng.random() < 0.3:
            return await self.say(said, at, copies=copies)
        return await self.say(said, at, self.card.task, copies)


def choice(dispatcher: Dispatcher, ask: QuestionCard, *, right: bool) -> str:
    """What to say to the question of a card."""
    ref, n = ask.task[1:].split(".")

    def work(session: Session) -> Question:
        found = session.execute(text("SELECT version_id FROM sitting_item WHERE sitting_id = :ref AND n = :n"), {"ref": int(ref), "n": int(n)})
        return dispatcher.catalog().question(session, found.scalar_one())

    question: Question = dispatcher.database.read_now(work)
    return question.key if right else next(said for said, _ in question.choices if said not in question.key)


async def play(player: Player, contest_id: int, right: list[bool], size: int, drop_at: set[int], pace: int = 10) -> None:
    """Sets of `size`, an answer every `pace` seconds; before those named in `drop_at` the client dies, sometimes just after it has spoken."""
    for k, is_right in enumerate(right):
        at = NOW + timedelta(seconds=pace * k)
        if k % size == 0:
            await player.say(f"竞赛 {contest_id} 开始", at, copies=player.rng.choice((1, 2)))
        if k in drop_at:
            await player.drop(contest_id, at + timedelta(seconds=player.rng.randrange(1, pace)))
        reply = await player.answer(is_right, NOW + timedelta(seconds=pace * (k + 1)), copies=player.rng.choice((1, 1, 3)))
        assert reply.text.startswith("已记录"), reply


def stands(dispatcher: Dispatcher, contest_id: int, person_id: int) -> tuple[Any, ...]:
    def work(session: Session) -> tuple[Any, ...]:
        mine = players.get(session, contest_id, person_id)
        assert mine is not None
        return mine.result, players.team_of(session, contest_id, person_id)

    return dispatcher.database.read_now(work)


async def test_a_client_that_dies_twenty_times_ends_where_one_that_never_died_ends(replicas: list[Dispatcher]) -> None:
    """Two people give the same answers at the same moments; one of them loses the line twenty times."""
    dispatcher = replicas[0]
    number = opened(dispatcher, ContestRules(size=10, sets_a_day=3, counted_a_day=2, teams="unit", best=2, speed=30), 2)
    rng = random.Random(19)
    right = [rng.random() < 0.7 for _ in range(30)]
    steady, shaky = (Player(f"{n:04}", replicas, random.Random(n)) for n in range(2))
    await play(steady, number, right, 10, set())
    await play(shaky, number, right, 10, set(rng.sample(range(30), 20)))
    assert (steady.drops, shaky.drops) == (0, 20)
    ids = dispatcher.database.read_now(lambda session: [row[0] for row in session.execute(text("SELECT id FROM person ORDER BY staff_no")).all()])
    results = [stands(dispatcher, number, one) for one in ids]
    assert results[0][0] == results[1][0]
    assert [one[1][1] for one in results] == ["某局/甲处", "某局/乙处"]
    assert len(dispatcher.database.read_now(lambda session: session.execute(text("SELECT id FROM answer")).all())) == 60


async def test_two_hundred_players_with_dropping_lines_rank_as_in_a_run_without_trouble(replicas: list[Dispatcher]) -> None:
    """200 players over two replicas, one in ten drops and comes back, messages come up to three times."""
    dispatcher = replicas[0]
    crowd, size = 200, 5
    number = opened(dispatcher, ContestRules(size=size, teams="unit", best=5), crowd)
    rng = random.Random(6)
    answers = [[rng.random() < 0.4 + n / crowd / 2 for _ in range(size)] for n in range(crowd)]
    dropping = set(rng.sample(range(crowd), crowd // 10))
    phones = [Player(f"{n:04}", replicas, random.Random(n)) for n in range(crowd)]
    for first in range(0, crowd, 50):
        some = range(first, first + 50)
        drops = {n: set(rng.sample(range(size), 2)) if n in dropping else set() for n in some}
        await asyncio.gather(*(play(phones[n], number, answers[n], size, drops[n], 6 + n % 7) for n in some))
    assert sum(phone.drops for phone in phones) == crowd // 10 * 2

    closed = await asyncio.gather(*(end_contests(hall.database, dispatcher.catalog(), END + timedelta(seconds=6)) for hall in replicas))
    assert sorted(closed) == [0, 1], "one replica closes it, the other finds it closed"

    def look(session: Session) -> tuple[dict[str, int], list[dict[str, Any]]]:
        found = session.execute(text("SELECT p.staff_no, e.place FROM participation e JOIN person p ON p.id = e.person_id")).all()
        frozen = contests.get(session, number)
        assert frozen is not None
        return {row[0]: row[1] for row in found}, frozen.board["teams"]

    places, of_teams = dispatcher.database.read_now(look)
    rights = [sum(each) for each in answers]
    keys = [(-rights[n], 6 + n % 7) for n in range(crowd)]
    reference = {f"{n:04}": 1 + sum(other < keys[n] for other in keys) for n in range(crowd)}
    assert places == reference
    units = {"甲处": [n for n in range(crowd) if n % 10 == 0], "乙处": [n for n in range(crowd) if 0 < n % 10 < 4]}
    units["丙处"] = [n for n in range(crowd) if n % 10 >= 4]
    means = {f"某局/{name}": sum(sorted((8000 + 400 * rights[n] for n in members), reverse=True)[:5]) / 5 for name, members in units.items()}
    assert {one["team"]: float(one["score"]) for one in of_teams} == {name: float(int(mean)) for name, mean in means.items()}
    assert {one["team"]: one["members"] for one in of_teams} == {f"某局/{name}": len(members) for name, members in units.items()}
    counted = dispatcher.database.read_now(lambda session: session.execute(text("SELECT COUNT(*), COUNT(DISTINCT person_id) FROM answer")).one())
    assert tuple(counted) == (crowd * size, crowd), "none lost, none double"
    hours = dispatcher.database.read_now(lambda session: session.execute(text("SELECT COUNT(*), SUM(credit_seconds) FROM ledger")).one())
    assert tuple(hours) == (crowd, crowd * 1350)


async def test_every_answer_that_was_recorded_is_on_the_board_though_it_is_ended_in_the_midst(replicas: list[Dispatcher]) -> None:
    """An administrator ends it while forty people answer: an answer arrived in time and counts, or was refused and left nothing."""
    dispatcher = replicas[0]
    number = opened(dispatcher, ContestRules(size=10, finish=0, base=1000), 40)
    phones = [Player(f"{n:04}", replicas, random.Random(n)) for n in range(40)]
    end = NOW + timedelta(seconds=5, milliseconds=500)
    underway = asyncio.Event()
    recorded = refused = 0

    async def answer_on(phone: Player) -> None:
        nonlocal recorded, refused
        await phone.say(f"竞赛 {number} 开始", NOW)
        for k in range(10):
            at = NOW + timedelta(seconds=k + 1)
            said = await phone.answer(right=True, at=at)
            if not said.text.startswith("已记录"):
                assert said.text.startswith("未记录：本场竞赛已经截止")
                assert at >= end
                refused += 1
                return
            recorded += 1
            if recorded > 80:
                underway.set()

    async def stop_midway() -> None:
        await underway.wait()
        await replicas[-1].database.write(lambda session: closing.end_early(session, ADMIN, number, end))

    await asyncio.gather(stop_midway(), *(answer_on(phone) for phone in phones))
    assert recorded >= 40 * 5, "what arrived before the end was taken, whenever it was written"
    assert await end_contests(dispatcher.database, dispatcher.catalog(), end + timedelta(seconds=5)) == 1

    def look(session: Session) -> tuple[int, int, int]:
        stored = session.execute(text("SELECT COUNT(*) FROM answer")).scalar_one()
        counted = session.execute(text("SELECT SUM(correct), SUM(points) FROM participation")).one()
        return stored, counted[0], counted[1]

    assert dispatcher.database.read_now(look) == (recorded, recorded, recorded * 1000)
    before, after = dispatcher.database.write_now(lambda session: closing.recount(session, number, end + timedelta(minutes=1)))
    assert before.places == after.places
    assert (len(after.places), refused > 0) == (40, True)
