"""A bot of ours beside the gateway of 专有钉钉: what the tests of the channel share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.channels.config import ChannelContext
from bot.channels.outbound.client import Outbound
from bot.channels.zwding.channel import ZwDingChannel
from bot.channels.zwding.config import ZwDingConfig
from bot.domain.message import Incoming, Option, Reply
from tests.support.platforms.faults import PATIENT
from tests.support.platforms.plain import Time
from tests.support.platforms.servers import limits_of
from tests.support.platforms.tokens import UNLIMITED, MemoryTokens
from tests.support.platforms.zwding import APP_KEY, APP_SECRET, CALLBACK_SECRET, TENANT, FakeGateway, gateway, robot_headers

PAGE = "https://law.example.gov.cn/chat"
LESSON = Reply("今天学第一课。", buttons=(Option("学习 mfd-1191", "开始学习"),))


@dataclass
class Stage:
    platform: FakeGateway
    channel: ZwDingChannel
    http: TestClient[web.Request, web.Application]
    clock: Time
    heard: list[Incoming] = field(default_factory=list)
    noted: list[tuple[str, str, float]] = field(default_factory=list)
    reply: Callable[[Incoming], Awaitable[Reply]] | None = None

    @property
    def now(self) -> int:
        return int(self.clock().timestamp() * 1000)

    async def knock(self, body: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        async with self.http.post("/channels/zwding", data=body.encode(), headers=robot_headers(self.now) if headers is None else headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text


@asynccontextmanager
async def standing(*, prefix: str = "", signs_prefix: bool = True, pem: Path | None = None, ca_file: str = "", **over: Any) -> AsyncIterator[Stage]:
    clock = Time()
    noted: list[tuple[str, str, float]] = []

    def note(what: str, channel: str, value: float) -> None:
        noted.append((what, channel, value))

    async with gateway(clock, prefix, signs_prefix=signs_prefix, pem=pem) as platform:
        outbound = Outbound(tokens=MemoryTokens(clock), clock=clock, note=note, holder="test", secrets=(APP_SECRET,), total=PATIENT)
        context = ChannelContext(outbound, clock, note, UNLIMITED, limits_of(over := {"reply_seconds": PATIENT, **over}))
        known = {
            "gateway": platform.url,
            "app_key": APP_KEY,
            "app_secret": APP_SECRET,
            "tenant_id": TENANT,
            "prefix": prefix,
            "sign_prefix": signs_prefix,
            "ca_file": ca_file,
            "page": PAGE,
            "callback_secret": CALLBACK_SECRET,
        }
        channel = ZwDingChannel(ZwDingConfig(**{**known, **over}), context)
        app = web.Application()
        stage: Stage

        async def handle(incoming: Incoming) -> Reply:
            stage.heard.append(incoming)
            return Reply(f"听到：{incoming.text}") if stage.reply is None else await stage.reply(incoming)

        channel.attach(app, handle)
        async with outbound, TestClient(TestServer(app)) as http:
            stage = Stage(platform, channel, http, clock, noted=noted)
            yield stage
