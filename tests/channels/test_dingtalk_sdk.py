"""The official Stream SDK beside our own client: it understands the loopback gateway, and both acknowledge alike.

See bot/docs/protocols.md#official-stream-sdk.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets.exceptions
from dingtalk_stream import AckMessage, CallbackHandler, CallbackMessage, ChatbotMessage, Credential, DingTalkStreamClient
from dingtalk_stream.card_callback import CardCallbackMessage

from bot.channels.dingtalk import cards
from bot.domain.message import Reply
from tests.support.platforms.dingtalk import CARDS, CLIENT_ID, ROBOT, SECRET, FakeDingTalk, Json, dingtalk
from tests.support.platforms.dingtalk_bot import QUESTION, loopback_bot

UPDATE = cards.private_update(answered="true", result="已选 A\n已记录。", commands="[]")

assert issubclass(websockets.exceptions.ConnectionClosedError, Exception)


class Robot(CallbackHandler):  # type: ignore[misc]
    """What an application on the SDK does with a message."""

    def __init__(self, heard: list[Any]) -> None:
        super().__init__()
        self.heard = heard

    async def process(self, message: CallbackMessage) -> tuple[int, Any]:
        self.heard.append(ChatbotMessage.from_dict(message.data))
        return AckMessage.STATUS_OK, None


class Card(CallbackHandler):  # type: ignore[misc]
    """What an application on the SDK does with a tap."""

    def __init__(self, heard: list[Any]) -> None:
        super().__init__()
        self.heard = heard

    async def process(self, message: CallbackMessage) -> tuple[int, Any]:
        self.heard.append(CardCallbackMessage.from_dict(message.data))
        return AckMessage.STATUS_OK, UPDATE


@asynccontextmanager
async def sdk(gateway: FakeDingTalk, heard: list[Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The SDK in a thread and a loop of its own: it blocks while it opens, and cannot be cancelled while it is connected."""
    monkeypatch.setattr(DingTalkStreamClient, "OPEN_CONNECTION_API", gateway.url + "/v1.0/gateway/connections/open")
    # It would ask a public name server's address for its own.
    monkeypatch.setattr(DingTalkStreamClient, "get_host_ip", lambda self: "127.0.0.1")
    client = DingTalkStreamClient(Credential(CLIENT_ID, SECRET))
    client.register_callback_handler(ROBOT, Robot(heard))
    client.register_callback_handler(CARDS, Card(heard))

    async def live() -> None:
        await client.start()
        # Its keep-alive tasks outlive their connection.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=asyncio.run, args=(live(),), daemon=True)
    thread.start()

    def stop() -> None:
        raise KeyboardInterrupt

    try:
        await gateway.until(lambda: bool(gateway.live))
        yield
    finally:
        # The one way out of its endless loop is an interrupt while it opens the next connection.
        monkeypatch.setattr(client, "open_connection", stop)
        for connection in tuple(gateway.live):
            await connection.socket.close()
        await asyncio.to_thread(thread.join, 60)
    assert not thread.is_alive()


def bare(ack: Json) -> Json:
    """An acknowledgement without its words, which nobody reads."""
    return {key: value for key, value in ack.items() if key != "message"}


async def test_the_sdk_hears_our_gateway_and_both_clients_acknowledge_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    theirs: list[Json] = []
    frames: list[Json] = []
    async with dingtalk() as gateway, sdk(gateway, heard, monkeypatch):
        frames = [
            gateway.robot_frame(" 选 A", msg_id="m1"),
            gateway.tap_frame(cards.new_track(QUESTION), "A"),
            gateway.frame("ping", '{"opaque": "0f-1"}', "ping1", "SYSTEM"),
        ]
        for frame in frames:
            await gateway.push(frame)
            theirs.append(bare(await gateway.ack(frame["headers"]["messageId"])))

    message, tap = heard
    assert (message.message_id, message.sender_staff_id, message.text.content) == ("m1", "Staff01", " 选 A")
    assert message.session_webhook.startswith(gateway.url)
    assert (tap.user_id, tap.content["cardPrivateData"]["params"]) == ("Staff01", {"choice": "A"})
    assert {one["topic"] for one in gateway.opens[0]["subscriptions"]} == {ROBOT, CARDS}

    ours: list[Json] = []
    async with loopback_bot(cards=True) as loopback:
        loopback.reply = lambda incoming: Reply("已记录。", done="已选 A")
        for frame in frames:
            await loopback.platform.push(frame)
            ours.append(bare(await loopback.platform.ack(frame["headers"]["messageId"])))
        keys = set(loopback.platform.opens[0])

    assert ours == theirs
    assert keys == set(gateway.opens[0])
