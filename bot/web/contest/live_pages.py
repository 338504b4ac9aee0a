"""Pages of a live contest: the feed of frames that all viewers share, the big screen of the hall, and the console of its host."""

from __future__ import annotations

import asyncio
import hmac
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from aiohttp import web
from sqlmodel import Session

from bot.domain.links import PageVisitor
from bot.domain.message import Refusal
from bot.logs import get_logger
from bot.services.contest import live_host, live_scoring, live_views
from bot.services.contest.live_host import LiveHost
from bot.services.contest.live_scoring import LiveStanding
from bot.services.library.catalog import Catalog
from bot.storage.contest import live_state
from bot.storage.contest.live_state import LiveState
from bot.storage.db.commits import Busy, InDoubt
from bot.storage.db.database import Database
from bot.storage.db.engine import driver_errors
from bot.web import middleware
from bot.web.sessions import RequestBody, WebSessions
from bot.web.templates import Templates

# ── The feed ──


log = get_logger(__name__)

LOOK_INTERVAL = 0.2
"""Seconds between two looks at the versions while somebody watches."""
LOOKS_PER_COUNT = 3
"""So many looks until the answers of an open question are counted again: counting two thousand takes longer than looking at a version."""
HEARTBEAT_INTERVAL = 15.0
"""Seconds after which an idle connection gets a heartbeat."""
MAX_WATCHERS = 300
MAX_PUBLIC_WATCHERS = 200
"""Limit for watchers without secret or session, so that many public connections never lock a host out of the console."""

FrameKind = Literal["public", "named", "console"]
_CLOCK_KEYS = ("now", "left")


@dataclass(slots=True)
class WatchedContest:
    """A watched contest: its last frames, and the watchers to wake."""

    version: int = 0
    turn: int = 0
    standing: LiveStanding | None = None
    frames: dict[FrameKind, tuple[datetime, dict[str, Any]]] = field(default_factory=dict)
    compared: dict[FrameKind, str] = field(default_factory=dict)
    watchers: dict[asyncio.Event, FrameKind] = field(default_factory=dict)
    addresses: dict[asyncio.Event, str] = field(default_factory=dict)


class LiveFeed:
    """One a process."""

    def __init__(
        self, database: Database, catalog: Callable[[], Catalog], clock: Callable[[], datetime], an_address: int = MAX_PUBLIC_WATCHERS
    ) -> None:
        """`an_address`: how many streams without secret or session one address may hold."""
        self._database, self._catalog, self._clock, self._an_address = database, catalog, clock, an_address
        self._watched: dict[int, WatchedContest] = {}
        self._task: asyncio.Task[None] | None = None
        self._poke = asyncio.Event()
        self.closing = False

    def attach(self, app: web.Application) -> None:
        app.on_shutdown.append(self._close)

    def poke(self) -> None:
        """Something was just changed here: look at once."""
        self._poke.set()

    @asynccontextmanager
    async def watch(self, contest_id: int, kind: FrameKind, address: str = "") -> AsyncIterator[AsyncIterator[str]]:
        """JSON frames of a contest, the present one first, then one at each change; an empty one when nothing has changed for a while."""
        kinds = [watcher_kind for watched in self._watched.values() for watcher_kind in watched.watchers.values()]
        if self.closing or len(kinds) >= MAX_WATCHERS or (kind == "public" and kinds.count("public") >= MAX_PUBLIC_WATCHERS):
            raise web.HTTPServiceUnavailable
        held = [other for watched in self._watched.values() for other in watched.addresses.values()]
        if kind == "public" and held.count(address) >= self._an_address:
            raise web.HTTPTooManyRequests
        watched = self._watched.setdefault(contest_id, WatchedContest())
        changed = asyncio.Event()
        watched.watchers[changed] = kind
        if kind == "public":
            watched.addresses[changed] = address
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_on())
        self.poke()
        try:
            yield self._frames(watched, changed, kind)
        finally:
            watched.watchers.pop(changed, None)
            watched.addresses.pop(changed, None)
            if not watched.watchers:
                self._watched.pop(contest_id, None)

    async def _frames(self, watched: WatchedContest, changed: asyncio.Event, kind: FrameKind) -> AsyncIterator[str]:
        last_frame: dict[str, Any] | None = None
        while not self.closing:
            made_at, frame = watched.frames.get(kind, (None, None))
            if made_at is not None and frame is not None and frame is not last_frame:
                last_frame = frame
                # A watcher who joins later must not see the clock as it was when the frame was built.
                yield json.dumps(live_views.advance_clock(frame, self._clock() - made_at), ensure_ascii=False, separators=(",", ":"))
            changed.clear()
            try:
                async with asyncio.timeout(HEARTBEAT_INTERVAL):
                    await changed.wait()
            except TimeoutError:
                yield ""

    async def _look_on(self) -> None:
        while self._watched and not self.closing:
            self._poke.clear()
            try:
                await self._look()
            except driver_errors(Busy) as error:
                log.warning("live contests not looked at", reason=type(error).__name__)
            except Exception:
                log.exception("live feed failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poke.wait(), LOOK_INTERVAL)

    async def _look(self) -> None:
        wanted = {contest_id: (watched, frozenset(watched.watchers.values())) for contest_id, watched in self._watched.items()}
        # Not on the database's reader pool: a long report must not delay a live contest.
        await asyncio.to_thread(self._database.read_now, lambda session: self._made(session, wanted))
        for watched, _ in wanted.values():
            for changed in watched.watchers:
                changed.set()

    def _made(self, session: Session, wanted: dict[int, tuple[WatchedContest, frozenset[FrameKind]]]) -> None:
        """In the reader's thread: the frames of every contest that has changed, or whose answers are to be counted again."""
        now = self._clock()
        for contest_id, (watched, kinds) in wanted.items():
            live = live_state.get(session, contest_id)
            if live is None:
                continue
            watched.turn += 1
            has_changed = live.version != watched.version
            if has_changed:
                watched.version, watched.standing = live.version, None
            for kind in watched.frames.keys() - kinds:
                # Nobody watches this kind now; a later watcher must not get a stale frame.
                del watched.frames[kind], watched.compared[kind]
            missing = any(kind not in watched.frames for kind in kinds)
            is_open = live.course.phase in ("lobby", "reading", "open")
            if not (has_changed or missing or (is_open and watched.turn % LOOKS_PER_COUNT == 0)):
                continue
            if watched.standing is None and ("console" in kinds or live_views.shows_board(live)):
                watched.standing = live_scoring.standing(session, live)
            for kind in kinds:
                frame_data = (
                    live_views.console_view(session, self._catalog(), live, now, watched.standing or live_scoring.standing(session, live))
                    if kind == "console"
                    else live_views.screen_view(session, self._catalog(), live, now, watched.standing, named=kind == "named")
                )
                comparable = json.dumps(_without_clock(frame_data), sort_keys=True)
                # A frame that differs only in its clock would make every screen draw again for nothing.
                if comparable != watched.compared.get(kind):
                    watched.compared[kind] = comparable
                    watched.frames[kind] = (now, frame_data)

    async def _close(self, app: web.Application) -> None:
        self.closing = True
        self._poke.set()
        for watched in self._watched.values():
            for changed in watched.watchers:
                changed.set()


def _without_clock(shown: dict[str, Any]) -> dict[str, Any]:
    """The frame without its running clock."""
    still = {key: value for key, value in shown.items() if key not in _CLOCK_KEYS}
    if "item" in still:
        still["item"] = {key: value for key, value in still["item"].items() if key not in _CLOCK_KEYS}
    return still


async def stream(request: web.Request, frames: AsyncIterator[str], goes_on: Callable[[], Any] | None = None) -> web.StreamResponse:
    """Server-sent events until the watcher goes, the service stops, or `goes_on` says no."""
    headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        await response.write(b"retry: 1000\n\n")
        async for frame in frames:
            if goes_on is not None and not await goes_on():
                await response.write(b"event: gone\ndata: {}\n\n")
                break
            await response.write(f"data: {frame}\n\n".encode() if frame else b": \n\n")
    except ConnectionError as error:
        log.debug("watcher gone", error=type(error).__name__)
    return response


# ── The big screen ──


SCREEN_PATH = "/screen/{contest:[0-9]{1,9}}"


class ScreenPage:
    """The pages under `/screen`: open to everybody; names are shown only with the secret in the address that the host was given."""

    def __init__(self, database: Database, feed: LiveFeed, pages: Templates, home: Callable[[], str], *, chat: bool) -> None:
        """`home` gives the public address of the service; `chat` is true where the local chat page is on."""
        self._database, self._feed, self._pages, self._home, self._chat = database, feed, pages, home, chat

    def attach(self, app: web.Application) -> None:
        app.router.add_get(SCREEN_PATH, self.show)
        app.router.add_get(f"{SCREEN_PATH}/events", self.events, allow_head=False)
        app.router.add_get(f"{SCREEN_PATH}/qr.svg", self.qr)
        app.router.add_get(f"{SCREEN_PATH}/join", self.join)

    async def show(self, request: web.Request) -> web.Response:
        live, named = await self._found(request)
        events = f"{self._pages.base}/screen/{live.id}/events{f'?k={live.secret}' if named else ''}"
        return self._pages.show("live/screen.html", contest=live, events=events, home=self._home())

    async def events(self, request: web.Request) -> web.StreamResponse:
        live, named = await self._found(request)
        async with self._feed.watch(live.id, "named" if named else "public", middleware.address_of(request)) as frames:
            return await stream(request, frames)

    async def qr(self, request: web.Request) -> web.Response:
        """The QR code: the address of the join page, or the chat command where no public address is set."""
        live, _ = await self._found(request)
        home = self._home()
        import segno

        code = segno.make(f"{home}/screen/{live.id}/join" if home else f"竞赛 {live.code}", error="m")
        image = io.BytesIO()
        code.save(image, kind="svg", border=2, dark="#10213a", light="#ffffff", svgns=True, omitsize=True)
        return web.Response(body=image.getvalue(), content_type="image/svg+xml")

    async def join(self, request: web.Request) -> web.Response:
        """The page for a phone that has scanned the code: the command to send, and where."""
        live, _ = await self._found(request)
        command = f"竞赛 {live.code}"
        return self._pages.show(
            "live/join.html", contest=live, words=command, chat=f"{self._pages.base}/chat?say={quote(command)}" if self._chat else ""
        )

    async def _found(self, request: web.Request) -> tuple[LiveState, bool]:
        """The live contest, and whether the address carries its secret. 404 for a contest that was never opened."""
        contest_id = int(request.match_info["contest"])
        live = await self._database.read(lambda session: live_state.get(session, contest_id))
        if live is None:
            raise web.HTTPNotFound
        return live, hmac.compare_digest(request.query.get("k", "").encode(), live.secret.encode())


# ── The console of the host ──


CONSOLE_PATH = "/console/contests/{ref:[0-9]{1,9}}"
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
    live_host.take_over(press.session, press.host, press.contest_id, press.now)


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
        app.router.add_get(CONSOLE_PATH, self._sessions.shows("console", self.show))
        app.router.add_get(f"{CONSOLE_PATH}/events", self._sessions.shows("console", self.events), allow_head=False)
        app.router.add_post(f"{CONSOLE_PATH}/act", self._sessions.acts("console", self.act))

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
            act(ConsoleCommand(session, self._catalog(), live_host.host_of(session, visitor.learner, "console"), contest_id, said, now))

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
                lambda session: live_host.require_live(session, live_host.host_of(session, visitor.learner, "console"), contest_id)
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
