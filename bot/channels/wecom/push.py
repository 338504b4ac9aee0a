"""Pushes: one call for all receivers of the same message, with a receipt for each by what the answer says.

See bot/docs/protocols.md#wecom-send, #wecom-cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from bot.channels.batch_push import batch_serial, error_receipt, failed_receipt, parse_ids, push_in_groups, recall_each, sent_receipt
from bot.channels.config import ChannelContext, reveal
from bot.channels.outbound.apis import wecom_api
from bot.channels.outbound.errors import PlatformError
from bot.channels.render import split_text, truncate
from bot.channels.signature import strip_unencodable
from bot.channels.wecom.cards import BUTTON_TEXT, ShownQuestions, TemplateCard, card_of
from bot.channels.wecom.config import WeComConfig
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import QuestionCard, Reply, plain_text
from bot.logs import get_logger

log = get_logger(__name__)

SEND = "/cgi-bin/message/send"
RECALL = "/cgi-bin/message/recall"
UPDATE = "/cgi-bin/message/update_template_card"
NAME = "wecom"
MOST_USERS = 1000
TEXT_BYTES = 2048
TITLE_BYTES, DESCRIPTION_BYTES, BUTTON_CHARS = 128, 512, 4
MESSAGE, CODE = "m:", "r:"
"""Prefixes of the ids in `platform_id`: of a message, to recall it; of a card's response code, to update it once within 72 hours."""

Message = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class WeComSpeech:
    """What is sent actively, in this order; `instead` is sent where the platform refuses the card."""

    texts: tuple[Message, ...] = ()
    card: TemplateCard | None = None
    ask: QuestionCard | None = None
    instead: tuple[Message, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.texts or self.card)


@dataclass(frozen=True, slots=True)
class WeComForms:
    """The forms of a message that are configured: template cards, markdown instead of text, and a page that textcards open."""

    cards: bool = True
    markdown: bool = False
    page: str = ""

    def speech(self, reply: Reply, serial: str) -> WeComSpeech:
        """A reply as active messages: its card alone where that shows everything, else text and card."""
        card = card_of(reply, serial) if self.cards else None
        if card is None:
            return WeComSpeech(self.without_card(reply))
        if not card.whole:
            return WeComSpeech(self.text_messages(reply), card, reply.card)
        if reply.card is None:
            return WeComSpeech((), card, None, self.text_messages(reply))
        # The card shows the question alone; the text before it is sent first.
        return WeComSpeech(self.text_messages(Reply(reply.text)), card, reply.card, self.text_messages(Reply(card=reply.card, buttons=reply.buttons)))

    def without_card(self, reply: Reply) -> tuple[Message, ...]:
        """Without a card: a textcard that opens the page where there is a page and a command, else the text."""
        if self.page and reply.buttons and reply.card is None and not self.cards and (linked := _textcard(reply, self.page)) is not None:
            return (linked,)
        return self.text_messages(reply)

    def text_messages(self, reply: Reply) -> tuple[Message, ...]:
        kind = "markdown" if self.markdown else "text"
        return tuple((kind, {"content": part}) for part in split_text(plain_text(reply), TEXT_BYTES))


class WeComPush:
    """Pushes to the members of the app."""

    def __init__(self, config: WeComConfig, context: ChannelContext, shown: ShownQuestions) -> None:
        self._outbound = context.outbound
        self._agent_id = int(config.agent_id)
        self._api = wecom_api(base=config.api_base, corp_id=config.corp_id, agent_id=str(self._agent_id), secret=reveal(config.secret))
        self.forms = WeComForms(config.cards, config.markdown, config.page)
        self._shown = shown
        self._note = context.note
        self._quota = context.quota

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        """One receipt a parcel. Whoever got the first message is "sent", even if a later one failed: nothing may be sent twice."""
        return await push_in_groups(batch, lambda parcel: replace(parcel.reply, done=""), MOST_USERS, self._send_group)

    async def _send_group(self, people: list[OutboundMessage]) -> list[SendReceipt]:
        users = [parcel.to.user for parcel in people]
        speech = self.forms.speech(people[0].reply, batch_serial(parcel.mark for parcel in people))
        messages: list[Message] = [*speech.texts, *([("template_card", speech.card.body)] if speech.card is not None else [])]
        if not messages:
            return [failed_receipt("content empty") for _ in users]
        ids: list[str] = []
        refused: dict[str, str] = {}
        partial_error = ""
        instead = list(speech.instead)
        while messages:
            kind, content = messages.pop(0)
            remaining = [user for user in users if user.lower() not in refused]
            try:
                answer = await self.send(remaining, kind, content)
            except PlatformError as wrong:
                if kind == "template_card" and instead and wrong.kind in ("content", "permission"):
                    log.warning("card refused, words instead", channel=NAME, code=wrong.code)
                    messages, instead = instead, []
                    continue
                if not ids:
                    receipt = error_receipt(wrong)
                    return [failed_receipt(refused[user.lower()]) if user.lower() in refused else receipt for user in users]
                partial_error = f"partly: {wrong}"
                break
            ids += message_ids(answer)
            refused |= dict.fromkeys(parse_ids(answer.get("unlicenseduser")), "recipient unlicenseduser")
            refused |= dict.fromkeys(parse_ids(answer.get("invaliduser")), "recipient invaliduser")
            if all(user.lower() in refused for user in users):
                break
        if speech.card is not None:
            self._shown.keep(speech.card, speech.ask)
        done = SendReceipt("sent", error=partial_error, platform_id=" ".join(ids)) if partial_error else sent_receipt(" ".join(ids))
        receipts = [failed_receipt(refused[user.lower()]) if user.lower() in refused else done for user in users]
        self._note("sent", NAME, sum(each.outcome == "sent" for each in receipts))
        return receipts

    async def send(self, users: Sequence[str], kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """Send one message; the platform's answer names who could not be reached. Raises `PlatformError`."""
        # The duplicate check would drop a text that is repeated within half an hour, as verdicts are.
        message = {"touser": "|".join(users), "msgtype": kind, "agentid": self._agent_id, kind: content, "enable_duplicate_check": 0}
        return await self._outbound.call(self._api, "POST", SEND, json=message)

    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        """Recall, within 24 hours, every message of these pushes, for everybody who got it."""
        return await recall_each(platform_ids, self._take_back)

    async def _take_back(self, platform_id: str) -> None:
        for prefixed in platform_id.split():
            if prefixed.startswith(MESSAGE):
                await self._quota.take("", messages=0)
                await self._outbound.call(self._api, "POST", RECALL, json={"msgid": prefixed.removeprefix(MESSAGE)})

    async def close_card(self, platform_id: str, users: Sequence[str], done: str) -> None:
        """Replace a card's buttons by a word such as 已截止, once, within 72 hours; raises `PlatformError`."""
        for prefixed in platform_id.split():
            if prefixed.startswith(CODE):
                body = {
                    "userids": list(users),
                    "agentid": self._agent_id,
                    "response_code": prefixed.removeprefix(CODE),
                    "button": {"replace_name": truncate(done, BUTTON_TEXT)},
                }
                await self._quota.take("", messages=0)
                await self._outbound.call(self._api, "POST", UPDATE, json=body)


def message_ids(answer: dict[str, Any]) -> list[str]:
    """The prefixed ids in an answer: of the message, and the code that updates its card."""
    named = ((MESSAGE, answer.get("msgid")), (CODE, answer.get("response_code")))
    return [mark + value for mark, value in named if isinstance(value, str) and value and not any(char.isspace() for char in value)]


def _textcard(reply: Reply, page: str) -> Message | None:
    title, _, rest = strip_unencodable(reply.text).strip().partition("\n")
    button = reply.buttons[0]
    url = f"{page}{'&' if '?' in page else '?'}say={quote(button.say, safe='')}"
    if not title or len(title.encode()) > TITLE_BYTES or len(rest.encode()) > DESCRIPTION_BYTES or len(url.encode()) > 2048:
        return None
    description = rest.strip() or button.label
    return "textcard", {"title": title, "description": description, "url": url, "btntxt": truncate(button.label, BUTTON_CHARS)}
