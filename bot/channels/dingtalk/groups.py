"""Messages to groups, by the app's robot or by a custom group robot, which can only push (bot/docs/protocols.md#dingtalk-group-robot)."""

from __future__ import annotations

from typing import Any

from yarl import URL

from bot.channels.base import Clock
from bot.channels.batch_push import error_receipt
from bot.channels.config import reveal
from bot.channels.dingtalk import reply as dingtalk_reply
from bot.channels.dingtalk import signature
from bot.channels.dingtalk.config import DingTalkConfig
from bot.channels.dingtalk.incoming import NAME
from bot.channels.outbound.apis import Api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.domain.delivery.outbound_message import SendReceipt
from bot.domain.message import Reply

SEND = "/v1.0/robot/groupMessages/send"
RECALL = "/v1.0/robot/groupMessages/recall"
CUSTOM = "/robot/send"


class Groups:
    """Sends to groups; nobody answers questions there."""

    def __init__(self, config: DingTalkConfig, api: Api, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._api = api
        self._oapi_base = config.oapi_base
        self._robot_code = config.robot
        self._token = reveal(config.group_token)
        self._secret = reveal(config.group_secret)
        self._clock = clock

    async def send(self, conversation: str, reply: Reply) -> SendReceipt:
        """Send to a group that the app's robot is in, named by its openConversationId."""
        query_keys: list[str] = []
        try:
            for message in dingtalk_reply.webhook_messages(reply, "", group=False, buttons=False):
                key, param = dingtalk_reply.robot_message_of(message)
                body = {"robotCode": self._robot_code, "openConversationId": conversation, "msgKey": key, "msgParam": param}
                answer = await self._outbound.call(self._api, "POST", SEND, json=body)
                query_keys.append(str(answer.get("processQueryKey") or ""))
        except PlatformError as wrong:
            return SendReceipt("sent", f"partly: {wrong}", " ".join(query_keys)) if query_keys else error_receipt(wrong)
        return SendReceipt("sent", platform_id=" ".join(query_keys))

    async def recall(self, conversation: str, platform_id: str) -> None:
        """Recall what `send` sent; raises `PlatformError` where the platform refuses."""
        body = {"robotCode": self._robot_code, "openConversationId": conversation, "processQueryKeys": platform_id.split()}
        answer = await self._outbound.call(self._api, "POST", RECALL, json=body)
        if answer.get("failedResult"):
            raise PlatformError("content", "not-recalled", str(answer["failedResult"])[:200])

    async def broadcast(self, reply: Reply) -> SendReceipt:
        """Send by the custom robot, which may send twenty messages a minute and is blocked for ten minutes beyond that."""
        if not self._token:
            return error_receipt(PlatformError("config", "no-group-robot", "no custom group robot is set"))
        sent = 0
        try:
            for message in dingtalk_reply.webhook_messages(reply, "", group=False, buttons=False):
                await self._outbound.post(self._webhook_address(), message, allowed_hosts=frozenset((str(URL(self._oapi_base).origin()),)), name=NAME)
                sent += 1
        except PlatformError as wrong:
            return SendReceipt("sent", f"partly: {wrong}") if sent else error_receipt(wrong)
        return SendReceipt("sent")

    def _webhook_address(self) -> str:
        timestamp = str(int(self._clock().timestamp() * 1000))
        query: dict[str, Any] = {"access_token": self._token}
        if self._secret:
            query |= {"timestamp": timestamp, "sign": signature.robot_sign(timestamp, self._secret)}
        # Encoded by hand: base64's plus sign must not be read as a space.
        return str(URL(self._oapi_base.rstrip("/") + CUSTOM).with_query(query)).replace("+", "%2B")
