"""What people answer to a delivery: that they have read it, what they choose in a poll."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlmodel import Session

from bot.storage.sql import Sql
from bot.storage.tables import stamp

_READ = Sql("UPDATE delivery SET read_at = :at WHERE occurrence_id = :id AND person_id = :person_id AND read_at IS NULL")
_MINE = Sql("SELECT state, read_at FROM delivery WHERE occurrence_id = :id AND person_id = :person_id")
_RECEIPTS = Sql("SELECT COUNT(*) FROM delivery WHERE occurrence_id = :id AND read_at IS NOT NULL")
_VOTE = Sql("INSERT INTO vote (occurrence_id, person_id, choice, voted_at) VALUES (:id, :person_id, :choice, :at) ON CONFLICT DO NOTHING")
_VOTED = Sql("SELECT choice FROM vote WHERE occurrence_id = :id AND person_id = :person_id")
_VOTES = Sql("SELECT choice, COUNT(*) FROM vote WHERE occurrence_id = :id GROUP BY choice")


def read(session: Session, occurrence_id: int, person_id: int, at: datetime) -> bool | None:
    """True for the first 已阅, False for one after, None from somebody to whom it was not addressed."""
    if _MINE.one(session, id=occurrence_id, person_id=person_id) is None:
        return None
    return _READ.run(session, id=occurrence_id, person_id=person_id, at=stamp(at)) == 1


def receipts(session: Session, occurrence_id: int) -> int:
    return int(_RECEIPTS.one(session, id=occurrence_id)[0])


def vote(session: Session, occurrence_id: int, person_id: int, choice: str, at: datetime) -> str | None:
    """The choice that stands: the first one; None from somebody who was not asked."""
    if _MINE.one(session, id=occurrence_id, person_id=person_id) is None:
        return None
    _VOTE.run(session, id=occurrence_id, person_id=person_id, choice=choice, at=stamp(at))
    return str(_VOTED.one(session, id=occurrence_id, person_id=person_id)[0])


def votes(session: Session, occurrence_id: int) -> Counter[str]:
    return Counter({row[0]: int(row[1]) for row in _VOTES.all(session, id=occurrence_id)})
