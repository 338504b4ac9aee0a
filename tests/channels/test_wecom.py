"""WeCom over the loopback: what its people say and do is heard (bot/docs/protocols.md#wecom-callback)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from wechatpy.enterprise import parse_message

from bot.domain.message import NO_REPLY, Address, Incoming, Reply
from tests.support.platforms.envelopes import cdata
from tests.support.platforms.questions import Stage
from tests.support.platforms.servers import wecom_stands
from tests.support.platforms.wecom import AGENT, CORP


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with wecom_stands() as standing:
        yield standing


async def test_a_sentence_is_heard_and_answered_in_the_same_breath(stage: Stage) -> None:
    platform, ear = stage

    answer = await platform.push(platform.text("答题 宪法", message_id="9000000001"))

    assert ear.heard == [Incoming(Address("wecom", AGENT, "zhangsan"), "答题 宪法", "9000000001", platform.clock())]
    assert answer.fields == {
        "ToUserName": "ZhangSan",
        "FromUserName": CORP,
        "CreateTime": str(int(platform.clock().timestamp())),
        "MsgType": "text",
        "Content": "听到：答题 宪法",
    }
    assert set(answer.headers) == {"Content-Type", "Content-Length", "Date", "Server"}
    assert [one[:2] for one in ear.noted] == [("heard", "wecom"), ("reply_seconds", "wecom")]


@pytest.mark.parametrize("text", ["<b>&amp;</b>", "]]> 与 <![CDATA[", "😀🧑🏽‍⚖️", " 选 A ", "<!DOCTYPE html>", "第一行\n第二行"])
async def test_whatever_a_person_types_arrives_as_typed(stage: Stage, text: str) -> None:
    platform, ear = stage
    assert (await platform.say(text)).content == f"听到：{text}"
    assert ear.heard[0].text == text


@pytest.mark.parametrize("kind", ["image", "voice", "video", "location", "link", "file", "emotion"])
async def test_what_is_not_text_is_heard_as_something_else(stage: Stage, kind: str) -> None:
    platform, ear = stage
    await platform.push(platform.message(kind, cdata(MediaId="m") + "<MsgId>77</MsgId>"))
    assert [(one.kind, one.text, one.message_id) for one in ear.heard] == [("other", "", "77")]


@pytest.mark.parametrize(
    ("event", "kind"), [("subscribe", "follow"), ("unsubscribe", "unfollow"), ("enter_agent", "enter"), ("ENTER_AGENT", "enter")]
)
async def test_coming_and_going_is_heard(stage: Stage, event: str, kind: str) -> None:
    platform, ear = stage
    ear.says(Reply("欢迎"))

    answer = await platform.push(platform.event(event))

    assert [(one.kind, one.text) for one in ear.heard] == [(kind, "")]
    assert answer.content == ("" if kind == "unfollow" else "欢迎")


async def test_a_menu_key_is_heard_as_the_command_it_stands_for(stage: Stage) -> None:
    platform, ear = stage
    await platform.push(platform.event("click", "每日"))
    assert [(one.kind, one.text, one.task) for one in ear.heard] == [("tap", "每日", "")]


@pytest.mark.parametrize("event", ["view", "LOCATION", "scancode_push", "pic_weixin", "batch_job_result", "change_contact", "something_new"])
async def test_events_that_ask_nothing_are_acknowledged_and_not_handed_on(stage: Stage, event: str) -> None:
    platform, ear = stage

    answer = await platform.push(platform.event(event, "https://example.com"))

    assert (answer.status, answer.text, ear.heard) == (200, "success", [])


async def test_four_copies_of_an_event_share_an_id_and_two_taps_do_not(stage: Stage) -> None:
    platform, ear = stage
    copy = platform.sealer.seal(platform.event("click", "每日"), platform.clock().timestamp())
    for _ in range(4):
        await platform.deliver(*copy)
    await platform.push(platform.event("click", "错题"))
    await platform.push(platform.event("click", "每日", user="lisi"))
    platform.clock.pass_(1)
    await platform.push(platform.event("click", "每日"))

    assert len({(one.sender.user, one.message_id) for one in ear.heard[:4]}) == 1
    assert len({(one.sender.user, one.message_id) for one in ear.heard}) == 4


async def test_our_reading_is_wechatpys_reading(stage: Stage) -> None:
    platform, ear = stage
    inner = platform.text("民法典 第一千零三十四条")
    theirs = parse_message(inner)

    await platform.push(inner)

    ours = ear.heard[0]
    assert (ours.sender.user, ours.text, ours.message_id) == (theirs.source.lower(), theirs.content, str(theirs.id))


async def test_the_address_check_is_answered_with_the_bare_word(stage: Stage) -> None:
    platform, _ = stage
    assert platform.session is not None
    sealed = platform.sealer.packed(b"1616140317555161061")
    async with platform.session.get(
        platform.url, params={**platform.sealer.stamp(sealed, platform.clock().timestamp()), "echostr": sealed}
    ) as response:
        assert (response.status, await response.text(), response.content_type) == (200, "1616140317555161061", "text/plain")


async def test_nothing_to_say_is_an_acknowledgement(stage: Stage) -> None:
    platform, ear = stage
    ear.says(NO_REPLY)
    assert (await platform.say("嗯")).text == "success"
    assert platform.sent == []


async def test_wechatpy_reads_events_and_media_and_neither_texts_nor_taps(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    platform, ear = stage
    read: list[bytes] = []

    def parse(plain: bytes) -> Any:
        read.append(plain)
        return parse_message(plain)

    monkeypatch.setattr("wechatpy.enterprise.parse_message", parse)
    card = {"task_id": "q1@x", "card_type": "button_interaction"}
    for flat in (platform.text("]]> & <![CDATA[ \r\n "), platform.tap(card, "q1|A")):
        await platform.push(flat)
    assert read == []
    for other in (
        platform.event("subscribe"),
        platform.event("click", "每日"),
        platform.message("image", cdata(MediaId="m") + "<MsgId>77</MsgId>"),
        platform.tap(card | {"card_type": "vote_interaction"}, "q1|", ticked=("A", "C")),
        platform.text("A").replace("<![CDATA[A]]>", "&#65;"),
    ):
        await platform.push(other)
    assert len(read) == 5
    assert [one.kind for one in ear.heard] == ["text", "tap", "follow", "tap", "other", "tap", "text"]
    assert [one.text for one in ear.heard] == ["]]> & <![CDATA[ \n ", "A", "", "每日", "", "AC", "A"]
