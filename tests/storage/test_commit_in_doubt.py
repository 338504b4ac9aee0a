"""A COMMIT that PostgreSQL took and whose answer was lost: what people are told is what stands (bot/docs/reliability.md C10)."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from bot.dispatch import BUSY_REPLY, IN_DOUBT_REPLY, Dispatcher
from bot.domain.library.library import Library
from bot.services.library.catalog import load_catalog
from bot.storage.db import commits
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.files.policies import load_policy
from bot.storage.people import accounts
from tests.conftest import NOW, ROOT
from tests.flows.test_once import said_by, with_round
from tests.storage.test_database import counts
from tests.support.cutting_proxy import Cut, CuttingProxy, cutting

CUTS = int(os.environ.get("CUTS", "120"))
"""A thousand take three minutes on two cores; held with CUTS=1000 in December 2026."""


@pytest.fixture
def proxy(_fresh_postgres: Engine) -> Iterator[CuttingProxy]:
    server = make_url(str(_fresh_postgres.url)).query["host"]
    assert isinstance(server, str)
    # A socket's path may not be longer than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cut", dir="/tmp") as folder, cutting(f"{server}/.s.PGSQL.5432", Path(folder)) as proxy:
        yield proxy


@pytest.fixture
async def dispatcher(proxy: CuttingProxy, postgres_engine: Engine, shipped: Library) -> AsyncIterator[Dispatcher]:
    """The service's line goes through the proxy; `postgres_engine` is the tests' own."""
    policy, _ = load_policy(ROOT)
    assert policy is not None
    url = make_url(str(postgres_engine.url)).set(drivername="postgresql").update_query_dict({"host": str(proxy.folder)})
    database = Database(open_engine(str(url)), prelock=accounts.lock_people, writers=2)
    catalog = database.write_now(lambda session: load_catalog(session, shipped, policy, NOW))
    database.start()
    yield Dispatcher(database, lambda: catalog, rng=random.Random(3))
    await asyncio.to_thread(database.stop)


def put_question(dispatcher: Dispatcher, user: str) -> None:
    dispatcher.database.write_now(lambda session: with_round(session, dispatcher.catalog(), user))


def stored(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one())


@pytest.mark.parametrize("cut", ["before", "silent", "after"])
async def test_one_is_told_recorded_when_it_stands_and_not_recorded_when_it_does_not(
    dispatcher: Dispatcher, proxy: CuttingProxy, postgres_engine: Engine, cut: Cut
) -> None:
    put_question(dispatcher, "1001")
    proxy.next_cut = cut
    reply = (await dispatcher.handle(said_by("1001", "A", "m1"))).text
    assert proxy.cuts[cut] == 1
    stands = stored(postgres_engine, "answer")
    assert stands == (cut == "after")
    assert reply.startswith("已记录") if stands else reply == BUSY_REPLY.text
    again = (await dispatcher.handle(said_by("1001", "A", "m1"))).text
    assert again == reply if stands else again.startswith("已记录")
    assert stored(postgres_engine, "answer") == stored(postgres_engine, "ledger") == 1


async def test_while_nobody_can_tell_nothing_is_claimed(
    dispatcher: Dispatcher, proxy: CuttingProxy, postgres_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "LOOK_UP_SECONDS", 0.3)
    put_question(dispatcher, "1001")
    proxy.next_cut, proxy.stays_away = "after", True
    assert (await dispatcher.handle(said_by("1001", "A", "m1"))) == IN_DOUBT_REPLY
    proxy.stays_away = proxy.refuses = False
    assert (await dispatcher.handle(said_by("1001", "A", "m1"))).text.startswith("已记录"), "the copy finds what stands"
    assert stored(postgres_engine, "answer") == 1


async def test_the_command_line_is_told_what_stands(dispatcher: Dispatcher, proxy: CuttingProxy, postgres_engine: Engine) -> None:
    proxy.next_cut = "after"
    assert await asyncio.to_thread(dispatcher.database.write_now, counts("kept")) == "kept"
    proxy.next_cut = "before"
    with pytest.raises(DBAPIError):
        await asyncio.to_thread(dispatcher.database.write_now, counts("lost"))
    assert stored(postgres_engine, "tally") == 1


async def test_the_line_is_cut_at_half_of_all_commits_and_every_person_was_told_what_stands(
    dispatcher: Dispatcher, proxy: CuttingProxy, postgres_engine: Engine
) -> None:
    """People answer one question after another and send the same bytes again whenever they were told that nothing was recorded."""
    people = [str(5000 + n) for n in range(12)]
    for user in people:
        put_question(dispatcher, user)
    proxy.share = 0.5
    told: list[tuple[str, str]] = []

    async def answer(user: str) -> None:
        number = 0
        while sum(proxy.cuts.values()) < CUTS:
            number += 1
            message = said_by(user, "A" if number % 11 else "练习", f"{user}-{number}")
            replies = [(await dispatcher.handle(message)).text]
            while replies[-1] == BUSY_REPLY.text:
                with postgres_engine.connect() as connection:
                    kept = connection.execute(text("SELECT COUNT(*) FROM inbox WHERE message_id = :id"), {"id": message.message_id})
                    assert kept.scalar_one() == 0, "told 未记录 of what stands"
                replies.append((await dispatcher.handle(message)).text)
            told.append((message.message_id, replies[-1]))

    await asyncio.gather(*(answer(user) for user in people))
    proxy.share = 0.0
    with postgres_engine.connect() as connection:
        kept = {row[0]: row[1] for row in connection.execute(text("SELECT message_id, CAST(reply AS json) ->> 'text' FROM inbox"))}
        once = connection.execute(text("SELECT COUNT(*), COUNT(DISTINCT message_id) FROM answer")).one()
        ledger = connection.execute(text("SELECT SUM(credit_seconds) FROM ledger")).scalar_one()
        assert ledger == connection.execute(text("SELECT SUM(seconds) FROM year_total")).scalar_one()
    assert proxy.cuts["before"] > CUTS / 3 < proxy.cuts["after"]
    assert kept == dict(told)
    assert once[0] == once[1] == sum(reply.startswith("已记录") for _, reply in told)
