"""An administrator urges: first the list, then the word, then one message a person; the deadline set in the chat does the rest by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.services.delivery import plan, reminders
from bot.services.delivery.plan import DeliveryPlan, OpenChannels
from bot.storage.delivery import queue
from bot.storage.hours import ledger
from tests.conftest import NOW, Chat, Clock, enroll


@pytest.fixture
def boss(dispatcher: Dispatcher, clock: Clock) -> Chat:
    """9001 looks after everybody, 9002 after 某局/二处 alone; two learn in 某局/一处, one in 某局/二处."""

    def work(session: Session) -> None:
        enroll(session, "9001", "管理员王", tier="", roles=("admin",))
        two = enroll(session, "9002", "管理员李", tier="", unit="某局/二处", roles=("admin",))
        for staff_no, name, unit in (("1001", "学员甲", "某局/一处"), ("1002", "学员乙", "某局/一处"), ("2001", "学员丙", "某局/二处")):
            enroll(session, staff_no, name, unit=unit)
        session.execute(text("UPDATE role SET unit_id = (SELECT id FROM unit WHERE path = '某局/二处') WHERE person_id = :p"), {"p": two})

    dispatcher.database.write_now(work)
    clock.now = NOW
    return Chat(dispatcher, clock, "9001")


def rows(chat: Chat, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in chat.dispatcher.database.read_now(lambda session: session.execute(text(query)).all())]


async def poll(boss: Chat) -> int:
    """A poll that went out to 某局/一处; its campaign."""
    await boss.say("推送 单位=某局/一处 投票：去哪里参观/法院/检察院")
    draft = next(one.say for one in boss.last.buttons if "确认" in one.say)
    await boss.say(draft)
    boss.dispatcher.database.write_now(lambda session: session.execute(text("UPDATE delivery SET state = 'sent', sent_at = created_at")))
    return int(rows(boss, "SELECT MAX(id) FROM campaign")[0][0])


def planned(boss: Chat) -> DeliveryPlan:
    database, now = boss.dispatcher.database, boss.clock.now
    owed = database.write_now(lambda session: queue.claim(session, "test", now, 100, 30))
    return database.read_now(lambda session: plan.plan_deliveries(session, boss.dispatcher.catalog(), owed, now, OpenChannels(("local",))))


async def test_the_list_comes_first_and_the_word_sends_it_once(boss: Chat) -> None:
    asked = await poll(boss)
    assert f"（编号 {asked}）：2 人" in await boss.say("催学")

    said = await boss.say(f"催学 {asked}")
    assert "要催 2 人" in said
    assert "学员甲（1001）、学员乙（1002）" in said
    assert rows(boss, "SELECT COUNT(*) FROM delivery WHERE state = 'queued'") == [(0,)]

    confirm = boss.last.buttons[0].say
    assert "已发起催学：2 人" in await boss.say(confirm)
    assert "不会再发一次" in await boss.say(confirm)
    assert rows(boss, "SELECT COUNT(*) FROM delivery WHERE state = 'queued'") == [(2,)]
    assert rows(boss, "SELECT actor, detail FROM audit WHERE action = '催学'")[0][0] == "9001"


async def test_who_votes_meanwhile_is_left_alone_and_nobody_is_urged_twice_a_day(boss: Chat) -> None:
    asked = await poll(boss)
    occurrence = rows(boss, "SELECT MAX(id) FROM occurrence")[0][0]
    await boss.say(f"催学 {asked}")
    await boss.say(boss.last.buttons[0].say)
    await Chat(boss.dispatcher, boss.clock, "1001").say(f"投票 {occurrence} A")
    boss.clock.pass_(hours=1)

    made = planned(boss)

    assert [reason for _, reason in made.skip] == ["已完成"]
    (one,) = made.ready
    assert one.message.to.user == "1002"
    assert [button.say for button in one.message.reply.buttons] == [f"投票 {occurrence} A", f"投票 {occurrence} B"]

    boss.dispatcher.database.write_now(
        lambda session: session.execute(text("UPDATE delivery SET state = 'sent', sent_at = not_before, holder = '' WHERE state = 'queued'"))
    )
    assert "其中 1 人今天已提醒过" in await boss.say(f"催学 {asked}")


async def test_a_draft_grows_old_and_a_pause_holds_it(boss: Chat) -> None:
    asked = await poll(boss)
    await boss.say(f"催学 {asked}")
    confirm = boss.last.buttons[0].say
    await boss.say("暂停 全部 演练")
    assert "全部推送已被暂停" in await boss.say(confirm)
    await boss.say("恢复 全部")
    boss.clock.pass_(hours=3)
    assert "两小时以前" in await boss.say(confirm)


async def test_a_deadline_said_in_the_chat_reminds_by_itself(boss: Chat) -> None:
    asked = await poll(boss)
    assert "发出后 2 个工作日内完成" in await boss.say(f"催学 {asked} 期限 2个工作日")
    catalog = boss.dispatcher.catalog()
    on = datetime(2026, 3, 4, 2, tzinfo=UTC)
    assert boss.dispatcher.database.write_now(lambda session: reminders.queue_due(session, catalog, on)) == 2

    assert "没有期限" in await boss.say(f"催学 {asked} 期限 取消")
    after = datetime(2026, 3, 5, 2, tzinfo=UTC)
    assert boss.dispatcher.database.write_now(lambda session: reminders.queue_due(session, catalog, after)) == 0


async def test_a_deadline_can_be_part_of_the_plan_and_is_shown_with_it(boss: Chat) -> None:
    said = await boss.say("活动 新建 第一课；2026-03-03 09:00；单位=某局/一处；课 mfd-1191；依据=要点第二条；期限=3个工作日")
    assert "期限：发出后 3 个工作日内完成，到期前后自动提醒" in said
    assert "依据：要点第二条" in said
    assert "不是期限" in await boss.say("活动 新建 第二课；2026-03-03 09:00；单位=某局/一处；课 mfd-585；期限=尽快")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("催学 777", "没有编号为 777"),
        ("催学 大家", "请写编号"),
        ("催学 确认 777", "没有编号为 777"),
        ("催学 确认", "请写编号"),
        ("催学 1 期限 尽快", "不是期限"),
        ("催学 1 后天", "没有看懂"),
    ],
)
async def test_what_makes_no_sense_is_refused(boss: Chat, words: str, reason: str) -> None:
    asked = await poll(boss)
    assert reason in await boss.say(words.replace(" 1 ", f" {asked} "))
    assert rows(boss, "SELECT COUNT(*) FROM campaign WHERE name LIKE '催学%'") == [(0,)]


async def test_the_hours_of_the_year_are_urged_by_the_forecast_and_within_reach(boss: Chat) -> None:
    late = datetime(2026, 11, 20, 2, tzinfo=UTC)
    boss.clock.now = late
    good = rows(boss, "SELECT id FROM person WHERE staff_no = '1001'")[0][0]
    boss.dispatcher.database.write_now(
        lambda session: ledger.add(session, good, "external", 41 * 2700, date(2026, 5, 6), ("lesson", "x"), ("D2", 1), late)
    )
    said = await boss.say("催学 学时")
    assert "要催 2 人" in said
    assert "学员甲" not in said

    other = Chat(boss.dispatcher, boss.clock, "9002")
    assert "要催 1 人" in (said := await other.say("催学 学时"))
    assert "学员丙（2001）" in said
    await other.say(other.last.buttons[0].say)
    (one,) = planned(boss).ready
    assert one.message.reply.text.startswith("⏰ 学员丙，今年学时 0/40。")

    assert "学员乙" in await boss.say("预警")
    assert "学员乙" not in await other.say("预警")
    assert "没有这个单位" in await other.say("预警 某局/一处")
    assert ("9002", "报表 预警") in rows(boss, "SELECT actor, action FROM audit")


async def test_another_units_campaign_cannot_be_urged(boss: Chat) -> None:
    asked = await poll(boss)
    other = Chat(boss.dispatcher, boss.clock, "9002")
    assert (await other.say(f"催学 {asked}")).replace(str(asked), "777") == await other.say("催学 777")
    assert "没有活动还有人没完成" in await other.say("催学")
    assert "没有看懂" in await Chat(boss.dispatcher, boss.clock, "1001").say("催学")
