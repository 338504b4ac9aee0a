"""The set-up of the benchmark: a database with people and a contest, and a simulated WeCom."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from sqlmodel import Session

from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.message import Address
from bot.domain.people.audience import All
from bot.services.contest import live_host, manage
from bot.services.library.catalog import load_catalog
from bot.storage.contest.contests import ContestItem
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.files.loader import load_library
from bot.storage.files.policies import load_policy
from bot.storage.migrations.migrate import migrate
from bot.storage.people import accounts
from bot.storage.tables.people import AccountRow, PersonRow, PostRow, RoleRow, UnitRow
from tests.bench.databases import ROOT
from tests.bench.load import AGENT
from tests.support.platforms.faults import Faults

HOST = "host"
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Prepared:
    """A contest whose room is open: its way in, the right letters of its questions, and the secret of its screen."""

    contest: int
    code: str
    secret: str
    keys: tuple[str, ...]
    people: int


def user_of(person: int) -> str:
    return f"p{person:05d}"


def prepared(url: str, people: int, questions: int, speed: int) -> Prepared:
    """Migrate, fill, seat people 1 … n and a host; all reachable in WeCom."""
    engine = open_engine(url)
    migrate(engine)
    library, faults = load_library(ROOT)
    policy, wrong = load_policy(ROOT)
    assert policy is not None, [*faults, *wrong]
    database = Database(engine)
    now = datetime.now(UTC)

    def work(session: Session) -> Prepared:
        catalog = load_catalog(session, library, policy, now)
        _seated(session, people, now)
        learner = accounts.find_learner(session, Address("wecom", AGENT, HOST), now.date())
        assert learner is not None
        host = live_host.host_of(session, learner, "wecom")
        names = [name for name in sorted(catalog.drawn) if library.questions[name].kind == "single"][:questions]
        items = [ContestItem(n, name, catalog.drawn[name]) for n, name in enumerate(names, 1)]
        rules = ContestRules(seconds=SECONDS, speed=speed, board="all")
        contest_id = manage.create(session, catalog, host.author, ContestPlan("七一知识竞赛", "live", rules, (), All()), now, items)
        live = live_host.open_room(session, host, contest_id, None, now, random.Random(1))
        return Prepared(contest_id, live.code, live.secret, tuple(library.questions[name].key for name in names), people)

    prepared_contest = database.write_now(work)
    engine.dispose()
    return prepared_contest


def _seated(session: Session, people: int, now: datetime) -> None:
    unit = UnitRow(name="某局", path="某局")
    session.add(unit)
    session.flush()
    everybody = [PersonRow(staff_no=user_of(n), name=f"选手{n}", tier="公务员", recorded_at=now) for n in range(1, people + 1)]
    everybody.append(PersonRow(staff_no=HOST, name="主持人", tier="公务员", recorded_at=now))
    session.add_all(everybody)
    session.flush()
    for person in everybody:
        assert person.id is not None
        assert unit.id is not None
        session.add(PostRow(person_id=person.id, unit_id=unit.id, since=datetime(2020, 1, 1, tzinfo=UTC).date()))
        session.add(AccountRow(channel="wecom", user=person.staff_no, person_id=person.id, bound_at=now, bound_by="bench"))
    session.add(RoleRow(person_id=int(everybody[-1].id or 0), role="admin"))
    session.flush()


# ── The platform ──


class WeCom:
    """Takes what is sent, twenty milliseconds a call, and notes when; the cards of questions are kept for who wants to tap them."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds
        self.cards: dict[str, dict[str, Any]] = {}
        self.reached: dict[str, set[str]] = {}
        self.last: dict[str, float] = {}
        self.said: dict[str, str] = {}
        self.calls = 0
        self._news = asyncio.Event()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[Faults().middleware], client_max_size=2**24)
        app.router.add_get("/cgi-bin/gettoken", self._token)
        app.router.add_post("/cgi-bin/message/send", self._send)
        app.router.add_post("/cgi-bin/message/update_template_card", self._updated)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        return web.json_response({"errcode": 0, "errmsg": "ok", "access_token": "t", "expires_in": 7200})

    async def _updated(self, request: web.Request) -> web.Response:
        return web.json_response({"errcode": 0, "errmsg": "ok", "invaliduser": []})

    async def _send(self, request: web.Request) -> web.Response:
        message = await request.json()
        await asyncio.sleep(self.seconds)
        self.calls += 1
        users = message["touser"].split("|")
        if len(users) > 1000:
            return web.json_response({"errcode": 40058, "errmsg": "too many"})
        card = message.get("template_card")
        if message["msgtype"] == "text" and len(users) == 1:
            self.said[users[0]] = message["text"]["content"]
            self._news.set()
        if card is not None and card["button_list"][0]["key"].startswith("l"):
            # "l7.3|A": the contest and the place; the same question in several calls is one question.
            place = card["button_list"][0]["key"].partition("|")[0].rpartition(".")[2]
            for user in users:
                self.cards[f"{place}:{user}"] = card
            self.reached.setdefault(place, set()).update(users)
            self.last[place] = time.perf_counter()
            self._news.set()
        return web.json_response({"errcode": 0, "errmsg": "ok", "msgid": f"m{self.calls}", "invaliduser": "", "response_code": f"c{self.calls}"})

    async def told(self, user: str, seconds: float = 60.0) -> str:
        """What is sent to one person in words, the next time or just now."""
        async with asyncio.timeout(seconds):
            while (text := self.said.pop(user, None)) is None:
                self._news.clear()
                await self._news.wait()
            return text

    async def delivered(self, place: str, people: int, seconds: float = 60.0) -> None:
        """Wait until a question has reached so many."""
        async with asyncio.timeout(seconds):
            while len(self.reached.get(place, ())) < people:
                self._news.clear()
                await self._news.wait()
