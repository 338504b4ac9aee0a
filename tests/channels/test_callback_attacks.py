"""What an outsider or a thief of one request can send: one answer, no effect, no trace (bot/docs/reliability.md A1–A5, A11)."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from tests.support.platforms.callbacks import Door
from tests.support.platforms.envelopes import AES_KEY, OTHER_KEY, REFUSED, TOKEN, Query, Sealer
from tests.support.platforms.servers import wechat_stands, wecom_stands
from tests.support.platforms.wecom import AGENT


@pytest.fixture(params=["wecom", "wechat"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    if request.param == "wecom":
        async with wecom_stands() as (platform, ear):
            yield Door(platform, ear)
    else:
        async with wechat_stands() as (official, ear):
            yield Door(official, ear)


# The stamp.


@pytest.mark.parametrize("name", ["msg_signature", "timestamp", "nonce"])
async def test_a_stamp_that_is_missing_empty_wrong_or_doubled_is_refused(door: Door, name: str) -> None:
    query, body = door.letter()

    await door.refuses({key: value for key, value in query.items() if key != name}, body)
    await door.refuses({**query, name: ""}, body)
    await door.refuses({**query, name: query[name][:-1] + ("0" if query[name][-1] != "0" else "1")}, body)
    await door.refuses([*query.items(), (name, query[name])], body)
    await door.refuses({**query, name: query[name] + "\x00"}, body)
    await door.refuses({**query, name: "é" * 40}, body)
    await door.refuses({**query, name: "9" * 5000}, body)


async def test_a_letter_signed_without_the_token_is_refused(door: Door) -> None:
    for token in ("", "0", TOKEN[:-1], TOKEN.upper()):
        outsider = Sealer(door.sealer.receiver, door.sealer.agent_id, token=token)
        await door.refuses(*outsider.seal(door.platform.text("A"), door.now))


# The ciphertext.


async def test_no_tampering_can_be_told_from_another(door: Door) -> None:
    """Without the token the signature refuses; with it (a thief's) what is broken inside looks the same from outside."""
    dice = random.Random(2026)
    query, body = door.letter()
    encrypt = body.split("CDATA[")[-1].split("]]")[0]
    raw = base64.b64decode(encrypt)
    changed = []
    for _ in range(20):
        place = dice.randrange(len(raw))
        changed.append(base64.b64encode(raw[:place] + bytes((raw[place] ^ dice.randrange(1, 256),)) + raw[place + 1 :]).decode())
    for other in (*changed, encrypt[:-44], encrypt[44:] + encrypt[:44], encrypt[:-1], encrypt + "A", "", "%%%"):
        await door.refuses(query, door.sealer.body(other))

    blocks = [raw[n : n + 16] for n in range(0, len(raw), 16)]
    broken = [
        b"".join([*blocks[:-2], blocks[-1], blocks[-2]]),
        b"".join(blocks[:-1]),
        b"".join(reversed(blocks)),
        raw[:-1],
        raw[:32],
    ]
    packed = [
        *(door.sealer.packed(b"<xml></xml>", length=length) for length in (0, 2**31, 2**32 - 1)),
        *(door.sealer.packed(b"x" * (-(20 + len(door.sealer.receiver) + n) % 32), pad=bytes((n,)) * n) for n in (33, 255)),
        door.sealer.cipher(b"\x00" * 64),
        door.sealer.cipher(b"\x20" * 32),
        door.sealer.cipher(b"\x01" * 16),
    ]
    for other in [base64.b64encode(one).decode() for one in broken] + packed:
        await door.refuses(door.sealer.stamp(other, door.now), door.sealer.body(other))
    await door.hears()


# Replay.


async def test_a_captured_letter_is_worth_nothing_after_ten_minutes(door: Door) -> None:
    query, body = door.letter()
    for seconds in (601, 60, 30 * 86400):
        door.platform.clock.pass_(seconds)
        await door.refuses(query, body)
    await door.hears()


async def test_a_letter_from_the_future_is_refused(door: Door) -> None:
    await door.refuses(*door.sealer.seal(door.platform.text("A"), door.now + 601))


async def test_a_host_whose_clock_is_wrong_refuses_everybody_and_not_in_silence(door: Door) -> None:
    with capture_logs() as logs:
        await door.refuses(*door.sealer.seal(door.platform.text("A"), door.now - 900))
        query, body = door.letter()
        await door.refuses({**query, "msg_signature": "0" * 40}, body)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["callbacks from another hour: is this host's clock right?"]
    assert (door.ear.count("stale"), door.ear.count("refused")) == (1, 2), "a forgery says nothing of the clock"


async def test_a_replay_within_the_minutes_is_the_same_message_for_dispatch(door: Door) -> None:
    query, body = door.letter()
    for _ in range(2):
        await door.platform.deliver(query, body)
    assert len(door.ear.heard) == 2
    assert len({(one.sender, one.message_id) for one in door.ear.heard}) == 1


# Other modes, other apps.


async def test_a_plain_message_is_refused_under_a_right_query_and_beside_a_sealed_one(door: Door) -> None:
    query, body = door.letter()
    plain = door.platform.text("A")
    both = body.replace("<Encrypt>", plain.removeprefix("<xml>").removesuffix("</xml>") + "<Encrypt>")
    made = {"timestamp": query["timestamp"], "nonce": query["nonce"]}
    signed = {**made, "msg_signature": door.sealer.sign(query["timestamp"], query["nonce"]), "signature": door.sealer.sign(*made.values())}

    for wrong in (plain, both, "<xml></xml>", "{}", ""):
        await door.refuses(query, wrong)
        await door.refuses(signed, wrong)


async def test_letters_for_another_app_or_under_another_key_are_refused(door: Door) -> None:
    for receiver, key in (("ww0000000000000000", AES_KEY), ("", AES_KEY), (door.sealer.receiver, OTHER_KEY)):
        other = Sealer(receiver, door.sealer.agent_id, aes_key=key)
        await door.refuses(*other.seal(door.platform.text("A"), door.now))


async def test_letters_for_another_agent_of_the_corporation_are_refused() -> None:
    async with wecom_stands() as (platform, ear):
        door = Door(platform, ear)
        outside = Sealer(door.sealer.receiver, "1000003")
        await door.refuses(*outside.seal(platform.text("A"), door.now))
        await door.refuses(*door.letter(platform.text("A").replace(f"<AgentID>{AGENT}<", "<AgentID>1000003<")))


# The address check.


async def test_a_forged_address_check_echoes_nothing() -> None:
    async with wecom_stands() as (platform, ear):
        door = Door(platform, ear)
        html, good = door.sealer.packed(b"<script>alert(1)</script>"), door.sealer.packed(b"123")
        right = door.sealer.stamp(good, door.now)
        await _checks(
            door,
            {**door.sealer.stamp(html, door.now), "echostr": html},
            {**right, "echostr": html},
            {**right, "msg_signature": "0" * 40, "echostr": good},
            {**door.sealer.stamp(good, door.now - 601), "echostr": good},
            {**right, "echostr": ""},
            right,
        )


async def test_a_signature_that_covers_no_echo_lets_no_markup_through() -> None:
    async with wechat_stands() as (platform, ear):
        door = Door(platform, ear)
        made = str(int(door.now))
        right = {"signature": door.sealer.sign(made, "n1"), "timestamp": made, "nonce": "n1"}
        old = str(int(door.now - 601))
        await _checks(
            door,
            {**right, "echostr": "<script>alert(1)</script>"},
            {**right, "echostr": "法"},
            {**right, "echostr": "1\r\nSet-Cookie: a=b"},
            {**right, "echostr": "1" * 300},
            {**right, "signature": "0" * 40, "echostr": "1"},
            {"signature": door.sealer.sign(old, "n1"), "timestamp": old, "nonce": "n1", "echostr": "1"},
            right,
        )


async def _checks(door: Door, *queries: Query) -> None:
    assert door.platform.session is not None
    for query in queries:
        async with door.platform.session.get(door.platform.url, params=query) as response:
            found = response.status, await response.text(), response.headers["Content-Type"], response.headers["X-Content-Type-Options"]
            assert found == REFUSED
