"""Tables of grading: corrections with their regrades and effects, appeals, results from other platforms, confirmed grades, question reports."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text

from bot.domain.grading.correction import SCOPE_LABELS, WAY_LABELS
from bot.storage.tables.columns import (
    KEYED,
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
    unique_where_present,
)

_PROPOSED = text("state = 'proposed'")
_UNANSWERED = text("answered_at IS NULL")


class CorrectionRow(Row):
    """One question of one exam or contest put right: proposed by one name, applied (or dropped) by another where the rule asks for two.

    `keys` are the answers that are right from then on, one a line; `report_id` the reader's report it came from.
    """

    __tablename__ = "correction"
    __table_args__ = (
        one_of("scope", *SCOPE_LABELS),
        one_of("way", *WAY_LABELS),
        one_of("state", "proposed", "applied", "dropped"),
        CheckConstraint("length(reason) BETWEEN 1 AND 500", name="reason_fits"),
        CheckConstraint("(way IN ('rekey', 'accept')) = (keys <> '')", name="keys_where_the_way_has_some"),
        CheckConstraint("(state = 'proposed') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)", name="decided_by_somebody"),
        is_moment("proposed_at"),
        is_moment("decided_at"),
        Index(
            "one_correction_at_a_time",
            "scope",
            "ref",
            "version_id",
            unique=True,
            sqlite_where=_PROPOSED,
        ),
        Index("correction_of_scope", "scope", "ref"),
        STRICT,
    )

    id: int | None = key_column()
    scope: str = text_column()
    ref: int = integer_column()
    question: str = text_column()
    version_id: int = integer_column(foreign_key="question_version.id")
    way: str = text_column()
    keys: str = text_column(default="")
    reason: str = text_column()
    report_id: int | None = integer_column(default=None, foreign_key="report.id")
    state: str = text_column(default="proposed")
    proposed_by: str = text_column()
    proposed_at: datetime = moment_column()
    decided_by: str | None = text_column(default=None)
    decided_at: datetime | None = moment_column(default=None)


class RegradeRow(Row):
    """The new grade of one place of one paper, beside the answer as it was recorded (none where the place was left blank). Never changed.

    `earned` in thousandths of the item; `counts` is false where the item was taken out. Of several, that of the newest correction counts.
    """

    __tablename__ = "remark"
    __table_args__ = (
        CheckConstraint("earned BETWEEN 0 AND 1000", name="earned_is_a_share"),
        is_flag("counts"),
        is_moment("marked_at"),
        UniqueConstraint("sitting_id", "n", "correction_id"),
        KEYED,
    )

    correction_id: int = integer_column(primary_key=True, foreign_key="correction.id")
    sitting_id: int = integer_column(primary_key=True, foreign_key="sitting.id")
    n: int = integer_column(primary_key=True)
    answer_id: int | None = integer_column(default=None, foreign_key="answer.id")
    earned: int = integer_column()
    counts: bool = flag_column(default=True)
    marked_at: datetime = moment_column()


class CorrectionEffectRow(Row):
    """What a correction changed for one paper: score, place, pass, credit, certificate, before and after. Never changed.

    Scores in thousandths of a point, credit in seconds, certificates by number (empty for none).
    """

    __tablename__ = "ripple"
    __table_args__ = (
        is_flag("passed_before"),
        is_flag("passed_after"),
        CheckConstraint("seconds_before >= 0 AND seconds_after >= 0", name="credit_is_not_negative"),
        is_moment("made_at"),
        Index("ripple_of_sitting", "sitting_id"),
        KEYED,
    )

    correction_id: int = integer_column(primary_key=True, foreign_key="correction.id")
    sitting_id: int = integer_column(primary_key=True, foreign_key="sitting.id")
    person_id: int = integer_column(foreign_key="person.id")
    score_before: int = integer_column()
    score_after: int = integer_column()
    place_before: int | None = integer_column(default=None)
    place_after: int | None = integer_column(default=None)
    passed_before: bool | None = flag_column(default=None)
    passed_after: bool | None = flag_column(default=None)
    seconds_before: int = integer_column(default=0)
    seconds_after: int = integer_column(default=0)
    certificate_before: str = text_column(default="")
    certificate_after: str = text_column(default="")
    made_at: datetime = moment_column()


class AppealRow(Row):
    """A person does not agree with a result; an administrator answers. Where it is granted, a correction or an entry of the ledger puts it right."""

    __tablename__ = "appeal"
    __table_args__ = (
        CheckConstraint("length(said) BETWEEN 1 AND 500", name="said_fits"),
        CheckConstraint("length(answered) <= 500", name="answer_fits"),
        CheckConstraint("(answered_at IS NULL) = (answered_by IS NULL) AND (answered_at IS NULL) = (granted IS NULL)", name="answered_by_somebody"),
        is_flag("granted"),
        is_moment("appealed_at"),
        is_day("due_on"),
        is_moment("answered_at"),
        Index("one_open_appeal", "sitting_id", unique=True, sqlite_where=_UNANSWERED),
        Index("appeal_of_person", "person_id"),
        STRICT,
    )

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id")
    sitting_id: int = integer_column(foreign_key="sitting.id")
    said: str = text_column()
    appealed_at: datetime = moment_column()
    due_on: date = day_column()
    granted: bool | None = flag_column(default=None)
    answered: str = text_column(default="")
    answered_by: int | None = integer_column(default=None, foreign_key="person.id")
    answered_at: datetime | None = moment_column(default=None)
    correction_id: int | None = integer_column(default=None, foreign_key="correction.id")


class OutsideExamRow(Row):
    """An exam held on another platform. Pass line and total in thousandths of a point; `exam_id` where it is tracked as an exam here."""

    __tablename__ = "outside_exam"
    __table_args__ = (
        CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        CheckConstraint("total > 0 AND pass_line BETWEEN 1 AND total", name="pass_line_is_inside"),
        is_day("held_on"),
        is_moment("recorded_at"),
        UniqueConstraint("name"),
        unique_where_present("exam_held_outside_once", "exam_id"),
        STRICT,
    )

    id: int | None = key_column()
    name: str = text_column()
    held_on: date = day_column()
    pass_line: int = integer_column()
    total: int = integer_column()
    exam_id: int | None = integer_column(default=None, foreign_key="exam.id")
    recorded_by: str = text_column()
    recorded_at: datetime = moment_column()


class OutsideResultRow(Row):
    """One person's result of an exam held elsewhere, as the file gave it (`row` of the file). Never changed."""

    __tablename__ = "outside_result"
    __table_args__ = (
        CheckConstraint("score >= 0", name="score_is_not_negative"),
        is_flag("passed"),
        is_moment("recorded_at"),
        KEYED,
    )

    outside_id: int = integer_column(primary_key=True, foreign_key="outside_exam.id")
    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    score: int = integer_column()
    passed: bool = flag_column()
    file: str = text_column()
    row: int = integer_column()
    recorded_by: str = text_column()
    recorded_at: datetime = moment_column()


class ConfirmationRow(Row):
    """A person's confirmation of a provisional grade; the answer itself stays as it was recorded."""

    __tablename__ = "confirmation"
    __table_args__ = (
        CheckConstraint("earned BETWEEN 0 AND 1000", name="earned_is_a_share"),
        is_moment("confirmed_at"),
        STRICT,
    )

    answer_id: int = integer_column(primary_key=True, foreign_key="answer.id")
    earned: int = integer_column()
    confirmed_by: int = integer_column(foreign_key="person.id")
    confirmed_at: datetime = moment_column()


class ReportRow(Row):
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

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id", index=True)
    version_id: int = integer_column(foreign_key="question_version.id")
    answer_id: int | None = integer_column(default=None, foreign_key="answer.id")
    said: str = text_column()
    reported_at: datetime = moment_column()
    answered_by: int | None = integer_column(default=None, foreign_key="person.id")
    answered_at: datetime | None = moment_column(default=None)
    answered: str = text_column(default="")
    seen_at: datetime | None = moment_column(default=None)
