"""The 专有钉钉 channel: work notifications through the signed gateway, robot messages by a signed callback."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from aiohttp import web

from bot.channels import callback
from bot.channels.base import FREE, Clock, Note, Spending
from bot.channels.batch_push import batch_serial, error_receipt, failed_receipt, push_in_groups, recall_each, sent_receipt
from bot.channels.callback import HEADERS, ReplyDeadline
from bot.channels.dingtalk import reply as dingtalk_reply
from bot.channels.dingtalk.incoming import MalformedMessage, RobotMessage, UnknownSender, parse_object, robot_message
from bot.channels.dingtalk.signature import check_robot
from bot.channels.outbound.apis import Api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.channels.outbound.http import encode
from bot.channels.signature import BadEnvelope
from bot.channels.zwding.gateway import NAME, Gateway, build_apis, data_of
from bot.channels.zwding.notification import Form, notification_json
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import Address, Incoming, IncomingHandler, Reply

PATH = "/channels/zwding"


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
        *,
        gateway: Gateway,
        outbound: Outbound,
        clock: Clock,
        note: Note,
        spending: Spending = FREE,
        page: str = "",
        form: Form = "action_card",
        receivers: int = 100,
        callback_secret: str = "",
        sender_field: str = "senderStaffId",
        reply_seconds: float = 4.0,
        freshness: float = 600.0,
        body_cap: int = 65_536,
        four_digits: Callable[[], int] = lambda: secrets.randbelow(10_000),
    ) -> None:
        """`page` is the H5 address that notifications open; `receivers` how many accounts go into one call; `sender_field` names the account."""
        self._gateway = gateway
        self._plain, self._with_token = build_apis(gateway, clock, four_digits)
        self._outbound = outbound
        self._clock = clock
        self._spending = spending
        self._note = note
        self._page = page
        self._form: Form = form
        self._receivers = receivers
        self._secret = callback_secret
        self._sender_field = sender_field
        self._freshness = freshness
        self._cap = body_cap
        self._deadline = ReplyDeadline(self.name, reply_seconds, note)

    def attach(self, app: web.Application, handle: IncomingHandler) -> None:
        app.router.add_post(PATH, partial(self.receive, handle))
        app.cleanup_ctx.append(self._deadline.drain)

    async def receive(self, handle: IncomingHandler, request: web.Request) -> web.Response:
        try:
            message = await self._read_message(request)
        except (BadEnvelope, MalformedMessage) as wrong:
            return callback.refusal_response(self.name, wrong if isinstance(wrong, BadEnvelope) else BadEnvelope(str(wrong)), self._note)
        except UnknownSender:
            self._note("refused", self.name, 1)
            return _answer({})
        reply = await self._deadline.reply(handle, message.incoming, partial(self._answer_late, message.incoming))
        messages = dingtalk_reply.webhook_messages(reply, message.staff_id, group=message.group, buttons=False) if reply else []
        if messages[1:] and reply and self._deadline.is_first_copy(message.incoming):
            self._deadline.run_in_background(self.send(message.incoming.sender, reply))
        return _answer(messages[0] if messages else {})

    async def send(self, to: Address, reply: Reply) -> None:
        """Send a message unprompted; raises `PlatformError`."""
        if reply:
            await self._spending.spend(to.user)
            await self._notify([to.user], notification_json(reply, self._form, self._page), secrets.token_hex(12))
            self._note("sent", self.name, 1)

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        """One notification for all receivers of the same message; its id is made here, so that it can be changed or recalled later."""
        return await push_in_groups(batch, lambda parcel: notification_json(parcel.reply, self._form, self._page), self._receivers, self._send_group)

    async def _send_group(self, people: list[OutboundMessage]) -> list[SendReceipt]:
        serial = batch_serial(parcel.mark for parcel in people)
        if not people[0].reply:
            return [failed_receipt("content empty") for _ in people]
        try:
            await self._notify([parcel.to.user for parcel in people], notification_json(people[0].reply, self._form, self._page), serial)
        except PlatformError as wrong:
            return [error_receipt(wrong) for _ in people]
        self._note("sent", self.name, len(people))
        return [sent_receipt(serial) for _ in people]

    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        """Recall notifications for everybody who got them, where the tenant allows it."""
        return await recall_each(platform_ids, self._revoke)

    async def _revoke(self, platform_id: str) -> None:
        await self._spending.spend("", messages=0)
        await self._call(
            self._plain,
            self._gateway.revoke_path,
            msgType="workNotification",
            msgApp=self._gateway.app_key,
            tenantId=self._gateway.tenant_id,
            bizMsgId=platform_id,
        )

    async def update_notification(self, platform_id: str, users: Sequence[str], reply: Reply) -> None:
        """Replace the text of a notification, for instance by 已完成; raises `PlatformError`."""
        await self._spending.spend("", messages=0)
        await self._call(
            self._plain,
            self._gateway.change_path,
            msgType="workNotification",
            accountIds=",".join(users),
            jsonContent=notification_json(reply, self._form, self._page),
            tenantId=self._gateway.tenant_id,
            bizMsgId=platform_id,
        )

    async def read_member(self, code: str) -> SignedInMember:
        """The member of a one-time sign-in code (免登); raises `PlatformError`."""
        data = data_of(await self._call(self._with_token, self._gateway.login_path, auth_code=code))
        account, employee = (data.get("accountId"), data.get("employeeCode")) if isinstance(data, dict) else (None, None)
        if isinstance(account, bool) or not isinstance(account, str | int) or not str(account):
            raise PlatformError("content", "no-account", "the answer names no account")
        return SignedInMember(str(account), str(employee or ""))

    async def _notify(self, users: Sequence[str], message: str, serial: str) -> None:
        gateway = self._gateway
        await self._call(self._plain, gateway.notify_path, tenantId=gateway.tenant_id, receiverIds=",".join(users), bizMsgId=serial, msg=message)

    async def _call(self, api: Api, path: str, **params: str) -> dict[str, Any]:
        return await self._outbound.call(api, "POST", path, params=params)

    async def _answer_late(self, incoming: Incoming, reply: Reply) -> None:
        await self.send(incoming.sender, reply)

    async def _read_message(self, request: web.Request) -> RobotMessage:
        if not self._secret:
            raise BadEnvelope("closed")
        check_robot(request, self._secret, self._clock(), self._freshness)
        data = parse_object(await callback.read_body(request, self._cap))
        message = robot_message({**data, "senderStaffId": data.get(self._sender_field)}, app=self._gateway.app_key, arrived=self._clock())
        sender = Address(self.name, self._gateway.app_key, message.staff_id)
        return replace(message, incoming=replace(message.incoming, sender=sender))


def _answer(message: dict[str, Any]) -> web.Response:
    return web.Response(body=encode(message), content_type="application/json", charset="utf-8", headers=HEADERS)
