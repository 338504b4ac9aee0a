"""What is remembered: the cards of the notebook, and the day on which it counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")

# The cards begin as FSRS-6 leaves a question whose last answer was wrong (stability 0.212, difficulty 6.4133), or, where two right answers had
# taken it out of the notebook, as it leaves one that was right (stability 2.3065); due at once, so that the next answer puts them right.
CARRY_OVER = """
INSERT INTO notebook_card (person_id, question, entered_at, right_in_a_row, left_at, state, step, stability, difficulty, due_at, reviewed_at)
SELECT person_id, question, entered_at, right_in_a_row, left_at,
       CASE WHEN left_at IS NULL THEN 1 ELSE 2 END,
       CASE WHEN left_at IS NULL THEN 0 ELSE NULL END,
       CASE WHEN left_at IS NULL THEN 0.212 ELSE 2.3065 END,
       6.4133,
       COALESCE(left_at, last_answer, entered_at),
       COALESCE(left_at, last_answer, entered_at)
FROM (SELECT m.person_id, m.question, m.entered_at, m.right_in_a_row, m.left_at,
             (SELECT MAX(a.recorded_at) FROM answer a WHERE a.person_id = m.person_id AND a.question = m.question) AS last_answer
      FROM mistake m) carried
"""


def _moment(column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"length({column}) = 27 AND {column} LIKE '____-__-__T__:__:__.______Z'", name=f"{column}_is_a_moment")


def upgrade() -> None:
    op.create_table(
        "notebook_card",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.Text(), nullable=False),
        sa.Column("right_in_a_row", sa.Integer(), nullable=False),
        sa.Column("left_at", sa.Text(), nullable=True),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("stability", _REAL, nullable=False),
        sa.Column("difficulty", _REAL, nullable=False),
        sa.Column("due_at", sa.Text(), nullable=False),
        sa.Column("reviewed_at", sa.Text(), nullable=False),
        sa.CheckConstraint("right_in_a_row >= 0", name="right_counts_up"),
        sa.CheckConstraint("state IN (1, 2, 3)", name="one_of_fsrs_states"),
        sa.CheckConstraint("(state = 2) = (step IS NULL) AND (step IS NULL OR step >= 0)", name="steps_while_learning"),
        sa.CheckConstraint("stability > 0", name="stability_is_positive"),
        sa.CheckConstraint("difficulty BETWEEN 1 AND 10", name="difficulty_is_in_range"),
        _moment("entered_at"),
        _moment("left_at"),
        _moment("due_at"),
        _moment("reviewed_at"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id", "question"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "exam_goal",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Text(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.CheckConstraint("minutes BETWEEN 1 AND 60", name="minutes_of_a_day"),
        sa.CheckConstraint("target BETWEEN 50 AND 99", name="target_is_a_percentage"),
        sa.CheckConstraint("length(day) = 10 AND day LIKE '____-__-__'", name="day_is_a_day"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id"),
        sqlite_strict=True,
    )
    op.execute(CARRY_OVER)
    op.drop_table("mistake")


def downgrade() -> None:
    op.create_table(
        "mistake",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.Text(), nullable=False),
        sa.Column("right_in_a_row", sa.Integer(), nullable=False),
        sa.Column("left_at", sa.Text(), nullable=True),
        _moment("entered_at"),
        _moment("left_at"),
        sa.CheckConstraint("right_in_a_row >= 0", name="right_counts_up"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id", "question"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO mistake (person_id, question, entered_at, right_in_a_row, left_at) "
        "SELECT person_id, question, entered_at, right_in_a_row, left_at FROM notebook_card"
    )
    op.drop_table("exam_goal")
    op.drop_table("notebook_card")
