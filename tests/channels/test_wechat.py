"""An Official Account over the loopback, verified and not (bot/docs/protocols.md#wechat)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from wechatpy import parse_message

from bot.channels.base import ignore_note
from bot.channels.config import ChannelContext
from bot.channels.outbound.errors import PlatformError
from bot.channels.wechat.channel import BUSY, WeChatChannel
from bot.channels.wechat.config import WeChatConfig
from bot.domain.message import NO_REPLY, Address, Incoming, Option, Reply
from tests.support.platforms.envelopes import AES_KEY, REFUSED, TOKEN, cdata
from tests.support.platforms.plain import Time
from tests.support.platforms.questions import QUESTION, SEVERAL
from tests.support.platforms.servers import Ear, wechat_stands
from tests.support.platforms.tokens import UNLIMITED
from tests.support.platforms.wechat import ACCOUNT, APP, FOLLOWER, SECRET, WeChatPlatform

Stage = tuple[WeChatPlatform, Ear]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with wechat_stands() as standing:
        yield standing


@pytest.fixture
async def verified() -> AsyncIterator[Stage]:
    async with wechat_stands(verified=True) as standing:
        yield standing


async def test_a_sentence_is_heard_and_answered_in_the_same_breath(stage: Stage) -> None:
    platform, ear = stage

    answer = await platform.push(platform.text("绑定 G001 482913", message_id="23456789012345678"))

    assert ear.heard == [Incoming(Address("wechat", APP, FOLLOWER), "绑定 G001 482913", "23456789012345678", platform.clock())]
    assert (answer.fields["ToUserName"], answer.fields["FromUserName"]) == (FOLLOWER, ACCOUNT)
    assert (answer.fields["MsgType"], answer.content) == ("text", "听到：绑定 G001 482913")


async def test_our_reading_is_wechatpys_reading(stage: Stage) -> None:
    platform, ear = stage
    inner = platform.text("民法典 第一千零三十四条")
    theirs = parse_message(inner)

    await platform.push(inner)

    ours = ear.heard[0]
    assert (ours.sender.user, ours.text, ours.message_id) == (theirs.source, theirs.content, str(theirs.id))


async def test_the_address_check_is_answered_with_the_bare_word(stage: Stage) -> None:
    platform, _ = stage
    assert platform.session is not None
    made = str(int(platform.clock().timestamp()))
    query = {"signature": platform.sealer.sign(made, "n1"), "timestamp": made, "nonce": "n1", "echostr": "8262573642567458914"}
    async with platform.session.get(platform.url, params=query) as response:
        assert (response.status, await response.text(), response.content_type) == (200, "8262573642567458914", "text/plain")


@pytest.mark.parametrize(("words", "kind"), [("民法典什么时候施行", "voice"), ("", "other"), (None, "other")])
async def test_spoken_words_are_heard_where_the_platform_understood_them(stage: Stage, words: str | None, kind: str) -> None:
    platform, ear = stage
    spoken = "" if words is None else cdata(Recognition=words)
    await platform.push(platform.message("voice", cdata(MediaId="m", Format="amr") + spoken + "<MsgId>77</MsgId>"))
    assert [(one.kind, one.text) for one in ear.heard] == [(kind, words or "")]


@pytest.mark.parametrize(
    ("event", "key", "kind", "text"),
    [
        ("subscribe", "", "follow", ""),
        ("subscribe", "qrscene_签到-12", "follow", "签到-12"),
        ("subscribe", "last_trade_no_4003", "follow", ""),
        ("unsubscribe", "", "unfollow", ""),
        ("SCAN", "签到-12", "enter", "签到-12"),
        ("CLICK", "每日", "tap", "每日"),
        ("click", "我的学时", "tap", "我的学时"),
    ],
)
async def test_followers_come_go_scan_and_use_the_menu(stage: Stage, event: str, key: str, kind: str, text: str) -> None:
    platform, ear = stage
    await platform.push(platform.event(event, key))
    assert [(one.kind, one.text, one.task) for one in ear.heard] == [(kind, text, "")]


@pytest.mark.parametrize("event", ["VIEW", "LOCATION", "TEMPLATESENDJOBFINISH", "MASSSENDJOBFINISH", "subscribe_msg_popup_event", "scancode_push"])
async def test_events_that_ask_nothing_are_acknowledged_and_not_handed_on(stage: Stage, event: str) -> None:
    platform, ear = stage
    answer = await platform.push(platform.event(event, "https://example.com"))
    assert (answer.status, answer.text, ear.heard) == (200, "success", [])


async def test_nothing_is_said_to_somebody_who_has_left(verified: Stage) -> None:
    platform, ear = verified
    ear.says(Reply("再见"))
    assert (await platform.push(platform.event("unsubscribe"))).text == "success"


async def test_a_question_is_told_in_letters_where_the_account_is_not_verified(stage: Stage) -> None:
    platform, ear = stage
    ear.says(Reply(card=QUESTION))

    answer = await platform.say("答题")

    assert answer.content.endswith("C. 2021年5月1日\n\n（回复 A/B/C）")
    assert ear.count("sent") == 0


async def test_a_verified_account_adds_a_list_to_tap_and_hears_the_tap(verified: Stage) -> None:
    platform, ear = verified
    ear.says(Reply("开始答题", card=QUESTION, buttons=(Option("退出", "退出"),)))

    answer = await platform.say("答题")
    await platform.until(lambda: bool(platform.sent))

    assert "民法典自哪一天起施行？" in answer.content
    [message] = platform.sent
    assert (message["touser"], message["msgtype"], message["msgmenu"]["head_content"]) == (FOLLOWER, "msgmenu", "第1/5题 单选")
    items = [(item["id"], item["content"]) for item in message["msgmenu"]["list"]]
    assert items == [("q17|A", "A. 2020年5月28日"), ("q17|B", "B. 2021年1月1日"), ("q17|C", "C. 2021年5月1日"), ("|退出", "退出")]

    ear.says(Reply("已记录。答对了。"))
    told = await platform.push(platform.text("B. 2021年1月1日", menu_item="q17|B"))

    tap = ear.heard[-1]
    assert (tap.kind, tap.text, tap.task) == ("tap", "B", "q17")
    assert told.content == "已记录。答对了。"


async def test_several_answers_are_typed_since_a_list_cannot_be_ticked(verified: Stage) -> None:
    platform, ear = verified
    ear.says(Reply(card=SEVERAL))
    assert "（可多选，如 AB）" in (await platform.say("答题")).content
    assert platform.sent == []


async def test_an_item_that_is_not_ours_is_the_text_it_shows(stage: Stage) -> None:
    platform, ear = stage
    await platform.push(platform.text("满意", menu_item="101"))
    assert [(one.kind, one.text) for one in ear.heard] == [("text", "满意")]


async def test_four_copies_of_a_question_get_one_list(verified: Stage) -> None:
    platform, ear = verified
    ear.says(Reply("开始", card=QUESTION))
    query, body = platform.sealer.seal(platform.text("答题"), platform.clock().timestamp())

    answers = await asyncio.gather(*(platform.deliver(platform.query(query), body) for _ in range(4)))
    await platform.say("再来")
    await platform.until(lambda: len(platform.sent) == 2)

    assert len({answer.content for answer in answers}) == 1
    assert len(platform.sent) == 2


@pytest.mark.parametrize("code", [45015, 45047, 48001])
async def test_where_the_list_is_refused_the_letters_were_already_said(verified: Stage, code: int) -> None:
    platform, ear = verified
    platform.fault = lambda message: {"errcode": code, "errmsg": "no"}
    ear.says(Reply(card=QUESTION))

    answer = await platform.say("答题")
    await ear.until("send_failed")

    assert answer.content.endswith("（回复 A/B/C）")


async def test_a_long_answer_goes_on_in_further_messages_where_that_is_allowed(verified: Stage) -> None:
    platform, ear = verified
    whole = "\n".join(f"第{n}条 " + "法" * 60 for n in range(20))
    ear.says(Reply(whole))

    answer = await platform.say("查 民法典")
    await platform.until(lambda: len(platform.sent) == 1)

    assert "\n".join([answer.content, platform.sent[0]["text"]["content"]]) == whole


async def test_a_long_answer_says_that_it_was_cut_where_nothing_may_follow(stage: Stage) -> None:
    platform, ear = stage
    ear.says(Reply("法" * 2000))
    content = (await platform.say("查 民法典")).content
    assert len(content.encode()) <= 2048
    assert content.endswith("法\n…（内容较长，未显示完）")


async def test_a_verified_account_sends_a_late_reply_once() -> None:
    async with wechat_stands(verified=True, reply_seconds=0.1) as (platform, ear):
        release = asyncio.Event()

        async def slowly(incoming: Incoming) -> Reply:
            await release.wait()
            return Reply("已记录。")

        ear.replies = slowly
        query, body = platform.sealer.seal(platform.text("A"), platform.clock().timestamp())
        answers = await asyncio.gather(*(platform.deliver(platform.query(query), body) for _ in range(4)))
        release.set()
        await platform.until(lambda: bool(platform.sent))
        retry = await platform.deliver(platform.query(query), body)

        assert [answer.text for answer in [*answers, retry]] == ["success"] * 5
        assert [message["text"]["content"] for message in platform.sent] == ["已记录。"]


async def test_an_account_that_may_only_answer_keeps_a_late_reply_for_the_next_message() -> None:
    told = asyncio.Event()
    async with wechat_stands(reply_seconds=1.0) as (platform, ear):

        async def slowly(incoming: Incoming) -> Reply:
            if len(ear.heard) > 1:
                return Reply("还有一题。")
            await told.wait()
            return Reply("已记录。")

        ear.replies = slowly
        assert (await platform.say("A")).content == BUSY
        told.set()
        await asyncio.sleep(0.1)
        assert (await platform.say("继续")).content == "已记录。\n\n还有一题。"
        assert (await platform.say("继续")).content == "还有一题。"


async def test_nothing_to_say_is_an_acknowledgement(stage: Stage) -> None:
    platform, ear = stage
    ear.says(NO_REPLY)
    assert (await platform.say("嗯")).text == "success"


async def test_a_push_in_json_is_read_and_answered_in_json(stage: Stage) -> None:
    platform, ear = stage
    now = platform.clock().timestamp()
    message = {"ToUserName": ACCOUNT, "FromUserName": FOLLOWER, "CreateTime": int(now), "MsgType": "text", "Content": "选A😀", "MsgId": 2**63}
    encrypt = platform.sealer.packed(json.dumps(message).encode())

    answer = await platform.deliver(
        platform.query(platform.sealer.stamp(encrypt, now)),
        json.dumps({"ToUserName": ACCOUNT, "Encrypt": encrypt}),
        {"Content-Type": "application/json"},
    )

    assert (ear.heard[0].text, ear.heard[0].message_id) == ("选A😀", str(2**63))
    assert (answer.fields["ToUserName"], answer.fields["FromUserName"], answer.content) == (FOLLOWER, ACCOUNT, "听到：选A😀")


@pytest.mark.parametrize("change", [{"signature": "0" * 40}, {"encrypt_type": "raw"}, {"encrypt_type": ""}, {"msg_signature": ""}])
async def test_what_stands_beside_the_message_has_to_be_right_too(stage: Stage, change: dict[str, str]) -> None:
    platform, ear = stage
    query, body = platform.sealer.seal(platform.text("A"), platform.clock().timestamp())
    answer = await platform.deliver({**platform.query(query), **change}, body)
    assert (answer.uniform, ear.heard) == (REFUSED, [])


async def test_a_refused_push_says_which_kind_of_refusal_it_was(verified: Stage) -> None:
    class Refusing:
        async def call(self, *what: Any, **named: Any) -> dict[str, Any]:
            raise PlatformError("window", "45015")

    outbound: Any = Refusing()
    config = WeChatConfig.model_validate({"app_id": APP, "secret": SECRET, "token": TOKEN, "aes_key": AES_KEY})
    channel = WeChatChannel(config, ChannelContext(outbound, Time(), ignore_note, UNLIMITED))
    with pytest.raises(PlatformError) as caught:
        await channel.send(Address("wechat", APP, FOLLOWER), Reply("催学"))
    assert caught.value.kind == "window"
