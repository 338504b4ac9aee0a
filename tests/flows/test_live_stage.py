"""On a stage: 必答, 抢答, 风险, 加赛 by the schemes found in use; the arbiter judges and voids, every decision is logged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.dispatch import Dispatcher
from bot.domain.contest.live_rules import SCHEMES, StageScheme
from bot.services.contest import closing, live_host, live_scoring
from bot.storage.contest import contests, live_state, players
from tests.conftest import Chat, Clock, enroll
from tests.support.live_contests import Room, hosted, opened, plan

TEAMS = {"一队": [0, 1, 2], "二队": [3, 4, 5]}


async def on_stage(dispatcher: Dispatcher, clock: Clock, scheme: StageScheme, *parts: str, kind: str = "single") -> Room:
    """Two teams of three, all in the room, before the first question."""
    room = opened(dispatcher, clock, players=6, scheme=scheme, of_team=TEAMS, questions=len(parts), parts=parts, kind=kind, form="onsite")
    for player in room.players:
        await player.say(f"竞赛 {room.code}", after=0)
    return room


def scores(room: Room) -> dict[str, int]:
    """Points of the teams by name."""

    def work(session: Any) -> dict[str, int]:
        of = live_state.get(session, room.id)
        assert of is not None
        return {one.name: one.score // 1000 for one in live_scoring.standing(session, of).teams}

    return room.dispatcher.database.read_now(work)


def ticks(room: Room, seconds: float = 1) -> bool:
    """What the live broadcaster does by itself some time later."""
    room.clock.pass_(seconds)
    return room.dispatcher.database.write_now(lambda session: live_host.run_due(session, room.id, room.clock.now))


def log(room: Room) -> list[tuple[str, str, str]]:
    """(who, what, why), oldest first."""
    rows = room.dispatcher.database.read_now(lambda session: session.execute(text("SELECT actor, act, why FROM live_decision ORDER BY id")).all())
    return [tuple(row) for row in rows]


def card(room: Room, player: Chat) -> Any:
    assert player.last.card is not None
    return player.last.card


async def test_the_first_team_at_the_server_answers_and_the_arbiter_judges(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案一"], "抢答")
    await room.host.say("主持 下一题")
    assert room.stage().course.phase == "reading"
    await room.host.say("主持 开抢")
    one, two = room.players[0], room.players[3]
    # Heard in the other order, as two replicas may: what counts is when each arrived.
    first, second = one.message("抢"), two.message("抢")
    later = type(second)(second.sender, second.text, second.message_id, second.arrived + timedelta(milliseconds=4))
    assert "已抢" in await two.hear(later)
    assert "已抢" in await one.hear(first)
    assert not ticks(room, 0.1), "others may still turn out to have arrived earlier"
    assert ticks(room, 0.5)
    assert ("system", "抢到", "选手1 先到；二队 晚 4.0 毫秒") in log(room)
    assert "已判对" in await room.host.say("主持 对")
    assert scores(room) == {"一队": 110, "二队": 100}
    assert "已经判过" in await room.host.say("主持 错")


async def test_the_same_microsecond_goes_to_the_row_that_was_written_first(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案一"], "抢答")
    await room.host.say("主持 下一题")
    await room.host.say("主持 开抢")
    clock.pass_(1)
    for player in (room.players[4], room.players[1]):
        await player.hear(player.message("抢"))
    assert ticks(room)
    assert log(room)[-1] == ("system", "抢到", "选手5 先到；一队 晚 0.0 毫秒")


async def test_a_false_start_costs_what_the_first_scheme_says_and_the_question_is_void(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案一"], "抢答", "抢答")
    await room.host.say("主持 下一题")
    said = await room.players[0].say("抢")
    assert "抢早了，犯规，扣 10 分，本题作废" in said
    assert room.stage().course.phase == "closed"
    assert scores(room) == {"一队": 90, "二队": 100}
    assert "已经作废" in await room.players[3].say("抢")
    assert "第 2 题已出" in await room.host.say("主持 下一题")


async def test_in_the_second_scheme_the_first_false_start_loses_the_question_and_the_second_twenty_points(
    dispatcher: Dispatcher, clock: Clock
) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案二"], "抢答", "抢答")
    await room.host.say("主持 下一题")
    assert "本题你们队不再参加" in await room.players[0].say("抢")
    await room.host.say("主持 开抢")
    assert "已经抢过" in await room.players[1].say("抢")
    await room.players[3].say("抢")
    assert ticks(room)
    await room.host.say("主持 错")
    assert scores(room) == {"一队": 100, "二队": 80}
    await room.host.say("主持 下一题")
    assert "扣 20 分" in await room.players[2].say("抢")
    assert scores(room) == {"一队": 80, "二队": 80}
    await room.host.say("主持 开抢")
    assert ticks(room, 16)
    assert ("system", "到时收题", "无人抢答，转观众答题") in log(room)


async def test_in_the_third_scheme_reading_is_a_time_to_press_and_a_wrong_team_is_out(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案三"], "抢答")
    await room.host.say("主持 下一题")
    await room.players[0].say("抢")
    await room.players[3].say("抢")
    assert ticks(room)
    assert room.stage().course.phase == "open"
    await room.host.say("主持 错")
    assert ticks(room), "who pressed second answers now"
    assert answering(room) == ["一队", "二队"]
    await room.host.say("主持 对")
    assert scores(room) == {"一队": 90, "二队": 110}


def answering(room: Room) -> list[str]:
    """The teams that were let answer, in order."""
    rows = room.dispatcher.database.read_now(
        lambda session: session.execute(
            text("SELECT t.name FROM live_decision d JOIN team t ON t.id = d.team_id WHERE d.act = '抢到' ORDER BY d.id")
        ).all()
    )
    return [row[0] for row in rows]


async def test_a_team_answers_its_own_question_on_the_phone_and_the_other_may_not(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案一"], "必答", "必答")
    assert "第 1 题已出" in await room.host.say("主持 下一题 一队")
    assert "轮到别的队" in await room.players[3].say(room.question(1).key)
    assert (await room.players[0].say(room.question(1).key)).startswith("已记录")
    assert (await room.players[1].say(room.wrong(1))).startswith("已记录")
    await room.host.say("主持 收题")
    assert scores(room) == {"一队": 110, "二队": 100}, "the first answer of a team is the team's"


async def test_where_all_have_to_be_of_one_mind_one_who_is_not_spoils_it(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案三"], "必答", kind="judge")
    await room.host.say("主持 下一题")
    key = room.question(1).key
    for place, said in ((0, key), (1, key), (2, key), (3, key), (4, room.wrong(1)), (5, key)):
        assert (await room.players[place].say(said, after=0.1)).startswith("已记录")
    assert ticks(room, 4)
    assert scores(room) == {"一队": 110, "二队": 100}


async def test_risk_is_staked_up_or_down_and_the_lowest_chooses_first_where_the_scheme_says_so(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案二"], "风险", "风险")
    assert "风险题请先选是哪一队" in await room.host.say("主持 下一题")
    assert "只能选 20、40、60" in await room.host.say("主持 下一题 一队 30")
    assert "第 1 题已出" in await room.host.say("主持 下一题 一队 40")
    assert "在台上口头作答" in await room.players[0].say(room.question(1).key)
    await room.host.say("主持 错")
    await room.host.say("主持 下一题 二队 60")
    await room.host.say("主持 对")
    assert scores(room) == {"一队": 60, "二队": 160}


async def test_level_teams_meet_in_the_sudden_death(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案一"], "必答", "加赛", "加赛")
    await room.host.say("主持 下一题 一队")
    await room.host.say("主持 收题")
    assert "题目都出完了" in await room.host.say("主持 下一题"), "a question of the sudden death comes only when it is asked for"
    await room.host.say("主持 下一题 2")
    for place in (0, 3):
        await room.players[place].say(room.question(2).key)
    await room.host.say("主持 收题")
    assert "再加一题" in [one[1] for one in log(room)]
    await room.host.say("主持 下一题 3")
    await room.players[0].say(room.wrong(3))
    await room.players[3].say(room.question(3).key)
    await room.host.say("主持 收题")
    assert ("system", "加赛", "加赛中只有该队答对") in log(room)

    def places(session: Any) -> list[tuple[int, str]]:
        of = live_state.get(session, room.id)
        assert of is not None
        return [(one.place, one.name) for one in live_scoring.standing(session, of).teams]

    assert dispatcher.database.read_now(places) == [(1, "二队"), (2, "一队")]


async def test_the_arbiter_may_void_what_was_judged_and_adjust_with_a_reason(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案一"], "抢答")
    await room.host.say("主持 下一题")
    await room.host.say("主持 开抢")
    await room.players[0].say("抢")
    ticks(room)
    await room.host.say("主持 对")
    assert scores(room)["一队"] == 110
    await room.host.say("主持 作废 确认 1 题目超纲")
    assert scores(room)["一队"] == 100
    assert "已改分：二队 -5 分（场外提示）" in await room.host.say("主持 改分 二队 -5 场外提示")
    assert scores(room) == {"一队": 100, "二队": 95}
    assert ("9001", "改分", "场外提示") in log(room)
    await room.host.say("主持 结束 确认")
    assert room.stage().course.phase == "finished"
    kept = dispatcher.database.read_now(lambda session: contests.get(session, room.id))
    assert kept is not None
    assert [(one["place"], one["team"], one["score"]) for one in kept.board["teams"]] == [(1, "一队", 100_000), (2, "二队", 95_000)]
    before, after = dispatcher.database.write_now(lambda session: closing.recount(session, room.id, clock.now))
    assert before == after, "the same rows give the same board"
    assert len(dispatcher.database.read_now(lambda session: players.took_part(session, room.id))) == 6, "who stood on the stage took part"


@pytest.mark.parametrize("said", ["主持 作废 1", "主持 改分 一队 5", "主持 改分 三队 5 原因", "主持 改分 一队 0 原因"])
async def test_nothing_is_decided_without_a_reason_or_for_nobody(dispatcher: Dispatcher, clock: Clock, said: str) -> None:
    room = await on_stage(dispatcher, clock, SCHEMES["方案一"], "抢答")
    await room.host.say("主持 下一题")
    before = log(room)
    await room.host.say(said)
    assert log(room) == before


async def test_a_stage_is_opened_with_the_rules_as_they_will_be_read_out(dispatcher: Dispatcher, clock: Clock) -> None:
    def work(session: Any) -> int:
        enroll(session, "9001", "管理员甲", roles=("admin",))
        return plan(session, dispatcher.catalog(), hosted(session), questions=1, parts=("抢答",), form="onsite", now=clock.now)

    contest_id = dispatcher.database.write_now(work)
    host = Chat(dispatcher, clock, "9001")
    assert "没有「方案九」" in await host.say(f"主持 开场 {contest_id} 方案九")
    said = await host.say(f"主持 开场 {contest_id} 方案二 抢答分=30 犯规=5取消")
    assert "抢答：答对加 30 分，答错扣 20 分" in said
    assert "每次扣 5 分、取消该队本题资格" in said
