"""The delivery queue: rows are claimed by one replica at a time, begun just before they are sent, settled by what the platform answered.

A claim only reserves: the row stays `queued`, with its holder, and comes back by itself when the holder dies. `begin` makes it `sending` with a
lease, in a commit of its own before the platform is called; a lease that ends without word becomes `unknown`, which nobody sends again by itself.
So a crash leaves in doubt what was under way in a call, and nothing else (bot/docs/reliability.md S7, O5).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Literal

from sqlalchemy import Integer, and_, exists, func, or_, select, update
from sqlmodel import Session

from bot.domain.times import day_of, start_of
from bot.storage.db.query import Query, bind, table
from bot.storage.system import switches
from bot.storage.tables.campaign import CampaignRow
from bot.storage.tables.columns import MomentType
from bot.storage.tables.delivery import DeliveryRow
from bot.storage.tables.system import SwitchRow

MAX_TRIES = 8
MIN_RETRY_PERIOD = timedelta(hours=6)
"""Something that fails for now is given up after so many tries, and not before so long."""
MAX_RETRY_SECONDS = 1800.0

_deliveries, _campaigns, _switches = table(DeliveryRow), table(CampaignRow), table(SwitchRow)
_other, _its_campaign = _deliveries.alias("other"), _campaigns.alias("its_campaign")

# The campaigns whose deliveries wait, and the emergency switch; asked in the statement itself, so that there is no moment between.
_MAY_GO = and_(
    _deliveries.c.campaign_id.not_in(select(_campaigns.c.id).where(_campaigns.c.state.in_(("paused", "stopped")))),
    ~exists().where(_switches.c.name == switches.PAUSED, _switches.c.is_on == 1),
)
# Two replicas that plan at the same moment do not see each other's reminder; whoever begins does (bot/services/delivery/send.py: one at a time).
_ONCE_A_DAY = or_(
    _deliveries.c.campaign_id.not_in(select(_campaigns.c.id).where(_campaigns.c.kind == "reminder")),
    ~exists().where(
        _other.c.person_id == _deliveries.c.person_id,
        _other.c.id != _deliveries.c.id,
        _other.c.state.in_(("sent", "sending", "unknown")),
        _its_campaign.c.id == _other.c.campaign_id,
        _its_campaign.c.kind == "reminder",
        _other.c.created_at >= bind("yesterday"),
        func.coalesce(_other.c.sent_at, _other.c.lease_until, _other.c.created_at) >= bind("today"),
    ),
)
_due = (
    select(_deliveries.c.id)
    .where(_deliveries.c.state == "queued", _deliveries.c.not_before <= bind("now"), _MAY_GO)
    .order_by(_deliveries.c.not_before, _deliveries.c.id)
    .limit(bind("limit", Integer))
    .with_for_update(skip_locked=True, of=_deliveries)
    .cte("due")
    .prefix_with("MATERIALIZED")
)
_QUEUED = ("id", "campaign_id", "occurrence_id", "person_id", "tries", "created_at")
_OWN = and_(_deliveries.c.state == "queued", _deliveries.c.holder == bind("own"))
_THESE = _deliveries.c.id.in_(bind("ids"))
_BEGIN = Query(
    update(_deliveries)
    .where(_THESE, _OWN, _MAY_GO, _ONCE_A_DAY)
    .values(state="sending", lease_until=bind("until"), channel=bind("via"), tries=_deliveries.c.tries + 1)
    .returning(_deliveries.c.id),
    gives=int,
)
_SETTLE = Query(
    update(_deliveries)
    .where(_THESE, _deliveries.c.holder == bind("own"), _deliveries.c.state.in_(("sending", "unknown")))
    .values(
        state=bind("became"),
        sent_at=bind("sent"),
        platform_id=bind("platform"),
        error=bind("reason"),
        lease_until=None,
        not_before=func.coalesce(bind("again", MomentType), _deliveries.c.not_before),
        tries=_deliveries.c.tries - bind("untried", Integer),
        holder=bind("kept_by"),
    )
)
_SKIP = Query(update(_deliveries).where(_THESE, _OWN).values(state="skipped", error=bind("reason")))
_PUT_OFF = Query(update(_deliveries).where(_THESE, _OWN).values(not_before=bind("until"), error=bind("reason"), holder=""))
_RELEASE = Query(update(_deliveries).where(_OWN, _deliveries.c.not_before > bind("now")).values(not_before=bind("now"), holder=""))
_SWEEP = Query(
    update(_deliveries)
    .where(_deliveries.c.state == "sending", _deliveries.c.lease_until <= bind("now"))
    .values(state="unknown", lease_until=None, error="lease: nobody knows whether it arrived")
)
_WAITING = Query(select(func.count(), func.min(_deliveries.c.not_before)).where(_deliveries.c.state == "queued"), gives=tuple[int, datetime | None])
_SENDING = Query(select(func.count()).select_from(_deliveries).where(_deliveries.c.state == "sending"), gives=int)


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


_CLAIM = Query(
    update(_deliveries)
    .where(_deliveries.c.id.in_(select(_due.c.id)))
    .values(holder=bind("claimed_by"), not_before=bind("until"))
    .returning(*(_deliveries.c[name] for name in _QUEUED)),
    gives=QueuedDelivery,
)


def claim(session: Session, holder: str, now: datetime, limit: int, lease_seconds: float) -> list[QueuedDelivery]:
    """Reserve what is due for `holder`, oldest first; what another replica is just reserving is passed over."""
    claimed = _CLAIM.all(session, claimed_by=holder, now=now, until=now + timedelta(seconds=lease_seconds), limit=limit)
    return sorted(claimed, key=attrgetter("id"))


def begin(session: Session, ids: Collection[int], holder: str, channel: str, now: datetime, lease_seconds: float) -> set[int]:
    """Those that are still this holder's and may still go, a reminder only as the first of its day: from the commit on they may have arrived."""
    if not ids:
        return set()
    morning = start_of(day_of(now))
    until = now + timedelta(seconds=lease_seconds)
    return set(_BEGIN.all(session, ids=ids, own=holder, via=channel, until=until, today=morning, yesterday=morning - timedelta(days=1)))


def settle(session: Session, results: Iterable[SendResult], holder: str, now: datetime) -> None:
    """Write down what became of them. A word that comes after the lease still counts: it is better than not knowing."""
    alike: dict[tuple[str, str, str, datetime | None, bool], list[int]] = {}
    for result in results:
        alike.setdefault((result.state, result.error, result.platform_id, result.not_before, result.counted), []).append(result.id)
    for (state, error, platform_id, not_before, counted), ids in alike.items():
        _SETTLE.run(
            session,
            ids=ids,
            own=holder,
            kept_by="" if state == "queued" else holder,
            became=state,
            sent=now if state == "sent" else None,
            platform=platform_id,
            reason=error[:500],
            again=not_before,
            untried=0 if counted else 1,
        )


def skip(session: Session, reasons: Iterable[tuple[int, str]], holder: str) -> None:
    """They need not be sent any more, each for its reason."""
    alike: dict[str, list[int]] = {}
    for delivery_id, reason in reasons:
        alike.setdefault(reason, []).append(delivery_id)
    for reason, ids in alike.items():
        _SKIP.run(session, ids=ids, own=holder, reason=reason)


def put_off(session: Session, postponed: Iterable[tuple[int, datetime, str]], holder: str) -> None:
    """Not now: each may be claimed again, by anybody, from its moment on."""
    alike: dict[tuple[datetime, str], list[int]] = {}
    for delivery_id, not_before, reason in postponed:
        alike.setdefault((not_before, reason), []).append(delivery_id)
    for (until, reason), ids in alike.items():
        _PUT_OFF.run(session, ids=ids, own=holder, until=until, reason=reason)


def release(session: Session, holder: str, now: datetime) -> int:
    """Give back what was reserved and not begun, at the end of a holder's life."""
    return _RELEASE.run(session, own=holder, now=now)


def expire_leases(session: Session, now: datetime) -> int:
    """How many leases ended without word; nobody sends those again by itself."""
    return _SWEEP.run(session, now=now)


def retry_at(tries: int, created_at: datetime, now: datetime, retry_after: float | None) -> datetime | None:
    """When to try again what surely did not arrive; None to give it up."""
    if tries >= MAX_TRIES and now - created_at >= MIN_RETRY_PERIOD:
        return None
    return now + timedelta(seconds=max(retry_after or 0.0, min(5.0 * 2 ** min(tries, 16), MAX_RETRY_SECONDS)))


def queue_depth(session: Session) -> tuple[int, datetime | None, int]:
    """How many are queued, since when the oldest has been due, how many are under way."""
    return *_WAITING.one(session), _SENDING.one(session)
