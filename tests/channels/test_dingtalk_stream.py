"""The Stream connection on a good day: what is opened, heard, acknowledged and refused (bot/docs/protocols.md#dingtalk-stream)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.domain.message import Address, Incoming
from tests.support.platforms.dingtalk import CARDS, CLIENT_ID, ROBOT, SECRET
from tests.support.platforms.dingtalk_bot import loopback_bot

OK = {"response": None}


async def test_a_connection_is_opened_as_the_protocol_says() -> None:
    async with loopback_bot() as loopback:
        asked, headers = loopback.platform.opens[0], loopback.platform.open_headers[0]

    assert headers["Accept"] == "application/json"
    assert (asked["clientId"], asked["clientSecret"]) == (CLIENT_ID, SECRET)
    assert {(one["type"], one["topic"]) for one in asked["subscriptions"]} == {("CALLBACK", ROBOT), ("CALLBACK", CARDS)}


async def test_a_letter_typed_with_a_blank_before_it_is_heard_acknowledged_and_answered() -> None:
    async with loopback_bot() as loopback:
        frame = loopback.platform.robot_frame(" A", msg_id="m1")
        await loopback.platform.push(frame)

        ack = await loopback.platform.ack(frame["headers"]["messageId"])
        await loopback.platform.until(lambda: bool(loopback.platform.webhooks))

    assert ack == {
        "code": 200,
        "headers": {"messageId": frame["headers"]["messageId"], "contentType": "application/json"},
        "message": "OK",
        "data": OK,
    }
    assert [(one.sender, one.text, one.message_id, one.kind) for one in loopback.heard] == [
        (Address("dingtalk", CLIENT_ID, "staff01"), "A", "m1", "text")
    ]
    assert loopback.platform.said() == ["已记录 A"]


async def test_the_acknowledgement_does_not_wait_for_long_work() -> None:
    release = asyncio.Event()

    async def long(incoming: Incoming) -> None:
        await release.wait()

    async with loopback_bot() as loopback:
        loopback.before = long
        frame = loopback.platform.robot_frame()
        await loopback.platform.push(frame)
        await loopback.platform.ack(frame["headers"]["messageId"], 2.0)
        assert loopback.committed == []
        release.set()
        await loopback.platform.until(lambda: bool(loopback.platform.webhooks))


async def test_pings_and_events_are_answered_and_unknown_topics_refused() -> None:
    async with loopback_bot() as loopback:
        to = loopback.platform
        await to.push(to.frame("ping", '{"opaque":"x"}', "p1", "SYSTEM"))
        await to.push(to.frame("*", '{"any":1}', "e1", "EVENT"))
        await to.push(to.frame("/v1.0/graph/api/invoke", "{}", "u1"))
        await to.push(to.frame("KEEPALIVE", "{}", "k1", "SYSTEM"))

        assert (await to.ack("p1"))["data"] == {"opaque": "x"}
        assert (await to.ack("e1"))["data"] == {"status": "SUCCESS", "message": ""}
        assert (await to.ack("u1"))["code"] == 404
        assert to.acks("k1") == []


MALFORMED: list[Any] = [
    "not json", "[]", "null", '"x"', "{}", "[" * 50_000, '{"type":1,"headers":{}}', '{"type":"CALLBACK","headers":[]}',
    '{"type":"CALLBACK","headers":{"topic":7,"messageId":"x"},"data":"{}"}', '{"type":"CALLBACK","headers":{"topic":"t","messageId":{}},"data":"{}"}',
    '{"type":"CALLBACK","headers":{"topic":"t","messageId":"x"},"data":{}}', '{"type":"SYSTEM","headers":{"topic":"ping","messageId":"x"},"data":[]}',
    "1" * 5000, '{"a":"\\ud800"}',
]  # fmt: skip


async def test_malformed_frames_are_counted_and_the_good_ones_between_them_served() -> None:
    async with loopback_bot() as loopback:
        for n, rubbish in enumerate(MALFORMED):
            await loopback.platform.push(rubbish)
            await loopback.platform.push(loopback.platform.robot_frame(str(n), msg_id=f"good{n}"))
        await loopback.platform.until(lambda: len(loopback.platform.webhooks) == len(MALFORMED))

        assert sorted(one.message_id for one in loopback.heard) == sorted(f"good{n}" for n in range(len(MALFORMED)))
        assert loopback.count("refused") == len(MALFORMED)
        assert len(loopback.platform.connections) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"msgId": None}, {"msgId": 7}, {"msgId": ""}, {"msgId": "x" * 500}, {"msgId": "a\nb"}, {"senderStaffId": ["a"]}, {"senderStaffId": "a\0b"},
        {"senderStaffId": {"a": 1}}, {"text": None}, {"text": "A"}, {"text": {"content": ["A"]}}, {"msgtype": ["text"]}, {"msgtype": None},
    ],
)  # fmt: skip
async def test_a_message_with_a_field_of_the_wrong_kind_is_refused(wrong: dict[str, Any]) -> None:
    async with loopback_bot() as loopback:
        staff = wrong.pop("senderStaffId", "Staff01")
        frame = loopback.platform.robot_frame("A")
        data = {**json.loads(frame["data"]), "senderStaffId": staff, **wrong}
        await loopback.platform.push({**frame, "data": json.dumps(data)})

        assert (await loopback.platform.ack(frame["headers"]["messageId"]))["code"] == 400
        assert loopback.heard == []


async def test_somebody_without_an_identity_is_not_recorded() -> None:
    async with loopback_bot() as loopback:
        frame = loopback.platform.robot_frame("A", staff=None)
        await loopback.platform.push(frame)

        assert (await loopback.platform.ack(frame["headers"]["messageId"]))["code"] == 200
        assert loopback.heard == []


async def test_a_failing_hall_is_acknowledged_as_failed() -> None:
    async def broken(incoming: Incoming) -> None:
        raise OSError("disk")

    async with loopback_bot() as loopback:
        loopback.before = broken
        frame = loopback.platform.robot_frame("A")
        await loopback.platform.push(frame)

        assert (await loopback.platform.ack(frame["headers"]["messageId"]))["code"] == 500


async def test_neither_ticket_nor_secret_nor_webhook_shows_in_the_log() -> None:
    with capture_logs() as logs:
        async with loopback_bot() as loopback:
            loopback.platform.tickets.add("x")
            await loopback.platform.push(loopback.platform.robot_frame("A"))
            await loopback.platform.until(lambda: bool(loopback.platform.webhooks))
            loopback.platform.open_status = [401]
            loopback.platform.url = "http://127.0.0.1:1"
            await loopback.platform.live[0].socket.close()
            await loopback.settle(lambda: any(one["event"] == "stream not opened" for one in logs))

    assert logs
    assert "canary" not in json.dumps(logs, default=repr)
