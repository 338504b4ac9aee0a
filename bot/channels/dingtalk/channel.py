"""The DingTalk channel: checks and parses callbacks, in Stream or HTTP mode, and hands them to `AnswerFlow`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from random import Random
from typing import Any, Literal

import structlog
from aiohttp import web
from yarl import URL

from bot.channels.base import FREE, Clock, Note, Spending
from bot.channels.callback import HEADERS, read_body, refusal_response
from bot.channels.dingtalk import signature, websocket
from bot.channels.dingtalk.answering import AnswerFlow
from bot.channels.dingtalk.groups import Groups
from bot.channels.dingtalk.incoming import NAME, MalformedMessage, UnknownSender, card_tap, parse_object, robot_message
from bot.channels.dingtalk.push import DingTalkPush, GrantCards
from bot.channels.dingtalk.reply import ReplySender
from bot.channels.dingtalk.stream import Ack, Lease, StreamConnection
from bot.channels.outbound.apis import dingtalk_api, dingtalk_old_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.channels.outbound.http import encode
from bot.channels.signature import BadEnvelope
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import Address, IncomingHandler, Reply

log = structlog.get_logger(__name__)

PATH = "/channels/dingtalk"
CARD_PATH = "/channels/dingtalk/card"
ACK_SECONDS = 1.0
"""How long the acknowledgement of a message waits for the commit; a slower message is acknowledged first."""


class DingTalkChannel:
    """The channel of one app of one corporation."""

    name = NAME

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        outbound: Outbound,
        clock: Clock,
        note: Note,
        spending: Spending = FREE,
        robot_code: str = "",
        mode: Literal["stream", "http"] = "stream",
        api_base: str = "https://api.dingtalk.com",
        oapi_base: str = "https://oapi.dingtalk.com",
        card_template: str = "",
        agent_id: str = "",
        group_token: str = "",
        group_secret: str = "",
        grant_cards: GrantCards | None = None,
        callback_url: str = "",
        reply_seconds: float = 4.0,
        freshness: float = 600.0,
        body_cap: int = 65_536,
        lease: Lease | None = None,
        rng: Random | None = None,
        make_stream: Callable[..., StreamConnection] = StreamConnection,
        look_seconds: float = 1.5,
    ) -> None:
        """`callback_url` is where taps on cards go in HTTP mode; `lease` says whether this replica may hold the Stream connection.

        With an `agent_id` pushes go out as work notifications; `group_token` and `group_secret` are a custom group robot's; `grant_cards` says how
        many of so many cards may be pushed now (without it none are: each is a call of the month's quota).
        """
        self._client_id = client_id
        self._secret = client_secret
        self._clock = clock
        self._note = note
        self._mode = mode
        self._api_base = api_base
        self._callback_url = callback_url if card_template else ""
        self._reply_seconds = reply_seconds
        self._freshness = freshness
        self._body_cap = body_cap
        self._lease = lease
        self._rng = rng or Random()  # noqa: S311 - spreads reconnections, guards nothing
        self._make_stream = make_stream
        self._stream: StreamConnection | None = None
        api = dingtalk_api(base=api_base, client_id=client_id, client_secret=client_secret)
        robot_code = robot_code or client_id
        self._sender = ReplySender(
            outbound=outbound,
            api=api,
            robot_code=robot_code,
            webhook_origins=frozenset(str(URL(base).origin()) for base in (oapi_base, api_base)),
            card_template=card_template,
            http_cards=mode == "http",
            clock=clock,
            note=note,
            spending=spending,
        )
        self._pusher = DingTalkPush(
            outbound=outbound,
            api=api,
            old_api=dingtalk_old_api(base=oapi_base, client_id=client_id, client_secret=client_secret),
            sender=self._sender,
            robot_code=robot_code,
            agent_id=agent_id,
            clock=clock,
            note=note,
            grant_cards=grant_cards,
            spending=spending,
            look_seconds=look_seconds,
        )
        self.groups = Groups(
            outbound=outbound, api=api, oapi_base=oapi_base, robot_code=robot_code, token=group_token, secret=group_secret, clock=clock
        )

    @property
    def connected(self) -> bool:
        """True while a Stream connection is up; always in HTTP mode."""
        return self._mode == "http" or (self._stream is not None and self._stream.connected)

    def attach(self, app: web.Application, handle: IncomingHandler) -> None:
        flow = AnswerFlow(handle=handle, sender=self._sender, app=self._client_id, clock=self._clock, note=self._note)
        if self._mode == "http":
            app.router.add_post(PATH, self._route(flow, self._receive))
            app.router.add_post(CARD_PATH, self._route(flow, self._receive_tap))
        app.cleanup_ctx.append(lambda _: self._run(flow))

    async def send(self, to: Address, reply: Reply) -> None:
        """Send a message unprompted; raises PlatformError."""
        if reply:
            await self._sender.send(to, reply)

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        return await self._pusher.push(batch)

    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        return await self._pusher.recall(platform_ids)

    async def _run(self, flow: AnswerFlow) -> AsyncIterator[None]:
        running: asyncio.Task[None] | None = None
        if self._mode == "stream":

            async def on_robot_message(data: str, message_id: str, ack: Ack) -> None:
                await self._hear_frame(flow, data, ack)

            async def on_card_tap(data: str, message_id: str, ack: Ack) -> None:
                await self._tap_frame(flow, data, message_id, ack)

            self._stream = self._make_stream(
                api_base=self._api_base,
                client_id=self._client_id,
                client_secret=self._secret,
                topics={websocket.ROBOT: on_robot_message, websocket.CARDS: on_card_tap},
                note=self._note,
                rng=self._rng,
                lease=self._lease,
            )
            running = asyncio.create_task(self._stream.run(), name="dingtalk stream")
        elif self._callback_url:
            flow.spawn(self._register())
        yield
        if running is not None:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        await flow.drain()

    async def _hear_frame(self, flow: AnswerFlow, data: str, ack: Ack) -> None:
        try:
            message = robot_message(self._parse_data(data), app=self._client_id, arrived=self._clock())
        except MalformedMessage as wrong:
            flow.refuse(str(wrong))
            await ack(400, websocket.EMPTY)
            return
        except UnknownSender:
            flow.refuse("nobody")
            await ack(200, websocket.response(None))
            return
        deciding = flow.decide(message.incoming)
        await asyncio.wait({deciding}, timeout=ACK_SECONDS)
        failed = deciding.done() and deciding.exception() is not None
        await ack(*((500, websocket.EMPTY) if failed else (200, websocket.response(None))))
        # The slot of this frame is given back once the reply is decided; sending it may take longer.
        await asyncio.wait({deciding})
        flow.spawn(flow.answer(message, deciding))

    async def _tap_frame(self, flow: AnswerFlow, data: str, message_id: str, ack: Ack) -> None:
        try:
            tap = card_tap(self._parse_data(data))
        except MalformedMessage as wrong:
            flow.refuse(str(wrong))
            await ack(400, websocket.EMPTY)
            return
        except UnknownSender:
            flow.refuse("nobody")
            tap = None
        await ack(200, websocket.response({} if tap is None else await flow.answer_tap(tap, f"card:{message_id}")))

    async def _receive(self, flow: AnswerFlow, request: web.Request) -> dict[str, Any]:
        signature.check_robot(request, self._secret, self._clock(), self._freshness)
        message = robot_message(parse_object(await read_body(request, self._body_cap)), app=self._client_id, arrived=self._clock())
        deciding = flow.decide(message.incoming)
        await asyncio.wait({deciding}, timeout=self._reply_seconds)
        if not deciding.done():
            flow.late(message, deciding)
            return {}
        return flow.passive(message, deciding)

    async def _receive_tap(self, flow: AnswerFlow, request: web.Request) -> dict[str, Any]:
        timestamp = signature.check_card(request, self._secret, self._clock(), self._freshness)
        raw = await read_body(request, self._body_cap)
        tap = card_tap(parse_object(raw))
        # The platform gives taps no id: the signed timestamp and the body make one.
        key = hashlib.sha256(timestamp.encode() + b"\0" + raw).hexdigest()[:40]
        return {} if tap is None else await flow.answer_tap(tap, f"card:{key}")

    def _route(
        self, flow: AnswerFlow, receive: Callable[[AnswerFlow, web.Request], Awaitable[dict[str, Any]]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle_request(request: web.Request) -> web.Response:
            try:
                answer = await receive(flow, request)
            except (BadEnvelope, MalformedMessage) as wrong:
                return refusal_response(NAME, wrong if isinstance(wrong, BadEnvelope) else BadEnvelope(str(wrong)), self._note)
            except UnknownSender:
                flow.refuse("nobody")
                answer = {}
            return web.Response(body=encode(answer), content_type="application/json", charset="utf-8", headers=HEADERS)

        return handle_request

    async def _register(self) -> None:
        try:
            await self._sender.register_callback(self._callback_url, self._secret)
        except PlatformError as wrong:
            log.error("card callback not registered", code=wrong.code)

    def _parse_data(self, data: str) -> dict[str, Any]:
        if len(data) > self._body_cap:
            raise MalformedMessage("size")
        return parse_object(data)
