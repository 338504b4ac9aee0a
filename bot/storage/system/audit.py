"""The audit log: one row for each administrative act, written in the transaction of the act."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.storage.db.query import Query, binds, insert, table
from bot.storage.tables.system import AuditRow

_RECORD = Query(insert(table(AuditRow)).values(binds("at", "actor", "via", "action", "target", "outcome", "detail")))


def record(session: Session, at: datetime, actor: str, via: str, action: str, target: str = "", *, outcome: str = "done", detail: str = "") -> None:
    """Add a row: `actor` is a staff number or "system", `via` a channel or "cli". No argument may hold a secret."""
    _RECORD.run(session, at=at, actor=actor, via=via, action=action, target=target, outcome=outcome, detail=detail[:2000])
