"""Tables of people: units, persons, posts, roles, chat accounts, binding codes, absences, tags and preferences."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint

from bot.storage.tables.columns import (
    STRICT,
    Row,
    day_column,
    flag_column,
    integer_column,
    is_day,
    is_flag,
    is_moment,
    key_column,
    moment_column,
    one_of,
    text_column,
)


class UnitRow(Row):
    """A node of the agency's tree; `path` is the names from the root joined by `/`."""

    __tablename__ = "unit"
    __table_args__ = (
        CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        CheckConstraint("parent_id IS NULL OR parent_id <> id", name="not_its_own_parent"),
        STRICT,
    )

    id: int | None = key_column()
    parent_id: int | None = integer_column(default=None, foreign_key="unit.id", index=True)
    name: str = text_column()
    path: str = text_column(unique=True)


class PersonRow(Row):
    """One person on the roster; `staff_no` (工号) is who they are on every channel and in every year."""

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

    id: int | None = key_column()
    staff_no: str = text_column(unique=True)
    name: str = text_column()
    tier: str = text_column(default="")
    joined_on: date | None = day_column(default=None)
    left_on: date | None = day_column(default=None)
    recorded_at: datetime = moment_column()


class RoleRow(Row):
    """学员 is everybody; an administrator or a supervisor has a row, and the unit whose subtree they may see (their own when NULL)."""

    __tablename__ = "role"
    __table_args__ = (one_of("role", "admin", "supervisor"), UniqueConstraint("person_id", "role"), STRICT)

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id")
    role: str = text_column()
    unit_id: int | None = integer_column(default=None, foreign_key="unit.id")


class PostRow(Row):
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

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id")
    unit_id: int = integer_column(foreign_key="unit.id")
    since: date = day_column()
    until: date | None = day_column(default=None)


class AccountRow(Row):
    """A chat account bound to one person; one account a channel for each person, one person for each account (bot/docs/rules.md S01)."""

    __tablename__ = "account"
    __table_args__ = (
        one_of("channel", "wecom", "wechat", "dingtalk", "zwding", "local"),
        CheckConstraint('length("user") BETWEEN 1 AND 200', name="user_fits"),
        UniqueConstraint("channel", "user"),
        UniqueConstraint("channel", "person_id"),
        is_moment("bound_at"),
        STRICT,
    )

    id: int | None = key_column()
    channel: str = text_column()
    user: str = text_column()
    person_id: int = integer_column(foreign_key="person.id", index=True)
    bound_at: datetime = moment_column()
    bound_by: str = text_column()


class BindCodeRow(Row):
    """A one-time code, kept as a salted hash; a new one replaces the old."""

    __tablename__ = "bind_code"
    __table_args__ = (
        CheckConstraint("tries BETWEEN 0 AND 5", name="tries_are_few"),
        is_moment("made_at"),
        is_moment("expires_at"),
        is_moment("used_at"),
        STRICT,
    )

    person_id: int = integer_column(foreign_key="person.id", primary_key=True)
    salt: str = text_column()
    hash: str = text_column()
    made_at: datetime = moment_column()
    expires_at: datetime = moment_column()
    tries: int = integer_column(default=0)
    used_at: datetime | None = moment_column(default=None)


class BindGuardRow(Row):
    """How often an account has guessed, until when it has to wait, and the last message counted (copies of it are not counted again)."""

    __tablename__ = "bind_guard"
    __table_args__ = (CheckConstraint("fails >= 0", name="fails_count_up"), is_moment("wait_until"), STRICT)

    channel: str = text_column(primary_key=True)
    user: str = text_column(primary_key=True)
    fails: int = integer_column(default=0)
    wait_until: datetime | None = moment_column(default=None)
    heard: str = text_column(default="")


class AbsenceRow(Row):
    """Leave or secondment, both days included: nothing is sent, no day of the streak is lost."""

    __tablename__ = "absence"
    __table_args__ = (
        one_of("kind", "leave", "secondment"),
        CheckConstraint("until IS NULL OR until >= since", name="ends_after_it_begins"),
        is_day("since"),
        is_day("until"),
        is_moment("recorded_at"),
        STRICT,
    )

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id", index=True)
    kind: str = text_column()
    since: date = day_column()
    until: date | None = day_column(default=None)
    recorded_by: str = text_column()
    recorded_at: datetime = moment_column()


class TagRow(Row):
    """A word that an audience can be chosen by."""

    __tablename__ = "tag"
    __table_args__ = (CheckConstraint("length(tag) BETWEEN 1 AND 40", name="tag_fits"), STRICT)

    person_id: int = integer_column(foreign_key="person.id", primary_key=True)
    tag: str = text_column(primary_key=True)


class PreferenceRow(Row):
    """What a person chose in 设置: the hour of the push and the quiet hours as 08:30, the digest, the channel that comes first."""

    __tablename__ = "preference"
    __table_args__ = (
        CheckConstraint("push_at IS NULL OR push_at LIKE '__:__'", name="push_at_is_a_time"),
        CheckConstraint("quiet_from IS NULL OR quiet_from LIKE '__:__'", name="quiet_from_is_a_time"),
        CheckConstraint("quiet_to IS NULL OR quiet_to LIKE '__:__'", name="quiet_to_is_a_time"),
        is_flag("digest"),
        STRICT,
    )

    person_id: int = integer_column(foreign_key="person.id", primary_key=True)
    push_at: str | None = text_column(default=None)
    quiet_from: str | None = text_column(default=None)
    quiet_to: str | None = text_column(default=None)
    digest: bool = flag_column(default=True)
    channel: str = text_column(default="")
