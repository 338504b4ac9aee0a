"""The tables of study: readings, sittings and answers, the task in hand, the notebook of mistakes with its FSRS cards, the review settings."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text

from bot.domain.study.sitting import FORMS, TASK_KINDS
from bot.storage.tables.columns import (
    KEYED,
    STRICT,
    Row,
    day_column,
    flag_column,
    float_column,
    integer_column,
    is_day,
    is_flag,
    is_moment,
    key_column,
    moment_column,
    one_of,
    text_column,
)

_OPEN = text("state = 'open'")
_PROVISIONAL = text("provisional = 1")
_UNDER_WAY = text("state IN ('open', 'asking')")


class ReadingRow(Row):
    """One person's way through one lesson; at most one way is open."""

    __tablename__ = "reading"
    __table_args__ = (
        one_of("state", "open", "asking", "done", "left"),
        CheckConstraint("page >= 1", name="pages_count_from_one"),
        CheckConstraint("(state IN ('done', 'left')) = (closed_at IS NOT NULL)", name="closed_when_over"),
        is_moment("opened_at"),
        is_moment("closed_at"),
        Index("reading_open_once", "person_id", "lesson", unique=True, sqlite_where=_UNDER_WAY),
        Index("reading_of_person", "person_id", "state"),
        STRICT,
    )

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id")
    lesson: str = text_column()
    digest: str = text_column()
    page: int = integer_column(default=1)
    state: str = text_column(default="open")
    opened_at: datetime = moment_column()
    closed_at: datetime | None = moment_column(default=None)


class PageViewRow(Row):
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

    id: int | None = key_column()
    reading_id: int = integer_column(foreign_key="reading.id")
    page: int = integer_column()
    sent_at: datetime = moment_column()
    asked_at: datetime | None = moment_column(default=None)
    seen: int | None = integer_column(default=None)
    credited: int | None = integer_column(default=None)
    reason: str = text_column(default="")


class SittingRow(Row):
    """A set of questions put to one person, from the daily set to an exam's paper (bot/domain/study/sitting.py)."""

    __tablename__ = "sitting"
    __table_args__ = (
        one_of("kind", *FORMS),
        one_of("state", "open", "done", "left"),
        CheckConstraint("size >= 1 AND next BETWEEN 1 AND size + 1", name="next_is_inside"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_when_over"),
        is_moment("opened_at"),
        is_moment("closed_at"),
        Index("sitting_open_once", "person_id", "kind", "scope", unique=True, sqlite_where=_OPEN),
        Index("sitting_of_person", "person_id", "kind", "scope"),
        STRICT,
    )

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id")
    kind: str = text_column()
    scope: str = text_column()
    size: int = integer_column()
    next: int = integer_column(default=1)
    state: str = text_column(default="open")
    opened_at: datetime = moment_column()
    closed_at: datetime | None = moment_column(default=None)


class SittingItemRow(Row):
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

    sitting_id: int = integer_column(primary_key=True, foreign_key="sitting.id")
    n: int = integer_column(primary_key=True)
    question: str = text_column()
    version_id: int = integer_column(foreign_key="question_version.id")
    points: int = integer_column(default=0, server_default="0")
    shuffle: str = text_column(default="", server_default=text("''"))


class AnswerRow(Row):
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
        Index("answer_provisional", "id", sqlite_where=_PROVISIONAL),
        STRICT,
    )

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id")
    sitting_id: int = integer_column(foreign_key="sitting.id")
    n: int = integer_column()
    question: str = text_column()
    version_id: int = integer_column(foreign_key="question_version.id")
    choice: str = text_column()
    correct: bool = flag_column()
    earned: int = integer_column()
    provisional: bool = flag_column(default=False)
    channel: str = text_column()
    message_id: str = text_column()
    arrived_at: datetime = moment_column()
    recorded_at: datetime = moment_column()
    late: bool = flag_column(default=False)


class FocusRow(Row):
    """The task in hand: one a person, a reading or a sitting by its id. What else is open waits its turn."""

    __tablename__ = "focus"
    __table_args__ = (one_of("kind", *TASK_KINDS), is_moment("since"), STRICT)

    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    kind: str = text_column()
    ref: int = integer_column()
    since: datetime = moment_column()


class NotebookCardRow(Row):
    """A question that a person answered wrong once. It leaves the list after enough right answers in a row; its card stays, and falls due."""

    __tablename__ = "notebook_card"
    __table_args__ = (
        CheckConstraint("right_in_a_row >= 0", name="right_counts_up"),
        CheckConstraint("state BETWEEN 1 AND 3", name="one_of_fsrs_states"),
        CheckConstraint("(state = 2) = (step IS NULL) AND (step IS NULL OR step >= 0)", name="steps_while_learning"),
        CheckConstraint("stability > 0", name="stability_is_positive"),
        CheckConstraint("difficulty BETWEEN 1 AND 10", name="difficulty_is_in_range"),
        is_moment("entered_at"),
        is_moment("left_at"),
        is_moment("due_at"),
        is_moment("reviewed_at"),
        KEYED,
    )

    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    question: str = text_column(primary_key=True)
    entered_at: datetime = moment_column()
    right_in_a_row: int = integer_column(default=0)
    left_at: datetime | None = moment_column(default=None)
    state: int = integer_column()
    step: int | None = integer_column(default=None)
    stability: float = float_column()
    difficulty: float = float_column()
    due_at: datetime = moment_column()
    reviewed_at: datetime = moment_column()


class ExamGoalRow(Row):
    """What a person set for their reviews: the day that counts, minutes a day until then, the percentage to be right on the day."""

    __tablename__ = "exam_goal"
    __table_args__ = (
        CheckConstraint("minutes BETWEEN 1 AND 60", name="minutes_of_a_day"),
        CheckConstraint("target BETWEEN 50 AND 99", name="target_is_a_percentage"),
        is_day("day"),
        STRICT,
    )

    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    day: date | None = day_column(default=None)
    minutes: int = integer_column()
    target: int = integer_column()
