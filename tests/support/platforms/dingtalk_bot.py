"""The channel connected to a fake 钉钉, which the tests of the channel share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.channels.config import ChannelContext
from bot.channels.dingtalk.channel import DingTalkChannel
from bot.channels.dingtalk.config import DingTalkConfig
from bot.channels.dingtalk.stream import StreamConnection
from bot.channels.outbound.client import Outbound
from bot.domain.message import Incoming, Option, QuestionCard, Reply
from tests.support.platforms.dingtalk import CLIENT_ID, SECRET, FakeDingTalk, dingtalk
from tests.support.platforms.faults import PATIENT
from tests.support.platforms.servers import limits_of
from tests.support.platforms.tokens import UNLIMITED, MemoryTokens

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
TEMPLATE = "quiz.schema"
QUESTION = QuestionCard("attempt7:2", "第2/5题（单选）", "合同自何时成立？", (Option("A", "A. 签字时"), Option("B", "B. 交付时")))
SEVERAL = QuestionCard("attempt7:3", "第3/5题（多选）", "哪些是民事主体？", tuple(Option(k, f"{k}. {k}项") for k in "ABC"), several=True)


class LoopbackBot:
    """The channel, the platform, and a `handle` that can be told what to answer and how long to take."""

    def __init__(self, platform: FakeDingTalk) -> None:
        self.platform = platform
        self.heard: list[Incoming] = []
        self.committed: list[str] = []
        self.noted: list[tuple[str, str, float]] = []
        self.reply: Callable[[Incoming], Reply] = lambda incoming: Reply(f"已记录 {incoming.text}")
        self.before: Callable[[Incoming], Awaitable[None]] | None = None
        self.channel: DingTalkChannel
        self.http: TestClient[web.Request, web.Application]

    async def handle(self, incoming: Incoming) -> Reply:
        self.heard.append(incoming)
        if self.before is not None:
            await self.before(incoming)
        self.committed.append(incoming.message_id)
        return self.reply(incoming)

    def count(self, what: str) -> int:
        return sum(1 for name, _, _ in self.noted if name == what)

    async def settle(self, met: Callable[[], bool], seconds: float = PATIENT) -> None:
        """Wait for something that no fake can tell of."""
        async with asyncio.timeout(seconds):
            while not met():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def loopback_bot(*, mode: str = "stream", cards: bool = False, stream: dict[str, Any] | None = None, **over: Any) -> AsyncIterator[LoopbackBot]:
    """A running bot; in Stream mode its connection is up."""
    async with dingtalk() as platform:
        loopback = LoopbackBot(platform)

        def note(what: str, channel: str, value: float) -> None:
            loopback.noted.append((what, channel, value))

        outbound = Outbound(tokens=MemoryTokens(lambda: NOW), clock=lambda: NOW, note=note, holder="test", secrets=(SECRET,), total=PATIENT)
        platform.faults.outbound = outbound
        known = {"client_id": CLIENT_ID, "client_secret": SECRET, "mode": mode, "api_base": platform.url, "oapi_base": platform.url}
        config = {name: over.pop(name) for name in tuple(over) if name in DingTalkConfig.model_fields}
        limits, quota = limits_of(over), over.pop("quota", UNLIMITED)
        loopback.channel = DingTalkChannel(
            DingTalkConfig(**{**known, "card_template": TEMPLATE if cards else "", **config}),
            ChannelContext(outbound, lambda: NOW, note, quota, limits),
            rng=Random(1),
            look_seconds=0.01,
            make_stream=partial(StreamConnection, **(stream or {})),
            **over,
        )
        app = web.Application()

        async def speaking(_: web.Application) -> AsyncIterator[None]:
            async with outbound:
                yield

        app.cleanup_ctx.append(speaking)
        loopback.channel.attach(app, loopback.handle)
        server = TestServer(app)
        # As in the service (bot/web/middleware.py): bodies are never decompressed.
        await server.start_server(auto_decompress=False)
        async with TestClient(server, timeout=aiohttp.ClientTimeout(total=PATIENT)) as loopback.http:
            if mode == "stream" and "lease" not in over:
                await platform.until(lambda: bool(platform.live))
            yield loopback
