"""Whose hand changes something in a web session, and what the world sees of it (bot/docs/reliability.md W6, W14, W15)."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from sqlalchemy import Engine, text
from yarl import URL

from bot import logs
from bot.storage.db.database import Database
from bot.web.templates import Templates
from tests.conftest import Clock, enroll
from tests.support.service import running_service as service_standing
from tests.support.session_app import SessionApp, app_with_people, open_page, running_app
from tests.support.web_client import SAME, browser, link_to


@pytest.fixture
async def session_app(database: Database, clock: Clock) -> AsyncIterator[SessionApp]:
    async with app_with_people(database, clock) as made:
        yield made


# ── Foreign hands ──


async def test_only_a_page_of_ours_with_its_proof_changes_anything(session_app: SessionApp) -> None:
    async with browser() as session, browser() as other:
        page, others = await open_page(session, session_app), await open_page(other, session_app, staff_no="1002")
        proof, address = page["proof"], f"{session_app.url}/exam/7/change"
        wrong: list[dict[str, str]] = [
            {},
            {"X-Proof": proof},
            SAME,
            {**SAME, "X-Proof": ""},
            {**SAME, "X-Proof": others["proof"]},
            {**SAME, "X-Proof": proof[:-1]},
            {"X-Proof": proof, "Sec-Fetch-Site": "cross-site"},
            {"X-Proof": proof, "Sec-Fetch-Site": "same-site"},
            {"X-Proof": proof, "Sec-Fetch-Site": "none"},
            {"X-Proof": proof, "Origin": "https://evil.example"},
            {"X-Proof": proof, "Origin": "null"},
            {"X-Proof": proof, "Origin": session_app.url.replace("127.0.0.1", "localhost")},
            {**SAME, "X-Proof": proof, "Origin": "https://evil.example"},
        ]
        for headers in wrong:
            async with session.post(address, json={"x": 1}, headers=headers) as answer:
                assert answer.status == 403, headers
        async with session.get(address, headers={**SAME, "X-Proof": proof}) as answer:
            assert answer.status == 405
        assert session_app.changed == []
        for headers in ({**SAME, "X-Proof": proof}, {"X-Proof": proof, "Origin": session_app.url}):
            async with session.post(address, json={"x": 1}, headers=headers) as answer:
                assert answer.status == 200
        async with session.post(address, data={"x": "2", "proof": proof}, headers=SAME) as answer:
            assert answer.status == 200
    assert session_app.changed == [("1001", {"x": 1}), ("1001", {"x": 1}), ("1001", {"x": "2"})]


async def test_a_foreign_page_cannot_make_a_browser_come_in_as_somebody(session_app: SessionApp) -> None:
    link = await session_app.link()
    async with browser() as session:
        for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            async with session.post(link, headers=headers) as answer:
                assert answer.status == 403
        async with session.post(link, headers={"Origin": session_app.url}) as answer:
            assert answer.status == 200


async def test_a_script_is_told_no_in_json_and_a_person_on_a_page(session_app: SessionApp) -> None:
    async with browser() as session:
        async with session.get(f"{session_app.url}/exam/7", headers={"Accept": "application/json"}) as answer:
            assert (answer.status, list(await answer.json())) == (403, ["say"])
        async with session.get(f"{session_app.url}/exam/7") as answer:
            assert (answer.status, "请从聊天里打开" in await answer.text()) == (403, True)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", "application/json"),
        (b"{", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"x", "text/plain"),
        (b"x=1", "multipart/form-data"),
    ],
)
async def test_a_body_that_is_none_of_ours_is_refused(session_app: SessionApp, body: bytes, kind: str) -> None:
    async with browser() as session:
        page = await open_page(session, session_app)
        headers = {**SAME, "X-Proof": page["proof"], "Content-Type": kind}
        async with session.post(f"{session_app.url}/exam/7/change", data=body, headers=headers) as answer:
            assert answer.status in (400, 413)
    assert session_app.changed == []


# ── What the world sees ──


async def test_behind_https_the_cookie_is_for_this_host_and_encrypted_lines_alone(database: Database, clock: Clock) -> None:
    database.write_now(lambda session: enroll(session, "1001", "学员甲"))
    async with running_app(database, clock, "https://law.example.gov.cn") as session_app, browser() as session:
        headers = {"Origin": "https://law.example.gov.cn", "Sec-Fetch-Site": "same-origin"}
        async with session.post(await session_app.link(), headers=headers, allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-exam=")
    assert {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie


async def test_a_cookie_of_plain_http_is_still_hidden_from_scripts_and_other_sites(session_app: SessionApp) -> None:
    async with browser() as session, session.post(await session_app.link(), headers=SAME, allow_redirects=False) as answer:
        parts = {part.strip() for part in answer.headers["Set-Cookie"].split(";")}
    assert {"HttpOnly", "SameSite=Strict"} <= parts
    assert "Secure" not in parts


async def test_the_files_of_a_page_may_be_kept_and_change_their_address_with_their_content(session_app: SessionApp) -> None:
    css = Templates().static("page.css")
    async with browser() as session:
        async with session.get(f"{session_app.url}{css}") as answer:
            assert (answer.status, answer.content_type) == (200, "text/css")
            assert "immutable" in answer.headers["Cache-Control"]
            tag = answer.headers["ETag"]
        async with session.get(f"{session_app.url}{css}", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with session.get(f"{session_app.url}/static/of-another-release/page.css") as answer:
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
        for path in ("/static/x/nothing.css", "/static/x/..%2f__init__.py", "/static/x/%2e%2e/__init__.py"):
            async with session.get(URL(f"{session_app.url}{path}", encoded=True)) as answer:
                assert answer.status == 404, path


async def test_every_page_wears_the_strict_coat_and_is_kept_by_nobody(session_app: SessionApp) -> None:
    async with browser() as session, session.get(await session_app.link()) as answer:
        page = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in policy
    assert "<style" not in page
    assert " style=" not in page
    assert "<script>" not in page


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that the service and its libraries write down, at their most talkative."""
    stream, root = io.StringIO(), logging.getLogger()
    before = root.handlers, root.level
    logs.configure(level=logging.DEBUG, stream=stream)
    root.setLevel(logging.DEBUG)
    yield stream
    structlog.reset_defaults()
    root.handlers, level = before
    root.setLevel(level)


async def test_no_log_knows_a_link_or_a_cookie_though_the_database_fails_in_the_middle(sqlite_engine: Engine, written: io.StringIO) -> None:
    async with service_standing(sqlite_engine) as session_app, browser() as session:
        made = session_app.app
        made.database.write_now(lambda rows: enroll(rows, "1001"))
        link = await link_to(made.database, session_app.url, made.clock(), "exam", "1", "1001")
        async with session.get(link) as answer:
            assert answer.status == 200
        async with session.post(link, headers=SAME, allow_redirects=False) as answer:
            secret = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
        made.database.write_now(lambda rows: rows.execute(text("ALTER TABLE visit RENAME TO gone")) and None)
        for address in (link, f"{session_app.url}/exam/1"):
            async with session.get(address) as answer:
                assert answer.status == 500
    said = written.getvalue()
    assert '"path":"/exam/in/{token}"' in said
    assert link.rpartition("/")[2] not in said
    assert secret not in said
