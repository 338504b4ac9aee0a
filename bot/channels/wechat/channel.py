"""The 微信公众号 channel: encrypted callbacks in 安全模式, passive replies, customer-service messages where the account is verified.

See bot/docs/protocols.md#wechat.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import web

from bot.channels import callback
from bot.channels.batch_push import recall_each
from bot.channels.callback import SUCCESS, Callback, CallbackResponse, CallbackRoute, ReplyDeadline, query_stamp
from bot.channels.config import ChannelContext, reveal
from bot.channels.outbound.apis import wechat_api
from bot.channels.outbound.errors import PlatformError
from bot.channels.render import decode_key, encode_key, is_key, option_line, split_text, truncate
from bot.channels.signature import (
    BadEnvelope,
    EncryptionKey,
    EnvelopeCodec,
    EnvelopeStamp,
    fields_of_json,
    sealed_part,
    strip_unencodable,
)
from bot.channels.wechat.config import WeChatConfig
from bot.channels.wechat.push import CUSTOM, JobResult, OnJobResult, WeChatPush, WindowCheck, parse_job_result
from bot.channels.wechat.series import MASS, PublicSeries
from bot.channels.xml_messages import COMMON, check_echo, event_id, kind_of, load_wechatpy, read_message, text_reply
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import Address, Incoming, IncomingHandler, IncomingKind, Option, Reply, plain_text

PATH = "/channels/wechat"
TEXT_BYTES = 2048
MENU_ITEMS, MENU_TEXT = 12, 40
MOST_UNSENT = 5000
BUSY = "系统繁忙，正在处理。请稍后回复「继续」查看。"
LEFT_OUT = "\n…（内容较长，未显示完）"

FIELDS = COMMON | {"ToUserName", "bizmsgmenuid", "Recognition", "MsgID", "Status", "TotalCount", "FilterCount", "SentCount", "ErrorCount"}
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_SCENE = "qrscene_"
_SCANS = ("scan", "subscribe_scan")
_PRESENCE: dict[str, IncomingKind] = {
    "subscribe": "follow",
    # What wechatpy calls it when somebody followed by a QR code, whose scene it has unpacked, or by that of a product.
    "subscribe_scan": "follow",
    "subscribe_scan_product": "follow",
    "unsubscribe": "unfollow",
    "scan": "enter",
}


@dataclass(frozen=True, slots=True)
class WeChatMessage:
    """A message, the id of our account as the reply's sender, and whether the platform sends and reads JSON."""

    incoming: Incoming
    account: str
    as_json: bool


class WeChatChannel:
    """One Official Account. Menus to tap and late replies need a verified account; every question can be answered by typing."""

    name = "wechat"

    def __init__(
        self,
        config: WeChatConfig,
        context: ChannelContext,
        *,
        window_open: WindowCheck | None = None,
        on_job_result: OnJobResult | None = None,
    ) -> None:
        """`on_job_result` receives the later result of templates, subscriptions and mass sends. Raises ValueError for a bad key or bad fields."""
        self._app_id = config.app_id
        self._limits = context.limits
        self.codec = EnvelopeCodec(
            reveal(config.token),
            reveal(config.aes_key),
            config.app_id,
            former_token=reveal(config.former_token),
            former_aes_key=reveal(config.former_aes_key),
            former_until=config.former_until.timestamp() if config.former_until is not None else 0,
            freshness=context.limits.freshness_seconds,
        )
        self._former_is_taken = config.former_is_taken
        self._api = wechat_api(base=config.api_base, app_id=config.app_id, secret=reveal(config.secret))
        self._outbound = context.outbound
        self._clock = context.clock
        self._note = context.note
        self._quota = context.quota
        self._verified = config.verified
        self._deadline = ReplyDeadline(self.name, context.limits.reply_seconds, context.note)
        self._on_job_result = on_job_result
        self.series = PublicSeries(context.outbound, self._api)
        self._pusher = WeChatPush(config, context, self._api, self.messages, window_open)
        self._unsent: OrderedDict[str, str] = OrderedDict()

    def attach(self, app: web.Application, handle: IncomingHandler) -> None:
        route = CallbackRoute(self.name, PATH, partial(self.receive, handle), self._check_head, self._note, self._limits.callback_bytes)
        callback.add_route(app, route)
        callback.add_address_check(app, route, self.verify)
        app.cleanup_ctx.append(load_wechatpy("wechatpy"))
        app.cleanup_ctx.append(self._deadline.drain)

    def verify(self, query: Mapping[str, str]) -> str:
        """The console's address check: its signature does not cover the echostr, so that only a plain word is echoed."""
        self.codec.check(query_stamp(query, "signature"), self._clock().timestamp())
        return check_echo(callback.require_value(query, "echostr"))

    def _check_head(self, query: Mapping[str, str], headers: Mapping[str, str]) -> None:
        self._stamp(query, self._clock())

    def receive(self, handle: IncomingHandler, push: Callback) -> None:
        arrived = self._clock()
        message, key = self.open(self._stamp(push.query, arrived), push.body, arrived)
        if isinstance(message, WeChatMessage):
            self._deadline.answer(push, handle, message.incoming, partial(self._respond, message, key), partial(self._answer_late, message.incoming))
            return
        if message is not None and self._on_job_result is not None:
            self._deadline.run_in_background(self._on_job_result(message))
        push.respond(SUCCESS)

    def _respond(self, message: WeChatMessage, key: EncryptionKey, reply: Reply | None) -> CallbackResponse:
        if message.incoming.kind == "unfollow":
            return SUCCESS
        sender = message.incoming.sender
        text, *further = self._texts(sender, reply)
        menu = self.menu(reply) if reply else None
        if (further or menu) and self._deadline.is_first_copy(message.incoming):
            self._deadline.run_in_background(self._send_reply(sender, tuple(further), menu))
        if not text:
            return SUCCESS
        now = self._clock()
        answer = self.passive(message, text, int(now.timestamp()))
        sealed = self.codec.reply(answer, key, now.timestamp(), as_json=message.as_json)
        return CallbackResponse(sealed.encode(), callback.JSON if message.as_json else callback.XML)

    def _stamp(self, query: Mapping[str, str], arrived: datetime) -> EnvelopeStamp:
        """The stamp that covers the ciphertext; the older signature, if sent, must be valid too."""
        stamp = query_stamp(query)
        if "encrypt_type" in query and callback.require_value(query, "encrypt_type") != "aes":
            raise BadEnvelope("plain")
        if "signature" in query:
            self.codec.check(query_stamp(query, "signature"), arrived.timestamp())
        return stamp

    def open(self, stamp: EnvelopeStamp, body: bytes, arrived: datetime) -> tuple[WeChatMessage | JobResult | None, EncryptionKey]:
        """The message in a pushed body, and the key to encrypt the reply with; raises `BadEnvelope`."""
        sealed, _ = sealed_part(body)
        opened = self.codec.open(stamp, sealed, arrived.timestamp())
        if self._former_is_taken(arrived):
            callback.record_key(self._note, self.name, opened.former)
        as_json = opened.plain[:1] == b"{"
        parts = fields_of_json(opened.plain, FIELDS) if as_json else read_message(opened.plain, FIELDS, "wechatpy")[0]
        return self._parse(parts, as_json, arrived), opened.key

    def _parse(self, parts: dict[str, str], as_json: bool, arrived: datetime) -> WeChatMessage | JobResult | None:
        kind, event = kind_of(parts)
        key = parts.get("EventKey", "")
        if kind == "event" and event not in _PRESENCE and event != "click":
            return parse_job_result(event, parts)
        user, account = parts.get("FromUserName", ""), parts.get("ToUserName", "")
        if not (_ID.fullmatch(user) and _ID.fullmatch(account)):
            raise BadEnvelope("fields")
        sender = Address(self.name, self._app_id, user)
        if kind != "event":
            incoming = _message(sender, kind, event, parts, arrived)
        elif event in _PRESENCE:
            scene = key.removeprefix(_SCENE) if event in _SCANS or key.startswith(_SCENE) else ""
            incoming = Incoming(sender, scene, event_id(parts["CreateTime"], event, key), arrived, _PRESENCE[event])
        elif key:
            task, say = decode_key(key)
            incoming = Incoming(sender, say, event_id(parts["CreateTime"], event, key), arrived, "tap", task)
        else:
            raise BadEnvelope("fields")
        return WeChatMessage(incoming, account, as_json)

    def _texts(self, to: Address, reply: Reply | None) -> list[str]:
        """The text of the passive reply, and the further texts that do not fit into it.

        An unverified account can only answer: a reply that was too late for its message is put before the next one.
        """
        text = plain_text(reply) if reply else ""
        if not self._verified:
            held = self._unsent.pop(to.user, "")
            text = "\n\n".join(part for part in (held, text) if part) or (BUSY if reply is None else "")
        texts = split_text(text, TEXT_BYTES) or [""]
        if len(texts) > 1 and not self._verified:
            return [split_text(text, TEXT_BYTES - len(LEFT_OUT.encode()))[0] + LEFT_OUT]
        return texts

    def passive(self, message: WeChatMessage, text: str, created: int) -> str:
        """The passive reply, before it is encrypted."""
        user = message.incoming.sender.user
        if message.as_json:
            answer = {"ToUserName": user, "FromUserName": message.account, "CreateTime": created, "MsgType": "text", "Content": text}
            return json.dumps(answer, ensure_ascii=False)
        return text_reply(user, message.account, created, text)

    def menu(self, reply: Reply) -> dict[str, Any] | None:
        """The menu that is sent after a text; None for an unverified account and where there is nothing to tap.

        Questions with several choices are answered by typing. Items of a menu can be tapped at any later time, so each carries its task.
        """
        ask = reply.card
        options = ask.options if ask is not None and not ask.several else ()
        task = ask.task if ask is not None else ""
        items = [{"id": encode_key(task, option.say), "content": _item(option)} for option in options]
        items += [{"id": encode_key("", option.say), "content": _item(option)} for option in reply.buttons]
        if not self._verified or not 0 < len(items) <= MENU_ITEMS:
            return None
        head = strip_unencodable(ask.head) if ask is not None and ask.head else "请点选"
        return {"head_content": head, "list": items, "tail_content": "点选即可，也可以直接回复"}

    async def send(self, to: Address, reply: Reply) -> None:
        """Send a message unprompted; raises `PlatformError`, of kind "window" where the person has to write first."""
        await self._send_reply(to, tuple(split_text(plain_text(reply), TEXT_BYTES)), self.menu(reply))

    @property
    def beyond_window(self) -> bool:
        """True where templates or subscriptions reach people who have not written for 48 hours."""
        return self._pusher.beyond_window

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        return await self._pusher.push(batch)

    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        """Only a mass send can be recalled (bot/docs/protocols.md#channel-shapes)."""
        return await recall_each(platform_ids, self._take_back)

    async def _take_back(self, platform_id: str) -> None:
        if not platform_id.startswith(MASS):
            raise PlatformError("content", "not-recallable", "the platform takes nothing back that went to one person")
        await self.series.recall(platform_id)

    def messages(self, reply: Reply) -> list[tuple[str, dict[str, Any]]]:
        """A reply as customer-service messages: the texts, then the menu."""
        texts: list[tuple[str, dict[str, Any]]] = [("text", {"content": text}) for text in split_text(plain_text(reply), TEXT_BYTES)]
        menu = self.menu(reply)
        return texts if menu is None else [*texts, ("msgmenu", menu)]

    async def _answer_late(self, incoming: Incoming, reply: Reply) -> None:
        if incoming.kind == "unfollow":
            return
        if self._verified:
            await self.send(incoming.sender, reply)
            return
        self._unsent[incoming.sender.user] = plain_text(reply)
        while len(self._unsent) > MOST_UNSENT:
            self._unsent.popitem(last=False)

    async def _send_reply(self, to: Address, texts: tuple[str, ...], menu: dict[str, Any] | None) -> None:
        for text in texts:
            await self._send(to, "text", {"content": text})
        if menu is not None:
            await self._send(to, "msgmenu", menu)

    async def _send(self, to: Address, kind: str, content: dict[str, Any]) -> None:
        await self._quota.take(to.user)
        await self._outbound.call(self._api, "POST", CUSTOM, json={"touser": to.user, "msgtype": kind, kind: content})
        self._note("sent", self.name, 1)


def _message(sender: Address, kind: str, message_id: str, parts: dict[str, str], arrived: datetime) -> Incoming:
    if kind == "text":
        item = parts.get("bizmsgmenuid", "")
        if is_key(item):
            task, say = decode_key(item)
            return Incoming(sender, say, message_id, arrived, "tap", task)
        return Incoming(sender, parts["Content"], message_id, arrived)
    if kind == "voice" and (words := parts.get("Recognition", "").strip()):
        return Incoming(sender, words, message_id, arrived, "voice")
    return Incoming(sender, "", message_id, arrived, "other")


def _item(option: Option) -> str:
    """The text of a menu item, with its letter in front, so that it can be typed as well."""
    return truncate(strip_unencodable(option_line(option)), MENU_TEXT)
