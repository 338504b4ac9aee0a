"""The host's web console of a live contest: every act by one press; all consoles show who hosts, and another host can take over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from aiohttp import web
from sqlmodel import Session

from bot.domain.links import PageVisitor
from bot.domain.message import Refusal
from bot.services.contest import host_lock, live_host
from bot.services.contest.host_lock import LiveHost
from bot.services.library.catalog import Catalog
from bot.storage.contest.live_state import LiveState
from bot.storage.db.commits import Busy, InDoubt
from bot.storage.db.database import Database
from bot.web.contest.live_feed import LiveFeed, stream
from bot.web.sessions import RequestBody, WebSessions
from bot.web.templates import Templates

PATH = "/console/contests/{ref:[0-9]{1,9}}"
RIGHTS_CHECK_INTERVAL = 20.0
"""Seconds between two checks of a watcher's rights."""

Act = Callable[["ConsoleCommand"], None]


class ConsoleCommand:
    """One press on the console as it was sent; fields of the wrong type are read as missing."""

    def __init__(self, session: Session, catalog: Catalog, host: LiveHost, contest_id: int, body: RequestBody, now: datetime) -> None:
        self.session, self.catalog, self.host, self.contest_id, self.body, self.now = session, catalog, host, contest_id, body, now

    def number(self, name: str) -> int | None:
        value = self.body.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 else None

    def words(self, name: str) -> str:
        value = self.body.get(name)
        return value[:500] if isinstance(value, str) else ""

    @property
    def common(self) -> dict[str, Any]:
        return {"decided": self.number("decided")}


def _adjust(press: ConsoleCommand) -> None:
    live_host.adjust_points(
        press.session,
        press.host,
        press.contest_id,
        press.number("points") or 0,
        press.words("why"),
        press.now,
        team_id=press.number("team"),
        **press.common,
    )


def _simple_act(action: Callable[..., None]) -> Act:
    """An act without parameters."""
    return lambda press: action(press.session, press.host, press.contest_id, press.now, **press.common)


def _next(press: ConsoleCommand) -> None:
    live_host.start_next_item(
        press.session,
        press.host,
        press.contest_id,
        press.now,
        n=press.number("n"),
        team_id=press.number("team"),
        stake=press.number("stake") or 0,
        **press.common,
    )


def _void(press: ConsoleCommand) -> None:
    live_host.void_question(press.session, press.host, press.contest_id, press.number("n") or 0, press.words("why"), press.now, **press.common)


def _take_over(press: ConsoleCommand) -> None:
    host_lock.take_over(press.session, press.host, press.contest_id, press.now)


ACTS: dict[str, Act] = {
    "next": _next,
    "buzz": _simple_act(live_host.open_buzzers),
    "close": _simple_act(live_host.close_question),
    "pause": lambda press: live_host.pause(press.session, press.host, press.contest_id, press.now, why=press.words("why"), **press.common),
    "resume": _simple_act(live_host.resume),
    "board": _simple_act(live_host.show_board),
    "void": _void,
    "adjust": _adjust,
    "right": lambda press: live_host.judge(press.session, press.host, press.contest_id, True, press.now, **press.common),
    "wrong": lambda press: live_host.judge(press.session, press.host, press.contest_id, False, press.now, **press.common),
    "finish": lambda press: live_host.finish(press.session, press.catalog, press.host, press.contest_id, press.now, **press.common),
    "take": _take_over,
}


class ConsolePage:
    """The pages under `/console/contests`, for signed-in web sessions."""

    def __init__(
        self,
        database: Database,
        catalog: Callable[[], Catalog],
        clock: Callable[[], datetime],
        feed: LiveFeed,
        sessions: WebSessions,
        pages: Templates,
    ) -> None:
        self._database, self._catalog, self._clock = database, catalog, clock
        self._feed, self._sessions, self._pages = feed, sessions, pages

    def attach(self, app: web.Application) -> None:
        self._sessions.enter(app, "console", lambda visitor: f"/console/contests/{visitor.ref}")
        app.router.add_get(PATH, self._sessions.shows("console", self.show))
        app.router.add_get(f"{PATH}/events", self._sessions.shows("console", self.events), allow_head=False)
        app.router.add_post(f"{PATH}/act", self._sessions.acts("console", self.act))

    async def show(self, request: web.Request, visitor: PageVisitor) -> web.Response:
        live = await self._seen(request, visitor)
        return self._pages.show("live/console.html", visitor=visitor, contest=live)

    async def events(self, request: web.Request, visitor: PageVisitor) -> web.StreamResponse:
        live = await self._seen(request, visitor)
        checked_at = self._clock()

        async def goes_on() -> bool:
            nonlocal checked_at
            if (self._clock() - checked_at).total_seconds() < RIGHTS_CHECK_INTERVAL:
                return True
            checked_at = self._clock()
            return await self._sessions.visitor(request, "console") is not None

        async with self._feed.watch(live.id, "console") as frames:
            return await stream(request, _personal_frames(frames, visitor.learner.id), goes_on)

    async def act(self, request: web.Request, visitor: PageVisitor, said: RequestBody) -> web.Response:
        """One press: {"act": …, "decided": the last decision that the page showed, …}. A refusal is a sentence, with status 409."""
        contest_id, name = int(request.match_info["ref"]), said.get("act")
        act = ACTS.get(name) if isinstance(name, str) else None
        if act is None:
            raise web.HTTPBadRequest

        def work(session: Session) -> None:
            now = self._clock()
            act(ConsoleCommand(session, self._catalog(), host_lock.host_of(session, visitor.learner, "console"), contest_id, said, now))

        try:
            await self._database.write(work, of=visitor.learner.id)
        except Refusal as refusal:
            return web.json_response({"say": str(refusal)}, status=409)
        except InDoubt:
            return web.json_response({"say": "系统繁忙，这一步办成没有暂时确认不了，请看屏幕停在哪一步再点。"}, status=409)
        except Busy:
            return web.json_response({"say": "系统繁忙，这一步没有办，请再点一次。"}, status=409)
        self._feed.poke()
        return web.json_response({"now": self._clock().isoformat()})

    async def _seen(self, request: web.Request, visitor: PageVisitor) -> LiveState:
        contest_id = int(request.match_info["ref"])
        try:
            return await self._database.read(
                lambda session: host_lock.require_live(session, host_lock.host_of(session, visitor.learner, "console"), contest_id)
            )
        except Refusal as refusal:
            raise web.HTTPNotFound from refusal


async def _personal_frames(frames: AsyncIterator[str], person_id: int) -> AsyncIterator[str]:
    """Each frame with whether this visitor is the host, in place of the host's id."""
    async for frame in frames:
        if not frame:
            yield frame
            continue
        frame_data = json.loads(frame)
        frame_data["mine"] = frame_data.pop("host_id") == person_id
        yield json.dumps(frame_data, ensure_ascii=False, separators=(",", ":"))
