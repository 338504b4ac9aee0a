"""What the platforms answer when something is wrong, and what the outbound client makes of it (bot/docs/reliability.md O3, O4, O8)."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.channels.outbound import errors
from bot.channels.outbound.apis import wecom_api
from bot.channels.outbound.client import allowed_url
from bot.channels.outbound.errors import PlatformError
from tests.support.platforms.plain import SECRET, SEND, Answer, OutboundSetup, Platform, refused, replying, stand


@pytest.fixture
async def setup() -> AsyncIterator[OutboundSetup]:
    async with AsyncExitStack() as stack:
        yield OutboundSetup(await stack.enter_async_context(stand(Platform())), stack)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (replying(text="<html>系统维护</html>"), "unknown"),
        (replying(text='{"errcode": 0, "errm'), "unknown"),
        (replying(text="[1, 2]"), "unknown"),
        (replying(text="[" * 100_000), "unknown"),
        (replying(text=""), "unknown"),
        (replying(json={"errcode": "zero"}), "unknown"),
        (replying(json={"errcode": "81013"}), "recipient"),
        (replying(json={"errcode": 81013}), "recipient"),
        (replying(json={"errcode": 45009}), "rate"),
        (replying(json={"errcode": 60020}), "config"),
        (replying(json={"errcode": 99999999}), "content"),
        (replying(text="<html>slow down</html>", status=429), "rate"),
        (replying(text="no", status=504), "unknown"),
        (replying(text="no", status=502), "unknown"),
        (replying(text="no", status=500), "transient"),
        (replying(text="x" * 5_000_000), "unknown"),
    ],
)
async def test_odd_answers_are_named_and_crash_nothing(setup: OutboundSetup, answer: Answer, kind: str) -> None:
    setup.platform.answer = answer
    outbound = await setup.outbound()

    assert (await refused(outbound, setup.api)).kind == kind


async def test_an_errcode_of_zero_may_come_as_text(setup: OutboundSetup) -> None:
    setup.platform.answer = replying(json={"errcode": "0", "msgid": "m"})
    outbound = await setup.outbound()

    assert (await outbound.call(setup.api, "POST", SEND, json={}))["msgid"] == "m"


async def test_a_bomb_of_gzip_is_read_no_further_than_the_cap(setup: OutboundSetup) -> None:
    bomb = gzip.compress(b" " * 50_000_000)

    async def explode(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"}, content_type="application/json")

    setup.platform.answer = explode
    outbound = await setup.outbound()
    tracemalloc.start()
    try:
        assert (await refused(outbound, setup.api)).kind == "unknown"
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


async def test_a_redirect_is_not_followed(setup: OutboundSetup) -> None:
    hits = []

    async def inside(request: web.Request) -> web.Response:
        hits.append(request.path)
        return web.json_response({"errcode": 0})

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", inside)
    async with TestServer(app) as server:
        setup.platform.answer = replying(text="", status=307, headers={"Location": str(server.make_url("/internal"))})
        outbound = await setup.outbound()

        assert (await refused(outbound, setup.api)).kind == "config"

    assert hits == []


@pytest.mark.parametrize(("method", "kind"), [("POST", "unknown"), ("GET", "transient")])
async def test_an_answer_of_one_byte_a_second_ends_by_the_total_time(setup: OutboundSetup, method: str, kind: str) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:  # Only the caller's own limit ends it.
            await response.write(b" ")
            await asyncio.sleep(0.1)

    setup.platform.answer = drip
    outbound = await setup.outbound(total=1.0, read=0.5)

    assert (await refused(outbound, setup.api, method)).kind == kind


async def test_what_was_sent_and_never_answered_is_unknown_and_not_repeated(setup: OutboundSetup) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    setup.platform.answer = hang_up
    outbound = await setup.outbound()

    assert (await refused(outbound, setup.api)).kind == "unknown"
    assert setup.platform.sends == 1


async def test_a_busy_platform_is_asked_again_within_the_call(setup: OutboundSetup) -> None:
    busy = iter([True])

    async def once_busy(request: web.Request) -> web.StreamResponse:
        return web.json_response({"errcode": -1 if next(busy, False) else 0})

    setup.platform.answer = once_busy
    outbound = await setup.outbound()

    assert (await outbound.call(setup.api, "POST", SEND, json={}))["errcode"] == 0
    assert setup.platform.sends == 2


async def test_nobody_there_is_transient(setup: OutboundSetup) -> None:
    api = wecom_api(base="http://127.0.0.1:1", corp_id="corp", agent_id="1", secret=SECRET)
    outbound = await setup.outbound()

    error = await refused(outbound, api)

    assert (error.kind, error.code) == ("transient", "no-connection")


async def test_a_line_that_does_not_speak_tls_is_transient(setup: OutboundSetup) -> None:
    api = wecom_api(base=setup.platform.url.replace("http:", "https:"), corp_id="corp", agent_id="1", secret=SECRET)
    outbound = await setup.outbound()

    assert (await refused(outbound, api)).kind == "transient"


async def test_a_platform_that_keeps_silent_is_left_alone_for_a_while_and_nothing_then_is_in_doubt(setup: OutboundSetup) -> None:
    setup.platform.answer = replying(text="<html>", status=200)
    outbound = await setup.outbound()
    kinds = [(await refused(outbound, setup.api)).kind for _ in range(8)]

    assert kinds == ["unknown"] * 5 + ["transient"] * 3
    assert setup.platform.sends == 5


async def test_a_limit_closes_this_call_for_its_window_and_no_other(setup: OutboundSetup) -> None:
    setup.platform.answer = replying(json={"errcode": 45009, "errmsg": "api freq out of limit"})
    outbound = await setup.outbound()
    assert (await refused(outbound, setup.api)).retry_after == 60
    for _ in range(10):
        assert (await refused(outbound, setup.api)).kind == "rate"
    assert setup.platform.sends == 1

    setup.platform.answer = None
    await outbound.call(setup.api, "POST", "/cgi-bin/message/recall", json={})
    setup.time.pass_(61)
    await outbound.call(setup.api, "POST", SEND, json={})

    assert setup.platform.sends == 3


async def test_a_limit_that_outlives_its_minute_is_taken_for_the_hours_and_then_the_days(setup: OutboundSetup) -> None:
    setup.platform.answer = replying(json={"errcode": 45009})
    outbound = await setup.outbound()
    waits = []
    for _ in range(3):
        wait = (await refused(outbound, setup.api)).retry_after
        assert wait is not None
        waits.append(wait)
        setup.time.pass_(wait + 1)

    assert waits[:2] == [60, 3600]
    assert 3600 < waits[2] <= 24 * 3600 + 300


async def test_one_person_who_cannot_be_reached_pauses_nobody_else(setup: OutboundSetup) -> None:
    setup.platform.answer = replying(json={"errcode": 81013})
    outbound = await setup.outbound()

    for _ in range(20):
        assert (await refused(outbound, setup.api)).kind == "recipient"

    assert setup.platform.sends == 20


async def test_a_webhook_answer_is_judged_like_any_other(setup: OutboundSetup) -> None:
    outbound = await setup.outbound()
    allowed = frozenset({setup.platform.url})
    assert (await outbound.post(f"{setup.platform.url}/robot/send", {"a": 1}, allowed_hosts=allowed))["errcode"] == 0
    setup.platform.answer = replying(json={"errcode": 300001, "errmsg": "session expired"})

    with pytest.raises(PlatformError) as caught:
        await outbound.post(f"{setup.platform.url}/robot/send", {"a": 1}, allowed_hosts=allowed)

    assert caught.value.kind == "content"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://oapi.dingtalk.com/robot/sendBySession?session=x", True),
        ("https://OAPI.dingtalk.com/robot/sendBySession?session=x", True),
        ("https://oapi.dingtalk.com:443/robot", True),
        ("http://oapi.dingtalk.com/robot", False),
        ("https://oapi.dingtalk.com:8443/robot", False),
        ("https://oapi.dingtalk.com.evil.example/robot", False),
        ("https://oapi.dingtalk.com@evil.example/robot", False),
        ("https://evil.example#@oapi.dingtalk.com/", False),
        ("https://evil.example\\@oapi.dingtalk.com/", False),
        ("https://oapi.dingtalk.com./robot", False),
        ("//oapi.dingtalk.com/robot", False),
        ("https:/oapi.dingtalk.com/robot", False),
        ("https://[::1]/robot", False),
        ("https://oapi.dingtalk.com/" + "a" * 3000, False),
        (" https://oapi.dingtalk.com/", False),
        ("https://oapi.dingtalk.com:99999/", False),
        ("", False),
    ],
)
def test_only_a_configured_origin_is_spoken_to(address: str, allowed: bool) -> None:
    assert (allowed_url(address, frozenset({"oapi.dingtalk.com"})) is not None) is allowed


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (401, {"code": "InvalidAuthentication"}, "token"),
        (403, {"code": "Forbidden.AccessDenied.ApiCountLimitForOrg"}, "quota"),
        (403, {"code": "forbidden.accessdenied.qpslimitforappkeyandapi"}, "rate"),
        (403, {"code": "Forbidden.AccessDenied.AccessTokenPermissionDenied"}, "permission"),
        (400, {"code": "staffId.notExisted"}, "recipient"),
        (400, {"code": "param.error"}, "content"),
        (400, {"code": 7}, "content"),
        (500, {"code": "system.error"}, "transient"),
        (504, {}, "unknown"),
        (200, {"status": 1111, "wait": 5, "punish": "deny"}, "rate"),
        (200, {errors.UNREADABLE: "<html>punish</html>"}, "rate"),
    ],
)
def test_dingtalks_words_have_their_meaning(status: int, answer: dict[str, Any], kind: str) -> None:
    found = errors.dingtalk_new(status, answer)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"errcode": 88, "sub_code": "40014", "sub_msg": "不合法的access_token"}, "token"),
        ({"errcode": 88}, "token"),
        ({"errcode": 88, "sub_code": "60011"}, "permission"),
        ({"errcode": 90018}, "rate"),
        ({"errcode": 90020}, "quota"),
        ({"errcode": 143106}, "content"),
        ({"errcode": 33012}, "recipient"),
    ],
)
def test_dingtalks_old_numbers_have_their_meaning(answer: dict[str, Any], kind: str) -> None:
    found = errors.dingtalk_old(200, answer)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    ("code", "kind"), [(40003, "recipient"), (45015, "window"), (45047, "window"), (45009, "quota"), (45011, "rate"), (48001, "permission")]
)
def test_wechats_numbers_have_their_meaning(code: int, kind: str) -> None:
    found = errors.wechat(200, {"errcode": code})
    assert found is not None
    assert found.kind == kind
