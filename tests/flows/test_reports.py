"""A supervisor asks for reports in the chat; everybody else is told that there is no such word."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.storage.hours import ledger
from bot.storage.reports.registry import REPORTS
from tests.conftest import Chat, Clock, enroll


@pytest.fixture
def boss(dispatcher: Dispatcher, clock: Clock) -> Chat:
    """9001, supervisor of 某局/一处 with two people; 某局/二处 has one more."""

    def work(session: Session) -> None:
        enroll(session, "9001", "督学王", unit="某局/一处", roles=("supervisor",))
        one = enroll(session, "1001", "学员甲", unit="某局/一处/甲科")
        enroll(session, "2001", "学员乙", unit="某局/二处")
        at = datetime(2026, 2, 1, 4, tzinfo=UTC)
        ledger.add(session, one, "online", 2700 * 40, date(2026, 2, 1), ("lesson", "2026:x"), ("D2", 1), at)

    dispatcher.database.write_now(work)
    return Chat(dispatcher, clock, "9001")


def looks(chat: Chat) -> list[tuple[str, ...]]:
    """Who looked at what, from the audit."""
    rows = chat.dispatcher.database.read_now(
        lambda session: session.execute(text("SELECT actor, via, action, target, outcome FROM audit ORDER BY id")).all()
    )
    return [tuple(row) for row in rows]


async def test_the_word_alone_lists_every_report(boss: Chat) -> None:
    said = await boss.say("报表")

    for name, one in REPORTS.items():
        assert name in said
        assert one.help in said


async def test_a_supervisor_reads_the_rate_of_the_own_units(boss: Chat) -> None:
    said = await boss.say("报表 达标率")

    assert "（以下都在 某局）\n· 一处\n" in said
    assert "· 一处/甲科\n" in said
    assert "二处" not in said
    assert "达标率 100.0%" in said
    assert "达标率 50.0%" in said
    assert "截至 2026-03-02" in said
    assert "流水未封存" in said
    assert len(said.encode()) < 2048


async def test_a_list_and_a_record_drill_down_to_the_entry(boss: Chat) -> None:
    assert "1001 学员甲" in await boss.say("报表 名单 甲科")
    said = await boss.say("报表 个人 1001")

    assert "已达标" in said
    assert "课程 2026:x" in said


async def test_a_report_of_an_earlier_day(boss: Chat) -> None:
    assert "达标率 0.0%" in await boss.say("报表 达标率 甲科 2026-01-31")
    for written in ("1月31日", "2026年1月31日", "2026/01/31", "2026.1.31"):
        assert "达标率 0.0%" in await boss.say(f"报表 达标率 甲科 {written}")
    assert "还没有到" in await boss.say("报表 达标率 2027-01-01")
    assert "日历上没有 2026 年 2 月 30 日" in await boss.say("报表 达标率 2026-02-30")


async def test_every_view_is_written_down(boss: Chat) -> None:
    await boss.say("报表 达标率")
    await boss.say("报表 个人 1001")

    assert looks(boss) == [
        ("9001", "local", "报表 达标率", "全部 截至 2026-03-02", "done"),
        ("9001", "local", "报表 个人", "1001 截至 2026-03-02", "done"),
    ]


@pytest.mark.parametrize(("inside", "missing"), [("报表 名单 二处", "报表 名单 没有处"), ("报表 个人 2001", "报表 个人 0000")])
async def test_other_units_are_answered_as_if_they_were_not_there(boss: Chat, inside: str, missing: str) -> None:
    assert await boss.say(inside) == await boss.say(missing)


async def test_an_unknown_report_is_answered_with_the_nearest(boss: Chat) -> None:
    assert "报表 达标率" in await boss.say("报表 达标")
    assert "工号" in await boss.say("报表 个人")


async def test_staff_and_administrators_are_answered_as_to_an_unknown_word(boss: Chat, dispatcher: Dispatcher, clock: Clock) -> None:
    dispatcher.database.write_now(lambda session: enroll(session, "8001", roles=("admin",)))

    for staff_no in ("1001", "8001"):
        said = await Chat(dispatcher, clock, staff_no).say("报表 达标率")
        assert "没有看懂" in said
        assert "达标率 " not in said
    assert [row[4] for row in looks(boss)] == ["refused", "refused"]


async def test_the_same_message_again_gets_the_same_report_and_one_line_in_the_audit(boss: Chat) -> None:
    message = boss.message("报表 达标率")

    assert await boss.hear(message) == await boss.hear(message)
    assert len(looks(boss)) == 1
