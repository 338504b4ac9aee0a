"""What is owed and what became of it can be watched from outside."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from sqlalchemy import Engine

from bot.domain.message import SendReceipt
from bot.jobs import schedule
from bot.storage.db.database import Database
from bot.web.metrics import Metrics
from tests.conftest import NOW, Clock
from tests.support.push_channel import FakePushChannel, accept, delivery_worker, run_until_idle
from tests.support.queued_deliveries import add_people, queue_campaign, run_sql, states
from tests.support.service import running_service


async def test_the_page_tells_how_much_is_owed_and_how_long_the_oldest_has_been_due(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(engine)
    # Nobody can be reached on a channel that is off, and a paused campaign waits: both are seen without anything being sent.
    database.write_now(lambda session: queue_campaign(session, add_people(session, 3), state="paused"))
    monkeypatch.setattr(schedule, "MEASURE_EVERY", schedule.CAMPAIGNS_EVERY)
    async with running_service(engine) as service, aiohttp.ClientSession() as session:
        wanted = 'bot_deliveries_owed{state="queued"} 3.0'
        page = ""
        async with asyncio.timeout(60):
            while wanted not in page:
                async with session.get(f"{service.url}/metrics") as answer:
                    page = await answer.text()
        overdue = next(line for line in page.splitlines() if line.startswith("bot_deliveries_overdue_seconds "))
        assert float(overdue.split()[1]) > 0
    assert states(database) == {"queued": 3}


async def test_every_outcome_is_counted(database: Database) -> None:
    metrics = Metrics()
    outcomes = {
        "p0000": SendReceipt("failed", "recipient gone"),
        "p0001": SendReceipt("unknown", "unknown timeout"),
        "p0002": SendReceipt("later", "token 40014", retry_after=60, stop=True),
    }
    await database.write(lambda session: queue_campaign(session, add_people(session, 4)))
    office = FakePushChannel(script=lambda parcel: outcomes.get(parcel.to.user) or accept(parcel))
    await run_until_idle(delivery_worker(database, office, clock=Clock(NOW), note=metrics.note))
    page = metrics.render().decode()
    for state in ("failed", "unknown", "later", "stopped"):
        assert f'bot_deliveries{{channel="wecom",state="{state}"}} 1.0' in page
    run_sql(database, "DELETE FROM delivery")
