"""Matches in the chat: two who come by find each other within thirty seconds or are told; colleagues called by name; the same questions for all."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.dispatch import Dispatcher
from bot.domain.delivery.outbound_message import group_messages
from bot.domain.message import QuestionCard
from bot.jobs.schedule import run_duels
from bot.services.delivery import plan, send
from bot.services.delivery.plan import OpenChannels
from bot.storage.delivery import queue
from tests.conftest import Chat, Clock, enroll


class Hall:
    """Some colleagues with a chat each, and the clock's knock."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self.dispatcher, self.clock = dispatcher, clock
        self.names: dict[int, str] = {}

    def somebody(self, staff_no: str, name: str, channel: str = "local") -> Chat:
        person_id = self.dispatcher.database.write_now(lambda session: enroll(session, staff_no, name, channel=channel))
        self.names[person_id] = name
        return Chat(self.dispatcher, self.clock, staff_no, channel)

    def ask(self, statement: str) -> list[Any]:
        return [tuple(row) for row in self.dispatcher.database.read_now(lambda session: session.execute(text(statement)).all())]

    async def knock(self, seconds: float = 1) -> dict[str, list[str]]:
        """The clock knocks; what everybody is told by it, by name."""
        self.clock.pass_(seconds)
        await run_duels(self.dispatcher.database, self.clock.now)
        owed = self.dispatcher.database.write_now(lambda session: queue.claim(session, "h", self.clock.now, 100, 0))
        doors = OpenChannels(("local", "wecom"))
        made = self.dispatcher.database.read_now(
            lambda session: plan.plan_deliveries(session, self.dispatcher.catalog(), owed, self.clock.now, doors)
        )
        begun = group_messages(made.ready, {})
        for groups in begun.values():
            sent = self.dispatcher.database.write_now(lambda session, some=groups: send.begin(session, some, "h", self.clock.now, 60))  # type: ignore[misc]
            for group in sent.groups:
                results = [queue.SendResult(one.queued.id, "sent") for one in group.ready]
                self.dispatcher.database.write_now(lambda session, it=results: queue.settle(session, it, "h", self.clock.now))  # type: ignore[misc]
        found: dict[str, list[str]] = {}
        for one in made.ready:
            found.setdefault(self.names[one.queued.person_id], []).append(one.message.reply.text)
        return found


@pytest.fixture
def hall(dispatcher: Dispatcher, clock: Clock) -> Hall:
    return Hall(dispatcher, clock)


async def play(chat: Chat, right: int, hall: Hall, seconds: float = 3) -> str:
    """All that is left of a match, of which the first so many are answered right."""
    said = ""
    n = 0
    while (ask := chat.last.card) is not None:
        said = await chat.tap_on(ask, _choice(hall, ask, right=n < right), seconds)
        n += 1
    return said


def _choice(hall: Hall, ask: QuestionCard, *, right: bool) -> str:
    ref, n = ask.task[1:].split(".")
    ((version,),) = hall.ask(f"SELECT version_id FROM sitting_item WHERE sitting_id = {int(ref)} AND n = {int(n)}")
    question = hall.dispatcher.database.read_now(lambda session: hall.dispatcher.catalog().question(session, version))
    return question.key if right else next(said for said, _ in question.choices if said not in question.key)


async def test_two_who_come_by_play_the_same_questions_and_part_by_two_points(hall: Hall) -> None:
    one, two = hall.somebody("1001", "学员甲"), hall.somebody("1002", "学员乙")
    assert "正在找对手，30 秒内等不到就告诉您" in await one.say("对战")
    begun = await two.say("对战", after=5)
    assert "与 学员甲 的对战开始" in begun
    assert "第1/5题" in begun
    assert await hall.knock() == {"学员甲": ["🏁 对手到了\n与 学员乙 的对战开始了，3 分钟内答完 5 道题，已经在计时。"]}
    await one.say("对战")
    half = await play(one, 5, hall)
    assert "您答完了：对 5 题" in half
    last = await play(two, 3, hall)
    assert "第 1 名 学员甲：对 5 题" in last
    assert "第 2 名 您：对 3 题" in last
    told = await hall.knock()
    assert "第 1 名 您：对 5 题" in told["学员甲"][0]
    assert hall.ask("SELECT points FROM duel_player ORDER BY person_id") == [(3,), (1,)]
    asked = hall.ask("SELECT sitting_id, n, question FROM sitting_item ORDER BY n, sitting_id")
    assert len({(n, question) for _, n, question in asked}) == 5
    assert "本月对战 1 场，第一 1 场，对战积分 3" in await one.say("对战 战绩")
    assert hall.ask("SELECT COUNT(*) FROM ledger") == [(0,)], "a match earns no hours"


async def test_a_match_that_has_begun_is_named_before_what_waits_and_begins_with_go_on(hall: Hall) -> None:
    one, two = hall.somebody("1001", "学员甲"), hall.somebody("1002", "学员乙")
    await one.say("每日")
    await one.say("退出")
    await one.say("对战")
    await two.say("对战", after=5)
    assert "对手到了" in (await hall.knock())["学员甲"][0]
    said = await one.say("A")
    assert "还有没做完的：对战（对手到了，已经在计时）、每日一练（0/5）。现在开始请回复「对战」。" in said
    assert [button.say for button in one.last.buttons] == ["继续"]
    assert "对战进行中" in await one.say("继续")
    await one.say("退出")
    assert "对战（0/5）" in await one.say("A"), "once it is in hand it waits as everything does"


async def test_who_meets_nobody_in_thirty_seconds_is_told_so_and_no_machine_steps_in(hall: Hall) -> None:
    one = hall.somebody("1001", "学员甲")
    await one.say("对战")
    assert await hall.knock(29) == {}
    told = await hall.knock(1)
    assert "30 秒内没有等到对手，没有机器人陪打" in told["学员甲"][0]
    assert await hall.knock() == {}, "told once"
    assert hall.ask("SELECT state FROM duel") == [("off",)]
    assert "正在找对手" in await one.say("对战")


async def test_who_comes_after_thirty_seconds_waits_for_somebody_else(hall: Hall) -> None:
    one, two = hall.somebody("1001", "学员甲"), hall.somebody("1002", "学员乙")
    await one.say("对战")
    assert "正在找对手" in await two.say("对战", after=31)


async def test_four_play_when_the_fourth_comes_and_nobody_parts_by_more_than_two(hall: Hall) -> None:
    people = [hall.somebody(f"100{n}", f"学员{'甲乙丙丁'[n - 1]}") for n in range(1, 5)]
    assert "已有 1/4 人" in await people[0].say("对战 四人")
    await people[1].say("对战 四人")
    assert "已有 3/4 人" in await people[2].say("对战 四人")
    assert "的对战开始" in await people[3].say("对战 四人")
    assert set(await hall.knock()) == {"学员甲", "学员乙", "学员丙"}
    for chat, right in zip(people, (5, 3, 3, 0), strict=True):
        await chat.say("对战")
        await play(chat, right, hall, seconds=2)
    points = [row[0] for row in hall.ask("SELECT points FROM duel_player ORDER BY person_id")]
    assert points == [3, 2, 2, 1]


async def test_four_that_do_not_come_together_are_told_how_many_came(hall: Hall) -> None:
    one, two = hall.somebody("1001", "学员甲"), hall.somebody("1002", "学员乙")
    await one.say("对战 四人")
    await two.say("对战 四人")
    told = await hall.knock(31)
    assert set(told) == {"学员甲", "学员乙"}
    assert "要 4 人，来了 2 人" in told["学员乙"][0]


async def test_a_colleague_is_called_by_name_told_and_accepts_on_another_channel(hall: Hall) -> None:
    one, two = hall.somebody("1001", "学员甲"), hall.somebody("1010", "学员乙", channel="wecom")
    assert "已邀请 学员乙" in await one.say("对战 1010")
    told = await hall.knock()
    assert "学员甲 邀请您对战" in told["学员乙"][0]
    assert "与 学员甲 的对战开始" in await two.say("应战")
    assert "对手到了" in (await hall.knock())["学员甲"][0]
    assert "第1/5题" in await one.say("对战")


async def test_a_declined_call_is_told_to_who_made_it(hall: Hall) -> None:
    one, two = hall.somebody("1001", "学员甲"), hall.somebody("1002", "学员乙")
    await one.say("对战 学员乙")
    assert "已谢绝" in await two.say("应战 谢绝")
    assert "学员乙 谢绝了" in (await hall.knock())["学员甲"][0]
    assert "没有等您应战的邀请" in await two.say("应战")


async def test_of_three_called_those_who_accepted_play_when_the_last_declines(hall: Hall) -> None:
    one, two, three = (hall.somebody(f"100{n}", f"学员{'甲乙丙'[n - 1]}") for n in range(1, 4))
    await one.say("对战 1002 1003")
    assert "已邀请 学员丙" in await two.say("应战")
    await three.say("应战 谢绝")
    told = await hall.knock()
    assert {name for name, texts in told.items() if "对手到了" in texts[0]} == {"学员甲", "学员乙"}
    assert "第1/5题" in await two.say("对战")


async def test_who_called_by_name_may_take_it_back_and_who_accepted_is_told(hall: Hall) -> None:
    one, two, _ = (hall.somebody(f"100{n}", f"学员{'甲乙丙'[n - 1]}") for n in range(1, 4))
    await one.say("对战 1002 1003")
    await two.say("应战")
    assert "已取消" in await one.say("对战 取消")
    told = await hall.knock()
    assert "学员甲 取消了邀请" in told["学员乙"][0]
    assert "学员甲" not in told
    assert "没有在等对手" in await one.say("对战 取消")


async def test_the_others_of_four_go_on_waiting_when_one_waits_no_longer(hall: Hall) -> None:
    people = [hall.somebody(f"100{n}", f"学员{'甲乙丙丁戊'[n - 1]}") for n in range(1, 6)]
    for chat in people[:3]:
        await chat.say("对战 四人", after=1)
    await people[0].say("对战 取消", after=1)
    await people[3].say("对战 四人", after=1)
    assert "的对战开始" in await people[4].say("对战 四人", after=1)
    assert hall.ask("SELECT COUNT(*) FROM duel_player WHERE state IN ('ready', 'playing')") == [(4,)]


async def test_a_call_that_nobody_answers_ends_by_itself(hall: Hall) -> None:
    one, two = hall.somebody("1001", "学员甲"), hall.somebody("1002", "学员乙")
    await one.say("对战 1002")
    await hall.knock()
    told = await hall.knock(600)
    assert "学员乙 没有应战" in told["学员甲"][0]
    assert "没有等您应战的邀请" in await two.say("应战")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("对战 9999", "没有找到「9999」"),
        ("对战 1001", "不能邀请自己"),
        ("对战 同名", "叫「同名」的有 2 人"),
        ("对战 1002 1003 1004 1005", "一次最多邀请 3 人"),
        ("应战", "没有等您应战的邀请"),
        ("应战 7", "没有等您应战的邀请"),
        ("应战 明天", "请这样回复"),
    ],
)
async def test_a_call_that_cannot_be_is_refused_with_what_to_do(hall: Hall, said: str, answer: str) -> None:
    one = hall.somebody("1001", "学员甲")
    for staff_no in ("1002", "1003"):
        hall.somebody(staff_no, "同名")
    assert answer in await one.say(said)


async def test_one_match_at_a_time_and_it_is_taken_up_where_it_was_left(hall: Hall) -> None:
    one, two, three = (hall.somebody(f"100{n}", f"学员{'甲乙丙'[n - 1]}") for n in range(1, 4))
    await one.say("对战")
    assert "已经在等对手" in await one.say("对战 1003")
    await two.say("对战")
    await two.tap(_choice(hall, two.last.card, right=True))  # type: ignore[arg-type]
    await two.say("对战 1003")
    assert "对战进行中，还有" in two.last.text
    assert "第2/5题" in (await two.say("对战"))
    assert "先打完它" in await two.say("应战")
    assert hall.ask("SELECT COUNT(*) FROM duel") == [(1,)]
    assert "正在找对手" in await three.say("对战")


async def test_the_calls_of_a_day_are_few(hall: Hall) -> None:
    one = hall.somebody("1001", "学员甲")
    hall.somebody("1002", "学员乙")
    for _ in range(10):
        assert "已邀请" in await one.say("对战 1002")
        await one.say("对战 取消")
    assert "今天已经邀请过 10 次" in await one.say("对战 1002")


async def test_time_ends_a_match_with_what_was_answered_and_a_late_answer_is_refused(hall: Hall) -> None:
    one, two = hall.somebody("1001", "学员甲"), hall.somebody("1002", "学员乙")
    await one.say("对战")
    await two.say("对战")
    await two.tap(_choice(hall, two.last.card, right=True))  # type: ignore[arg-type]
    late = two.last.card
    assert late is not None
    hall.clock.pass_(200)
    assert (await two.tap_on(late, late.options[0].say, 0)).startswith("未记录：这场对战已经到时")
    told = await hall.knock(6)
    assert set(told) == {"学员甲", "学员乙"}
    assert hall.ask("SELECT place, points, correct FROM duel_player ORDER BY person_id") == [(2, 1, 0), (1, 3, 1)]
    assert await hall.knock() == {}
    assert "没有正在答的题" in await two.say("A"), "hands are free again"


async def test_a_restart_in_the_middle_loses_nothing(hall: Hall) -> None:
    one, two = hall.somebody("1001", "学员甲"), hall.somebody("1002", "学员乙")
    await one.say("对战")
    await two.say("对战")
    await two.tap(_choice(hall, two.last.card, right=True))  # type: ignore[arg-type]
    again = Dispatcher(hall.dispatcher.database, hall.dispatcher.catalog, rng=hall.dispatcher.rng)
    for chat in (one, two):
        chat.dispatcher = again
    assert "第2/5题" in await two.say("继续")
    assert "第1/5题" in await one.say("对战")
    await play(one, 5, hall)
    assert "第 1 名 学员甲" in await play(two, 0, hall)


async def test_a_match_does_not_push_an_exam_away(hall: Hall) -> None:
    from bot.domain.study.sitting import FORMS
    from bot.services.study import current_task as focus
    from bot.storage.study import sittings

    one = hall.somebody("1001", "学员甲")

    def exam(session):  # type: ignore[no-untyped-def]
        catalog = hall.dispatcher.catalog()
        person_id = next(iter(hall.names))
        ref = sittings.open_sitting(session, person_id, "exam", "7", list(catalog.drawn.items())[:3], hall.clock.now)
        focus.take_up(session, catalog, person_id, FORMS["exam"].task, ref, FORMS["exam"].claim, hall.clock.now)

    hall.dispatcher.database.write_now(exam)
    hall.somebody("1002", "学员乙")
    await Chat(hall.dispatcher, hall.clock, "1002").say("对战")
    assert "您正在进行考试" in await one.say("对战")
    assert hall.ask("SELECT state FROM duel_player WHERE state = 'playing'") == []


async def test_two_who_call_at_the_same_moment_find_each_other(hall: Hall) -> None:
    """On PostgreSQL they speak to different writers: the queue's lock lets the second see the first."""
    people = [hall.somebody(f"20{n:02}", f"员{n:02}") for n in range(12)]
    await asyncio.gather(*(chat.hear(chat.message("对战")) for chat in people))
    assert hall.ask("SELECT COUNT(*) FROM duel WHERE state = 'running'") == [(6,)]
    assert hall.ask("SELECT COUNT(*), COUNT(DISTINCT person_id) FROM duel_player") == [(12, 12)]


async def test_copies_of_a_call_make_one_match(hall: Hall) -> None:
    one = hall.somebody("1001", "学员甲")
    message = one.message("对战")
    answers = await asyncio.gather(*(one.dispatcher.handle(message) for _ in range(4)))
    assert len(set(answers)) == 1
    assert hall.ask("SELECT COUNT(*) FROM duel") == [(1,)]


async def test_whoever_is_called_at_night_is_left_in_peace(hall: Hall) -> None:
    one = hall.somebody("1001", "学员甲")
    hall.somebody("1002", "学员乙")
    hall.clock.now += timedelta(hours=12)
    await one.say("对战 1002")
    assert await hall.knock() == {}
    await one.say("对战 取消")
    await one.say("对战")
    assert "没有等到对手" in (await hall.knock(31))["学员甲"][0], "who asked is answered whatever the hour"
