"""Robot messages from 专有钉钉: heard behind their signature, refused alike without it (bot/docs/protocols.md#zwding-calls)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.domain.message import Address, Incoming, Reply
from tests.support.platforms.zwding import APP_KEY, robot_body, robot_headers
from tests.support.platforms.zwding_bot import Stage, standing


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with standing() as made:
        yield made


async def test_a_robot_message_is_heard_and_answered_in_the_same_breath(stage: Stage) -> None:
    assert await stage.knock(robot_body(" 我的学时")) == (200, {"msgtype": "text", "text": {"content": "听到：我的学时"}})
    assert stage.heard == [Incoming(Address("zwding", APP_KEY, "46001"), "我的学时", "msg-1", stage.clock())]


async def test_a_tenant_may_name_the_sender_otherwise() -> None:
    async with standing(sender_field="senderId") as made:
        await made.knock(robot_body("A", account=None, senderId="77"))
        assert made.heard[0].sender.user == "77"


@pytest.mark.parametrize("change", [{"sign": "x"}, {"timestamp": "1"}, {"sign": ""}, {"Content-Encoding": "gzip"}])
async def test_what_is_not_signed_is_refused_alike(stage: Stage, change: dict[str, str]) -> None:
    assert await stage.knock(robot_body("A"), {**robot_headers(stage.now), **change}) == (400, "bad request")
    assert stage.heard == []


@pytest.mark.parametrize("minutes", [-11, 11])
async def test_what_was_signed_long_ago_or_ahead_is_refused(stage: Stage, minutes: int) -> None:
    assert await stage.knock(robot_body("A"), robot_headers(stage.now + minutes * 60_000)) == (400, "bad request")


@pytest.mark.parametrize("body", ["", "[]", "{", '{"msgId": 1}', "x" * 70_000, "[" * 9_000])
async def test_odd_bodies_are_refused_alike(stage: Stage, body: str) -> None:
    assert await stage.knock(body) == (400, "bad request")
    assert stage.heard == []


async def test_without_a_callback_secret_everything_that_knocks_is_refused() -> None:
    async with standing(callback_secret=None) as made:
        assert await made.knock(robot_body("A"), robot_headers(made.now, "")) == (400, "bad request")


async def test_a_message_without_an_identity_is_acknowledged_and_not_heard(stage: Stage) -> None:
    assert await stage.knock(robot_body("A", account="")) == (200, {})
    assert stage.heard == []


async def test_a_late_reply_follows_as_a_notification_once() -> None:
    told = asyncio.Event()

    async def slowly(incoming: Incoming) -> Reply:
        await told.wait()
        return Reply("已记录。")

    async with standing(reply_seconds=0.2) as stage:
        stage.reply = slowly
        answers = await asyncio.gather(*(stage.knock(robot_body("A")) for _ in range(3)))
        told.set()
        await stage.platform.until(lambda: bool(stage.platform.notices))

        assert answers == [(200, {})] * 3
        assert len(stage.platform.notices) == 1


async def test_a_head_serves_its_first_body_only_and_a_copy_of_that(stage: Stage) -> None:
    head = robot_headers(stage.now)
    assert (await stage.knock(robot_body("A"), head))[0] == 200
    assert await stage.knock(robot_body("B", msg_id="msg-2"), head) == (400, "bad request")
    assert (await stage.knock(robot_body("A"), head))[0] == 200
    assert {incoming.text for incoming in stage.heard} == {"A"}
