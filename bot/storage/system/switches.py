"""Switches that an administrator turns for everybody, and latches that let only one replica act, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlmodel import Session

from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.system import SwitchRow

PAUSED = "pushes_paused"
"""While it is on, nothing falls due and nothing is sent."""

_switches = table(SwitchRow)


@dataclass(frozen=True, slots=True)
class SwitchTurn:
    """The state of a switch, and who turned it last, when and why."""

    is_on: bool
    by: str
    at: datetime
    reason: str


_READ = Query(
    select(*columns(_switches, SwitchTurn, by=_switches.c.turned_by, at=_switches.c.turned_at)).where(_switches.c.name == bind("name")),
    gives=SwitchTurn,
)
_IS_ON = Query(select(_switches.c.is_on).where(_switches.c.name == bind("name")), gives=bool)
_turning = insert(_switches).values(binds("name", "is_on", "turned_by", "turned_at", "reason"))
_TURN = Query(
    _turning.on_conflict_do_update(
        index_elements=["name"],
        set_={name: _turning.excluded[name] for name in ("is_on", "turned_by", "turned_at", "reason")},
        where=_switches.c.is_on != _turning.excluded.is_on,
    )
)
_SPANS = Query(
    select(_switches.c.name).where(_switches.c.name >= "held:", _switches.c.name < "held;").order_by(_switches.c.name),
    gives=str,
)
_LATCH = Query(
    insert(_switches)
    .values(binds("name", "turned_at") | {"is_on": True, "turned_by": "system", "reason": ""})
    .on_conflict_do_nothing(index_elements=["name"])
)


def switch(session: Session, name: str) -> SwitchTurn | None:
    return _READ.first(session, name=name)


def is_on(session: Session, name: str) -> bool:
    return _IS_ON.first(session, name=name) or False


def turn(session: Session, name: str, on: bool, by: str, at: datetime, reason: str = "") -> bool:
    """True when this call turned it; False when it was in that state already."""
    return _TURN.run(session, name=name, is_on=on, turned_by=by, turned_at=at, reason=reason) == 1


def record_pause(session: Session, since: date, until: date, at: datetime) -> None:
    """Record that all pushes were paused from one day to another."""
    claim_latch(session, f"held:{since.isoformat()}:{until.isoformat()}", at)


def pause_spans(session: Session) -> list[tuple[date, date]]:
    """The recorded pauses of all pushes: first day, and the day on which they resumed."""
    return [(date.fromisoformat(name[5:15]), date.fromisoformat(name[16:26])) for name in _SPANS.all(session)]


def claim_latch(session: Session, name: str, at: datetime) -> bool:
    """True for the first caller ever to claim this name."""
    return _LATCH.run(session, name=name, turned_at=at) == 1
