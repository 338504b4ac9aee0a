"""WeCom pushes over the loopback: who got it, who could not, and what nobody can say (bot/docs/protocols.md#wecom-send)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from bot.channels.base import RecallingChannel
from bot.domain.message import Address, Option, OutboundMessage, Reply, SendReceipt
from tests.support.platforms.faults import Fault, cut, delivered_then_silent, html, refuses, says, slow
from tests.support.platforms.questions import QUESTION, SEVERAL, Stage
from tests.support.platforms.servers import wecom_stands
from tests.support.platforms.wecom import AGENT, CORP, WeComPlatform

SEND = "/cgi-bin/message/send"
LESSON = Reply("今天学第一课", buttons=(Option("学习 mfd-1191", "开始学习"),))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with wecom_stands() as standing:
        yield standing


def parcel(user: str, reply: Reply = LESSON, mark: str = "") -> OutboundMessage:
    return OutboundMessage(Address("wecom", AGENT, user), reply, mark or f"7:{user}")


def outcomes(receipts: Sequence[SendReceipt]) -> list[str]:
    return [one.outcome for one in receipts]


def with_members(platform: WeComPlatform, count: int) -> list[str]:
    names = [f"u{n}" for n in range(count)]
    platform.members |= set(names)
    return names


async def test_two_and_a_half_thousand_people_cost_three_calls(stage: Stage) -> None:
    platform, ear = stage
    names = with_members(platform, 2500)

    receipts = await ear.channel.push([parcel(name) for name in names])

    assert sorted(len(message["touser"].split("|")) for message in platform.sent) == [500, 1000, 1000]
    assert sorted(user for message in platform.sent for user in message["touser"].split("|")) == sorted(names)
    assert set(outcomes(receipts)) == {"sent"}
    assert len({card["task_id"] for card in platform.cards}) == 3
    assert all(message["enable_duplicate_check"] == 0 for message in platform.sent)


async def test_who_gets_the_same_goes_together_whatever_stands_between_them(stage: Stage) -> None:
    platform, ear = stage
    with_members(platform, 5)
    other = Reply("通知：周五下午三点开会")
    receipts = await ear.channel.push([parcel("u0"), parcel("u1", other), parcel("u2"), parcel("u3", other), parcel("u4", Reply(card=QUESTION))])

    assert sorted(message["touser"] for message in platform.sent) == ["u0|u2", "u1|u3", "u4"]
    assert receipts[0] == receipts[2] != receipts[1] == receipts[3]
    assert [one.platform_id.count("r:") for one in receipts] == [1, 0, 1, 0, 1]


async def test_one_person_owed_the_same_thing_twice_gets_two_messages(stage: Stage) -> None:
    platform, ear = stage
    notice = Reply("会议改期")
    assert outcomes(await ear.channel.push([parcel("lisi", notice, "1:a"), parcel("LiSi", notice, "2:a")])) == ["sent", "sent"]
    assert {message["touser"] for message in platform.sent} == {"lisi", "LiSi"}


async def test_only_those_who_cannot_be_reached_fail_however_they_are_spelt(stage: Stage) -> None:
    platform, ear = stage
    platform.unlicensed = {"wangwu"}
    receipts = await ear.channel.push([parcel("ZhangSan"), parcel("NoSuch"), parcel("lisi"), parcel("wangwu")])

    assert outcomes(receipts) == ["sent", "failed", "sent", "failed"]
    assert [one.error for one in receipts] == ["", "recipient invaliduser", "", "recipient unlicenseduser"]


async def test_a_list_of_nobody_fails_for_each_of_them(stage: Stage) -> None:
    _, ear = stage
    receipts = await ear.channel.push([parcel("ghost-1"), parcel("ghost-2")])
    assert outcomes(receipts) == ["failed", "failed"]
    assert "81013" in receipts[0].error


async def test_a_question_too_long_for_its_card_is_said_first_and_to_the_same_people(stage: Stage) -> None:
    platform, ear = stage
    long = Reply("引言\n" + "法" * 1500, card=SEVERAL)
    receipts = await ear.channel.push([parcel("zhangsan", long), parcel("nobody", long)])

    assert [message["msgtype"] for message in platform.sent] == ["text", "text", "text", "template_card"]
    assert [message["touser"] for message in platform.sent] == ["zhangsan|nobody", "zhangsan", "zhangsan", "zhangsan"]
    assert outcomes(receipts) == ["sent", "failed"]
    assert receipts[0].platform_id.count("m:") == 4


async def test_what_breaks_off_after_its_first_message_counts_as_sent_and_says_so(stage: Stage) -> None:
    platform, ear = stage
    long = Reply("法" * 1500)
    platform.faults.on(SEND, says({"errcode": 0, "errmsg": "ok", "msgid": "first"}), refuses(45009))
    [receipt] = await ear.channel.push([parcel("lisi", long)])
    assert (receipt.outcome, receipt.platform_id) == ("sent", "m:first")
    assert "45009" in receipt.error


async def test_a_card_that_is_refused_is_said_in_words(stage: Stage) -> None:
    platform, ear = stage
    platform.faults.on(SEND, refuses(42045))
    assert outcomes(await ear.channel.push([parcel("lisi")])) == ["sent"]
    assert platform.texts == ["今天学第一课\n\n（回复「学习 mfd-1191」）"]


async def test_without_cards_a_command_is_a_link_to_the_page_and_words_may_be_markdown() -> None:
    async with wecom_stands(cards=False, markdown=True, page="https://law.example.gov.cn/chat") as (platform, ear):
        await ear.channel.push([parcel("lisi"), parcel("lisi", Reply("**注意**"), "9")])
        assert sorted(message["msgtype"] for message in platform.sent) == ["markdown", "textcard"]
        [card] = [message["textcard"] for message in platform.sent if message["msgtype"] == "textcard"]
        assert card["url"] == "https://law.example.gov.cn/chat?say=%E5%AD%A6%E4%B9%A0%20mfd-1191"
        assert (card["title"], card["btntxt"]) == ("今天学第一课", "开始学习")


async def test_a_token_that_died_is_renewed_once_and_nobody_gets_it_twice(stage: Stage) -> None:
    platform, ear = stage
    await ear.channel.push([parcel("lisi")])
    platform.token = "wecom-token-2"
    assert outcomes(await ear.channel.push([parcel("lisi", mark="again")])) == ["sent"]
    assert platform.faults.count("/cgi-bin/gettoken") == 2
    assert len(platform.sent) == 2


@pytest.mark.parametrize(
    ("fault", "outcome", "stop"),
    [
        (refuses(45009), "later", False),
        (refuses(45033), "sent", False),
        (refuses(-1), "sent", False),
        (refuses(60020), "later", True),
        (refuses(48002), "later", True),
        (refuses(85002), "failed", False),
        (says({}, 502), "unknown", False),
        (says({}, 503), "sent", False),
        (html, "unknown", False),
        (cut, "unknown", False),
        (delivered_then_silent, "unknown", False),
        (slow(0.5), "sent", False),
    ],
)
async def test_each_trouble_has_its_outcome_and_nothing_arrives_twice(stage: Stage, fault: Fault, outcome: str, stop: bool) -> None:
    platform, ear = stage
    platform.faults.on(SEND, fault)

    [receipt] = await ear.channel.push([parcel("lisi", Reply("通知"))])

    assert (receipt.outcome, receipt.stop) == (outcome, stop)
    assert len(platform.sent) <= 1
    assert (receipt.retry_after is not None) == (outcome == "later")


async def test_a_limit_holds_the_rest_of_the_batch_back_without_asking_again(stage: Stage) -> None:
    platform, ear = stage
    with_members(platform, 30)
    platform.faults.on(SEND, refuses(45009))
    receipts = await ear.channel.push([parcel(f"u{n}", Reply(f"第 {n} 号通知")) for n in range(30)])
    held = [one for one in receipts if one.outcome == "later"]
    assert len(held) >= 22
    assert all(one.retry_after and one.retry_after > 50 for one in held)
    assert platform.faults.count(SEND) <= 8


async def test_one_poisonous_parcel_does_not_hold_the_others(stage: Stage) -> None:
    _, ear = stage
    receipts = await ear.channel.push([parcel("lisi", Reply("通知一")), parcel("lisi", Reply(), "empty"), parcel("zhangsan", Reply("通知二"))])
    assert outcomes(receipts) == ["sent", "failed", "sent"]


async def test_every_message_of_a_push_is_recalled(stage: Stage) -> None:
    platform, ear = stage
    recalling: object = ear.channel
    assert isinstance(recalling, RecallingChannel)
    [receipt] = await ear.channel.push([parcel("lisi", Reply("法" * 1500))])
    platform.faults.on("/cgi-bin/message/recall", says({"errcode": 0}), says({"errcode": 0}), says({"errcode": 0}), refuses(40058))

    taken = await ear.channel.recall([receipt.platform_id, "m:old", ""])

    assert outcomes(taken) == ["sent", "failed", "failed"]
    await ear.channel.recall(["m:msg-9 r:code-9"])
    assert platform.recalled == ["msg-9"]


async def test_a_pushed_card_is_closed_for_those_named(stage: Stage) -> None:
    platform, ear = stage
    [receipt] = await ear.channel.push([parcel("lisi", Reply(card=QUESTION))])
    await ear.channel.close_card(receipt.platform_id, ["lisi"], "已截止")
    assert platform.updated == [{"userids": ["lisi"], "agentid": int(AGENT), "response_code": "code-1", "button": {"replace_name": "已截止"}}]


async def test_a_tap_on_a_pushed_card_is_heard_and_shows_its_verdict(stage: Stage) -> None:
    platform, ear = stage
    await ear.channel.push([parcel("lisi", Reply(card=QUESTION))])
    ear.says(Reply("答对了。", done="已选 B"))
    answer = await platform.push(platform.tap(platform.cards[0], "q17|B", user="LiSi"))
    assert (ear.heard[0].sender, ear.heard[0].text) == (Address("wecom", AGENT, "lisi"), "B")
    assert answer.fields["MsgType"] == "update_template_card"
    assert CORP not in answer.content
