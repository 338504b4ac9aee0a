"""The audit log: one row for each administrative act, written in the transaction of the act."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import stamp

_RECORD = Statement(
    """INSERT INTO audit (at, actor, via, action, target, outcome, detail) VALUES (:at, :actor, :via, :action, :target, :outcome, :detail)"""
)


def record(session: Session, at: datetime, actor: str, via: str, action: str, target: str = "", *, outcome: str = "done", detail: str = "") -> None:
    """Add a row: `actor` is a staff number or "system", `via` a channel or "cli". No argument may hold a secret."""
    _RECORD.run(session, at=stamp(at), actor=actor, via=via, action=action, target=target, outcome=outcome, detail=detail[:2000])
