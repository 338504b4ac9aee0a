"""The two transactions around a call to a channel: before it, what the quotas allow is marked as sending; after it, the result is written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.delivery.outbound_message import MessageGroup, SendReceipt
from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit
from bot.services.delivery import quota
from bot.services.delivery.plan import ReadyDelivery
from bot.services.delivery.quota import PAUSE_SECONDS, QuotaShare, TakenGroups
from bot.storage.delivery import queue
from bot.storage.delivery.queue import SendResult
from bot.storage.system import audit

SYSTEM = "system"


def begin(
    session: Session,
    groups: Sequence[MessageGroup[ReadyDelivery]],
    holder: str,
    now: datetime,
    lease_seconds: float,
    limits: tuple[PlatformLimit, ...] = LIMITS,
) -> TakenGroups[ReadyDelivery]:
    """Take what the quotas allow and mark it as under way; what a person's own limit holds back is put off, what the channel's does is left."""

    def mark(share: QuotaShare[ReadyDelivery]) -> list[ReadyDelivery]:
        queue.put_off(session, [(ready.queued.id, until, reason) for ready, until, reason in share.put_off], holder)
        begun = queue.begin(session, [ready.queued.id for ready in share.going], holder, groups[0].channel, now, lease_seconds)
        return [ready for ready in share.going if ready.queued.id in begun]

    return quota.take(session, groups, now, limits, mark)


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


def settle(session: Session, group: MessageGroup[ReadyDelivery], results: Sequence[SendResult], holder: str, now: datetime) -> None:
    """Write down what became of a call."""
    queue.settle(session, results, holder, now)
    quota.give_back(session, [ready for ready, result in zip(group.ready, results, strict=True) if result.state == "queued"], now)


def audit_stop(session: Session, channel: str, error: str, until: datetime, now: datetime) -> None:
    """A channel stopped: one line for those who look after it."""
    audit.record(
        session, now, SYSTEM, channel, "通道停发", channel, outcome="failed", detail=f"{error}（{until.isoformat(timespec='seconds')} 前不再尝试）"
    )


def audit_recovery(session: Session, channel: str, now: datetime) -> None:
    audit.record(session, now, SYSTEM, channel, "通道恢复", channel)
