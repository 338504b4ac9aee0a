"""Serves our pages behind web sessions for a test, and a browser that is nothing but a cookie jar."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import aiohttp
from aiohttp import web
from sqlmodel import Session

from bot.domain.message import Address
from bot.services import links
from bot.storage.db.database import Database
from bot.storage.people import accounts
from bot.web import middleware
from bot.web.sessions import WebSessions
from bot.web.templates import Templates

SAME = {"Sec-Fetch-Site": "same-origin"}
"""What a browser says of a request that a page of ours makes."""


@asynccontextmanager
async def pages_at(
    database: Database, clock: Callable[[], datetime], attach: Callable[[web.Application, WebSessions], None], public_url: str = ""
) -> AsyncIterator[str]:
    """The address of an application that has the pages' files and whatever `attach` adds."""
    app = web.Application(middlewares=[middleware.protect], client_max_size=middleware.LARGEST_BODY)
    app.on_response_prepare.append(middleware.add_headers)
    sessions = WebSessions(database, clock, Templates(), public_url)
    sessions.pages.attach(app)
    attach(app, sessions)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def link_to(database: Database, url: str, now: datetime, purpose: str, ref: str, staff_no: str) -> str:
    """A fresh one-time link, as the chat would hand it out."""

    def offer(session: Session) -> str:
        to = Address("local", "test", staff_no)
        learner = accounts.find_learner(session, to, now.date())
        assert learner is not None
        return links.create_link(session, url, purpose, ref, learner, to, now)

    return await database.write(offer)
