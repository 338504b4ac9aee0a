"""The channels as the app builds them: budgets, windows and outcomes are rows that all replicas share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.app import build
from bot.app.build import App
from bot.app.channels import build_channels, secret_of
from bot.channels.base import Channel, Token
from bot.channels.outbound.client import Outbound
from bot.channels.wechat.channel import WeChatChannel
from bot.channels.wechat.push import JobResult
from bot.domain.message import Address, Incoming, OutboundMessage, Reply
from bot.settings import Settings
from bot.storage.system import inbox
from bot.storage.system.tokens import SealedTokens
from tests.channels.test_wechat_push import LESSON
from tests.conftest import NOW
from tests.support.platforms.dingtalk import CLIENT_ID, SECRET, dingtalk
from tests.support.platforms.dingtalk_bot import QUESTION
from tests.support.platforms.envelopes import AES_KEY, TOKEN
from tests.support.platforms.faults import PATIENT
from tests.support.platforms.plain import Time
from tests.support.platforms.wechat import APP, FOLLOWER, WeChatPlatform
from tests.support.platforms.wechat import SECRET as wechat_SECRET
from tests.support.queued_deliveries import add_people, queue_campaign, states


@asynccontextmanager
async def built(engine: Engine, name: str, section: dict[str, Any]) -> AsyncIterator[tuple[App, Any]]:
    """An app with one channel on, and a started outbound client; its clock stands at NOW."""
    given: dict[str, Any] = {name: section}
    settings = Settings(**given)
    loopback_bot = build.build(settings, engine, clock=lambda: NOW)
    loopback_bot.database.start()
    tokens = SealedTokens(loopback_bot.database, lambda key: secret_of(settings, key), Token, loopback_bot.clock)
    outbound = Outbound(tokens=tokens, clock=loopback_bot.clock, note=loopback_bot.metrics.note, holder="test", total=PATIENT)
    try:
        async with outbound:
            [channel] = build_channels(loopback_bot, outbound, tokens, "test")
            yield loopback_bot, channel
    finally:
        await asyncio.to_thread(loopback_bot.database.stop)


def asked(count: int, batch: str) -> list[OutboundMessage]:
    return [OutboundMessage(Address("dingtalk", CLIENT_ID, f"u{n}"), Reply(card=QUESTION), f"{batch}:{n}") for n in range(count)]


async def test_the_cards_of_a_month_are_counted_in_a_row_and_end(engine: Engine) -> None:
    async with dingtalk() as platform:
        section = {"client_id": CLIENT_ID, "client_secret": SECRET, "api_base": platform.url, "oapi_base": platform.url}
        async with built(engine, "dingtalk", {**section, "card_template": "quiz.schema", "card_calls": 4}) as (_, channel):
            for batch in ("a", "b"):
                assert {one.outcome for one in await channel.push(asked(3, batch))} == {"sent"}
            assert (len(platform.cards), [len(call["userIds"]) for call in platform.robots]) == (4, [2])


@pytest.fixture
async def wechat(engine: Engine) -> AsyncIterator[tuple[WeChatPlatform, App, WeChatChannel]]:
    async with AsyncExitStack() as stack:
        platform, api = WeChatPlatform(Time()), web.Application()
        api.middlewares.append(platform.faults.middleware)
        platform.attach(api)
        server = await stack.enter_async_context(TestServer(api))
        section = {"app_id": APP, "secret": wechat_SECRET, "token": TOKEN, "aes_key": AES_KEY, "api_base": str(server.make_url("")), "verified": True}
        made = await stack.enter_async_context(built(engine, "wechat", {**section, "template": "tpl-1"}))
        yield platform, *made


async def test_who_spoke_is_answered_in_the_chat_and_who_did_not_gets_the_template(wechat: tuple[WeChatPlatform, App, WeChatChannel]) -> None:
    platform, loopback_bot, channel = wechat

    def heard(session: Session) -> None:
        [person] = add_people(session, 1)
        inbox.store_reply(session, Incoming(Address("wechat", APP, FOLLOWER), "你好", "m1", NOW), person, Reply("好"))

    loopback_bot.database.write_now(heard)
    receipts = await channel.push([OutboundMessage(Address("wechat", APP, user), LESSON, f"1:{user}") for user in (FOLLOWER, "oSilent")])

    assert [one.outcome for one in receipts] == ["sent", "sent"]
    assert {message["touser"] for message in platform.sent} == {FOLLOWER}
    assert [message["touser"] for message in platform.noticed] == ["oSilent"]


async def test_a_template_that_the_platform_could_not_deliver_fails_its_delivery(wechat: tuple[WeChatPlatform, App, WeChatChannel]) -> None:
    _, loopback_bot, channel = wechat

    def sent(session: Session) -> None:
        queue_campaign(session, add_people(session, 2, ("wechat",)))
        session.execute(text("UPDATE delivery SET state = 'sent', channel = 'wechat', sent_at = created_at, platform_id = 't:' || id"))

    loopback_bot.database.write_now(sent)
    first = loopback_bot.database.read_now(lambda session: session.execute(text("SELECT MIN(id) FROM delivery")).scalar_one())
    assert channel._on_job_result is not None
    await channel._on_job_result(JobResult("template", str(first), False, "failed:user block"))
    await channel._on_job_result(JobResult("template", str(first + 1), True, "success"))
    await channel._on_job_result(JobResult("mass", "34182", True, "send success", 500, 480, 470, 10))

    assert states(loopback_bot.database) == {"failed": 1, "sent": 1}
    tally = loopback_bot.database.read_now(lambda session: session.execute(text("SELECT what, n FROM tally ORDER BY n")).all())
    assert [tuple(row) for row in tally] == [("公众号群发失败", 10), ("公众号群发送达", 470)]


async def test_every_channel_of_the_house_can_push(engine: Engine) -> None:
    async with built(engine, "zwding", {"gateway": "https://g.example", "app_key": "a", "app_secret": "x" * 12, "tenant_id": "1"}) as (_, channel):
        found: Channel = channel
        assert await found.push([]) == []
