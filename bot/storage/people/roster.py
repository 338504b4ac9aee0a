"""The roster in the database: people with posts, roles and accounts, the tree of units, and the codes that bind accounts to people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_PEOPLE = Statement("SELECT id, staff_no, name, tier, joined_on, left_on FROM person ORDER BY id")
_POSTS = Statement("SELECT o.id, o.person_id, u.path, o.since, o.until FROM post o JOIN unit u ON u.id = o.unit_id ORDER BY o.id")
_ROLES = Statement("SELECT person_id, role FROM role")
_ACCOUNTS = Statement('SELECT person_id, channel, "user", bound_by FROM account')
_UNITS = Statement("SELECT path, id FROM unit")
_ADD_UNIT = Statement("INSERT INTO unit (parent_id, name, path) VALUES (:parent_id, :name, :path) RETURNING id")
_ADD = Statement(
    """INSERT INTO person (staff_no, name, tier, joined_on, left_on, recorded_at)
       VALUES (:staff_no, :name, :tier, :joined_on, :left_on, :at) RETURNING id"""
)
_CHANGE = Statement("UPDATE person SET name = :name, tier = :tier, joined_on = :joined_on, left_on = :left_on WHERE id = :id")
_ADD_POST = Statement("INSERT INTO post (person_id, unit_id, since, until) VALUES (:person_id, :unit_id, :since, :until)")
_END_POST = Statement("UPDATE post SET until = :until WHERE id = :id")
_DELETE_POST = Statement("DELETE FROM post WHERE id = :id")
_ADD_ROLE = Statement("INSERT INTO role (person_id, role) VALUES (:person_id, :role)")
_DELETE_ROLE = Statement("DELETE FROM role WHERE person_id = :person_id AND role = :role")
_BIND = Statement("""INSERT INTO account (channel, "user", person_id, bound_at, bound_by) VALUES (:channel, :user, :person_id, :at, :bound_by)""")
_UNBIND = Statement('DELETE FROM account WHERE channel = :channel AND "user" = :user')
_DELETE_CODE = Statement("DELETE FROM bind_code WHERE person_id = :person_id")
_WITHOUT_WECHAT = Statement(
    """SELECT p.id, p.staff_no, p.name FROM person p
       WHERE (p.left_on IS NULL OR p.left_on >= :today)
         AND NOT EXISTS (SELECT 1 FROM account a WHERE a.person_id = p.id AND a.channel = 'wechat')
       ORDER BY p.staff_no"""
)
_WITHOUT_WECHAT_IN_UNIT = Statement(
    """SELECT p.id, p.staff_no, p.name FROM person p
       WHERE (p.left_on IS NULL OR p.left_on >= :today)
         AND NOT EXISTS (SELECT 1 FROM account a WHERE a.person_id = p.id AND a.channel = 'wechat')
         AND EXISTS (SELECT 1 FROM post o JOIN unit u ON u.id = o.unit_id
                     WHERE o.person_id = p.id AND o.since <= :today AND (o.until IS NULL OR o.until >= :today)
                       AND (u.path = :path OR substr(u.path, 1, length(:path) + 1) = :path || '/'))
       ORDER BY p.staff_no"""
)
_NAMED_UNITS = Statement("SELECT path FROM unit WHERE path = :name OR name = :name ORDER BY path")
_SAVE_CODE = Statement(
    """INSERT INTO bind_code (person_id, salt, hash, made_at, expires_at, tries, used_at) VALUES (:person_id, :salt, :hash, :at, :expires_at, 0, NULL)
       ON CONFLICT (person_id) DO UPDATE SET salt = excluded.salt, hash = excluded.hash, made_at = excluded.made_at,
           expires_at = excluded.expires_at, tries = 0, used_at = NULL"""
)
_CODE_CLAIM = Statement(
    """SELECT p.id, p.staff_no, c.salt, c.hash FROM person p LEFT JOIN bind_code c
           ON c.person_id = p.id AND c.used_at IS NULL AND c.expires_at > :now AND c.tries < :most
       WHERE p.staff_no IN (:staff_no, :upper, :lower) AND (p.left_on IS NULL OR p.left_on >= :today)
       ORDER BY p.staff_no = :staff_no DESC LIMIT 1"""
)
_COUNT_TRY = Statement("UPDATE bind_code SET tries = tries + 1 WHERE person_id = :person_id AND used_at IS NULL AND tries < :most")
_USE_CODE = Statement("UPDATE bind_code SET used_at = :now WHERE person_id = :person_id AND used_at IS NULL")
_HOLDER = Statement(
    """SELECT p.id, p.staff_no, p.name, p.left_on FROM account a JOIN person p ON p.id = a.person_id
       WHERE a.channel = :channel AND a."user" = :user"""
)
_ACCOUNT_OF = Statement('SELECT "user" FROM account WHERE channel = :channel AND person_id = :person_id')
_UNITS_OF = Statement(
    """SELECT u.path FROM post o JOIN unit u ON u.id = o.unit_id
       WHERE o.person_id = :person_id AND o.since <= :today AND (o.until IS NULL OR o.until >= :today) ORDER BY o.id"""
)
_NAME = Statement("SELECT name FROM person WHERE id = :id")
_GUARD = Statement('SELECT fails, wait_until, heard FROM bind_guard WHERE channel = :channel AND "user" = :user')
_SAVE_GUARD = Statement(
    """INSERT INTO bind_guard (channel, "user", fails, wait_until, heard) VALUES (:channel, :user, :fails, :wait_until, :heard)
       ON CONFLICT (channel, "user") DO UPDATE SET fails = excluded.fails, wait_until = excluded.wait_until, heard = excluded.heard"""
)
_DELETE_GUARD = Statement('DELETE FROM bind_guard WHERE channel = :channel AND "user" = :user')
_LOCK_PERSON = Statement("SELECT id FROM person WHERE id = :id FOR UPDATE")
_LOCK_ROSTER = Statement("LOCK TABLE person, account IN SHARE ROW EXCLUSIVE MODE")


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


@dataclass(frozen=True, slots=True)
class BindingGuard:
    """How often an account guessed wrong, until when it waits, and the last message that was counted."""

    fails: int = 0
    wait_until: datetime | None = None
    last_message_id: str = ""


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _day_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _is_postgres(session: Session) -> bool:
    return session.get_bind().dialect.name != "sqlite"


def lock_roster(session: Session) -> None:
    """Nobody else changes people or accounts until this transaction ends; SQLite's one writer needs no lock."""
    if _is_postgres(session):
        _LOCK_ROSTER.run(session)


def list_people(session: Session) -> list[PersonRecord]:
    """Everyone who was ever on the roster, in order of id."""
    people = {row[0]: PersonRecord(row[0], row[1], row[2], row[3], _day(row[4]), _day(row[5])) for row in _PEOPLE.all(session)}
    for post_id, person_id, path, since, until in _POSTS.all(session):
        people[person_id].posts.append(PostRecord(post_id, path, date.fromisoformat(since), _day(until)))
    for person_id, role in _ROLES.all(session):
        people[person_id].roles.add(role)
    for person_id, channel, user, bound_by in _ACCOUNTS.all(session):
        people[person_id].accounts[channel] = (user, bound_by)
    return list(people.values())


def unit_ids(session: Session) -> dict[str, int]:
    """Path -> id of every unit."""
    return {row[0]: row[1] for row in _UNITS.all(session)}


def add_unit(session: Session, parent_id: int | None, path: str) -> int:
    return int(_ADD_UNIT.one(session, parent_id=parent_id, name=path.rpartition("/")[2], path=path)[0])


def find_unit_paths(session: Session, name: str) -> list[str]:
    """The paths that a path or a unit's own name stands for."""
    return [row[0] for row in _NAMED_UNITS.all(session, name=name)]


def unit_paths_of(session: Session, person_id: int, today: date) -> list[str]:
    """Where somebody works on a day, first post first."""
    return [row[0] for row in _UNITS_OF.all(session, person_id=person_id, today=today.isoformat())]


def add_person(session: Session, staff_no: str, name: str, tier: str, joined_on: date | None, left_on: date | None, now: datetime) -> int:
    row = _ADD.one(session, staff_no=staff_no, name=name, tier=tier, joined_on=_day_text(joined_on), left_on=_day_text(left_on), at=stamp(now))
    return int(row[0])


def update_person(session: Session, person_id: int, name: str, tier: str, joined_on: date | None, left_on: date | None) -> None:
    _CHANGE.run(session, id=person_id, name=name, tier=tier, joined_on=_day_text(joined_on), left_on=_day_text(left_on))


def add_post(session: Session, person_id: int, unit_id: int, since: date, until: date | None) -> None:
    _ADD_POST.run(session, person_id=person_id, unit_id=unit_id, since=since.isoformat(), until=_day_text(until))


def end_post(session: Session, post_id: int, until: date | None) -> None:
    """Give a post its last day, or open it again with None."""
    _END_POST.run(session, id=post_id, until=_day_text(until))


def delete_post(session: Session, post_id: int) -> None:
    """For a post that never lasted a day."""
    _DELETE_POST.run(session, id=post_id)


def change_roles(session: Session, person_id: int, add: Iterable[str], drop: Iterable[str]) -> None:
    for role in drop:
        _DELETE_ROLE.run(session, person_id=person_id, role=role)
    for role in add:
        _ADD_ROLE.run(session, person_id=person_id, role=role)


def bind_account(session: Session, channel: str, user: str, person_id: int, now: datetime, bound_by: str) -> None:
    _BIND.run(session, channel=channel, user=user, person_id=person_id, at=stamp(now), bound_by=bound_by)


def unbind_account(session: Session, channel: str, user: str) -> None:
    _UNBIND.run(session, channel=channel, user=user)


def delete_code(session: Session, person_id: int) -> None:
    _DELETE_CODE.run(session, person_id=person_id)


def people_without_wechat(session: Session, today: date, path: str | None = None) -> list[tuple[int, str, str]]:
    """Those in office who have no WeChat account bound, as (id, staff number, name); of a unit's whole subtree when `path` is given."""
    if path is None:
        return [tuple(row) for row in _WITHOUT_WECHAT.all(session, today=today.isoformat())]
    return [tuple(row) for row in _WITHOUT_WECHAT_IN_UNIT.all(session, today=today.isoformat(), path=path)]


def save_code(session: Session, person_id: int, salt: str, digest: str, now: datetime, expires_at: datetime) -> None:
    """Keep a code's hash; the code before it is gone."""
    _SAVE_CODE.run(session, person_id=person_id, salt=salt, hash=digest, at=stamp(now), expires_at=stamp(expires_at))


def find_code_claim(session: Session, staff_no: str, now: datetime, today: date, most: int) -> tuple[int, str, str | None, str | None] | None:
    """Who a staff number names, in office on the day, with the salt and hash of the code that still lives (None without one)."""
    row = _CODE_CLAIM.one(
        session, staff_no=staff_no, upper=staff_no.upper(), lower=staff_no.lower(), now=stamp(now), today=today.isoformat(), most=most
    )
    if row is not None and _is_postgres(session):
        # Two replicas with two accounts and one code: the second waits here, then reads what the first left.
        _LOCK_PERSON.one(session, id=row[0])
        row = _CODE_CLAIM.one(
            session, staff_no=staff_no, upper=staff_no.upper(), lower=staff_no.lower(), now=stamp(now), today=today.isoformat(), most=most
        )
    return None if row is None else (row[0], row[1], row[2], row[3])


def count_wrong_guess(session: Session, person_id: int, most: int) -> None:
    """One wrong guess at a person's code."""
    _COUNT_TRY.run(session, person_id=person_id, most=most)


def use_code(session: Session, person_id: int, now: datetime) -> bool:
    """True for the one caller that spent the code."""
    return _USE_CODE.run(session, person_id=person_id, now=stamp(now)) == 1


def account_holder(session: Session, channel: str, user: str) -> tuple[int, str, str, date | None] | None:
    """Whose an account is, in office or not: id, staff number, name, left on."""
    row = _HOLDER.one(session, channel=channel, user=user)
    return None if row is None else (row[0], row[1], row[2], _day(row[3]))


def account_of(session: Session, channel: str, person_id: int) -> str | None:
    row = _ACCOUNT_OF.one(session, channel=channel, person_id=person_id)
    return None if row is None else str(row[0])


def name_of(session: Session, person_id: int) -> str:
    return str(_NAME.one(session, id=person_id)[0])


def get_guard(session: Session, channel: str, user: str) -> BindingGuard:
    row = _GUARD.one(session, channel=channel, user=user)
    return BindingGuard() if row is None else BindingGuard(row[0], None if row[1] is None else moment(row[1]), row[2])


def save_guard(session: Session, channel: str, user: str, new_guard: BindingGuard) -> None:
    wait_until = None if new_guard.wait_until is None else stamp(new_guard.wait_until)
    _SAVE_GUARD.run(session, channel=channel, user=user, fails=new_guard.fails, wait_until=wait_until, heard=new_guard.last_message_id)


def delete_guard(session: Session, channel: str, user: str) -> None:
    _DELETE_GUARD.run(session, channel=channel, user=user)
