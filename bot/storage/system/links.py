"""Rows of one-time links and of the visits (web sessions) they open, keyed by the hash of a secret that the browser holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.message import Address
from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_ADD = Statement(
    """INSERT INTO link (hash, purpose, ref, person_id, channel, "user", made_at, expires_at, used_at)
       VALUES (:hash, :purpose, :ref, :person_id, :channel, :user, :at, :expires_at, NULL)"""
)
_IS_GOOD = Statement("SELECT 1 FROM link WHERE hash = :hash AND purpose = :purpose AND used_at IS NULL AND expires_at > :now")
_SPEND = Statement(
    """UPDATE link SET used_at = :now WHERE hash = :hash AND purpose = :purpose AND used_at IS NULL AND expires_at > :now
       RETURNING id, ref, person_id, channel, "user\""""
)
_BEGIN = Statement(
    """INSERT INTO visit (link_id, hash, began_at, seen_at, expires_at, ended_at) VALUES (:link_id, :hash, :now, :now, :expires_at, NULL)
       RETURNING id"""
)
_VISIT = Statement(
    """SELECT v.id, l.ref, l.person_id, l.channel, l."user", v.seen_at, v.expires_at FROM visit v JOIN link l ON l.id = v.link_id
       WHERE v.hash = :hash AND l.purpose = :purpose AND v.ended_at IS NULL AND v.expires_at > :now"""
)
_TOUCH = Statement("UPDATE visit SET seen_at = :now WHERE id = :id AND seen_at < :now")
_END = Statement("UPDATE visit SET ended_at = :now WHERE id = :id AND ended_at IS NULL")
_END_ALL = Statement("UPDATE visit SET ended_at = :now WHERE ended_at IS NULL AND link_id IN (SELECT id FROM link WHERE person_id = :person_id)")
_EXPIRE_ALL = Statement("UPDATE link SET expires_at = :now WHERE person_id = :person_id AND used_at IS NULL AND expires_at > :now")
_FORGET_VISITS = Statement("DELETE FROM visit WHERE expires_at < :before")
_FORGET_LINKS = Statement("DELETE FROM link WHERE expires_at < :before AND NOT EXISTS (SELECT 1 FROM visit v WHERE v.link_id = link.id)")


@dataclass(frozen=True, slots=True)
class SpentLink:
    """A link that was just opened: its row, what it is bound to, and the account it was sent to."""

    id: int
    ref: str
    person_id: int
    channel: str
    user: str


@dataclass(frozen=True, slots=True)
class OpenVisit:
    """A visit that has not ended."""

    id: int
    ref: str
    person_id: int
    channel: str
    user: str
    seen_at: datetime
    expires_at: datetime


def add(session: Session, digest: str, purpose: str, ref: str, person_id: int, to: Address, now: datetime, expires_at: datetime) -> None:
    _ADD.run(
        session,
        hash=digest,
        purpose=purpose,
        ref=ref,
        person_id=person_id,
        channel=to.channel,
        user=to.user,
        at=stamp(now),
        expires_at=stamp(expires_at),
    )


def is_unspent(session: Session, digest: str, purpose: str, now: datetime) -> bool:
    """True while the link can still be opened."""
    return _IS_GOOD.one(session, hash=digest, purpose=purpose, now=stamp(now)) is not None


def spend(session: Session, digest: str, purpose: str, now: datetime) -> SpentLink | None:
    """The link, for the one caller that opens it; None for every later caller, and for an expired or unknown link."""
    row = _SPEND.one(session, hash=digest, purpose=purpose, now=stamp(now))
    return None if row is None else SpentLink(*row)


def begin_visit(session: Session, link_id: int, digest: str, now: datetime, expires_at: datetime) -> int:
    return int(_BEGIN.one(session, link_id=link_id, hash=digest, now=stamp(now), expires_at=stamp(expires_at))[0])


def open_visit(session: Session, digest: str, purpose: str, now: datetime) -> OpenVisit | None:
    row = _VISIT.one(session, hash=digest, purpose=purpose, now=stamp(now))
    return None if row is None else OpenVisit(row[0], row[1], row[2], row[3], row[4], moment(row[5]), moment(row[6]))


def touch_visit(session: Session, visit_id: int, now: datetime) -> None:
    """Record activity in the visit."""
    _TOUCH.run(session, id=visit_id, now=stamp(now))


def end_visit(session: Session, visit_id: int, now: datetime) -> bool:
    """True for the one caller that ended the visit."""
    return _END.run(session, id=visit_id, now=stamp(now)) == 1


def end_visits_of(session: Session, person_id: int, now: datetime) -> int:
    """End every visit of a person and expire their unopened links; the number of visits."""
    _EXPIRE_ALL.run(session, person_id=person_id, now=stamp(now))
    return _END_ALL.run(session, person_id=person_id, now=stamp(now))


def forget(session: Session, before: datetime) -> int:
    """Delete visits and links that expired before a moment; the number of links."""
    _FORGET_VISITS.run(session, before=stamp(before))
    return _FORGET_LINKS.run(session, before=stamp(before))
