"""One-time links that the chat hands out, and the visits to our pages that they open; of every secret only the hash."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

from bot.storage.tables.base import STRICT, at, is_moment, key, number, words


class Link(SQLModel, table=True):
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

    id: int | None = key()
    hash: str = words(unique=True)
    purpose: str = words()
    ref: str = words(default="")
    person_id: int = number(foreign_key="person.id", index=True)
    channel: str = words()
    user: str = words()
    made_at: datetime = at()
    expires_at: datetime = at(index=True)
    used_at: datetime | None = at(default=None)


class Visit(SQLModel, table=True):
    """A browser that opened a link; one link opens one. It ends by its time, by silence, or by somebody's word."""

    __tablename__ = "visit"
    __table_args__ = (
        CheckConstraint("length(hash) = 64", name="hash_is_sha256"),
        is_moment("began_at"),
        is_moment("seen_at"),
        is_moment("expires_at"),
        is_moment("ended_at"),
        STRICT,
    )

    id: int | None = key()
    link_id: int = number(foreign_key="link.id", unique=True)
    hash: str = words(unique=True)
    began_at: datetime = at()
    seen_at: datetime = at()
    expires_at: datetime = at()
    ended_at: datetime | None = at(default=None)
