"""The two commits around a call: what may go within the budgets is begun before it is said, and settled by what the platform answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.delivery.parcel import SendReceipt
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
    for one in sorted(ready, key=lambda each: (each.rank, each.owed.id)):
        by_reply.setdefault((one.rank, one.parcel.to.channel, repr(one.parcel.reply)), []).append(one)
    found: dict[str, list[DeliveryGroup]] = {}
    for (_, channel, _), alike in by_reply.items():
        size = sizes.get(channel, 1)
        found.setdefault(channel, []).extend(DeliveryGroup(channel, tuple(alike[at : at + size])) for at in range(0, len(alike), size))
    return found


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
        wants, put_off = _allowed(self._session, self._purse, self._table, group, self._now)
        heavy = weight(group.ready[0].parcel.reply)
        size, wait = _room(self._purse, self._table, self._accounts, len(wants), heavy, self._now)
        return QuotaShare(tuple(wants[:size]), tuple(put_off), tuple(wants[size:]), wait)

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
    made = BegunDeliveries()
    till = SpendingQuota(session, groups[0].channel, now, limits)
    for place, group in enumerate(groups):
        share = till.share(group)
        queue.put_off(session, share.put_off, holder)
        begun = queue.begin(session, [one.owed.id for one in share.going], holder, group.channel, now, lease_seconds)
        going = tuple(one for one in share.going if one.owed.id in begun)
        if going:
            till.pay(going)
            made.groups.append(DeliveryGroup(group.channel, going))
        if share.wait is not None:
            made.left = [*([DeliveryGroup(group.channel, share.rest)] if share.rest else []), *groups[place + 1 :]]
            made.wait = share.wait
            break
    till.close()
    return made


def _allowed(
    session: Session, purse: QuotaAccount, table: Sequence[PlatformLimit], group: DeliveryGroup, now: datetime
) -> tuple[list[ReadyDelivery], list[tuple[int, datetime, str]]]:
    """Those whose own limits allow one more, and those who have to wait."""
    heavy = weight(group.ready[0].parcel.reply)
    own = [limit for limit in table if limit.per_person]
    for limit in own:
        purse.load([limit.key(one.parcel.to.user) for one in group.ready], limit.window, now)
    wants: list[ReadyDelivery] = []
    put_off: list[tuple[int, datetime, str]] = []
    for one in group.ready:
        user = one.parcel.to.user
        full = next((limit for limit in own if purse.left(limit.key(user), limit.room(), limit.window, now) < heavy), None)
        if full is not None:
            put_off.append((one.owed.id, max(full.window.freed(now), now + timedelta(seconds=SETUP)), FULL))
        elif group.channel == "wechat" and not one.beyond and _used_up(session, one, heavy):
            put_off.append((one.owed.id, now + timedelta(hours=1), "微信客服消息条数已用完，等本人再说话"))
        else:
            wants.append(one)
    return wants, put_off


def _used_up(session: Session, one: ReadyDelivery, heavy: int) -> bool:
    """True when WeChat would not take another message until the person speaks again; with a template set the channel goes that way instead."""
    return one.heard is not None and quota.heard_used(session, one.parcel.to.user, one.heard) + heavy > WECHAT_MESSAGES


def _room(purse: QuotaAccount, table: Sequence[PlatformLimit], accounts: int, people: int, heavy: int, now: datetime) -> tuple[int, datetime | None]:
    """How many of `people` fit into the channel's own limits, and when to ask again when that is not all."""
    size, wait = people, None
    for limit in table:
        if limit.per_person:
            continue
        left = purse.left(limit.key(), limit.room(accounts), limit.window, now)
        # A call takes all of a group or nobody; of messages as many go as there are.
        fits = people if left >= limit.taken(people, heavy) else 0 if limit.unit == "call" else left // heavy
        if fits < size:
            size, wait = fits, limit.window.freed(now)
    return size, wait


def _spend(session: Session, purse: QuotaAccount, table: Sequence[PlatformLimit], going: Sequence[ReadyDelivery], heavy: int, now: datetime) -> None:
    channel = going[0].parcel.to.channel
    for limit in table:
        if limit.per_person:
            for one in going:
                purse.spend(limit.key(one.parcel.to.user), limit.window, heavy, now)
        else:
            purse.spend(limit.key(), limit.window, limit.taken(len(going), heavy), now)
    if channel == "wechat":
        for one in going:
            if one.heard is not None:
                quota.spend_since_heard(session, one.parcel.to.user, one.heard, heavy)


def result(one: ReadyDelivery, receipt: SendReceipt, now: datetime) -> SendResult:
    """What a receipt makes of a delivery. What surely did not arrive is tried again, on another channel where there is one, up to a point."""
    owed = one.owed
    tries = owed.tries + 1
    match receipt.outcome:
        case "sent":
            return SendResult(owed.id, "sent", receipt.error, receipt.platform_id)
        case "unknown":
            return SendResult(owed.id, "unknown", receipt.error or "unknown", receipt.platform_id)
        case "failed" if one.others:
            return SendResult(owed.id, "queued", receipt.error, not_before=now)
        case "failed":
            return SendResult(owed.id, "failed", receipt.error or "failed")
    if receipt.stop:
        return SendResult(owed.id, "queued", receipt.error, not_before=now + timedelta(seconds=receipt.retry_after or SETUP), counted=False)
    at = queue.again_at(tries, owed.created_at, now, receipt.retry_after)
    if at is None:
        return SendResult(owed.id, "failed", f"试了 {tries} 次：{receipt.error}")
    return SendResult(owed.id, "queued", receipt.error, not_before=at)


def settle(session: Session, group: DeliveryGroup, results: Sequence[SendResult], holder: str, now: datetime) -> None:
    """Write down what became of a call. What WeChat surely did not send does not count against the few messages it allows."""
    queue.settle(session, results, holder, now)
    if group.channel == "wechat":
        heavy = weight(group.ready[0].parcel.reply)
        for one, what in zip(group.ready, results, strict=True):
            if one.heard is not None and what.state == "queued":
                quota.spend_since_heard(session, one.parcel.to.user, one.heard, -heavy)


def alarm(session: Session, channel: str, error: str, until: datetime, now: datetime) -> None:
    """A channel stopped: one line for those who look after it."""
    audit.record(
        session, now, SYSTEM, channel, "通道停发", channel, outcome="failed", detail=f"{error}（{until.isoformat(timespec='seconds')} 前不再尝试）"
    )


def recovered(session: Session, channel: str, now: datetime) -> None:
    audit.record(session, now, SYSTEM, channel, "通道恢复", channel)
