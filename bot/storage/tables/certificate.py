"""The table of certificates: the content never changes after the issue, the state only from valid to revoked or replaced."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text

from bot.storage.tables.columns import STRICT, Row, integer_column, is_moment, key_column, moment_column, one_of, text_column, unique_where_present

CERTIFICATE_KINDS = ("exam", "contest", "study")
CAUSES = ("decision", "correction")
_VALID = text("state = 'valid'")


class CertificateRow(Row):
    """One certificate. `code` is what nobody can guess beside the number; `body` its whole content (bot/domain/certificate.py, `CertificateBody`).

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
        unique_where_present("certificate_replaced_once", "replaces"),
        Index(
            "one_source_one_valid_certificate",
            "person_id",
            "source_kind",
            "source_id",
            unique=True,
            sqlite_where=_VALID,
        ),
        Index("certificate_of_source", "source_kind", "source_id"),
        Index("certificate_of_person", "person_id"),
        STRICT,
    )

    id: int | None = key_column()
    number: str = text_column()
    code: str = text_column()
    person_id: int = integer_column(foreign_key="person.id")
    kind: str = text_column()
    source_kind: str = text_column()
    source_id: str = text_column()
    body: str = text_column()
    issued_at: datetime = moment_column()
    issued_by: str = text_column()
    replaces: int | None = integer_column(default=None, foreign_key="certificate.id")
    state: str = text_column(default="valid")
    cause: str | None = text_column(default=None)
    reason: str = text_column(default="")
    changed_at: datetime | None = moment_column(default=None)
    changed_by: str = text_column(default="")
