"""The roster in the database: people with posts and roles, the tree of units, and the part of it that an administrator looks after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import ColumnElement, FromClause, Text, delete, func, literal, select, text, update
from sqlmodel import Session

from bot.storage.db.engine import is_sqlite_session
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.people import AccountRow, PersonRow, PostRow, RoleRow, UnitRow

_accounts, _people, _posts, _roles, _units = (table(row) for row in (AccountRow, PersonRow, PostRow, RoleRow, UnitRow))


@dataclass(frozen=True, slots=True)
class PostRecord:
    """A post as it stands: the unit's path, first day, last day (None while it is open)."""

    id: int
    path: str
    since: date
    until: date | None


@dataclass(slots=True)
class PersonRecord:
    """Somebody the database knows, whether in office or not; `accounts` is channel -> (user, bound by)."""

    id: int
    staff_no: str
    name: str
    tier: str
    joined_on: date | None
    left_on: date | None
    posts: list[PostRecord] = field(default_factory=list)
    roles: set[str] = field(default_factory=set)
    accounts: dict[str, tuple[str, str]] = field(default_factory=dict)


# ── Conditions that other statements share; each is given the day as `today` ──


def in_office(people: FromClause = _people) -> ColumnElement[bool]:
    """Said of people: not gone before `today`."""
    return people.c.left_on.is_(None) | (people.c.left_on >= bind("today"))


def held_today(posts: FromClause = _posts) -> ColumnElement[bool]:
    """Said of posts: held on `today`."""
    return (posts.c.since <= bind("today")) & (posts.c.until.is_(None) | (posts.c.until >= bind("today")))


def within(path: ColumnElement[str], units: FromClause = _units) -> ColumnElement[bool]:
    """Said of units: at a path or below it."""
    return (units.c.path == path) | (func.substr(units.c.path, 1, func.length(path) + 1) == path.concat("/"))


# ── Everybody ──

_LIST = Query(
    select(_people.c.id, _people.c.staff_no, _people.c.name, _people.c.tier, _people.c.joined_on, _people.c.left_on).order_by(_people.c.id),
    gives=PersonRecord,
)
_POSTS = Query(
    select(_posts.c.person_id, *columns(_posts, PostRecord, path=_units.c.path))
    .join_from(_posts, _units, _units.c.id == _posts.c.unit_id)
    .order_by(_posts.c.id),
    gives=(int, PostRecord),
)
_ROLES = Query(select(_roles.c.person_id, _roles.c.role), gives=tuple[int, str])
_ACCOUNTS = Query(select(_accounts.c.person_id, _accounts.c.channel, _accounts.c.user, _accounts.c.bound_by), gives=tuple[int, str, str, str])
# Core knows no LOCK TABLE.
_LOCK_ROSTER = Query(text("LOCK TABLE person, account IN SHARE ROW EXCLUSIVE MODE"))
_NAME = Query(select(_people.c.name).where(_people.c.id == bind("id")), gives=str)
_STAFF_NO = Query(select(_people.c.staff_no).where(_people.c.id == bind("id")), gives=str)
_ADD = Query(
    insert(_people).values(binds("staff_no", "name", "tier", "joined_on", "left_on", "recorded_at")).returning(_people.c.id),
    gives=int,
)
_CHANGE = Query(update(_people).values(binds("name", "tier", "joined_on", "left_on")).where(_people.c.id == bind("id")))


def lock_roster(session: Session) -> None:
    """Nobody else changes people or accounts until this transaction ends; SQLite's one writer needs no lock."""
    if not is_sqlite_session(session):
        _LOCK_ROSTER.run(session)


def list_people(session: Session) -> list[PersonRecord]:
    """Everyone who was ever on the roster, in order of id."""
    people = {person.id: person for person in _LIST.all(session)}
    for person_id, post in _POSTS.all(session):
        people[person_id].posts.append(post)
    for person_id, role in _ROLES.all(session):
        people[person_id].roles.add(role)
    for person_id, channel, user, bound_by in _ACCOUNTS.all(session):
        people[person_id].accounts[channel] = (user, bound_by)
    return list(people.values())


def name_of(session: Session, person_id: int) -> str:
    return _NAME.one(session, id=person_id)


def staff_no_of(session: Session, person_id: int) -> str:
    return _STAFF_NO.one(session, id=person_id)


def add_person(session: Session, staff_no: str, name: str, tier: str, joined_on: date | None, left_on: date | None, now: datetime) -> int:
    return _ADD.one(session, staff_no=staff_no, name=name, tier=tier, joined_on=joined_on, left_on=left_on, recorded_at=now)


def update_person(session: Session, person_id: int, name: str, tier: str, joined_on: date | None, left_on: date | None) -> None:
    _CHANGE.run(session, id=person_id, name=name, tier=tier, joined_on=joined_on, left_on=left_on)


# ── Units and posts ──

_UNITS = Query(select(_units.c.path, _units.c.id), gives=tuple[str, int])
_UNIT_ID = Query(select(_units.c.id).where(_units.c.path == bind("path")), gives=int)
_ROOT = Query(select(_units.c.name).where(_units.c.parent_id.is_(None)).order_by(_units.c.id).limit(1), gives=str)
_ADD_UNIT = Query(insert(_units).values(binds("parent_id", "name", "path")).returning(_units.c.id), gives=int)
_NAMED_UNITS = Query(
    select(_units.c.path).where((_units.c.path == bind("name")) | (_units.c.name == bind("name"))).order_by(_units.c.path),
    gives=str,
)
_UNITS_OF = Query(
    select(_units.c.path)
    .join_from(_posts, _units, _units.c.id == _posts.c.unit_id)
    .where(_posts.c.person_id == bind("person_id"), held_today())
    .order_by(_posts.c.id),
    gives=str,
)
_ADD_POST = Query(insert(_posts).values(binds("person_id", "unit_id", "since", "until")))
_END_POST = Query(update(_posts).values(binds("until")).where(_posts.c.id == bind("id")))
_DELETE_POST = Query(delete(_posts).where(_posts.c.id == bind("id")))


def unit_ids(session: Session) -> dict[str, int]:
    """Path -> id of every unit."""
    return dict(_UNITS.all(session))


def unit_id_of(session: Session, path: str) -> int:
    return _UNIT_ID.one(session, path=path)


def root_unit_name(session: Session) -> str:
    """The name of the unit at the root of the tree; empty while there is none."""
    return _ROOT.first(session) or ""


def add_unit(session: Session, parent_id: int | None, path: str) -> int:
    return _ADD_UNIT.one(session, parent_id=parent_id, name=path.rpartition("/")[2], path=path)


def find_unit_paths(session: Session, name: str) -> list[str]:
    """The paths that a path or a unit's own name stands for."""
    return _NAMED_UNITS.all(session, name=name)


def unit_paths_of(session: Session, person_id: int, today: date) -> list[str]:
    """Where somebody works on a day, first post first."""
    return _UNITS_OF.all(session, person_id=person_id, today=today)


def add_post(session: Session, person_id: int, unit_id: int, since: date, until: date | None) -> None:
    _ADD_POST.run(session, person_id=person_id, unit_id=unit_id, since=since, until=until)


def end_post(session: Session, post_id: int, until: date | None) -> None:
    """Give a post its last day, or open it again with None."""
    _END_POST.run(session, id=post_id, until=until)


def delete_post(session: Session, post_id: int) -> None:
    """For a post that never lasted a day."""
    _DELETE_POST.run(session, id=post_id)


# ── Roles, and what an administrator looks after ──

_ADD_ROLE = Query(insert(_roles).values(binds("person_id", "role")))
_DELETE_ROLE = Query(delete(_roles).where(_roles.c.person_id == bind("person_id"), _roles.c.role == bind("role")))
_ADMIN_ROOTS: Query[str | None] = Query(
    select(_units.c.path)
    .select_from(_roles.outerjoin(_units, _units.c.id == _roles.c.unit_id))
    .where(_roles.c.person_id == bind("person_id"), _roles.c.role == "admin"),
    gives=str,
)
_WORKS_WITHIN = Query(
    select(literal(1))
    .select_from(_posts.join(_units, _units.c.id == _posts.c.unit_id))
    .where(_posts.c.person_id == bind("person_id"), held_today(), within(bind("root", Text)))
    .limit(1),
    gives=int,
)


def change_roles(session: Session, person_id: int, add: Iterable[str], drop: Iterable[str]) -> None:
    for role in drop:
        _DELETE_ROLE.run(session, person_id=person_id, role=role)
    for role in add:
        _ADD_ROLE.run(session, person_id=person_id, role=role)


_LOOKED_AFTER = _units.alias("root")
_ADMINS_OF = Query(
    select(_people.c.name, func.coalesce(_LOOKED_AFTER.c.path, ""))
    .join_from(_roles, _people, _people.c.id == _roles.c.person_id)
    .outerjoin(_LOOKED_AFTER, _LOOKED_AFTER.c.id == _roles.c.unit_id)
    .where(
        _roles.c.role == "admin",
        in_office(),
        _LOOKED_AFTER.c.path.is_(None)
        | select(_posts.c.id)
        .join_from(_posts, _units, _units.c.id == _posts.c.unit_id)
        .where(_posts.c.person_id == bind("person_id"), held_today(), within(_LOOKED_AFTER.c.path))
        .exists(),
    )
    .order_by(func.length(func.coalesce(_LOOKED_AFTER.c.path, "")).desc(), _people.c.staff_no),
    gives=tuple[str, str],
)


def admins_of(session: Session, person_id: int, day: date) -> list[tuple[str, str]]:
    """Who looks after a person, as (name, the unit they look after or nothing for all), the nearest first."""
    return _ADMINS_OF.all(session, person_id=person_id, today=day)


def admin_roots(session: Session, person_id: int) -> tuple[str, ...] | None:
    """The units whose subtrees an administrator looks after; None for all of them (a role without a unit), nothing without the role."""
    roots = _ADMIN_ROOTS.all(session, person_id=person_id)
    return None if None in roots else tuple(root for root in roots if root is not None)


def covers_person(session: Session, roots: tuple[str, ...] | None, person_id: int, day: date) -> bool:
    """Whether a person works in one of the subtrees on a day."""
    return roots is None or any(_WORKS_WITHIN.first(session, person_id=person_id, today=day, root=root) is not None for root in roots)
