"""Live contests for tests: questions from the shipped banks, teams where they are wanted, and a host with a chat."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.contest.live_rules import StageScheme
from bot.domain.library.question import Question
from bot.domain.message import Address
from bot.domain.people.audience import All
from bot.services.contest import live_host, manage
from bot.services.contest.live_host import LiveHost
from bot.services.library.catalog import Catalog
from bot.storage.contest import contests, live_state, players
from bot.storage.contest.contests import ContestItem
from bot.storage.contest.live_state import LiveState
from bot.storage.people import accounts
from tests.conftest import NOW, Chat, Clock, enroll


def hosted(session: Session, staff_no: str = "9001") -> LiveHost:
    """The seat of an administrator who is on the roll."""
    learner = accounts.find_learner(session, Address("local", "test", staff_no), date(2026, 3, 2))
    assert learner is not None
    return live_host.host_of(session, learner, "local")


def plan(
    session: Session,
    catalog: Catalog,
    host: LiveHost,
    *,
    questions: int = 4,
    kind: str = "single",
    parts: Sequence[str] = (),
    rules: ContestRules | None = None,
    form: str = "live",
    named: Mapping[str, Sequence[int]] | None = None,
    now: datetime = NOW,
) -> int:
    """A contest over the first questions of a kind, a point each; its id."""
    names = sorted(name for name in catalog.drawn if catalog.library.questions[name].kind == kind)[:questions]
    items = [ContestItem(n, name, catalog.drawn[name], 1000, parts[n - 1] if parts else "") for n, name in enumerate(names, 1)]
    contest_rules = rules or ContestRules(seconds=30, board="all", teams="listed" if named else "none")
    contest_id = manage.create(session, catalog, host.author, ContestPlan("七一知识竞赛", form, contest_rules, (), All()), now, items)
    for name, members in (named or {}).items():
        players.add_members(session, contest_id, players.get_or_create_team(session, contest_id, name), members)
    return contest_id


@dataclass
class Room:
    """A contest whose room is open, with the chats of its host and of its players."""

    dispatcher: Dispatcher
    clock: Clock
    id: int
    code: str
    host: Chat
    players: list[Chat] = field(default_factory=list)

    def question(self, n: int) -> Question:
        """The n-th question of the programme."""

        def work(session: Session) -> Question:
            planned = next(item for item in contests.list_items(session, self.id) if item.n == n)
            return self.dispatcher.catalog().question(session, planned.version_id)

        return self.dispatcher.database.read_now(work)

    def wrong(self, n: int) -> str:
        """An option that is not right."""
        question = self.question(n)
        return next(choice for choice, _ in question.choices if choice not in question.key)

    def stage(self) -> LiveState:
        live = self.dispatcher.database.read_now(lambda session: live_state.get(session, self.id))
        assert live is not None
        return live


def opened(
    dispatcher: Dispatcher,
    clock: Clock,
    *,
    players: int = 3,
    scheme: StageScheme | None = None,
    of_team: Mapping[str, Sequence[int]] | None = None,
    **plan_options: Any,
) -> Room:
    """A room that is open, with so many players (2001 …) who have not come in yet; `of_team` names teams by places of players."""

    def work(session: Session) -> tuple[int, str]:
        enroll(session, "9001", "管理员甲", roles=("admin",))
        people = [enroll(session, f"{2001 + n}", f"选手{n + 1}") for n in range(players)]
        host = hosted(session)
        named = {name: [people[place] for place in places] for name, places in (of_team or {}).items()}
        contest_id = plan(session, dispatcher.catalog(), host, named=named, now=clock.now, **plan_options)
        live = live_host.open_room(session, host, contest_id, scheme, clock.now, random.Random(1))
        return contest_id, live.code

    contest_id, code = dispatcher.database.write_now(work)
    return Room(
        dispatcher, clock, contest_id, code, Chat(dispatcher, clock, "9001"), [Chat(dispatcher, clock, f"{2001 + n}") for n in range(players)]
    )
