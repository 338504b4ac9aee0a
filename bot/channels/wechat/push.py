"""Pushes to followers, one by one: customer-service messages while the window is open, else template or subscription messages."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from bot.channels.batch_push import batch_serial, error_receipt, failed_receipt, push_in_groups
from bot.channels.config import ChannelContext
from bot.channels.outbound.apis import Api
from bot.channels.outbound.errors import PlatformError
from bot.channels.render import truncate
from bot.channels.signature import strip_unencodable
from bot.channels.wechat.config import WeChatConfig
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import Reply
from bot.logs import get_logger

log = get_logger(__name__)

NAME = "wechat"
ZONE: Final = ZoneInfo("Asia/Shanghai")
CUSTOM = "/cgi-bin/message/custom/send"
TEMPLATE = "/cgi-bin/message/template/send"
SUBSCRIBED = "/cgi-bin/message/subscribe/bizsend"
JOB = "t:"
KEYWORD_CHARS = {"thing": 20, "short_thing": 5, "phrase": 5, "name": 10, "character_string": 32, "number": 32, "letter": 32, "symbol": 5}
"""Characters that a keyword of each kind may have; 47003 names the one that has more."""
_FIELD = re.compile(r"[A-Za-z_]{1,30}\d{0,3}")
_SOURCES = ("title", "text", "time", "date")

WindowCheck = Callable[[str, int], Awaitable[bool]]
"""(user, count): True when the person wrote less than 48 hours ago and so many more messages are allowed since."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """The platform's later report on a template message or a mass send; only the latter has counts."""

    kind: Literal["template", "mass"]
    id: str
    ok: bool
    status: str
    total: int = 0
    filtered: int = 0
    sent: int = 0
    errors: int = 0


OnJobResult = Callable[[JobResult], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class TemplateNotice:
    """A template of the account: its id, the source of each keyword, and the page that a tap opens.

    Fields are written "thing1:title,thing2:text,time3:time,phrase4:=学法"; a text after "=" is used as it is.
    """

    template: str
    fields: tuple[tuple[str, str], ...]
    page: str = ""

    @classmethod
    def parse(cls, template: str, fields: str, page: str) -> TemplateNotice | None:
        """None where no template is set; raises ValueError for fields that cannot be read."""
        if not template:
            return None
        pairs = []
        for part in fields.split(","):
            field, colon, source = part.strip().partition(":")
            if not colon or not _FIELD.fullmatch(field) or not (source in _SOURCES or (source.startswith("=") and source[1:])):
                raise ValueError(f"template fields: {part.strip()[:40]}")
            pairs.append((field, source))
        return cls(template, tuple(pairs), page)

    def data(self, reply: Reply, now: datetime) -> dict[str, dict[str, str]]:
        title, text = _title_and_text(reply)
        local = now.astimezone(ZONE)
        values = {"title": title, "text": text or title, "time": f"{local:%Y-%m-%d %H:%M}", "date": f"{local:%Y-%m-%d}"}
        return {field: {"value": _fit_keyword(field, source[1:] if source.startswith("=") else values[source])} for field, source in self.fields}

    def address(self, reply: Reply) -> str:
        if not self.page or not reply.buttons:
            return self.page
        return f"{self.page}{'&' if '?' in self.page else '?'}say={quote(reply.buttons[0].say, safe='')}"


class WeChatPush:
    """Pushes to the followers of the account."""

    def __init__(
        self,
        config: WeChatConfig,
        context: ChannelContext,
        api: Api,
        render: Callable[[Reply], list[tuple[str, dict[str, Any]]]],
        window_open: WindowCheck | None,
    ) -> None:
        """`render` turns a reply into customer-service messages; without `window_open` the platform itself is asked whether the window is open."""
        self._outbound = context.outbound
        self._api = api
        self._verified = config.verified
        self._render = render
        self._window_open = window_open
        self._template = TemplateNotice.parse(config.template, config.template_fields, config.template_url)
        self._subscription = TemplateNotice.parse(config.subscription, config.subscription_fields, config.subscription_page)
        self._clock = context.clock
        self._note = context.note

    @property
    def beyond_window(self) -> bool:
        """True where people who have not written for 48 hours can be reached."""
        return self._verified and (self._template is not None or self._subscription is not None)

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        """One receipt a parcel. Each parcel is a call of its own; several calls run at a time."""
        receipts = await push_in_groups(batch, lambda parcel: (parcel.mark, parcel.to.user), 1, self._send_group)
        self._note("sent", NAME, sum(receipt.outcome == "sent" for receipt in receipts))
        return receipts

    async def _send_group(self, people: list[OutboundMessage]) -> list[SendReceipt]:
        return [await self._push_one(parcel) for parcel in people]

    async def _push_one(self, parcel: OutboundMessage) -> SendReceipt:
        messages = self._render(parcel.reply)
        if not messages:
            return failed_receipt("content empty")
        if not self._verified:
            return failed_receipt("permission 公众号未认证，只能回复，不能主动推送")
        if self._window_open is None or await self._window_open(parcel.to.user, len(messages)):
            receipt = await self._by_customer_service(parcel, messages)
            if receipt is not None:
                return receipt
        return await self._by_template(parcel)

    async def _by_customer_service(self, parcel: OutboundMessage, messages: list[tuple[str, dict[str, Any]]]) -> SendReceipt | None:
        """None where the window turned out to be closed before anything was sent."""
        for sent_before, (kind, content) in enumerate(messages):
            try:
                await self._outbound.call(self._api, "POST", CUSTOM, json={"touser": parcel.to.user, "msgtype": kind, kind: content})
            except PlatformError as wrong:
                if sent_before:
                    return SendReceipt("sent", f"partly: {wrong}")
                return None if wrong.kind == "window" else error_receipt(wrong)
        return SendReceipt("sent")

    async def _by_template(self, parcel: OutboundMessage) -> SendReceipt:
        notice = self._template or self._subscription
        if notice is None:
            return failed_receipt("window 对方超过 48 小时没有说话，又没有设置模板或订阅通知")
        data = notice.data(parcel.reply, self._clock())
        body: dict[str, Any] = {"touser": parcel.to.user, "template_id": notice.template, "data": data}
        if notice is self._template:
            # By this id the platform recognises the same parcel within ten minutes.
            body |= {"url": notice.address(parcel.reply), "client_msg_id": batch_serial((parcel.mark, parcel.to.user))}
        elif notice.page:
            body["page"] = notice.address(parcel.reply)
        try:
            answer = await self._outbound.call(self._api, "POST", TEMPLATE if notice is self._template else SUBSCRIBED, json=body)
        except PlatformError as wrong:
            return error_receipt(wrong)
        message_id = answer.get("msgid")
        return SendReceipt("sent", platform_id=f"{JOB}{message_id}" if isinstance(message_id, int | str) and message_id != "" else "")


def parse_job_result(event: str, parts: dict[str, str]) -> JobResult | None:
    """The result in TEMPLATESENDJOBFINISH or MASSSENDJOBFINISH; None for another event or one without an id."""
    names = {"templatesendjobfinish": ("template", "success"), "masssendjobfinish": ("mass", "send success")}
    identity, status = parts.get("MsgID") or parts.get("MsgId") or "", parts.get("Status", "")[:80]
    if event not in names or not re.fullmatch(r"[0-9]{1,20}", identity):
        return None
    kind, success = names[event]
    total, filtered, sent, errors = (_count(parts.get(name, "")) for name in ("TotalCount", "FilterCount", "SentCount", "ErrorCount"))
    job_kind: Literal["template", "mass"] = "template" if kind == "template" else "mass"
    return JobResult(
        job_kind,
        identity,
        status == success or status.replace(" ", "") == success.replace(" ", ""),
        strip_unencodable(status),
        total,
        filtered,
        sent,
        errors,
    )


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0


def _title_and_text(reply: Reply) -> tuple[str, str]:
    """The first line of the reply, and its second line or the question."""
    lines = [line.strip() for line in strip_unencodable(reply.text).splitlines() if line.strip()]
    if reply.card is not None:
        lines += [line for line in (reply.card.head, reply.card.stem) if line]
    return (lines[0] if lines else "学法", lines[1] if len(lines) > 1 else "")


def _fit_keyword(field: str, value: str) -> str:
    """The value on one line, truncated to the limit of its kind of keyword."""
    limit = KEYWORD_CHARS.get(field.rstrip("0123456789"), 200)
    return truncate(" ".join(value.split()), limit)
