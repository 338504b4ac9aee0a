"""Checks and parses what DingTalk sends: signatures of callbacks, robot messages, card taps (bot/docs/protocols.md#dingtalk-callbacks).

Messages and taps are checked field by field (bot/docs/protocols.md#dingtalk-messages, #dingtalk-cards).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.channels.callback import require_value
from bot.channels.signature import BadEnvelope
from bot.domain.message import Address, Incoming, IncomingKind

NAME = "dingtalk"
LONGEST_ID = 128
LONGEST_TEXT = 4000
SINGLE_CHAT = "1"
WEBHOOK_LIFE = timedelta(minutes=90)
"""How long a webhook is valid where the message does not say."""


class MalformedMessage(Exception):
    """Not what the platform sends; the exception names the field and never its value."""


class UnknownSender(Exception):
    """A message without an identity: somebody outside the corporation, or an app that is not published yet."""


@dataclass(frozen=True, slots=True)
class RobotMessage:
    """A robot message: what the dispatcher is handed, and where the answer may go.

    `staff_id` is the id as the platform spells it; `webhook` is unchecked; `group` says that others read the answer.
    """

    incoming: Incoming
    staff_id: str
    webhook: str
    webhook_expires_at: datetime
    group: bool


@dataclass(frozen=True, slots=True)
class CardTap:
    """A tap on a card. The person is the envelope's `userId`; `choice` and `chosen` are what the card's parameters claim."""

    staff_id: str
    track: str
    choice: str
    chosen: str | None


def parse_object(raw: str | bytes) -> dict[str, Any]:
    """A JSON object; raises `MalformedMessage`."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as wrong:
        raise MalformedMessage("json") from wrong
    if not isinstance(value, dict):
        raise MalformedMessage("object")
    return value


def robot_message(data: dict[str, Any], *, app: str, arrived: datetime) -> RobotMessage:
    """The parsed message; raises `MalformedMessage` or `UnknownSender`."""
    message_id = _require_identifier(data, "msgId")
    staff_id = data.get("senderStaffId")
    if staff_id is None or staff_id == "":
        raise UnknownSender
    staff_id = _require_identifier(data, "senderStaffId")
    kind, text = _content(data)
    webhook = data.get("sessionWebhook", "")
    group = data.get("conversationType", SINGLE_CHAT) != SINGLE_CHAT
    return RobotMessage(
        incoming=Incoming(Address(NAME, app, staff_id.lower()), text, message_id, arrived, kind, in_group=group),
        staff_id=staff_id,
        webhook=webhook if isinstance(webhook, str) else "",
        webhook_expires_at=_moment(data["sessionWebhookExpiredTime"]) if "sessionWebhookExpiredTime" in data else arrived + WEBHOOK_LIFE,
        group=group,
    )


def card_tap(data: dict[str, Any]) -> CardTap | None:
    """The tap, or None for a callback of another kind; raises `MalformedMessage` or `UnknownSender`."""
    if data.get("type", "actionCallback") != "actionCallback":
        return None
    if data.get("userId") == "" or data.get("userIdType", 1) not in (1, "1"):
        raise UnknownSender
    staff_id = _require_identifier(data, "userId")
    content = data.get("content", data.get("value"))
    if isinstance(content, str):
        content = parse_object(content)
    private = content.get("cardPrivateData") if isinstance(content, dict) else None
    if not isinstance(private, dict):
        raise MalformedMessage("cardPrivateData")
    params = private.get("params")
    if not isinstance(params, dict):
        params = {}
    choice = params.get("choice")
    if choice is None:
        actions = private.get("actionIds")
        choice = actions[0] if isinstance(actions, list) and actions else None
    if not isinstance(choice, str) or not choice:
        raise MalformedMessage("choice")
    chosen = params.get("chosen")
    return CardTap(
        staff_id, _require_identifier(data, "outTrackId", 512), clean_text(choice)[:256], clean_text(chosen) if isinstance(chosen, str) else None
    )


def clean_text(text: str) -> str:
    """Text that every database can store: no NUL, no lone surrogates, stripped, at most 4,000 characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()[:LONGEST_TEXT]


def _content(data: dict[str, Any]) -> tuple[IncomingKind, str]:
    kind = data.get("msgtype")
    if not isinstance(kind, str):
        raise MalformedMessage("msgtype")
    match kind:
        case "text":
            return "text", clean_text(_require_text(_require_object(data, "text"), "content"))
        case "audio":
            recognised = _content_of(data).get("recognition")
            return ("voice", clean_text(recognised)) if isinstance(recognised, str) and recognised.strip() else ("other", "")
        case "richText":
            parts = _content_of(data).get("richText")
            if not isinstance(parts, list):
                raise MalformedMessage("richText")
            text = " ".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
            return ("text", clean_text(text)) if text.strip() else ("other", "")
        case _:
            return "other", ""


def _content_of(data: dict[str, Any]) -> dict[str, Any]:
    """`content` is an object, and in some versions a JSON string of one."""
    content = data.get("content")
    return parse_object(content) if isinstance(content, str) else _require_object(data, "content")


def _require_object(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise MalformedMessage(key)
    return value


def _require_text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise MalformedMessage(key)
    return value


def _require_identifier(data: dict[str, Any], key: str, longest: int = LONGEST_ID) -> str:
    value = _require_text(data, key)
    if not 0 < len(value) <= longest or not value.isprintable() or value != value.strip():
        raise MalformedMessage(key)
    return value


def _moment(milliseconds: Any) -> datetime:
    """A time in ms since 1970; anything else counts as long past."""
    if isinstance(milliseconds, str) and milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) <= 14:
        milliseconds = int(milliseconds)
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int) or not 0 < milliseconds < 10**14:
        return datetime.fromtimestamp(0, UTC)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def robot_sign(timestamp: str, secret: str) -> str:
    """The signature of a robot message: base64(HMAC-SHA256(secret, timestamp + newline + secret))."""
    return _sign(secret, f"{timestamp}\n{secret}")


def card_sign(timestamp: str, secret: str) -> str:
    """The signature of a tap on a card: base64(HMAC-SHA256(secret, timestamp))."""
    return _sign(secret, timestamp)


@dataclass(frozen=True, slots=True)
class SignedHead:
    """What the headers of a callback are signed with: the timestamp and the signature. `former` is true for the old secret's."""

    timestamp: str
    signature: str
    former: bool


def check_robot(headers: Mapping[str, str], secrets: tuple[str, ...], now: datetime, freshness: float) -> SignedHead:
    """The signed head; raises `BadEnvelope`. Of `secrets` the first is ours, a second the one before it."""
    timestamp = _fresh_timestamp(headers, "timestamp", now, freshness)
    return _signed_head(timestamp, require_value(headers, "sign", "header"), [robot_sign(timestamp, secret) for secret in secrets])


def check_card(headers: Mapping[str, str], secrets: tuple[str, ...], now: datetime, freshness: float) -> SignedHead:
    """The same of a tap on a card."""
    timestamp = _fresh_timestamp(headers, "x-ddpaas-signature-timestamp", now, freshness)
    return _signed_head(timestamp, require_value(headers, "x-ddpaas-signature", "header"), [card_sign(timestamp, secret) for secret in secrets])


def _sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _signed_head(timestamp: str, given: str, right: Sequence[str]) -> SignedHead:
    for number, signature in enumerate(right):
        if hmac.compare_digest(given.encode("utf-8", "replace"), signature.encode()):
            return SignedHead(timestamp, signature, former=number > 0)
    raise BadEnvelope("signature")


class FirstBodies:
    """The digest of the body that each signed head came with first: DingTalk signs no body, so that a head that was seen would sign any other.

    A copy of the same body passes, which the inbox then answers; heads are forgotten when they are too old to be accepted.
    """

    def __init__(self, freshness: float) -> None:
        self._freshness = timedelta(seconds=2 * freshness)
        self._bodies: OrderedDict[str, tuple[bytes, datetime]] = OrderedDict()

    def check(self, head: SignedHead, body: bytes, now: datetime) -> None:
        """Raises `BadEnvelope` for another body under a head that was used."""
        while self._bodies and next(iter(self._bodies.values()))[1] < now - self._freshness:
            self._bodies.popitem(last=False)
        digest = hashlib.sha256(body).digest()
        if not hmac.compare_digest(self._bodies.setdefault(head.signature, (digest, now))[0], digest):
            raise BadEnvelope("reused")


def check_addressee(data: Mapping[str, Any], robot: str, corp: str) -> None:
    """Raises `BadEnvelope` for a body that names another robot, or another corporation than ours where that is set."""
    if data.get("robotCode", robot) != robot:
        raise BadEnvelope("robot")
    if corp and any(data.get(name, corp) != corp for name in ("chatbotCorpId", "corpId")):
        raise BadEnvelope("corp")


def _fresh_timestamp(headers: Mapping[str, str], name: str, now: datetime, freshness: float) -> str:
    """The header's time in ms, no further from now than `freshness` seconds."""
    timestamp = require_value(headers, name, "header")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 13):
        raise BadEnvelope("timestamp")
    # Ten digits are seconds, up to the year 2286; more are milliseconds.
    age = now.timestamp() - (int(timestamp) / 1000 if len(timestamp) > 10 else int(timestamp))
    if abs(age) > timedelta(seconds=freshness).total_seconds():
        raise BadEnvelope("stale")
    return timestamp
