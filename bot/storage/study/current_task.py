"""The task in hand of each person, as a row: which kind, and which reading or sitting."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlmodel import Session

from bot.storage.db.query import Query, bind, binds, insert, replacing, table
from bot.storage.tables.study import FocusRow

_focus = table(FocusRow)

_FOCUS = Query(select(_focus.c.kind, _focus.c.ref).where(_focus.c.person_id == bind("person_id")), gives=tuple[str, int])
_SET_FOCUS = Query(replacing(insert(_focus).values(binds("person_id", "kind", "ref", "since")), ["person_id"], "kind", "ref", "since"))
_DROP_FOCUS = Query(delete(_focus).where(_focus.c.person_id == bind("person_id")))


def focus(session: Session, person_id: int) -> tuple[str, int] | None:
    """The task in hand: (its kind as bot/domain/study/sitting.py has it, the row's id), or None."""
    return _FOCUS.first(session, person_id=person_id)


def set_focus(session: Session, person_id: int, kind: str, ref: int, at: datetime) -> None:
    _SET_FOCUS.run(session, person_id=person_id, kind=kind, ref=ref, since=at)


def drop_focus(session: Session, person_id: int) -> None:
    _DROP_FOCUS.run(session, person_id=person_id)
