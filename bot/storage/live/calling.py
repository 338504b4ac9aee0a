"""Calls to everybody's phone: claimed by a row, made once, counted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.storage.sql import Sql
from bot.storage.tables import moment, stamp

_CLAIMED = Sql("SELECT 1 FROM live_call WHERE contest_id = :id AND n = :n AND what = :what")
_CLAIM = Sql(
    """INSERT INTO live_call (contest_id, n, what, holder, began_at, people, sent, failed) VALUES (:id, :n, :what, :holder, :at, 0, 0, 0)
       ON CONFLICT DO NOTHING"""
)
_DONE = Sql(
    """UPDATE live_call SET ended_at = :at, people = :people, sent = :sent, failed = :failed WHERE contest_id = :id AND n = :n AND what = :what"""
)
_LAST = Sql("SELECT n, what, began_at, ended_at, people, sent, failed FROM live_call WHERE contest_id = :id ORDER BY began_at DESC LIMIT 1")
_PEOPLE = Sql("SELECT person_id FROM participation WHERE contest_id = :id ORDER BY person_id")
_OF_TEAM = Sql("SELECT person_id FROM team_member WHERE contest_id = :id AND team_id = :team_id ORDER BY person_id")


def is_claimed(session: Session, contest_id: int, n: int, what: str) -> bool:
    return _CLAIMED.one(session, id=contest_id, n=n, what=what) is not None


def claim(session: Session, contest_id: int, n: int, what: str, holder: str, at: datetime) -> bool:
    """True for the one replica that makes this call."""
    return _CLAIM.run(session, id=contest_id, n=n, what=what, holder=holder, at=stamp(at)) == 1


def done(session: Session, contest_id: int, n: int, what: str, at: datetime, people: int, sent: int, failed: int) -> None:
    _DONE.run(session, id=contest_id, n=n, what=what, at=stamp(at), people=people, sent=sent, failed=failed)


def last(session: Session, contest_id: int) -> dict[str, Any] | None:
    """The last call of a contest as a page shows it; milliseconds from its beginning to its end."""
    row = _LAST.one(session, id=contest_id)
    if row is None:
        return None
    took = None if row[3] is None else round((moment(row[3]) - moment(row[2])).total_seconds() * 1000)
    return {"n": row[0], "what": row[1], "took": took, "people": row[4], "sent": row[5], "failed": row[6]}


def people(session: Session, contest_id: int, team_id: int | None = None) -> list[int]:
    """Everybody who takes part, or the members of one team."""
    if team_id is not None:
        return [row[0] for row in _OF_TEAM.all(session, id=contest_id, team_id=team_id)]
    return [row[0] for row in _PEOPLE.all(session, id=contest_id)]
