"""The client that speaks to the platforms: one token for all, no loop, no leak (bot/docs/reliability.md O1, O2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from bot.channels.base import Token, ignore_note
from bot.channels.outbound.apis import dingtalk_api, wechat_api, wecom_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from tests.support.platforms.plain import SECRET, SEND, OutboundSetup, Platform, Time, refused, replying, stand
from tests.support.platforms.tokens import MemoryTokens


@pytest.fixture
async def setup() -> AsyncIterator[OutboundSetup]:
    async with AsyncExitStack() as stack:
        yield OutboundSetup(await stack.enter_async_context(stand(Platform())), stack)


async def test_chinese_goes_out_as_it_is_written(setup: OutboundSetup) -> None:
    outbound = await setup.outbound()

    assert await outbound.call(setup.api, "POST", SEND, json={"content": "你好\ud800"}) == {"errcode": 0, "errmsg": "ok"}

    assert setup.platform.bodies == ['{"content":"你好?"}'.encode()]


async def test_fifty_who_find_the_token_dead_cause_one_fetch(setup: OutboundSetup) -> None:
    setup.store.rows[setup.api.key] = Token("token-0", setup.time() - timedelta(seconds=1))
    outbound = await setup.outbound()

    await asyncio.gather(*(outbound.call(setup.api, "POST", SEND, json={"n": n}) for n in range(50)))

    assert setup.platform.fetches == 1
    assert set(setup.platform.tokens_seen) == {"token-1"}


async def test_a_token_revoked_in_a_push_is_renewed_once_and_nothing_is_lost(setup: OutboundSetup) -> None:
    setup.store.rows[setup.api.key] = Token("token-0", setup.time() + timedelta(hours=2))
    setup.platform.good = lambda token: token != "token-0"
    outbound = await setup.outbound()

    answers = await asyncio.gather(*(outbound.call(setup.api, "POST", SEND, json={"n": n}) for n in range(200)))

    assert setup.platform.fetches == 1
    assert [answer["errcode"] for answer in answers] == [0] * 200


async def test_a_platform_that_gives_the_same_token_again_is_believed(setup: OutboundSetup) -> None:
    setup.store.rows[setup.api.key] = Token("token-same", setup.time() + timedelta(hours=2))
    setup.platform.fetch_answer = replying(json={"errcode": 0, "access_token": "token-same", "expires_in": 7200})
    blips = iter([False] * 20)
    setup.platform.good = lambda token: next(blips, True)
    outbound = await setup.outbound()

    answers = await asyncio.gather(*(outbound.call(setup.api, "POST", SEND, json={"n": n}) for n in range(20)))

    assert setup.platform.fetches == 1
    assert len(answers) == 20


async def test_two_replicas_share_one_row_and_one_fetch(setup: OutboundSetup) -> None:
    one, two = await setup.outbound("one"), await setup.outbound("two")
    setup.platform.fetch_seconds = 0.3

    await asyncio.gather(*(client.call(setup.api, "POST", SEND, json={}) for client in (one, two) for _ in range(5)))

    assert setup.platform.fetches == 1
    assert setup.store.saves == 1


async def test_a_replica_that_died_while_fetching_holds_nobody_up_for_longer_than_its_lease(setup: OutboundSetup) -> None:
    assert await setup.store.lease(setup.api.key, "dead", 10)
    outbound = await setup.outbound("alive")
    waiting = asyncio.create_task(outbound.call(setup.api, "POST", SEND, json={}))
    await asyncio.sleep(0.3)
    assert setup.platform.fetches == 0

    setup.time.pass_(11)

    assert (await waiting)["errcode"] == 0


async def test_a_store_that_fails_silences_nobody(setup: OutboundSetup) -> None:
    class Broken(MemoryTokens):
        async def read(self, key: str) -> Token | None:
            raise OSError("disk")

        async def lease(self, key: str, holder: str, seconds: float) -> bool:
            raise OSError("disk")

        async def save(self, key: str, holder: str, token: Token) -> None:
            raise OSError("disk")

    setup.store = Broken(setup.time)
    outbound = await setup.outbound()

    for _ in range(3):
        await outbound.call(setup.api, "POST", SEND, json={})

    assert setup.platform.fetches == 1


async def test_a_token_that_is_always_refused_costs_five_fetches_in_ten_minutes(setup: OutboundSetup) -> None:
    setup.platform.good = lambda token: False
    setup.platform.fetch_seconds = 0
    outbound = await setup.outbound()

    kinds = set()
    for _ in range(600):
        kinds.add((await refused(outbound, setup.api)).kind)
        setup.time.pass_(1)

    assert kinds == {"token"}
    assert 2 <= setup.platform.fetches <= 5
    assert setup.platform.sends <= 20


async def test_a_secret_that_is_wrong_is_not_tried_in_a_loop(setup: OutboundSetup) -> None:
    setup.platform.fetch_answer = replying(json={"errcode": 40001, "errmsg": f"invalid credential corpsecret={SECRET}"})
    setup.platform.fetch_seconds = 0
    outbound = await setup.outbound()

    errors = []
    for _ in range(600):
        errors.append(await refused(outbound, setup.api))
        setup.time.pass_(1)

    assert {error.kind for error in errors} == {"config"}
    assert setup.platform.fetches <= 5
    assert setup.platform.sends == 0


async def test_a_token_near_its_end_is_renewed_while_the_old_one_still_serves(setup: OutboundSetup) -> None:
    setup.store.rows[setup.api.key] = Token("token-0", setup.time() + timedelta(minutes=3))
    outbound = await setup.outbound()
    await outbound.call(setup.api, "POST", SEND, json={})

    await outbound.call(setup.api, "POST", SEND, json={})
    await asyncio.sleep(0.2)
    await outbound.call(setup.api, "POST", SEND, json={})

    assert setup.platform.tokens_seen == ["token-0", "token-0", "token-1"]
    assert setup.platform.fetches == 1


async def test_wechat_asks_for_a_forced_token_only_after_a_refusal(setup: OutboundSetup) -> None:
    api = wechat_api(base=setup.platform.url, app_id="wx", secret=SECRET)
    outbound = await setup.outbound()
    await outbound.call(api, "POST", "/cgi-bin/message/custom/send", json={})
    setup.platform.good = lambda token: token == "token-2"

    await outbound.call(api, "POST", "/cgi-bin/message/custom/send", json={})

    assert setup.platform.forced == [False, True]


async def test_dingtalk_carries_its_token_in_a_header(setup: OutboundSetup) -> None:
    api = dingtalk_api(base=setup.platform.url, client_id="ding", client_secret=SECRET)
    outbound = await setup.outbound()

    await outbound.call(api, "POST", "/v1.0/robot/oToMessages/batchSend", json={})

    assert setup.platform.tokens_seen == ["token-1"]


async def test_no_secret_shows_in_errors_or_logs(setup: OutboundSetup) -> None:
    setup.platform.fetch_seconds = 0
    outbound = await setup.outbound()
    webhook = f"{setup.platform.url}/robot/sendBySession?session=canary-session-0815"
    seen: list[str] = []
    with capture_logs() as logs:
        setup.platform.good = lambda token: False
        seen.append(str(await refused(outbound, setup.api)))
        setup.platform.good = lambda token: True
        echo = {"errcode": 40058, "errmsg": f"bad corpsecret={SECRET} session=canary-session-0815 access_token=token-2 'secret': '{SECRET}'"}
        setup.platform.answer = replying(json=echo)
        setup.time.pass_(3600)
        seen.append(str(await refused(outbound, setup.api)))
        for host in (setup.platform.url, "https://oapi.dingtalk.com"):
            with pytest.raises(PlatformError) as caught:
                await outbound.post(webhook, {}, allowed_hosts=frozenset({host}))
            seen.extend((str(caught.value), repr(caught.value), repr(caught.value.__cause__)))
        down = wecom_api(base="http://127.0.0.1:1", corp_id="other", agent_id="1", secret=SECRET)
        seen.extend((str(await refused(outbound, down)), repr(down)))

    everything = json.dumps(logs, default=str) + "\n".join(seen)
    assert logs
    for canary in (SECRET, "canary-session-0815", "token-1", "token-2"):
        assert canary not in everything


async def test_every_failure_is_counted(setup: OutboundSetup) -> None:
    setup.platform.answer = replying(json={"errcode": 81013})
    outbound = await setup.outbound()

    await refused(outbound, setup.api)

    assert setup.noted == [("outbound_error", "wecom", 1)]


async def test_a_closed_client_says_so() -> None:
    clock = Time()
    outbound = Outbound(tokens=MemoryTokens(clock), clock=clock, note=ignore_note, holder="one")

    with pytest.raises(RuntimeError):
        await outbound.post("https://oapi.dingtalk.com/robot", {}, allowed_hosts=frozenset({"oapi.dingtalk.com"}))
