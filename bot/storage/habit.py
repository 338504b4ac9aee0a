"""The daily sets a person finished."""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Session

from bot.storage.sql import Sql
from bot.storage.tables import moment

_SETS = Sql(
    """SELECT scope, closed_at FROM sitting
       WHERE person_id = :person_id AND kind = 'daily' AND scope >= :since AND state = 'done' ORDER BY scope"""
)


def daily_sets(session: Session, person_id: int, since: date) -> list[tuple[date, datetime]]:
    """(the day whose set it is, when it was finished) of the sets since a day."""
    return [(date.fromisoformat(row[0]), moment(row[1])) for row in _SETS.all(session, person_id=person_id, since=since.isoformat())]
