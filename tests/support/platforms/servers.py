"""A channel on the loopback with its platform across from it, and an ear that stands in for dispatch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.channels.base import Quota
from bot.channels.config import CallbackLimits, ChannelContext
from bot.channels.outbound.client import Outbound
from bot.channels.wechat.channel import WeChatChannel
from bot.channels.wechat.config import WeChatConfig
from bot.channels.wecom.channel import WeComChannel
from bot.channels.wecom.config import WeComConfig
from bot.domain.message import Incoming, Reply
from tests.support.platforms.envelopes import AES_KEY, TOKEN
from tests.support.platforms.faults import PATIENT
from tests.support.platforms.plain import Time
from tests.support.platforms.tokens import UNLIMITED, MemoryTokens
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


def limits_of(over: dict[str, Any]) -> CallbackLimits:
    """The limits among what a test wants otherwise, taken out of it. Not validated: a test waits for more or less than an operator may set."""
    wanted = {name: over.pop(name) for name in tuple(over) if name in CallbackLimits.model_fields}
    return CallbackLimits.model_construct(**{**CallbackLimits().model_dump(), **wanted})


@asynccontextmanager
async def wecom_stands(*, total: float = PATIENT, quota: Quota = UNLIMITED, **over: Any) -> AsyncIterator[tuple[WeComPlatform, Ear]]:
    clock = Time()
    platform, ear = WeComPlatform(clock), Ear()

    def stand(context: ChannelContext, api_base: str) -> WeComChannel:
        known = {"corp_id": CORP, "agent_id": AGENT, "secret": SECRET, "token": TOKEN, "aes_key": AES_KEY, "api_base": api_base}
        return WeComChannel(WeComConfig(**{**known, **over}), context)

    async with _standing(platform, ear, clock, stand, "/channels/wecom", total, quota, limits_of(over)):
        yield platform, ear


@asynccontextmanager
async def wechat_stands(*, total: float = PATIENT, quota: Quota = UNLIMITED, **over: Any) -> AsyncIterator[tuple[WeChatPlatform, Ear]]:
    clock = Time()
    platform, ear = WeChatPlatform(clock), Ear()
    further = {name: over.pop(name) for name in ("window_open", "on_job_result") if name in over}

    def stand(context: ChannelContext, api_base: str) -> WeChatChannel:
        known = {"app_id": APP, "secret": wechat_SECRET, "token": TOKEN, "aes_key": AES_KEY, "api_base": api_base}
        return WeChatChannel(WeChatConfig(**{**known, **over}), context, **further)

    async with _standing(platform, ear, clock, stand, "/channels/wechat", total, quota, limits_of(over)):
        yield platform, ear


@asynccontextmanager
async def _standing(
    platform: WeComPlatform | WeChatPlatform,
    ear: Ear,
    clock: Time,
    stand: Callable[[ChannelContext, str], WeComChannel | WeChatChannel],
    path: str,
    total: float,
    quota: Quota,
    limits: CallbackLimits,
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        api = web.Application(middlewares=[platform.faults.middleware], client_max_size=2**24)
        platform.attach(api)
        api_server = await stack.enter_async_context(TestServer(api))
        outbound = Outbound(tokens=MemoryTokens(clock), clock=clock, note=ear.note, holder="test", total=total)
        platform.faults.outbound = outbound
        await stack.enter_async_context(outbound)
        app = web.Application()
        context = ChannelContext(outbound, clock, ear.note, quota, limits)
        ear.channel = stand(context, str(api_server.make_url("")))
        ear.channel.attach(app, ear.handle)
        server = await stack.enter_async_context(TestServer(app))
        platform.session = await stack.enter_async_context(ClientSession())
        platform.url = str(server.make_url(path))
        yield
