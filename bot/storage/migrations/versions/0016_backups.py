"""The backups that were taken, so that the service knows how old the last one is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backup",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name="sha256_has_64_digits"),
        sa.CheckConstraint("taken_at LIKE '____-__-__T__:__:__.______Z'", name="taken_at_is_a_moment"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("ix_backup_taken_at", "backup", ["taken_at"])


def downgrade() -> None:
    op.drop_index("ix_backup_taken_at", "backup")
    op.drop_table("backup")
