"""The Stream connection on a good day: what is opened, heard, acknowledged and refused (bot/docs/protocols.md#dingtalk-stream)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.domain.message import Address, Incoming
from tests.support.platforms.dingtalk import CARDS, CLIENT_ID, ROBOT, SECRET
from tests.support.platforms.dingtalk_bot import house

OK = {"response": None}


async def test_a_connection_is_opened_as_the_protocol_says() -> None:
    async with house() as home:
        asked, headers = home.platform.opens[0], home.platform.open_headers[0]

    assert headers["Accept"] == "application/json"
    assert (asked["clientId"], asked["clientSecret"]) == (CLIENT_ID, SECRET)
    assert {(one["type"], one["topic"]) for one in asked["subscriptions"]} == {("CALLBACK", ROBOT), ("CALLBACK", CARDS)}


async def test_a_letter_typed_with_a_blank_before_it_is_heard_acknowledged_and_answered() -> None:
    async with house() as home:
        frame = home.platform.robot_frame(" A", msg_id="m1")
        await home.platform.push(frame)

        ack = await home.platform.ack(frame["headers"]["messageId"])
        await home.platform.until(lambda: bool(home.platform.webhooks))

    assert ack == {
        "code": 200,
        "headers": {"messageId": frame["headers"]["messageId"], "contentType": "application/json"},
        "message": "OK",
        "data": OK,
    }
    assert [(one.sender, one.text, one.message_id, one.kind) for one in home.heard] == [
        (Address("dingtalk", CLIENT_ID, "staff01"), "A", "m1", "text")
    ]
    assert home.platform.said() == ["已记录 A"]


async def test_the_acknowledgement_does_not_wait_for_long_work() -> None:
    release = asyncio.Event()

    async def long(incoming: Incoming) -> None:
        await release.wait()

    async with house() as home:
        home.before = long
        frame = home.platform.robot_frame()
        await home.platform.push(frame)
        await home.platform.ack(frame["headers"]["messageId"], 2.0)
        assert home.committed == []
        release.set()
        await home.platform.until(lambda: bool(home.platform.webhooks))


async def test_pings_and_events_are_answered_and_unknown_topics_refused() -> None:
    async with house() as home:
        to = home.platform
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
    async with house() as home:
        for n, rubbish in enumerate(MALFORMED):
            await home.platform.push(rubbish)
            await home.platform.push(home.platform.robot_frame(str(n), msg_id=f"good{n}"))
        await home.platform.until(lambda: len(home.platform.webhooks) == len(MALFORMED))

        assert sorted(one.message_id for one in home.heard) == sorted(f"good{n}" for n in range(len(MALFORMED)))
        assert home.count("refused") == len(MALFORMED)
        assert len(home.platform.connections) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"msgId": None}, {"msgId": 7}, {"msgId": ""}, {"msgId": "x" * 500}, {"msgId": "a\nb"}, {"senderStaffId": ["a"]}, {"senderStaffId": "a\0b"},
        {"senderStaffId": {"a": 1}}, {"text": None}, {"text": "A"}, {"text": {"content": ["A"]}}, {"msgtype": ["text"]}, {"msgtype": None},
    ],
)  # fmt: skip
async def test_a_message_with_a_field_of_the_wrong_kind_is_refused(wrong: dict[str, Any]) -> None:
    async with house() as home:
        staff = wrong.pop("senderStaffId", "Staff01")
        frame = home.platform.robot_frame("A")
        data = {**json.loads(frame["data"]), "senderStaffId": staff, **wrong}
        await home.platform.push({**frame, "data": json.dumps(data)})

        assert (await home.platform.ack(frame["headers"]["messageId"]))["code"] == 400
        assert home.heard == []


async def test_somebody_without_an_identity_is_not_recorded() -> None:
    async with house() as home:
        frame = home.platform.robot_frame("A", staff=None)
        await home.platform.push(frame)

        assert (await home.platform.ack(frame["headers"]["messageId"]))["code"] == 200
        assert home.heard == []


async def test_a_failing_hall_is_acknowledged_as_failed() -> None:
    async def broken(incoming: Incoming) -> None:
        raise OSError("disk")

    async with house() as home:
        home.before = broken
        frame = home.platform.robot_frame("A")
        await home.platform.push(frame)

        assert (await home.platform.ack(frame["headers"]["messageId"]))["code"] == 500


async def test_neither_ticket_nor_secret_nor_webhook_shows_in_the_log() -> None:
    with capture_logs() as logs:
        async with house() as home:
            home.platform.tickets.add("x")
            await home.platform.push(home.platform.robot_frame("A"))
            await home.platform.until(lambda: bool(home.platform.webhooks))
            home.platform.open_status = [401]
            home.platform.url = "http://127.0.0.1:1"
            await home.platform.live[0].socket.close()
            await home.settle(lambda: any(one["event"] == "stream not opened" for one in logs))

    assert logs
    assert "canary" not in json.dumps(logs, default=repr)
