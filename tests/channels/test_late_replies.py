"""Thousands of replies that come too late for their callbacks are sent all the same, though nobody holds a token yet and the writer is behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Engine

from bot.channels.base import Token, TokenStore, ignore_note
from bot.channels.config import ChannelContext
from bot.channels.outbound import client
from bot.channels.outbound.client import Outbound
from bot.channels.wecom.channel import WeComChannel
from bot.channels.wecom.config import WeComConfig
from bot.domain.message import Address, Reply
from bot.storage.db.database import Database
from bot.storage.db.writer import BATCH_SIZE
from bot.storage.system.tokens import SealedTokens
from tests.support.platforms.envelopes import AES_KEY, TOKEN
from tests.support.platforms.plain import Time
from tests.support.platforms.tokens import UNLIMITED
from tests.support.platforms.wecom import AGENT, CORP, SECRET, WeComPlatform

PEOPLE = 2_000
PATIENCE = 60.0


class WatchedTokens(SealedTokens[Token]):
    """Says when the lease has been asked for."""

    asked: threading.Event

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        leasing = asyncio.ensure_future(super().lease(key, holder, seconds))
        await asyncio.sleep(0)
        self.asked.set()
        return await leasing


@asynccontextmanager
async def wecom_over(database: Database, platform: WeComPlatform, tokens: TokenStore, total: float) -> AsyncIterator[WeComChannel]:
    api = web.Application(middlewares=[platform.faults.middleware])
    platform.attach(api)
    async with TestServer(api) as server, Outbound(tokens=tokens, clock=platform.clock, note=ignore_note, holder="r1", total=total) as outbound:
        known = {"corp_id": CORP, "agent_id": AGENT, "secret": SECRET, "token": TOKEN, "aes_key": AES_KEY, "api_base": str(server.make_url(""))}
        yield WeComChannel(WeComConfig(**known), ChannelContext(outbound, platform.clock, ignore_note, UNLIMITED))


async def test_two_thousand_late_replies_without_a_token_fetch_one_and_are_all_sent(engine: Engine) -> None:
    clock = Time()
    platform = WeComPlatform(clock)
    platform.members = {f"p{n}" for n in range(PEOPLE)}
    database = Database(engine, writers=1, patience=120)
    database.start()
    tokens = WatchedTokens(database, lambda _: SECRET, Token, clock)
    tokens.asked = threading.Event()

    def answer(n: int) -> None:
        # The first who were answered ask for the token; with the others still waiting, it has to be there before their third batch.
        if n == BATCH_SIZE:
            assert tokens.asked.wait(PATIENCE)
        if n == 2 * BATCH_SIZE:
            assert platform.token_given.wait(PATIENCE), "the lease waited behind the answers"

    try:
        async with wecom_over(database, platform, tokens, total=PATIENCE / 2) as channel:

            async def answer_late(n: int) -> None:
                await database.write(lambda session: answer(n), of=n)
                await channel.send(Address("wecom", AGENT, f"p{n}"), Reply(f"已记录 {n}。"))

            outcomes = await asyncio.gather(*(answer_late(n) for n in range(PEOPLE)), return_exceptions=True)
    finally:
        await asyncio.to_thread(database.stop)

    assert [outcome for outcome in outcomes if outcome is not None] == []
    assert sorted(platform.texts) == sorted(f"已记录 {n}。" for n in range(PEOPLE))
    assert platform.tokens == 1


async def test_a_call_waits_for_its_turn_and_has_all_its_time_from_then_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECTIONS", 1)
    clock = Time()
    platform = WeComPlatform(clock)
    platform.seconds = 0.1
    async with wecom_over(database, platform, SealedTokens(database, lambda _: SECRET, Token, clock), total=3.0) as channel:
        await asyncio.gather(*(channel.send(Address("wecom", AGENT, "zhangsan"), Reply(f"{n}")) for n in range(40)))
    assert len(platform.texts) == 40
