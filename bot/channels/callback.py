"""What HTTP callbacks share: reading one, its response, and answering in the background when the platform stops waiting.

A callback is answered by calling `respond`, at once or when its reply is there, so that it needs neither a request object nor a task of its own. It
comes by aiohttp or, where it was complete in one read, straight from the connection (bot/channels/connection.py); the channels do not see which.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bot.channels.base import Note
from bot.channels.outbound.errors import PlatformError
from bot.channels.outbound.http import encode
from bot.channels.signature import BadEnvelope, EnvelopeStamp
from bot.domain.message import Incoming, IncomingHandler, Reply
from bot.logs import get_logger

log = get_logger(__name__)

BODY_SECONDS = 5.0
DRAIN_SECONDS = 8.0
REMEMBERED = 20_000
"""How many recent messages are remembered as answered; a copy of a forgotten one may be answered twice."""
STALE = "stale"
PLAIN_TEXT, XML, JSON = "text/plain; charset=utf-8", "application/xml; charset=utf-8", "application/json; charset=utf-8"

SendLate = Callable[[Reply], Awaitable[None]]
CopyKey = tuple[str, str, str]
"""How it was answered ("late", "beside"), the sender and the message's id, which all copies of a message share."""


class CallbackResponse(NamedTuple):
    """What goes back to the platform: a machine, for which headers that guide a browser would be wasted."""

    body: bytes
    content_type: str = PLAIN_TEXT
    status: int = 200


Respond = Callable[[CallbackResponse], None]

SUCCESS = CallbackResponse(b"success")
REFUSED = CallbackResponse(b"bad request", status=400)
"""The same to everything that is no genuine, fresh, well-formed callback."""
BROKEN = CallbackResponse("系统出了点问题，请稍后再试".encode(), status=500)


def record_key(note: Note, channel: str, former: str) -> None:
    """While an old token or key is taken beside the new: write down by which of them a callback was accepted."""
    log.info("callback accepted", channel=channel, by=f"former {former}" if former else "current")
    if former:
        note("former_key", channel, 1)


def json_response(answer: Mapping[str, Any]) -> CallbackResponse:
    return CallbackResponse(encode(answer), JSON)


class Callback(NamedTuple):
    """One callback: its query and headers (names of the latter in lower case; a name that comes twice has no value), and how to respond to it."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    respond: Respond


def require_value(values: Mapping[str, str], name: str, reason: str = "query") -> str:
    """The value of a name that is there once and not empty; raises `BadEnvelope`."""
    value = values.get(name)
    if not value:
        raise BadEnvelope(reason)
    return value


def query_stamp(query: Mapping[str, str], signature: str = "msg_signature") -> EnvelopeStamp:
    return EnvelopeStamp(require_value(query, signature), require_value(query, "timestamp"), require_value(query, "nonce"))


def values_once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names and their values; a name that comes twice has an empty one."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = "" if name in values else value
    return values


Receive = Callable[[Callback], None]
"""Responds to a callback, now or later; raises `BadEnvelope` for one to refuse."""
CheckHead = Callable[[Mapping[str, str], Mapping[str, str]], object]
"""Looks at the query and the headers of a callback whose body is not read yet; raises `BadEnvelope`."""


@dataclass(frozen=True, slots=True)
class CallbackRoute:
    """An address that a platform posts to: what receives it, and what all of them refuse in the same way."""

    channel: str
    path: str
    receive: Receive
    check_head: CheckHead
    note: Note
    cap: int
    """The largest body, in bytes."""

    def answer(self, callback: Callback) -> None:
        """Respond to a whole callback."""
        try:
            if len(callback.body) > self.cap:
                raise BadEnvelope("size")
            if "content-encoding" in callback.headers:
                raise BadEnvelope("encoding")
            self.receive(callback)
        except BadEnvelope as wrong:
            callback.respond(self.refuse(wrong))
        except Exception:
            log.exception("request failed", path=self.path)
            callback.respond(BROKEN)

    async def respond_with(self, callback: Callback, answer: Awaitable[CallbackResponse]) -> None:
        """Respond with what takes a while, in a task of the channel's own."""
        try:
            response = await answer
        except Exception:
            log.exception("request failed", path=self.path)
            response = BROKEN
        callback.respond(response)

    def refuse(self, wrong: BadEnvelope) -> CallbackResponse:
        """The one response to whatever is refused; the reason is only logged."""
        log.info("callback refused", channel=self.channel, reason=wrong.reason)
        if wrong.reason == STALE:
            # Either somebody replays old messages, or our clock is wrong and everybody is refused: an operator has to see it.
            log.error("callbacks from another hour: is this host's clock right?", channel=self.channel)
            self.note("stale", self.channel, 1)
        self.note("refused", self.channel, 1)
        return REFUSED

    async def serve(self, request: web.Request) -> web.Response:
        """The same by aiohttp, for callbacks that come in pieces: the body is only read when the head is right."""
        query = values_once(request.query.items())
        headers = values_once((name.lower(), value) for name, value in request.headers.items())
        try:
            self.check_head(query, headers)
            body = await read_body(request, self.cap)
        except BadEnvelope as wrong:
            return web_response(self.refuse(wrong))
        answered: asyncio.Future[CallbackResponse] = asyncio.get_running_loop().create_future()

        def respond(response: CallbackResponse) -> None:
            # It is done already where the server has given the request up.
            if not answered.done():
                answered.set_result(response)

        self.answer(Callback(query, headers, body, respond))
        return web_response(await answered)


CALLBACKS: web.AppKey[dict[str, CallbackRoute]] = web.AppKey("callbacks", dict[str, CallbackRoute])
"""The application's callback routes by their path."""


def add_route(app: web.Application, route: CallbackRoute) -> None:
    app.router.add_post(route.path, route.serve)
    app.setdefault(CALLBACKS, {})[route.path] = route


def add_address_check(app: web.Application, route: CallbackRoute, check: Callable[[Mapping[str, str]], str]) -> None:
    """The console's check of the address: `check` gives the word to echo, or raises `BadEnvelope`."""

    async def verify(request: web.Request) -> web.Response:
        try:
            response = web_response(CallbackResponse(check(values_once(request.query.items())).encode()))
        except BadEnvelope as wrong:
            response = web_response(route.refuse(wrong))
        # Unlike what is posted, this address can be opened in a browser.
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    app.router.add_get(route.path, verify, allow_head=False)


def web_response(response: CallbackResponse) -> web.Response:
    return web.Response(body=response.body, status=response.status, headers={"Content-Type": response.content_type})


async def read_body(request: web.Request, cap: int) -> bytes:
    """The body, at most `cap` bytes, read within 5 seconds and never decompressed; raises `BadEnvelope`."""
    if "Content-Encoding" in request.headers:
        raise BadEnvelope("encoding")
    if (request.content_length or 0) > cap:
        raise BadEnvelope("size")
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.content.iter_any():
                content += part
                if len(content) > cap:
                    break
    except TimeoutError:
        raise BadEnvelope("slow") from None
    except (web.RequestPayloadError, aiohttp.ClientPayloadError, HttpProcessingError):
        raise BadEnvelope("body") from None
    if len(content) > cap:
        raise BadEnvelope("size")
    return bytes(content)


class _PendingReply(NamedTuple):
    """A callback whose message is being decided."""

    callback: Callback
    incoming: Incoming
    render: Callable[[Reply | None], CallbackResponse]
    send_late: SendLate
    started: float


def _reply_of(decided: asyncio.Future[Reply]) -> Reply | None:
    """What was decided, or None where the handler has failed."""
    return None if decided.cancelled() or decided.exception() is not None else decided.result()


class ReplyDeadline:
    """Waits for a reply as long as the platform does; a later reply is sent in the background, once for all copies of the message."""

    def __init__(self, channel: str, seconds: float, note: Note) -> None:
        self._channel = channel
        self._seconds = seconds
        self._note = note
        self._tasks: set[asyncio.Future[Any]] = set()
        self._answered: OrderedDict[CopyKey, Reply | None] = OrderedDict()
        self._pending: dict[asyncio.Future[Reply], _PendingReply] = {}
        """In the order in which they came, which is the order in which they become late: one timer does for all."""
        self._timer: asyncio.TimerHandle | None = None

    def answer(
        self,
        callback: Callback,
        handle: IncomingHandler,
        incoming: Incoming,
        render: Callable[[Reply | None], CallbackResponse],
        send_late: SendLate,
    ) -> None:
        """Respond with what `render` makes of the reply, or of None when there is none in time and `send_late` will be called with it.

        A handler that gives a future is waited for without a task; a coroutine gets one.
        """
        loop = asyncio.get_running_loop()
        self._note("heard", self._channel, 1)
        started = loop.time()
        decided = asyncio.ensure_future(handle(incoming))
        self._pending[decided] = _PendingReply(callback, incoming, render, send_late, started)
        if self._timer is None:
            self._timer = loop.call_at(started + self._seconds, self._sweep)
        decided.add_done_callback(partial(self._decide, incoming))

    def _decide(self, incoming: Incoming, decided: asyncio.Future[Reply]) -> None:
        """The reply is there, or the handler has failed."""
        if not decided.cancelled() and (wrong := decided.exception()) is not None:
            log.error("message failed", channel=self._channel, message_id=incoming.message_id, exc_info=wrong)
        pending = self._pending.pop(decided, None)
        if pending is None:
            return
        self._note("reply_seconds", self._channel, asyncio.get_running_loop().time() - pending.started)
        reply = _reply_of(decided)
        key = ("late", incoming.sender.user, incoming.message_id)
        if key in self._answered:
            # Another copy of this message was late and its reply is sent separately; only a different reply (the first was shed) is given here.
            late_reply = self._answered[key]
            reply = None if late_reply is None or late_reply == reply else reply
        self._respond(pending, reply)

    def _respond(self, pending: _PendingReply, reply: Reply | None) -> None:
        try:
            response = pending.render(reply)
        except Exception:
            log.exception("request failed", channel=self._channel)
            response = BROKEN
        pending.callback.respond(response)

    def _sweep(self) -> None:
        """Everybody whose time is up is late; the timer is set for the next."""
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        expired: list[tuple[asyncio.Future[Reply], _PendingReply]] = []
        for decided, pending in self._pending.items():
            if pending.started + self._seconds > now:
                self._timer = loop.call_at(pending.started + self._seconds, self._sweep)
                break
            expired.append((decided, pending))
        for decided, pending in expired:
            self._give_up(decided, pending)

    def _give_up(self, decided: asyncio.Future[Reply], pending: _PendingReply) -> None:
        """Respond without the reply, which is sent as soon as it is there."""
        del self._pending[decided]
        self._note("reply_seconds", self._channel, asyncio.get_running_loop().time() - pending.started)
        self._note("late", self._channel, 1)
        self._keep(decided)
        self._answer_late(("late", pending.incoming.sender.user, pending.incoming.message_id), decided, pending.send_late)
        self._respond(pending, None)

    def _answer_late(self, key: CopyKey, decided: asyncio.Future[Reply], send_late: SendLate) -> None:
        if not self._claim(key):
            return

        async def answer() -> None:
            await asyncio.wait((decided,))
            if reply := _reply_of(decided):
                await send_late(reply)
                self._answered[key] = reply

        self.run_in_background(answer(), forget=key)

    def is_first_copy(self, incoming: Incoming) -> bool:
        """True for the first answered copy of a message, with which the messages beside the reply are sent."""
        return self._claim(("beside", incoming.sender.user, incoming.message_id))

    def _claim(self, key: CopyKey) -> bool:
        if key in self._answered:
            return False
        self._answered[key] = None
        while len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        return True

    def run_in_background(self, work: Coroutine[Any, Any, None], *, forget: CopyKey | None = None) -> None:
        """Run `work` in a task; a failure is counted, and `forget` lets a later copy of the message be answered again."""

        async def answer() -> None:
            try:
                await work
            except PlatformError as wrong:
                log.warning("active reply failed", channel=self._channel, kind=wrong.kind, code=wrong.code)
            except Exception:
                log.exception("active reply failed", channel=self._channel)
            else:
                return
            self._note("send_failed", self._channel, 1)
            if forget is not None:
                self._answered.pop(forget, None)

        self._keep(asyncio.get_running_loop().create_task(answer()))

    def _keep(self, work: asyncio.Future[Any]) -> None:
        """Hold what outlives its callback, until it is done."""
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)

    async def drain(self, app: web.Application) -> AsyncIterator[None]:
        """A cleanup context: when the service stops, whoever waits is late, and running tasks are waited for, at most 8 seconds."""
        yield
        for decided, pending in list(self._pending.items()):
            self._give_up(decided, pending)
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN_SECONDS
        while self._tasks and loop.time() < deadline:
            await asyncio.wait(tuple(self._tasks), timeout=deadline - loop.time())
        unfinished = tuple(self._tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
