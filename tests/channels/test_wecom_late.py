"""What is said in WeCom after its moment has passed, or without being asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.channels.base import ignore_note
from bot.channels.config import ChannelContext
from bot.channels.outbound.errors import PlatformError
from bot.channels.wecom.channel import WeComChannel
from bot.channels.wecom.config import WeComConfig
from bot.domain.message import Address, Incoming, QuestionCard, Reply
from tests.support.platforms.envelopes import AES_KEY, TOKEN
from tests.support.platforms.plain import Time
from tests.support.platforms.questions import JUDGE, QUESTION, card_for
from tests.support.platforms.servers import wecom_stands
from tests.support.platforms.tokens import UNLIMITED
from tests.support.platforms.wecom import AGENT, CORP, SECRET, refusal


async def test_a_late_reply_is_sent_once_however_many_copies_were_waiting() -> None:
    async with wecom_stands(reply_seconds=0.1) as (platform, ear):
        release = asyncio.Event()

        async def slowly(incoming: Incoming) -> Reply:
            await release.wait()
            return Reply("已记录。")

        ear.replies = slowly
        copy = platform.sealer.seal(platform.text("A"), platform.clock().timestamp())
        answers = await asyncio.gather(*(platform.deliver(*copy) for _ in range(4)))
        release.set()
        await platform.until(lambda: bool(platform.texts))
        retry = await platform.deliver(*copy)

        assert [answer.text for answer in [*answers, retry]] == ["success"] * 5
        assert platform.texts == ["已记录。"]
        assert ear.count("late") == 4


async def test_a_card_tapped_and_answered_late_is_locked_all_the_same() -> None:
    async with wecom_stands(reply_seconds=1.0) as (platform, ear):
        told = asyncio.Event()
        card = await card_for((platform, ear), Reply(card=QUESTION))

        async def slowly(incoming: Incoming) -> Reply:
            await told.wait()
            return Reply("已记录。", done="已选 A")

        ear.replies = slowly
        assert (await platform.push(platform.tap(card, "q17|A"))).text == "success"
        told.set()
        await platform.until(lambda: bool(platform.updated))
        assert platform.updated == [
            {"userids": ["zhangsan"], "agentid": int(AGENT), "response_code": "code-1", "button": {"replace_name": "已选 A"}},
        ]
        assert platform.texts == ["已记录。"]


async def test_a_late_reply_that_could_not_be_sent_is_given_to_the_next_copy() -> None:
    async with wecom_stands(reply_seconds=1.0) as (platform, ear):
        told = asyncio.Event()
        platform.fault = lambda message: refusal(85002, "forbidden words")

        async def slowly(incoming: Incoming) -> Reply:
            await told.wait()
            return Reply("已记录。")

        ear.replies = slowly
        copy = platform.sealer.seal(platform.text("A"), platform.clock().timestamp())
        assert (await platform.deliver(*copy)).text == "success"
        told.set()
        await ear.until("send_failed")

        assert (await platform.deliver(*copy)).content == "已记录。"


async def test_a_copy_that_fares_better_than_the_late_one_is_told_so() -> None:
    async with wecom_stands(reply_seconds=1.0) as (platform, ear):
        told = asyncio.Event()

        async def busy(incoming: Incoming) -> Reply:
            if len(ear.heard) > 1:
                return Reply("已记录。")
            await told.wait()
            return Reply("系统繁忙，未记录。")

        ear.replies = busy
        copy = platform.sealer.seal(platform.text("A"), platform.clock().timestamp())
        assert (await platform.deliver(*copy)).text == "success"
        told.set()
        await ear.until("sent")

        assert (await platform.deliver(*copy)).content == "已记录。"
        assert platform.texts == ["系统繁忙，未记录。"]


async def test_what_is_in_hand_when_the_service_stops_is_still_said() -> None:
    told = asyncio.Event()
    async with wecom_stands(reply_seconds=0.1) as (platform, ear):

        async def slowly(incoming: Incoming) -> Reply:
            await told.wait()
            return Reply("已记录。")

        ear.replies = slowly
        await platform.say("A")
        assert platform.texts == []
        told.set()

    assert platform.texts == ["已记录。"]


async def test_a_fault_behind_the_ear_is_acknowledged_and_never_shown() -> None:
    async with wecom_stands() as (platform, ear):

        async def broken(incoming: Incoming) -> Reply:
            raise RuntimeError("canary-trace")

        ear.replies = broken
        answer = await platform.say("A")
        assert (answer.status, answer.text) == (200, "success")


class Sent:
    """An outbound that only remembers."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.messages: list[dict[str, Any]] = []

    async def call(self, api: Any, method: str, path: str, *, params: Any = None, json: Any = None) -> dict[str, Any]:
        self.messages.append(json)
        return self.answer


def channel(outbound: Any, **over: Any) -> WeComChannel:
    known = {"corp_id": CORP, "agent_id": AGENT, "secret": SECRET, "token": TOKEN, "aes_key": AES_KEY}
    return WeComChannel(WeComConfig(**{**known, **over}), ChannelContext(outbound, Time(), ignore_note, UNLIMITED))


async def test_a_push_whose_question_fits_is_one_card_and_no_words() -> None:
    sent = Sent({"errcode": 0})
    await channel(sent).send(Address("wecom", AGENT, "zhangsan"), Reply(card=QUESTION))
    assert [message["msgtype"] for message in sent.messages] == ["template_card"]


async def test_a_push_whose_question_is_too_long_for_a_card_is_told_first() -> None:
    sent = Sent({"errcode": 0})
    await channel(sent).send(Address("wecom", AGENT, "zhangsan"), Reply(card=QuestionCard("q", "案例", "案情" * 200, JUDGE.options)))
    assert [message["msgtype"] for message in sent.messages] == ["text", "template_card"]
    assert "案情" * 200 in sent.messages[0]["text"]["content"]


@pytest.mark.parametrize("answer", [{"errcode": 0, "invaliduser": "zhangsan"}, {"errcode": 0, "unlicenseduser": "zhangsan"}])
async def test_a_push_that_reaches_nobody_says_so(answer: dict[str, Any]) -> None:
    with pytest.raises(PlatformError) as caught:
        await channel(Sent(answer)).send(Address("wecom", AGENT, "zhangsan"), Reply("催学"))
    assert caught.value.kind == "recipient"


@pytest.mark.parametrize("over", [{"agent_id": "abc"}, {"aes_key": "short"}, {"token": ""}, {"corp_id": ""}])
def test_a_setting_that_cannot_be_right_is_refused_at_the_start(over: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        channel(Sent({}), **over)
