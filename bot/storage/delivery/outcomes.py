"""What became of deliveries: counts, reasons, export and recall; and what people answered to them, 已阅 and votes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.storage.db.query import Statement, stream
from bot.storage.tables.columns import moment, stamp

MAX_NAMED = 500
RECALL_WITHIN = timedelta(hours=24)
"""WeCom and DingTalk take back for a day (bot/docs/protocols.md#wecom-send, #dingtalk-notification)."""

_LAST = Statement(
    """SELECT c.name, o.id, o.due FROM campaign c LEFT JOIN occurrence o ON o.campaign_id = c.id AND o.state <> 'missed'
       WHERE c.id = :id ORDER BY o.due DESC LIMIT 1"""
)
_COUNTS = Statement("SELECT state, COUNT(*) FROM delivery WHERE occurrence_id = :id GROUP BY state")
_REASONS = Statement(
    """SELECT state, error, COUNT(*) FROM delivery WHERE occurrence_id = :id AND error <> '' AND state <> 'sent'
       GROUP BY state, error ORDER BY COUNT(*) DESC, state, error LIMIT 50"""
)
_MISSED = Statement(
    """SELECT p.staff_no, p.name, d.state, d.channel, d.error FROM delivery d JOIN person p ON p.id = d.person_id
       WHERE d.occurrence_id = :id AND d.state IN ('failed', 'unknown') ORDER BY d.state, p.staff_no LIMIT :n"""
)
_TAKE_BACK = Statement(
    """UPDATE delivery SET error = '撤回中' WHERE state = 'sent' AND error NOT LIKE '撤回%' AND error NOT LIKE '已撤回%'
           AND sent_at >= :since AND occurrence_id IN (SELECT id FROM occurrence WHERE state = 'void' AND fired_at >= :since)
       RETURNING id, channel, platform_id"""
)
_NOTE = Statement("UPDATE delivery SET error = :error WHERE id = :id AND state = 'sent'")
# What is under way may have arrived: for whoever reads the lines that is as good as not knowing.
_EXPORT = """SELECT d.id, d.campaign_id, d.occurrence_id, p.staff_no, d.channel, CASE d.state WHEN 'sending' THEN 'unknown' ELSE d.state END,
                    d.tries, d.created_at, d.sent_at, d.error
             FROM delivery d JOIN person p ON p.id = d.person_id
             WHERE d.created_at >= :since AND d.created_at < :until ORDER BY d.created_at, d.id"""
FIELDS = ("id", "campaign", "occurrence", "staff_no", "channel", "state", "tries", "created_at", "sent_at", "error")


@dataclass(frozen=True, slots=True)
class MissedPerson:
    """Somebody who was not reached, or of whom nobody knows."""

    staff_no: str
    name: str
    state: str
    channel: str
    error: str


def last_occurrence(session: Session, campaign_id: int) -> tuple[str, int | None, datetime | None] | None:
    """A campaign's name and the last time it went out; None for an unknown campaign."""
    row = _LAST.one(session, id=campaign_id)
    return None if row is None else (row[0], row[1], None if row[2] is None else moment(row[2]))


def count_by_state(session: Session, occurrence_id: int) -> dict[str, int]:
    """Deliveries of an occurrence by state."""
    return {row[0]: int(row[1]) for row in _COUNTS.all(session, id=occurrence_id)}


def count_reasons(session: Session, occurrence_id: int) -> list[tuple[str, str, int]]:
    """(state, reason, how many), the most frequent first."""
    return [(row[0], row[1], int(row[2])) for row in _REASONS.all(session, id=occurrence_id)]


def missed_people(session: Session, occurrence_id: int) -> list[MissedPerson]:
    """Those who were not reached, by name; the first few hundred."""
    return [MissedPerson(*row) for row in _MISSED.all(session, id=occurrence_id, n=MAX_NAMED)]


def claim_recalls(session: Session, now: datetime) -> list[tuple[int, str, str]]:
    """(delivery, channel, the platform's id) of what went out in occurrences that are void; each is given to one caller only."""
    return [tuple(row) for row in _TAKE_BACK.all(session, since=stamp(now - RECALL_WITHIN))]


def write_notes(session: Session, notes: Mapping[int, str]) -> None:
    """A word beside each delivery that went out."""
    _NOTE.many(session, [{"id": delivery_id, "error": note[:500]} for delivery_id, note in notes.items()])


def export_lines(session: Session, between: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Each delivery with the fields of the operator's contract."""
    for row in stream(session, _EXPORT, between):
        yield dict(zip(FIELDS, row, strict=True))


_READ = Statement("UPDATE delivery SET read_at = :at WHERE occurrence_id = :id AND person_id = :person_id AND read_at IS NULL")
_MINE = Statement("SELECT state, read_at FROM delivery WHERE occurrence_id = :id AND person_id = :person_id")
_RECEIPTS = Statement("SELECT COUNT(*) FROM delivery WHERE occurrence_id = :id AND read_at IS NOT NULL")
_VOTE = Statement("INSERT INTO vote (occurrence_id, person_id, choice, voted_at) VALUES (:id, :person_id, :choice, :at) ON CONFLICT DO NOTHING")
_VOTED = Statement("SELECT choice FROM vote WHERE occurrence_id = :id AND person_id = :person_id")
_VOTES = Statement("SELECT choice, COUNT(*) FROM vote WHERE occurrence_id = :id GROUP BY choice")


def mark_read(session: Session, occurrence_id: int, person_id: int, at: datetime) -> bool | None:
    """True for the first 已阅, False for one after, None from somebody to whom it was not addressed."""
    if _MINE.one(session, id=occurrence_id, person_id=person_id) is None:
        return None
    return _READ.run(session, id=occurrence_id, person_id=person_id, at=stamp(at)) == 1


def count_receipts(session: Session, occurrence_id: int) -> int:
    return int(_RECEIPTS.one(session, id=occurrence_id)[0])


def vote(session: Session, occurrence_id: int, person_id: int, choice: str, at: datetime) -> str | None:
    """The choice that stands: the first one; None from somebody who was not asked."""
    if _MINE.one(session, id=occurrence_id, person_id=person_id) is None:
        return None
    _VOTE.run(session, id=occurrence_id, person_id=person_id, choice=choice, at=stamp(at))
    return str(_VOTED.one(session, id=occurrence_id, person_id=person_id)[0])


def count_votes(session: Session, occurrence_id: int) -> Counter[str]:
    return Counter({row[0]: int(row[1]) for row in _VOTES.all(session, id=occurrence_id)})
