"""Questions in their versions, what a person has open, every answer, what was reported about a question."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from bot.domain.sitting import FORMS, TASKS
from bot.storage.tables.base import KEYED, STRICT, at, flag, is_flag, is_moment, key, number, one_of, words

_OPEN = text("state = 'open'")
_PROVISIONAL = text("provisional = 1")
_UNDER_WAY = text("state IN ('open', 'asking')")


class QuestionVersion(SQLModel, table=True):
    """A question as it stood when it was loaded; an answer points here and shows it for ever."""

    __tablename__ = "question_version"
    __table_args__ = (
        CheckConstraint("version >= 1", name="versions_count_from_one"),
        CheckConstraint("length(digest) = 64", name="digest_is_sha256"),
        UniqueConstraint("question", "version"),
        is_moment("loaded_at"),
        STRICT,
    )

    id: int | None = key()
    question: str = words()
    version: int = number()
    bank: str = words()
    digest: str = words()
    body: str = words()
    loaded_at: datetime = at()


class QuestionState(SQLModel, table=True):
    """Which version is drawn, or why none is (withdrawn: wrong or stale against the law's text, or taken out of its file)."""

    __tablename__ = "question_state"
    __table_args__ = (one_of("state", "active", "withdrawn"), is_moment("changed_at"), STRICT)

    question: str = words(primary_key=True)
    version_id: int = number(foreign_key="question_version.id")
    state: str = words()
    reason: str = words(default="")
    changed_at: datetime = at()


class Reading(SQLModel, table=True):
    """One person's way through one lesson; at most one way is open."""

    __tablename__ = "reading"
    __table_args__ = (
        one_of("state", "open", "asking", "done", "left"),
        CheckConstraint("page >= 1", name="pages_count_from_one"),
        CheckConstraint("(state IN ('done', 'left')) = (closed_at IS NOT NULL)", name="closed_when_over"),
        is_moment("opened_at"),
        is_moment("closed_at"),
        Index("reading_open_once", "person_id", "lesson", unique=True, sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY),
        Index("reading_of_person", "person_id", "state"),
        STRICT,
    )

    id: int | None = key()
    person_id: int = number(foreign_key="person.id")
    lesson: str = words()
    digest: str = words()
    page: int = number(default=1)
    state: str = words(default="open")
    opened_at: datetime = at()
    closed_at: datetime | None = at(default=None)


class PageView(SQLModel, table=True):
    """A page as it was read: from its sending to the next being asked for, on the server's clock; seconds seen and seconds credited."""

    __tablename__ = "page_view"
    __table_args__ = (
        CheckConstraint("seen IS NULL OR (seen >= 0 AND credited BETWEEN 0 AND seen)", name="never_more_than_seen"),
        CheckConstraint("(asked_at IS NULL) = (seen IS NULL)", name="seen_when_asked"),
        is_moment("sent_at"),
        is_moment("asked_at"),
        Index("page_view_of_reading", "reading_id", "page"),
        STRICT,
    )

    id: int | None = key()
    reading_id: int = number(foreign_key="reading.id")
    page: int = number()
    sent_at: datetime = at()
    asked_at: datetime | None = at(default=None)
    seen: int | None = number(default=None)
    credited: int | None = number(default=None)
    reason: str = words(default="")


class Sitting(SQLModel, table=True):
    """A set of questions put to one person, from the daily set to an exam's paper (domain/sitting.py)."""

    __tablename__ = "sitting"
    __table_args__ = (
        one_of("kind", *FORMS),
        one_of("state", "open", "done", "left"),
        CheckConstraint("size >= 1 AND next BETWEEN 1 AND size + 1", name="next_is_inside"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_when_over"),
        is_moment("opened_at"),
        is_moment("closed_at"),
        Index("sitting_open_once", "person_id", "kind", "scope", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("sitting_of_person", "person_id", "kind", "scope"),
        STRICT,
    )

    id: int | None = key()
    person_id: int = number(foreign_key="person.id")
    kind: str = words()
    scope: str = words()
    size: int = number()
    next: int = number(default=1)
    state: str = words(default="open")
    opened_at: datetime = at()
    closed_at: datetime | None = at(default=None)


class SittingItem(SQLModel, table=True):
    """The n-th question of a sitting, in the version that this person sees.

    `points` is what it is worth, in thousandths of a point (nothing where a set is not marked in points); `shuffle` the letters of the file in the
    order in which this person sees them (CABD: what is shown as A is the file's C), empty where they stand as in the file.
    """

    __tablename__ = "sitting_item"
    __table_args__ = (
        CheckConstraint("n >= 1", name="items_count_from_one"),
        CheckConstraint("points >= 0", name="points_are_not_negative"),
        CheckConstraint("length(shuffle) <= 8", name="shuffle_fits"),
        KEYED,
    )

    sitting_id: int = number(primary_key=True, foreign_key="sitting.id")
    n: int = number(primary_key=True)
    question: str = words()
    version_id: int = number(foreign_key="question_version.id")
    points: int = number(default=0, sa_column_kwargs={"server_default": "0"})
    shuffle: str = words(default="", sa_column_kwargs={"server_default": text("''")})


class Answer(SQLModel, table=True):
    """One recorded answer; the first to a place in a sitting stands. `earned` is in thousandths of the item."""

    __tablename__ = "answer"
    __table_args__ = (
        CheckConstraint("earned BETWEEN 0 AND 1000", name="earned_is_a_share"),
        CheckConstraint("correct = 0 OR earned = 1000", name="correct_earns_all"),
        is_flag("correct"),
        is_flag("provisional"),
        is_flag("late"),
        is_moment("arrived_at"),
        is_moment("recorded_at"),
        UniqueConstraint("sitting_id", "n"),
        Index("answer_of_person", "person_id", "question"),
        Index("answer_in_time", "recorded_at"),
        Index("answer_provisional", "id", sqlite_where=_PROVISIONAL, postgresql_where=_PROVISIONAL),
        STRICT,
    )

    id: int | None = key()
    person_id: int = number(foreign_key="person.id")
    sitting_id: int = number(foreign_key="sitting.id")
    n: int = number()
    question: str = words()
    version_id: int = number(foreign_key="question_version.id")
    choice: str = words()
    correct: bool = flag()
    earned: int = number()
    provisional: bool = flag(default=False)
    channel: str = words()
    message_id: str = words()
    arrived_at: datetime = at()
    recorded_at: datetime = at()
    late: bool = flag(default=False)


class Confirmation(SQLModel, table=True):
    """A person's word on a provisional mark; the answer itself stays as it was recorded."""

    __tablename__ = "confirmation"
    __table_args__ = (
        CheckConstraint("earned BETWEEN 0 AND 1000", name="earned_is_a_share"),
        is_moment("confirmed_at"),
        STRICT,
    )

    answer_id: int = number(primary_key=True, foreign_key="answer.id")
    earned: int = number()
    confirmed_by: int = number(foreign_key="person.id")
    confirmed_at: datetime = at()


class Report(SQLModel, table=True):
    """A question reported by a reader (纠错), and the answer an administrator gave."""

    __tablename__ = "report"
    __table_args__ = (
        CheckConstraint("(answered_at IS NULL) = (answered_by IS NULL)", name="answered_by_somebody"),
        CheckConstraint("length(said) <= 500", name="said_fits"),
        is_moment("reported_at"),
        is_moment("answered_at"),
        is_moment("seen_at"),
        STRICT,
    )

    id: int | None = key()
    person_id: int = number(foreign_key="person.id", index=True)
    version_id: int = number(foreign_key="question_version.id")
    answer_id: int | None = number(default=None, foreign_key="answer.id")
    said: str = words()
    reported_at: datetime = at()
    answered_by: int | None = number(default=None, foreign_key="person.id")
    answered_at: datetime | None = at(default=None)
    answered: str = words(default="")
    seen_at: datetime | None = at(default=None)


class Focus(SQLModel, table=True):
    """What a person is at: one task, a reading or a sitting by its id. What else is open waits its turn."""

    __tablename__ = "focus"
    __table_args__ = (one_of("kind", *TASKS), is_moment("since"), STRICT)

    person_id: int = number(primary_key=True, foreign_key="person.id")
    kind: str = words()
    ref: int = number()
    since: datetime = at()
