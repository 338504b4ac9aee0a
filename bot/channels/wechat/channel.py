"""The 微信公众号 channel: encrypted callbacks in 安全模式, passive replies, customer-service messages where the account is verified.

See bot/docs/protocols.md#wechat.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import web

from bot.channels import callback
from bot.channels.base import FREE, Clock, Note, Spending
from bot.channels.batch_push import recall_each
from bot.channels.button_keys import decode_key, encode_key, is_key
from bot.channels.callback import ReplyDeadline
from bot.channels.outbound.apis import wechat_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.channels.signature import (
    BadEnvelope,
    EncryptionKey,
    EnvelopeCodec,
    EnvelopeStamp,
    fields,
    fields_of_json,
    parse,
    sealed_part,
    strip_unencodable,
)
from bot.channels.truncate import option_line, split_text, truncate
from bot.channels.wechat.push import CUSTOM, JobResult, OnJobResult, TemplateNotice, WeChatPush, WindowCheck, parse_job_result
from bot.channels.wechat.series import MASS, PublicSeries
from bot.channels.wechatpy_check import WechatpyCheck
from bot.channels.xml_messages import COMMON, check_echo, event_id, kind_of, text_reply
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import Address, Incoming, IncomingHandler, IncomingKind, Option, Reply, plain_text

PATH = "/channels/wechat"
API_BASE = "https://api.weixin.qq.com"
TEXT_BYTES = 2048
MENU_ITEMS, MENU_TEXT = 12, 40
MOST_UNSENT = 5000
BUSY = "系统繁忙，正在处理。请稍后回复「继续」查看。"
LEFT_OUT = "\n…（内容较长，未显示完）"

FIELDS = COMMON | {"ToUserName", "bizmsgmenuid", "Recognition", "MsgID", "Status", "TotalCount", "FilterCount", "SentCount", "ErrorCount"}
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_SCENE = "qrscene_"
_PRESENCE: dict[str, IncomingKind] = {"subscribe": "follow", "unsubscribe": "unfollow", "scan": "enter"}


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
        *,
        app_id: str,
        secret: str,
        token: str,
        aes_key: str,
        outbound: Outbound,
        clock: Clock,
        note: Note,
        spending: Spending = FREE,
        former_aes_key: str = "",
        api_base: str = API_BASE,
        verified: bool = False,
        template: TemplateNotice | None = None,
        subscription: TemplateNotice | None = None,
        window_open: WindowCheck | None = None,
        on_job_result: OnJobResult | None = None,
        reply_seconds: float = 4.0,
        freshness: int = 600,
        body_cap: int = 65536,
    ) -> None:
        """Seconds and bytes; `verified` where the account is 认证 and may send customer-service messages. Raises ValueError for a bad key.

        `template` and `subscription` are pushed where the window is closed; `on_job_result` receives their later result.
        """
        self._app_id = app_id
        self._codec = EnvelopeCodec(token, aes_key, app_id, former_aes_key=former_aes_key, freshness=freshness)
        self._wechatpy_check = WechatpyCheck(token, app_id, (aes_key,))
        self._api = wechat_api(base=api_base, app_id=app_id, secret=secret)
        self._outbound = outbound
        self._clock = clock
        self._note = note
        self._spending = spending
        self._verified = verified
        self._cap = body_cap
        self._deadline = ReplyDeadline(self.name, reply_seconds, note)
        self._on_job_result = on_job_result
        self.series = PublicSeries(outbound, self._api)
        self._pusher = WeChatPush(
            outbound=outbound,
            api=self._api,
            verified=verified,
            render=self.messages,
            window_open=window_open,
            template=template,
            subscription=subscription,
            clock=clock,
            note=note,
        )
        self._unsent: OrderedDict[str, str] = OrderedDict()

    def attach(self, app: web.Application, handle: IncomingHandler) -> None:
        app.router.add_get(PATH, self.verify, allow_head=False)
        app.router.add_post(PATH, partial(self.receive, handle))
        app.cleanup_ctx.append(self._deadline.drain)

    async def verify(self, request: web.Request) -> web.Response:
        """The console's address check: its signature does not cover the echostr, so that only a plain word is echoed."""
        try:
            stamp = callback.query_stamp(request, "signature")
            self._codec.check(stamp, self._clock().timestamp())
            await self._wechatpy_check.signature(stamp)
            word = check_echo(callback.query_value(request, "echostr"))
        except BadEnvelope as wrong:
            return callback.refusal_response(self.name, wrong, self._note)
        return callback.text_response(word)

    async def receive(self, handle: IncomingHandler, request: web.Request) -> web.Response:
        arrived = self._clock()
        try:
            stamp = self._stamp(request, arrived)
            message, key = self.open(stamp, await callback.read_body(request, self._cap), arrived)
        except BadEnvelope as wrong:
            return callback.refusal_response(self.name, wrong, self._note)
        if isinstance(message, JobResult):
            if self._on_job_result is not None:
                self._deadline.run_in_background(self._on_job_result(message))
            return callback.text_response("success")
        if message is None:
            return callback.text_response("success")
        sender = message.incoming.sender
        reply = await self._deadline.reply(handle, message.incoming, partial(self._answer_late, message.incoming))
        if message.incoming.kind == "unfollow":
            return callback.text_response("success")
        text, *further = self._texts(sender, reply)
        menu = self.menu(reply) if reply else None
        if (further or menu) and self._deadline.is_first_copy(message.incoming):
            self._deadline.run_in_background(self._send_reply(sender, tuple(further), menu))
        if not text:
            return callback.text_response("success")
        now = self._clock()
        answer = self.passive(message, text, int(now.timestamp()))
        kind = "application/json" if message.as_json else "application/xml"
        return callback.sealed_response(self._codec.reply(answer, key, now.timestamp(), as_json=message.as_json), kind)

    def _stamp(self, request: web.Request, arrived: datetime) -> EnvelopeStamp:
        """The stamp that covers the ciphertext; the older signature, if sent, must be valid too."""
        stamp = callback.query_stamp(request)
        if "encrypt_type" in request.query and callback.query_value(request, "encrypt_type") != "aes":
            raise BadEnvelope("plain")
        if "signature" in request.query:
            self._codec.check(callback.query_stamp(request, "signature"), arrived.timestamp())
        return stamp

    def open(self, stamp: EnvelopeStamp, body: bytes, arrived: datetime) -> tuple[WeChatMessage | JobResult | None, EncryptionKey]:
        """The message in a pushed body, and the key to encrypt the reply with; raises `BadEnvelope`."""
        sealed, _ = sealed_part(body)
        opened = self._codec.open(stamp, sealed, arrived.timestamp())
        as_json = opened.plain[:1] == b"{"
        parts = fields_of_json(opened.plain, FIELDS) if as_json else fields(parse(opened.plain), FIELDS)
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
            scene = key.removeprefix(_SCENE) if event == "scan" or key.startswith(_SCENE) else ""
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
        await self._spending.spend(to.user)
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
