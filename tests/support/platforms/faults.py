"""What a platform does when it does not simply answer: scripts that any stand-in plays, one a request, in the order given."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bot.channels.outbound.client import Outbound

PATIENT, IMPATIENT = 60.0, 3.0
"""Seconds that a call may take: no busy machine makes it too late; and where somebody keeps silent, so that a test waits for it."""

Fault = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]


class Faults:
    """Queues of scripts by path; a path without one is answered as usual."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Fault]] = defaultdict(deque)
        self.calls: list[str] = []
        self.outbound: Outbound | None = None

    def hurry(self) -> None:
        """From now on whoever calls waits no longer than a test may."""
        assert self.outbound is not None
        self.outbound._total = IMPATIENT

    def on(self, path: str, *faults: Fault) -> None:
        if delivered_then_silent in faults:
            self.hurry()
        self._queues[path].extend(faults)

    def count(self, path: str) -> int:
        """How often the path was asked, faults included."""
        return self.calls.count(path)

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def play(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.calls.append(request.path)
            queue = self._queues[request.path]
            return await (queue.popleft()(request, handler) if queue else handler(request))

        return play


def says(answer: dict[str, Any], status: int = 200) -> Fault:
    """Refuses, or claims something."""

    async def play(request: web.Request, handler: Handler) -> web.StreamResponse:
        return web.json_response(answer, status=status)

    return play


def refuses(code: int) -> Fault:
    return says({"errcode": code, "errmsg": f"error {code}"})


async def html(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of the proxy in front, after the message went through."""
    await handler(request)
    return web.Response(text="<html>502 Bad Gateway</html>", content_type="text/html")


async def cut(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The answer breaks off in the middle, after the message went through."""
    await handler(request)
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "400"})
    await response.prepare(request)
    await response.write(b'{"errcode": 0, "errm')
    assert request.transport is not None
    request.transport.abort()
    return response


async def delivered_then_silent(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The message went through and nobody is told."""
    answer = await handler(request)
    await asyncio.sleep(IMPATIENT + 1)
    return answer


def slow(seconds: float) -> Fault:
    """Answers rightly, after a while."""

    async def play(request: web.Request, handler: Handler) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await handler(request)

    return play
