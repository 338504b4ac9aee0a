"""专有钉钉 (浙政钉): its signed gateway, sign-in and work notices."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from aiohttp import web

from bot.channels import callback
from bot.channels.base import Clock, Token
from bot.channels.batch_push import batch_serial, error_receipt, failed_receipt, push_in_groups, recall_each, sent_receipt
from bot.channels.callback import Callback, CallbackResponse, CallbackRoute, ReplyDeadline, json_response
from bot.channels.config import ChannelContext, reveal
from bot.channels.dingtalk import reply as dingtalk_reply
from bot.channels.dingtalk.incoming import (
    FirstBodies,
    MalformedMessage,
    RobotMessage,
    SignedHead,
    UnknownSender,
    check_robot,
    parse_object,
    robot_message,
)
from bot.channels.dingtalk.reply import escape_markdown
from bot.channels.outbound.apis import Api, Params, Place, Sign, TokenRequest, token_in
from bot.channels.outbound.errors import MINUTE_SECONDS, UNREADABLE, Kind, PlatformError, by_status
from bot.channels.render import truncate_bytes
from bot.channels.signature import BadEnvelope
from bot.channels.zwding.config import NotificationForm, ZwDingConfig
from bot.domain.message import Address, Incoming, IncomingHandler, OutboundMessage, Reply, SendReceipt, plain_text

NAME = "zwding"
ZONE: Final = ZoneInfo("Asia/Shanghai")
VERSION = "1.0"
_WORDS: tuple[tuple[str, Kind], ...] = (
    ("throttl", "rate"),
    ("frequen", "rate"),
    ("flow", "rate"),
    ("limit", "rate"),
    ("receiver", "recipient"),
    ("token", "token"),
    ("sign", "config"),
    ("apikey", "config"),
    ("timestamp", "config"),
    ("tenant", "config"),
    ("forbidden", "permission"),
    ("permission", "permission"),
    ("auth", "permission"),
    ("busy", "transient"),
)
"""The platform's error codes are not documented; these words in a code or message hint at its kind."""


def signed_text(method: str, timestamp: str, nonce: str, path: str, params: Params) -> str:
    """The text to sign: four lines, and a fifth with the unencoded parameters, sorted by name and value, if there are any."""
    lines = [method, timestamp, nonce, path]
    if params:
        lines.append("&".join(f"{name}={value}" for name, value in sorted(params)))
    return "\n".join(lines)


def signature(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode("utf-8", "replace"), hashlib.sha256).digest()).decode()


def stamp_of(now: datetime) -> str:
    """The time in Shanghai with milliseconds and offset: 2026-11-23T09:00:00.000+08:00."""
    return now.astimezone(ZONE).isoformat(timespec="milliseconds")


def signer(config: ZwDingConfig, clock: Clock, four_digits: Callable[[], int]) -> Sign:
    """A function that signs requests; `four_digits` gives 0 to 9999 for the nonce."""
    unsigned_prefix = "" if config.sign_prefix else config.prefix

    def sign(method: str, path: str, params: Params) -> dict[str, str]:
        now = clock()
        timestamp = stamp_of(now)
        nonce = f"{int(now.timestamp() * 1000):013d}{four_digits():04d}"
        text = signed_text(method, timestamp, nonce, path.removeprefix(unsigned_prefix), params)
        named = {
            "Timestamp": timestamp,
            "Version": VERSION,
            "Nonce": nonce,
            "Signature": signature(reveal(config.app_secret), text),
            "IP": config.caller_ip,
            "MAC": config.caller_mac,
        }
        return {config.key_header: config.app_key, **{config.header_prefix + name: value for name, value in named.items()}}

    return sign


def build_apis(config: ZwDingConfig, clock: Clock, four_digits: Callable[[], int]) -> tuple[Api, Api]:
    """The API with the signature alone, and the API with a token as well. Raises ValueError for a bad CA file."""
    sign = signer(config, clock, four_digits)
    trust = _load_ca(config.ca_file)

    async def fetch(raw: TokenRequest) -> Token:
        status, answer = await raw("POST", config.token_path, params={"appkey": config.app_key, "appsecret": reveal(config.app_secret)})
        failed = judge(status, answer)
        return token_in(raw, lambda *_: failed, status, _object_or_empty(data_of(answer)), value="accessToken", life="expiresIn")

    def api(place: Place) -> Api:
        base = config.gateway.rstrip("/") + config.prefix.rstrip("/")
        return Api(NAME, base, f"zwding:{config.app_key}", fetch, place, judge, sign, trust)

    return api("none"), api("param:access_token")


def judge(status: int, answer: dict[str, Any]) -> PlatformError | None:
    """The error of an answer; None only where the gateway's flag and the one inside its content are both true."""
    if UNREADABLE in answer:
        return by_status(status)
    if "Code" in answer:
        return _refusal(status, str(answer["Code"]), str(answer.get("Message") or ""))
    if answer.get("success") is not True:
        return _refusal(status, str(answer.get("bizErrorCode") or answer.get("errorCode") or ""), str(answer.get("errorMsg") or ""))
    content = answer.get("content")
    if not isinstance(content, dict):
        return PlatformError("unknown", "no-content", "the answer does not say what became of the call")
    if content.get("success") is not True:
        return _refusal(status, str(content.get("responseCode") or ""), str(content.get("responseMessage") or ""))
    return by_status(status)


def data_of(answer: dict[str, Any]) -> Any:
    """`content.data`, or None."""
    return _object_or_empty(answer.get("content")).get("data")


def _refusal(status: int, code: str, message: str) -> PlatformError:
    words = f"{code} {message}".lower()
    kind = next((kind for word, kind in _WORDS if word in words), None)
    if kind is None:
        failed = by_status(status)
        kind = failed.kind if failed is not None else "content"
    return PlatformError(kind, code or f"http-{status}", message, retry_after=MINUTE_SECONDS if kind == "rate" else None)


def _object_or_empty(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _load_ca(ca_file: str) -> ssl.SSLContext | None:
    if not ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as wrong:
        raise ValueError(f"ca_file: {type(wrong).__name__}") from wrong


PATH = "/channels/zwding"
TEXT_BYTES = 2000
"""The limit of one message; the platform documents none, and 钉钉's work notifications have 2,048 bytes."""
TITLE = 20
OPEN = "打开"


def notification_json(reply: Reply, form: NotificationForm, page: str) -> str:
    """The `msg` parameter, a JSON string; plain text where there is no page to open."""
    text = plain_text(reply)
    if not page or form == "text":
        return _json({"msgtype": "text", "text": {"content": shorten(text)}})
    title, url = title_of(reply), page_address(reply, page)
    if form == "link":
        link = {"title": title, "text": shorten(text), "messageUrl": url, "picUrl": ""}
        return _json({"msgtype": "link", "link": link})
    label = reply.buttons[0].label if reply.buttons else OPEN
    card = {"title": title, "markdown": shorten(escape_markdown(text)), "single_title": label[:TITLE], "single_url": url}
    return _json({"msgtype": "action_card", "action_card": card})


def page_address(reply: Reply, page: str) -> str:
    """The address of our page, with the first command of the reply in `say`; the page authenticates the member before it acts."""
    if not reply.buttons:
        return page
    return f"{page}{'&' if '?' in page else '?'}say={quote(reply.buttons[0].say, safe='')}"


def title_of(reply: Reply) -> str:
    head = reply.card.head if reply.card is not None and reply.card.head else reply.text.strip().partition("\n")[0]
    return escape_markdown(head).strip()[:TITLE] or "学法"


def shorten(text: str) -> str:
    """The text, truncated to the limit of one message."""
    return text if len(text.encode()) <= TEXT_BYTES else truncate_bytes(text, TEXT_BYTES - 3) + "…"


def _json(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class SignedInMember:
    """A member who signed in on our page: the id that messages are sent to, and the employee code."""

    account_id: str
    employee_code: str


class ZwDingChannel:
    """One app of one tenant.

    Its callback accepts the robot's JSON as 钉钉 sends it, and only with this signature: header `timestamp` in ms, at most `freshness` seconds
    from now, and header `sign` = base64(HMAC-SHA256(callback secret, timestamp + newline + callback secret)), 钉钉's rule. That tenants send
    either is known from third parties only; without a callback secret every callback is refused.
    """

    name = NAME

    def __init__(
        self,
        config: ZwDingConfig,
        context: ChannelContext,
        *,
        page: str = "",
        four_digits: Callable[[], int] = lambda: secrets.randbelow(10_000),
    ) -> None:
        """`page` is what notifications open where the settings name nothing. Raises ValueError for a bad CA file."""
        self._config = config
        self._limits = context.limits
        self._plain, self._with_token = build_apis(config, context.clock, four_digits)
        self._outbound = context.outbound
        self._clock = context.clock
        self._quota = context.quota
        self._note = context.note
        self._page = config.page or page
        self._secret = reveal(config.callback_secret)
        self._bodies = FirstBodies(context.limits.freshness_seconds)
        self._deadline = ReplyDeadline(self.name, context.limits.reply_seconds, context.note)

    def attach(self, app: web.Application, handle: IncomingHandler) -> None:
        route = CallbackRoute(self.name, PATH, partial(self.receive, handle), self._check_head, self._note, self._limits.callback_bytes)
        callback.add_route(app, route)
        app.cleanup_ctx.append(self._deadline.drain)

    def receive(self, handle: IncomingHandler, push: Callback) -> None:
        head = self._check_head(push.query, push.headers)
        self._bodies.check(head, push.body, self._clock())
        try:
            message = self._read_message(push.body)
        except MalformedMessage as wrong:
            raise BadEnvelope(str(wrong)) from None
        except UnknownSender:
            self._note("refused", self.name, 1)
            push.respond(json_response({}))
            return
        self._deadline.answer(push, handle, message.incoming, partial(self._respond, message), partial(self._answer_late, message.incoming))

    def _respond(self, message: RobotMessage, reply: Reply | None) -> CallbackResponse:
        messages = dingtalk_reply.webhook_messages(reply, message.staff_id, group=message.group, buttons=False) if reply else []
        if messages[1:] and reply and self._deadline.is_first_copy(message.incoming):
            self._deadline.run_in_background(self.send(message.incoming.sender, reply))
        return json_response(messages[0] if messages else {})

    async def send(self, to: Address, reply: Reply) -> None:
        """Send a message unprompted; raises `PlatformError`."""
        if reply:
            await self._quota.take(to.user)
            await self._notify([to.user], self._message(reply), secrets.token_hex(12))
            self._note("sent", self.name, 1)

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        """One notification for all receivers of the same message; its id is made here, so that it can be changed or recalled later."""
        return await push_in_groups(
            batch, lambda parcel: notification_json(parcel.reply, self._config.form, self._page), self._config.receivers, self._send_group
        )

    async def _send_group(self, people: list[OutboundMessage]) -> list[SendReceipt]:
        serial = batch_serial(parcel.mark for parcel in people)
        if not people[0].reply:
            return [failed_receipt("content empty") for _ in people]
        try:
            await self._notify([parcel.to.user for parcel in people], self._message(people[0].reply), serial)
        except PlatformError as wrong:
            return [error_receipt(wrong) for _ in people]
        self._note("sent", self.name, len(people))
        return [sent_receipt(serial) for _ in people]

    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        """Recall notifications for everybody who got them, where the tenant allows it."""
        return await recall_each(platform_ids, self._revoke)

    async def _revoke(self, platform_id: str) -> None:
        await self._quota.take("", messages=0)
        await self._call(
            self._plain,
            self._config.revoke_path,
            msgType="workNotification",
            msgApp=self._config.app_key,
            tenantId=self._config.tenant_id,
            bizMsgId=platform_id,
        )

    async def update_notification(self, platform_id: str, users: Sequence[str], reply: Reply) -> None:
        """Replace the text of a notification, for instance by 已完成; raises `PlatformError`."""
        await self._quota.take("", messages=0)
        await self._call(
            self._plain,
            self._config.change_path,
            msgType="workNotification",
            accountIds=",".join(users),
            jsonContent=self._message(reply),
            tenantId=self._config.tenant_id,
            bizMsgId=platform_id,
        )

    async def read_member(self, code: str) -> SignedInMember:
        """The member of a one-time sign-in code (免登); raises `PlatformError`."""
        data = data_of(await self._call(self._with_token, self._config.login_path, auth_code=code))
        account, employee = (data.get("accountId"), data.get("employeeCode")) if isinstance(data, dict) else (None, None)
        if isinstance(account, bool) or not isinstance(account, str | int) or not str(account):
            raise PlatformError("content", "no-account", "the answer names no account")
        return SignedInMember(str(account), str(employee or ""))

    def _message(self, reply: Reply) -> str:
        return notification_json(reply, self._config.form, self._page)

    async def _notify(self, users: Sequence[str], message: str, serial: str) -> None:
        config = self._config
        await self._call(self._plain, config.notify_path, tenantId=config.tenant_id, receiverIds=",".join(users), bizMsgId=serial, msg=message)

    async def _call(self, api: Api, path: str, **params: str) -> dict[str, Any]:
        return await self._outbound.call(api, "POST", path, params=params)

    async def _answer_late(self, incoming: Incoming, reply: Reply) -> None:
        await self.send(incoming.sender, reply)

    def _check_head(self, query: Mapping[str, str], headers: Mapping[str, str]) -> SignedHead:
        if not self._secret:
            raise BadEnvelope("closed")
        return check_robot(headers, (self._secret,), self._clock(), self._limits.freshness_seconds)

    def _read_message(self, body: bytes) -> RobotMessage:
        data, app = parse_object(body), self._config.app_key
        message = robot_message({**data, "senderStaffId": data.get(self._config.sender_field)}, app=app, arrived=self._clock())
        return replace(message, incoming=replace(message.incoming, sender=Address(self.name, app, message.staff_id)))
