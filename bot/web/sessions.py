"""Web sessions of the pages: a one-time link opens one, a cookie keeps it, and only same-origin requests with its proof change anything.

To add a page:

1. Declare its purpose in `bot/domain/links.py` (path, title, role, how long a visit lasts).
2. `sessions.enter(app, "console", destination)` adds the routes that open and end a session: `GET|POST /console/in/{token}` and
   `POST /console/out`. `destination` gives the path that a visitor is sent to.
3. Add a route that only shows something as `sessions.shows("console", handler)` with `handler(request, visitor)`; add one that changes something
   by POST as `sessions.acts("console", handler)` with `handler(request, visitor, body)`, where `body` is the JSON object or form without the
   proof; `request[ARRIVED]` is the moment at which the whole of it had arrived.
   A route with `{ref}` in it is open to the session of that ref alone; whether anything exists at another ref is not disclosed.
4. Ask `await sessions.visitor(request, "console")` again, for instance once a minute while events are sent: None ends the stream.
5. A link is offered in the chat: `bot/commands/links.py`, `link_lines`.

A page is rendered by `sessions.pages.show(template, visitor=visitor, …)`. Its proof is in `<meta name="proof">`, where `ask.js` reads it; a
plain form carries it as `<input type="hidden" name="proof" value="{{ visitor.proof }}">`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from yarl import URL

from bot.domain.links import PURPOSES, LinkPurpose, PageVisitor
from bot.logs import get_logger
from bot.services import links
from bot.storage.db.commits import Busy
from bot.storage.db.database import Database
from bot.web.templates import Templates

log = get_logger(__name__)

LARGEST_BODY_BYTES = 32_768
LONGEST_TOKEN = 100
SEEN_EVERY = timedelta(minutes=1)
"""How often the last activity of a session is recorded."""

GONE = ("这个链接打不开", "链接只能打开一次，10 分钟内有效。请回到聊天，发送「{back}」重新要一个。")
STRANGER = ("请从聊天里打开", "这个页面要从聊天里打开：请回到聊天，发送「{back}」。已经记录的都还在。")
ARRIVED = web.RequestKey("arrived", datetime)
"""When the whole body of a request had arrived, by the service's clock: set in `acts` before anything waits for the database."""

FOREIGN = ("没有办成", "这一步不是从本页面发出的，未记录。请回到聊天，重新打开页面再试。")

RequestBody = Mapping[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PageHandler = Callable[[web.Request, PageVisitor], Awaitable[web.StreamResponse]]
ActionHandler = Callable[[web.Request, PageVisitor, RequestBody], Awaitable[web.StreamResponse]]


class WebSessions:
    """Opens sessions by one-time links, recognises them by their cookies, and refuses what other origins send."""

    def __init__(self, database: Database, clock: Callable[[], datetime], pages: Templates, public_url: str = "") -> None:
        """`public_url` is the pages' public address; with https the cookies are for this host and for TLS alone."""
        self.pages = pages
        self._database = database
        self._clock = clock
        self._public_origin = URL(public_url).origin() if public_url else None
        self._base = pages.base
        self._secure = self._public_origin is not None and self._public_origin.scheme == "https"

    def enter(self, app: web.Application, purpose: str, destination: Callable[[PageVisitor], str]) -> None:
        """Add the routes that open and end a session of the purpose; a new visitor is redirected to the `destination`."""
        link_purpose = PURPOSES[purpose]

        async def preview(request: web.Request) -> web.Response:
            # Chat clients fetch links to preview them: a GET neither spends the link nor discloses anything.
            token, now = request.match_info["token"][:LONGEST_TOKEN], self._clock()
            if await self._database.read(lambda session: links.is_good(session, purpose, token, now)):
                return self.pages.show("door/open.html", purpose=link_purpose)
            return await self._refuse_link(request, link_purpose, destination)

        async def open_link(request: web.Request) -> web.Response:
            if not self._is_same_origin(request):
                return self._refuse(request, link_purpose, FOREIGN, 403)
            token, now = request.match_info["token"][:LONGEST_TOKEN], self._clock()
            entered = await self._database.write(lambda session: links.open_link(session, purpose, token, now))
            if entered is None:
                return await self._refuse_link(request, link_purpose, destination)
            secret, visitor = entered
            response = web.Response(status=303, headers={"Location": self._base + destination(visitor)})
            # Always a new secret, so that a cookie planted in the browser before opens nothing.
            response.set_cookie(
                self._cookie(link_purpose),
                secret,
                path=self._base or "/",
                max_age=int(link_purpose.life.total_seconds()),
                httponly=True,
                secure=self._secure,
                samesite="Strict",
            )
            return response

        async def leave(request: web.Request, visitor: PageVisitor, body: RequestBody) -> web.Response:
            now = self._clock()
            await self._database.write(lambda session: links.end_visit(session, visitor, now))
            response = self.pages.show("door/closed.html", head="已退出", sentence="这个页面已经关上，可以回到聊天了。", onward="")
            response.del_cookie(self._cookie(link_purpose), path=self._base or "/", secure=self._secure, httponly=True, samesite="Strict")
            return response

        app.router.add_get(f"{link_purpose.path}/in/{{token}}", preview)
        app.router.add_post(f"{link_purpose.path}/in/{{token}}", open_link)
        app.router.add_post(f"{link_purpose.path}/out", self.acts(purpose, leave))

    def shows(self, purpose: str, handler: PageHandler) -> Handler:
        """A handler for a page or its data, for a session of the purpose (and of the route's `{ref}`) alone. It must change nothing."""

        async def show(request: web.Request) -> web.StreamResponse:
            visitor = await self.visitor(request, purpose)
            if visitor is None:
                return self._refuse(request, PURPOSES[purpose], STRANGER, 403)
            return await handler(request, visitor)

        return show

    def acts(self, purpose: str, handler: ActionHandler) -> Handler:
        """A handler for what changes something: as `shows`, and only for requests that the visitor's own page has sent. Add it by POST only."""

        async def act(request: web.Request) -> web.StreamResponse:
            link_purpose = PURPOSES[purpose]
            if not self._is_same_origin(request):
                return self._refuse(request, link_purpose, FOREIGN, 403)
            body = await _read_body(request)
            request[ARRIVED] = self._clock()
            visitor = await self.visitor(request, purpose)
            if visitor is None:
                return self._refuse(request, link_purpose, STRANGER, 403)
            proof = request.headers.get("X-Proof") or body.pop("proof", "")
            if not isinstance(proof, str) or not hmac.compare_digest(proof.encode(), visitor.proof.encode()):
                return self._refuse(request, link_purpose, FOREIGN, 403)
            return await handler(request, visitor, body)

        return act

    async def visitor(self, request: web.Request, purpose: str) -> PageVisitor | None:
        """The visitor with the rights they have at this moment; None without a session, for another ref, and for a session that has ended."""
        secret = request.cookies.get(self._cookie(PURPOSES[purpose]), "")
        if not 0 < len(secret) <= LONGEST_TOKEN:
            return None
        now = self._clock()
        visitor = await self._database.read(lambda session: links.find_visitor(session, purpose, secret, now))
        if visitor is None or request.match_info.get("ref", visitor.ref) != visitor.ref:
            return None
        if now - visitor.seen_at >= SEEN_EVERY:
            try:
                await self._database.write(lambda session: links.mark_seen(session, visitor, now))
            except Busy:
                # A page can be read while the database cannot be written.
                log.info("visit not written down", purpose=purpose)
        return visitor

    def _cookie(self, purpose: LinkPurpose) -> str:
        if not self._secure:
            return f"visit-{purpose.name}"
        # A cookie of the whole host may be called so by browsers; one that is kept to our own path, beside other services, may not.
        return f"{'__Secure-' if self._base else '__Host-'}{purpose.name}"

    def _is_same_origin(self, request: web.Request) -> bool:
        """True for what one of our pages sends. A browser names the origin in one header or in both; without either the request is refused."""
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site is None and origin is None:
            return False
        return site in (None, "same-origin") and (origin is None or self._is_own_origin(origin, request.host))

    def _is_own_origin(self, origin: str, host: str) -> bool:
        try:
            url = URL(origin)
            return url.host is not None and (url.origin() == self._public_origin or url.authority == host)
        except ValueError:
            return False

    async def _refuse_link(self, request: web.Request, purpose: LinkPurpose, destination: Callable[[PageVisitor], str]) -> web.Response:
        """One answer for a link that was used, has expired or never existed; with a link onward for whoever opened it in this very browser."""
        visitor = await self.visitor(request, purpose.name)
        head, sentence = GONE
        return self.pages.show(
            "door/closed.html",
            404,
            head=head,
            sentence=sentence.format(back=purpose.command),
            onward="" if visitor is None else self._base + destination(visitor),
        )

    def _refuse(self, request: web.Request, purpose: LinkPurpose, message: tuple[str, str], status: int) -> web.Response:
        """The refusal, as a page for a person and as JSON for a script: {"say": …}."""
        head, sentence = message[0], message[1].format(back=purpose.command)
        if "application/json" in (request.headers.get("Accept") or ""):
            return web.json_response({"say": sentence}, status=status)
        return self.pages.show("door/closed.html", status, head=head, sentence=sentence, onward="")


async def _read_body(request: web.Request) -> dict[str, Any]:
    """The body of a request as names and values: a JSON object or a form. Raises HTTPBadRequest for anything else or too much of it."""
    if (request.content_length or 0) > LARGEST_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(max_size=LARGEST_BODY_BYTES, actual_size=request.content_length or 0)
    if request.content_type == "application/x-www-form-urlencoded":
        return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    raw = await request.read()
    if len(raw) > LARGEST_BODY_BYTES or request.content_type != "application/json":
        raise web.HTTPBadRequest
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as wrong:
        raise web.HTTPBadRequest from wrong
    if not isinstance(body, dict):
        raise web.HTTPBadRequest
    return body
