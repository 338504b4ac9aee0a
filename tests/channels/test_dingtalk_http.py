"""HTTP callbacks: what the platform signs is heard and answered, everything else gets one and the same refusal.

See bot/docs/protocols.md#dingtalk-callbacks.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.channels.dingtalk import cards
from bot.channels.dingtalk.incoming import FirstBodies, SignedHead, card_sign, robot_sign
from bot.domain.message import Incoming, Option, Reply
from tests.support.platforms.dingtalk import SECRET, Json, tap
from tests.support.platforms.dingtalk_bot import NOW, QUESTION, LoopbackBot, loopback_bot

ROBOT, CARD = "/channels/dingtalk", "/channels/dingtalk/card"
STAMP = str(int(NOW.timestamp() * 1000))
MOMENTS = itertools.count(1)


def signed(timestamp: str = "", secret: str = SECRET) -> dict[str, str]:
    """The head of a message; of a moment of its own, where none is given, as each message of the platform's has."""
    timestamp = timestamp or str(int(STAMP) + next(MOMENTS))
    return {"timestamp": timestamp, "sign": robot_sign(timestamp, secret)}


def card_signed(timestamp: str = "", secret: str = SECRET) -> dict[str, str]:
    timestamp = timestamp or str(int(STAMP) + next(MOMENTS))
    return {"x-ddpaas-signature-timestamp": timestamp, "x-ddpaas-signature": card_sign(timestamp, secret)}


def message(loopback: LoopbackBot, text: str = "A", **over: Any) -> bytes:
    data: str = loopback.platform.robot_frame(text, **over)["data"]
    return data.encode()


async def post(loopback: LoopbackBot, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    async with loopback.http.post(path, data=body, headers=headers) as response:
        return response.status, await response.read()


def test_the_signatures_are_those_of_the_protocol() -> None:
    # Worked out with: printf TEXT | openssl dgst -sha256 -hmac KEY -binary | base64
    assert robot_sign("1700000000000", "this is a secret") == "LdEUIXwpoL8n3zRA16VP07IGUghfkzNTVAq3jVt7RvE="
    assert card_sign("1700000000000", "this is a secret") == "Eulz+JKnRiIPNevDpYnVn619CawgXRcWwCdSL/iu3U8="


async def test_a_signed_message_is_answered_in_the_body() -> None:
    async with loopback_bot(mode="http") as loopback:
        status, body = await post(loopback, ROBOT, signed(), message(loopback, " A", msg_id="m1"))
        await asyncio.sleep(0.1)

    assert (status, json.loads(body)) == (200, {"msgtype": "text", "text": {"content": "已记录 A"}})
    assert [(one.text, one.message_id, one.sender.user) for one in loopback.heard] == [("A", "m1", "staff01")]
    assert loopback.platform.said() == []


async def test_a_question_is_answered_with_buttons_that_speak_for_the_person() -> None:
    async with loopback_bot(mode="http") as loopback:
        loopback.reply = lambda _: Reply(card=QUESTION, buttons=(Option("跳过", "跳过"),))
        _, body = await post(loopback, ROBOT, signed(), message(loopback))

    card = json.loads(body)["actionCard"]
    assert "合同自何时成立？" in card["text"]
    assert [button["title"] for button in card["btns"]] == ["A. 签字时", "B. 交付时", "跳过"]
    assert card["btns"][2]["actionURL"] == "dtmd://dingtalkclient/sendMessage?content=%E8%B7%B3%E8%BF%87"


async def test_a_late_answer_is_empty_in_time_and_sent_once_afterwards() -> None:
    told = asyncio.Event()

    async def slow(incoming: Incoming) -> None:
        await told.wait()

    async with loopback_bot(mode="http", reply_seconds=1.0) as loopback:
        loopback.before = slow
        copies = [await post(loopback, ROBOT, signed(), message(loopback, msg_id="m1")) for _ in range(3)]
        loopback.before = None
        told.set()
        copies.append(await post(loopback, ROBOT, signed(), message(loopback, msg_id="m1")))
        await loopback.platform.until(lambda: bool(loopback.platform.webhooks))
        await asyncio.sleep(0.8)

    assert copies == [(200, b"{}")] * 4
    assert loopback.platform.said() == ["已记录 A"]
    assert loopback.count("late") == 3


async def test_copies_in_time_get_the_same_text() -> None:
    async with loopback_bot(mode="http") as loopback:
        copies = await asyncio.gather(*(post(loopback, ROBOT, signed(), message(loopback, msg_id="m1")) for _ in range(4)))

    assert len(set(copies)) == 1


async def test_a_card_is_created_for_http_and_its_tap_answered_in_the_body() -> None:
    async with loopback_bot(mode="http", cards=True, public_url="https://bot.example.gov.cn") as loopback:
        await loopback.platform.until(lambda: bool(loopback.platform.registered))
        loopback.reply = lambda _: Reply(card=QUESTION)
        await post(loopback, ROBOT, signed(), message(loopback))
        await loopback.platform.until(lambda: bool(loopback.platform.cards))
        loopback.reply = lambda _: Reply(text="已记录。", done="已选 A")

        status, body = await post(loopback, CARD, card_signed(), json.dumps(tap(loopback.platform.cards[0]["outTrackId"], "A")).encode())

    assert loopback.platform.registered[0]["callbackRouteKey"] == loopback.platform.cards[0]["callbackRouteKey"]
    assert loopback.platform.cards[0]["callbackType"] == "HTTP"
    assert status == 200
    assert json.loads(body)["userPrivateData"]["cardParamMap"]["answered"] == "true"
    assert (loopback.heard[-1].kind, loopback.heard[-1].task) == ("tap", "attempt7:2")


async def test_a_tap_sent_twice_has_one_key_and_another_tap_another() -> None:
    track = cards.new_track(QUESTION)
    async with loopback_bot(mode="http", cards=True) as loopback:
        for headers, choice in ((card_signed(STAMP), "A"), (card_signed(STAMP), "A"), (card_signed(), "A"), (card_signed(), "B")):
            await post(loopback, CARD, headers, json.dumps(tap(track, choice)).encode())

    ids = [one.message_id for one in loopback.heard]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def shifted(**delta: float) -> str:
    return str(int((NOW + timedelta(**delta)).timestamp() * 1000))


FORGED: list[tuple[str, dict[str, str]]] = [
    ("no headers", {}),
    ("no sign", {"timestamp": STAMP}),
    ("no timestamp", {"sign": signed()["sign"]}),
    ("empty sign", {"timestamp": STAMP, "sign": ""}),
    ("wrong secret", signed(secret="another secret")),
    ("empty secret", signed(secret="")),
    ("other timestamp", {**signed(), "timestamp": str(int(STAMP) + 1)}),
    ("11 minutes old", signed(shifted(minutes=-11))),
    ("11 minutes ahead", signed(shifted(minutes=11))),
    ("30 days old", signed(shifted(days=-30))),
    ("1970", signed("1")),
    ("negative", signed("-" + STAMP)),
    ("letters", signed("abc")),
    ("wide digits", {"timestamp": "1７00000000000".encode().decode("latin-1"), "sign": "x"}),
    ("endless", signed("9" * 400)),
    ("no base64", {"timestamp": STAMP, "sign": "é" * 40}),
    ("packed", {**signed(), "Content-Encoding": "gzip"}),
]
RENAMED = {"timestamp": "x-ddpaas-signature-timestamp", "sign": "x-ddpaas-signature"}
BODIES: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("text", b"hello"),
    ("list", b"[]"),
    ("number", b"7"),
    ("deep", b"[" * 60_000),
    ("cut", b'{"msgId": "m'),
    ("no fields", b"{}"),
    ("bad utf-8", b'{"msgId": "\xff\xfe"}'),
    ("large", b'{"a": "' + b"x" * 70_000 + b'"}'),
    ("wrong kinds", json.dumps({"msgId": 1, "senderStaffId": [], "msgtype": {}}).encode()),
]


async def test_everything_forged_stale_or_malformed_gets_the_same_refusal_and_leaves_nothing() -> None:
    answers: set[tuple[int, bytes]] = set()
    async with loopback_bot(mode="http", cards=True) as loopback:
        good, good_tap = message(loopback), json.dumps(tap(cards.new_track(QUESTION), "A")).encode()
        with capture_logs() as logs:
            for name, headers in FORGED:
                body = gzip.compress(good) if name == "packed" else good
                answers.add(await post(loopback, ROBOT, headers, body))
                answers.add(await post(loopback, CARD, {RENAMED.get(key, key): value for key, value in headers.items()}, good_tap))
            # Each way in has a formula of its own.
            answers.add(await post(loopback, ROBOT, {**signed(), "sign": card_sign(STAMP, SECRET)}, good))
            answers.add(await post(loopback, CARD, {**card_signed(), "x-ddpaas-signature": robot_sign(STAMP, SECRET)}, good_tap))
            for _, body in BODIES:
                answers.add(await post(loopback, ROBOT, signed(), body))
                answers.add(await post(loopback, CARD, card_signed(), body))
        tries = 2 * (len(FORGED) + 1 + len(BODIES))

        assert loopback.count("refused") == tries
        assert loopback.heard == []
        assert (await post(loopback, ROBOT, signed(), good))[0] == 200

    assert answers == {(400, b"bad request")}
    assert len([one for one in logs if one["event"] == "callback refused"]) == tries
    assert SECRET not in json.dumps(logs, default=repr)


async def test_a_refusal_says_nothing_about_itself() -> None:
    async with loopback_bot(mode="http") as loopback, loopback.http.post("/channels/dingtalk", data=b"x") as response:
        assert response.content_type == "text/plain"
        assert set(response.headers) == {"Content-Type", "Content-Length", "Date", "Server"}


async def test_an_endless_body_is_cut_at_the_cap() -> None:
    async def endless() -> Any:
        for _ in range(1000):
            yield b"x" * 1000

    async with loopback_bot(mode="http") as loopback, loopback.http.post(ROBOT, data=endless(), headers=signed()) as response:
        assert response.status == 400


@pytest.mark.parametrize("edge", [-599, 599])
async def test_ten_minutes_of_difference_are_allowed(edge: int) -> None:
    async with loopback_bot(mode="http") as loopback:
        assert (await post(loopback, ROBOT, signed(shifted(seconds=edge)), message(loopback)))[0] == 200


async def test_a_person_without_an_identity_is_not_recorded() -> None:
    async with loopback_bot(mode="http") as loopback:
        assert await post(loopback, ROBOT, signed(), message(loopback, staff=None)) == (200, b"{}")
        assert loopback.heard == []


@pytest.mark.parametrize(
    ("over", "kind", "text"),
    [
        ({"msgtype": "audio", "content": {"downloadCode": "x", "duration": 1200, "recognition": " 选 A "}}, "voice", "选 A"),
        ({"msgtype": "audio", "content": {"downloadCode": "x"}}, "other", ""),
        ({"msgtype": "richText", "content": {"richText": [{"text": "选"}, {"type": "picture", "downloadCode": "x"}, {"text": "B"}]}}, "text", "选 B"),
        ({"msgtype": "richText", "content": {"richText": [{"type": "picture"}]}}, "other", ""),
        ({"msgtype": "picture", "content": {"downloadCode": "x"}}, "other", ""),
        ({"msgtype": "file", "content": {"fileName": "x"}}, "other", ""),
        ({"msgtype": "unknownMsgType"}, "other", ""),
        ({"text": {"content": "\0 A\ud800"}}, "text", "A?"),
    ],
)
async def test_each_kind_of_message_is_heard_for_what_it_is(over: Json, kind: str, text: str) -> None:
    async with loopback_bot(mode="http") as loopback:
        data = json.loads(loopback.platform.robot_frame("x")["data"])
        await post(loopback, ROBOT, signed(), json.dumps({**data, "text": None, **over}).encode())

    assert [(one.kind, one.text) for one in loopback.heard] == [(kind, text)]


async def test_a_hall_that_fails_is_no_fault_of_the_platform() -> None:
    async def broken(incoming: Incoming) -> None:
        raise OSError("disk")

    async with loopback_bot(mode="http") as loopback:
        loopback.before = broken
        assert await post(loopback, ROBOT, signed(), message(loopback)) == (200, b"{}")


async def test_in_stream_mode_there_is_no_callback() -> None:
    async with loopback_bot() as loopback:
        assert (await post(loopback, ROBOT, signed(), message(loopback)))[0] == 404


# ── A body that nobody signs ──


async def test_a_head_serves_its_first_body_only_and_a_copy_of_that() -> None:
    async with loopback_bot(mode="http") as loopback:
        head, body = signed(), message(loopback, msg_id="m1")
        answers = [await post(loopback, ROBOT, head, body) for _ in range(2)]
        forged = [
            await post(loopback, ROBOT, head, message(loopback, msg_id="m2", staff="Staff02")),
            await post(loopback, ROBOT, head, body.replace(b"Staff01", b"Staff02")),
        ]

    assert [status for status, _ in answers] == [200, 200]
    assert forged == [(400, b"bad request")] * 2
    assert {one.sender.user for one in loopback.heard} == {"staff01"}


async def test_heads_are_forgotten_when_they_are_too_old_to_be_taken() -> None:
    bodies, now = FirstBodies(600), NOW
    for n in range(50):
        bodies.check(SignedHead(str(n), f"sign{n}", former=False), b"body", now)
    bodies.check(SignedHead("50", "sign50", former=False), b"body", now + timedelta(minutes=21))
    assert len(bodies._bodies) == 1


@pytest.mark.parametrize("over", [{"robotCode": "dingother"}, {"chatbotCorpId": "dingothercorp"}, {"robotCode": None, "chatbotCorpId": "x"}])
async def test_what_was_sent_to_another_robot_or_corporation_is_refused(over: Json) -> None:
    async with loopback_bot(mode="http", corp_id="corp") as loopback:
        assert await post(loopback, ROBOT, signed(), message(loopback, **over)) == (400, b"bad request")
        assert (await post(loopback, ROBOT, signed(), message(loopback)))[0] == 200

    assert len(loopback.heard) == 1


async def test_old_and_new_secret_are_taken_together_until_the_window_ends_and_a_list_says_which() -> None:
    old = "the-secret-before-4711"
    async with loopback_bot(mode="http", former_client_secret=SecretStr(old), former_until=NOW + timedelta(hours=1)) as loopback:
        with capture_logs() as lines:
            by_old = await post(loopback, ROBOT, signed(secret=old), message(loopback))
            by_new = await post(loopback, ROBOT, signed(), message(loopback))
        assert (by_old[0], by_new[0]) == (200, 200)
        assert [line["by"] for line in lines if line["event"] == "callback accepted"] == ["former client_secret", "current"]
        assert loopback.count("former_key") == 1
    async with loopback_bot(mode="http", former_client_secret=SecretStr(old), former_until=NOW) as loopback:
        assert (await post(loopback, ROBOT, signed(secret=old), message(loopback)))[0] == 400
        assert (await post(loopback, ROBOT, signed(), message(loopback)))[0] == 200
