"""Web sessions of our own pages: who comes in by a link, and who is known by a cookie for how long (bot/docs/reliability.md W8, W9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import aiohttp
import pytest
from sqlalchemy import text
from sqlmodel import Session
from yarl import URL

from bot.dispatch import Dispatcher
from bot.domain.library.library import Library
from bot.domain.message import Address, Refusal
from bot.services import links
from bot.services.library.catalog import load_catalog
from bot.storage.db.database import Database
from bot.storage.files.policies import load_policy
from bot.storage.people import accounts
from bot.storage.system import links as system_links
from tests.conftest import NOW, ROOT, Chat, Clock, enroll
from tests.support.session_app import SessionApp, app_with_people, open_page, secret_of
from tests.support.web_client import SAME, browser

CHAT = Address("local", "test", "1001")


@pytest.fixture
async def session_app(database: Database, clock: Clock) -> AsyncIterator[SessionApp]:
    async with app_with_people(database, clock) as made:
        yield made


# ── One-time links ──


async def test_a_link_is_opened_by_its_button_and_leads_to_the_page_as_that_person(session_app: SessionApp) -> None:
    async with browser() as session:
        async with session.get(await session_app.link()) as shown:
            page = await shown.text()
        assert (shown.status, "打开考试" in page, "学员甲" in page) == (200, True, False)
        assert await open_page(session, session_app) == {
            "name": "学员甲",
            "ref": "7",
            "proof": await _proof(session, session_app),
            "sender": "page",
        }


async def _proof(session: aiohttp.ClientSession, session_app: SessionApp) -> str:
    async with session.get(f"{session_app.url}/exam/7") as answer:
        return str((await answer.json())["proof"])


async def test_looking_at_a_link_as_a_chat_does_for_its_preview_spends_nothing(session_app: SessionApp) -> None:
    link = await session_app.link()
    async with browser() as session:
        for method in ("GET", "HEAD", "GET", "GET"):
            async with session.request(method, link) as answer:
                assert answer.status == 200
                assert "Set-Cookie" not in answer.headers
        async with session.post(link, headers=SAME) as answer:
            assert answer.status == 200


async def test_of_twenty_who_open_a_link_at_once_one_comes_in(session_app: SessionApp) -> None:
    link = await session_app.link()

    async def tries() -> tuple[int, str]:
        async with browser() as session, session.post(link, headers=SAME, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Set-Cookie", "")

    came = await asyncio.gather(*(tries() for _ in range(20)))
    assert sorted(status for status, _ in came) == [303, *[404] * 19]
    assert sum(bool(cookie) for _, cookie in came) == 1


@pytest.mark.parametrize(("minutes", "status"), [(9.9, 200), (10, 404), (600, 404)])
async def test_a_link_is_good_for_ten_minutes(session_app: SessionApp, minutes: float, status: int) -> None:
    link = await session_app.link()
    session_app.clock.pass_(minutes=minutes)
    async with browser() as session:
        async with session.get(link) as looked:
            assert looked.status == status
        async with session.post(link, headers=SAME) as answer:
            assert answer.status == status
            if status == 404:
                assert "发送「考试」重新要一个" in await answer.text()


async def test_a_used_an_old_and_an_invented_link_are_told_the_same(session_app: SessionApp) -> None:
    used, old = await session_app.link(), await session_app.link()
    async with browser() as session, session.post(used, headers=SAME):
        session_app.clock.pass_(minutes=11)
    pages = set()
    for link in (used, old, f"{session_app.url}/exam/in/nothing-of-the-kind", f"{session_app.url}/exam/in/{'x' * 300}"):
        async with browser() as session, session.post(link, headers=SAME) as answer:
            pages.add((answer.status, await answer.text()))
    assert len(pages) == 1


async def test_a_link_to_one_page_opens_no_other(session_app: SessionApp) -> None:
    link = await session_app.link()
    async with browser() as session, session.post(link.replace("/exam/", "/console/"), headers=SAME) as answer:
        assert answer.status == 404


async def test_the_rows_hold_no_secret_that_opens_anything(session_app: SessionApp) -> None:
    async with browser() as session:
        link = await session_app.link()
        async with session.post(link, headers=SAME):
            secret = secret_of(session)

        def everything(session_of: Session) -> str:
            return str([tuple(row) for table in ("link", "visit") for row in session_of.execute(text(f"SELECT * FROM {table}"))])

        kept = await session_app.database.read(everything)
        assert secret
        assert secret not in kept
        assert link.rpartition("/")[2] not in kept


async def test_who_opened_a_link_finds_the_way_on_in_the_same_browser(session_app: SessionApp) -> None:
    link = await session_app.link()
    async with browser() as session:
        async with session.post(link, headers=SAME):
            pass
        async with session.get(link) as again:
            assert (again.status, 'href="/exam/7"' in await again.text()) == (404, True)


async def test_no_link_is_made_where_the_pages_stand_nowhere_or_for_whom_they_are_not(session_app: SessionApp) -> None:
    with pytest.raises(Refusal, match="只给管理员用"):
        await session_app.link("console")
    session_app.url = ""
    with pytest.raises(Refusal, match="BOT_PUBLIC_URL"):
        await session_app.link()


# ── Visits ──


async def test_a_visit_is_bound_to_its_purpose_and_to_what_it_was_opened_for(session_app: SessionApp) -> None:
    async with browser() as session:
        await open_page(session, session_app, "exam", "7", "1002")
        for path, status in (("/exam/7", 200), ("/exam/8", 403), ("/console/7", 403)):
            async with session.get(f"{session_app.url}{path}") as answer:
                assert answer.status == status, path


async def test_what_a_browser_was_made_to_carry_before_opens_nothing_and_is_replaced(session_app: SessionApp) -> None:
    async with browser() as session:
        session.cookie_jar.update_cookies({"visit-exam": "preset-by-somebody"}, response_url=URL(session_app.url))
        async with session.get(f"{session_app.url}/exam/7") as answer:
            assert answer.status == 403
        await open_page(session, session_app)
        first = secret_of(session)
        await open_page(session, session_app)
        assert len({"preset-by-somebody", first, secret_of(session)}) == 3


async def test_a_visit_that_was_left_is_over_for_a_copied_cookie_too(session_app: SessionApp) -> None:
    async with browser() as session:
        page = await open_page(session, session_app)
        secret = secret_of(session)
        async with session.post(f"{session_app.url}/exam/out", data={"proof": page["proof"]}, headers=SAME) as answer:
            assert (answer.status, "已退出" in await answer.text()) == (200, True)
        assert secret_of(session) == ""
        async with session.get(f"{session_app.url}/exam/7", headers={"Cookie": f"visit-exam={secret}"}) as answer:
            assert answer.status == 403


@pytest.mark.parametrize(
    "fate",
    [
        "UPDATE person SET left_on = '2026-03-01' WHERE staff_no = '1002'",
        "DELETE FROM role WHERE role = 'admin'",
        "DELETE FROM account WHERE \"user\" = '1002'",
    ],
)
async def test_who_has_left_or_was_demoted_or_unbound_is_out_at_the_next_request(session_app: SessionApp, fate: str) -> None:
    async with browser() as session:
        page = await open_page(session, session_app, "console", "7", "1002")
        await session_app.database.write(lambda rows: rows.execute(text(fate)) and None)
        async with session.get(f"{session_app.url}/console/7") as answer:
            assert answer.status == 403
        async with session.post(f"{session_app.url}/console/7/change", json={}, headers={**SAME, "X-Proof": page["proof"]}) as answer:
            assert answer.status == 403
    assert session_app.changed == []


async def test_a_visit_ends_by_its_time_and_an_administrators_by_silence_too(session_app: SessionApp) -> None:
    async with browser() as session:
        await open_page(session, session_app, "console", "7", "1002")
        await open_page(session, session_app, "exam", "7", "1002")
        seen = []
        for minutes in (14, 14, 16, 435, 2):
            session_app.clock.pass_(minutes=minutes)
            async with session.get(f"{session_app.url}/console/7") as console, session.get(f"{session_app.url}/exam/7") as exam:
                seen.append((console.status, exam.status))
    assert seen == [(200, 200), (200, 200), (403, 200), (403, 200), (403, 403)]


async def test_closing_ones_pages_from_the_chat_closes_them_everywhere(session_app: SessionApp, shipped: Library) -> None:
    policy, _ = load_policy(ROOT)
    assert policy is not None
    catalog = session_app.database.write_now(lambda session: load_catalog(session, shipped, policy, NOW))
    chat = Chat(Dispatcher(session_app.database, lambda: catalog), session_app.clock, "1001")
    link = await session_app.link()
    async with browser() as session:
        await open_page(session, session_app)
        assert "1 个网页" in await chat.say("退出网页")
        async with session.get(f"{session_app.url}/exam/7") as answer:
            assert answer.status == 403
        async with session.post(link, headers=SAME) as answer:
            assert answer.status == 404
    assert "没有打开着的网页" in await chat.say("退出网页")


async def test_an_administrators_coming_and_going_stands_in_the_audit(session_app: SessionApp) -> None:
    async with browser() as session:
        page = await open_page(session, session_app, "console", "7", "1002")
        async with session.post(f"{session_app.url}/console/out", data={"proof": page["proof"]}, headers=SAME):
            pass
    acts = await session_app.database.read(
        lambda rows: [tuple(row) for row in rows.execute(text("SELECT actor, action, target FROM audit ORDER BY id"))]
    )
    assert acts == [("1002", "打开网页", "console 7"), ("1002", "关闭网页", "console 7")]


def test_what_opens_nothing_any_more_is_forgotten_and_nothing_else(database: Database, clock: Clock) -> None:
    def live(session: Session) -> tuple[int, int]:
        enroll(session, "1001")
        learner = accounts.find_learner(session, CHAT, date(2026, 3, 2))
        assert learner is not None
        spent = links.create_link(session, "https://x", "exam", "1", learner, CHAT, NOW).rpartition("/")[2]
        links.create_link(session, "https://x", "exam", "2", learner, CHAT, NOW)
        entered = links.open_link(session, "exam", spent, NOW)
        assert entered is not None
        clock.pass_(hours=1)
        return system_links.forget(session, clock.now), system_links.forget(session, clock.now.replace(hour=23))

    assert database.write_now(live) == (1, 1)
