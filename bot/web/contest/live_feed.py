"""The live feed for screens and consoles: while anybody watches, one task a process polls the database and builds frames for all watchers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import structlog
from aiohttp import web
from sqlmodel import Session

from bot.services.contest import live_results, live_views
from bot.services.contest.live_results import LiveStanding
from bot.services.library.catalog import Catalog
from bot.storage.contest import live_state
from bot.storage.db.database import Database
from bot.storage.db.engine import DRIVER_ERRORS
from bot.storage.db.writer import Busy

log = structlog.get_logger(__name__)

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
            except (Busy, *DRIVER_ERRORS) as error:
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
                watched.standing = live_results.standing(session, live)
            for kind in kinds:
                frame_data = (
                    live_views.console_view(session, self._catalog(), live, now, watched.standing or live_results.standing(session, live))
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
