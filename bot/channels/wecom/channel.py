"""The WeCom channel: encrypted callbacks, passive replies, and messages beside or after them (bot/docs/protocols.md#wecom)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

import structlog
from aiohttp import web

from bot.channels import callback
from bot.channels.base import FREE, Clock, Note, Spending
from bot.channels.callback import ReplyDeadline
from bot.channels.outbound.apis import wecom_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.channels.signature import BadEnvelope, EncryptionKey, EnvelopeCodec, EnvelopeStamp, parse, sealed_part
from bot.channels.truncate import split_text
from bot.channels.wechatpy_check import WechatpyCheck
from bot.channels.wecom.cards import ShownQuestions, button_update, card_of, verdict_fits, verdict_update
from bot.channels.wecom.incoming import WeComMessage, parse_message
from bot.channels.wecom.push import CODE, TEXT_BYTES, WeComForms, WeComPush, WeComSpeech
from bot.channels.xml_messages import check_echo, text_reply
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import Address, Incoming, IncomingHandler, Reply, plain_text

log = structlog.get_logger(__name__)

PATH = "/channels/wecom"
API_BASE = "https://qyapi.weixin.qq.com"


class WeComChannel:
    """One self-built app of one corporation."""

    name = "wecom"

    def __init__(
        self,
        *,
        corp_id: str,
        agent_id: str,
        secret: str,
        token: str,
        aes_key: str,
        outbound: Outbound,
        clock: Clock,
        note: Note,
        spending: Spending = FREE,
        former_aes_key: str = "",
        api_base: str = API_BASE,
        cards: bool = True,
        markdown: bool = False,
        page: str = "",
        reply_seconds: float = 4.0,
        freshness: int = 600,
        body_cap: int = 65536,
    ) -> None:
        """Seconds and bytes; `cards` off where clients show none (private deployments, the WeChat plug-in); `page` is what textcards open then.

        Raises ValueError for an agent id that is no number and for an invalid key.
        """
        self._corp_id = corp_id
        self._agent_id = str(int(agent_id))
        self._codec = EnvelopeCodec(token, aes_key, corp_id, former_aes_key=former_aes_key, freshness=freshness)
        self._wechatpy_check = WechatpyCheck(token, corp_id, (aes_key, former_aes_key) if former_aes_key else (aes_key,))
        self._api = wecom_api(base=api_base, corp_id=corp_id, agent_id=self._agent_id, secret=secret)
        self._clock = clock
        self._note = note
        self._spending = spending
        self._cap = body_cap
        self._deadline = ReplyDeadline(self.name, reply_seconds, note)
        self._shown = ShownQuestions()
        self._pusher = WeComPush(
            outbound=outbound,
            api=self._api,
            agent_id=int(self._agent_id),
            forms=WeComForms(cards, markdown, page),
            shown=self._shown,
            note=note,
            spending=spending,
        )

    def attach(self, app: web.Application, handle: IncomingHandler) -> None:
        app.router.add_get(PATH, self.verify, allow_head=False)
        app.router.add_post(PATH, partial(self.receive, handle))
        app.cleanup_ctx.append(self._deadline.drain)

    async def verify(self, request: web.Request) -> web.Response:
        """The console's address check: echoes the decrypted echostr, which must be a plain word that no browser could interpret."""
        try:
            stamp = callback.query_stamp(request)
            # An unescaped plus sign arrives as a space, which base64 does not contain.
            sealed = callback.query_value(request, "echostr").replace(" ", "+")
            opened = self._codec.open(stamp, sealed.encode("utf-8", "replace"), self._clock().timestamp())
            word = check_echo(opened.plain.decode("ascii", "replace"))
            await self._wechatpy_check.echo(stamp, sealed, word)
        except BadEnvelope as wrong:
            return callback.refusal_response(self.name, wrong, self._note)
        return callback.text_response(word)

    async def receive(self, handle: IncomingHandler, request: web.Request) -> web.Response:
        arrived = self._clock()
        try:
            message, key = self.open(callback.query_stamp(request), await callback.read_body(request, self._cap), arrived)
        except BadEnvelope as wrong:
            return callback.refusal_response(self.name, wrong, self._note)
        if message is None:
            return callback.text_response("success")
        reply = await self._deadline.reply(handle, message.incoming, partial(self._answer_late, message))
        if not reply or message.incoming.kind == "unfollow":
            return callback.text_response("success")
        now = self._clock()
        answer, beside = self.passive(message, reply, now)
        if beside and self._deadline.is_first_copy(message.incoming):
            self._deadline.run_in_background(self._send_reply(message.incoming.sender, beside))
        return callback.sealed_response(self._codec.reply(answer, key, now.timestamp())) if answer else callback.text_response("success")

    def open(self, stamp: EnvelopeStamp, body: bytes, arrived: datetime) -> tuple[WeComMessage | None, EncryptionKey]:
        """The message in a pushed body, and the key to encrypt the reply with; raises `BadEnvelope`."""
        sealed, parts = sealed_part(body)
        opened = self._codec.open(stamp, sealed, arrived.timestamp())
        if parts.get(b"AgentID", b"") not in (b"", self._agent_id.encode()):
            raise BadEnvelope("agent")
        return parse_message(parse(opened.plain), self._agent_id, arrived), opened.key

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
        has_card = self._pusher.forms.cards and (reply.card or reply.buttons) and self._spending.may(message.user)
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
        await self._spending.spend(to.user)
        answer = await self._pusher.send([to.user], kind, content)
        if answer.get("invaliduser") or answer.get("unlicenseduser"):
            raise PlatformError("recipient", "invaliduser", "nobody of that id can be reached")
        self._note("sent", self.name, 1)


def _serial(incoming: Incoming) -> str:
    """The same for all copies of a message, so that two replicas that answer two copies make one card."""
    return sha256(f"{incoming.sender.user}\n{incoming.message_id}".encode()).hexdigest()[:12]
