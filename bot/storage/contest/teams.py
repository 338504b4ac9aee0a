"""The teams of a contest and who is in them; a team is never dissolved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlmodel import Session

from bot.storage.db.query import Statement

_ADD = Statement("INSERT INTO team (contest_id, name, unit_id) VALUES (:contest_id, :name, :unit_id) ON CONFLICT (contest_id, name) DO NOTHING")
_ID = Statement("SELECT id FROM team WHERE contest_id = :contest_id AND name = :name")
_NAMES = Statement("SELECT id, name FROM team WHERE contest_id = :contest_id ORDER BY name")
_ADD_MEMBER = Statement(
    """INSERT INTO team_member (contest_id, person_id, team_id) VALUES (:contest_id, :person_id, :team_id)
       ON CONFLICT (contest_id, person_id) DO NOTHING"""
)
_MOVE_MEMBER = Statement(
    """INSERT INTO team_member (contest_id, person_id, team_id) VALUES (:contest_id, :person_id, :team_id)
       ON CONFLICT (contest_id, person_id) DO UPDATE SET team_id = excluded.team_id"""
)
_TEAM_OF = Statement(
    """SELECT t.id, t.name FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.contest_id = :contest_id AND m.person_id = :person_id"""
)
_MEMBERS = Statement(
    """SELECT t.name, p.id, p.staff_no, p.name FROM team_member m JOIN team t ON t.id = m.team_id JOIN person p ON p.id = m.person_id
       WHERE m.contest_id = :contest_id ORDER BY t.name, p.staff_no"""
)
_UNIT_PATH = Statement("SELECT path FROM unit WHERE id = :id")
_UNITS_BY_PERSON = Statement(
    """SELECT o.person_id, u.id, u.path FROM post o JOIN unit u ON u.id = o.unit_id
       WHERE o.since <= :day AND (o.until IS NULL OR o.until >= :day) ORDER BY o.id"""
)


def get_or_create(session: Session, contest_id: int, name: str, unit_id: int | None = None) -> int:
    """The team of that name, made when there is none."""
    _ADD.run(session, contest_id=contest_id, name=name, unit_id=unit_id)
    return int(_ID.one(session, contest_id=contest_id, name=name)[0])


def add_members(session: Session, contest_id: int, team_id: int, people: Iterable[int]) -> None:
    """Make people members; who is in a team already stays there."""
    _ADD_MEMBER.many(session, [{"contest_id": contest_id, "person_id": person, "team_id": team_id} for person in people])


def move_member(session: Session, contest_id: int, team_id: int, person_id: int) -> None:
    """Make somebody a member of this team, out of whatever other."""
    _MOVE_MEMBER.run(session, contest_id=contest_id, person_id=person_id, team_id=team_id)


def names(session: Session, contest_id: int) -> dict[int, str]:
    """The teams by id."""
    return {row[0]: row[1] for row in _NAMES.all(session, contest_id=contest_id)}


def team_of(session: Session, contest_id: int, person_id: int) -> tuple[int, str] | None:
    """(id, name) of somebody's team."""
    row = _TEAM_OF.one(session, contest_id=contest_id, person_id=person_id)
    return None if row is None else (row[0], row[1])


def list_members(session: Session, contest_id: int) -> list[tuple[str, int, str, str]]:
    """(team, person id, staff number, name) of all members."""
    return [tuple(row) for row in _MEMBERS.all(session, contest_id=contest_id)]


def unit_path(session: Session, unit_id: int | None) -> str | None:
    row = None if unit_id is None else _UNIT_PATH.one(session, id=unit_id)
    return None if row is None else str(row[0])


def units_by_person(session: Session, day: date) -> dict[int, tuple[int, str]]:
    """(unit id, path) of everybody's first post on a day: people in two posts play for one unit."""
    units: dict[int, tuple[int, str]] = {}
    for person_id, unit_id, path in _UNITS_BY_PERSON.all(session, day=day.isoformat()):
        units.setdefault(person_id, (unit_id, path))
    return units
