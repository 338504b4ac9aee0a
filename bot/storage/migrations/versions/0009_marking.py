"""What comes after an exam: corrections, new marks, appeals, results from elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEPT = {
    "remark": "a new mark stands beside the old one",
    "ripple": "what a correction changed stays as it was",
    "outside_result": "a result from elsewhere stands as it came",
}
TABLES = ("outside_result", "outside_exam", "appeal", "ripple", "remark", "correction")
_PROVISIONAL = sa.text("provisional = 1")


def upgrade() -> None:
    op.create_index("answer_provisional", "answer", ["id"], sqlite_where=_PROVISIONAL, postgresql_where=_PROVISIONAL)
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("ref", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.Text(), nullable=True),
        sa.CheckConstraint("length(decided_at) = 27 AND decided_at LIKE '____-__-__T__:__:__.______Z'", name="decided_at_is_a_moment"),
        sa.CheckConstraint("(state = 'proposed') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)", name="decided_by_somebody"),
        sa.CheckConstraint("(way IN ('rekey', 'accept')) = (keys <> '')", name="keys_where_the_way_has_some"),
        sa.CheckConstraint("length(proposed_at) = 27 AND proposed_at LIKE '____-__-__T__:__:__.______Z'", name="proposed_at_is_a_moment"),
        sa.CheckConstraint("length(reason) BETWEEN 1 AND 500", name="reason_fits"),
        sa.CheckConstraint("scope IN ('exam', 'contest')", name="scope_is_known"),
        sa.CheckConstraint("state IN ('proposed', 'applied', 'dropped')", name="state_is_known"),
        sa.CheckConstraint("way IN ('rekey', 'accept', 'full', 'void')", name="way_is_known"),
        sa.ForeignKeyConstraint(["version_id"], ["question_version.id"]),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("correction_of_scope", "correction", ["scope", "ref"])
    op.create_index(
        "one_correction_at_a_time",
        "correction",
        ["scope", "ref", "version_id"],
        unique=True,
        sqlite_where=sa.text("state = 'proposed'"),
        postgresql_where=sa.text("state = 'proposed'"),
    )
    op.create_table(
        "remark",
        sa.Column("correction_id", sa.Integer(), nullable=False),
        sa.Column("sitting_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("answer_id", sa.Integer(), nullable=True),
        sa.Column("earned", sa.Integer(), nullable=False),
        sa.Column("counts", sa.Integer(), nullable=False),
        sa.Column("marked_at", sa.Text(), nullable=False),
        sa.CheckConstraint("counts IN (0, 1)", name="counts_is_a_flag"),
        sa.CheckConstraint("earned BETWEEN 0 AND 1000", name="earned_is_a_share"),
        sa.CheckConstraint("length(marked_at) = 27 AND marked_at LIKE '____-__-__T__:__:__.______Z'", name="marked_at_is_a_moment"),
        sa.ForeignKeyConstraint(["correction_id"], ["correction.id"]),
        sa.ForeignKeyConstraint(["sitting_id"], ["sitting.id"]),
        sa.ForeignKeyConstraint(["answer_id"], ["answer.id"]),
        sa.PrimaryKeyConstraint("correction_id", "sitting_id", "n"),
        sa.UniqueConstraint("sitting_id", "n", "correction_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ripple",
        sa.Column("correction_id", sa.Integer(), nullable=False),
        sa.Column("sitting_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("score_before", sa.Integer(), nullable=False),
        sa.Column("score_after", sa.Integer(), nullable=False),
        sa.Column("place_before", sa.Integer(), nullable=True),
        sa.Column("place_after", sa.Integer(), nullable=True),
        sa.Column("passed_before", sa.Integer(), nullable=True),
        sa.Column("passed_after", sa.Integer(), nullable=True),
        sa.Column("seconds_before", sa.Integer(), nullable=False),
        sa.Column("seconds_after", sa.Integer(), nullable=False),
        sa.Column("certificate_before", sa.Text(), nullable=False),
        sa.Column("certificate_after", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.CheckConstraint("seconds_before >= 0 AND seconds_after >= 0", name="credit_is_not_negative"),
        sa.CheckConstraint("length(made_at) = 27 AND made_at LIKE '____-__-__T__:__:__.______Z'", name="made_at_is_a_moment"),
        sa.CheckConstraint("passed_after IN (0, 1)", name="passed_after_is_a_flag"),
        sa.CheckConstraint("passed_before IN (0, 1)", name="passed_before_is_a_flag"),
        sa.ForeignKeyConstraint(["correction_id"], ["correction.id"]),
        sa.ForeignKeyConstraint(["sitting_id"], ["sitting.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("correction_id", "sitting_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ripple_of_sitting", "ripple", ["sitting_id"])
    op.create_table(
        "appeal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("sitting_id", sa.Integer(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("appealed_at", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Text(), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=True),
        sa.Column("answered", sa.Text(), nullable=False),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.Text(), nullable=True),
        sa.Column("correction_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("length(answered) <= 500", name="answer_fits"),
        sa.CheckConstraint("length(answered_at) = 27 AND answered_at LIKE '____-__-__T__:__:__.______Z'", name="answered_at_is_a_moment"),
        sa.CheckConstraint(
            "(answered_at IS NULL) = (answered_by IS NULL) AND (answered_at IS NULL) = (granted IS NULL)", name="answered_by_somebody"
        ),
        sa.CheckConstraint("length(appealed_at) = 27 AND appealed_at LIKE '____-__-__T__:__:__.______Z'", name="appealed_at_is_a_moment"),
        sa.CheckConstraint("length(due_on) = 10 AND due_on LIKE '____-__-__'", name="due_on_is_a_day"),
        sa.CheckConstraint("granted IN (0, 1)", name="granted_is_a_flag"),
        sa.CheckConstraint("length(said) BETWEEN 1 AND 500", name="said_fits"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["sitting_id"], ["sitting.id"]),
        sa.ForeignKeyConstraint(["answered_by"], ["person.id"]),
        sa.ForeignKeyConstraint(["correction_id"], ["correction.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("appeal_of_person", "appeal", ["person_id"])
    op.create_index(
        "one_open_appeal",
        "appeal",
        ["sitting_id"],
        unique=True,
        sqlite_where=sa.text("answered_at IS NULL"),
        postgresql_where=sa.text("answered_at IS NULL"),
    )
    op.create_table(
        "outside_exam",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("held_on", sa.Text(), nullable=False),
        sa.Column("pass_line", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=True),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(held_on) = 10 AND held_on LIKE '____-__-__'", name="held_on_is_a_day"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        sa.CheckConstraint("total > 0 AND pass_line BETWEEN 1 AND total", name="pass_line_is_inside"),
        sa.CheckConstraint("length(recorded_at) = 27 AND recorded_at LIKE '____-__-__T__:__:__.______Z'", name="recorded_at_is_a_moment"),
        sa.ForeignKeyConstraint(["exam_id"], ["exam.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("exam_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "outside_result",
        sa.Column("outside_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.CheckConstraint("passed IN (0, 1)", name="passed_is_a_flag"),
        sa.CheckConstraint("length(recorded_at) = 27 AND recorded_at LIKE '____-__-__T__:__:__.______Z'", name="recorded_at_is_a_moment"),
        sa.CheckConstraint("score >= 0", name="score_is_not_negative"),
        sa.ForeignKeyConstraint(["outside_id"], ["outside_exam.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("outside_id", "person_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        for table, why in KEPT.items():
            for act in ("UPDATE", "DELETE"):
                op.execute(f"CREATE TRIGGER {table}_refuses_{act.lower()} BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, '{why}'); END")
        return
    for table, why in KEPT.items():
        op.execute(
            f"CREATE TRIGGER {table}_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('{why}')"
        )


def downgrade() -> None:
    op.drop_index("answer_provisional", "answer")
    # A table takes its triggers with it.
    for table in TABLES:
        op.drop_table(table)
