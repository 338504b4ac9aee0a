"""Bodies that are too much and messages that are odd: refused alike, and the good ones between them are served.

See bot/docs/reliability.md A6, A7, P1.
"""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from tests.support.platforms.callbacks import CallbackClient
from tests.support.platforms.envelopes import REFUSED, cdata
from tests.support.platforms.servers import wechat_stands, wecom_stands


@pytest.fixture(params=["wecom", "wechat"])
async def callback(request: pytest.FixtureRequest) -> AsyncIterator[CallbackClient]:
    if request.param == "wecom":
        async with wecom_stands() as (platform, ear):
            yield CallbackClient(platform, ear)
    else:
        async with wechat_stands() as (official, ear):
            yield CallbackClient(official, ear)


# XML as a weapon.

BOMB = '<!DOCTYPE xml [<!ENTITY a "ha">' + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)) + "]>"


@pytest.mark.parametrize(
    "weapon",
    [
        BOMB + "<xml><Content>&i;</Content></xml>",
        '<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/hostname">]><xml><Content>&x;</Content></xml>',
        '<!DOCTYPE xml SYSTEM "http://127.0.0.1:9/x.dtd"><xml></xml>',
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE xml [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p">%p;]><xml></xml>',
        "<xml>" + "<a>" * 6000 + "</a>" * 6000 + "</xml>",
        "<xml>" + "<a/>" * 10000 + "</xml>",
        "<xml " + " ".join(f'a{n}="1"' for n in range(4000)) + "></xml>",
    ],
)
async def test_xml_weapons_are_refused_sealed_or_bare(callback: CallbackClient, weapon: str) -> None:
    await callback.refuses(*callback.message(weapon))
    await callback.refuses(callback.message()[0], weapon)
    await callback.hears()


# Size and encoding.


async def test_a_body_over_the_cap_is_refused_however_it_comes(callback: CallbackClient) -> None:
    query, body = callback.message()
    await callback.refuses(query, b"x" * 65537)
    await callback.refuses(query, body + " " * 65536)
    await callback.refuses(query, b"x" * 1_000_000)


async def test_a_body_just_under_the_cap_is_read(callback: CallbackClient) -> None:
    text = "长" * 15000
    answer = await callback.platform.deliver(*callback.message(callback.platform.text(text)))
    assert answer.status == 200
    assert callback.ear.heard[0].text == text


async def test_packed_bodies_are_refused_unread(callback: CallbackClient) -> None:
    query, body = callback.message()
    for name, packed in (("gzip", gzip.compress(body.encode())), ("gzip", gzip.compress(b"\0" * 5_000_000)), ("identity", body.encode())):
        await callback.refuses(query, packed, {"Content-Encoding": name})


async def raw(callback: CallbackClient, *parts: bytes, wait: float = 0.0) -> bytes:
    """Send these bytes over a bare socket and read the answer's head and body."""
    url = callback.platform.url
    host, port = url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(60):
            return await reader.read(4096)
    finally:
        writer.close()


def head(callback: CallbackClient, *lines: str) -> bytes:
    query, _ = callback.message()
    target = "/" + callback.platform.url.split("/", 3)[3] + "?" + "&".join(f"{name}={value}" for name, value in query.items())
    return "\r\n".join([f"POST {target} HTTP/1.1", "Host: bot", *lines, "", ""]).encode()


async def test_chunks_without_end_are_cut_off(callback: CallbackClient) -> None:
    chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    answer = await raw(callback, head(callback, "Transfer-Encoding: chunked"), *[chunk] * 12)
    assert answer.split()[1] == b"400"
    assert answer.endswith(b"\r\n\r\nbad request")
    assert callback.ear.heard == []


async def test_chunks_that_are_none_are_refused(callback: CallbackClient) -> None:
    answer = await raw(callback, head(callback, "Transfer-Encoding: chunked"), b"zz\r\nhello\r\n")
    assert answer.split()[1] == b"400"
    assert callback.ear.heard == []


async def test_a_body_that_never_comes_is_not_waited_for(callback: CallbackClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.channels.callback.BODY_SECONDS", 0.2)
    answer = await raw(callback, head(callback, "Content-Length: 500"), b"<xml>")
    assert answer.split()[1] == b"400"
    assert answer.endswith(b"bad request")
    await callback.hears()


async def test_headers_of_a_hundred_kilobytes_are_refused(callback: CallbackClient) -> None:
    answer = await raw(callback, head(callback, "X-Long: " + "x" * 100_000))
    assert answer.split()[1] == b"400"
    assert callback.ear.heard == []


FORBIDDEN = ["\x00", "\x08", "\x0b", "\x0c", "\x1d", "\ufffe", "&#x1d;", "&#29;", "&#x0;", "&#xFFFF;", "&#xD800;", "&#1114112;"]


@pytest.mark.parametrize("character", FORBIDDEN)
async def test_what_xml_does_not_allow_is_left_out_of_what_a_phone_sent(callback: CallbackClient, character: str) -> None:
    """Phones send such characters and the platforms pass them on; the signature says that the sender is genuine."""
    written = callback.platform.text("A")
    assert "<Content><![CDATA[A]]></Content>" in written
    content = f"<Content>A{character}</Content>" if character.startswith("&") else f"<Content><![CDATA[A{character}]]></Content>"
    answer = await callback.platform.deliver(*callback.message(written.replace("<Content><![CDATA[A]]></Content>", content)))
    assert answer.status == 200
    assert [message.text for message in callback.ear.heard] == ["A"]


async def test_a_reference_that_a_person_typed_stays_as_typed(callback: CallbackClient) -> None:
    answer = await callback.platform.deliver(*callback.message(callback.platform.text("写作 &#x1d; 的字符")))
    assert answer.status == 200
    assert callback.ear.heard[0].text == "写作 &#x1d; 的字符"


# Messages that are sealed and signed as they should be, and odd.


def odd_messages(callback: CallbackClient) -> list[bytes]:
    good = callback.platform.text("A", message_id="1234567890")
    user = "<FromUserName><![CDATA[" + good.split("<FromUserName><![CDATA[")[1].split("]]>")[0] + "]]></FromUserName>"
    made = f"<CreateTime>{int(callback.now)}</CreateTime>"
    kind = "<MsgType><![CDATA[text]]></MsgType>"
    swaps = [
        (user, user + user),
        (user, ""),
        (user, "<FromUserName><a>z</a></FromUserName>"),
        (user, "<FromUserName></FromUserName>"),
        (user, cdata(FromUserName="zhangsan|lisi")),
        (user, cdata(FromUserName="a" * 65)),
        (user, cdata(FromUserName="张 三")),
        (user, cdata(FromUserName="@all")),
        (made, ""),
        (made, made + made),
        (made, "<CreateTime>100000000000000000</CreateTime>"),
        (made, "<CreateTime>-1</CreateTime>"),
        (made, "<CreateTime>soon</CreateTime>"),
        (kind, ""),
        (kind, kind + kind),
        (kind, "<MsgType><a/></MsgType>"),
        (kind, cdata(MsgType="te xt")),
        (kind, cdata(MsgType="event")),
        (kind, cdata(MsgType="x" * 65)),
        ("<MsgId>1234567890</MsgId>", ""),
        ("<MsgId>1234567890</MsgId>", "<MsgId>abc</MsgId>"),
        ("<MsgId>1234567890</MsgId>", "<MsgId>１２</MsgId>"),
        ("<MsgId>1234567890</MsgId>", "<MsgId>" + "1" * 21 + "</MsgId>"),
        ("<MsgId>1234567890</MsgId>", "<MsgId>1</MsgId><MsgId>2</MsgId>"),
        ("<Content><![CDATA[A]]></Content>", ""),
        ("<Content><![CDATA[A]]></Content>", "<Content><b>A</b></Content>"),
        ("<Content><![CDATA[A]]></Content>", "<Content>A</Content><Content>B</Content>"),
        ("</xml>", ""),
        ("</xml>", "</xml><xml></xml>"),
        ("<xml>", "<message>"),
    ]
    assert all(before in good for before, _ in swaps)
    whole = [good.replace(before, after).encode() for before, after in swaps]
    event = callback.platform.event("click", "每日")
    bare = [
        b"",
        b"\x00" * 100,
        b"hello",
        b"[]",
        b"{}",
        b'{"MsgType": ["text"], "FromUserName": {"a": 1}}',
        b"{" * 5000,
        b"<xml/>",
        b"\xef\xbb\xbf",
        good.encode("utf-16"),
        good.replace("A]]>", "法]]>").encode("gbk"),
        good.encode().replace(b"A]]>", b"\xed\xa0\x80]]>"),
        good.encode().replace(b"A]]>", b"\xf4\x90\x80\x80]]>"),
        event.replace("每日", "").encode(),
        event.replace("<![CDATA[click]]>", "<a/>").encode(),
        event.replace("click", "cl ick").encode(),
    ]
    return whole + bare


async def test_odd_messages_are_refused_between_good_ones(callback: CallbackClient) -> None:
    with capture_logs() as logs:
        for odd in odd_messages(callback):
            await callback.refuses(*callback.sealer.odd(odd, callback.now))
            await callback.hears()

    assert {entry["event"] for entry in logs} == {"callback refused"}
    assert all("canary" not in repr(entry) and "zhangsan" not in repr(entry).lower() for entry in logs)


async def test_random_damage_to_a_sealed_message_never_shows(callback: CallbackClient) -> None:
    dice = random.Random(11)
    good = callback.platform.text("第一题选A,第二题选B").encode()
    for _ in range(150):
        damaged = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            place = dice.randrange(len(damaged))
            damaged[place : place + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
        answer = await callback.platform.deliver(*callback.sealer.odd(bytes(damaged), callback.now))
        assert answer.status == 200 or answer.uniform == REFUSED
    callback.ear.heard.clear()
    await callback.hears()


async def test_a_vote_with_an_option_that_is_no_text_is_refused() -> None:
    async with wecom_stands() as (platform, ear):
        callback = CallbackClient(platform, ear)
        tap = platform.tap({"task_id": "q1@x", "card_type": "vote_interaction"}, "q1|", ticked=("A",))
        for odd in ("<OptionId></OptionId>", "<OptionId><a/></OptionId>"):
            await callback.refuses(*callback.sealer.odd(tap.replace("<OptionId><![CDATA[A]]></OptionId>", odd).encode(), callback.now))
