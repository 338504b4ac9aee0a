"""The clock knocks, and what is due is done once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bot.domain.message import Address, Incoming, Reply
from bot.jobs import schedule
from bot.storage.db.database import Database
from bot.storage.system import inbox
from tests.conftest import NOW, enroll


async def test_old_messages_are_forgotten_and_new_ones_are_not(database: Database) -> None:
    person = await database.write(lambda session: enroll(session, "1001"))
    for days, ident in ((8, "old"), (1, "new")):
        heard = Incoming(Address("local", "page", "1001"), "帮助", ident, NOW - timedelta(days=days))
        await database.write(lambda session, one=heard: inbox.store_reply(session, one, person, Reply("好")))  # type: ignore[misc]
    assert await schedule.sweep(database, NOW) == 1
    assert await database.read(lambda session: session.execute(text("SELECT message_id FROM inbox")).scalars().all()) == ["new"]


async def test_a_busy_database_is_swept_another_time(database: Database) -> None:
    await asyncio.to_thread(database.stop)
    assert await schedule.sweep(database, NOW) == 0


async def test_the_ticker_measures_and_sweeps_by_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "FIRST_SWEEP_AFTER", timedelta(seconds=0.2))
    monkeypatch.setattr(schedule, "MEASURE_EVERY", timedelta(seconds=1))
    person = await database.write(lambda session: enroll(session, "1001"))
    heard = Incoming(Address("local", "page", "1001"), "帮助", "old", datetime.now(UTC) - timedelta(days=8))
    await database.write(lambda session: inbox.store_reply(session, heard, person, Reply("好")))
    measured = asyncio.Event()
    ticker = schedule.build_scheduler(database, lambda: datetime.now(UTC), measured.set)
    ticker.start()
    try:
        await asyncio.wait_for(measured.wait(), 60)
        assert await database.read(lambda session: session.execute(text("SELECT count(*) FROM inbox")).scalar_one()) == 0
    finally:
        ticker.shutdown(wait=False)
