"""The big screen of a live contest, and the page to which its QR code leads a phone."""

from __future__ import annotations

import hmac
import io
from collections.abc import Callable
from urllib.parse import quote

from aiohttp import web

from bot.storage.contest import live_state
from bot.storage.contest.live_state import LiveState
from bot.storage.db.database import Database
from bot.web import middleware
from bot.web.contest.live_feed import LiveFeed, stream
from bot.web.templates import Templates

PATH = "/screen/{contest:[0-9]{1,9}}"


class ScreenPage:
    """The pages under `/screen`: open to everybody; names are shown only with the secret in the address that the host was given."""

    def __init__(self, database: Database, feed: LiveFeed, pages: Templates, home: Callable[[], str], *, chat: bool) -> None:
        """`home` gives the public address of the service; `chat` is true where the local chat page is on."""
        self._database, self._feed, self._pages, self._home, self._chat = database, feed, pages, home, chat

    def attach(self, app: web.Application) -> None:
        app.router.add_get(PATH, self.show)
        app.router.add_get(f"{PATH}/events", self.events, allow_head=False)
        app.router.add_get(f"{PATH}/qr.svg", self.qr)
        app.router.add_get(f"{PATH}/join", self.join)

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
