"""The big screen and the host's console: what they show and hide, who may press, and a contest played in a browser."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from playwright.async_api import expect
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.channels.local import Persona
from bot.domain.contest.contest import ContestRules
from bot.domain.message import Address, Incoming, Reply
from bot.services.contest import live_host
from bot.storage.contest import contests, live_state
from tests.conftest import enroll
from tests.support.browser import browser, fits, needs_chromium
from tests.support.live_contests import hosted, plan
from tests.support.service import RunningService, running_service

HOSTS = (Persona("9001", "管理员甲", "管理员"), Persona("9002", "管理员乙", "管理员"))
PLAYERS = tuple(Persona(f"{2001 + n}", f"选手{n + 1}", "学员") for n in range(3))


@dataclass
class Hall:
    """A running service with a contest whose room is open."""

    service: RunningService
    id: int
    code: str
    secret: str
    said: int = 0

    @property
    def url(self) -> str:
        return self.service.url

    async def say(self, user: str, words: str, task: str = "") -> Reply:
        self.said += 1
        incoming = Incoming(Address("local", "page", user), words, f"hall{self.said:05}", datetime.now(UTC), "tap" if task else "text", task)
        return await self.service.app.dispatcher.handle(incoming)

    async def console(self, user: str = "9001") -> str:
        """A one-time link to the console, asked for in the chat."""
        found = re.search(r"http://\S+/console/in/\S+", (await self.say(user, f"大屏 {self.id}")).text)
        assert found is not None
        return found[0]

    async def question(self, n: int) -> Any:
        def work(session: Session) -> Any:
            planned = next(one for one in contests.list_items(session, self.id) if one.n == n)
            return self.service.app.catalog.question(session, planned.version_id)

        return await self.service.app.database.read(work)


@asynccontextmanager
async def hall(engine: Engine, *, public_url: str = "", **more: Any) -> AsyncIterator[Hall]:
    async with running_service(engine, [*HOSTS, *PLAYERS], public_url=public_url) as service:

        def work(session: Session) -> tuple[int, str, str]:
            for one in HOSTS:
                enroll(session, one.user, one.name, roles=("admin",))
            for one in PLAYERS:
                enroll(session, one.user, one.name)
            now = datetime.now(UTC)
            rules = ContestRules(seconds=60, board="all")
            made = plan(session, service.app.catalog, hosted(session), questions=2, rules=rules, now=now, **more)
            of = live_host.open_room(session, hosted(session), made, None, now, random.Random(1))
            return made, of.code, of.secret

        yield Hall(service, *await service.app.database.write(work))


@dataclass
class Events:
    """One line of server-sent events, read frame by frame."""

    response: aiohttp.ClientResponse

    async def until(self, true: Any) -> dict[str, Any]:
        """The first frame from now on for which something holds."""
        async with asyncio.timeout(60):
            while True:
                line = (await self.response.content.readline()).decode()
                if line.startswith("data: "):
                    frame: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    if true(frame):
                        return frame


async def test_the_screen_shows_no_key_before_the_close_and_no_name_to_who_has_half_its_address(engine: Engine) -> None:
    async with hall(engine) as one, aiohttp.ClientSession() as session:
        question = await one.question(1)
        for who in PLAYERS:
            await one.say(who.user, f"竞赛 {one.code}")
        whole, half = f"{one.url}/screen/{one.id}/events?k={one.secret}", f"{one.url}/screen/{one.id}/events"
        async with session.get(whole) as named, session.get(half) as public:
            assert named.headers["Content-Type"].startswith("text/event-stream")
            on_screen, elsewhere = Events(named), Events(public)
            assert (await on_screen.until(lambda frame: frame["phase"] == "lobby"))["players"] == 3
            await one.say("9001", "主持 下一题")
            await one.say("2001", question.key)
            open_ = await on_screen.until(lambda frame: frame["phase"] == "open" and frame["item"]["answered"] == 1)
            assert open_["item"]["stem"] == question.stem
            assert question.explanation not in json.dumps(open_, ensure_ascii=False)
            assert not {"key", "spread", "why"} & open_["item"].keys()
            await one.say("9001", "主持 收题")
            closed = await on_screen.until(lambda frame: frame["phase"] == "closed")
            assert closed["item"]["key"] == question.key
            assert sum(each["count"] for each in closed["item"]["spread"]) == 1
            await one.say("9001", "主持 排行")
            board = await on_screen.until(lambda frame: frame["phase"] == "board")
            assert [each["name"] for each in board["board"]["people"]] == ["选手1"]
            hidden = await elsewhere.until(lambda frame: frame["phase"] == "board")
            assert hidden["board"]["people"] == []
            assert "选手" not in json.dumps(hidden, ensure_ascii=False)


async def test_a_screen_and_a_way_in_that_are_not_there(engine: Engine) -> None:
    async with hall(engine) as one, aiohttp.ClientSession() as session:
        for path in ("/screen/99", "/screen/99/events", "/screen/x", "/console/contests/1", "/console/contests/1/events"):
            async with session.get(one.url + path) as response:
                assert response.status in (403, 404), path
        async with session.get(f"{one.url}/screen/{one.id}/qr.svg") as response:
            assert response.content_type == "image/svg+xml"
        async with session.get(f"{one.url}/screen/{one.id}/join") as response:
            assert f"竞赛 {one.code}" in await response.text()


@asynccontextmanager
async def at_console(one: Hall, user: str = "9001") -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A browser's web session, and the proof that its page carries."""
    async with aiohttp.ClientSession(headers={"Origin": one.url}, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.post(await one.console(user)) as response:
            page = await response.text()
        found = re.search(r'name="proof" content="(\w+)"', page)
        assert found is not None, page
        yield session, found[1]


async def act(one: Hall, session: aiohttp.ClientSession, proof: str, **body: Any) -> tuple[int, str]:
    headers = {"X-Proof": proof, "Accept": "application/json"}
    async with session.post(f"{one.url}/console/contests/{one.id}/act", json=body, headers=headers) as response:
        found = await response.json() if response.content_type == "application/json" else {}
        return response.status, found.get("say", "")


async def test_the_console_steers_and_a_press_for_what_is_past_does_nothing(engine: Engine) -> None:
    async with hall(engine) as one, at_console(one) as (session, proof), session.get(f"{one.url}/console/contests/{one.id}/events") as response:
        feed = Events(response)
        now = await feed.until(lambda frame: frame["mine"])
        assert await act(one, session, proof, act="next", decided=now["decided"]) == (200, "")
        assert (await act(one, session, proof, act="next", decided=now["decided"]))[0] == 409, "a double press is one step"
        now = await feed.until(lambda frame: frame["phase"] == "open")
        assert "host_id" not in now
        status, said = await act(one, session, proof, act="void", n=1, why=" ", decided=now["decided"])
        assert (status, "请写明原因" in said) == (409, True)
        assert (await act(one, session, proof, act="void", n=1, why="题干有误", decided=now["decided"]))[0] == 200
        now = await feed.until(lambda frame: frame["phase"] == "closed")
        assert now["item"]["void"] == "题干有误"
        assert [line["act"] for line in now["log"]][:2] == ["作废", "出题"]
        assert (await act(one, session, "0" * 64, act="finish", decided=now["decided"]))[0] == 403
        assert (await act(one, session, proof, act="no such thing"))[0] == 400
    database = one.service.app.database
    audited = database.read_now(
        lambda session: session.execute(text("SELECT via, action FROM audit WHERE action LIKE '现场竞赛%' ORDER BY id")).all()
    )
    assert ("console", "现场竞赛 作废") in [tuple(row) for row in audited]


async def test_a_second_operator_sees_who_steers_and_takes_over(engine: Engine) -> None:
    async with hall(engine) as one, at_console(one) as (first, proof), at_console(one, "9002") as (second, other):
        async with second.get(f"{one.url}/console/contests/{one.id}/events") as response:
            now = await Events(response).until(lambda frame: True)
            assert (now["host"], now["mine"]) == ("管理员甲", False)
        status, said = await act(one, second, other, act="next", decided=now["decided"])
        assert (status, "现在由 管理员甲 主持" in said) == (409, True)
        assert (await act(one, second, other, act="take"))[0] == 200
        status, said = await act(one, first, proof, act="next")
        assert (status, "现在由 管理员乙 主持" in said) == (409, True)


async def test_who_is_no_administrator_any_more_steers_nothing(engine: Engine) -> None:
    async with hall(engine) as one, at_console(one) as (session, proof):
        database = one.service.app.database
        await database.write(lambda session: session.execute(text("DELETE FROM role WHERE role = 'admin'")))
        assert (await act(one, session, proof, act="next"))[0] == 403
        of = await database.read(lambda session: live_state.get(session, one.id))
        assert of is not None
        assert of.course.phase == "lobby"


@needs_chromium
async def test_a_contest_in_the_hall_as_host_and_player(sqlite_engine: Engine) -> None:
    async with hall(sqlite_engine) as one, browser() as made:
        complaints: list[str] = []
        hosts: set[str] = set()

        async def page(url: str, width: int, height: int) -> Any:
            context = await made.new_context(viewport={"width": width, "height": height})
            opened = await context.new_page()
            opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            opened.on("pageerror", lambda wrong: complaints.append(str(wrong)))
            opened.on("request", lambda request: hosts.add(request.url.split("/")[2]))
            await opened.goto(url)
            return opened

        screen = await page(f"{one.url}/screen/{one.id}?k={one.secret}", 1920, 1080)
        await expect(screen.locator("#joined")).to_have_text("0")
        console = await page(await one.console(), 375, 812)
        await console.get_by_role("button").filter(has_text="打开").click()
        phone = await page(f"{one.url}/chat?as=2001&say=竞赛 {one.code}", 375, 812)
        await phone.get_by_label("切换身份").select_option(value="2001")
        await expect(phone.get_by_label("输入消息")).to_have_value(f"竞赛 {one.code}")
        await phone.get_by_label("输入消息").press("Enter")
        await expect(screen.locator("#joined")).to_have_text("1")

        question = await one.question(1)
        await console.get_by_role("button", name="出第 1 题", exact=True).click()
        await expect(screen.locator("#stem")).to_have_text(question.stem)
        await expect(phone.get_by_text("第1/2题")).to_be_visible()
        assert await fits(console)
        stands_out = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().bottom > innerHeight + 1).length"
        assert await screen.evaluate(stands_out) == 0
        large = await screen.evaluate("parseFloat(getComputedStyle(document.getElementById('stem')).fontSize)")
        assert large >= 40, "the back row cannot read it"
        await phone.locator(".option:enabled").nth("ABCDEF".index(question.key)).click()
        await expect(phone.locator(".mark", has_text="已记录")).to_have_count(1)
        await expect(screen.locator("#count")).to_contain_text("1 / 1")
        await expect(screen.locator(".option.right")).to_have_count(0)

        await console.get_by_role("button", name="收题").click()
        await expect(screen.locator(".option.right")).to_have_count(1)
        await expect(screen.locator("#why")).to_contain_text(question.explanation[:10])
        await console.get_by_role("button", name="看排行").click()
        await expect(screen.locator(".line .name")).to_have_text(["选手1"])
        await console.get_by_role("button", name="结束竞赛").click()
        await console.get_by_role("button", name="结束", exact=True).click()
        await expect(screen.locator("#state")).to_have_text("已结束")
        await expect(phone.get_by_text("结束了，谢谢参加")).to_be_visible()
        assert complaints == []
        assert hosts == {one.url.removeprefix("http://")}
