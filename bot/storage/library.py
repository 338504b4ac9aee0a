"""Withdraws questions that the text of their law contradicts, and restores them when it no longer does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlmodel import Session, col, select

from bot.storage.tables.library import QuestionStateRow

CONTRADICTED = "与法律文本不符"


def update_withdrawals(session: Session, reasons: Mapping[str, str], right: Collection[str], now: datetime) -> tuple[int, int]:
    """(taken out, put back). Only what was taken out for this reason is put back. Doing it twice changes nothing."""
    withdrawn = restored = 0
    for state in session.exec(select(QuestionStateRow).where(col(QuestionStateRow.question).in_([*reasons, *right]))):
        if state.question in reasons and state.state == "active":
            state.state, state.reason, state.changed_at = "withdrawn", f"{CONTRADICTED}：{reasons[state.question]}", now
            withdrawn += 1
        elif state.question in right and state.state == "withdrawn" and state.reason.startswith(CONTRADICTED):
            state.state, state.reason, state.changed_at = "active", "", now
            restored += 1
    session.flush()
    return withdrawn, restored
