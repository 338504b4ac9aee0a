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

from tests.support.platforms.callbacks import Door
from tests.support.platforms.envelopes import REFUSED, cdata
from tests.support.platforms.servers import wechat_stands, wecom_stands


@pytest.fixture(params=["wecom", "wechat"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    if request.param == "wecom":
        async with wecom_stands() as (platform, ear):
            yield Door(platform, ear)
    else:
        async with wechat_stands() as (official, ear):
            yield Door(official, ear)


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
async def test_xml_weapons_are_refused_sealed_or_bare(door: Door, weapon: str) -> None:
    await door.refuses(*door.letter(weapon))
    await door.refuses(door.letter()[0], weapon)
    await door.hears()


# Size and encoding.


async def test_a_body_over_the_cap_is_refused_however_it_comes(door: Door) -> None:
    query, body = door.letter()
    await door.refuses(query, b"x" * 65537)
    await door.refuses(query, body + " " * 65536)
    await door.refuses(query, b"x" * 1_000_000)


async def test_a_body_just_under_the_cap_is_read(door: Door) -> None:
    text = "长" * 15000
    answer = await door.platform.deliver(*door.letter(door.platform.text(text)))
    assert answer.status == 200
    assert door.ear.heard[0].text == text


async def test_packed_bodies_are_refused_unread(door: Door) -> None:
    query, body = door.letter()
    for name, packed in (("gzip", gzip.compress(body.encode())), ("gzip", gzip.compress(b"\0" * 5_000_000)), ("identity", body.encode())):
        await door.refuses(query, packed, {"Content-Encoding": name})


async def raw(door: Door, *parts: bytes, wait: float = 0.0) -> bytes:
    """Send these bytes over a bare socket and read the answer's head and body."""
    url = door.platform.url
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


def head(door: Door, *lines: str) -> bytes:
    query, _ = door.letter()
    target = "/" + door.platform.url.split("/", 3)[3] + "?" + "&".join(f"{name}={value}" for name, value in query.items())
    return "\r\n".join([f"POST {target} HTTP/1.1", "Host: bot", *lines, "", ""]).encode()


async def test_chunks_without_end_are_cut_off(door: Door) -> None:
    chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    answer = await raw(door, head(door, "Transfer-Encoding: chunked"), *[chunk] * 12)
    assert answer.split()[1] == b"400"
    assert answer.endswith(b"\r\n\r\nbad request")
    assert door.ear.heard == []


async def test_chunks_that_are_none_are_refused(door: Door) -> None:
    answer = await raw(door, head(door, "Transfer-Encoding: chunked"), b"zz\r\nhello\r\n")
    assert answer.split()[1] == b"400"
    assert door.ear.heard == []


async def test_a_body_that_never_comes_is_not_waited_for(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.channels.callback.BODY_SECONDS", 0.2)
    answer = await raw(door, head(door, "Content-Length: 500"), b"<xml>")
    assert answer.split()[1] == b"400"
    assert answer.endswith(b"bad request")
    await door.hears()


async def test_headers_of_a_hundred_kilobytes_are_refused(door: Door) -> None:
    answer = await raw(door, head(door, "X-Long: " + "x" * 100_000))
    assert answer.split()[1] == b"400"
    assert door.ear.heard == []


# Messages that are sealed and signed as they should be, and odd.


def odd_messages(door: Door) -> list[bytes]:
    good = door.platform.text("A", message_id="1234567890")
    user = "<FromUserName><![CDATA[" + good.split("<FromUserName><![CDATA[")[1].split("]]>")[0] + "]]></FromUserName>"
    made = f"<CreateTime>{int(door.now)}</CreateTime>"
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
        ("<Content><![CDATA[A]]></Content>", "<Content>\x00</Content>"),
        ("</xml>", ""),
        ("</xml>", "</xml><xml></xml>"),
        ("<xml>", "<message>"),
    ]
    assert all(before in good for before, _ in swaps)
    whole = [good.replace(before, after).encode() for before, after in swaps]
    event = door.platform.event("click", "每日")
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


async def test_odd_messages_are_refused_between_good_ones(door: Door) -> None:
    with capture_logs() as logs:
        for odd in odd_messages(door):
            await door.refuses(*door.sealer.odd(odd, door.now))
            await door.hears()

    assert {entry["event"] for entry in logs} == {"callback refused"}
    assert all("canary" not in repr(entry) and "zhangsan" not in repr(entry).lower() for entry in logs)


async def test_random_damage_to_a_sealed_message_never_shows(door: Door) -> None:
    dice = random.Random(11)
    good = door.platform.text("第一题选A,第二题选B").encode()
    for _ in range(150):
        damaged = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            place = dice.randrange(len(damaged))
            damaged[place : place + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
        answer = await door.platform.deliver(*door.sealer.odd(bytes(damaged), door.now))
        assert answer.status == 200 or answer.uniform == REFUSED
    door.ear.heard.clear()
    await door.hears()


async def test_a_vote_with_an_option_that_is_no_text_is_refused() -> None:
    async with wecom_stands() as (platform, ear):
        door = Door(platform, ear)
        tap = platform.tap({"task_id": "q1@x", "card_type": "vote_interaction"}, "q1|", ticked=("A",))
        for odd in ("<OptionId></OptionId>", "<OptionId><a/></OptionId>"):
            await door.refuses(*door.sealer.odd(tap.replace("<OptionId><![CDATA[A]]></OptionId>", odd).encode(), door.now))
