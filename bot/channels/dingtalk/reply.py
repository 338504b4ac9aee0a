"""Renders a reply as DingTalk messages and sends them: by the message's webhook while it is valid, else by the robot.

A reply becomes plain text, or an ActionCard whose buttons open `dtmd://dingtalkclient/sendMessage`, which makes the client send a text as the
person; a client that does not know this address still shows the whole text, and the letter can be typed. Where a card template is set, buttons
go on an interactive card instead (bot/channels/dingtalk/cards.py). See bot/docs/protocols.md#dingtalk-webhook, #dingtalk-robot.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any
from urllib.parse import quote

from yarl import URL

from bot.channels.config import ChannelContext
from bot.channels.dingtalk import cards
from bot.channels.dingtalk.config import DingTalkConfig
from bot.channels.dingtalk.incoming import NAME, RobotMessage
from bot.channels.outbound.apis import Api
from bot.channels.outbound.errors import PlatformError
from bot.channels.render import truncate_bytes
from bot.domain.message import Address, Option, Reply, plain_text
from bot.logs import get_logger

TEXT_BYTES = 12_000
"""The limit of one text message; the robot's parameters may have 15,000 bytes in all."""
CARD_BYTES = 4_000
TITLE = 20
LABEL = 20
MOST_BUTTONS = 5
_INERT = str.maketrans({char: chr(ord(char) + 0xFEE0) for char in "*_#[]<>`~|\\!"})


def webhook_messages(reply: Reply, staff_id: str, *, group: bool, buttons: bool) -> list[dict[str, Any]]:
    """The messages for a sessionWebhook or an HTTP response, the first with the essential part; buttons only in single chats."""
    if buttons and not group and (offered := _card_options(reply)) and (text := _card_text(reply)):
        card_buttons = [{"title": option.label[:LABEL], "actionURL": _say_address(option)} for option in offered]
        return [{"msgtype": "actionCard", "actionCard": {"title": _title(reply), "text": text, "btnOrientation": "0", "btns": card_buttons}}]
    mention = {"at": {"atUserIds": [staff_id], "isAtAll": False}} if group else {}
    return [{"msgtype": "text", "text": {"content": part}, **mention} for part in split_text(plain_text(reply))]


def robot_messages(reply: Reply, *, buttons: bool) -> list[tuple[str, str]]:
    """The same messages as (msgKey, msgParam) for the robot's API."""
    return [robot_message_of(message) for message in webhook_messages(reply, "", group=False, buttons=buttons)]


def robot_message_of(message: dict[str, Any]) -> tuple[str, str]:
    """A webhook message as (msgKey, msgParam) of the robot's API; msgParam is a JSON string."""
    if message["msgtype"] == "text":
        return "sampleText", _json(content=message["text"]["content"])
    card = message["actionCard"]
    title, text, buttons = card["title"], card["text"], card["btns"]
    if len(buttons) == 1:
        return "sampleActionCard", _json(title=title, text=text, singleTitle=buttons[0]["title"], singleURL=buttons[0]["actionURL"])
    titles = {f"actionTitle{number}": button["title"] for number, button in enumerate(buttons, 1)}
    addresses = {f"actionURL{number}": button["actionURL"] for number, button in enumerate(buttons, 1)}
    return f"sampleActionCard{len(buttons)}", _json(title=title, text=text, **titles, **addresses)


def split_text(text: str, limit: int = TEXT_BYTES) -> list[str]:
    """The text in parts of at most `limit` bytes, split between characters, at a line end where one is near."""
    pieces = []
    while len(text.encode()) > limit:
        head = truncate_bytes(text, limit)
        line = head.rfind("\n")
        if line > len(head) // 2:
            head = head[:line]
        pieces.append(head)
        text = text[len(head) :].lstrip("\n")
    return [*pieces, text] if text else pieces


def escape_markdown(text: str) -> str:
    """Text without Markdown syntax: its characters in their full-width form, each line a paragraph."""
    return "\n\n".join(line for line in text.translate(_INERT).splitlines() if line.strip())


def _card_options(reply: Reply) -> tuple[Option, ...]:
    """The options and commands for buttons, of which one can be tapped: none for several choices, none when there are too many."""
    options = reply.card.options if reply.card is not None and not reply.card.several else ()
    everything = (*options, *reply.buttons)
    return everything if len(everything) <= MOST_BUTTONS else options if 0 < len(options) <= MOST_BUTTONS else ()


def _card_text(reply: Reply) -> str:
    """The whole reply as escaped Markdown, or "" when it is too long for a card."""
    text = escape_markdown(plain_text(reply))
    return text if len(text.encode()) <= CARD_BYTES else ""


def _title(reply: Reply) -> str:
    """The title that the list of chats shows."""
    head = reply.card.head if reply.card is not None and reply.card.head else reply.text.partition("\n")[0]
    return escape_markdown(head.strip().partition("\n")[0])[:TITLE] or "学法"


def _say_address(option: Option) -> str:
    return f"dtmd://dingtalkclient/sendMessage?content={quote(option.say, safe='')}"


def _json(**param: str) -> str:
    return json.dumps(param, ensure_ascii=False)


log = get_logger(__name__)

SEND = "/v1.0/robot/oToMessages/batchSend"
CARD = "/v1.0/card/instances/createAndDeliver"
CARDS = "/v1.0/card/instances"
REGISTER = "/v1.0/card/callbacks/register"
ROUTE_KEY = "xuefa"
REMEMBERED = 20_000


class ReplySender:
    """Sends replies in DingTalk: answers, follow-ups and unprompted messages, each with its card where one is set."""

    def __init__(self, config: DingTalkConfig, context: ChannelContext, api: Api) -> None:
        self._outbound = context.outbound
        self._api = api
        self._robot_code = config.robot
        self._origins = frozenset(str(URL(base).origin()) for base in (config.oapi_base, config.api_base))
        self._template = config.card_template
        self._http_cards = config.mode == "http"
        self._clock = context.clock
        self._note = context.note
        self._quota = context.quota
        self._last_messages: OrderedDict[str, RobotMessage] = OrderedDict()

    def remember(self, message: RobotMessage) -> None:
        """Remember the spelling of a person's id and the webhook of the single chat, which follow-ups to a tap may use."""
        if message.group:
            return
        user = message.incoming.sender.user
        self._last_messages[user] = message
        self._last_messages.move_to_end(user)
        while len(self._last_messages) > REMEMBERED:
            self._last_messages.popitem(last=False)

    def passive(self, message: RobotMessage, reply: Reply) -> list[dict[str, Any]]:
        """The messages that carry the whole reply; where cards are set, a card with the buttons follows."""
        return webhook_messages(reply, message.staff_id, group=message.group, buttons=not self._template)

    async def answer(self, message: RobotMessage, reply: Reply, *, sent: int = 0) -> None:
        """Answer a message; the first `sent` messages of `passive` have gone out already. Raises PlatformError when the text was not sent."""
        for part in self.passive(message, reply)[sent:]:
            await self._by_webhook(message, part)
        if not message.group:
            await self._send_card_beside(message.staff_id, Reply(card=reply.card, buttons=reply.buttons))
        self._note("sent", NAME, 1)

    async def follow_up(self, user: str, staff_id: str, reply: Reply) -> None:
        """Send what follows a tap: by the last webhook of the chat if it is valid, else by the robot."""
        message = self._last_messages.get(user)
        if message is not None and self._webhook_open(message):
            await self.answer(message, reply)
        else:
            await self.send(Address(NAME, "", staff_id), reply)

    async def send(self, to: Address, reply: Reply) -> None:
        """Send a message unprompted, as a card where one can hold all of it, else as text; raises PlatformError."""
        staff_id = self.staff_id_of(to.user)
        if self._template and cards.fits(reply) and (values := cards.new_card(reply)) is not None:
            try:
                await self._quota.take(staff_id)
                await self._create_card(staff_id, reply, values)
            except PlatformError as wrong:
                if wrong.kind in ("unknown", "rate", "quota", "token"):
                    raise
                log.warning("card not sent, text instead", code=wrong.code)
            else:
                self._note("sent", NAME, 1)
                return
        for key, param in robot_messages(reply, buttons=not self._template):
            await self._by_robot(staff_id, key, param)
        if self._template and not cards.fits(reply):
            await self._send_card_beside(staff_id, Reply(card=reply.card, buttons=reply.buttons))
        self._note("sent", NAME, 1)

    async def update_card(self, track: str, staff_id: str, values: dict[str, str]) -> None:
        """Change one person's view of a card when the answer to the tap came too late for it."""
        body = {
            "outTrackId": track,
            "userIdType": 1,
            "privateData": {staff_id: {"cardParamMap": values}},
            "cardUpdateOptions": {"updateCardDataByKey": True, "updatePrivateDataByKey": True},
        }
        await self._quota.take("", messages=0)
        await self._outbound.call(self._api, "PUT", CARDS, json=body)

    async def register_callback(self, callback_url: str, secret: str) -> None:
        """Tell the platform where taps on HTTP cards go."""
        body = {"apiSecret": secret, "callbackUrl": callback_url, "callbackRouteKey": ROUTE_KEY, "forceUpdate": True}
        await self._outbound.call(self._api, "POST", REGISTER, json=body)

    def _webhook_open(self, message: RobotMessage) -> bool:
        return bool(message.webhook) and message.webhook_expires_at > self._clock()

    async def _by_webhook(self, message: RobotMessage, part: dict[str, Any]) -> None:
        """Send one message by the webhook, or by the robot where the webhook cannot be used."""
        if self._webhook_open(message):
            try:
                await self._outbound.post(message.webhook, part, allowed_hosts=self._origins, name=NAME)
                return
            except PlatformError as wrong:
                if wrong.kind == "unknown":
                    raise
        key, param = robot_message_of(part)
        await self._by_robot(message.staff_id, key, param)

    async def _by_robot(self, staff_id: str, key: str, param: str) -> None:
        body = {"robotCode": self._robot_code, "userIds": [staff_id], "msgKey": key, "msgParam": param}
        await self._quota.take(staff_id)
        answer = await self._outbound.call(self._api, "POST", SEND, json=body)
        # Status 200 does not mean that it was sent.
        for field, wrong in (
            ("invalidStaffIdList", PlatformError("recipient", "invalidStaffId")),
            ("filteredStaffIdList", PlatformError("recipient", "filteredStaffId")),
            ("flowControlledStaffIdList", PlatformError("rate", "flowControlledStaffId", retry_after=60)),
        ):
            if _lists(answer.get(field), staff_id):
                raise wrong

    async def _send_card_beside(self, staff_id: str, reply: Reply) -> None:
        """Send the buttons beside a text that is complete without them; a failure is logged and otherwise ignored."""
        values = cards.new_card(reply) if self._template else None
        if values is None or not self._quota.look(staff_id):
            return
        await self._quota.take(staff_id)
        try:
            await self._create_card(staff_id, reply, values)
        except PlatformError as wrong:
            self._note("send_failed", NAME, 1)
            log.warning("card not sent", code=wrong.code)

    def staff_id_of(self, user: str) -> str:
        """A person's id as the platform spells it, if a message of theirs is remembered."""
        known = self._last_messages.get(user)
        return known.staff_id if known is not None else user

    def fits_card(self, reply: Reply) -> bool:
        """True when a card alone can hold the reply, which has something to tap."""
        return bool(self._template) and cards.fits(reply) and cards.new_card(reply) is not None

    async def send_card(self, user: str, reply: Reply) -> str:
        """A card for one person, by whose id it can be changed later; raises PlatformError. Only for what is `fits_card`."""
        values = cards.new_card(reply)
        if values is None:
            raise PlatformError("content", "nothing to tap")
        return await self._create_card(self.staff_id_of(user), reply, values)

    async def _create_card(self, staff_id: str, reply: Reply, values: dict[str, str]) -> str:
        callback = {"callbackType": "HTTP", "callbackRouteKey": ROUTE_KEY} if self._http_cards else {"callbackType": "STREAM"}
        track = cards.new_track(reply.card)
        body = {
            "cardTemplateId": self._template,
            "outTrackId": track,
            **callback,
            "userIdType": 1,
            "cardData": {"cardParamMap": values},
            "privateData": {staff_id: {"cardParamMap": cards.UNANSWERED}},
            "openSpaceId": f"dtv1.card//IM_ROBOT.{staff_id}",
            "imRobotOpenSpaceModel": {"supportForward": False, "lastMessageI18n": {"ZH_CN": values["title"][:20] or "学法"}},
            "imRobotOpenDeliverModel": {"spaceType": "IM_ROBOT", "robotCode": self._robot_code},
        }
        answer = await self._outbound.call(self._api, "POST", CARD, json=body)
        result = answer.get("result")
        delivered = result.get("deliverResults") if isinstance(result, dict) else None
        if answer.get("success") is not True or not isinstance(delivered, list) or not all(_is_delivered(result_part) for result_part in delivered):
            raise PlatformError("content", "card-not-delivered")
        return track


def _lists(listed: Any, staff_id: str) -> bool:
    return isinstance(listed, list) and staff_id.lower() in {str(identifier).lower() for identifier in listed}


def _is_delivered(delivered: Any) -> bool:
    return isinstance(delivered, dict) and delivered.get("success") is True
