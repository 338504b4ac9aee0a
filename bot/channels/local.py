"""The local chat page: a chat in the browser of this machine, for the demo and for trying the bot out.

Each window has one WebSocket, over which small JSON objects are exchanged and parsed strictly. A message carries an id made by the page, so that
sending it again after a lost connection has one effect; recent turns are kept in memory, so that a window that reconnects is sent what it missed.
The page is reachable on the loopback only: the settings refuse it on a public address, and requests of another origin are refused here.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from yarl import URL

from bot.channels.base import Clock, Note
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import Address, Incoming, IncomingHandler, IncomingKind, Reply, reply_json
from bot.logs import get_logger

log = get_logger(__name__)

PATH = "/chat"
APP = "page"
FRAME_BYTES = 16_384
TURNS_KEPT = 200
MOST_PEOPLE = 1_000
MOST_WINDOWS = 300
MOST_WAITING = 20
SAVE_SECONDS = 4.0
FILES = ("chat.css", "chat.js", "link.js", "view.js", "icon.svg")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "chat"

_GUEST = re.compile(r"guest-[0-9a-f]{32}")
_SINCE = re.compile(r"([0-9a-f]{16})\.([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Persona:
    """A person whom a visitor of the demo can act as: the account on this channel, its labels, and its quick commands."""

    user: str
    name: str
    label: str
    quick: tuple[str, ...] = ()


@dataclass(slots=True)
class _Conversation:
    """One person's conversation: the newest turns, and the windows that show it."""

    turns: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=TURNS_KEPT))
    windows: set[web.WebSocketResponse] = field(default_factory=set)
    running: int = 0


class LocalChat:
    """The channel of the page. With personas (the demo) a window names its persona; without, a cookie identifies the browser, which then binds."""

    name = "local"

    def __init__(
        self, page: Path, *, clock: Clock, note: Note, personas: Sequence[Persona] = (), quick: Sequence[str] = ("帮助",), base: str = ""
    ) -> None:
        """`page` is the folder of the page's files; `quick` the commands offered to a visitor without a persona; `base` the path before ours."""
        self._path = f"{base}{PATH}"
        self._page = page
        self._clock = clock
        self._note = note
        self._personas = {persona.user: persona for persona in personas}
        self._quick = tuple(quick)
        self._epoch = secrets.token_hex(8)
        self._seq = 0
        self._conversations: OrderedDict[str, _Conversation] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def attach(self, app: web.Application, handle: IncomingHandler) -> None:
        app.router.add_get("/", self._redirect)
        app.router.add_get(PATH, self._index)
        app.router.add_get(f"{PATH}/", self._redirect)
        for file in FILES:
            app.router.add_get(f"{PATH}/{file}", partial(self._file, file))
        app.router.add_get(f"{PATH}/ws", partial(self._window, handle))
        app.on_shutdown.append(self._close)
        app.cleanup_ctx.append(self._drain_on_cleanup)

    async def send(self, to: Address, reply: Reply) -> None:
        """Send to the open windows, and to those that reconnect for what they missed."""
        self._add_turn(to.user, {"id": f"push-{self._seq + 1}", "label": None, "text": "", "task": ""}, reply)
        self._note("sent", self.name, 1)

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        """Send to the open windows. The mark is the turn's id, so that a parcel that is pushed twice is shown once."""
        for parcel in batch:
            self._add_turn(parcel.to.user, {"id": f"push-{parcel.mark}", "label": None, "text": "", "task": ""}, parcel.reply)
        self._note("sent", self.name, len(batch))
        return [SendReceipt("sent", platform_id=f"push-{parcel.mark}") for parcel in batch]

    # ── The page ──

    async def _redirect(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(self._path)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        self._check_host(request)
        response = await self._file("index.html", request)
        if not self._personas and not _GUEST.fullmatch(request.cookies.get(COOKIE, "")):
            response.set_cookie(COOKIE, f"guest-{secrets.token_hex(16)}", httponly=True, samesite="Strict", path=self._path, max_age=90 * 86400)
        return response

    async def _file(self, name: str, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self._page / name, headers={"Cache-Control": "no-cache"})

    # ── One window ──

    def _check_host(self, request: web.Request) -> None:
        """Refuse host names that do not mean the loopback (DNS rebinding), and pages of another origin."""
        try:
            host, origin = URL(f"http://{request.host}").host, request.headers.get("Origin")
            foreign = host not in LOOPBACK or (origin is not None and URL(origin).authority != request.host)
        except ValueError:
            foreign = True
        if foreign:
            self._note("refused", self.name, 1)
            log.warning("foreign page refused", channel=self.name)
            raise web.HTTPForbidden

    def _user_of(self, request: web.Request) -> str:
        if self._personas:
            user = request.query.get("as", "")
            return user if user in self._personas else next(iter(self._personas))
        guest = request.cookies.get(COOKIE, "")
        if not _GUEST.fullmatch(guest):
            raise web.HTTPForbidden
        return guest

    async def _window(self, handle: IncomingHandler, request: web.Request) -> web.StreamResponse:
        self._check_host(request)
        user = self._user_of(request)
        if self._closing or sum(len(conversation.windows) for conversation in self._conversations.values()) >= MOST_WINDOWS:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(heartbeat=20, timeout=1.0, max_msg_size=FRAME_BYTES, compress=False)
        await socket.prepare(request)
        conversation = self._conversation(user)
        # Registered before the missed turns are collected: a turn that ends meanwhile may be sent twice, and the page knows it by its id.
        conversation.windows.add(socket)
        try:
            await socket.send_str(encode_frame(self._hello(user, conversation, request.query.get("since", ""))))
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    raise MalformedFrame("not text")
                await self._receive(handle, user, conversation, socket, message.data)
        except MalformedFrame as wrong:
            self._note("refused", self.name, 1)
            log.info("frame refused", channel=self.name, reason=str(wrong))
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        except (ConnectionError, RuntimeError) as gone:
            log.debug("window gone", channel=self.name, error=type(gone).__name__)
        finally:
            conversation.windows.discard(socket)
        return socket

    def _conversation(self, user: str) -> _Conversation:
        conversation = self._conversations.setdefault(user, _Conversation())
        self._conversations.move_to_end(user)
        if len(self._conversations) > MOST_PEOPLE:
            idle = next((name for name, other in self._conversations.items() if not other.windows and not other.running and name != user), None)
            if idle is not None:
                del self._conversations[idle]
        return conversation

    def _hello(self, user: str, conversation: _Conversation, since: str) -> dict[str, Any]:
        match = _SINCE.fullmatch(since)
        after = int(match[2]) if match and match[1] == self._epoch else 0
        persona = self._personas.get(user)
        return {
            "type": "hello",
            "epoch": self._epoch,
            "me": user,
            "personas": [{"user": person.user, "name": person.name, "label": person.label} for person in self._personas.values()],
            "quick": persona.quick if persona else self._quick,
            "turns": [turn for turn in conversation.turns if turn["seq"] > after],
        }

    async def _receive(self, handle: IncomingHandler, user: str, conversation: _Conversation, socket: web.WebSocketResponse, data: str) -> None:
        arrived = self._clock()
        frame = parse_frame(data)
        if frame["type"] == "ping":
            await socket.send_str('{"type":"pong"}')
            return
        if self._closing:
            return  # not acknowledged: the page sends it again, with the same id, to the next process
        if conversation.running >= MOST_WAITING:
            self._note("shed", self.name, 1)
            await socket.send_str(encode_frame({"type": "bad", "id": frame["id"], "reason": "发得太快了，未记录，请稍等"}))
            return
        kind: IncomingKind = "follow" if frame["type"] == "enter" else "tap" if frame["task"] else "text"
        incoming = Incoming(Address(self.name, APP, user), frame["text"], frame["id"], arrived, kind, frame["task"])
        turn = {
            "id": frame["id"],
            "label": None if kind == "follow" else frame["label"] or frame["text"],
            "text": frame["text"],
            "task": frame["task"],
        }
        # A task of its own: a window that closes meanwhile must not cancel the message.
        conversation.running += 1
        task = asyncio.create_task(self._answer(handle, conversation, incoming, turn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    async def _answer(self, handle: IncomingHandler, conversation: _Conversation, incoming: Incoming, turn: Mapping[str, Any]) -> None:
        self._note("heard", self.name, 1)
        try:
            reply = await handle(incoming)
        finally:
            conversation.running -= 1
        self._note("reply_seconds", self.name, (self._clock() - incoming.arrived).total_seconds())
        self._add_turn(incoming.sender.user, turn, reply)

    def _add_turn(self, user: str, turn: Mapping[str, Any], reply: Reply) -> None:
        self._seq += 1
        conversation = self._conversation(user)
        frame = {"type": "turn", "seq": self._seq, **turn, "reply": reply_json(reply), "at": self._clock().isoformat()}
        for old in [former for former in conversation.turns if former["id"] == turn["id"]]:
            conversation.turns.remove(old)
        conversation.turns.append(frame)
        for socket in tuple(conversation.windows):
            task = asyncio.ensure_future(_send_frame(socket, encode_frame(frame)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # ── The end ──

    async def _close(self, app: web.Application) -> None:
        """Refuse new frames, finish running messages, then close the sockets so that the pages reconnect to the next process."""
        self._closing = True
        await self._drain()
        sockets = [socket for conversation in self._conversations.values() for socket in conversation.windows]
        await asyncio.gather(*(_close_socket(socket) for socket in sockets))

    async def _drain_on_cleanup(self, app: web.Application) -> AsyncIterator[None]:
        yield
        await self._drain()

    async def _drain(self) -> None:
        while self._tasks:
            _, unfinished = await asyncio.wait(tuple(self._tasks), timeout=SAVE_SECONDS)
            if unfinished:
                log.warning("left unfinished", channel=self.name, count=len(unfinished))
                return


async def _send_frame(socket: web.WebSocketResponse, frame: str) -> None:
    try:
        async with asyncio.timeout(5):
            await socket.send_str(frame)
    except (ConnectionError, RuntimeError, TimeoutError):
        # The window will reconnect and ask for what it missed.
        await _close_socket(socket)


async def _close_socket(socket: web.WebSocketResponse) -> None:
    try:
        async with asyncio.timeout(1):
            await socket.close(code=WSCloseCode.GOING_AWAY)
    except (ConnectionError, RuntimeError, TimeoutError) as gone:
        log.debug("window gone", channel="local", error=type(gone).__name__)


TEXT_CHARS = 2_000
TASK_CHARS = 100

_ID = re.compile(r"[0-9A-Za-z_-]{8,64}")


class MalformedFrame(Exception):
    """A frame that the page does not send."""


def encode_frame(value: Mapping[str, Any]) -> str:
    """A frame as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse_frame(data: str) -> dict[str, str]:
    """A received frame, reduced to its known fields, all of them short texts; raises `MalformedFrame`."""
    try:
        frame = json.loads(data)
    except (ValueError, RecursionError) as wrong:
        raise MalformedFrame("not JSON") from wrong
    if not isinstance(frame, dict) or frame.get("type") not in ("say", "enter", "ping"):
        raise MalformedFrame("unknown type")
    if frame["type"] == "ping":
        return {"type": "ping"}
    fields = {
        "type": frame["type"],
        "id": frame.get("id"),
        "text": frame.get("text", ""),
        "task": frame.get("task", ""),
        "label": frame.get("label", ""),
    }
    if not all(isinstance(value, str) for value in fields.values()) or not _ID.fullmatch(fields["id"]):
        raise MalformedFrame("wrong field")
    if len(fields["text"]) > TEXT_CHARS or len(fields["label"]) > TEXT_CHARS or len(fields["task"]) > TASK_CHARS:
        raise MalformedFrame("too long")
    # A lone surrogate is text to JSON and to nobody else.
    return {key: value.encode("utf-8", "replace").decode() for key, value in fields.items()}
