"""HTTP middleware: slow requests are dropped, every response carries the same security headers, errors disclose nothing."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from yarl import URL

from bot import logs
from bot.logs import get_logger
from bot.storage.db.commits import Busy

log = get_logger(__name__)

WHOLE_REQUEST_SECONDS = 12.0
"""For the head and, from there, for the body. A reverse proxy must close idle connections sooner than this."""
LARGEST_BODY = 1_048_576
SERVER = "xuefa-bot"

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_STATUS_TEXTS = {
    400: "bad request",
    403: "没有权限",
    404: "没有这个页面",
    405: "bad request",
    408: "bad request",
    413: "bad request",
    503: "系统繁忙，请稍后再试",
}

MACHINES = "/channels/"
"""Below this path no browser is answered, but platforms: they get no header that guides one."""
_REQUESTS = itertools.count(1)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def next_request() -> int:
    """The number of a request, for the log."""
    return next(_REQUESTS)


@web.middleware
async def protect(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Number the request for the log, set a deadline for its body, and turn every error into a plain response."""
    timer = None
    if request.can_read_body and not request.content.is_eof():
        timer = asyncio.get_running_loop().call_later(WHOLE_REQUEST_SECONDS, _drop_slow_body, request)
    token = logs.REQUEST.set(next_request())
    try:
        return await _answer_errors(request, handler)
    finally:
        logs.REQUEST.reset(token)
        if timer is not None:
            timer.cancel()


async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return plain(error.status)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except web.RequestPayloadError:
        return plain(400)
    except Busy:
        return plain(503)
    except Exception:
        log.exception("request failed", path=_route_of(request))
        return plain(500)


def _route_of(request: web.Request) -> str:
    """The route and not the path: a path may contain a secret (a one-time link)."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def plain(status: int) -> web.Response:
    """An error response whose text depends on the status alone."""
    return web.Response(status=status, text=_STATUS_TEXTS.get(status, "系统出了点问题，请稍后再试" if status >= 500 else "bad request"))


def _drop_slow_body(request: web.Request) -> None:
    transport = request.transport
    if transport is not None and not request.content.is_eof():
        log.info("slow body dropped", path=_route_of(request))
        transport.abort()


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that every page carries, and remove the one that names the server software."""
    response.headers.pop("Server", None)
    if request.path.startswith(MACHINES):
        return
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")


class _Connection(web.RequestHandler):
    """A connection that answers unparsable requests as any other bad request."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            log.debug("connection gone", error=type(exc).__name__)
        elif status >= 500:
            log.error("connection failed", error=type(exc).__name__ if exc else "unknown")
        response = plain(status if status >= 500 else 400)
        response.headers.update({**HEADERS, "Server": SERVER, "Cache-Control": "no-store"})
        response.force_close()
        return response


def connection_factory(server: web.Server, loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.Protocol]:
    """The protocol factory of the listening socket: its keep-alive time-out counts from the first byte, so that it bounds heads too."""

    def connection() -> Any:
        # Bodies are never decompressed, so that a decompression bomb costs no more than its size.
        # No access log: a path may contain a secret (a one-time link), and the reverse proxy logs requests anyway.
        return _Connection(server, loop=loop, keepalive_timeout=WHOLE_REQUEST_SECONDS, lingering_time=2.0, auto_decompress=False, access_log=None)  # type: ignore[arg-type]

    return connection


def serve_under(server: web.Server, base: str) -> None:
    """Take requests under `base` as those without it, so that it matters to nobody whether the reverse proxy takes the path off."""
    if not base:
        return
    make_request: Any = server.request_factory

    def make(message: Any, *further: Any) -> Any:
        if message.path == base or message.path.startswith((f"{base}/", f"{base}?")):
            path = message.path[len(base) :]
            message = message._replace(path=path if path.startswith("/") else f"/{path}", url=_without(message.url, base))
        return make_request(message, *further)

    server.request_factory = make


def _without(url: URL, base: str) -> URL:
    """The URL of a request, without the path under which it was asked."""
    return URL.build(
        scheme=url.scheme, authority=url.raw_authority, path=url.raw_path[len(base) :] or "/", query_string=url.raw_query_string, encoded=True
    )


TRUSTED_PROXIES: web.AppKey[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]] = web.AppKey("trusted_proxies", tuple)
"""The networks of our own reverse proxies: what they say of whom they speak for is believed."""
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))


def address_of(request: web.Request) -> str:
    """Whose requests are counted together: an address, of IPv6 the network of one line. Behind our proxies, the last whom none of them is."""
    trusted = request.app.get(TRUSTED_PROXIES, LOOPBACK)
    hops = [hop.strip() for line in request.headers.getall("X-Forwarded-For", ()) for hop in line.split(",")]
    try:
        peer = ipaddress.ip_address(request.remote or "")
        while hops and any(peer in network for network in trusted):
            peer = ipaddress.ip_address(hops.pop())
    except ValueError:
        return request.remote or ""
    return str(ipaddress.ip_network(f"{peer}/64", strict=False)) if peer.version == 6 else str(peer)
