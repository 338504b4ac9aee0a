"""What an outsider or a thief of one request can send: one answer, no effect, no trace (bot/docs/reliability.md A1–A5, A11)."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from tests.support.platforms.callbacks import CallbackClient
from tests.support.platforms.envelopes import AES_KEY, OTHER_KEY, REFUSED, TOKEN, Query, Sealer
from tests.support.platforms.servers import wechat_stands, wecom_stands
from tests.support.platforms.wecom import AGENT


@pytest.fixture(params=["wecom", "wechat"])
async def callback(request: pytest.FixtureRequest) -> AsyncIterator[CallbackClient]:
    if request.param == "wecom":
        async with wecom_stands() as (platform, ear):
            yield CallbackClient(platform, ear)
    else:
        async with wechat_stands() as (official, ear):
            yield CallbackClient(official, ear)


# The stamp.


@pytest.mark.parametrize("name", ["msg_signature", "timestamp", "nonce"])
async def test_a_stamp_that_is_missing_empty_wrong_or_doubled_is_refused(callback: CallbackClient, name: str) -> None:
    query, body = callback.message()

    await callback.refuses({key: value for key, value in query.items() if key != name}, body)
    await callback.refuses({**query, name: ""}, body)
    await callback.refuses({**query, name: query[name][:-1] + ("0" if query[name][-1] != "0" else "1")}, body)
    await callback.refuses([*query.items(), (name, query[name])], body)
    await callback.refuses({**query, name: query[name] + "\x00"}, body)
    await callback.refuses({**query, name: "é" * 40}, body)
    await callback.refuses({**query, name: "9" * 5000}, body)


async def test_a_message_signed_without_the_token_is_refused(callback: CallbackClient) -> None:
    for token in ("", "0", TOKEN[:-1], TOKEN.upper()):
        outsider = Sealer(callback.sealer.receiver, callback.sealer.agent_id, token=token)
        await callback.refuses(*outsider.seal(callback.platform.text("A"), callback.now))


# The ciphertext.


async def test_no_tampering_can_be_told_from_another(callback: CallbackClient) -> None:
    """Without the token the signature refuses; with it (a thief's) what is broken inside looks the same from outside."""
    dice = random.Random(2026)
    query, body = callback.message()
    encrypt = body.split("CDATA[")[-1].split("]]")[0]
    raw = base64.b64decode(encrypt)
    changed = []
    for _ in range(20):
        place = dice.randrange(len(raw))
        changed.append(base64.b64encode(raw[:place] + bytes((raw[place] ^ dice.randrange(1, 256),)) + raw[place + 1 :]).decode())
    for other in (*changed, encrypt[:-44], encrypt[44:] + encrypt[:44], encrypt[:-1], encrypt + "A", "", "%%%"):
        await callback.refuses(query, callback.sealer.body(other))

    blocks = [raw[n : n + 16] for n in range(0, len(raw), 16)]
    broken = [
        b"".join([*blocks[:-2], blocks[-1], blocks[-2]]),
        b"".join(blocks[:-1]),
        b"".join(reversed(blocks)),
        raw[:-1],
        raw[:32],
    ]
    packed = [
        *(callback.sealer.packed(b"<xml></xml>", length=length) for length in (0, 2**31, 2**32 - 1)),
        *(callback.sealer.packed(b"x" * (-(20 + len(callback.sealer.receiver) + n) % 32), pad=bytes((n,)) * n) for n in (33, 255)),
        callback.sealer.cipher(b"\x00" * 64),
        callback.sealer.cipher(b"\x20" * 32),
        callback.sealer.cipher(b"\x01" * 16),
    ]
    for other in [base64.b64encode(one).decode() for one in broken] + packed:
        await callback.refuses(callback.sealer.stamp(other, callback.now), callback.sealer.body(other))
    await callback.hears()


# Replay.


async def test_a_captured_message_is_worth_nothing_after_ten_minutes(callback: CallbackClient) -> None:
    query, body = callback.message()
    for seconds in (601, 60, 30 * 86400):
        callback.platform.clock.pass_(seconds)
        await callback.refuses(query, body)
    await callback.hears()


async def test_a_message_from_the_future_is_refused(callback: CallbackClient) -> None:
    await callback.refuses(*callback.sealer.seal(callback.platform.text("A"), callback.now + 601))


async def test_a_host_whose_clock_is_wrong_refuses_everybody_and_not_in_silence(callback: CallbackClient) -> None:
    with capture_logs() as logs:
        await callback.refuses(*callback.sealer.seal(callback.platform.text("A"), callback.now - 900))
        query, body = callback.message()
        await callback.refuses({**query, "msg_signature": "0" * 40}, body)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["callbacks from another hour: is this host's clock right?"]
    assert (callback.ear.count("stale"), callback.ear.count("refused")) == (1, 2), "a forgery says nothing of the clock"


async def test_a_replay_within_the_minutes_is_the_same_message_for_dispatch(callback: CallbackClient) -> None:
    query, body = callback.message()
    for _ in range(2):
        await callback.platform.deliver(query, body)
    assert len(callback.ear.heard) == 2
    assert len({(one.sender, one.message_id) for one in callback.ear.heard}) == 1


# Other modes, other apps.


async def test_a_plain_message_is_refused_under_a_right_query_and_beside_a_sealed_one(callback: CallbackClient) -> None:
    query, body = callback.message()
    plain = callback.platform.text("A")
    both = body.replace("<Encrypt>", plain.removeprefix("<xml>").removesuffix("</xml>") + "<Encrypt>")
    made = {"timestamp": query["timestamp"], "nonce": query["nonce"]}
    signed = {**made, "msg_signature": callback.sealer.sign(query["timestamp"], query["nonce"]), "signature": callback.sealer.sign(*made.values())}

    for wrong in (plain, both, "<xml></xml>", "{}", ""):
        await callback.refuses(query, wrong)
        await callback.refuses(signed, wrong)


async def test_letters_for_another_app_or_under_another_key_are_refused(callback: CallbackClient) -> None:
    for receiver, key in (("ww0000000000000000", AES_KEY), ("", AES_KEY), (callback.sealer.receiver, OTHER_KEY)):
        other = Sealer(receiver, callback.sealer.agent_id, aes_key=key)
        await callback.refuses(*other.seal(callback.platform.text("A"), callback.now))


async def test_letters_for_another_agent_of_the_corporation_are_refused() -> None:
    async with wecom_stands() as (platform, ear):
        callback = CallbackClient(platform, ear)
        outside = Sealer(callback.sealer.receiver, "1000003")
        await callback.refuses(*outside.seal(platform.text("A"), callback.now))
        await callback.refuses(*callback.message(platform.text("A").replace(f"<AgentID>{AGENT}<", "<AgentID>1000003<")))


# The address check.


async def test_a_forged_address_check_echoes_nothing() -> None:
    async with wecom_stands() as (platform, ear):
        callback = CallbackClient(platform, ear)
        html, good = callback.sealer.packed(b"<script>alert(1)</script>"), callback.sealer.packed(b"123")
        right = callback.sealer.stamp(good, callback.now)
        await _checks(
            callback,
            {**callback.sealer.stamp(html, callback.now), "echostr": html},
            {**right, "echostr": html},
            {**right, "msg_signature": "0" * 40, "echostr": good},
            {**callback.sealer.stamp(good, callback.now - 601), "echostr": good},
            {**right, "echostr": ""},
            right,
        )


async def test_a_signature_that_covers_no_echo_lets_no_markup_through() -> None:
    async with wechat_stands() as (platform, ear):
        callback = CallbackClient(platform, ear)
        made = str(int(callback.now))
        right = {"signature": callback.sealer.sign(made, "n1"), "timestamp": made, "nonce": "n1"}
        old = str(int(callback.now - 601))
        await _checks(
            callback,
            {**right, "echostr": "<script>alert(1)</script>"},
            {**right, "echostr": "法"},
            {**right, "echostr": "1\r\nSet-Cookie: a=b"},
            {**right, "echostr": "1" * 300},
            {**right, "signature": "0" * 40, "echostr": "1"},
            {"signature": callback.sealer.sign(old, "n1"), "timestamp": old, "nonce": "n1", "echostr": "1"},
            right,
        )


async def _checks(callback: CallbackClient, *queries: Query) -> None:
    assert callback.platform.session is not None
    for query in queries:
        async with callback.platform.session.get(callback.platform.url, params=query) as response:
            found = response.status, await response.text(), response.headers["Content-Type"], response.headers["X-Content-Type-Options"]
            assert found == (*REFUSED[:2], REFUSED[-1], "nosniff")
