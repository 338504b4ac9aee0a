"""The delivery queue: rows are claimed by one replica at a time, begun just before they are sent, settled by what the platform answered.

A claim only reserves: the row stays `queued`, with its holder, and comes back by itself when the holder dies. `begin` makes it `sending` with a
lease, in a commit of its own before the platform is called; a lease that ends without word becomes `unknown`, which nobody sends again by itself.
So a crash leaves in doubt what was under way in a call, and nothing else (bot/docs/reliability.md S7, O5).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlmodel import Session

from bot.domain.times import day_of, start_of
from bot.storage.db.query import Statement
from bot.storage.system import switches
from bot.storage.tables.columns import moment, stamp

MAX_TRIES = 8
MIN_RETRY_PERIOD = timedelta(hours=6)
"""Something that fails for now is given up after so many tries, and not before so long."""
MAX_RETRY_SECONDS = 1800.0

# The campaigns whose deliveries wait, and the emergency switch; asked in the statement itself, so that there is no moment between.
_MAY_GO = """campaign_id NOT IN (SELECT id FROM campaign WHERE state IN ('paused', 'stopped'))
    AND NOT EXISTS (SELECT 1 FROM switch WHERE name = :paused AND is_on = 1)"""
_CLAIM = """WITH due AS {materialized} (SELECT id FROM delivery WHERE state = 'queued' AND not_before <= :now AND {may_go}
                ORDER BY not_before, id LIMIT :limit {locked})
    UPDATE delivery SET holder = :holder, not_before = :until WHERE id IN (SELECT id FROM due)
    RETURNING id, campaign_id, occurrence_id, person_id, tries, created_at"""
_CLAIM_SQLITE = Statement(_CLAIM.format(materialized="MATERIALIZED", may_go=_MAY_GO, locked=""))
_CLAIM_POSTGRES = Statement(_CLAIM.format(materialized="MATERIALIZED", may_go=_MAY_GO, locked="FOR UPDATE SKIP LOCKED"))
_BEGIN = """UPDATE delivery SET state = 'sending', lease_until = :until, channel = :channel, tries = tries + 1
    WHERE id IN ({ids}) AND state = 'queued' AND holder = :holder AND {may_go} AND {once_a_day} RETURNING id"""
# Two replicas that plan at the same moment do not see each other's reminder; whoever begins does (bot/services/delivery/send.py: one at a time).
_ONCE_A_DAY = """(campaign_id NOT IN (SELECT id FROM campaign WHERE kind = 'reminder') OR NOT EXISTS (
        SELECT 1 FROM delivery o JOIN campaign c ON c.id = o.campaign_id
        WHERE o.person_id = delivery.person_id AND o.id <> delivery.id AND o.state IN ('sent', 'sending', 'unknown') AND c.kind = 'reminder'
          AND o.created_at >= :yesterday AND COALESCE(o.sent_at, o.lease_until, o.created_at) >= :today))"""
_SETTLE = Statement(
    """UPDATE delivery SET state = :state, sent_at = :sent_at, platform_id = :platform_id, error = :error, lease_until = NULL,
           not_before = COALESCE(:not_before, not_before), tries = tries - :untried, holder = CASE WHEN :state = 'queued' THEN '' ELSE holder END
       WHERE id = :id AND holder = :holder AND state IN ('sending', 'unknown')"""
)
_SKIP = Statement("UPDATE delivery SET state = 'skipped', error = :error WHERE id = :id AND state = 'queued' AND holder = :holder")
_PUT_OFF = Statement("UPDATE delivery SET not_before = :until, error = :error, holder = '' WHERE id = :id AND state = 'queued' AND holder = :holder")
_RELEASE = Statement("UPDATE delivery SET not_before = :now, holder = '' WHERE holder = :holder AND state = 'queued' AND not_before > :now")
_SWEEP = Statement(
    """UPDATE delivery SET state = 'unknown', lease_until = NULL, error = 'lease: nobody knows whether it arrived'
       WHERE state = 'sending' AND lease_until <= :now"""
)
_WAITING = Statement("SELECT COUNT(*), MIN(not_before) FROM delivery WHERE state = 'queued'")
_SENDING = Statement("SELECT COUNT(*) FROM delivery WHERE state = 'sending'")


@dataclass(frozen=True, slots=True)
class QueuedDelivery:
    """A delivery that this holder may plan and begin."""

    id: int
    campaign_id: int
    occurrence_id: int
    person_id: int
    tries: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of a delivery that was begun. `not_before` goes with "queued"; `counted` is False when the try was not its own failure."""

    id: int
    state: Literal["sent", "failed", "unknown", "queued"]
    error: str = ""
    platform_id: str = ""
    not_before: datetime | None = None
    counted: bool = True


def claim(session: Session, holder: str, now: datetime, limit: int, lease_seconds: float) -> list[QueuedDelivery]:
    """Reserve what is due for `holder`, oldest first; what another replica is just reserving is passed over."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    rows = (_CLAIM_SQLITE if sqlite else _CLAIM_POSTGRES).all(
        session, holder=holder, now=stamp(now), until=stamp(now + timedelta(seconds=lease_seconds)), limit=limit, paused=switches.PAUSED
    )
    return sorted((QueuedDelivery(row[0], row[1], row[2], row[3], row[4], moment(row[5])) for row in rows), key=lambda delivery: delivery.id)


def begin(session: Session, ids: Collection[int], holder: str, channel: str, now: datetime, lease_seconds: float) -> set[int]:
    """Those that are still this holder's and may still go, a reminder only as the first of its day: from the commit on they may have arrived."""
    if not ids:
        return set()
    text = _BEGIN.format(ids=", ".join(str(int(delivery_id)) for delivery_id in ids), may_go=_MAY_GO, once_a_day=_ONCE_A_DAY)
    morning = start_of(day_of(now))
    values = {"until": stamp(now + timedelta(seconds=lease_seconds)), "today": stamp(morning), "yesterday": stamp(morning - timedelta(days=1))}
    return {row[0] for row in Statement(text).all(session, holder=holder, channel=channel, paused=switches.PAUSED, **values)}


def settle(session: Session, results: Sequence[SendResult], holder: str, now: datetime) -> None:
    """Write down what became of them. A word that comes after the lease still counts: it is better than not knowing."""
    _SETTLE.many(
        session,
        [
            {
                "id": result.id,
                "holder": holder,
                "state": result.state,
                "sent_at": stamp(now) if result.state == "sent" else None,
                "platform_id": result.platform_id,
                "error": result.error[:500],
                "not_before": None if result.not_before is None else stamp(result.not_before),
                "untried": 0 if result.counted else 1,
            }
            for result in results
        ],
    )


def skip(session: Session, reasons: Iterable[tuple[int, str]], holder: str) -> None:
    """They need not be sent any more, each for its reason."""
    _SKIP.many(session, [{"id": delivery_id, "error": reason, "holder": holder} for delivery_id, reason in reasons])


def put_off(session: Session, postponed: Iterable[tuple[int, datetime, str]], holder: str) -> None:
    """Not now: each may be claimed again, by anybody, from its moment on."""
    _PUT_OFF.many(
        session, [{"id": delivery_id, "until": stamp(not_before), "error": reason, "holder": holder} for delivery_id, not_before, reason in postponed]
    )


def release(session: Session, holder: str, now: datetime) -> int:
    """Give back what was reserved and not begun, at the end of a holder's life."""
    return _RELEASE.run(session, holder=holder, now=stamp(now))


def expire_leases(session: Session, now: datetime) -> int:
    """How many leases ended without word; nobody sends those again by itself."""
    return _SWEEP.run(session, now=stamp(now))


def retry_at(tries: int, created_at: datetime, now: datetime, retry_after: float | None) -> datetime | None:
    """When to try again what surely did not arrive; None to give it up."""
    if tries >= MAX_TRIES and now - created_at >= MIN_RETRY_PERIOD:
        return None
    return now + timedelta(seconds=max(retry_after or 0.0, min(5.0 * 2 ** min(tries, 16), MAX_RETRY_SECONDS)))


def queue_depth(session: Session) -> tuple[int, datetime | None, int]:
    """How many are queued, since when the oldest has been due, how many are under way."""
    count, oldest = _WAITING.one(session)
    return int(count), None if oldest is None else moment(oldest), int(_SENDING.one(session)[0])
