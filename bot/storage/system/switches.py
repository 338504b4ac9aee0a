"""Switches that an administrator turns for everybody, and latches that let only one replica act, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

PAUSED = "pushes_paused"
"""While it is on, nothing falls due and nothing is sent."""

_READ = Statement("SELECT is_on, turned_by, turned_at, reason FROM switch WHERE name = :name")
_TURN = Statement(
    """INSERT INTO switch (name, is_on, turned_by, turned_at, reason) VALUES (:name, :is_on, :by, :at, :reason)
       ON CONFLICT (name) DO UPDATE SET is_on = excluded.is_on, turned_by = excluded.turned_by, turned_at = excluded.turned_at,
           reason = excluded.reason WHERE switch.is_on <> excluded.is_on"""
)
_SPANS = Statement("SELECT name FROM switch WHERE name >= 'held:' AND name < 'held;' ORDER BY name")
_LATCH = Statement(
    "INSERT INTO switch (name, is_on, turned_by, turned_at, reason) VALUES (:name, 1, 'system', :at, '') ON CONFLICT (name) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class SwitchTurn:
    """The state of a switch, and who turned it last, when and why."""

    is_on: bool
    by: str
    at: datetime
    reason: str


def switch(session: Session, name: str) -> SwitchTurn | None:
    row = _READ.one(session, name=name)
    return None if row is None else SwitchTurn(bool(row[0]), row[1], moment(row[2]), row[3])


def is_on(session: Session, name: str) -> bool:
    row = _READ.one(session, name=name)
    return row is not None and bool(row[0])


def turn(session: Session, name: str, on: bool, by: str, at: datetime, reason: str = "") -> bool:
    """True when this call turned it; False when it was in that state already."""
    return _TURN.run(session, name=name, is_on=int(on), by=by, at=stamp(at), reason=reason) == 1


def record_pause(session: Session, since: date, until: date, at: datetime) -> None:
    """Record that all pushes were paused from one day to another."""
    claim_latch(session, f"held:{since.isoformat()}:{until.isoformat()}", at)


def pause_spans(session: Session) -> list[tuple[date, date]]:
    """The recorded pauses of all pushes: first day, and the day on which they resumed."""
    return [(date.fromisoformat(name[5:15]), date.fromisoformat(name[16:26])) for (name,) in _SPANS.all(session)]


def claim_latch(session: Session, name: str, at: datetime) -> bool:
    """True for the first caller ever to claim this name."""
    return _LATCH.run(session, name=name, at=stamp(at)) == 1
