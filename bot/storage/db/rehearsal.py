"""A rehearsal: work that is done in the caller's transaction and rolled back, so that what would follow is known and nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlmodel import Session

from bot.storage.db.engine import ping
from bot.storage.db.query import Statement

T = TypeVar("T")

_BEGIN, _BACK, _END = Statement("SAVEPOINT rehearsal"), Statement("ROLLBACK TO SAVEPOINT rehearsal"), Statement("RELEASE SAVEPOINT rehearsal")


def rehearse(session: Session, work: Callable[[], T]) -> T:
    """The outcome of the work, of which nothing stays; a refusal comes through. Rehearsals may stand within each other."""
    ping(session)  # opens the transaction: a savepoint outside of one would be the transaction
    session.flush()
    _BEGIN.run(session)
    try:
        return work()
    finally:
        _BACK.run(session)
        _END.run(session)
        session.expire_all()
