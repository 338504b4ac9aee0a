"""A platform that hands out numbered tokens and answers by script, and the set-up that the tests of the outbound client share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.channels.outbound.apis import Api, wecom_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from tests.support.platforms.faults import PATIENT
from tests.support.platforms.tokens import MemoryTokens

SECRET = "canary-secret-4711"
SEND = "/cgi-bin/message/send"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Platform:
    """Hands out numbered tokens and answers sends by script; `good` decides which tokens it accepts."""

    fetches: int = 0
    sends: int = 0
    bodies: list[bytes] = field(default_factory=list)
    tokens_seen: list[str] = field(default_factory=list)
    fetch_seconds: float = 0.05
    forced: list[bool] = field(default_factory=list)
    good: Callable[[str], bool] = lambda token: True
    answer: Answer | None = None
    fetch_answer: Answer | None = None
    url: str = ""

    async def gettoken(self, request: web.Request) -> web.StreamResponse:
        self.fetches += 1
        mine = self.fetches
        await asyncio.sleep(self.fetch_seconds)
        if request.can_read_body:
            body = await request.json()
            self.forced.append(bool(body.get("force_refresh")))
        if self.fetch_answer is not None:
            return await self.fetch_answer(request)
        value = f"token-{mine}"
        return web.json_response({"errcode": 0, "access_token": value, "accessToken": value, "expires_in": 7200, "expireIn": 7200})

    async def send(self, request: web.Request) -> web.StreamResponse:
        self.sends += 1
        token = request.query.get("access_token", "") or request.headers.get("x-acs-dingtalk-access-token", "")
        self.tokens_seen.append(token)
        self.bodies.append(await request.read())
        if not self.good(token):
            return web.json_response({"errcode": 42001, "errmsg": f"access_token expired {token} corpsecret={SECRET}"})
        if self.answer is not None:
            return await self.answer(request)
        return web.json_response({"errcode": 0, "errmsg": "ok"})


@asynccontextmanager
async def stand(platform: Platform) -> AsyncIterator[Platform]:
    app = web.Application(client_max_size=2**24)
    for path in ("/cgi-bin/gettoken", "/cgi-bin/stable_token", "/v1.0/oauth2/accessToken"):
        app.router.add_route("*", path, platform.gettoken)
    app.router.add_route("*", "/{any:.*}", platform.send)
    async with TestServer(app) as server:
        platform.url = str(server.make_url(""))
        yield platform


class OutboundSetup:
    """Everything a test holds: the platform, the clock, the shared row, and as many clients as it asks for."""

    def __init__(self, platform: Platform, stack: AsyncExitStack) -> None:
        self.platform = platform
        self.time = Time()
        self.store = MemoryTokens(self.time)
        self.noted: list[tuple[str, str, float]] = []
        self._stack = stack

    async def outbound(self, holder: str = "one", **over: Any) -> Outbound:
        made = Outbound(
            tokens=self.store,
            clock=self.time,
            note=lambda *what: self.noted.append(what),
            holder=holder,
            secrets=(SECRET,),
            **{"total": PATIENT, "read": PATIENT, **over},
        )
        return await self._stack.enter_async_context(made)

    @property
    def api(self) -> Api:
        return wecom_api(base=self.platform.url, corp_id="corp", agent_id="1", secret=SECRET)


def replying(**answer: Any) -> Answer:
    async def reply(request: web.Request) -> web.StreamResponse:
        status, text, headers = answer.get("status", 200), answer.get("text"), answer.get("headers")
        if text is not None:
            return web.Response(status=status, text=text, headers=headers, content_type=answer.get("content_type", "text/html"))
        return web.json_response(answer["json"], status=status, headers=headers)

    return reply


async def refused(outbound: Outbound, api: Api, method: str = "POST") -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await outbound.call(api, method, SEND, json={"content": "你好"} if method == "POST" else None)
    return caught.value
