"""The Stream connection: keeps one open, reconnects when it ends, and serves its callbacks (bot/docs/protocols.md#dingtalk-stream)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp
from yarl import URL

from bot.channels.base import Note
from bot.channels.dingtalk.incoming import LONGEST_ID, NAME, MalformedMessage, parse_object
from bot.channels.outbound.errors import PlatformError, dingtalk_new
from bot.channels.outbound.http import exchange
from bot.logs import get_logger

log = get_logger(__name__)

OPEN = "/v1.0/gateway/connections/open"
USER_AGENT = "xuefa-bot/1.0"
ANSWER_BYTES = 65_536
FRAME_BYTES = 1_048_576
LONGEST_WAIT = 60.0
STEADY_SECONDS = 30.0
"""A connection that was open for so long, or brought a message, counts as a success."""
LONGEST_IDLE = 600.0

Ack = Callable[[int, str], Awaitable[None]]
Topic = Callable[[str, str, Ack], Awaitable[None]]
"""(data, message id, ack): serves one callback, and acknowledges it before anything that takes long."""
Lease = Callable[[], Awaitable[bool]]
"""True while this replica may hold the connection."""
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


class StreamConnection:
    """Keeps one connection while `run` runs; the end of a connection never cancels a callback that is being served."""

    def __init__(
        self,
        *,
        api_base: str,
        client_id: str,
        client_secret: str,
        topics: Mapping[str, Topic],
        note: Note,
        rng: Random,
        lease: Lease | None = None,
        heartbeat: float = 25.0,
        idle: float = 50.0,
        limit: int = 256,
        drain: float = 8.0,
        linger: float = 12.0,
        lease_every: float = 5.0,
    ) -> None:
        """All but `limit` (callbacks served at a time) are seconds: `heartbeat` between websocket pings, half of it for the pong; `idle` without a
        frame before a new connection is opened; `drain` for what is being served at the end; `linger` of a connection that was replaced;
        `lease_every` between two looks at the lease."""
        self._api_base = api_base.rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._topics = topics
        self._note = note
        self._rng = rng
        self._lease = lease
        self._heartbeat = heartbeat
        self._idle_least = self._idle = idle
        self._drain = drain
        self._linger = linger
        self._lease_every = lease_every
        self._slots = asyncio.Semaphore(limit)
        self._work: set[asyncio.Task[None]] = set()
        self._sockets: set[StreamSocket] = set()

    @property
    def connected(self) -> bool:
        return any(not socket.ended.done() for socket in self._sockets)

    async def run(self) -> None:
        """Run until cancelled; then ignore new frames, finish and acknowledge running callbacks, and close the sockets."""
        async with aiohttp.ClientSession(headers={"User-Agent": USER_AGENT}, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
            try:
                await self._keep_connected(session)
            finally:
                for socket in self._sockets:
                    socket.ignores_frames = True
                if self._work:
                    await asyncio.wait(self._work, timeout=self._drain)
                await asyncio.gather(*(socket.close() for socket in tuple(self._sockets)))

    async def _keep_connected(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            await self._wait_for_lease()
            try:
                socket = await self._connect(session)
            except PlatformError as wrong:
                failures += 1
                wait = LONGEST_WAIT if wrong.kind == "config" else self._wait(failures)
                log.warning("stream not opened", kind=wrong.kind, code=wrong.code, again_in=round(wait, 1))
                self._note("outbound_error", NAME, 1)
                await asyncio.sleep(wait)
                continue
            except Exception:
                # A bug here must not leave the channel disconnected.
                failures += 1
                log.exception("stream not opened")
                await asyncio.sleep(self._wait(failures))
                continue
            opened_at = loop.time()
            reason = await self._until_ended(socket)
            succeeded = socket.served or loop.time() - opened_at > STEADY_SECONDS
            failures = 0 if succeeded else failures + 1
            log.info("stream ended", reason=reason)
            if reason in ("gone", "idle"):
                self._note("outbound_error", NAME, 1)
            if reason in ("gone", "lease"):
                await asyncio.sleep(self._wait(max(failures, 1)))
            elif failures > 1:
                # Do not flood a gateway that closes every connection at once.
                await asyncio.sleep(self._wait(failures - 1))

    def _wait(self, failures: int) -> float:
        """Seconds: 1, 2, 4 … 60, the upper half of each at random."""
        return float(min(2.0 ** min(failures - 1, 10), LONGEST_WAIT) * self._rng.uniform(0.5, 1.0))

    async def _wait_for_lease(self) -> None:
        """Wait until this replica may hold the connection."""
        # The lease is a row elsewhere; nothing in this process could set an event when it becomes free.
        while self._lease is not None and not await self._may_hold(self._lease):  # noqa: ASYNC110
            await asyncio.sleep(self._lease_every)

    async def _may_hold(self, lease: Lease) -> bool:
        try:
            return await lease()
        except Exception as wrong:
            # When in doubt the lease is not held: two connections would take messages from each other.
            log.warning("stream lease not read", error=type(wrong).__name__)
            return False

    async def _until_ended(self, socket: StreamSocket) -> str:
        """Why the connection must be replaced: gone, disconnect, idle or lease."""
        while True:
            await asyncio.wait({socket.ended}, timeout=self._lease_every if self._lease is not None else None)
            if socket.ended.done():
                return socket.ended.result()
            if self._lease is not None and not await self._may_hold(self._lease):
                socket.end("lease")
                if self._work:
                    await asyncio.wait(self._work, timeout=2.0)
                await socket.close()

    async def _connect(self, session: aiohttp.ClientSession) -> StreamSocket:
        """A new connection with a new ticket; raises PlatformError without the address or ticket in it."""
        address = await self._open(session)
        fault: PlatformError
        try:
            async with asyncio.timeout(10):
                websocket_response = await session.ws_connect(
                    address, heartbeat=self._heartbeat, max_msg_size=FRAME_BYTES, timeout=aiohttp.ClientWSTimeout(ws_close=2.0), compress=0
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as wrong:
            fault = PlatformError("transient", "websocket", type(wrong).__name__)
        else:
            socket = StreamSocket(websocket_response, self._receive_frame, idle=self._idle, on_idle=self._replace_silent, linger=self._linger)
            self._sockets.add(socket)
            socket.start(on_end=self._sockets.discard)
            log.info("stream open", host=address.host)
            return socket
        raise fault

    async def _open(self, session: aiohttp.ClientSession) -> URL:
        request = {
            "clientId": self._client_id,
            "clientSecret": self._client_secret,
            "ua": USER_AGENT,
            "localIp": "127.0.0.1",
            "subscriptions": [{"type": "CALLBACK", "topic": topic} for topic in self._topics],
        }
        headers = {"Accept": "application/json"}
        status, answer = await exchange(
            session, "POST", URL(self._api_base + OPEN), headers=headers, json=request, total=10.0, read=8.0, cap=ANSWER_BYTES
        )
        wrong = dingtalk_new(status, answer)
        if wrong is not None:
            # No token was shown, so a 401 is about the id and the secret.
            raise PlatformError("config" if wrong.kind == "token" else wrong.kind, wrong.code)
        endpoint, ticket = answer.get("endpoint"), answer.get("ticket")
        if not isinstance(endpoint, str) or not isinstance(ticket, str) or not ticket:
            raise PlatformError("transient", "no-ticket")
        schemes = ("wss",) if self._api_base.startswith("https://") else ("wss", "ws")
        try:
            address = URL(endpoint).update_query(ticket=ticket)
        except ValueError:
            raise PlatformError("transient", "endpoint") from None
        if address.scheme not in schemes or not address.host:
            raise PlatformError("transient", "endpoint")
        return address

    def _replace_silent(self) -> None:
        """Called for a socket that answers pings but brings no frame: it is replaced, at growing intervals while all stay silent."""
        log.error("stream silent", seconds=self._idle)
        self._idle = min(self._idle * 2, max(LONGEST_IDLE, self._idle_least))

    async def _receive_frame(self, socket: StreamSocket, raw: str) -> None:
        """Parse one frame and start serving it; waits only while too many are being served."""
        try:
            frame = parse_frame(raw)
        except MalformedMessage as wrong:
            log.warning("frame refused", field=str(wrong))
            self._note("refused", NAME, 1)
            return
        match frame.type, frame.topic:
            case "SYSTEM", "ping":
                # The gateway pings, so that its silence means something.
                self._idle = self._idle_least
                await socket.send(acknowledgement(frame.message_id, 200, frame.data))
            case "SYSTEM", "disconnect":
                socket.end("disconnect")
            case "SYSTEM", _:
                pass
            case "EVENT", _:
                await socket.send(acknowledgement(frame.message_id, 200, EVENT_DONE))
            case "CALLBACK", topic if topic in self._topics:
                socket.served = True
                await self._serve(socket, frame)
            case _:
                await socket.send(acknowledgement(frame.message_id, 404, EMPTY))

    async def _serve(self, socket: StreamSocket, frame: Frame) -> None:
        await self._slots.acquire()
        # A task of its own: the end of the connection, or of `run`, must not cancel it.
        task = asyncio.create_task(self._run_topic(socket, frame), name="dingtalk frame")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _run_topic(self, socket: StreamSocket, frame: Frame) -> None:
        async def ack(code: int, data: str) -> None:
            await socket.send(acknowledgement(frame.message_id, code, data))

        try:
            await self._topics[frame.topic](frame.data, frame.message_id, ack)
        except Exception as wrong:
            log.exception("frame failed", topic=frame.topic, error=type(wrong).__name__)
            await ack(500, EMPTY)
        finally:
            self._slots.release()
