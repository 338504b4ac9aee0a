"""The WeCom channel: encrypted callbacks, passive replies, and messages beside or after them (bot/docs/protocols.md#wecom)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

from aiohttp import web

from bot.channels import callback
from bot.channels.callback import SUCCESS, Callback, CallbackResponse, CallbackRoute, ReplyDeadline, query_stamp
from bot.channels.config import ChannelContext, reveal
from bot.channels.outbound.errors import PlatformError
from bot.channels.render import decode_key, split_text
from bot.channels.signature import BadEnvelope, EncryptionKey, EnvelopeCodec, EnvelopeStamp, sealed_part
from bot.channels.wecom.cards import ShownQuestions, button_update, card_of, verdict_fits, verdict_update
from bot.channels.wecom.config import WeComConfig
from bot.channels.wecom.push import CODE, TEXT_BYTES, WeComPush, WeComSpeech
from bot.channels.xml_messages import COMMON, Pushed, check_echo, children, event_id, kind_of, load_wechatpy, read_message, require_text, text_reply
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import Address, Incoming, IncomingHandler, IncomingKind, Reply, plain_text
from bot.logs import get_logger

log = get_logger(__name__)

PATH = "/channels/wecom"
FIELDS = COMMON | {"AgentID", "TaskId", "ResponseCode"}
_USER = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.@/-]{0,63}")
_CARD_TAP = "template_card_event"
_CARD_EVENTS = (_CARD_TAP, "template_card_menu_event")
_ANSWERS = frozenset((_CARD_TAP,))
_PRESENCE: dict[str, IncomingKind] = {"subscribe": "follow", "unsubscribe": "unfollow", "enter_agent": "enter"}


@dataclass(frozen=True, slots=True)
class WeComMessage:
    """A message and what its reply needs: the user's id as written and, where a card was tapped, its task id and the code to update it with."""

    incoming: Incoming
    user: str
    card_task_id: str = ""
    response_code: str = ""


def parse_message(plain: bytes, agent_id: str, arrived: datetime) -> WeComMessage | None:
    """The message; None for events that only need an acknowledgement (menu links, positions, changes of the directory); raises `BadEnvelope`."""
    parts, pushed = read_message(plain, FIELDS, "wechatpy.enterprise", _ANSWERS)
    if parts.get("AgentID", agent_id) != agent_id:
        raise BadEnvelope("agent")
    kind, event = kind_of(parts)
    if kind == "event" and event not in _PRESENCE and event not in _CARD_EVENTS and event != "click":
        return None
    user = parts.get("FromUserName", "")
    if not _USER.fullmatch(user):
        raise BadEnvelope("fields")
    sender = Address("wecom", agent_id, user.lower())
    if kind == "event":
        return _event(pushed, parts, sender, event, arrived)
    if kind == "text":
        return WeComMessage(Incoming(sender, parts["Content"], event, arrived), user)
    return WeComMessage(Incoming(sender, "", event, arrived, "other"), user)


def _event(pushed: Pushed, parts: dict[str, str], sender: Address, event: str, arrived: datetime) -> WeComMessage:
    user, key, card = parts["FromUserName"], parts.get("EventKey", ""), parts.get("TaskId", "")
    chosen = selected_options(pushed) if event in _CARD_EVENTS else ()
    message_id = event_id(parts["CreateTime"], event, key, card, *chosen)
    if event in _PRESENCE:
        return WeComMessage(Incoming(sender, "", message_id, arrived, _PRESENCE[event]), user)
    if not key:
        raise BadEnvelope("fields")
    task, say = decode_key(key)
    tap = Incoming(sender, join_choices(chosen) if chosen and not say else say, message_id, arrived, "tap", task)
    return WeComMessage(tap, user, card, parts.get("ResponseCode", "")) if event == _CARD_TAP else WeComMessage(tap, user)


def selected_options(pushed: Pushed) -> tuple[str, ...]:
    """The chosen options of a submitted vote, sorted; raises `BadEnvelope`."""
    options: set[str] = set()
    for item in children(pushed.get("SelectedItems") or None, "SelectedItem"):
        for chosen in children(item, "OptionIds"):
            for option in children(chosen, "OptionId"):
                if not require_text(option):
                    raise BadEnvelope("fields")
                options.add(option)
    return tuple(sorted(options))


def join_choices(chosen: tuple[str, ...]) -> str:
    """The choice as a person would type it: AC; options longer than a letter are joined with 、."""
    return ("" if all(len(option) == 1 for option in chosen) else "、").join(chosen)


class WeComChannel:
    """One self-built app of one corporation."""

    name = "wecom"

    def __init__(self, config: WeComConfig, context: ChannelContext) -> None:
        """Raises ValueError for an agent id that is no number and for an invalid key."""
        self._corp_id = config.corp_id
        self._agent_id = str(int(config.agent_id))
        self._limits = context.limits
        self.codec = EnvelopeCodec(
            reveal(config.token),
            reveal(config.aes_key),
            config.corp_id,
            former_token=reveal(config.former_token),
            former_aes_key=reveal(config.former_aes_key),
            former_until=config.former_until.timestamp() if config.former_until is not None else 0,
            freshness=context.limits.freshness_seconds,
        )
        self._former_is_taken = config.former_is_taken
        self._clock = context.clock
        self._note = context.note
        self._quota = context.quota
        self._deadline = ReplyDeadline(self.name, context.limits.reply_seconds, context.note)
        self._shown = ShownQuestions()
        self._pusher = WeComPush(config, context, self._shown)

    def attach(self, app: web.Application, handle: IncomingHandler) -> None:
        route = CallbackRoute(self.name, PATH, partial(self.receive, handle), self._check_head, self._note, self._limits.callback_bytes)
        callback.add_route(app, route)
        callback.add_address_check(app, route, self.verify)
        app.cleanup_ctx.append(load_wechatpy("wechatpy.enterprise"))
        app.cleanup_ctx.append(self._deadline.drain)

    def verify(self, query: Mapping[str, str]) -> str:
        """The console's address check: the decrypted echostr, which must be a plain word that no browser could interpret."""
        stamp = query_stamp(query)
        # An unescaped plus sign arrives as a space, which base64 does not contain.
        sealed = callback.require_value(query, "echostr").replace(" ", "+")
        opened = self.codec.open(stamp, sealed.encode("utf-8", "replace"), self._clock().timestamp())
        return check_echo(opened.plain.decode("ascii", "replace"))

    def _check_head(self, query: Mapping[str, str], headers: Mapping[str, str]) -> None:
        query_stamp(query)

    def receive(self, handle: IncomingHandler, push: Callback) -> None:
        arrived = self._clock()
        message, key = self.open(query_stamp(push.query), push.body, arrived)
        if message is None:
            push.respond(SUCCESS)
            return
        self._deadline.answer(push, handle, message.incoming, partial(self._respond, message, key), partial(self._answer_late, message))

    def _respond(self, message: WeComMessage, key: EncryptionKey, reply: Reply | None) -> CallbackResponse:
        if not reply or message.incoming.kind == "unfollow":
            return SUCCESS
        now = self._clock()
        answer, beside = self.passive(message, reply, now)
        if beside and self._deadline.is_first_copy(message.incoming):
            self._deadline.run_in_background(self._send_reply(message.incoming.sender, beside))
        return CallbackResponse(self.codec.reply(answer, key, now.timestamp()).encode(), callback.XML) if answer else SUCCESS

    def open(self, stamp: EnvelopeStamp, body: bytes, arrived: datetime) -> tuple[WeComMessage | None, EncryptionKey]:
        """The message in a pushed body, and the key to encrypt the reply with; raises `BadEnvelope`."""
        sealed, parts = sealed_part(body)
        opened = self.codec.open(stamp, sealed, arrived.timestamp())
        if self._former_is_taken(arrived):
            callback.record_key(self._note, self.name, opened.former)
        if parts.get(b"AgentID", b"") not in (b"", self._agent_id.encode()):
            raise BadEnvelope("agent")
        return parse_message(opened.plain, self._agent_id, arrived), opened.key

    def passive(self, message: WeComMessage, reply: Reply, now: datetime) -> tuple[str, WeComSpeech]:
        """The passive reply, empty when there is none, and what is sent actively beside it.

        A tapped question card is replaced by its verdict; everything else is answered with the complete text, and a card follows.
        """
        created = int(now.timestamp())
        if message.card_task_id and message.incoming.task:
            if not reply.text:
                return button_update(reply.done or "已作答", message.user, self._corp_id, created), self._pusher.forms.speech(
                    reply, _serial(message.incoming)
                )
            rest = Reply(card=reply.card, buttons=reply.buttons) if verdict_fits(reply) else reply
            return verdict_update(reply, self._shown.get(message.card_task_id), message.user, self._corp_id, created), self._pusher.forms.speech(
                rest, _serial(message.incoming)
            )
        texts = split_text(plain_text(reply), TEXT_BYTES)
        # The text is complete: the card beside it is left out where the member's limit for the minute is reached.
        has_card = self._pusher.forms.cards and (reply.card or reply.buttons) and self._quota.look(message.user)
        card = card_of(reply, _serial(message.incoming)) if has_card else None
        answer = text_reply(message.user, self._corp_id, created, texts[0]) if texts else ""
        return answer, WeComSpeech(tuple(("text", {"content": text}) for text in texts[1:]), card, reply.card)

    async def send(self, to: Address, reply: Reply) -> None:
        """Send a message unprompted; raises `PlatformError`."""
        await self._send_reply(to, self._pusher.forms.speech(reply, secrets.token_hex(5)))

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        return await self._pusher.push(batch)

    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        return await self._pusher.recall(platform_ids)

    async def close_card(self, platform_id: str, users: Sequence[str], done: str) -> None:
        """Replace the buttons of a pushed card by a word such as 已截止; raises `PlatformError`."""
        await self._pusher.close_card(platform_id, users, done)

    async def _answer_late(self, message: WeComMessage, reply: Reply) -> None:
        incoming = message.incoming
        if incoming.kind == "unfollow":
            return
        await self._send_reply(incoming.sender, self._pusher.forms.speech(reply, _serial(incoming)))
        if message.response_code and incoming.task:
            await self._pusher.close_card(CODE + message.response_code, [incoming.sender.user], reply.done or "已作答")

    async def _send_reply(self, to: Address, speech: WeComSpeech) -> None:
        for kind, content in speech.texts:
            await self._send(to, kind, content)
        if speech.card is None:
            return
        try:
            await self._send(to, "template_card", speech.card.body)
            self._shown.keep(speech.card, speech.ask)
        except PlatformError as wrong:
            if wrong.kind not in ("content", "permission"):
                raise
            log.warning("card refused", channel=self.name, code=wrong.code)
            for kind, content in speech.instead:
                await self._send(to, kind, content)

    async def _send(self, to: Address, kind: str, content: dict[str, Any]) -> None:
        await self._quota.take(to.user)
        answer = await self._pusher.send([to.user], kind, content)
        if answer.get("invaliduser") or answer.get("unlicenseduser"):
            raise PlatformError("recipient", "invaliduser", "nobody of that id can be reached")
        self._note("sent", self.name, 1)


def _serial(incoming: Incoming) -> str:
    """The same for all copies of a message, so that two replicas that answer two copies make one card."""
    return sha256(f"{incoming.sender.user}\n{incoming.message_id}".encode()).hexdigest()[:12]
