"""What became of deliveries: counts, reasons, export and recall, what WeChat tells afterwards; and what people answered, 已阅 and votes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Text, and_, case, func, select, type_coerce, update
from sqlmodel import Session

from bot.domain.times import day_of
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.campaign import CampaignRow, OccurrenceRow
from bot.storage.tables.delivery import DeliveryRow, VoteRow
from bot.storage.tables.people import PersonRow
from bot.storage.tables.system import TallyRow

MAX_NAMED = 500
RECALL_WITHIN = timedelta(hours=24)
"""WeCom and DingTalk take back for a day (bot/docs/protocols.md#wecom-send, #dingtalk-notification)."""

_campaigns, _deliveries, _occurrences = table(CampaignRow), table(DeliveryRow), table(OccurrenceRow)
_people, _tallies, _votes = table(PersonRow), table(TallyRow), table(VoteRow)

_OF = _deliveries.c.occurrence_id == bind("occurrence_id")
_LAST = Query(
    select(_campaigns.c.name, _occurrences.c.id, _occurrences.c.due)
    .join_from(_campaigns, _occurrences, and_(_occurrences.c.campaign_id == _campaigns.c.id, _occurrences.c.state != "missed"), isouter=True)
    .where(_campaigns.c.id == bind("campaign_id"))
    .order_by(_occurrences.c.due.desc())
    .limit(1),
    gives=tuple[str, int | None, datetime | None],
)
_COUNTS = Query(select(_deliveries.c.state, func.count()).where(_OF).group_by(_deliveries.c.state), gives=tuple[str, int])
_REASONS = Query(
    select(_deliveries.c.state, _deliveries.c.error, func.count())
    .where(_OF, _deliveries.c.error != "", _deliveries.c.state != "sent")
    .group_by(_deliveries.c.state, _deliveries.c.error)
    .order_by(func.count().desc(), _deliveries.c.state, _deliveries.c.error)
    .limit(50),
    gives=tuple[str, str, int],
)
_TAKE_BACK = Query(
    update(_deliveries)
    .where(
        _deliveries.c.state == "sent",
        _deliveries.c.error.not_like("撤回%"),
        _deliveries.c.error.not_like("已撤回%"),
        _deliveries.c.sent_at >= bind("since"),
        _deliveries.c.occurrence_id.in_(select(_occurrences.c.id).where(_occurrences.c.state == "void", _occurrences.c.fired_at >= bind("since"))),
    )
    .values(error="撤回中")
    .returning(_deliveries.c.id, _deliveries.c.channel, _deliveries.c.platform_id),
    gives=tuple[int, str, str],
)
_NOTE = Query(update(_deliveries).where(_deliveries.c.id == bind("delivery_id"), _deliveries.c.state == "sent").values(error=bind("note")))
_EXPORT = Query(
    select(
        _deliveries.c.id,
        _deliveries.c.campaign_id.label("campaign"),
        _deliveries.c.occurrence_id.label("occurrence"),
        _people.c.staff_no,
        _deliveries.c.channel,
        # What is under way may have arrived: for whoever reads the lines that is as good as not knowing.
        case((_deliveries.c.state == "sending", "unknown"), else_=_deliveries.c.state).label("state"),
        _deliveries.c.tries,
        type_coerce(_deliveries.c.created_at, Text).label("created_at"),
        type_coerce(_deliveries.c.sent_at, Text).label("sent_at"),
        _deliveries.c.error,
    )
    .join(_people, _people.c.id == _deliveries.c.person_id)
    .where(_deliveries.c.created_at >= bind("since", Text), _deliveries.c.created_at < bind("until", Text))
    .order_by(_deliveries.c.created_at, _deliveries.c.id),
    gives=dict[str, Any],
)
_MARK_FAILED = Query(
    update(_deliveries)
    .where(
        _deliveries.c.channel == bind("of_channel"),
        _deliveries.c.platform_id == bind("platform"),
        _deliveries.c.state == "sent",
        _deliveries.c.sent_at >= bind("since"),
    )
    .values(state="failed", error=bind("reason"))
)
_ADDED = insert(_tallies).values(binds("day", "what", "n"))
_COUNT = Query(_ADDED.on_conflict_do_update(index_elements=["day", "what"], set_={"n": _tallies.c.n + _ADDED.excluded.n}))


@dataclass(frozen=True, slots=True)
class MissedPerson:
    """Somebody who was not reached, or of whom nobody knows."""

    staff_no: str
    name: str
    state: str
    channel: str
    error: str


_MISSED = Query(
    select(*columns(_deliveries, MissedPerson, staff_no=_people.c.staff_no, name=_people.c.name))
    .join(_people, _people.c.id == _deliveries.c.person_id)
    .where(_OF, _deliveries.c.state.in_(("failed", "unknown")))
    .order_by(_deliveries.c.state, _people.c.staff_no)
    .limit(MAX_NAMED),
    gives=MissedPerson,
)


def last_occurrence(session: Session, campaign_id: int) -> tuple[str, int | None, datetime | None] | None:
    """A campaign's name and the last time it went out; None for an unknown campaign."""
    return _LAST.first(session, campaign_id=campaign_id)


def count_by_state(session: Session, occurrence_id: int) -> dict[str, int]:
    """Deliveries of an occurrence by state."""
    return dict(_COUNTS.all(session, occurrence_id=occurrence_id))


def count_reasons(session: Session, occurrence_id: int) -> list[tuple[str, str, int]]:
    """(state, reason, how many), the most frequent first."""
    return _REASONS.all(session, occurrence_id=occurrence_id)


def missed_people(session: Session, occurrence_id: int) -> list[MissedPerson]:
    """Those who were not reached, by name; the first few hundred."""
    return _MISSED.all(session, occurrence_id=occurrence_id)


def claim_recalls(session: Session, now: datetime) -> list[tuple[int, str, str]]:
    """(delivery, channel, the platform's id) of what went out in occurrences that are void; each is given to one caller only."""
    return _TAKE_BACK.all(session, since=now - RECALL_WITHIN)


def write_notes(session: Session, notes: Mapping[int, str]) -> None:
    """A word beside each delivery that went out."""
    _NOTE.many(session, [{"delivery_id": delivery_id, "note": note[:500]} for delivery_id, note in notes.items()])


def mark_failed(session: Session, channel: str, platform_id: str, error: str, since: datetime) -> int:
    """Mark what was sent since then under this id as failed after all; how many rows that were."""
    return _MARK_FAILED.run(session, of_channel=channel, platform=platform_id, reason=error, since=since)


def count_public(session: Session, subject: str, count: int, now: datetime) -> None:
    """Numbers of the public side, which belong to nobody on the roll (bot/docs/rules.md A27)."""
    if count:
        _COUNT.run(session, day=day_of(now), what=subject, n=count)


def export_lines(session: Session, between: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Each delivery with the fields of the operator's contract."""
    return _EXPORT.stream(session, **between)


# ── What people answered ──

_MINE = and_(_OF, _deliveries.c.person_id == bind("addressee"))
_READ = Query(update(_deliveries).where(_MINE, _deliveries.c.read_at.is_(None)).values(read_at=bind("at")))
_IS_MINE = Query(select(_deliveries.c.id).where(_MINE), gives=int)
_RECEIPTS = Query(select(func.count()).select_from(_deliveries).where(_OF, _deliveries.c.read_at.is_not(None)), gives=int)
_VOTE = Query(insert(_votes).values(binds("occurrence_id", "person_id", "choice", "voted_at")).on_conflict_do_nothing())
_VOTED = Query(select(_votes.c.choice).where(_votes.c.occurrence_id == bind("occurrence_id"), _votes.c.person_id == bind("person_id")), gives=str)
_VOTES = Query(
    select(_votes.c.choice, func.count()).where(_votes.c.occurrence_id == bind("occurrence_id")).group_by(_votes.c.choice), gives=tuple[str, int]
)


def mark_read(session: Session, occurrence_id: int, person_id: int, at: datetime) -> bool | None:
    """True for the first 已阅, False for one after, None from somebody to whom it was not addressed."""
    if _IS_MINE.first(session, occurrence_id=occurrence_id, addressee=person_id) is None:
        return None
    return _READ.run(session, occurrence_id=occurrence_id, addressee=person_id, at=at) == 1


def count_receipts(session: Session, occurrence_id: int) -> int:
    return _RECEIPTS.one(session, occurrence_id=occurrence_id)


def vote(session: Session, occurrence_id: int, person_id: int, choice: str, at: datetime) -> str | None:
    """The choice that stands: the first one; None from somebody who was not asked."""
    if _IS_MINE.first(session, occurrence_id=occurrence_id, addressee=person_id) is None:
        return None
    _VOTE.run(session, occurrence_id=occurrence_id, person_id=person_id, choice=choice, voted_at=at)
    return _VOTED.one(session, occurrence_id=occurrence_id, person_id=person_id)


def count_votes(session: Session, occurrence_id: int) -> Counter[str]:
    return Counter(dict(_VOTES.all(session, occurrence_id=occurrence_id)))
