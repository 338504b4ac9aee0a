"""The scope of an administrator: all people, or those who work in the units given with the role."""

from __future__ import annotations

from datetime import date

from sqlmodel import Session

from bot.storage.db.query import Statement

_ROOTS = Statement("""SELECT u.path FROM role r LEFT JOIN unit u ON u.id = r.unit_id WHERE r.person_id = :person_id AND r.role = 'admin'""")
_WORKS_WITHIN = Statement(
    """SELECT 1 FROM post o JOIN unit u ON u.id = o.unit_id
       WHERE o.person_id = :person_id AND o.since <= :day AND (o.until IS NULL OR o.until >= :day)
         AND (u.path = :root OR substr(u.path, 1, length(:root) + 1) = :root || '/') LIMIT 1"""
)


def admin_roots(session: Session, person_id: int) -> tuple[str, ...] | None:
    """The units whose subtrees an administrator looks after; None for all of them (a role without a unit), nothing without the role."""
    rows = _ROOTS.all(session, person_id=person_id)
    return None if rows and rows[0][0] is None else tuple(row[0] for row in rows)


def covers_person(session: Session, roots: tuple[str, ...] | None, person_id: int, day: date) -> bool:
    """Whether a person works in one of the subtrees on a day."""
    return roots is None or any(_WORKS_WITHIN.one(session, person_id=person_id, day=day.isoformat(), root=root) is not None for root in roots)
