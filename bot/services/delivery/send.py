"""The two commits around a call: what may go within the budgets is begun before it is said, and settled by what the platform answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.delivery.outbound_message import SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, WECHAT_MESSAGES, PlatformLimit, of_channel, weight
from bot.services.delivery.plan import ReadyDelivery
from bot.storage.delivery import queue, quota, recipients
from bot.storage.delivery.queue import SendResult
from bot.storage.delivery.quota import QuotaAccount
from bot.storage.system import audit

SYSTEM = "system"
FULL = "达到该成员的频率上限"
SETUP = 60.0
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
    wait: datetime | None = None
    left: list[DeliveryGroup] = field(default_factory=list)


def grouped(ready: Sequence[ReadyDelivery], sizes: dict[str, int]) -> dict[str, list[DeliveryGroup]]:
    """By channel, the most urgent first; each group at most what the channel takes in one call."""
    by_reply: dict[tuple[int, str, str], list[ReadyDelivery]] = {}
    for delivery in sorted(ready, key=lambda each: (each.rank, each.owed.id)):
        by_reply.setdefault((delivery.rank, delivery.parcel.to.channel, repr(delivery.parcel.reply)), []).append(delivery)
    by_channel: dict[str, list[DeliveryGroup]] = {}
    for (_, channel, _), same_reply in by_reply.items():
        size = sizes.get(channel, 1)
        by_channel.setdefault(channel, []).extend(
            DeliveryGroup(channel, tuple(same_reply[start : start + size])) for start in range(0, len(same_reply), size)
        )
    return by_channel


@dataclass(frozen=True, slots=True)
class QuotaShare:
    """How far the budgets go for a group: who goes now, who has to wait for their own limit, who for the channel's, and until when."""

    going: tuple[ReadyDelivery, ...]
    put_off: tuple[tuple[int, datetime, str], ...]
    rest: tuple[ReadyDelivery, ...] = ()
    wait: datetime | None = None


class SpendingQuota:
    """The budgets of one channel in one transaction: whoever spends next, on whatever replica, sees what was spent here once it is closed."""

    def __init__(self, session: Session, channel: str, now: datetime, limits: tuple[PlatformLimit, ...] = LIMITS) -> None:
        self._session, self._now = session, now
        self._purse = QuotaAccount(session)
        self._table = of_channel(channel, limits)
        counted = recipients.accounts_on(session) if any(limit.each_account for limit in self._table) else {}
        self._accounts = counted.get(channel, 0)

    def share(self, group: DeliveryGroup) -> QuotaShare:
        """What the budgets give; looking spends nothing."""
        allowed, put_off = _allowed(self._session, self._purse, self._table, group, self._now)
        messages = weight(group.ready[0].parcel.reply)
        fitting, wait = _room(self._purse, self._table, self._accounts, len(allowed), messages, self._now)
        return QuotaShare(tuple(allowed[:fitting]), tuple(put_off), tuple(allowed[fitting:]), wait)

    def pay(self, going: Sequence[ReadyDelivery]) -> None:
        """These go, all with the same reply."""
        if going:
            _spend(self._session, self._purse, self._table, going, weight(going[0].parcel.reply), self._now)

    def close(self) -> None:
        self._purse.close()


def begin(
    session: Session, groups: Sequence[DeliveryGroup], holder: str, now: datetime, lease_seconds: float, limits: tuple[PlatformLimit, ...] = LIMITS
) -> BegunDeliveries:
    """Take what the budgets give and mark it as under way; what a person's own limit holds back is put off, what the channel's does is left."""
    result = BegunDeliveries()
    channel_quota = SpendingQuota(session, groups[0].channel, now, limits)
    for position, group in enumerate(groups):
        share = channel_quota.share(group)
        queue.put_off(session, share.put_off, holder)
        begun = queue.begin(session, [delivery.owed.id for delivery in share.going], holder, group.channel, now, lease_seconds)
        going = tuple(delivery for delivery in share.going if delivery.owed.id in begun)
        if going:
            channel_quota.pay(going)
            result.groups.append(DeliveryGroup(group.channel, going))
        if share.wait is not None:
            result.left = [*([DeliveryGroup(group.channel, share.rest)] if share.rest else []), *groups[position + 1 :]]
            result.wait = share.wait
            break
    channel_quota.close()
    return result


def _allowed(
    session: Session, account: QuotaAccount, channel_limits: Sequence[PlatformLimit], group: DeliveryGroup, now: datetime
) -> tuple[list[ReadyDelivery], list[tuple[int, datetime, str]]]:
    """Those whose own limits allow one more, and those who have to wait."""
    messages = weight(group.ready[0].parcel.reply)
    personal_limits = [limit for limit in channel_limits if limit.per_person]
    for limit in personal_limits:
        account.load([limit.key(delivery.parcel.to.user) for delivery in group.ready], limit.window, now)
    allowed: list[ReadyDelivery] = []
    put_off: list[tuple[int, datetime, str]] = []
    for delivery in group.ready:
        user = delivery.parcel.to.user
        reached = next((limit for limit in personal_limits if account.left(limit.key(user), limit.room(), limit.window, now) < messages), None)
        if reached is not None:
            put_off.append((delivery.owed.id, max(reached.window.freed(now), now + timedelta(seconds=SETUP)), FULL))
        elif group.channel == "wechat" and not delivery.beyond and _used_up(session, delivery, messages):
            put_off.append((delivery.owed.id, now + timedelta(hours=1), "微信客服消息条数已用完，等本人再说话"))
        else:
            allowed.append(delivery)
    return allowed, put_off


def _used_up(session: Session, delivery: ReadyDelivery, messages: int) -> bool:
    """True when WeChat would not take another message until the person speaks again; with a template set the channel goes that way instead."""
    return delivery.heard is not None and quota.heard_used(session, delivery.parcel.to.user, delivery.heard) + messages > WECHAT_MESSAGES


def _room(
    account: QuotaAccount, channel_limits: Sequence[PlatformLimit], accounts: int, people: int, messages: int, now: datetime
) -> tuple[int, datetime | None]:
    """How many of `people` fit into the channel's own limits, and when to ask again when that is not all."""
    fitting, wait = people, None
    for limit in channel_limits:
        if limit.per_person:
            continue
        left = account.left(limit.key(), limit.room(accounts), limit.window, now)
        # A call takes all of a group or nobody; of messages as many go as there are.
        fits = people if left >= limit.taken(people, messages) else 0 if limit.unit == "call" else left // messages
        if fits < fitting:
            fitting, wait = fits, limit.window.freed(now)
    return fitting, wait


def _spend(
    session: Session, account: QuotaAccount, channel_limits: Sequence[PlatformLimit], going: Sequence[ReadyDelivery], messages: int, now: datetime
) -> None:
    channel = going[0].parcel.to.channel
    for limit in channel_limits:
        if limit.per_person:
            for delivery in going:
                account.spend(limit.key(delivery.parcel.to.user), limit.window, messages, now)
        else:
            account.spend(limit.key(), limit.window, limit.taken(len(going), messages), now)
    if channel == "wechat":
        for delivery in going:
            if delivery.heard is not None:
                quota.spend_since_heard(session, delivery.parcel.to.user, delivery.heard, messages)


def result(ready: ReadyDelivery, receipt: SendReceipt, now: datetime) -> SendResult:
    """What a receipt makes of a delivery. What surely did not arrive is tried again, on another channel where there is one, up to a point."""
    delivery = ready.owed
    tries = delivery.tries + 1
    match receipt.outcome:
        case "sent":
            return SendResult(delivery.id, "sent", receipt.error, receipt.platform_id)
        case "unknown":
            return SendResult(delivery.id, "unknown", receipt.error or "unknown", receipt.platform_id)
        case "failed" if ready.others:
            return SendResult(delivery.id, "queued", receipt.error, not_before=now)
        case "failed":
            return SendResult(delivery.id, "failed", receipt.error or "failed")
    if receipt.stop:
        return SendResult(delivery.id, "queued", receipt.error, not_before=now + timedelta(seconds=receipt.retry_after or SETUP), counted=False)
    retry_at = queue.again_at(tries, delivery.created_at, now, receipt.retry_after)
    if retry_at is None:
        return SendResult(delivery.id, "failed", f"试了 {tries} 次：{receipt.error}")
    return SendResult(delivery.id, "queued", receipt.error, not_before=retry_at)


def settle(session: Session, group: DeliveryGroup, results: Sequence[SendResult], holder: str, now: datetime) -> None:
    """Write down what became of a call. What WeChat surely did not send does not count against the few messages it allows."""
    queue.settle(session, results, holder, now)
    if group.channel == "wechat":
        messages = weight(group.ready[0].parcel.reply)
        for delivery, result in zip(group.ready, results, strict=True):
            if delivery.heard is not None and result.state == "queued":
                quota.spend_since_heard(session, delivery.parcel.to.user, delivery.heard, -messages)


def alarm(session: Session, channel: str, error: str, until: datetime, now: datetime) -> None:
    """A channel stopped: one line for those who look after it."""
    audit.record(
        session, now, SYSTEM, channel, "通道停发", channel, outcome="failed", detail=f"{error}（{until.isoformat(timespec='seconds')} 前不再尝试）"
    )


def recovered(session: Session, channel: str, now: datetime) -> None:
    audit.record(session, now, SYSTEM, channel, "通道恢复", channel)
