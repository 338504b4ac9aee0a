"""The WeCom channel: hears callbacks, says replies."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

import structlog
from aiohttp import web

from bot.channels import callback
from bot.channels.base import Clock, Note
from bot.channels.callback import Patience
from bot.channels.envelope import BadEnvelope, Codec, Key, Stamp, parse, sealed_part
from bot.channels.letters import echo, text_reply
from bot.channels.outbound import Outbound, PlatformError, wecom_api
from bot.channels.wecom.cards import BUTTON_TEXT, Card, Shown, card_of, replaced, verdict, verdict_fits
from bot.channels.wecom.heard import Letter, hear
from bot.channels.words import pieces, short
from bot.domain.message import Address, Ask, Handle, Incoming, Reply, lettered

log = structlog.get_logger(__name__)

PATH = "/channels/wecom"
SEND = "/cgi-bin/message/send"
UPDATE = "/cgi-bin/message/update_template_card"
API_BASE = "https://qyapi.weixin.qq.com"
TEXT_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Speech:
    """What is sent actively, in this order; `instead` is said when the platform will not have the card."""

    texts: tuple[str, ...] = ()
    card: Card | None = None
    ask: Ask | None = None
    instead: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.texts or self.card)


class WeCom:
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
        former_aes_key: str = "",
        api_base: str = API_BASE,
        cards: bool = True,
        reply_seconds: float = 4.0,
        freshness: int = 600,
        body_cap: int = 65536,
    ) -> None:
        """Seconds and bytes; `cards` off where the clients show none (private deployments, the WeChat plug-in).

        Raises ValueError when the agent id is no number or a key is none.
        """
        self._corp_id = corp_id
        self._agent_id = str(int(agent_id))
        self._codec = Codec(token, aes_key, corp_id, former_aes_key=former_aes_key, freshness=freshness)
        self._api = wecom_api(base=api_base, corp_id=corp_id, agent_id=self._agent_id, secret=secret)
        self._outbound = outbound
        self._clock = clock
        self._note = note
        self._cards = cards
        self._cap = body_cap
        self._patience = Patience(self.name, reply_seconds, note)
        self._shown = Shown()

    def attach(self, app: web.Application, handle: Handle) -> None:
        app.router.add_get(PATH, self.verify, allow_head=False)
        app.router.add_post(PATH, partial(self.receive, handle))
        app.cleanup_ctx.append(self._patience.until_quiet)

    async def verify(self, request: web.Request) -> web.Response:
        """The console's check of the address: the opened echostr, which is a plain word and nothing a browser could run."""
        try:
            stamp = callback.stamp(request)
            # A plus sign that was not escaped arrives as a space, and base64 knows no spaces.
            sealed = callback.once(request, "echostr").replace(" ", "+")
            opened = self._codec.open(stamp, sealed.encode("utf-8", "replace"), self._clock().timestamp())
            word = echo(opened.plain.decode("ascii", "replace"))
        except BadEnvelope as wrong:
            return callback.refused(self.name, wrong, self._note)
        return callback.plain(word)

    async def receive(self, handle: Handle, request: web.Request) -> web.Response:
        arrived = self._clock()
        try:
            letter, key = self.open(callback.stamp(request), await callback.body(request, self._cap), arrived)
        except BadEnvelope as wrong:
            return callback.refused(self.name, wrong, self._note)
        if letter is None:
            return callback.plain("success")
        reply = await self._patience.reply(handle, letter.incoming, partial(self._answer_late, letter))
        if not reply or letter.incoming.kind == "unfollow":
            return callback.plain("success")
        now = self._clock()
        said, beside = self.passive(letter, reply, now)
        if beside and self._patience.first(letter.incoming):
            self._patience.follow(self._say(letter.incoming.sender, beside))
        return callback.sealed(self._codec.reply(said, key, now.timestamp())) if said else callback.plain("success")

    def open(self, stamp: Stamp, body: bytes, arrived: datetime) -> tuple[Letter | None, Key]:
        """What a pushed body says, and the key to seal the reply with; raises `BadEnvelope`."""
        sealed, parts = sealed_part(body)
        opened = self._codec.open(stamp, sealed, arrived.timestamp())
        if parts.get(b"AgentID", b"") not in (b"", self._agent_id.encode()):
            raise BadEnvelope("agent")
        return hear(parse(opened.plain), self._agent_id, arrived), opened.key

    def passive(self, letter: Letter, reply: Reply, now: datetime) -> tuple[str, Speech]:
        """The answer inside the callback, empty when there is none, and what is sent beside it.

        A tapped question card turns into its verdict; everything else is answered with the complete text, and a card follows.
        """
        made = int(now.timestamp())
        if letter.card and letter.incoming.task:
            if not reply.text:
                return replaced(reply.done or "已作答", letter.user, self._corp_id, made), self.speech(reply, _serial(letter.incoming))
            rest = Reply(ask=reply.ask, buttons=reply.buttons) if verdict_fits(reply) else reply
            return verdict(reply, self._shown.get(letter.card), letter.user, self._corp_id, made), self.speech(rest, _serial(letter.incoming))
        texts = pieces(lettered(reply), TEXT_BYTES)
        card = card_of(reply, _serial(letter.incoming)) if self._cards and (reply.ask or reply.buttons) else None
        said = text_reply(letter.user, self._corp_id, made, texts[0]) if texts else ""
        return said, Speech(tuple(texts[1:]), card, reply.ask)

    def speech(self, reply: Reply, serial: str) -> Speech:
        """A reply as it is said actively: by its card alone where that shows everything, else by text and card."""
        letters = tuple(pieces(lettered(reply), TEXT_BYTES))
        card = card_of(reply, serial) if self._cards else None
        if card is None:
            return Speech(letters)
        if not card.whole:
            return Speech(letters, card, reply.ask)
        texts = tuple(pieces(reply.text, TEXT_BYTES)) if reply.ask is not None else ()
        return Speech(texts, card, reply.ask, tuple(pieces(lettered(Reply(ask=reply.ask, buttons=reply.buttons)), TEXT_BYTES)) if texts else letters)

    async def send(self, to: Address, reply: Reply) -> None:
        """Say something unasked; raises `PlatformError`."""
        await self._say(to, self.speech(reply, secrets.token_hex(5)))

    async def _answer_late(self, letter: Letter, reply: Reply) -> None:
        incoming = letter.incoming
        if incoming.kind == "unfollow":
            return
        await self._say(incoming.sender, self.speech(reply, _serial(incoming)))
        if letter.code and incoming.task:
            button = {"replace_name": short(reply.done or "已作答", BUTTON_TEXT)}
            lock = {"userids": [incoming.sender.user], "agentid": int(self._agent_id), "response_code": letter.code, "button": button}
            await self._outbound.call(self._api, "POST", UPDATE, json=lock)

    async def _say(self, to: Address, speech: Speech) -> None:
        for text in speech.texts:
            await self._send(to, "text", {"content": text})
        if speech.card is None:
            return
        try:
            await self._send(to, "template_card", speech.card.body)
            self._shown.keep(speech.card, speech.ask)
        except PlatformError as wrong:
            if wrong.kind not in ("content", "permission"):
                raise
            log.warning("card refused", channel=self.name, code=wrong.code)
            for text in speech.instead:
                await self._send(to, "text", {"content": text})

    async def _send(self, to: Address, kind: str, content: dict[str, Any]) -> None:
        # The duplicate check would swallow a sentence that is said twice within half an hour, as verdicts are.
        message = {"touser": to.user, "msgtype": kind, "agentid": int(self._agent_id), kind: content, "enable_duplicate_check": 0}
        answer = await self._outbound.call(self._api, "POST", SEND, json=message)
        if answer.get("invaliduser") or answer.get("unlicenseduser"):
            raise PlatformError("recipient", "invaliduser", "nobody of that id can be reached")
        self._note("sent", self.name, 1)


def _serial(incoming: Incoming) -> str:
    """The same for all copies of a message, so that two replicas that answer two copies make one card and not two."""
    return sha256(f"{incoming.sender.user}\n{incoming.message_id}".encode()).hexdigest()[:12]
