"""Rows of one-time links and of the visits (web sessions) they open, keyed by the hash of a secret that the browser holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, select, update
from sqlmodel import Session

from bot.domain.message import Address
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.system import LinkRow, VisitRow

_links, _visits = table(LinkRow), table(VisitRow)


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


_IS_UNSPENT = (_links.c.used_at.is_(None), _links.c.expires_at > bind("now"))
_IS_GOOD = (_links.c.hash == bind("hash"), _links.c.purpose == bind("purpose"), *_IS_UNSPENT)
_ADD = Query(insert(_links).values(binds("hash", "purpose", "ref", "person_id", "channel", "user", "made_at", "expires_at")))
_GOOD = Query(select(_links.c.id).where(*_IS_GOOD), gives=int)
_SPEND = Query(update(_links).where(*_IS_GOOD).values(used_at=bind("now")).returning(*columns(_links, SpentLink)), gives=SpentLink)
_BEGIN = Query(
    insert(_visits).values(binds("link_id", "hash", "expires_at") | {"began_at": bind("now"), "seen_at": bind("now")}).returning(_visits.c.id),
    gives=int,
)
_VISIT = Query(
    select(*columns(_links, OpenVisit, id=_visits.c.id, seen_at=_visits.c.seen_at, expires_at=_visits.c.expires_at))
    .join_from(_visits, _links, _links.c.id == _visits.c.link_id)
    .where(_visits.c.hash == bind("hash"), _links.c.purpose == bind("purpose"), _visits.c.ended_at.is_(None), _visits.c.expires_at > bind("now")),
    gives=OpenVisit,
)
_TOUCH = Query(update(_visits).values(seen_at=bind("now")).where(_visits.c.id == bind("id"), _visits.c.seen_at < bind("now")))
_END = Query(update(_visits).values(ended_at=bind("now")).where(_visits.c.id == bind("id"), _visits.c.ended_at.is_(None)))
_END_ALL = Query(
    update(_visits)
    .values(ended_at=bind("now"))
    .where(_visits.c.ended_at.is_(None), _visits.c.link_id.in_(select(_links.c.id).where(_links.c.person_id == bind("person_id"))))
)
_EXPIRE_ALL = Query(update(_links).values(expires_at=bind("now")).where(_links.c.person_id == bind("person_id"), *_IS_UNSPENT))
_FORGET_VISITS = Query(delete(_visits).where(_visits.c.expires_at < bind("before")))
_FORGET_LINKS = Query(delete(_links).where(_links.c.expires_at < bind("before"), ~exists().where(_visits.c.link_id == _links.c.id)))


def add(session: Session, digest: str, purpose: str, ref: str, person_id: int, to: Address, now: datetime, expires_at: datetime) -> None:
    _ADD.run(
        session,
        hash=digest,
        purpose=purpose,
        ref=ref,
        person_id=person_id,
        channel=to.channel,
        user=to.user,
        made_at=now,
        expires_at=expires_at,
    )


def is_unspent(session: Session, digest: str, purpose: str, now: datetime) -> bool:
    """True while the link can still be opened."""
    return _GOOD.first(session, hash=digest, purpose=purpose, now=now) is not None


def spend(session: Session, digest: str, purpose: str, now: datetime) -> SpentLink | None:
    """The link, for the one caller that opens it; None for every later caller, and for an expired or unknown link."""
    return _SPEND.first(session, hash=digest, purpose=purpose, now=now)


def begin_visit(session: Session, link_id: int, digest: str, now: datetime, expires_at: datetime) -> int:
    return _BEGIN.one(session, link_id=link_id, hash=digest, now=now, expires_at=expires_at)


def open_visit(session: Session, digest: str, purpose: str, now: datetime) -> OpenVisit | None:
    return _VISIT.first(session, hash=digest, purpose=purpose, now=now)


def touch_visit(session: Session, visit_id: int, now: datetime) -> None:
    """Record activity in the visit."""
    _TOUCH.run(session, id=visit_id, now=now)


def end_visit(session: Session, visit_id: int, now: datetime) -> bool:
    """True for the one caller that ended the visit."""
    return _END.run(session, id=visit_id, now=now) == 1


def end_visits_of(session: Session, person_id: int, now: datetime) -> int:
    """End every visit of a person and expire their unopened links; the number of visits."""
    _EXPIRE_ALL.run(session, person_id=person_id, now=now)
    return _END_ALL.run(session, person_id=person_id, now=now)


def forget(session: Session, before: datetime) -> int:
    """Delete visits and links that expired before a moment; the number of links."""
    _FORGET_VISITS.run(session, before=before)
    return _FORGET_LINKS.run(session, before=before)
