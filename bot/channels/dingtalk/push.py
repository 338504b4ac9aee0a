"""Pushes: robot messages to twenty people a call, work notifications to a hundred, cards one by one within their quota; messages to groups.

See bot/docs/protocols.md#dingtalk-notification, #dingtalk-group-robot.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from yarl import URL

from bot.channels.base import Clock
from bot.channels.batch_push import batch_serial, error_receipt, failed_receipt, parse_ids, push_in_groups, recall_each
from bot.channels.config import ChannelContext, reveal
from bot.channels.dingtalk import cards
from bot.channels.dingtalk import reply as dingtalk_reply
from bot.channels.dingtalk.config import DingTalkConfig
from bot.channels.dingtalk.incoming import NAME, robot_sign
from bot.channels.dingtalk.reply import CARDS, SEND, ReplySender
from bot.channels.outbound.apis import Api, dingtalk_old_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import DINGTALK_OLD, PlatformError
from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.delivery.platform_limits import NOTIFICATION_QUERIES
from bot.domain.message import Reply
from bot.logs import get_logger

log = get_logger(__name__)

ZONE: Final = ZoneInfo("Asia/Shanghai")
NOTIFY = "/topapi/message/corpconversation/asyncsend_v2"
RESULT = "/topapi/message/corpconversation/getsendresult"
TAKE_BACK = "/topapi/message/corpconversation/recall"
ROBOT_RECALL = "/v1.0/robot/otoMessages/batchRecall"
ROBOT_RECEIVERS, NOTIFICATION_RECEIVERS = 20, 100
MESSAGE_BYTES = 2048
FLOW_SECONDS = 60.0
QUERY, TASK, TRACK = "q:", "t:", "c:"
"""Prefixes of the ids in `platform_id`: a robot message, the task of a work notification, a card."""

GrantCards = Callable[[int], Awaitable[int]]
"""How many of so many cards may be created now, by a quota that all replicas share."""


@dataclass(slots=True)
class _GroupResult:
    """The result of one group: ids of what was sent, and the receipts of those who were refused, by lower-case user id."""

    ids: list[str]
    refused: dict[str, SendReceipt]
    trouble: str = ""

    def receipt(self, user: str) -> SendReceipt:
        return self.refused.get(user.lower()) or SendReceipt("sent", self.trouble, " ".join(self.ids))


class DingTalkPush:
    """Pushes to the members of the corporation."""

    def __init__(
        self,
        config: DingTalkConfig,
        context: ChannelContext,
        api: Api,
        sender: ReplySender,
        *,
        grant_cards: GrantCards | None,
        looks: int = NOTIFICATION_QUERIES,
        look_seconds: float = 1.5,
    ) -> None:
        """The result of a work notification is read `looks` times, so many seconds apart. `grant_cards` None: no cards."""
        self._outbound = context.outbound
        self._api = api
        self._old_api = dingtalk_old_api(base=config.oapi_base, client_id=config.client_id, client_secret=reveal(config.client_secret))
        self._sender = sender
        self._robot_code = config.robot
        self._agent_id = config.agent_id
        self._clock = context.clock
        self._note = context.note
        self._grant_cards = grant_cards
        self._quota = context.quota
        self._looks = looks
        self._look_seconds = look_seconds

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        """One receipt a parcel: cards as far as the quota goes, then everybody else in as few calls as possible."""
        receipts = await self._push_cards(batch)
        without_card = [place for place in range(len(batch)) if place not in receipts]
        rest = [batch[place] for place in without_card]
        limit = NOTIFICATION_RECEIVERS if self._agent_id else ROBOT_RECEIVERS
        rest_receipts = await push_in_groups(rest, lambda parcel: replace(parcel.reply, done=""), limit, self._send_group)
        receipts |= dict(zip(without_card, rest_receipts, strict=True))
        self._note("sent", NAME, sum(receipt.outcome == "sent" for receipt in receipts.values()))
        return [receipts[place] for place in range(len(batch))]

    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        """Recall messages and notifications; a card cannot be recalled and is emptied."""
        return await recall_each(platform_ids, self._take_back)

    async def _push_cards(self, batch: Sequence[OutboundMessage]) -> dict[int, SendReceipt]:
        """Receipts of those who got a card, or were refused in a way that would refuse a text too."""
        fitting = [place for place, parcel in enumerate(batch) if self._sender.fits_card(parcel.reply)]
        granted = await self._grant_cards(len(fitting)) if self._grant_cards is not None and fitting else 0
        receipts: dict[int, SendReceipt] = {}
        for place in fitting[:granted]:
            await self._quota.take("", messages=0, granted=True)
            try:
                track = await self._sender.send_card(batch[place].to.user, batch[place].reply)
            except PlatformError as wrong:
                # A fault of the template does not concern plain text.
                if wrong.kind not in ("content", "permission"):
                    receipts[place] = error_receipt(wrong)
                    continue
                log.warning("card not pushed, words instead", code=wrong.code)
            else:
                receipts[place] = SendReceipt("sent", platform_id=TRACK + track)
        return receipts

    async def _send_group(self, people: list[OutboundMessage]) -> list[SendReceipt]:
        reply = people[0].reply
        users = [self._sender.staff_id_of(parcel.to.user) for parcel in people]
        if not reply:
            return [failed_receipt("content empty") for _ in users]
        if self._agent_id and (message := notification(reply, self._day_mark(people))) is not None:
            result = await self._notify(users, message)
            return [result.receipt(user) for user in users]
        receipts: list[SendReceipt] = []
        messages = dingtalk_reply.robot_messages(reply, buttons=True)
        for begin in range(0, len(users), ROBOT_RECEIVERS):
            group = users[begin : begin + ROBOT_RECEIVERS]
            if begin:
                # One call was reserved for all of them; twenty at a time take more.
                await self._quota.take("", calls=len(messages), messages=0)
            result = await self._by_robot(group, messages)
            receipts += [result.receipt(user) for user in group]
        return receipts

    def _day_mark(self, people: list[OutboundMessage]) -> str:
        """A line that makes the notification unique in its day: the platform silently drops the same text to the same person."""
        return f"{self._clock().astimezone(ZONE):%m-%d %H:%M} · {batch_serial(parcel.mark for parcel in people)[:4]}"

    async def _by_robot(self, users: list[str], messages: list[tuple[str, str]]) -> _GroupResult:
        result = _GroupResult([], {})
        for key, param in messages:
            remaining = [user for user in users if user.lower() not in result.refused]
            if not remaining:
                break
            body = {"robotCode": self._robot_code, "userIds": remaining, "msgKey": key, "msgParam": param}
            try:
                answer = await self._outbound.call(self._api, "POST", SEND, json=body)
            except PlatformError as wrong:
                if result.ids:
                    result.trouble = f"partly: {wrong}"
                else:
                    result.refused |= dict.fromkeys((user.lower() for user in remaining), error_receipt(wrong))
                break
            if isinstance(query_key := answer.get("processQueryKey"), str) and query_key:
                result.ids.append(QUERY + query_key)
            _mark_refused(result, answer, begun=len(result.ids) > 1)
        return result

    async def _notify(self, users: list[str], message: dict[str, Any]) -> _GroupResult:
        result = _GroupResult([], {})
        body = {"agent_id": self._agent_id, "userid_list": ",".join(users), "msg": message}
        try:
            answer = await self._outbound.call(self._old_api, "POST", NOTIFY, json=body)
        except PlatformError as wrong:
            result.refused = dict.fromkeys((user.lower() for user in users), error_receipt(wrong))
            return result
        task = answer.get("task_id")
        if isinstance(task, bool) or not isinstance(task, int | str) or not str(task).isdigit():
            return result
        result.ids.append(f"{TASK}{task}")
        result.refused = await self._result(int(task), {user.lower() for user in users})
        return result

    async def _result(self, task: int, users: set[str]) -> dict[str, SendReceipt]:
        """Receipts of those who did not get the notification; whoever is not listed yet counts as sent."""
        refused: dict[str, SendReceipt] = {}
        for _ in range(self._looks):
            await asyncio.sleep(self._look_seconds)
            try:
                answer = await self._outbound.call(self._old_api, "POST", RESULT, json={"agent_id": self._agent_id, "task_id": task})
            except PlatformError as wrong:
                log.warning("result of a notification not read", code=wrong.code)
                break
            result = answer.get("send_result")
            if not isinstance(result, dict):
                break
            refused = _refusals(result)
            arrived = parse_ids(result.get("read_user_id_list")) | parse_ids(result.get("unread_user_id_list"))
            if users <= arrived | refused.keys():
                break
        return refused

    async def _take_back(self, platform_id: str) -> None:
        for prefixed in platform_id.split():
            value = prefixed[2:]
            await self._quota.take("", messages=0)
            if prefixed.startswith(QUERY):
                body: dict[str, Any] = {"robotCode": self._robot_code, "processQueryKeys": [value]}
                answer = await self._outbound.call(self._api, "POST", ROBOT_RECALL, json=body)
                if answer.get("failedResult"):
                    raise PlatformError("content", "not-recalled", str(answer["failedResult"])[:200])
            elif prefixed.startswith(TASK):
                await self._outbound.call(self._old_api, "POST", TAKE_BACK, json={"agent_id": self._agent_id, "msg_task_id": int(value)})
            elif prefixed.startswith(TRACK):
                body = {
                    "outTrackId": value,
                    "cardData": {"cardParamMap": cards.WITHDRAWN},
                    "cardUpdateOptions": {"updateCardDataByKey": True, "updatePrivateDataByKey": True},
                }
                await self._outbound.call(self._api, "PUT", CARDS, json=body)


def notification(reply: Reply, mark: str) -> dict[str, Any] | None:
    """The `msg` of a work notification, or None where it would be longer than the platform takes."""
    [message_card, *further] = dingtalk_reply.webhook_messages(reply, "", group=False, buttons=True)
    if further:
        return None
    if message_card["msgtype"] == "text":
        message: dict[str, Any] = {"msgtype": "text", "text": {"content": f"{message_card['text']['content']}\n{mark}"}}
    else:
        card = message_card["actionCard"]
        buttons = [{"title": button["title"], "action_url": button["actionURL"]} for button in card["btns"]]
        action_card = {"title": card["title"], "markdown": f"{card['text']}\n\n{mark}", "btn_orientation": "0", "btn_json_list": buttons}
        if len(buttons) == 1:
            action_card = {
                "title": card["title"],
                "markdown": action_card["markdown"],
                "single_title": buttons[0]["title"],
                "single_url": buttons[0]["action_url"],
            }
        message = {"msgtype": "action_card", "action_card": action_card}
    return message if len(json.dumps(message, ensure_ascii=False).encode()) <= MESSAGE_BYTES else None


def _mark_refused(result: _GroupResult, answer: dict[str, Any], *, begun: bool) -> None:
    """Record who was not sent to in spite of status 200; whoever got a first part counts as sent, so that it is not repeated."""
    for field, receipt in (
        ("invalidStaffIdList", failed_receipt("recipient invalidStaffId")),
        ("filteredStaffIdList", failed_receipt("recipient filteredStaffId: 被平台过滤（如对方屏蔽了机器人）")),
        ("flowControlledStaffIdList", SendReceipt("later", "flowControlledStaffId", retry_after=FLOW_SECONDS)),
    ):
        for user in parse_ids(answer.get(field)):
            result.refused.setdefault(user, SendReceipt("sent", f"partly: {receipt.error}", " ".join(result.ids)) if begun else receipt)


def _refusals(result: dict[str, Any]) -> dict[str, SendReceipt]:
    refusals: dict[str, SendReceipt] = {}
    for field, error in (("invalid_user_id_list", "recipient invalid_user_id"), ("failed_user_id_list", "recipient failed_user_id")):
        refusals |= dict.fromkeys(parse_ids(result.get(field)), failed_receipt(error))
    refusals |= dict.fromkeys(parse_ids(result.get("forbidden_user_id_list")), failed_receipt("recipient forbidden_user_id"))
    listed = result.get("forbidden_list")
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict):
            continue
        for user in parse_ids(entry.get("userid")) or parse_ids(entry.get("user_id")):
            refusals[user] = _forbidden(str(entry.get("code", "")))
    return refusals


def _forbidden(code: str) -> SendReceipt:
    verdict = DINGTALK_OLD.get(int(code)) if code.isdigit() else None
    if verdict is None:
        return failed_receipt(f"recipient forbidden {code}")
    return error_receipt(PlatformError(verdict.kind, code, retry_after=verdict.wait))


GROUP_SEND = "/v1.0/robot/groupMessages/send"
GROUP_RECALL = "/v1.0/robot/groupMessages/recall"
GROUP_ROBOT = "/robot/send"


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
                answer = await self._outbound.call(self._api, "POST", GROUP_SEND, json=body)
                query_keys.append(str(answer.get("processQueryKey") or ""))
        except PlatformError as wrong:
            return SendReceipt("sent", f"partly: {wrong}", " ".join(query_keys)) if query_keys else error_receipt(wrong)
        return SendReceipt("sent", platform_id=" ".join(query_keys))

    async def recall(self, conversation: str, platform_id: str) -> None:
        """Recall what `send` sent; raises `PlatformError` where the platform refuses."""
        body = {"robotCode": self._robot_code, "openConversationId": conversation, "processQueryKeys": platform_id.split()}
        answer = await self._outbound.call(self._api, "POST", GROUP_RECALL, json=body)
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
            query |= {"timestamp": timestamp, "sign": robot_sign(timestamp, self._secret)}
        # Encoded by hand: base64's plus sign must not be read as a space.
        return str(URL(self._oapi_base.rstrip("/") + GROUP_ROBOT).with_query(query)).replace("+", "%2B")
