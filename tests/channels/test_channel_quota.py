"""What a channel says by itself is counted, what was reserved is not counted twice, and a card beside an answer gives way to a full limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bot.domain.delivery.outbound_message import OutboundMessage
from bot.domain.message import Address, Incoming, Option, Reply
from tests.support.platforms.dingtalk import CLIENT_ID
from tests.support.platforms.dingtalk_bot import QUESTION as dingtalk_bot_QUESTION
from tests.support.platforms.dingtalk_bot import loopback_bot
from tests.support.platforms.questions import QUESTION
from tests.support.platforms.servers import wechat_stands, wecom_stands
from tests.support.platforms.wecom import AGENT

ASKING = Reply("开始答题", card=QUESTION)


@dataclass
class Book:
    """Everything that was counted: user, calls, messages, whether the month had it before."""

    full: bool = False
    lines: list[tuple[str, int, int, bool]] = field(default_factory=list)

    def look(self, user: str) -> bool:
        return not self.full

    async def take(self, user: str, *, calls: int = 1, messages: int = 1, granted: bool = False) -> None:
        self.lines.append((user, calls, messages, granted))


async def test_an_answer_in_the_callback_costs_nothing_and_the_card_after_it_one_message() -> None:
    book = Book()
    async with wecom_stands(quota=book) as (platform, ear):
        await platform.say("每日")
        assert book.lines == []
        ear.says(ASKING)
        await platform.say("每日")
        await platform.until(lambda: bool(platform.sent))
    assert book.lines == [("zhangsan", 1, 1, False)]


async def test_where_the_member_has_had_enough_the_words_come_and_the_card_does_not() -> None:
    book = Book(full=True)
    async with wecom_stands(quota=book) as (platform, ear):
        ear.says(ASKING)
        assert "民法典自哪一天起施行" in (await platform.say("每日")).content
    assert (platform.sent, book.lines) == ([], [])


async def test_a_late_answer_and_the_lock_of_its_card_are_counted() -> None:
    book = Book()
    told = asyncio.Event()
    async with wecom_stands(quota=book, reply_seconds=1.0) as (platform, ear):

        async def slowly(incoming: Incoming) -> Reply:
            await told.wait()
            return Reply("已记录。", done="已选 A")

        ear.says(ASKING)
        await platform.say("每日")
        await platform.until(lambda: bool(platform.sent))
        card = platform.sent[0]["template_card"]
        ear.replies = slowly
        await platform.push(platform.tap(card, card["button_list"][0]["key"]))
        told.set()
        await platform.until(lambda: bool(platform.updated))
    assert book.lines == [("zhangsan", 1, 1, False), ("zhangsan", 1, 1, False), ("", 1, 0, False)]


async def test_what_is_pushed_was_reserved_and_what_is_taken_back_was_not() -> None:
    book = Book()
    async with wecom_stands(quota=book) as (_, ear):
        [receipt] = await ear.channel.push([OutboundMessage(Address("wecom", AGENT, "zhangsan"), Reply("通知"), "d1")])
        assert book.lines == []
        await ear.channel.recall([receipt.platform_id])
    assert book.lines == [("", 1, 0, False)]


async def test_a_followers_list_to_tap_is_a_message_of_its_window() -> None:
    book = Book()
    async with wechat_stands(quota=book, verified=True) as (platform, ear):
        ear.says(ASKING)
        await platform.say("每日")
        await platform.until(lambda: bool(platform.sent))
    assert [(calls, messages) for _, calls, messages, _ in book.lines] == [(1, 1)]


async def test_a_webhook_answer_costs_no_call_and_its_card_one() -> None:
    book = Book()
    async with loopback_bot(cards=True, quota=book) as loopback:
        loopback.reply = lambda incoming: Reply("题目", card=dingtalk_bot_QUESTION)
        await loopback.platform.push(loopback.platform.robot_frame("每日"))
        await loopback.platform.until(lambda: len(loopback.platform.cards) == 1)
        assert book.lines == [("Staff01", 1, 1, False)]
        book.full = True
        await loopback.platform.push(loopback.platform.robot_frame("继续"))
        await loopback.platform.until(lambda: len(loopback.platform.webhooks) == 2)
    assert (len(loopback.platform.cards), len(book.lines)) == (1, 1)


async def test_cards_that_were_granted_wait_their_turn_and_cost_the_month_nothing_more() -> None:
    book = Book()

    async def two(wanted: int) -> int:
        return 2

    async with loopback_bot(cards=True, grant_cards=two, quota=book) as loopback:
        people = [OutboundMessage(Address("dingtalk", CLIENT_ID, f"u{n}"), Reply(card=dingtalk_bot_QUESTION), f"d{n}") for n in range(5)]
        await loopback.channel.push(people)
        assert (len(loopback.platform.cards), len(loopback.platform.robots)) == (2, 1)
    assert book.lines == [("", 1, 0, True)] * 2


async def test_a_notification_that_is_too_long_goes_by_the_robot_and_its_further_calls_are_counted() -> None:
    book = Book()
    async with loopback_bot(agent_id="4711", quota=book) as loopback:
        long = Reply("学" * 700, buttons=(Option("学习", "学习"),))
        await loopback.channel.push([OutboundMessage(Address("dingtalk", CLIENT_ID, f"u{n}"), long, f"d{n}") for n in range(45)])
        assert (len(loopback.platform.robots), len(loopback.platform.notices)) == (3, 0)
    assert sum(calls for _, calls, _, _ in book.lines) == 2
