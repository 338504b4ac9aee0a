"""The two transactions around a call to a channel: before it, what the quotas allow is marked as sending; after it, the result is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.delivery.outbound_message import SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit
from bot.services.delivery import quota
from bot.services.delivery.plan import DeliveryGroup, ReadyDelivery
from bot.services.delivery.quota import PAUSE_SECONDS, DeliveryQuota, QuotaShare
from bot.storage.delivery import queue
from bot.storage.delivery.queue import SendResult
from bot.storage.system import audit

SYSTEM = "system"


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


def within_quota(
    session: Session,
    groups: Sequence[DeliveryGroup],
    now: datetime,
    limits: tuple[PlatformLimit, ...],
    begin_share: Callable[[QuotaShare], Sequence[ReadyDelivery]],
) -> BegunDeliveries:
    """Take what the quotas of a channel allow, group by group; `begin_share` says which of a share really go."""
    result = BegunDeliveries()
    channel_quota = DeliveryQuota(session, groups[0].channel, now, limits)
    for position, group in enumerate(groups):
        share = channel_quota.look(group)
        if going := tuple(begin_share(share)):
            channel_quota.take(going)
            result.groups.append(DeliveryGroup(group.channel, going))
        if share.wait is not None:
            result.remaining = [*([DeliveryGroup(group.channel, share.rest)] if share.rest else []), *groups[position + 1 :]]
            result.wait_until = share.wait
            break
    channel_quota.close()
    return result


def begin(
    session: Session, groups: Sequence[DeliveryGroup], holder: str, now: datetime, lease_seconds: float, limits: tuple[PlatformLimit, ...] = LIMITS
) -> BegunDeliveries:
    """Take what the quotas allow and mark it as under way; what a person's own limit holds back is put off, what the channel's does is left."""

    def mark(share: QuotaShare) -> list[ReadyDelivery]:
        queue.put_off(session, share.put_off, holder)
        begun = queue.begin(session, [delivery.queued.id for delivery in share.going], holder, groups[0].channel, now, lease_seconds)
        return [delivery for delivery in share.going if delivery.queued.id in begun]

    return within_quota(session, groups, now, limits, mark)


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
    """Write down what became of a call."""
    queue.settle(session, results, holder, now)
    quota.give_back(session, group, [delivery for delivery, result in zip(group.ready, results, strict=True) if result.state == "queued"])


def audit_stop(session: Session, channel: str, error: str, until: datetime, now: datetime) -> None:
    """A channel stopped: one line for those who look after it."""
    audit.record(
        session, now, SYSTEM, channel, "通道停发", channel, outcome="failed", detail=f"{error}（{until.isoformat(timespec='seconds')} 前不再尝试）"
    )


def audit_recovery(session: Session, channel: str, now: datetime) -> None:
    audit.record(session, now, SYSTEM, channel, "通道恢复", channel)
