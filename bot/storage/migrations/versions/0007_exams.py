"""Exams: blueprints, windows, attempts, extensions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OPEN = sa.text("state = 'open'")
_UNTOLD = sa.text("state = 'closed' AND told_at IS NULL")
_STANDS = sa.text("makeup_of IS NOT NULL AND state <> 'cancelled'")


def _moment(name: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"length({name}) = 27 AND {name} LIKE '____-__-__T__:__:__.______Z'", name=f"{name}_is_a_moment")


def upgrade() -> None:
    op.create_table(
        "exam",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("blueprint", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("opens_at", sa.Text(), nullable=False),
        sa.Column("closes_at", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("late_minutes", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("pass_line", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("grace_seconds", sa.Integer(), nullable=False),
        sa.Column("makeup_of", sa.Integer(), nullable=True),
        sa.Column("cap", sa.Integer(), nullable=True),
        sa.Column("clause", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.Text(), nullable=True),
        sa.Column("released_at", sa.Text(), nullable=True),
        sa.Column("frozen_at", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('draft', 'published', 'closed', 'released', 'cancelled')", name="state_is_known"),
        sa.CheckConstraint("results IN ('at_once', 'after_close', 'after_release')", name="results_is_known"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        sa.CheckConstraint("minutes BETWEEN 1 AND 1440", name="minutes_are_plausible"),
        sa.CheckConstraint("late_minutes >= 0", name="late_minutes_are_not_negative"),
        sa.CheckConstraint("attempts BETWEEN 1 AND 20", name="attempts_are_few"),
        sa.CheckConstraint("pass_line BETWEEN 1 AND total", name="pass_line_is_inside"),
        sa.CheckConstraint("cap BETWEEN 1 AND total", name="cap_is_inside"),
        sa.CheckConstraint("grace_seconds BETWEEN 0 AND 60", name="grace_is_short"),
        sa.CheckConstraint("makeup_of <> id", name="not_its_own_makeup"),
        sa.CheckConstraint("(state IN ('closed', 'released')) = (closed_at IS NOT NULL)", name="closed_when_over"),
        sa.CheckConstraint("(state = 'released') = (released_at IS NOT NULL)", name="released_when_told"),
        _moment("opens_at"),
        _moment("closes_at"),
        _moment("created_at"),
        _moment("changed_at"),
        _moment("closed_at"),
        _moment("released_at"),
        _moment("frozen_at"),
        sa.CheckConstraint("closes_at > opens_at", name="window_is_open"),
        sa.ForeignKeyConstraint(["makeup_of"], ["exam.id"]),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("exam_makeup_once", "exam", ["makeup_of"], unique=True, sqlite_where=_STANDS, postgresql_where=_STANDS)
    op.create_table(
        "attempt",
        sa.Column("sitting_id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("deadline", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.Text(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("passed", sa.Integer(), nullable=True),
        sa.Column("difficulty", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'closed')", name="state_is_known"),
        sa.CheckConstraint("closed_by IN ('self', 'clock', 'staff')", name="closed_by_is_known"),
        sa.CheckConstraint("n >= 1", name="attempts_count_from_one"),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)", name="closed_by_somebody"),
        sa.CheckConstraint("score >= 0", name="score_is_not_negative"),
        sa.CheckConstraint("difficulty BETWEEN 0 AND 1000", name="difficulty_is_a_share"),
        sa.CheckConstraint("passed IN (0, 1)", name="passed_is_a_flag"),
        _moment("started_at"),
        _moment("deadline"),
        _moment("closed_at"),
        _moment("told_at"),
        sa.CheckConstraint("deadline > started_at", name="time_is_given"),
        sa.ForeignKeyConstraint(["sitting_id"], ["sitting.id"]),
        sa.ForeignKeyConstraint(["exam_id"], ["exam.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("sitting_id"),
        sa.UniqueConstraint("exam_id", "person_id", "n"),
        sqlite_strict=True,
    )
    op.create_index("attempt_open", "attempt", ["deadline"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("attempt_of_person", "attempt", ["person_id", "started_at"])
    op.create_index("attempt_untold", "attempt", ["exam_id", "sitting_id"], sqlite_where=_UNTOLD, postgresql_where=_UNTOLD)
    op.create_table(
        "extension",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sitting_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('time', 'reopen')", name="kind_is_known"),
        sa.CheckConstraint("minutes BETWEEN 1 AND 600", name="minutes_are_plausible"),
        sa.CheckConstraint("length(reason) BETWEEN 1 AND 300", name="reason_fits"),
        sa.CheckConstraint("asked_by <> approved_by", name="two_people"),
        sa.CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved_by_somebody"),
        _moment("asked_at"),
        _moment("approved_at"),
        sa.ForeignKeyConstraint(["sitting_id"], ["attempt.sitting_id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("ix_extension_sitting_id", "extension", ["sitting_id"])


def downgrade() -> None:
    for table in ("extension", "attempt", "exam"):
        op.drop_table(table)
