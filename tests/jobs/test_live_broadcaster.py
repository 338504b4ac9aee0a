"""The live broadcaster: closes what has run out, calls every phone once however many replicas there are, and keeps to the budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import text

from bot.dispatch import Dispatcher
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit, SlidingWindow
from bot.jobs.live_broadcaster import LiveBroadcaster
from tests.conftest import Clock
from tests.support.live_contests import Room, opened


@dataclass
class Mouth:
    """A channel that remembers what it said."""

    name: str = "local"
    said: list[OutboundMessage] = field(default_factory=list)
    calls: int = 0
    answer: SendReceipt = field(default_factory=lambda: SendReceipt("sent"))

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        self.calls += 1
        await asyncio.sleep(0)
        self.said += batch
        return [self.answer] * len(batch)

    def cards(self, n: int) -> list[str]:
        """Who got the card of a question."""
        return sorted(one.to.user for one in self.said if one.reply.card is not None and one.reply.card.task.endswith(f".{n}"))


def broadcaster(room: Room, mouth: Mouth, holder: str = "one", limits: tuple[PlatformLimit, ...] = LIMITS) -> LiveBroadcaster:
    dispatcher = room.dispatcher
    return LiveBroadcaster(dispatcher.database, dispatcher.catalog, [mouth], clock=room.clock, holder=holder, note=lambda *_: None, limits=limits)


async def in_the_room(dispatcher: Dispatcher, clock: Clock, players: int = 3) -> Room:
    room = opened(dispatcher, clock, players=players, questions=2)
    for player in room.players:
        await player.say(f"竞赛 {room.code}", after=0.1)
    return room


async def look(*heralds: LiveBroadcaster) -> None:
    """Everybody looks at once, and what they began is brought to its end."""
    await asyncio.gather(*(one.look() for one in heralds))
    for one in heralds:
        await one.stop()


def calls(room: Room) -> list[tuple[int, str, int, int, int]]:
    """(question, what, people, sent, failed) of every call."""
    rows = room.dispatcher.database.read_now(
        lambda session: session.execute(text("SELECT n, what, people, sent, failed FROM live_call ORDER BY began_at, n")).all()
    )
    return [tuple(row) for row in rows]


async def test_two_replicas_call_every_phone_once(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    assert await broadcaster(room, Mouth()).look(), "a room that is open is watched"
    await room.host.say("主持 下一题")
    mouths = Mouth(), Mouth()
    await look(broadcaster(room, mouths[0], "one"), broadcaster(room, mouths[1], "two"))
    assert sorted(mouths[0].cards(1) + mouths[1].cards(1)) == ["2001", "2002", "2003"]
    assert calls(room) == [(1, "ask", 3, 3, 0)]
    again = Mouth()
    await look(broadcaster(room, again, "three"))
    assert again.said == []


async def test_a_question_closes_by_itself_and_everybody_is_told_the_answer(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    await room.host.say("主持 下一题")
    assert (await room.players[0].say(room.question(1).key)).startswith("已记录")
    clock.pass_(31)
    mouth = Mouth()
    await look(broadcaster(room, mouth))
    assert room.stage().course.phase == "closed"
    assert {one.reply.text.splitlines()[0][:8] for one in mouth.said} == {"第 1 题答案："}
    assert "1 人作答，1 人答对" in mouth.said[0].reply.text
    assert len(mouth.said) == 3


async def test_a_call_keeps_to_the_budget_and_says_whom_it_missed(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    await room.host.say("主持 下一题")
    mouth = Mouth()
    tight = (PlatformLimit("local", "app/minute", "message", 5, SlidingWindow(60), "test"),)
    watching = broadcaster(room, mouth, limits=tight)
    await watching.look()
    await watching.stop()
    assert len(mouth.cards(1)) == 2, "four fifths of five messages, and a card weighs two"
    assert calls(room) == [(1, "ask", 3, 2, 1)]
    assert "第1/2题" in await room.players[2].say("继续")


async def test_a_phone_that_the_platform_refuses_is_counted_and_not_called_again(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock, players=1)
    await room.host.say("主持 下一题")
    mouth = Mouth(answer=replace(SendReceipt("failed"), error="recipient 60111"))
    await look(broadcaster(room, mouth))
    assert calls(room) == [(1, "ask", 1, 0, 1)]


async def test_the_end_is_called_out_once_and_then_nothing_is_watched(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    await room.host.say("主持 下一题")
    await room.host.say("主持 收题")
    await room.host.say("主持 结束 确认")
    mouth = Mouth()
    await look(broadcaster(room, mouth))
    assert [one.reply.text for one in mouth.said] == ["「七一知识竞赛」结束了，谢谢参加。"] * 3
    clock.pass_(120)
    assert not await broadcaster(room, mouth).look()
