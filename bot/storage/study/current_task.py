"""The task in hand of each person, as a row: which kind, and which reading or sitting."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import stamp

_FOCUS = Statement("SELECT kind, ref FROM focus WHERE person_id = :person_id")
_SET_FOCUS = Statement(
    """INSERT INTO focus (person_id, kind, ref, since) VALUES (:person_id, :kind, :ref, :since)
       ON CONFLICT (person_id) DO UPDATE SET kind = excluded.kind, ref = excluded.ref, since = excluded.since"""
)
_DROP_FOCUS = Statement("DELETE FROM focus WHERE person_id = :person_id")


def focus(session: Session, person_id: int) -> tuple[str, int] | None:
    """The task in hand: (its kind as bot/domain/study/sitting.py has it, the row's id), or None."""
    row = _FOCUS.one(session, person_id=person_id)
    return None if row is None else (row[0], row[1])


def set_focus(session: Session, person_id: int, kind: str, ref: int, at: datetime) -> None:
    _SET_FOCUS.run(session, person_id=person_id, kind=kind, ref=ref, since=stamp(at))


def drop_focus(session: Session, person_id: int) -> None:
    _DROP_FOCUS.run(session, person_id=person_id)
