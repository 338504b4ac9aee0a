"""The delivery worker's live source: closes what has run out, calls every phone once whatever the number of replicas, keeps to the quotas."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import text

from bot.dispatch import Dispatcher
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit, SlidingWindow
from bot.jobs.delivery_worker import DeliveryWorker
from tests.conftest import Clock
from tests.support.live_contests import Room, opened
from tests.support.queued_deliveries import add_people, queue_campaign


@dataclass
class Mouth:
    """A channel that remembers what it said."""

    name: str = "local"
    said: list[OutboundMessage] = field(default_factory=list)
    calls: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    answer: SendReceipt = field(default_factory=lambda: SendReceipt("sent"))

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        self.calls += 1
        self.began.set()
        await asyncio.sleep(0)
        self.said += batch
        return [self.answer] * len(batch)

    def cards(self, n: int) -> list[str]:
        """Who got the card of a question."""
        return sorted(one.to.user for one in self.said if one.reply.card is not None and one.reply.card.task.endswith(f".{n}"))


def live_worker(room: Room, mouth: Mouth, holder: str = "one", limits: tuple[PlatformLimit, ...] = LIMITS) -> DeliveryWorker:
    dispatcher = room.dispatcher
    return DeliveryWorker(dispatcher.database, dispatcher.catalog, [mouth], clock=room.clock, holder=holder, note=lambda *_: None, limits=limits)


async def in_the_room(dispatcher: Dispatcher, clock: Clock, players: int = 3) -> Room:
    room = opened(dispatcher, clock, players=players, questions=2)
    for player in room.players:
        await player.say(f"竞赛 {room.code}", after=0.1)
    return room


async def look(*workers: DeliveryWorker) -> None:
    """Everybody looks at once, and what they began is brought to its end."""
    await asyncio.gather(*(one.look_live() for one in workers))
    for one in workers:
        await one.quiet()


def calls(room: Room) -> list[tuple[int, str, int, int, int]]:
    """(question, what, people, sent, failed) of every call."""
    rows = room.dispatcher.database.read_now(
        lambda session: session.execute(text("SELECT n, what, people, sent, failed FROM live_call ORDER BY began_at, n")).all()
    )
    return [tuple(row) for row in rows]


async def test_two_replicas_call_every_phone_once(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    assert await live_worker(room, Mouth()).look_live(), "a room that is open is watched"
    await room.host.say("主持 下一题")
    mouths = Mouth(), Mouth()
    await look(live_worker(room, mouths[0], "one"), live_worker(room, mouths[1], "two"))
    assert sorted(mouths[0].cards(1) + mouths[1].cards(1)) == ["2001", "2002", "2003"]
    assert calls(room) == [(1, "ask", 3, 3, 0)]
    again = Mouth()
    await look(live_worker(room, again, "three"))
    assert again.said == []


async def test_a_question_closes_by_itself_and_everybody_is_told_the_answer(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    await room.host.say("主持 下一题")
    assert (await room.players[0].say(room.question(1).key)).startswith("已记录")
    clock.pass_(31)
    mouth = Mouth()
    await look(live_worker(room, mouth))
    assert room.stage().course.phase == "closed"
    assert {one.reply.text.splitlines()[0][:8] for one in mouth.said} == {"第 1 题答案："}
    assert "1 人作答，1 人答对" in mouth.said[0].reply.text
    assert len(mouth.said) == 3


async def test_a_call_keeps_to_the_budget_and_says_whom_it_missed(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    await room.host.say("主持 下一题")
    mouth = Mouth()
    tight = (PlatformLimit("local", "app/minute", "message", 5, SlidingWindow(60), "test"),)
    watching = live_worker(room, mouth, limits=tight)
    await watching.look_live()
    await mouth.began.wait()
    await watching.stop()
    assert len(mouth.cards(1)) == 2, "four fifths of five messages, and a card weighs two"
    assert calls(room) == [(1, "ask", 3, 2, 1)]
    assert "第1/2题" in await room.players[2].say("继续")


async def test_a_phone_that_the_platform_refuses_is_counted_and_not_called_again(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock, players=1)
    await room.host.say("主持 下一题")
    mouth = Mouth(answer=replace(SendReceipt("failed"), error="recipient 60111"))
    await look(live_worker(room, mouth))
    assert calls(room) == [(1, "ask", 1, 0, 1)]


async def test_the_end_is_called_out_once_and_then_nothing_is_watched(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    await room.host.say("主持 下一题")
    await room.host.say("主持 收题")
    await room.host.say("主持 结束 确认")
    mouth = Mouth()
    await look(live_worker(room, mouth))
    assert [one.reply.text for one in mouth.said] == ["「七一知识竞赛」结束了，谢谢参加。"] * 3
    clock.pass_(120)
    assert not await live_worker(room, mouth).look_live()


async def test_the_queue_waits_while_a_call_has_messages_to_send_on_its_channel(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    await room.host.say("主持 下一题")
    room.dispatcher.database.write_now(lambda session: queue_campaign(session, add_people(session, 5, ("local",))))
    mouth = Mouth()
    worker = live_worker(room, mouth, limits=(PlatformLimit("local", "app/minute", "message", 10, SlidingWindow(60), "test"),))
    await worker.look_live()
    await asyncio.gather(worker.round(), worker.quiet())
    assert mouth.cards(1) == ["2001", "2002", "2003"], "six of the eight messages that fit are the call's"
    assert len(mouth.said) == 3 + 2


async def test_a_stopped_channel_is_known_to_both_sources_and_alarms_once(dispatcher: Dispatcher, clock: Clock) -> None:
    room = await in_the_room(dispatcher, clock)
    await room.host.say("主持 下一题")
    room.dispatcher.database.write_now(lambda session: queue_campaign(session, add_people(session, 5, ("local",))))
    mouth = Mouth(answer=SendReceipt("later", "token 40014", retry_after=600, stop=True))
    worker = live_worker(room, mouth)
    await worker.look_live()
    await worker.quiet()
    await worker.round()
    assert (mouth.calls, calls(room)) == (1, [(1, "ask", 3, 0, 3)])
    waiting = room.dispatcher.database.read_now(
        lambda session: session.execute(text("SELECT state, error, COUNT(*) FROM delivery WHERE error <> '' GROUP BY state, error")).all()
    )
    assert [tuple(row) for row in waiting] == [("queued", "通道暂停中", 6)], "theirs, and what the administrator is told of it"
    count = text("SELECT COUNT(*) FROM audit WHERE action = '通道停发'")
    assert room.dispatcher.database.read_now(lambda session: session.execute(count).scalar_one()) == 1
