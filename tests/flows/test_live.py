"""In the running service: a campaign falls due and appears in the page that is open, without anybody asking."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.channels.local import Persona
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule
from bot.domain.people.audience import All
from bot.domain.times import SHANGHAI
from bot.storage import campaign
from bot.storage.db.database import Database
from tests.conftest import Chat, enroll
from tests.support.queued_deliveries import add_people, queue_campaign, rows, states
from tests.support.service import running_service, window


async def test_what_falls_due_appears_in_the_open_page_and_its_button_answers(engine: Engine) -> None:
    database = Database(engine)
    began = datetime.now(UTC) - timedelta(minutes=1)

    def work(session: Session) -> None:
        enroll(session, "1001", "学员甲")
        enroll(session, "1002", "学员乙")
        local = began.astimezone(SHANGHAI)
        rhythm = Schedule("once", time=local.strftime("%H:%M"), on=local.date(), on_holiday="keep")
        content = CampaignContent("notice", text="周五下午三点，宪法讲座", receipt=True)
        made = campaign.add(session, "讲座通知", content, rhythm, All(), by="9001", at=began, delivery={"quiet": False}, state="running")
        campaign.set_planned_until(session, made, began.replace(second=0, microsecond=0))

    async with (
        running_service(engine, [Persona("1001", "学员甲", "学员"), Persona("1002", "学员乙", "学员")]) as service,
        aiohttp.ClientSession() as session,
        window(session, service.url, "1001") as page,
    ):
        # Fired once the page is open: what it shows it was not asked for.
        database.write_now(work)
        frame = await asyncio.wait_for(page.next(), 60)
        assert "周五下午三点，宪法讲座" in frame["reply"]["text"]
        assert frame["id"].startswith("push-d")
        (button,) = frame["reply"]["buttons"]
        said = await page.say("readreceipt1", button["say"])
        assert said["type"] == "turn"
        async with window(session, service.url, "1002") as other:
            turns = other.hello["turns"]
            assert [turn["reply"]["text"] for turn in turns] == [frame["reply"]["text"]], "who was away finds it on coming back"
    assert states(database) == {"sent": 2}
    assert [row[0] is not None for row in rows(database, "read_at")] == [True, False]


async def test_an_administrator_asks_how_far_it_has_come_and_a_stranger_to_the_role_may_not(engine: Engine, chat: Chat) -> None:
    database = chat.dispatcher.database
    database.write_now(lambda session: enroll(session, "9001", "管理员甲", roles=("admin",)))
    n = database.write_now(lambda session: queue_campaign(session, add_people(session, 4)))
    admin = Chat(chat.dispatcher, chat.clock, "9001")
    database.write_now(lambda session: session.execute(text("UPDATE delivery SET state = 'failed', error = 'recipient 60111' WHERE id = 1")))
    said = await admin.say(f"活动 进度 {n}")
    assert "▓▓▓▓▓░░░░░░░░░░░░░░░ 1/4" in said
    assert "失败：recipient 60111 1 人" in said
    assert "员p0000（p0000）" in said
    assert "▓" not in await chat.say(f"活动 进度 {n}")
    assert "没有编号为 99 的活动" in await admin.say("活动 进度 99")
