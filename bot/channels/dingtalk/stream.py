"""The Stream connection: keeps one open, reconnects when it ends, and serves its callbacks (bot/docs/protocols.md#dingtalk-stream)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random

import aiohttp
import structlog
from yarl import URL

from bot.channels.base import Note
from bot.channels.dingtalk import websocket
from bot.channels.dingtalk.incoming import NAME, MalformedMessage
from bot.channels.dingtalk.websocket import StreamSocket
from bot.channels.outbound.errors import PlatformError, dingtalk_new
from bot.channels.outbound.http import exchange

log = structlog.get_logger(__name__)

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
            frame = websocket.parse_frame(raw)
        except MalformedMessage as wrong:
            log.warning("frame refused", field=str(wrong))
            self._note("refused", NAME, 1)
            return
        match frame.type, frame.topic:
            case "SYSTEM", "ping":
                # The gateway pings, so that its silence means something.
                self._idle = self._idle_least
                await socket.send(websocket.acknowledgement(frame.message_id, 200, frame.data))
            case "SYSTEM", "disconnect":
                socket.end("disconnect")
            case "SYSTEM", _:
                pass
            case "EVENT", _:
                await socket.send(websocket.acknowledgement(frame.message_id, 200, websocket.EVENT_DONE))
            case "CALLBACK", topic if topic in self._topics:
                socket.served = True
                await self._serve(socket, frame)
            case _:
                await socket.send(websocket.acknowledgement(frame.message_id, 404, websocket.EMPTY))

    async def _serve(self, socket: StreamSocket, frame: websocket.Frame) -> None:
        await self._slots.acquire()
        # A task of its own: the end of the connection, or of `run`, must not cancel it.
        task = asyncio.create_task(self._run_topic(socket, frame), name="dingtalk frame")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _run_topic(self, socket: StreamSocket, frame: websocket.Frame) -> None:
        async def ack(code: int, data: str) -> None:
            await socket.send(websocket.acknowledgement(frame.message_id, code, data))

        try:
            await self._topics[frame.topic](frame.data, frame.message_id, ack)
        except Exception as wrong:
            log.exception("frame failed", topic=frame.topic, error=type(wrong).__name__)
            await ack(500, websocket.EMPTY)
        finally:
            self._slots.release()
