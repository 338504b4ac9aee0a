"""The clock's look at contests and matches: what fails in one does not keep the other from being looked at, and is found due again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.people.audience import All
from bot.jobs.schedule import run_contests
from bot.services.contest import closing, manage
from bot.storage.db.commits import Busy
from tests.conftest import NOW, Chat, Clock, enroll

END = NOW + timedelta(hours=1)
LATER = END + timedelta(seconds=6)


def due(dispatcher: Dispatcher) -> None:
    """A contest whose end is past."""

    def work(session):  # type: ignore[no-untyped-def]
        author = Author("9001", "cli")
        plan = ContestPlan("七一竞赛", "windowed", ContestRules(), ("监察法",), All(), NOW, END)
        manage.open_contest(session, author, manage.create(session, dispatcher.catalog(), author, plan, NOW), NOW)

    dispatcher.database.write_now(work)


def state(dispatcher: Dispatcher, table: str) -> str:
    return str(dispatcher.database.read_now(lambda session: session.execute(text(f"SELECT state FROM {table}")).scalar_one()))


@pytest.mark.parametrize("wrong", [Busy("queue"), RuntimeError("nobody thought of it")])
async def test_what_fails_once_is_done_at_the_next_look_and_keeps_nothing_else_waiting(
    dispatcher: Dispatcher, clock: Clock, monkeypatch: pytest.MonkeyPatch, wrong: Exception
) -> None:
    due(dispatcher)
    dispatcher.database.write_now(lambda session: enroll(session, "1001"))
    await Chat(dispatcher, clock, "1001").say("对战")

    def fail(*_: object) -> list[int]:
        raise wrong

    with monkeypatch.context() as broken:
        broken.setattr(closing, "close_due", fail)
        assert await run_contests(dispatcher.database, dispatcher.catalog(), LATER) is True, "the player is told that nobody came"
    assert (state(dispatcher, "contest"), state(dispatcher, "duel")) == ("open", "off")
    assert await run_contests(dispatcher.database, dispatcher.catalog(), LATER) is True
    assert state(dispatcher, "contest") == "closed"
    assert await run_contests(dispatcher.database, dispatcher.catalog(), LATER) is False
