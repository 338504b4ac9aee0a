"""The local chat page's line: one message is one effect, nothing that was said is lost to a broken line, strangers' pages stay outside."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

import bot
from bot.channels import local
from bot.channels.local import LocalChat, Persona
from bot.domain.message import Address, Incoming, Option, QuestionCard, Reply
from tests.conftest import NOW
from tests.support.service import Window, window

PAGE = Path(bot.__file__).parent / "web" / "chat"
PEOPLE = (Persona("1001", "赵甲", "学员", ("每日",)), Persona("1002", "钱甲", "督学", ("报表",)))
QUESTION = Reply("已记录。", QuestionCard("s:1:1", "第1/5题", "选哪个？", (Option("A", "A. 甲"), Option("B", "B. 乙"))))


@dataclass
class Hall:
    """A dispatcher that remembers what it heard, and can be told to be slow."""

    heard: list[Incoming] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, incoming: Incoming) -> Reply:
        self.heard.append(incoming)
        self.entered.set()
        await self.gate.wait()
        return QUESTION if incoming.text == "每日" else Reply(f"听到：{incoming.text}")


@dataclass
class LocalPage:
    url: str
    hall: Hall
    channel: LocalChat
    counts: dict[str, float]
    app: web.Application


@asynccontextmanager
async def local_page(personas: Sequence[Persona] = PEOPLE) -> AsyncIterator[LocalPage]:
    hall = Hall()
    counts: dict[str, float] = {}
    hall.gate.set()

    def note(what: str, channel: str, value: float) -> None:
        counts[what] = counts.get(what, 0) + value

    app = web.Application()
    channel = LocalChat(PAGE, clock=lambda: NOW, note=note, personas=personas, quick=("帮助",))
    channel.attach(app, hall.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield LocalPage(f"http://127.0.0.1:{port}", hall, channel, counts, app)
    finally:
        hall.gate.set()
        await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def test_the_front_door_leads_to_the_page_and_the_page_needs_nobody_else(client: aiohttp.ClientSession) -> None:
    async with local_page() as made:
        async with client.get(made.url) as answer:
            assert answer.url.path == "/chat"
            page = await answer.text()
        for file in local.FILES:
            async with client.get(f"{made.url}/chat/{file}") as answer:
                assert answer.status == 200, file
                page += await answer.text()
        assert set(re.findall(r"//[a-z0-9][a-z0-9.-]+", page)) == {"//www.w3.org"}, "the name of SVG, which nobody asks for anything"


async def test_what_is_said_is_heard_once_and_answered_with_its_buttons(client: aiohttp.ClientSession) -> None:
    async with local_page() as made, window(client, made.url, "1001") as chat:
        turn = await chat.say("first-message", "每日")
        assert turn["reply"]["text"] == "已记录。"
        assert [option["say"] for option in turn["reply"]["ask"]["options"]] == ["A", "B"]
        await chat.say("second-message", "A", task="s:1:1", label="A. 甲")
    typed, tapped = made.hall.heard
    assert (typed.sender, typed.kind, typed.task, typed.message_id) == (Address("local", "page", "1001"), "text", "", "first-message")
    assert (tapped.kind, tapped.text, tapped.task, tapped.arrived) == ("tap", "A", "s:1:1", NOW)
    assert made.counts["heard"] == 2


async def test_a_window_that_comes_back_is_shown_what_it_missed_and_nothing_twice(client: aiohttp.ClientSession) -> None:
    async with local_page() as made:
        async with window(client, made.url, "1001") as chat:
            first = await chat.say("before-it-broke", "一")
            epoch = chat.hello["epoch"]
        made.hall.gate.clear()
        made.hall.entered.clear()
        async with window(client, made.url, "1001") as chat:
            await chat.send(type="say", id="while-it-broke", text="二")
            await made.hall.entered.wait()
        made.hall.gate.set()
        await asyncio.sleep(0.05)
        await made.channel.send(Address("local", "page", "1001"), Reply("该学习了"))
        async with window(client, made.url, "1001", since=f"{epoch}.{first['seq']}") as chat:
            missed = chat.hello["turns"]
        assert [turn["reply"]["text"] for turn in missed] == ["听到：二", "该学习了"]
        assert [turn["label"] for turn in missed] == ["二", None]
        async with window(client, made.url, "1001", since="0123456789abcdef.99") as chat:
            assert len(chat.hello["turns"]) == 3, "a page that knew another process is shown everything"


async def test_two_windows_of_one_person_show_the_same_and_another_persons_shows_nothing(client: aiohttp.ClientSession) -> None:
    async with (
        local_page() as made,
        window(client, made.url, "1001") as one,
        window(client, made.url, "1001") as two,
        window(client, made.url, "1002") as other,
    ):
        await one.say("seen-by-both", "一")
        assert (await two.next())["id"] == "seen-by-both"
        await other.send(type="ping")
        assert (await other.next())["type"] == "pong", "nothing came before the answer to the ping"


async def test_the_demo_names_its_personas_and_takes_no_other(client: aiohttp.ClientSession) -> None:
    async with local_page() as made:
        async with window(client, made.url, "1002") as chat:
            assert (chat.hello["me"], chat.hello["quick"]) == ("1002", ["报表"])
            assert [one["label"] for one in chat.hello["personas"]] == ["学员", "督学"]
        async with window(client, made.url, "1999") as chat:
            assert chat.hello["me"] == "1001"


async def test_without_the_demo_a_browser_is_itself_and_cannot_choose(client: aiohttp.ClientSession) -> None:
    async with local_page(()) as made:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{made.url}/chat/ws")
        assert refused.value.status == 403
        async with client.get(f"{made.url}/chat") as answer:
            cookie = answer.cookies["chat"]
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"
        async with window(client, made.url, "1001") as chat:
            assert chat.hello["me"] == cookie.value
            assert chat.hello["personas"] == []
            await chat.say("who-am-i-here", "帮助")
        assert made.hall.heard[0].sender.user.startswith("guest-")


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}, {"Origin": "http://["}, {"Host": "["}]
)
async def test_a_page_of_another_origin_is_turned_away(headers: dict[str, str], client: aiohttp.ClientSession) -> None:
    async with local_page() as made:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{made.url}/chat/ws", headers=headers)
        assert refused.value.status == 403
        assert made.counts["refused"] == 1


RUBBISH: tuple[Any, ...] = (
    "no json",
    "[" * 5_000,
    json.dumps([]),
    json.dumps({"type": "shout"}),
    json.dumps({"type": "say", "id": "x", "text": "short id"}),
    json.dumps({"type": "say", "id": "a" * 65, "text": "long id"}),
    json.dumps({"type": "say", "id": "good-enough-id", "text": ["list"]}),
    json.dumps({"type": "say", "id": "good-enough-id", "text": "长" * 2_001}),
    json.dumps({"type": "say", "id": "good-enough-id", "task": "t" * 101}),
    json.dumps({"type": "say", "id": "good-enough-id\n", "text": "a"}),
    b"bytes",
)


@pytest.mark.parametrize("rubbish", RUBBISH, ids=range(len(RUBBISH)))
async def test_a_frame_that_no_page_of_ours_sends_ends_the_line_and_is_not_heard(rubbish: str | bytes, client: aiohttp.ClientSession) -> None:
    async with local_page() as made, window(client, made.url) as chat:
        await (chat.socket.send_bytes(rubbish) if isinstance(rubbish, bytes) else chat.socket.send_str(rubbish))
        message = await chat.socket.receive(timeout=5)
        assert message.type is WSMsgType.CLOSE
        assert message.data == aiohttp.WSCloseCode.POLICY_VIOLATION
        assert not made.hall.heard


async def test_half_a_character_is_heard_as_a_question_mark_and_hurts_nobody(client: aiohttp.ClientSession) -> None:
    async with local_page() as made, window(client, made.url) as chat:
        await chat.socket.send_str('{"type":"say","id":"half-a-character","text":"a\\ud800b"}')
        assert (await chat.next())["reply"]["text"] == "听到：a?b"


async def test_whoever_floods_is_told_so_and_nothing_is_recorded_of_it(client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MOST_WAITING", 1)
    async with local_page() as made, window(client, made.url) as one, window(client, made.url) as two:
        made.hall.gate.clear()
        await one.send(type="say", id="the-slow-one", text="一")
        await made.hall.entered.wait()
        await two.send(type="say", id="one-too-many", text="二")
        told = await two.next()
        assert (told["type"], told["id"]) == ("bad", "one-too-many")
        assert "未记录" in told["reason"]
        assert [incoming.message_id for incoming in made.hall.heard] == ["the-slow-one"]


async def test_a_house_that_closes_finishes_what_it_heard_before_it_hangs_up(client: aiohttp.ClientSession) -> None:
    async with local_page() as made:
        async with client.ws_connect(f"{made.url}/chat/ws", timeout=aiohttp.ClientWSTimeout(ws_close=1)) as socket:
            chat = Window(socket)
            await chat.next()
            made.hall.gate.clear()
            await chat.send(type="say", id="the-last-message", text="末")
            await made.hall.entered.wait()
            closing = asyncio.create_task(made.channel._close(made.app))
            await asyncio.sleep(0.05)
            made.hall.gate.set()
            assert (await chat.next())["reply"]["text"] == "听到：末"
            assert (await socket.receive(timeout=5)).type is WSMsgType.CLOSE
            await closing
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{made.url}/chat/ws")
        assert refused.value.status == 503
