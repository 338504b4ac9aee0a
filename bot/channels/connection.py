"""Connections on which callbacks are answered without a request object and a task for each; everything else is handed to another protocol.

A callback is served here when all of it came in one read and there is nothing unusual about it (`read_request`). The first read of any other kind
hands the connection over, with every byte of it, to a protocol that knows all of HTTP (aiohttp's), which keeps it: whoever sends in pieces, asks for
a page, uses chunks, or is no HTTP client at all, meets what he would have met without this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from email.utils import formatdate
from time import time
from typing import NamedTuple, cast

from bot.channels.callback import Callback, CallbackResponse, CallbackRoute
from bot.logs import get_logger

log = get_logger(__name__)

LONGEST_HEAD = 4096
MOST_HEADERS = 40
SWEEP_SECONDS = 1.0
_POST = b"POST /channels/"
_END = b"\r\n\r\n"
_QUERY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~=&")
"""Characters that mean themselves in a query; whatever has to be decoded is decoded elsewhere."""
_UNUSUAL = frozenset(("transfer-encoding", "content-encoding", "expect", "upgrade", "trailer", "te", "proxy-connection"))
_REASONS = {200: b"OK", 400: b"Bad Request", 500: b"Internal Server Error"}

Answer = Callable[[CallbackRoute, Callback], None]
"""Answers one callback; the application numbers it for the log."""


class WholeRequest(NamedTuple):
    """A callback that came in one read."""

    route: CallbackRoute
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool
    version: int


def read_request(data: bytes, routes: Mapping[str, CallbackRoute]) -> WholeRequest | None:
    """The callback that these bytes are, no more and no less; None for anything else, which may be a right request all the same."""
    if not data.startswith(_POST):
        return None
    end = data.find(_END, 0, LONGEST_HEAD)
    if end < 0:
        return None
    try:
        line, *lines = data[:end].decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        return None
    _, _, rest = line.partition(" ")
    target, _, protocol = rest.partition(" ")
    path, _, query_text = target.partition("?")
    route = routes.get(path)
    if route is None or protocol not in ("HTTP/1.1", "HTTP/1.0") or len(lines) > MOST_HEADERS:
        return None
    headers = _headers(lines)
    query = _query(query_text)
    if headers is None or query is None or not _UNUSUAL.isdisjoint(headers):
        return None
    length = headers.get("content-length", "")
    if not length.isdigit() or len(length) > 7 or len(data) - end - 4 != int(length):
        return None
    connection = headers.get("connection", "").lower()
    if connection not in ("", "close", "keep-alive"):
        return None
    keep_alive = connection != "close" if protocol == "HTTP/1.1" else connection == "keep-alive"
    return WholeRequest(route, query, headers, data[end + 4 :], keep_alive, 1 if protocol == "HTTP/1.1" else 0)


def _headers(lines: list[str]) -> dict[str, str] | None:
    """Each header once, its name in lower case; None where a line is anything but a plain header, or a name comes twice."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not (colon and line.isprintable() and name.replace("-", "").isalnum()) or name in headers:
            return None
        headers[name] = value.strip(" ")
    return headers


def _query(text: str) -> dict[str, str] | None:
    """Each value once; None where something has to be decoded, or a name comes twice."""
    if not _QUERY.issuperset(text):
        return None
    query: dict[str, str] = {}
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            if name in query:
                return None
            query[name] = value
    return query


class CallbackConnection(asyncio.Protocol):
    """One connection, as long as nothing but whole callbacks comes on it, one at a time."""

    __slots__ = ("_ahead", "_answering", "_full", "_keep_alive", "_pool", "_version", "idle_since", "transport")

    def __init__(self, pool: CallbackConnections) -> None:
        self.transport: asyncio.Transport
        self.idle_since = 0.0
        self._pool = pool
        self._ahead = b""
        self._answering = False
        self._full = False
        self._keep_alive = True
        self._version = 1

    @property
    def is_answering(self) -> bool:
        return self._answering

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._pool.add(self)

    def connection_lost(self, wrong: Exception | None) -> None:
        self._pool.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._answering or self._full:
            # The next request, before this one is answered: it waits its turn, and whoever sent it too.
            self._ahead += data
            self.transport.pause_reading()
            return
        request = read_request(data, self._pool.routes)
        if request is None:
            self._hand_over(data)
            return
        self._answering = True
        self._keep_alive = request.keep_alive
        self._version = request.version
        self._pool.answer(request.route, Callback(request.query, request.headers, request.body, self._respond))

    def _hand_over(self, data: bytes) -> None:
        self._pool.discard(self)
        protocol = self._pool.make_connection()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(data)

    def _respond(self, response: CallbackResponse) -> None:
        self._answering = False
        if self.transport.is_closing():
            return
        keep_alive = self._keep_alive and not self._pool.is_closing
        persistence = b"" if keep_alive == (self._version == 1) else b"Connection: keep-alive\r\n" if keep_alive else b"Connection: close\r\n"
        self.transport.write(
            b"HTTP/1.%d %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nDate: %b\r\n%b\r\n%b"
            % (
                self._version,
                response.status,
                _REASONS[response.status],
                response.content_type.encode(),
                len(response.body),
                self._pool.date(),
                persistence,
                response.body,
            )
        )
        if not keep_alive:
            self.transport.close()
            self._pool.discard(self)
            return
        self.idle_since = self._pool.now()
        self._go_on()

    def pause_writing(self) -> None:
        """Whoever does not read the answers is not heard either."""
        self._full = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        self._go_on()

    def _go_on(self) -> None:
        """Read on, beginning with what came too early."""
        if self._answering or self._full:
            return
        if self._ahead:
            data, self._ahead = self._ahead, b""
            self.transport.resume_reading()
            self.data_received(data)
        elif not self.transport.is_reading():
            self.transport.resume_reading()


class CallbackConnections:
    """The connections of one listening socket that answer callbacks themselves: made, swept while idle, closed in order at the end."""

    def __init__(
        self,
        routes: Mapping[str, CallbackRoute],
        make_connection: Callable[[], asyncio.Protocol],
        *,
        idle_seconds: float,
        answer: Answer = CallbackRoute.answer,
    ) -> None:
        """`make_connection` makes the protocol for everything else; `idle_seconds` is how long a connection may say nothing."""
        self.routes = routes
        self.make_connection = make_connection
        self.answer = answer
        self.is_closing = False
        self._idle_seconds = idle_seconds
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._connections: set[CallbackConnection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._dated = 0
        self._date = b""

    def __call__(self) -> asyncio.Protocol:
        """The protocol factory of the listening socket."""
        return CallbackConnection(self)

    def add(self, connection: CallbackConnection) -> None:
        connection.idle_since = self.now()
        self._connections.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(min(SWEEP_SECONDS, self._idle_seconds / 2), self._sweep)

    def discard(self, connection: CallbackConnection) -> None:
        self._connections.discard(connection)

    def date(self) -> bytes:
        """The value of the Date header, made once a second."""
        second = int(time())
        if second != self._dated:
            self._dated, self._date = second, formatdate(second, usegmt=True).encode()
        return self._date

    def _sweep(self) -> None:
        """Close whoever has been idle for too long; one timer does for all."""
        self._timer = None
        deadline = self.now() - self._idle_seconds
        for connection in tuple(self._connections):
            if connection.idle_since <= deadline and not connection.is_answering:
                # Without waiting for an answer to be read that nobody reads.
                connection.transport.abort()
        if self._connections:
            self._timer = self._loop.call_later(min(SWEEP_SECONDS, self._idle_seconds / 2), self._sweep)

    async def shut_down(self, seconds: float) -> None:
        """Close what is idle; wait so long for the answers in hand, with each of which its connection ends."""
        # What came before the end is begun first.
        await asyncio.sleep(0)
        self.is_closing = True
        deadline = self.now() + seconds
        while self._connections:
            for connection in tuple(self._connections):
                if not connection.is_answering or self.now() >= deadline:
                    connection.transport.close()
                    self.discard(connection)
            if self._connections:
                await asyncio.sleep(0.02)
        if self._timer is not None:
            self._timer.cancel()
