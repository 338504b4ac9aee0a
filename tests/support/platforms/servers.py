"""A channel on the loopback with its platform across from it, and an ear that stands in for dispatch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.channels.outbound.client import Outbound
from bot.channels.wechat.channel import WeChatChannel
from bot.channels.wecom.channel import WeComChannel
from bot.domain.message import Incoming, Reply
from tests.support.platforms.envelopes import AES_KEY, TOKEN
from tests.support.platforms.faults import PATIENT
from tests.support.platforms.plain import Time
from tests.support.platforms.tokens import MemoryTokens
from tests.support.platforms.wechat import APP, WeChatPlatform
from tests.support.platforms.wechat import SECRET as wechat_SECRET
from tests.support.platforms.wecom import AGENT, CORP, SECRET, WeComPlatform


async def _echo(incoming: Incoming) -> Reply:
    return Reply(f"听到：{incoming.text}") if incoming.text else Reply()


@dataclass
class Ear:
    """Hears what the channel hands over, replies by script, and remembers both."""

    replies: Callable[[Incoming], Awaitable[Reply]] = _echo
    heard: list[Incoming] = field(default_factory=list)
    noted: list[tuple[str, str, float]] = field(default_factory=list)
    channel: Any = None
    _noted: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, incoming: Incoming) -> Reply:
        self.heard.append(incoming)
        return await self.replies(incoming)

    def says(self, reply: Reply) -> None:
        async def same(incoming: Incoming) -> Reply:
            return reply

        self.replies = same

    def note(self, what: str, channel: str, value: float) -> None:
        self.noted.append((what, channel, value))
        self._noted.set()

    async def until(self, what: str) -> None:
        """Wait until this has been noted."""
        async with asyncio.timeout(60):
            while not self.count(what):
                self._noted.clear()
                await self._noted.wait()

    def count(self, what: str) -> int:
        return sum(1 for one in self.noted if one[0] == what)


@asynccontextmanager
async def wecom_stands(*, total: float = PATIENT, **over: Any) -> AsyncIterator[tuple[WeComPlatform, Ear]]:
    clock = Time()
    platform, ear = WeComPlatform(clock), Ear()
    known = {"corp_id": CORP, "agent_id": AGENT, "secret": SECRET, "token": TOKEN, "aes_key": AES_KEY}
    async with _standing(platform, ear, clock, lambda **given: WeComChannel(**{**known, **given, **over}), "/channels/wecom", total):
        yield platform, ear


@asynccontextmanager
async def wechat_stands(*, total: float = PATIENT, **over: Any) -> AsyncIterator[tuple[WeChatPlatform, Ear]]:
    clock = Time()
    platform, ear = WeChatPlatform(clock), Ear()
    known = {"app_id": APP, "secret": wechat_SECRET, "token": TOKEN, "aes_key": AES_KEY}
    async with _standing(platform, ear, clock, lambda **given: WeChatChannel(**{**known, **given, **over}), "/channels/wechat", total):
        yield platform, ear


@asynccontextmanager
async def _standing(
    platform: WeComPlatform | WeChatPlatform, ear: Ear, clock: Time, channel: Callable[..., WeComChannel | WeChatChannel], path: str, total: float
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        api = web.Application(middlewares=[platform.faults.middleware], client_max_size=2**24)
        platform.attach(api)
        api_server = await stack.enter_async_context(TestServer(api))
        outbound = Outbound(tokens=MemoryTokens(clock), clock=clock, note=ear.note, holder="test", total=total)
        platform.faults.outbound = outbound
        await stack.enter_async_context(outbound)
        app = web.Application()
        ear.channel = channel(api_base=str(api_server.make_url("")), outbound=outbound, clock=clock, note=ear.note)
        ear.channel.attach(app, ear.handle)
        server = await stack.enter_async_context(TestServer(app))
        platform.session = await stack.enter_async_context(ClientSession())
        platform.url = str(server.make_url(path))
        yield
