"""One WebSocket of the Stream connection, and the format of its frames and acknowledgements (bot/docs/protocols.md#dingtalk-stream)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

from bot.channels.dingtalk.incoming import LONGEST_ID, MalformedMessage, parse_object

log = structlog.get_logger(__name__)

OnFrame = Callable[["StreamSocket", str], Awaitable[None]]


class StreamSocket:
    """`ended` resolves once, with the reason why another connection is needed; the socket may outlive that a while, for acknowledgements."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, on_frame: OnFrame, *, idle: float, on_idle: Callable[[], None], linger: float
    ) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.served = False
        self.ignores_frames = False
        self._socket = socket
        self._on_frame = on_frame
        self._on_idle = on_idle
        self._idle = idle
        self._linger = linger
        self._last_frame_at = asyncio.get_running_loop().time()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def start(self, on_end: Callable[[StreamSocket], None]) -> None:
        reading = asyncio.create_task(self._read(), name="dingtalk link")
        reading.add_done_callback(lambda _: on_end(self))
        self._tasks = (reading, asyncio.create_task(self._watch(reading), name="dingtalk watch"))

    def end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    async def send(self, text: str) -> None:
        """Send an acknowledgement; without a connection it is lost, and the platform sends its frame again."""
        try:
            await self._socket.send_str(text)
        except (ConnectionError, aiohttp.ClientError, RuntimeError) as wrong:
            log.info("acknowledgement lost", error=type(wrong).__name__)

    async def close(self) -> None:
        self.end("gone")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                self._last_frame_at = asyncio.get_running_loop().time()
                if message.type is aiohttp.WSMsgType.TEXT and not self.ignores_frames:
                    await self._on_frame(self, message.data)
        except (ConnectionError, aiohttp.ClientError) as wrong:
            log.info("stream broken", error=type(wrong).__name__)
        except Exception:
            log.exception("stream failed")
        finally:
            self.end("gone")

    async def _watch(self, reading: asyncio.Task[None]) -> None:
        """End the socket after a long silence; close it `linger` seconds after it has ended."""
        loop = asyncio.get_running_loop()
        while not self.ended.done():
            remaining = self._last_frame_at + self._idle - loop.time()
            if remaining <= 0:
                self._on_idle()
                self.end("idle")
                break
            await asyncio.wait({self.ended}, timeout=remaining)
        await asyncio.wait({reading}, timeout=self._linger)
        if not reading.done():
            reading.cancel()
        await self._socket.close()


ROBOT = "/v1.0/im/bot/messages/get"
CARDS = "/v1.0/card/instances/callback"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame from the gateway; `data` is the JSON text as it came."""

    type: str
    topic: str
    message_id: str
    data: str


def parse_frame(raw: str) -> Frame:
    """Parse a frame; raises `MalformedMessage`."""
    frame = parse_object(raw)
    headers = frame.get("headers")
    if not isinstance(headers, dict):
        raise MalformedMessage("headers")
    kind, topic, message_id, data = frame.get("type"), headers.get("topic", ""), headers.get("messageId", ""), frame.get("data", "")
    if not isinstance(kind, str) or not isinstance(topic, str) or not isinstance(message_id, str) or len(message_id) > LONGEST_ID:
        raise MalformedMessage("header")
    if not isinstance(data, str):
        raise MalformedMessage("data")
    return Frame(kind, topic, message_id, data)


def acknowledgement(message_id: str, code: int, data: str) -> str:
    headers = {"messageId": message_id, "contentType": "application/json"}
    return json.dumps({"code": code, "headers": headers, "message": STATUS_TEXTS.get(code, "failed"), "data": data}, ensure_ascii=False)


STATUS_TEXTS = {200: "OK", 400: "bad request", 404: "no handler"}


def response(answer: dict[str, Any] | None) -> str:
    """The data of a callback's acknowledgement."""
    return json.dumps({"response": answer}, ensure_ascii=False)


EVENT_DONE = json.dumps({"status": "SUCCESS", "message": ""})
EMPTY = json.dumps({})
