"""What HTTP callbacks share: reading the request, the responses, and answering in the background when the platform stops waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bot.channels.base import Note
from bot.channels.outbound.errors import PlatformError
from bot.channels.signature import BadEnvelope, EnvelopeStamp
from bot.domain.message import Incoming, IncomingHandler, Reply

log = structlog.get_logger(__name__)

BODY_SECONDS = 5.0
DRAIN_SECONDS = 8.0
REMEMBERED = 20_000
"""How many recent messages are remembered as answered; a copy of a forgotten one may be answered twice."""
STALE = "stale"
HEADERS = {"X-Content-Type-Options": "nosniff"}

SendLate = Callable[[Reply], Awaitable[None]]
CopyKey = tuple[str, str, str]
"""How it was answered ("late", "beside"), the sender and the message's id, which all copies of a message share."""


def text_response(text: str) -> web.Response:
    return web.Response(text=text, headers=HEADERS)


def sealed_response(text: str, content_type: str = "application/xml") -> web.Response:
    return web.Response(text=text, content_type=content_type, headers=HEADERS)


def refusal_response(channel: str, wrong: BadEnvelope, note: Note) -> web.Response:
    """The same response to everything that is no genuine, fresh, well-formed callback; the reason is only logged."""
    log.info("callback refused", channel=channel, reason=wrong.reason)
    if wrong.reason == STALE:
        # Either somebody replays old messages, or our clock is wrong and everybody is refused: an operator has to see it.
        log.error("callbacks from another hour: is this host's clock right?", channel=channel)
        note("stale", channel, 1)
    note("refused", channel, 1)
    return web.Response(status=400, text="bad request", headers=HEADERS)


def query_value(request: web.Request, name: str) -> str:
    """The only query value of that name; raises `BadEnvelope` when it is missing, empty or repeated."""
    values = request.query.getall(name, [])
    if len(values) != 1 or not values[0]:
        raise BadEnvelope("query")
    return values[0]


def query_stamp(request: web.Request, signature: str = "msg_signature") -> EnvelopeStamp:
    return EnvelopeStamp(query_value(request, signature), query_value(request, "timestamp"), query_value(request, "nonce"))


async def read_body(request: web.Request, cap: int) -> bytes:
    """The body, at most `cap` bytes, read within 5 seconds and never decompressed; raises `BadEnvelope`."""
    if "Content-Encoding" in request.headers:
        raise BadEnvelope("encoding")
    if (request.content_length or 0) > cap:
        raise BadEnvelope("size")
    content = bytearray()
    try:
        if request.content.is_eof():
            # Most bodies arrive together with the head and need no timer.
            content += request.content.read_nowait()
        else:
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


async def _ends_within(seconds: float, task: asyncio.Task[Any]) -> bool:
    """True when the task ends in time; it is never cancelled. For one task this costs two thirds of `asyncio.wait`."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    timer = loop.call_later(seconds, wake)
    task.add_done_callback(wake)
    try:
        await woken
    finally:
        timer.cancel()
        task.remove_done_callback(wake)
    return task.done()


class ReplyDeadline:
    """Waits for a reply as long as the platform does; a later reply is sent in the background, once for all copies of the message."""

    def __init__(self, channel: str, seconds: float, note: Note) -> None:
        self._channel = channel
        self._seconds = seconds
        self._note = note
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answered: OrderedDict[CopyKey, Reply | None] = OrderedDict()

    async def reply(self, handle: IncomingHandler, incoming: Incoming, send_late: SendLate) -> Reply | None:
        """The reply for the response, or None when there is none in time and `send_late` will be called with it."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._note("heard", self._channel, 1)
        key = ("late", incoming.sender.user, incoming.message_id)
        task = self._start(self._decide(handle, incoming))
        try:
            done = await _ends_within(self._seconds, task)
        except asyncio.CancelledError:
            # The server stops or the platform hung up: the message is still being recorded, and its reply must be sent.
            self._answer_late(key, task, send_late)
            raise
        self._note("reply_seconds", self._channel, loop.time() - started)
        if not done:
            self._note("late", self._channel, 1)
            self._answer_late(key, task, send_late)
            return None
        reply: Reply | None = task.result()
        if key not in self._answered:
            return reply
        # Another copy of this message was late and its reply is sent separately; only a different reply (the first was shed) is given here.
        late_reply = self._answered[key]
        return None if late_reply is None or late_reply == reply else reply

    async def _decide(self, handle: IncomingHandler, incoming: Incoming) -> Reply | None:
        try:
            return await handle(incoming)
        except Exception:
            log.exception("message failed", channel=self._channel, message_id=incoming.message_id)
            return None

    def _answer_late(self, key: CopyKey, task: asyncio.Task[Reply | None], send_late: SendLate) -> None:
        if not self._claim(key):
            return

        async def answer() -> None:
            if reply := await task:
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

        self._start(answer())

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self, app: web.Application) -> AsyncIterator[None]:
        """A cleanup context: when the service stops, running tasks are waited for, at most 8 seconds."""
        yield
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN_SECONDS
        while self._tasks and loop.time() < deadline:
            await asyncio.wait(tuple(self._tasks), timeout=deadline - loop.time())
        unfinished = tuple(self._tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
