"""The two transactions around a call to a channel: before it, what the quotas allow is marked as sending; after it, the result is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.delivery.outbound_message import SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, WECHAT_MESSAGES, PlatformLimit, limits_of_channel, message_count
from bot.services.delivery.plan import ReadyDelivery
from bot.storage.delivery import queue, quota, recipients
from bot.storage.delivery.queue import SendResult
from bot.storage.delivery.quota import QuotaAccount
from bot.storage.system import audit

SYSTEM = "system"
PERSON_LIMIT_REACHED = "达到该成员的频率上限"
PAUSE_SECONDS = 60.0
"""Seconds a person's own limit is left alone once it is reached."""


@dataclass(frozen=True, slots=True)
class DeliveryGroup:
    """What goes into one call: the same reply on one channel."""

    channel: str
    ready: tuple[ReadyDelivery, ...]


@dataclass(slots=True)
class BegunDeliveries:
    """What of some groups may be said from now on, group by group, and the moment before which there is no use in asking for more."""

    groups: list[DeliveryGroup] = field(default_factory=list)
    wait_until: datetime | None = None
    remaining: list[DeliveryGroup] = field(default_factory=list)


def group_deliveries(ready: Sequence[ReadyDelivery], sizes: dict[str, int]) -> dict[str, list[DeliveryGroup]]:
    """By channel, the most urgent first; each group at most what the channel takes in one call."""
    by_reply: dict[tuple[int, str, str], list[ReadyDelivery]] = {}
    for delivery in sorted(ready, key=lambda each: (each.rank, each.queued.id)):
        by_reply.setdefault((delivery.rank, delivery.message.to.channel, repr(delivery.message.reply)), []).append(delivery)
    by_channel: dict[str, list[DeliveryGroup]] = {}
    for (_, channel, _), same_reply in by_reply.items():
        size = sizes.get(channel, 1)
        by_channel.setdefault(channel, []).extend(
            DeliveryGroup(channel, tuple(same_reply[start : start + size])) for start in range(0, len(same_reply), size)
        )
    return by_channel


@dataclass(frozen=True, slots=True)
class QuotaShare:
    """How far the quotas go for a group: who goes now, who has to wait for their own limit, who for the channel's, and until when."""

    going: tuple[ReadyDelivery, ...]
    put_off: tuple[tuple[int, datetime, str], ...]
    rest: tuple[ReadyDelivery, ...] = ()
    wait: datetime | None = None


class SpendingQuota:
    """The quotas of one channel in one transaction: whoever spends next, on whatever replica, sees what was spent here once it is closed."""

    def __init__(self, session: Session, channel: str, now: datetime, limits: tuple[PlatformLimit, ...] = LIMITS) -> None:
        self._session, self._now = session, now
        self._account = QuotaAccount(session)
        self._limits = limits_of_channel(channel, limits)
        counted = recipients.count_accounts(session) if any(limit.each_account for limit in self._limits) else {}
        self._accounts = counted.get(channel, 0)

    def share(self, group: DeliveryGroup) -> QuotaShare:
        """What the quotas allow; looking spends nothing."""
        allowed, put_off = _within_personal_limits(self._session, self._account, self._limits, group, self._now)
        messages = message_count(group.ready[0].message.reply)
        fitting, wait = _fit_channel_limits(self._account, self._limits, self._accounts, len(allowed), messages, self._now)
        return QuotaShare(tuple(allowed[:fitting]), tuple(put_off), tuple(allowed[fitting:]), wait)

    def spend(self, going: Sequence[ReadyDelivery]) -> None:
        """These go, all with the same reply."""
        if going:
            _spend(self._session, self._account, self._limits, going, message_count(going[0].message.reply), self._now)

    def close(self) -> None:
        self._account.close()


def begin(
    session: Session, groups: Sequence[DeliveryGroup], holder: str, now: datetime, lease_seconds: float, limits: tuple[PlatformLimit, ...] = LIMITS
) -> BegunDeliveries:
    """Take what the quotas allow and mark it as under way; what a person's own limit holds back is put off, what the channel's does is left."""
    result = BegunDeliveries()
    channel_quota = SpendingQuota(session, groups[0].channel, now, limits)
    for position, group in enumerate(groups):
        share = channel_quota.share(group)
        queue.put_off(session, share.put_off, holder)
        begun = queue.begin(session, [delivery.queued.id for delivery in share.going], holder, group.channel, now, lease_seconds)
        going = tuple(delivery for delivery in share.going if delivery.queued.id in begun)
        if going:
            channel_quota.spend(going)
            result.groups.append(DeliveryGroup(group.channel, going))
        if share.wait is not None:
            result.remaining = [*([DeliveryGroup(group.channel, share.rest)] if share.rest else []), *groups[position + 1 :]]
            result.wait_until = share.wait
            break
    channel_quota.close()
    return result


def _within_personal_limits(
    session: Session, account: QuotaAccount, channel_limits: Sequence[PlatformLimit], group: DeliveryGroup, now: datetime
) -> tuple[list[ReadyDelivery], list[tuple[int, datetime, str]]]:
    """Those whose own limits allow one more, and those who have to wait."""
    messages = message_count(group.ready[0].message.reply)
    personal_limits = [limit for limit in channel_limits if limit.per_person]
    for limit in personal_limits:
        account.load([limit.key(delivery.message.to.user) for delivery in group.ready], limit.window, now)
    allowed: list[ReadyDelivery] = []
    put_off: list[tuple[int, datetime, str]] = []
    for delivery in group.ready:
        user = delivery.message.to.user
        reached = next((limit for limit in personal_limits if account.left(limit.key(user), limit.usable(), limit.window, now) < messages), None)
        if reached is not None:
            put_off.append((delivery.queued.id, max(reached.window.next_free(now), now + timedelta(seconds=PAUSE_SECONDS)), PERSON_LIMIT_REACHED))
        elif group.channel == "wechat" and not delivery.beyond_window and _is_window_used_up(session, delivery, messages):
            put_off.append((delivery.queued.id, now + timedelta(hours=1), "微信客服消息条数已用完，等本人再说话"))
        else:
            allowed.append(delivery)
    return allowed, put_off


def _is_window_used_up(session: Session, delivery: ReadyDelivery, messages: int) -> bool:
    """True when WeChat would not take another message until the person speaks again; with a template set the channel goes that way instead."""
    return (
        delivery.last_heard is not None
        and quota.used_since_heard(session, delivery.message.to.user, delivery.last_heard) + messages > WECHAT_MESSAGES
    )


def _fit_channel_limits(
    account: QuotaAccount, channel_limits: Sequence[PlatformLimit], accounts: int, people: int, messages: int, now: datetime
) -> tuple[int, datetime | None]:
    """How many of `people` fit into the channel's own limits, and when to ask again when that is not all."""
    fitting, wait = people, None
    for limit in channel_limits:
        if limit.per_person:
            continue
        left = account.left(limit.key(), limit.usable(accounts), limit.window, now)
        # A call takes all of a group or nobody; of messages as many go as there are.
        fits = people if left >= limit.usage(people, messages) else 0 if limit.unit == "call" else left // messages
        if fits < fitting:
            fitting, wait = fits, limit.window.next_free(now)
    return fitting, wait


def _spend(
    session: Session, account: QuotaAccount, channel_limits: Sequence[PlatformLimit], going: Sequence[ReadyDelivery], messages: int, now: datetime
) -> None:
    channel = going[0].message.to.channel
    for limit in channel_limits:
        if limit.per_person:
            for delivery in going:
                account.spend(limit.key(delivery.message.to.user), limit.window, messages, now)
        else:
            account.spend(limit.key(), limit.window, limit.usage(len(going), messages), now)
    if channel == "wechat":
        for delivery in going:
            if delivery.last_heard is not None:
                quota.spend_since_heard(session, delivery.message.to.user, delivery.last_heard, messages)


def send_result(ready: ReadyDelivery, receipt: SendReceipt, now: datetime) -> SendResult:
    """What a receipt makes of a delivery. What surely did not arrive is tried again, on another channel where there is one, up to a point."""
    delivery = ready.queued
    tries = delivery.tries + 1
    match receipt.outcome:
        case "sent":
            return SendResult(delivery.id, "sent", receipt.error, receipt.platform_id)
        case "unknown":
            return SendResult(delivery.id, "unknown", receipt.error or "unknown", receipt.platform_id)
        case "failed" if ready.fallbacks:
            return SendResult(delivery.id, "queued", receipt.error, not_before=now)
        case "failed":
            return SendResult(delivery.id, "failed", receipt.error or "failed")
    if receipt.stop:
        return SendResult(
            delivery.id, "queued", receipt.error, not_before=now + timedelta(seconds=receipt.retry_after or PAUSE_SECONDS), counted=False
        )
    retry_at = queue.retry_at(tries, delivery.created_at, now, receipt.retry_after)
    if retry_at is None:
        return SendResult(delivery.id, "failed", f"试了 {tries} 次：{receipt.error}")
    return SendResult(delivery.id, "queued", receipt.error, not_before=retry_at)


def settle(session: Session, group: DeliveryGroup, results: Sequence[SendResult], holder: str, now: datetime) -> None:
    """Write down what became of a call. What WeChat surely did not send does not count against the few messages it allows."""
    queue.settle(session, results, holder, now)
    if group.channel == "wechat":
        messages = message_count(group.ready[0].message.reply)
        for delivery, result in zip(group.ready, results, strict=True):
            if delivery.last_heard is not None and result.state == "queued":
                quota.spend_since_heard(session, delivery.message.to.user, delivery.last_heard, -messages)


def audit_stop(session: Session, channel: str, error: str, until: datetime, now: datetime) -> None:
    """A channel stopped: one line for those who look after it."""
    audit.record(
        session, now, SYSTEM, channel, "通道停发", channel, outcome="failed", detail=f"{error}（{until.isoformat(timespec='seconds')} 前不再尝试）"
    )


def audit_recovery(session: Session, channel: str, now: datetime) -> None:
    audit.record(session, now, SYSTEM, channel, "通道恢复", channel)
