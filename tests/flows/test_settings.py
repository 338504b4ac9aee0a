"""Everybody chooses what reaches them, and nobody can choose what makes no sense."""

from __future__ import annotations

import pytest
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.people.person import Preference, clock_within
from bot.storage.people import accounts
from bot.storage.tables.people import AccountRow
from tests.conftest import NOW, Chat, Clock, enroll


@pytest.fixture
def person(dispatcher: Dispatcher) -> int:
    """1001 on the local page and in WeCom."""

    def work(session: Session) -> int:
        made = enroll(session, "1001", "学员甲")
        session.add(AccountRow(channel="wecom", user="w1001", person_id=made, bound_at=NOW, bound_by="test"))
        session.flush()
        return made

    return dispatcher.database.write_now(work)


def kept(dispatcher: Dispatcher, person: int) -> Preference:
    return dispatcher.database.read_now(lambda session: accounts.get_preference(session, person))


async def test_the_choices_are_shown_changed_and_kept(dispatcher: Dispatcher, clock: Clock, person: int) -> None:
    chat = Chat(dispatcher, clock, "1001")
    said = await chat.say("设置")
    assert "按活动安排的时间" in said
    assert "20:00—08:00（默认）" in said
    assert "先发到您最近用过的那个，发不到再换别的" in said
    assert "周报：开" in said

    assert "每天 08:30" in await chat.say("设置 推送 8：30")
    assert "21:30—07:00" in await chat.say("设置 免打扰 21:30-7:00")
    assert "周报：关" in await chat.say("设置 周报 关")
    assert "先发到您指定的企业微信，发不到再换别的" in await chat.say("设置 渠道 企业微信")

    assert kept(dispatcher, person) == Preference("08:30", "21:30", "07:00", False, "wecom")
    for words in ("设置 推送 默认", "设置 免打扰 默认", "设置 周报 开", "设置 渠道 默认"):
        assert "已修改" in await chat.say(words)
    assert kept(dispatcher, person) == Preference()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("设置 推送 25:00", "不是时间"),
        ("设置 推送 早上", "不是时间"),
        ("设置 推送 22:00", "免打扰"),
        ("设置 免打扰 9:00", "不是时段"),
        ("设置 免打扰 08:00-08:00", "最长"),
        ("设置 免打扰 08:00-06:00", "最长"),
        ("设置 周报 也许", "只有开和关"),
        ("设置 渠道 传真", "没有「传真」这个渠道"),
        ("设置 渠道 钉钉", "还没有绑定钉钉"),
        ("设置 铃声 大", "没有看懂"),
        ("设置 推送", "没有看懂"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_nothing_changes(dispatcher: Dispatcher, clock: Clock, person: int, words: str, reason: str) -> None:
    assert reason in await Chat(dispatcher, clock, "1001").say(words)
    assert kept(dispatcher, person) == Preference()


async def test_quiet_hours_cannot_swallow_the_hour_of_the_push(dispatcher: Dispatcher, clock: Clock, person: int) -> None:
    chat = Chat(dispatcher, clock, "1001")
    await chat.say("设置 推送 08:30")
    assert "请错开" in await chat.say("设置 免打扰 20:00-09:00")
    assert kept(dispatcher, person).quiet_to is None


@pytest.mark.parametrize(
    ("clock", "quiet"), [("19:59", False), ("20:00", True), ("23:59", True), ("00:00", True), ("07:59", True), ("08:00", False), ("12:00", False)]
)
def test_quiet_hours_pass_midnight_and_end_with_their_last_minute(clock: str, quiet: bool) -> None:
    assert Preference().is_quiet(clock) is quiet
    assert clock_within("13:00", "12:00", "14:00")
    assert not clock_within("14:00", "12:00", "14:00")
