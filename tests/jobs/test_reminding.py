"""From the clock to the chat:reminders go through the same delivery worker as everything else, and leaves out whoever did it meanwhile."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule
from bot.domain.people.audience import All
from bot.jobs import schedule
from bot.jobs.delivery_worker import DeliveryWorker
from bot.services.campaign import manage
from bot.storage.tables.study import ReadingRow
from tests.conftest import NOW, Clock, enroll
from tests.support.push_channel import FakePushChannel, NoteCounter, run_until_idle

BOSS = Author("9001", "test")
LESSONS = {"第一课": "mfd-1191", "第二课": "mfd-585"}


async def test_two_campaigns_are_one_message_and_who_finishes_between_is_left_alone(dispatcher: Dispatcher, clock: Clock) -> None:
    catalog, early = dispatcher.catalog(), NOW - timedelta(hours=1)

    def prepare(session: Session) -> list[int]:
        people = [enroll(session, f"100{n}") for n in range(1, 4)]
        for name, lesson in LESSONS.items():
            schedule = Schedule("once", "09:00", on=date(2026, 3, 2))
            made = manage.create(
                session, catalog, BOSS, name, CampaignContent("lesson", lesson=lesson), schedule, All(), early, delivery={"by": "2026-03-03"}
            )
            manage.start(session, catalog, BOSS, made, early)
        return people

    people = await dispatcher.database.write(prepare)
    office = FakePushChannel("local")
    worker = DeliveryWorker(dispatcher.database, lambda: catalog, [office], clock=clock, holder="replica-1", note=NoteCounter())
    assert len(await schedule.run_campaigns(dispatcher.database, catalog, clock.now)) == 2
    for _ in range(3):
        # Two pushes to one person go out one after the other.
        await run_until_idle(worker)
        clock.pass_(minutes=6)
    office.said.clear()

    clock.now = NOW + timedelta(days=1, minutes=35)
    assert await schedule.run_reminders(dispatcher.database, catalog, clock.now) == 3
    assert await schedule.run_reminders(dispatcher.database, catalog, clock.now) == 0
    finish = [ReadingRow(person_id=people[0], lesson=one, digest="x", state="done", opened_at=NOW, closed_at=clock.now) for one in LESSONS.values()]
    finish.append(ReadingRow(person_id=people[1], lesson=LESSONS["第一课"], digest="x", state="done", opened_at=NOW, closed_at=clock.now))
    await dispatcher.database.write(lambda session: session.add_all(finish))
    for _ in range(3):
        await run_until_idle(worker)
        clock.pass_(minutes=6)

    said = dict(office.said)
    assert sorted(office.users) == ["1002", "1003"]
    assert "1 项" in said["1002"]
    assert "第二课" in said["1002"]
    assert "第一课" not in said["1002"]
    assert "2 项" in said["1003"]
    states = await dispatcher.database.read(
        lambda session: session.execute(
            text("SELECT d.state, d.error FROM delivery d JOIN campaign c ON c.id = d.campaign_id WHERE c.kind = 'reminder' ORDER BY d.id")
        ).all()
    )
    assert [tuple(row) for row in states] == [("skipped", "已完成"), ("sent", ""), ("sent", "")]
