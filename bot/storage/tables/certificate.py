"""Certificates: their content stands as it was issued; only whether they hold changes, and that never back."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from bot.storage.tables.base import STRICT, at, is_moment, key, one_of, words
from bot.storage.tables.base import number as integer

CERTIFICATE_KINDS = ("exam", "contest", "study")
CAUSES = ("decision", "correction")
_VALID = text("state = 'valid'")


class Certificate(SQLModel, table=True):
    """One certificate. `code` is what nobody can guess beside the number; `body` its whole content (domain/certificate.py, `Body`).

    `source_kind` and `source_id` name what it was issued for; a person has one valid certificate of a source at a time. `cause` says whether a
    person decided that it no longer holds, or a corrected key did; `replaces` is the certificate it was issued in place of. Never deleted, and
    nothing but `state`, `cause`, `reason`, `changed_at` and `changed_by` is ever updated (triggers).
    """

    __tablename__ = "certificate"
    __table_args__ = (
        one_of("kind", *CERTIFICATE_KINDS),
        one_of("state", "valid", "revoked", "replaced"),
        one_of("cause", *CAUSES),
        CheckConstraint("length(number) BETWEEN 16 AND 20", name="number_fits"),
        CheckConstraint("length(code) = 10", name="code_fits"),
        CheckConstraint("length(reason) <= 200", name="reason_fits"),
        CheckConstraint("(state = 'valid') = (changed_at IS NULL) AND (state = 'valid') = (cause IS NULL)", name="changed_when_it_no_longer_holds"),
        CheckConstraint("replaces IS NULL OR replaces < id", name="replaces_an_older_one"),
        is_moment("issued_at"),
        is_moment("changed_at"),
        UniqueConstraint("number"),
        UniqueConstraint("replaces"),
        Index(
            "one_source_one_valid_certificate",
            "person_id",
            "source_kind",
            "source_id",
            unique=True,
            sqlite_where=_VALID,
            postgresql_where=_VALID,
        ),
        Index("certificate_of_source", "source_kind", "source_id"),
        Index("certificate_of_person", "person_id"),
        STRICT,
    )

    id: int | None = key()
    number: str = words()
    code: str = words()
    person_id: int = integer(foreign_key="person.id")
    kind: str = words()
    source_kind: str = words()
    source_id: str = words()
    body: str = words()
    issued_at: datetime = at()
    issued_by: str = words()
    replaces: int | None = integer(default=None, foreign_key="certificate.id")
    state: str = words(default="valid")
    cause: str | None = words(default=None)
    reason: str = words(default="")
    changed_at: datetime | None = at(default=None)
    changed_by: str = words(default="")
