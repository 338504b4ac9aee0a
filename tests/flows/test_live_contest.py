"""A live contest in the chat: in by the code, questions one after the other, the first answer stands, whoever was away finds everything."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.contest.contest import ContestRules
from bot.domain.delivery.platform_limits import LIMITS, batch_sizes
from bot.services.contest import live_broadcast, manage
from bot.services.delivery.plan import OpenChannels
from tests.conftest import Chat, Clock, enroll
from tests.support.exams import ExamHarness
from tests.support.live_contests import Room, hosted, opened, plan


async def come_in(room: Room) -> None:
    for player in room.players:
        assert "已进入「七一知识竞赛」" in await player.say(f"竞赛 {room.code}")


async def test_a_contest_from_the_first_question_to_the_frozen_board(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, questions=2)
    await come_in(room)
    good, slow, bad = room.players
    for n in (1, 2):
        assert f"第 {n} 题已出" in await room.host.say("主持 下一题")
        card = await good.say("继续")
        assert f"第{n}/2题" in card
        assert room.question(n).stem in card
        assert (await good.tap(room.question(n).key)).startswith("已记录")
        assert (await bad.say(room.wrong(n))).startswith("已记录")
        assert (await slow.say(room.question(n).key, after=9)).startswith("已记录")
        assert "已收题" in await room.host.say("主持 收题")
    asked = await room.host.say("主持 结束")
    assert "现在是第 2/2 题" in asked
    assert "「主持 结束 确认」" in asked
    assert "已结束" in await room.host.say("主持 结束 确认")
    assert "答对 2 题，得 2 分，第 1 名" in await good.say(f"竞赛 {room.id}")
    assert "答对 2 题，得 2 分，第 2 名" in await slow.say(f"竞赛 {room.id}")
    assert "答对 0 题，得 0 分，第 3 名" in await bad.say(f"竞赛 {room.id}")
    board = await good.say(f"排行 {room.id}")
    assert board.index("选手1") < board.index("选手2") < board.index("选手3")
    assert "竞赛" in await good.say("我的学时")


async def test_the_first_answer_stands_and_nobody_is_told_the_key_before_the_close(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=1)
    await come_in(room)
    await room.host.say("主持 下一题")
    player = room.players[0]
    assert (await player.say("A")).startswith("已记录")
    said = await player.say("B")
    assert said.startswith("未记录")
    assert "以第一次为准" in said
    question = room.question(1)
    heard = [said, await player.say("继续"), await player.say("A"), await player.say(f"竞赛 {room.code}")]
    assert not any(question.explanation in one or "正确答案" in one for one in heard)
    rows = dispatcher.database.read_now(lambda session: session.execute(text("SELECT choice FROM answer")).all())
    assert [row[0] for row in rows] == ["A"]


async def test_two_taps_at_once_are_one_answer(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=1)
    await come_in(room)
    await room.host.say("主持 下一题")
    player = room.players[0]
    await player.say("继续")
    assert player.last.card is not None
    task = player.last.card.task
    heard = await asyncio.gather(*(dispatcher.handle(player.message("AB"[n % 2], task)) for n in range(8)))
    assert sum(one.text.startswith("已记录") for one in heard) == 1
    assert dispatcher.database.read_now(lambda session: session.execute(text("SELECT COUNT(*) FROM answer")).scalar()) == 1


async def test_what_arrives_late_is_refused_and_says_why(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=1)
    await come_in(room)
    player = room.players[0]
    assert "没有看懂" in await player.say("A"), "before the first question there is nothing to answer"
    await room.host.say("主持 下一题")
    await player.say("继续")
    assert player.last.card is not None
    old = player.last.card
    assert "第 1 题已经收题" in await player.tap_on(old, "A", after=31)
    await room.host.say("主持 收题")
    await room.host.say("主持 下一题")
    said = await player.tap_on(old, "A")
    assert said.startswith("未记录")
    assert "现在是第 2 题" in said


async def test_a_pause_stops_the_clock_and_what_was_left_is_left(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=1)
    await come_in(room)
    await room.host.say("主持 下一题")
    player = room.players[0]
    await room.host.say("主持 暂停 投影坏了", after=20)
    assert "现在暂停" in await player.say("A", after=60)
    await room.host.say("主持 恢复", after=60)
    assert (await player.say("A", after=9)).startswith("已记录")


async def test_a_void_question_counts_for_nobody_and_the_reason_is_told(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=2, questions=2)
    await come_in(room)
    for chosen in (room.question(1).key, room.question(2).key):
        await room.host.say("主持 下一题")
        assert (await room.players[0].say(chosen)).startswith("已记录")
        await room.host.say("主持 收题")
    assert "请写明原因" in await room.host.say("主持 作废 1")
    assert "大家这一题都不计分。\n还没有做，做了不能恢复" in await room.host.say("主持 作废 1 题干有误")
    assert "第 1 题已作废" in await room.host.say("主持 作废 确认 1 题干有误")
    assert "得 1 分" in await room.players[0].say("继续")
    assert "已经作废：题干有误" in await room.host.say("主持 作废 1 再来")


async def test_another_operator_takes_over_and_it_is_seen(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=1)
    dispatcher.database.write_now(lambda session: enroll(session, "9002", "管理员乙", roles=("admin",)))
    other = Chat(dispatcher, clock, "9002")
    assert "现在由 管理员甲 主持" in await other.say("主持 下一题")
    assert "现在由您主持" in await other.say(f"主持 接管 {room.id}")
    assert "第 1 题已出" in await other.say("主持 下一题")
    assert "现在由 管理员乙 主持" in await room.host.say("主持 收题")
    log = dispatcher.database.read_now(lambda session: session.execute(text("SELECT act, why FROM live_decision ORDER BY id")).all())
    assert ("接管", "从 管理员甲 接管") in [tuple(row) for row in log]
    audited = dispatcher.database.read_now(lambda session: session.execute(text("SELECT actor, action FROM audit ORDER BY id")).all())
    assert ("9002", "现场竞赛 接管") in [tuple(row) for row in audited]


async def test_who_is_at_an_exam_is_told_no_key_of_a_contest(dispatcher: Dispatcher, clock: Clock) -> None:
    room, hall = opened(dispatcher, clock, players=2), ExamHarness(dispatcher)
    exam_id = hall.publish()
    sitting, free = room.players
    await free.say(f"竞赛 {room.code}")
    assert "开始计时" in await sitting.say(f"考试 开始 {exam_id}")
    assert "已进入" in await sitting.say(f"竞赛 {room.code}")
    await room.host.say("主持 下一题")
    await room.host.say("主持 收题")

    said = await sitting.say("继续")

    assert "第 1 题已收题。您正在考《年度学法考试》，答案交卷以后再看。" in said
    assert room.question(1).explanation not in said
    assert room.question(1).explanation in await free.say("继续")

    def called(session: Session) -> int:
        call = next(one for one in live_broadcast.pending_calls(session, dispatcher.catalog(), clock.now) if one.kind == live_broadcast.SOLUTION_CALL)
        return live_broadcast.plan_call(session, call, clock.now, OpenChannels(("local",), {}, ()), batch_sizes(LIMITS))[1]

    assert dispatcher.database.read_now(called) == 1


async def test_a_contest_beyond_ones_units_is_not_even_numbered(dispatcher: Dispatcher, clock: Clock) -> None:
    opened(dispatcher, clock, players=1)

    def of_unit(session: Session) -> None:
        who = enroll(session, "9003", "管理员丙", unit="某局/财务处", roles=("admin",))
        session.execute(text("UPDATE role SET unit_id = (SELECT id FROM unit WHERE path = '某局/财务处') WHERE person_id = :who"), {"who": who})

    dispatcher.database.write_now(of_unit)
    said = await Chat(dispatcher, clock, "9003").say("主持 下一题")
    assert said.startswith("现在没有开场的现场竞赛")


async def test_who_is_no_administrator_hosts_nothing(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=1)
    said = await room.players[0].say("主持 下一题")
    assert "没有看懂" in said
    assert room.stage().course.phase == "lobby"


async def test_a_colleague_who_taps_a_forwarded_card_answers_for_themselves_or_not_at_all(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=2)
    await room.players[0].say(f"竞赛 {room.code}")
    await room.host.say("主持 下一题")
    await room.players[0].say("继续")
    card = room.players[0].last.card
    assert card is not None
    assert "您没有参加这场竞赛" in await room.players[1].tap_on(card, "A")
    await room.players[1].say(f"竞赛 {room.code}")
    assert (await room.players[1].tap_on(card, "A")).startswith("已记录")
    assert (await room.players[0].tap_on(card, "B")).startswith("已记录")


async def test_twenty_times_away_and_back_lose_nothing(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=2, of_team={"一队": [0, 1]}, questions=20)
    await come_in(room)
    player = room.players[0]
    for n in range(1, 21):
        await room.host.say("主持 下一题")
        away = Chat(dispatcher, clock, player.user)  # a client that was killed knows nothing of before
        assert f"第{n}/20题" in await away.say(f"竞赛 {room.code}" if n % 2 else "继续")
        assert (await away.tap(room.question(n).key)).startswith("已记录")
        await room.host.say("主持 收题")
    said = await Chat(dispatcher, clock, player.user).say("继续")
    assert "一队" in said
    assert "答对 20 题，得 20 分" in said


@pytest.mark.parametrize(
    ("board", "first", "last"), [("all", "第 1 名", "第 4 名"), ("upper", "第 1 名", ""), ("bands", "第一档", "第四档"), ("off", "", "")]
)
async def test_a_place_is_told_as_far_as_the_rule_names_places(dispatcher: Dispatcher, clock: Clock, board: str, first: str, last: str) -> None:
    room = opened(dispatcher, clock, players=4, questions=1, rules=ContestRules(seconds=30, board=board))
    await come_in(room)
    await room.host.say("主持 下一题")
    for n, player in enumerate(room.players):
        await player.say(room.question(1).key if n < 3 else room.wrong(1))
    await room.host.say("主持 收题")
    assert "名" not in await room.players[0].say("继续"), "nothing is frozen yet"
    await room.host.say("主持 结束 确认")
    for player, place in ((room.players[0], first), (room.players[3], last)):
        said = await player.say(f"竞赛 {room.id}")
        assert said.endswith(f"，{place}。" if place else "分。"), said


async def test_the_host_is_told_what_waits_to_be_opened_and_players_what_they_can_enter(dispatcher: Dispatcher, clock: Clock) -> None:
    def work(session: Session) -> tuple[int, int]:
        enroll(session, "9001", "管理员甲", roles=("admin",))
        enroll(session, "2001", "选手1")
        host = hosted(session)
        first, second = (plan(session, dispatcher.catalog(), host, now=clock.now) for _ in range(2))
        manage.open_contest(session, host.author, first, clock.now)
        return first, second

    first, second = dispatcher.database.write_now(work)
    host, player = Chat(dispatcher, clock, "9001"), Chat(dispatcher, clock, "2001")
    waiting = await host.say("主持")
    assert f"· {first} 七一知识竞赛（现场竞赛）进行中" in waiting
    assert f"· {second} 七一知识竞赛（现场竞赛）草稿" in waiting
    offered = await player.say("竞赛")
    assert f"· {first} 七一知识竞赛（现场竞赛）还没有开场" in offered
    assert f"· {second} " not in offered, "a draft is announced to nobody"
    assert "已开场" in await host.say(f"主持 开场 {second}")
    offered = await player.say("竞赛")
    assert offered.index(f"· {second} 七一知识竞赛（现场竞赛）已开场，现在可以进入") < offered.index(f"· {first} ")
    standing = await host.say("主持")
    assert "参赛码" in standing
    assert f"主持 开场 {first}" in standing
    assert f"· {second} " not in standing
    assert "已进入" in await player.say(f"竞赛 {second}")
