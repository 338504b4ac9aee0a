"""The scope of an administrator: all people, or those who work in the units given with the role."""

from __future__ import annotations

from datetime import date

from sqlalchemy import and_, exists, func, or_, select
from sqlmodel import Session

from bot.storage.db.query import Query, Statement, bind, table
from bot.storage.tables.people import PersonRow, PostRow, RoleRow, UnitRow

_people, _posts, _roles = table(PersonRow), table(PostRow), table(RoleRow)
_roots, _units = table(UnitRow).alias("root"), table(UnitRow)

_ROOTS = Statement("""SELECT u.path FROM role r LEFT JOIN unit u ON u.id = r.unit_id WHERE r.person_id = :person_id AND r.role = 'admin'""")
_WORKS_WITHIN = Statement(
    """SELECT 1 FROM post o JOIN unit u ON u.id = o.unit_id
       WHERE o.person_id = :person_id AND o.since <= :day AND (o.until IS NULL OR o.until >= :day)
         AND (u.path = :root OR substr(u.path, 1, length(:root) + 1) = :root || '/') LIMIT 1"""
)
_ADMINS_OF = Query(
    select(_people.c.name, func.coalesce(_roots.c.path, ""))
    .join_from(_roles, _people, _people.c.id == _roles.c.person_id)
    .outerjoin(_roots, _roots.c.id == _roles.c.unit_id)
    .where(
        _roles.c.role == "admin",
        or_(_people.c.left_on.is_(None), _people.c.left_on >= bind("day")),
        or_(
            _roots.c.path.is_(None),
            exists(
                select(_posts.c.person_id)
                .join_from(_posts, _units, _units.c.id == _posts.c.unit_id)
                .where(
                    _posts.c.person_id == bind("person_id"),
                    _posts.c.since <= bind("day"),
                    or_(_posts.c.until.is_(None), _posts.c.until >= bind("day")),
                    or_(
                        _units.c.path == _roots.c.path,
                        and_(func.substr(_units.c.path, 1, func.length(_roots.c.path) + 1) == _roots.c.path + "/"),
                    ),
                )
            ),
        ),
    )
    .order_by(func.length(func.coalesce(_roots.c.path, "")).desc(), _people.c.staff_no),
    gives=tuple[str, str],
)


def admins_of(session: Session, person_id: int, day: date) -> list[tuple[str, str]]:
    """Who looks after a person, as (name, the unit they look after or nothing for all), the nearest first."""
    return _ADMINS_OF.all(session, person_id=person_id, day=day)


def admin_roots(session: Session, person_id: int) -> tuple[str, ...] | None:
    """The units whose subtrees an administrator looks after; None for all of them (a role without a unit), nothing without the role."""
    rows = _ROOTS.all(session, person_id=person_id)
    return None if rows and rows[0][0] is None else tuple(row[0] for row in rows)


def covers_person(session: Session, roots: tuple[str, ...] | None, person_id: int, day: date) -> bool:
    """Whether a person works in one of the subtrees on a day."""
    return roots is None or any(_WORKS_WITHIN.one(session, person_id=person_id, day=day.isoformat(), root=root) is not None for root in roots)
