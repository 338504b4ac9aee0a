"""Units, people, their posts and roles, and the chat accounts that speak for them."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import SQLModel

from bot.storage.tables.base import STRICT, at, day, is_day, is_moment, key, number, one_of, words


class Unit(SQLModel, table=True):
    """A node of the agency's tree; `path` is the names from the root joined by `/`."""

    __tablename__ = "unit"
    __table_args__ = (
        CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        CheckConstraint("parent_id IS NULL OR parent_id <> id", name="not_its_own_parent"),
        STRICT,
    )

    id: int | None = key()
    parent_id: int | None = number(default=None, foreign_key="unit.id", index=True)
    name: str = words()
    path: str = words(unique=True)


class Person(SQLModel, table=True):
    """One person on the roll; `staff_no` (工号) is who they are on every channel and in every year."""

    __tablename__ = "person"
    __table_args__ = (
        CheckConstraint("length(staff_no) BETWEEN 1 AND 40", name="staff_no_fits"),
        CheckConstraint("length(name) BETWEEN 1 AND 60", name="name_fits"),
        CheckConstraint("left_on IS NULL OR joined_on IS NULL OR left_on >= joined_on", name="leaves_after_joining"),
        is_day("joined_on"),
        is_day("left_on"),
        is_moment("recorded_at"),
        STRICT,
    )

    id: int | None = key()
    staff_no: str = words(unique=True)
    name: str = words()
    tier: str = words(default="")
    joined_on: date | None = day(default=None)
    left_on: date | None = day(default=None)
    recorded_at: datetime = at()


class Role(SQLModel, table=True):
    """学员 is everybody; an administrator or a supervisor has a row, and the unit whose subtree they may see (their own when NULL)."""

    __tablename__ = "role"
    __table_args__ = (one_of("role", "admin", "supervisor"), UniqueConstraint("person_id", "role"), STRICT)

    id: int | None = key()
    person_id: int = number(foreign_key="person.id")
    role: str = words()
    unit_id: int | None = number(default=None, foreign_key="unit.id")


class Post(SQLModel, table=True):
    """Where a person works, from a day to a day (both included); an open post has no last day."""

    __tablename__ = "post"
    __table_args__ = (
        CheckConstraint("until IS NULL OR until >= since", name="ends_after_it_begins"),
        is_day("since"),
        is_day("until"),
        UniqueConstraint("person_id", "unit_id", "since"),
        Index("post_of_unit", "unit_id", "until"),
        STRICT,
    )

    id: int | None = key()
    person_id: int = number(foreign_key="person.id")
    unit_id: int = number(foreign_key="unit.id")
    since: date = day()
    until: date | None = day(default=None)


class Account(SQLModel, table=True):
    """A chat account bound to one person; one account a channel for each person, one person for each account (features.md S01)."""

    __tablename__ = "account"
    __table_args__ = (
        one_of("channel", "wecom", "wechat", "dingtalk", "zwding", "local"),
        CheckConstraint('length("user") BETWEEN 1 AND 200', name="user_fits"),
        UniqueConstraint("channel", "user"),
        UniqueConstraint("channel", "person_id"),
        is_moment("bound_at"),
        STRICT,
    )

    id: int | None = key()
    channel: str = words()
    user: str = words()
    person_id: int = number(foreign_key="person.id", index=True)
    bound_at: datetime = at()
    bound_by: str = words()


class BindCode(SQLModel, table=True):
    """A one-time code, kept as a salted hash; a new one replaces the old."""

    __tablename__ = "bind_code"
    __table_args__ = (
        CheckConstraint("tries BETWEEN 0 AND 5", name="tries_are_few"),
        is_moment("made_at"),
        is_moment("expires_at"),
        is_moment("used_at"),
        STRICT,
    )

    person_id: int = number(foreign_key="person.id", primary_key=True)
    salt: str = words()
    hash: str = words()
    made_at: datetime = at()
    expires_at: datetime = at()
    tries: int = number(default=0)
    used_at: datetime | None = at(default=None)


class BindGuard(SQLModel, table=True):
    """How often an account has guessed, until when it has to wait, and the last message counted (copies of it are not counted again)."""

    __tablename__ = "bind_guard"
    __table_args__ = (CheckConstraint("fails >= 0", name="fails_count_up"), is_moment("wait_until"), STRICT)

    channel: str = words(primary_key=True)
    user: str = words(primary_key=True)
    fails: int = number(default=0)
    wait_until: datetime | None = at(default=None)
    heard: str = words(default="")
