"""Forecasts that are kept, so that 预警 need not make all of them at each look."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("joined_on", sa.Text(), nullable=True),
        sa.Column("away", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("outlook", sa.Text(), nullable=False),
        sa.Column("tested_error", sa.Integer(), nullable=True),
        sa.Column("tested_hit", sa.Integer(), nullable=True),
        sa.Column("range_held", sa.Integer(), nullable=True),
        sa.CheckConstraint("tested_error >= 0", name="error_is_not_negative"),
        sa.CheckConstraint("joined_on LIKE '____-__-__'", name="joined_on_is_a_day"),
        sa.CheckConstraint("range_held IN (0, 1)", name="range_held_is_a_flag"),
        sa.CheckConstraint("tested_hit IN (0, 1)", name="tested_hit_is_a_flag"),
        sa.CheckConstraint(
            "verdict = 'none' OR verdict = 'early' OR verdict = 'fine' OR verdict = 'doubtful' OR verdict = 'likely' OR verdict = 'sure'",
            name="verdict_is_known",
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "forecast_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.CheckConstraint("made_at LIKE '____-__-__T__:__:__.______Z'", name="made_at_is_a_moment"),
        sa.CheckConstraint("id = 1", name="one_row"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("forecast_run")
    op.drop_table("forecast")
