"""专有钉钉 over the loopback: the signed gateway, notifications that open our page, the robot's callback (bot/docs/protocols.md#zwding)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.channels.outbound.errors import PlatformError
from bot.channels.zwding.channel import judge, signature, signed_text
from bot.domain.message import Address, OutboundMessage, Reply
from tests.support.platforms.faults import IMPATIENT
from tests.support.platforms.zwding import APP_KEY, APP_SECRET, TENANT, certificate, epaas, fine
from tests.support.platforms.zwding_bot import LESSON, PAGE, Stage, standing


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with standing() as made:
        yield made


def parcels(*users: str, reply: Reply = LESSON) -> list[OutboundMessage]:
    return [OutboundMessage(Address("zwding", APP_KEY, user), reply, f"mark-{user}") for user in users]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ([], "GET\n2026-11-23T09:00:00.000+08:00\n17321234567891234\n/gettoken.json"),
        (
            [("msg", '{"t":"学法 & 用法"}'), ("employeeCodes", "b"), ("employeeCodes", "a"), ("Z", "1")],
            'GET\n2026-11-23T09:00:00.000+08:00\n17321234567891234\n/gettoken.json\nZ=1&employeeCodes=a&employeeCodes=b&msg={"t":"学法 & 用法"}',
        ),
    ],
)
def test_the_signed_text_is_assembled_by_the_rule(params: list[tuple[str, str]], text: str) -> None:
    made, nonce = "2026-11-23T09:00:00.000+08:00", "17321234567891234"
    assert signed_text("GET", made, nonce, "/gettoken.json", params) == text
    assert signature(APP_SECRET, text) == epaas("GET", made, nonce, "/gettoken.json", params)


def test_a_signature_is_the_one_that_openssl_makes() -> None:
    """printf 'POST\\nT\\nN\\n/p\\na=1&b=二' | openssl dgst -sha256 -hmac secret-1 -binary | base64"""
    assert signature("secret-1", signed_text("POST", "T", "N", "/p", [("b", "二"), ("a", "1")])) == "1rVoiN6duLY45TND0K/mwOoOPOAuoGSk6U+iGzSkP0I="


async def test_a_notification_opens_our_page_and_its_id_is_ours(stage: Stage) -> None:
    receipts = await stage.channel.push(parcels("46001", "46002"))

    assert [one.outcome for one in receipts] == ["sent", "sent"]
    [notice] = stage.platform.notices
    assert notice["receiverIds"] == "46001,46002"
    assert notice["bizMsgId"] == receipts[0].platform_id == receipts[1].platform_id
    card = json.loads(notice["msg"])["action_card"]
    assert (card["title"], card["single_title"]) == ("今天学第一课。", "开始学习")
    assert card["single_url"] == PAGE + "?say=%E5%AD%A6%E4%B9%A0%20mfd-1191"
    assert "access_token" not in notice


async def test_each_wording_is_a_call_of_its_own_and_no_call_is_too_large(stage: Stage) -> None:
    async with standing(receivers=2) as small:
        batch = [*parcels("1", "2", "3"), *parcels("4", reply=Reply("通知")), *parcels("5")]
        receipts = await small.channel.push(batch)
        assert sorted(notice["receiverIds"] for notice in small.platform.notices) == ["1,2", "3,5", "4"]
        assert receipts[2].platform_id == receipts[4].platform_id != receipts[3].platform_id


async def test_a_prefix_stands_before_every_call_and_is_signed_or_not_as_the_tenant_has_it() -> None:
    for signed in (True, False):
        async with standing(prefix="/epaas/v2", signs_prefix=signed) as made:
            assert [one.outcome for one in await made.channel.push(parcels("1"))] == ["sent"]


async def test_a_gateway_with_a_certificate_of_its_own_is_trusted_only_when_it_is_named(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    async with standing(pem=pem, ca_file=str(pem)) as named:
        assert [one.outcome for one in await named.channel.push(parcels("1"))] == ["sent"]
    async with standing(pem=pem) as unnamed:
        assert [one.outcome for one in await unnamed.channel.push(parcels("1"))] == ["later"]
        assert unnamed.platform.notices == []


async def test_a_ca_file_that_is_not_there_is_told_at_the_start() -> None:
    with pytest.raises(ValueError, match="ca_file"):
        async with standing(ca_file="/nowhere.pem"):
            pass


async def test_every_try_is_signed_anew_since_a_nonce_serves_once(stage: Stage) -> None:
    async def busy(request: web.Request) -> web.StreamResponse | None:
        stage.platform.scripts.clear()
        return web.json_response({"success": False, "errorMsg": "system busy", "bizErrorCode": "B1"})

    stage.platform.scripts["/message/workNotification"] = busy
    assert [one.outcome for one in await stage.channel.push(parcels("1"))] == ["sent"]
    assert len(stage.platform.nonces) == 2


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"success": False, "bizErrorCode": "OPF-B001-05", "errorMsg": "参数错误"}, "failed"),
        ({"success": True, "content": {"success": False, "responseCode": "MSG-1", "responseMessage": "receiver not in tenant scope"}}, "failed"),
        ({"success": True, "content": {"success": False, "responseCode": "MSG-2", "responseMessage": "模板不符"}}, "failed"),
        ({"Code": "Throttling.User", "Message": "flow control", "_RequestId": "r"}, "later"),
        ({"Code": "InvalidSignature", "Message": "no", "_RequestId": "r"}, "later"),
        ({"success": True}, "unknown"),
        ({"success": "true", "content": {"success": True}}, "failed"),
    ],
)
async def test_both_flags_have_to_say_that_it_was_done(stage: Stage, answer: dict[str, Any], outcome: str) -> None:
    async def scripted(request: web.Request) -> web.StreamResponse | None:
        return web.json_response(answer)

    stage.platform.scripts["/message/workNotification"] = scripted
    [receipt] = await stage.channel.push(parcels("1"))
    assert receipt.outcome == outcome
    assert APP_SECRET not in receipt.error


async def test_what_may_have_arrived_is_unknown_and_is_not_said_twice(stage: Stage) -> None:
    calls = 0

    async def delivered_then_silent(request: web.Request) -> web.StreamResponse | None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(IMPATIENT + 1)
        return None

    stage.channel._outbound._total = IMPATIENT
    stage.platform.scripts["/message/workNotification"] = delivered_then_silent
    assert [one.outcome for one in await stage.channel.push(parcels("1"))] == ["unknown"]
    assert calls == 1


@pytest.mark.parametrize("page", ["<html>系统维护</html>", '{"success": tr', ""])
async def test_an_answer_that_is_no_json_leaves_it_in_doubt(stage: Stage, page: str) -> None:
    async def odd(request: web.Request) -> web.StreamResponse | None:
        return web.Response(text=page, content_type="text/html")

    stage.platform.scripts["/message/workNotification"] = odd
    assert [one.outcome for one in await stage.channel.push(parcels("1"))] == ["unknown"]


async def test_a_notification_is_changed_and_taken_back_by_its_id(stage: Stage) -> None:
    [receipt] = await stage.channel.push(parcels("46001"))
    await stage.channel.update_notification(receipt.platform_id, ["46001"], Reply("已完成"))
    assert [one.outcome for one in await stage.channel.recall([receipt.platform_id, ""])] == ["sent", "failed"]

    [changed] = stage.platform.calls("/message/changeMessageInfo")
    assert (changed["accountIds"], changed["bizMsgId"], json.loads(changed["jsonContent"])["action_card"]["markdown"]) == (
        "46001",
        receipt.platform_id,
        "已完成",
    )
    [revoked] = stage.platform.calls("/message/revoke")
    assert (revoked["msgType"], revoked["bizMsgId"], revoked["tenantId"]) == ("workNotification", receipt.platform_id, TENANT)


async def test_a_code_from_our_page_names_the_account_and_the_token_is_fetched_once(stage: Stage) -> None:
    for _ in range(2):
        member = await stage.channel.read_member("code-1")
        assert (member.account_id, member.employee_code) == ("46001", "GE_7")
    assert len(stage.platform.calls("/gettoken.json")) == 1


async def test_an_expired_token_is_renewed_once(stage: Stage) -> None:
    async def expired(request: web.Request) -> web.StreamResponse | None:
        stage.platform.scripts.clear()
        return web.json_response({"success": True, "content": {"success": False, "responseCode": "TOKEN_EXPIRED", "responseMessage": "access token"}})

    stage.platform.scripts["/rpc/oauth2/dingtalk_app_user.json"] = expired
    assert (await stage.channel.read_member("code-1")).account_id == "46001"
    assert len(stage.platform.calls("/gettoken.json")) == 2


async def test_without_a_page_the_words_go_out_alone() -> None:
    async with standing(page="") as made:
        await made.channel.send(Address("zwding", APP_KEY, "1"), LESSON)
        assert json.loads(made.platform.notices[0]["msg"]) == {
            "msgtype": "text",
            "text": {"content": "今天学第一课。\n\n（回复「学习 mfd-1191」）"},
        }


def test_a_gateway_without_a_word_we_know_is_judged_by_its_status() -> None:
    assert judge(200, fine()) is None
    assert (judge(500, {"Code": "X", "Message": ""}) or PlatformError("content", "")).kind == "transient"
    assert (judge(504, {"Code": "X", "Message": ""}) or PlatformError("content", "")).kind == "unknown"
