"""An administrator says who is away; it is judged, recorded once, written down, and reaches no further than the administrator does."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from tests.conftest import Chat, Clock, enroll


@pytest.fixture
def boss(dispatcher: Dispatcher, clock: Clock) -> Chat:
    """9001 looks after everybody, 9002 after 某局/一处 alone."""

    def work(session: Session) -> None:
        enroll(session, "9001", "管理员王", roles=("admin",))
        two = enroll(session, "9002", "管理员李", unit="某局/一处", roles=("admin",))
        enroll(session, "1001", "学员甲", unit="某局/一处/甲科")
        enroll(session, "2001", "学员乙", unit="某局/二处")
        session.execute(text("UPDATE role SET unit_id = (SELECT id FROM unit WHERE path = '某局/一处') WHERE person_id = :p"), {"p": two})

    dispatcher.database.write_now(work)
    return Chat(dispatcher, clock, "9001")


def rows(chat: Chat, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in chat.dispatcher.database.read_now(lambda session: session.execute(text(query)).all())]


ABSENCES = "SELECT p.staff_no, a.kind, a.since, a.until FROM absence a JOIN person p ON p.id = a.person_id ORDER BY a.id"


async def test_leave_and_secondment_are_recorded_changed_and_taken_back(boss: Chat) -> None:
    assert "已登记" in await boss.say("请假 1001 2026-03-04 2026-03-06")
    assert "早已登记" in await boss.say("请假 1001 2026年3月4日 2026/3/6")
    assert "原来到 2026-03-06" in await boss.say("请假 1001 2026-03-04 2026-03-09")
    assert "已登记" in await boss.say("请假 2001 2026-03-02 借调")
    assert rows(boss, ABSENCES) == [("1001", "leave", "2026-03-04", "2026-03-09"), ("2001", "secondment", "2026-03-02", None)]

    said = await boss.say("请假")
    assert "今天不在岗 1 人，以后 1 条" in said
    assert "学员乙（2001）借调 2026-03-02 至 未定" in said
    assert "请假 2026-03-04 至 2026-03-09" in await boss.say("请假 1001")

    assert "已取消" in await boss.say("请假 1001 取消 2026-03-04")
    boss.clock.pass_(days=3)
    assert "已取消" in await boss.say("请假 2001 取消 2026-03-02")
    assert rows(boss, ABSENCES) == [("2001", "secondment", "2026-03-02", "2026-03-04")]
    assert [row[0] for row in rows(boss, "SELECT action FROM audit ORDER BY id")] == ["登记请假", "修改请假", "登记借调", "取消请假", "取消借调"]
    assert set(rows(boss, "SELECT actor, via FROM audit")) == {("9001", "local")}


async def test_leave_is_given_in_the_words_of_a_calendar(boss: Chat) -> None:
    """The chat's clock stands at 2 March 2026."""
    assert "请假 2026-03-10 至 2026-03-11" in await boss.say("请假 1001 3月10日 3月11日")
    assert "请假 2026-04-01 至 2026-04-02" in await boss.say("请假 1001 2026/04/01 2026年4月2日")
    assert "借调 2025-12-28 至 2026-01-03" in await boss.say("请假 1001 12月28日 1月3日 借调")
    assert "日历上没有 2 月 30 日" in await boss.say("请假 1001 2月30日")


@pytest.mark.parametrize(("word", "kind"), [("事假", "leave"), ("病假", "leave"), ("公休", "leave"), ("年休假", "leave"), ("挂职", "secondment")])
async def test_a_kind_of_leave_goes_by_the_word_of_the_agency(boss: Chat, word: str, kind: str) -> None:
    assert "2026-03-04 至 2026-03-06" in await boss.say(f"请假 1001 {word} 3月4日 3月6日")
    assert rows(boss, "SELECT kind FROM absence") == [(kind,)]
    assert "早已登记" in await boss.say(f"请假 1001 3月4日 3月6日 {word}")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("请假 1001 2026-03-06 2026-03-04", "早于"),
        ("请假 1001 2026-02-30", "日历上没有"),
        ("请假 1001 下周", "不是日期，请写成 2026-03-10 或 3月10日"),
        ("请假 1001 2026-03-04 2036-03-04", "超过三年"),
        ("请假 7777 2026-03-04", "没有工号 7777"),
        ("请假 1001 1 2 3 4", "没有看懂"),
        ("请假 1001 取消 2026-05-05", "没有从 2026-05-05 开始"),
        ("请假 1001 取消", "请写明"),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_no_row(boss: Chat, words: str, reason: str) -> None:
    assert reason in await boss.say(words)
    assert rows(boss, ABSENCES) == []
    assert rows(boss, "SELECT outcome FROM audit") == [("refused",)]


async def test_nobody_is_away_twice_at_a_time(boss: Chat) -> None:
    await boss.say("请假 1001 2026-03-04 2026-03-06")
    assert "日期重叠" in await boss.say("请假 1001 2026-03-06 2026-03-09 借调")
    assert len(rows(boss, ABSENCES)) == 1


async def test_an_administrator_of_a_unit_reaches_that_unit_only(boss: Chat) -> None:
    other = Chat(boss.dispatcher, boss.clock, "9002")
    assert "已登记" in await other.say("请假 1001 2026-03-02")
    refused = await other.say("请假 2001 2026-03-02")
    assert refused.replace("2001", "7777") == await other.say("请假 7777 2026-03-02")
    await boss.say("请假 2001 2026-03-02")
    assert "今天不在岗 1 人" in await other.say("请假")


async def test_a_learner_is_answered_as_if_there_were_no_such_word(boss: Chat) -> None:
    assert "没有看懂" in await Chat(boss.dispatcher, boss.clock, "1001").say("请假 1001 2026-03-04")
    assert rows(boss, ABSENCES) == []
