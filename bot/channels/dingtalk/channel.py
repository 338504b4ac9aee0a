"""The DingTalk channel: checks and parses callbacks, in Stream or HTTP mode, and hands them to `AnswerFlow`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any

from aiohttp import web

from bot.channels.callback import Callback, CallbackResponse, CallbackRoute, add_route, json_response, record_key
from bot.channels.config import ChannelContext, reveal
from bot.channels.dingtalk import stream
from bot.channels.dingtalk.answering import AnswerFlow
from bot.channels.dingtalk.config import DingTalkConfig
from bot.channels.dingtalk.incoming import (
    NAME,
    CardTap,
    FirstBodies,
    MalformedMessage,
    RobotMessage,
    SignedHead,
    UnknownSender,
    card_tap,
    check_addressee,
    check_card,
    check_robot,
    parse_object,
    robot_message,
)
from bot.channels.dingtalk.push import DingTalkPush, GrantCards, Groups
from bot.channels.dingtalk.reply import ReplySender
from bot.channels.dingtalk.stream import Ack, Lease, StreamConnection
from bot.channels.outbound.apis import dingtalk_api
from bot.channels.outbound.errors import PlatformError
from bot.channels.signature import BadEnvelope
from bot.domain.message import Address, IncomingHandler, OutboundMessage, Reply, SendReceipt
from bot.logs import get_logger

log = get_logger(__name__)

PATH = "/channels/dingtalk"
CARD_PATH = "/channels/dingtalk/card"
ACK_SECONDS = 1.0
"""How long the acknowledgement of a message waits for the commit; a slower message is acknowledged first."""

CheckHeaders = Callable[[Mapping[str, str], tuple[str, ...], datetime, float], SignedHead]
"""(headers, secrets, now, freshness): what the headers are signed with."""
ReceiveSigned = Callable[[AnswerFlow, bytes, str], Coroutine[Any, Any, CallbackResponse] | None]
"""(flow, body, timestamp): answers a callback, None where there is nothing to say."""


class DingTalkChannel:
    """The channel of one app of one corporation."""

    name = NAME

    def __init__(
        self,
        config: DingTalkConfig,
        context: ChannelContext,
        *,
        public_url: str = "",
        grant_cards: GrantCards | None = None,
        lease: Lease | None = None,
        rng: Random | None = None,
        make_stream: Callable[..., StreamConnection] = StreamConnection,
        look_seconds: float = 1.5,
    ) -> None:
        """Taps on cards go to `public_url` in HTTP mode; `lease` says whether this replica may hold the Stream connection.

        `grant_cards` says how many of so many cards may be pushed now (without it none are: each is a call of the month's quota).
        """
        self._config = config
        self._limits = context.limits
        self._secret = reveal(config.client_secret)
        self._clock = context.clock
        self._note = context.note
        self._callback_url = f"{public_url}{CARD_PATH}" if public_url and config.card_template else ""
        self._lease = lease
        self._rng = rng or Random()  # noqa: S311 - spreads reconnections, guards nothing
        self._make_stream = make_stream
        self._stream: StreamConnection | None = None
        api = dingtalk_api(base=config.api_base, client_id=config.client_id, client_secret=self._secret)
        self._sender = ReplySender(config, context, api)
        self._pusher = DingTalkPush(config, context, api, self._sender, grant_cards=grant_cards, look_seconds=look_seconds)
        self.groups = Groups(config, api, context.outbound, context.clock)

    @property
    def connected(self) -> bool:
        """True while a Stream connection is up; always in HTTP mode."""
        return self._config.mode == "http" or (self._stream is not None and self._stream.connected)

    def attach(self, app: web.Application, handle: IncomingHandler) -> None:
        flow = AnswerFlow(handle=handle, sender=self._sender, app=self._config.client_id, clock=self._clock, note=self._note)
        if self._config.mode == "http":
            for path, check, receive in ((PATH, check_robot, self._receive), (CARD_PATH, check_card, self._receive_tap)):
                add_route(app, self._route(flow, path, check, receive))
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
        if self._config.mode == "stream":

            async def on_robot_message(data: str, message_id: str, ack: Ack) -> None:
                await self._hear_frame(flow, data, ack)

            async def on_card_tap(data: str, message_id: str, ack: Ack) -> None:
                await self._tap_frame(flow, data, message_id, ack)

            self._stream = self._make_stream(
                api_base=self._config.api_base,
                client_id=self._config.client_id,
                client_secret=self._secret,
                topics={stream.ROBOT: on_robot_message, stream.CARDS: on_card_tap},
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
            message = robot_message(self._parse_data(data), app=self._config.client_id, arrived=self._clock())
        except MalformedMessage as wrong:
            flow.refuse(str(wrong))
            await ack(400, stream.EMPTY)
            return
        except UnknownSender:
            flow.refuse("nobody")
            await ack(200, stream.response(None))
            return
        deciding = flow.decide(message.incoming)
        await asyncio.wait({deciding}, timeout=ACK_SECONDS)
        failed = deciding.done() and deciding.exception() is not None
        await ack(*((500, stream.EMPTY) if failed else (200, stream.response(None))))
        # The slot of this frame is given back once the reply is decided; sending it may take longer.
        await asyncio.wait({deciding})
        flow.spawn(flow.answer(message, deciding))

    async def _tap_frame(self, flow: AnswerFlow, data: str, message_id: str, ack: Ack) -> None:
        try:
            tap = card_tap(self._parse_data(data))
        except MalformedMessage as wrong:
            flow.refuse(str(wrong))
            await ack(400, stream.EMPTY)
            return
        except UnknownSender:
            flow.refuse("nobody")
            tap = None
        await ack(200, stream.response({} if tap is None else await flow.answer_tap(tap, f"card:{message_id}")))

    def _route(self, flow: AnswerFlow, path: str, check: CheckHeaders, receive: ReceiveSigned) -> CallbackRoute:
        bodies = FirstBodies(self._limits.freshness_seconds)
        former = reveal(self._config.former_client_secret)

        def check_head(query: Mapping[str, str], headers: Mapping[str, str]) -> SignedHead:
            now = self._clock()
            secrets = (self._secret, former) if former and self._config.former_is_taken(now) else (self._secret,)
            return check(headers, secrets, now, self._limits.freshness_seconds)

        def receive_signed(push: Callback) -> None:
            head, now = check_head(push.query, push.headers), self._clock()
            try:
                check_addressee(parse_object(push.body), self._config.robot, self._config.corp_id)
                bodies.check(head, push.body, now)
                if self._config.former_is_taken(now):
                    record_key(self._note, NAME, "client_secret" if head.former else "")
                answer = receive(flow, push.body, head.timestamp)
            except MalformedMessage as wrong:
                raise BadEnvelope(str(wrong)) from None
            except UnknownSender:
                flow.refuse("nobody")
                answer = None
            if answer is None:
                push.respond(json_response({}))
            else:
                flow.spawn(route.respond_with(push, answer))

        route = CallbackRoute(NAME, path, receive_signed, check_head, self._note, self._limits.callback_bytes)
        return route

    def _receive(self, flow: AnswerFlow, body: bytes, timestamp: str) -> Coroutine[Any, Any, CallbackResponse]:
        message = robot_message(parse_object(body), app=self._config.client_id, arrived=self._clock())
        return self._answer(flow, message)

    async def _answer(self, flow: AnswerFlow, message: RobotMessage) -> CallbackResponse:
        deciding = flow.decide(message.incoming)
        await asyncio.wait({deciding}, timeout=self._limits.reply_seconds)
        if not deciding.done():
            flow.late(message, deciding)
            return json_response({})
        return json_response(flow.passive(message, deciding))

    def _receive_tap(self, flow: AnswerFlow, body: bytes, timestamp: str) -> Coroutine[Any, Any, CallbackResponse] | None:
        tap = card_tap(parse_object(body))
        # The platform gives taps no id: the signed timestamp and the body make one.
        key = hashlib.sha256(timestamp.encode() + b"\0" + body).hexdigest()[:40]
        return None if tap is None else self._answer_tap(flow, tap, f"card:{key}")

    async def _answer_tap(self, flow: AnswerFlow, tap: CardTap, message_id: str) -> CallbackResponse:
        return json_response(await flow.answer_tap(tap, message_id))

    async def _register(self) -> None:
        try:
            await self._sender.register_callback(self._callback_url, self._secret)
        except PlatformError as wrong:
            log.error("card callback not registered", code=wrong.code)

    def _parse_data(self, data: str) -> dict[str, Any]:
        if len(data) > self._limits.callback_bytes:
            raise MalformedMessage("size")
        return parse_object(data)
