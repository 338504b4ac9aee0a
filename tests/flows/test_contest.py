"""A contest in the chat: found, read, played a set at a time, looked at afterwards; late answers, other people's cards, the board by rule."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.people.audience import All, UnitIs
from bot.services.contest import closing, manage
from tests.conftest import NOW, Chat, Clock, enroll
from tests.flows.test_daily import rows

ADMIN = Author("9001", "cli")


def opened(dispatcher: Dispatcher, rules: ContestRules | None = None, audience: All | UnitIs | None = None, *, name: str = "七一竞赛") -> int:
    """A contest of a week, open from now on."""
    plan = ContestPlan(name, "windowed", rules or ContestRules(), ("监察法",), audience or All(), NOW, NOW + timedelta(days=7))

    def work(session):  # type: ignore[no-untyped-def]
        made = manage.create(session, dispatcher.catalog(), ADMIN, plan, NOW)
        manage.open_contest(session, ADMIN, made, NOW)
        return made

    return int(dispatcher.database.write_now(work))


def closed(dispatcher: Dispatcher, clock: Clock) -> None:
    clock.now = NOW + timedelta(days=7, seconds=6)
    assert dispatcher.database.write_now(lambda session: closing.close_due(session, dispatcher.catalog(), clock.now))


async def play(chat: Chat, number: int) -> str:
    """A whole set, every answer A."""
    said = await chat.say(f"竞赛 {number} 开始")
    while chat.last.card is not None:
        said = await chat.tap(chat.last.card.options[0].say)
    return said


async def test_a_contest_is_found_read_and_played_to_its_end(chat: Chat, dispatcher: Dispatcher) -> None:
    number = opened(dispatcher)
    assert "七一竞赛" in await chat.say("竞赛")
    rules = await chat.say(f"竞赛 {number}")
    for part in ("每天 1 套、每套 5 题", "做完一套得 8 分", "同分时", "排行：不公布", "您还没有参加"):
        assert part in rules
    assert [button.label for button in chat.last.buttons] == ["开始一套"]
    last = await play(chat, number)
    assert last.startswith("已记录")
    assert "这一套：" in last
    assert "参加竞赛 +22 分 30 秒" in last
    assert "今天还可做 0 套" in last
    assert "今天的已经做完" in await chat.say(f"竞赛 {number} 开始")
    assert "今天的已经做完" in await chat.say(f"竞赛 开始 {number}"), "the words may come in either order"
    assert "已做 1 套" in await chat.say(f"竞赛 {number}")


async def test_what_was_wrong_in_a_contest_is_asked_again_by_the_notebook(chat: Chat, dispatcher: Dispatcher) -> None:
    number = opened(dispatcher)
    await play(chat, number)
    wrong = rows(dispatcher.database, "SELECT COUNT(*) FROM answer WHERE correct = 0")
    assert wrong[0][0] > 0
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM notebook_card WHERE left_at IS NULL") == wrong
    assert "错题" in await chat.say("错题")


async def test_a_set_put_down_is_taken_up_where_it_was_left(chat: Chat, dispatcher: Dispatcher) -> None:
    number = opened(dispatcher)
    await chat.say(f"竞赛 {number} 开始")
    await chat.tap(chat.last.card.options[0].say)  # type: ignore[union-attr]
    assert "已放下竞赛「七一竞赛」" in await chat.say("退出")
    await chat.say("每日")
    again = await chat.say(f"竞赛 {number} 开始")
    assert "每日一练先放下了" in again
    assert "第2/5题" in again


async def test_the_first_answer_stands_whatever_is_tapped_after(chat: Chat, dispatcher: Dispatcher) -> None:
    number = opened(dispatcher)
    await chat.say(f"竞赛 {number} 开始")
    card = chat.last.card
    assert card is not None
    await chat.tap_on(card, card.options[0].say)
    assert "未记录：这道题已经答过，以第一次为准" in await chat.tap_on(card, card.options[1].say)


async def test_after_the_end_an_answer_is_refused_and_says_why(chat: Chat, dispatcher: Dispatcher, clock: Clock) -> None:
    number = opened(dispatcher)
    await chat.say(f"竞赛 {number} 开始")
    clock.now = NOW + timedelta(days=7)
    late = await chat.tap(chat.last.card.options[0].say, after=0)  # type: ignore[union-attr]
    assert late.startswith("未记录：本场竞赛已经截止")
    assert "以服务器收到的时间为准" in late


async def test_a_closed_contest_shows_ones_own_result_and_nothing_is_in_hand(chat: Chat, dispatcher: Dispatcher, clock: Clock) -> None:
    number = opened(dispatcher)
    await chat.say(f"竞赛 {number} 开始")
    await chat.tap(chat.last.card.options[0].say)  # type: ignore[union-attr]
    closed(dispatcher, clock)
    assert "已结束" in await chat.say(f"竞赛 {number}")
    assert f"参加过：{number} 七一竞赛" in await chat.say("竞赛")
    assert "现在没有正在答的题" in await chat.say("A")


async def test_without_a_word_from_the_rules_there_is_no_ranking(chat: Chat, dispatcher: Dispatcher) -> None:
    number = opened(dispatcher)
    await play(chat, number)
    assert "没有公布排行的竞赛" in await chat.say("排行")
    assert "不设排行" in await chat.say(f"排行 {number}")


async def test_below_the_middle_nobody_is_named_and_hears_no_place(chat: Chat, dispatcher: Dispatcher, clock: Clock) -> None:
    number = opened(dispatcher, ContestRules(board="upper"))
    others = []
    for n in range(2, 5):
        dispatcher.database.write_now(lambda session, n=n: enroll(session, f"100{n}", f"学员{'乙丙丁'[n - 2]}"))  # type: ignore[misc]
        others.append(Chat(dispatcher, clock, f"100{n}"))
    for each in (chat, *others):
        await play(each, number)
    closed(dispatcher, clock)
    boards = [await each.say(f"排行 {number}") for each in (chat, *others)]
    named = {name for name in ("学员甲", "学员乙", "学员丙", "学员丁") if name in boards[0]}
    assert len(named) == 2, boards[0]
    for board, name in zip(boards, ("学员甲", "学员乙", "学员丙", "学员丁"), strict=True):
        assert ("您第" in board) is (name in named)
        assert ("其余不排名" in board) is (name not in named)


async def test_bands_are_told_instead_of_places_where_the_rules_say_so(chat: Chat, dispatcher: Dispatcher) -> None:
    number = opened(dispatcher, ContestRules(board="bands"))
    await play(chat, number)
    said = await chat.say(f"排行 {number}")
    assert "您在第一档" in said
    assert "1. " not in said


async def test_the_board_of_teams_names_its_rule(chat: Chat, dispatcher: Dispatcher) -> None:
    dispatcher.database.write_now(lambda session: enroll(session, "2001", unit="某局/财务处"))
    number = opened(dispatcher, ContestRules(board="all", teams="unit", best=5))
    await play(chat, number)
    said = await chat.say(f"排行 {number}")
    assert "团队榜，团队得分为本队最高 5 人的平均分" in said
    assert "1. 办公室 " in said
    assert "（1/1 人参加）" in said
    assert "财务处" not in said, "nobody of it took part"


@pytest.mark.parametrize("said", ["竞赛 999", "竞赛 1", "排行 1"])
async def test_a_contest_for_others_is_answered_like_none(chat: Chat, dispatcher: Dispatcher, said: str) -> None:
    dispatcher.database.write_now(lambda session: enroll(session, "2001", unit="某局/乙处"))
    opened(dispatcher, audience=UnitIs("某局/乙处"))
    assert "没有编号为" in await chat.say(said)
    assert "没有您可以参加的竞赛" in await chat.say("竞赛")


async def test_what_is_no_number_is_told_how_to_write_it(chat: Chat) -> None:
    assert "请写编号" in await chat.say("竞赛 七一")
    assert "请写竞赛的编号" in await chat.say("排行 七一")
