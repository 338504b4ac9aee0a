"""What the hall needs: messages heard, acts audited, tokens shared, strangers counted."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel

from bot.storage.tables.base import STRICT, at, day, is_day, is_moment, key, number, one_of, words


class Inbox(SQLModel, table=True):
    """A message heard and the reply it got; a copy of it gets the same reply again."""

    __tablename__ = "inbox"
    __table_args__ = (CheckConstraint("length(message_id) BETWEEN 1 AND 300", name="message_id_fits"), is_moment("arrived_at"), STRICT)

    channel: str = words(primary_key=True)
    app: str = words(primary_key=True)
    sender: str = words(primary_key=True)
    message_id: str = words(primary_key=True)
    person_id: int = number(foreign_key="person.id")
    arrived_at: datetime = at(index=True)
    reply: str = words()


class Audit(SQLModel, table=True):
    """One act of somebody with power, or one refusal of it. Never updated, never deleted (triggers)."""

    __tablename__ = "audit"
    __table_args__ = (one_of("outcome", "done", "refused", "failed"), is_moment("at"), Index("audit_in_time", "at"), STRICT)

    id: int | None = key()
    at: datetime = at()
    actor: str = words()
    via: str = words()
    action: str = words()
    target: str = words(default="")
    outcome: str = words(default="done")
    detail: str = words(default="")


class PlatformToken(SQLModel, table=True):
    """A platform's access token, encrypted, shared by all replicas, and the lease of the one who may fetch the next."""

    __tablename__ = "platform_token"
    __table_args__ = (is_moment("expires_at"), is_moment("lease_until"), STRICT)

    name: str = words(primary_key=True)
    sealed: str = words(default="")
    expires_at: datetime | None = at(default=None)
    holder: str = words(default="")
    lease_until: datetime | None = at(default=None)


class Tally(SQLModel, table=True):
    """Counts of a day that belong to nobody: strangers heard, messages refused."""

    __tablename__ = "tally"
    __table_args__ = (is_day("day"), CheckConstraint("n >= 0", name="counts_up"), STRICT)

    day: date = day(primary_key=True)
    what: str = words(primary_key=True)
    n: int = number(default=0)
