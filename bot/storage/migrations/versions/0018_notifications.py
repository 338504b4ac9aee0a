"""Who has been notified of what, one row a person and matter."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notification",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("once", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("occurrence_id", sa.Integer(), nullable=False),
        sa.Column("notified_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(once) BETWEEN 1 AND 200", name="once_fits"),
        sa.CheckConstraint("notified_at LIKE '____-__-__T__:__:__.______Z'", name="notified_at_is_a_moment"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["occurrence_id"], ["occurrence.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("once", "person_id"),
        sqlite_strict=True,
    )
    op.create_index("notification_of_occurrence", "notification", ["occurrence_id"])


def downgrade() -> None:
    op.drop_index("notification_of_occurrence", "notification")
    op.drop_table("notification")
