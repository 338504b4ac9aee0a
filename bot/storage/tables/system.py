"""Tables of the system: inbox, audit log, platform tokens, tallies, one-time links with their visits, switches, backups.

Of the secrets of links and visits only the hashes are stored.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index

from bot.storage.tables.columns import (
    STRICT,
    Row,
    big_integer_column,
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


class InboxRow(Row):
    """A received message and its reply; a repeated message gets the same reply again."""

    __tablename__ = "inbox"
    __table_args__ = (CheckConstraint("length(message_id) BETWEEN 1 AND 300", name="message_id_fits"), is_moment("arrived_at"), STRICT)

    channel: str = text_column(primary_key=True)
    app: str = text_column(primary_key=True)
    sender: str = text_column(primary_key=True)
    message_id: str = text_column(primary_key=True)
    person_id: int = integer_column(foreign_key="person.id")
    arrived_at: datetime = moment_column(index=True)
    reply: str = text_column()


class AuditRow(Row):
    """One administrative act, or the refusal of one. Never updated, never deleted (triggers)."""

    __tablename__ = "audit"
    __table_args__ = (one_of("outcome", "done", "refused", "failed"), is_moment("at"), Index("audit_in_time", "at"), STRICT)

    id: int | None = key_column()
    at: datetime = moment_column()
    actor: str = text_column()
    via: str = text_column()
    action: str = text_column()
    target: str = text_column(default="")
    outcome: str = text_column(default="done")
    detail: str = text_column(default="")


class PlatformTokenRow(Row):
    """A platform's access token, encrypted and shared by all replicas, and the lease of the replica that may fetch the next."""

    __tablename__ = "platform_token"
    __table_args__ = (is_moment("expires_at"), is_moment("lease_until"), STRICT)

    name: str = text_column(primary_key=True)
    sealed: str = text_column(default="")
    expires_at: datetime | None = moment_column(default=None)
    holder: str = text_column(default="")
    lease_until: datetime | None = moment_column(default=None)


class TallyRow(Row):
    """Counts of a day that belong to no person: messages of strangers, refused messages."""

    __tablename__ = "tally"
    __table_args__ = (is_day("day"), CheckConstraint("n >= 0", name="counts_up"), STRICT)

    day: date = day_column(primary_key=True)
    what: str = text_column(primary_key=True)
    n: int = integer_column(default=0)


class LinkRow(Row):
    """A link to one page for one person, good for one opening; `channel` and `user` are the account it was sent to."""

    __tablename__ = "link"
    __table_args__ = (
        CheckConstraint("length(hash) = 64", name="hash_is_sha256"),
        CheckConstraint("length(purpose) BETWEEN 1 AND 20", name="purpose_fits"),
        CheckConstraint("length(ref) <= 80", name="ref_fits"),
        is_moment("made_at"),
        is_moment("expires_at"),
        is_moment("used_at"),
        STRICT,
    )

    id: int | None = key_column()
    hash: str = text_column(unique=True)
    purpose: str = text_column()
    ref: str = text_column(default="")
    person_id: int = integer_column(foreign_key="person.id", index=True)
    channel: str = text_column()
    user: str = text_column()
    made_at: datetime = moment_column()
    expires_at: datetime = moment_column(index=True)
    used_at: datetime | None = moment_column(default=None)


class VisitRow(Row):
    """The web session of the one browser that opened a link. It ends when it expires, after too long without a request, or when somebody ends it."""

    __tablename__ = "visit"
    __table_args__ = (
        CheckConstraint("length(hash) = 64", name="hash_is_sha256"),
        is_moment("began_at"),
        is_moment("seen_at"),
        is_moment("expires_at"),
        is_moment("ended_at"),
        STRICT,
    )

    id: int | None = key_column()
    link_id: int = integer_column(foreign_key="link.id", unique=True)
    hash: str = text_column(unique=True)
    began_at: datetime = moment_column()
    seen_at: datetime = moment_column()
    expires_at: datetime = moment_column()
    ended_at: datetime | None = moment_column(default=None)


class SwitchRow(Row):
    """A switch that an administrator turns for everybody, such as the pause of all pushes, or a latch claimed once."""

    __tablename__ = "switch"
    __table_args__ = (is_flag("is_on"), is_moment("turned_at"), STRICT)

    name: str = text_column(primary_key=True)
    is_on: bool = flag_column(default=False)
    turned_by: str = text_column()
    turned_at: datetime = moment_column()
    reason: str = text_column(default="")


class BackupRow(Row):
    """A backup that was taken of this database: where it was written, how large (bytes) and the SHA-256 of its file."""

    __tablename__ = "backup"
    __table_args__ = (CheckConstraint("length(sha256) = 64", name="sha256_has_64_digits"), is_moment("taken_at"), STRICT)

    id: int | None = key_column()
    taken_at: datetime = moment_column(index=True)
    folder: str = text_column()
    size: int = big_integer_column()
    sha256: str = text_column()
    taken_by: str = text_column()
