"""A small web application with one page of each purpose behind web sessions, and its visitors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from bot.domain.links import PageVisitor
from bot.storage.db.database import Database
from bot.web.sessions import RequestBody, WebSessions
from tests.conftest import Clock, enroll
from tests.support.web_client import SAME, link_to, pages_at


@dataclass
class SessionApp:
    """The application: its address, database and clock, and what its changing routes were sent."""

    url: str
    database: Database
    clock: Clock
    changed: list[tuple[str, dict[str, Any]]]

    async def link(self, purpose: str = "exam", ref: str = "7", staff_no: str = "1001") -> str:
        return await link_to(self.database, self.url, self.clock.now, purpose, ref, staff_no)


@asynccontextmanager
async def running_app(database: Database, clock: Clock, public_url: str = "") -> AsyncIterator[SessionApp]:
    changed: list[tuple[str, dict[str, Any]]] = []

    async def page(request: web.Request, visitor: PageVisitor) -> web.Response:
        return web.json_response({"name": visitor.learner.name, "ref": visitor.ref, "proof": visitor.proof, "sender": visitor.sender.app})

    async def change(request: web.Request, visitor: PageVisitor, said: RequestBody) -> web.Response:
        changed.append((visitor.learner.staff_no, dict(said)))
        return web.json_response({"say": "已办"})

    def attach(app: web.Application, sessions: WebSessions) -> None:
        for purpose in ("exam", "console"):
            sessions.enter(app, purpose, lambda visitor: f"/{visitor.purpose}/{visitor.ref}")
            app.router.add_get(f"/{purpose}/{{ref}}", sessions.shows(purpose, page))
            app.router.add_post(f"/{purpose}/{{ref}}/change", sessions.acts(purpose, change))

    async with pages_at(database, clock, attach, public_url) as url:
        yield SessionApp(url, database, clock, changed)


@asynccontextmanager
async def app_with_people(database: Database, clock: Clock) -> AsyncIterator[SessionApp]:
    """The application with 1001, who is a learner, and 1002, who is an administrator too."""
    database.write_now(lambda session: (enroll(session, "1001", "学员甲"), enroll(session, "1002", "学员乙", roles=("admin",))))
    async with running_app(database, clock) as made:
        yield made


async def open_page(
    session: aiohttp.ClientSession, session_app: SessionApp, purpose: str = "exam", ref: str = "7", staff_no: str = "1001"
) -> dict[str, Any]:
    """What the page says to whoever has just opened a fresh link to it."""
    async with session.post(await session_app.link(purpose, ref, staff_no), headers=SAME) as answer:
        assert answer.status == 200, await answer.text()
        page: dict[str, Any] = await answer.json()
        return page


def secret_of(session: aiohttp.ClientSession, name: str = "visit-exam") -> str:
    return next((cookie.value for cookie in session.cookie_jar if cookie.key == name), "")
