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
from tests.support.platforms.plain import SECRET, SEND, House, Platform, Time, refused, replying, stand
from tests.support.platforms.tokens import MemoryTokens


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield House(await stack.enter_async_context(stand(Platform())), stack)


async def test_chinese_goes_out_as_it_is_written(house: House) -> None:
    outbound = await house.outbound()

    assert await outbound.call(house.api, "POST", SEND, json={"content": "你好\ud800"}) == {"errcode": 0, "errmsg": "ok"}

    assert house.platform.bodies == ['{"content":"你好?"}'.encode()]


async def test_fifty_who_find_the_token_dead_cause_one_fetch(house: House) -> None:
    house.store.rows[house.api.key] = Token("token-0", house.time() - timedelta(seconds=1))
    outbound = await house.outbound()

    await asyncio.gather(*(outbound.call(house.api, "POST", SEND, json={"n": n}) for n in range(50)))

    assert house.platform.fetches == 1
    assert set(house.platform.tokens_seen) == {"token-1"}


async def test_a_token_revoked_in_a_push_is_renewed_once_and_nothing_is_lost(house: House) -> None:
    house.store.rows[house.api.key] = Token("token-0", house.time() + timedelta(hours=2))
    house.platform.good = lambda token: token != "token-0"
    outbound = await house.outbound()

    answers = await asyncio.gather(*(outbound.call(house.api, "POST", SEND, json={"n": n}) for n in range(200)))

    assert house.platform.fetches == 1
    assert [answer["errcode"] for answer in answers] == [0] * 200


async def test_a_platform_that_gives_the_same_token_again_is_believed(house: House) -> None:
    house.store.rows[house.api.key] = Token("token-same", house.time() + timedelta(hours=2))
    house.platform.fetch_answer = replying(json={"errcode": 0, "access_token": "token-same", "expires_in": 7200})
    blips = iter([False] * 20)
    house.platform.good = lambda token: next(blips, True)
    outbound = await house.outbound()

    answers = await asyncio.gather(*(outbound.call(house.api, "POST", SEND, json={"n": n}) for n in range(20)))

    assert house.platform.fetches == 1
    assert len(answers) == 20


async def test_two_replicas_share_one_row_and_one_fetch(house: House) -> None:
    one, two = await house.outbound("one"), await house.outbound("two")
    house.platform.fetch_seconds = 0.3

    await asyncio.gather(*(client.call(house.api, "POST", SEND, json={}) for client in (one, two) for _ in range(5)))

    assert house.platform.fetches == 1
    assert house.store.saves == 1


async def test_a_replica_that_died_while_fetching_holds_nobody_up_for_longer_than_its_lease(house: House) -> None:
    assert await house.store.lease(house.api.key, "dead", 10)
    outbound = await house.outbound("alive")
    waiting = asyncio.create_task(outbound.call(house.api, "POST", SEND, json={}))
    await asyncio.sleep(0.3)
    assert house.platform.fetches == 0

    house.time.pass_(11)

    assert (await waiting)["errcode"] == 0


async def test_a_store_that_fails_silences_nobody(house: House) -> None:
    class Broken(MemoryTokens):
        async def read(self, key: str) -> Token | None:
            raise OSError("disk")

        async def lease(self, key: str, holder: str, seconds: float) -> bool:
            raise OSError("disk")

        async def save(self, key: str, holder: str, token: Token) -> None:
            raise OSError("disk")

    house.store = Broken(house.time)
    outbound = await house.outbound()

    for _ in range(3):
        await outbound.call(house.api, "POST", SEND, json={})

    assert house.platform.fetches == 1


async def test_a_token_that_is_always_refused_costs_five_fetches_in_ten_minutes(house: House) -> None:
    house.platform.good = lambda token: False
    house.platform.fetch_seconds = 0
    outbound = await house.outbound()

    kinds = set()
    for _ in range(600):
        kinds.add((await refused(outbound, house.api)).kind)
        house.time.pass_(1)

    assert kinds == {"token"}
    assert 2 <= house.platform.fetches <= 5
    assert house.platform.sends <= 20


async def test_a_secret_that_is_wrong_is_not_tried_in_a_loop(house: House) -> None:
    house.platform.fetch_answer = replying(json={"errcode": 40001, "errmsg": f"invalid credential corpsecret={SECRET}"})
    house.platform.fetch_seconds = 0
    outbound = await house.outbound()

    errors = []
    for _ in range(600):
        errors.append(await refused(outbound, house.api))
        house.time.pass_(1)

    assert {error.kind for error in errors} == {"config"}
    assert house.platform.fetches <= 5
    assert house.platform.sends == 0


async def test_a_token_near_its_end_is_renewed_while_the_old_one_still_serves(house: House) -> None:
    house.store.rows[house.api.key] = Token("token-0", house.time() + timedelta(minutes=3))
    outbound = await house.outbound()
    await outbound.call(house.api, "POST", SEND, json={})

    await outbound.call(house.api, "POST", SEND, json={})
    await asyncio.sleep(0.2)
    await outbound.call(house.api, "POST", SEND, json={})

    assert house.platform.tokens_seen == ["token-0", "token-0", "token-1"]
    assert house.platform.fetches == 1


async def test_wechat_asks_for_a_forced_token_only_after_a_refusal(house: House) -> None:
    api = wechat_api(base=house.platform.url, app_id="wx", secret=SECRET)
    outbound = await house.outbound()
    await outbound.call(api, "POST", "/cgi-bin/message/custom/send", json={})
    house.platform.good = lambda token: token == "token-2"

    await outbound.call(api, "POST", "/cgi-bin/message/custom/send", json={})

    assert house.platform.forced == [False, True]


async def test_dingtalk_carries_its_token_in_a_header(house: House) -> None:
    api = dingtalk_api(base=house.platform.url, client_id="ding", client_secret=SECRET)
    outbound = await house.outbound()

    await outbound.call(api, "POST", "/v1.0/robot/oToMessages/batchSend", json={})

    assert house.platform.tokens_seen == ["token-1"]


async def test_no_secret_shows_in_errors_or_logs(house: House) -> None:
    house.platform.fetch_seconds = 0
    outbound = await house.outbound()
    webhook = f"{house.platform.url}/robot/sendBySession?session=canary-session-0815"
    seen: list[str] = []
    with capture_logs() as logs:
        house.platform.good = lambda token: False
        seen.append(str(await refused(outbound, house.api)))
        house.platform.good = lambda token: True
        echo = {"errcode": 40058, "errmsg": f"bad corpsecret={SECRET} session=canary-session-0815 access_token=token-2 'secret': '{SECRET}'"}
        house.platform.answer = replying(json=echo)
        house.time.pass_(3600)
        seen.append(str(await refused(outbound, house.api)))
        for host in (house.platform.url, "https://oapi.dingtalk.com"):
            with pytest.raises(PlatformError) as caught:
                await outbound.post(webhook, {}, allowed_hosts=frozenset({host}))
            seen.extend((str(caught.value), repr(caught.value), repr(caught.value.__cause__)))
        down = wecom_api(base="http://127.0.0.1:1", corp_id="other", agent_id="1", secret=SECRET)
        seen.extend((str(await refused(outbound, down)), repr(down)))

    everything = json.dumps(logs, default=str) + "\n".join(seen)
    assert logs
    for canary in (SECRET, "canary-session-0815", "token-1", "token-2"):
        assert canary not in everything


async def test_every_failure_is_counted(house: House) -> None:
    house.platform.answer = replying(json={"errcode": 81013})
    outbound = await house.outbound()

    await refused(outbound, house.api)

    assert house.noted == [("outbound_error", "wecom", 1)]


async def test_a_closed_client_says_so() -> None:
    clock = Time()
    outbound = Outbound(tokens=MemoryTokens(clock), clock=clock, note=ignore_note, holder="one")

    with pytest.raises(RuntimeError):
        await outbound.post("https://oapi.dingtalk.com/robot", {}, allowed_hosts=frozenset({"oapi.dingtalk.com"}))
