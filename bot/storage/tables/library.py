"""Tables of questions: their versions, and which version may be drawn."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint

from bot.storage.tables.columns import STRICT, Row, integer_column, is_moment, key_column, moment_column, one_of, text_column


class QuestionVersionRow(Row):
    """A question as it stood when it was loaded; an answer points here and shows it for ever."""

    __tablename__ = "question_version"
    __table_args__ = (
        CheckConstraint("version >= 1", name="versions_count_from_one"),
        CheckConstraint("length(digest) = 64", name="digest_is_sha256"),
        UniqueConstraint("question", "version"),
        is_moment("loaded_at"),
        STRICT,
    )

    id: int | None = key_column()
    question: str = text_column()
    version: int = integer_column()
    bank: str = text_column()
    digest: str = text_column()
    body: str = text_column()
    loaded_at: datetime = moment_column()


class QuestionStateRow(Row):
    """Which version is drawn, or why none is (withdrawn: wrong or stale against the law's text, or taken out of its file)."""

    __tablename__ = "question_state"
    __table_args__ = (one_of("state", "active", "withdrawn"), is_moment("changed_at"), STRICT)

    question: str = text_column(primary_key=True)
    version_id: int = integer_column(foreign_key="question_version.id")
    state: str = text_column()
    reason: str = text_column(default="")
    changed_at: datetime = moment_column()
