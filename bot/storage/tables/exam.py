"""Tables of exams, of the attempts at them and of approved extra time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text

from bot.domain.exam.exam import RESULTS, STATES
from bot.storage.tables.columns import STRICT, Row, flag_column, integer_column, is_flag, is_moment, key_column, moment_column, one_of, text_column

_OPEN = text("state = 'open'")
_UNTOLD = text("state = 'closed' AND told_at IS NULL")
_STANDS = text("makeup_of IS NOT NULL AND state <> 'cancelled'")


class ExamRow(Row):
    """An exam: what is asked (`blueprint`), of whom (`audience`, after `gate`), when, and what becomes of it. Points are thousandths of a point.

    `late_minutes` is how long after the opening one may still begin, `cap` the most that a make-up counts, `frozen_at` when results were stopped
    for a correction.
    """

    __tablename__ = "exam"
    __table_args__ = (
        one_of("state", *STATES),
        one_of("results", *RESULTS),
        CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        CheckConstraint("minutes BETWEEN 1 AND 1440", name="minutes_are_plausible"),
        CheckConstraint("late_minutes >= 0", name="late_minutes_are_not_negative"),
        CheckConstraint("attempts BETWEEN 1 AND 20", name="attempts_are_few"),
        CheckConstraint("pass_line BETWEEN 1 AND total", name="pass_line_is_inside"),
        CheckConstraint("cap BETWEEN 1 AND total", name="cap_is_inside"),
        CheckConstraint("grace_seconds BETWEEN 0 AND 60", name="grace_is_short"),
        CheckConstraint("makeup_of <> id", name="not_its_own_makeup"),
        CheckConstraint("(state IN ('closed', 'released')) = (closed_at IS NOT NULL)", name="closed_when_over"),
        CheckConstraint("(state = 'released') = (released_at IS NOT NULL)", name="released_when_told"),
        is_moment("opens_at"),
        is_moment("closes_at"),
        is_moment("created_at"),
        is_moment("changed_at"),
        is_moment("closed_at"),
        is_moment("released_at"),
        is_moment("frozen_at"),
        CheckConstraint("closes_at > opens_at", name="window_is_open"),
        Index("exam_makeup_once", "makeup_of", unique=True, sqlite_where=_STANDS),
        STRICT,
    )

    id: int | None = key_column()
    name: str = text_column()
    state: str = text_column(default="draft")
    blueprint: str = text_column()
    audience: str = text_column()
    gate: str = text_column(default="{}")
    opens_at: datetime = moment_column()
    closes_at: datetime = moment_column()
    minutes: int = integer_column()
    late_minutes: int | None = integer_column(default=None)
    attempts: int = integer_column(default=1)
    pass_line: int = integer_column()
    total: int = integer_column()
    results: str = text_column(default="after_close")
    grace_seconds: int = integer_column(default=0)
    makeup_of: int | None = integer_column(default=None, foreign_key="exam.id")
    cap: int | None = integer_column(default=None)
    clause: str = text_column(default="")
    campaign_id: int | None = integer_column(default=None, foreign_key="campaign.id")
    created_by: str = text_column()
    created_at: datetime = moment_column()
    changed_at: datetime = moment_column()
    closed_at: datetime | None = moment_column(default=None)
    released_at: datetime | None = moment_column(default=None)
    frozen_at: datetime | None = moment_column(default=None)


class AttemptRow(Row):
    """One person's n-th try at an exam: the sitting with its paper, until when its answers count, how it ended, what it came to.

    `score` is in thousandths of a point, `passed` unknown while an answer still waits for a person's mark; `difficulty` is the expected difficulty
    of the paper in thousandths; `told_at` is when result and keys could be told and everything that follows from them was done.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        one_of("state", "open", "closed"),
        one_of("closed_by", "self", "clock", "staff"),
        CheckConstraint("n >= 1", name="attempts_count_from_one"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)", name="closed_by_somebody"),
        CheckConstraint("score >= 0", name="score_is_not_negative"),
        CheckConstraint("difficulty BETWEEN 0 AND 1000", name="difficulty_is_a_share"),
        is_flag("passed"),
        is_moment("started_at"),
        is_moment("deadline"),
        is_moment("closed_at"),
        is_moment("told_at"),
        CheckConstraint("deadline > started_at", name="time_is_given"),
        UniqueConstraint("exam_id", "person_id", "n"),
        Index("attempt_open", "deadline", sqlite_where=_OPEN),
        Index("attempt_of_person", "person_id", "started_at"),
        Index("attempt_untold", "exam_id", "sitting_id", sqlite_where=_UNTOLD),
        STRICT,
    )

    sitting_id: int = integer_column(primary_key=True, foreign_key="sitting.id")
    exam_id: int = integer_column(foreign_key="exam.id")
    person_id: int = integer_column(foreign_key="person.id")
    n: int = integer_column(default=1)
    started_at: datetime = moment_column()
    deadline: datetime = moment_column()
    state: str = text_column(default="open")
    closed_at: datetime | None = moment_column(default=None)
    closed_by: str | None = text_column(default=None)
    score: int | None = integer_column(default=None)
    passed: bool | None = flag_column(default=None)
    difficulty: int = integer_column(default=0)
    told_at: datetime | None = moment_column(default=None)


class ExtensionRow(Row):
    """Extra time or a reopening that one person asked for with a reason and another approved; nothing changes before that (bot/docs/rules.md S14)."""

    __tablename__ = "extension"
    __table_args__ = (
        one_of("kind", "time", "reopen"),
        CheckConstraint("minutes BETWEEN 1 AND 600", name="minutes_are_plausible"),
        CheckConstraint("length(reason) BETWEEN 1 AND 300", name="reason_fits"),
        CheckConstraint("asked_by <> approved_by", name="two_people"),
        CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved_by_somebody"),
        is_moment("asked_at"),
        is_moment("approved_at"),
        STRICT,
    )

    id: int | None = key_column()
    sitting_id: int = integer_column(foreign_key="attempt.sitting_id", index=True)
    kind: str = text_column()
    minutes: int = integer_column()
    reason: str = text_column()
    asked_by: str = text_column()
    asked_at: datetime = moment_column()
    approved_by: str | None = text_column(default=None)
    approved_at: datetime | None = moment_column(default=None)
