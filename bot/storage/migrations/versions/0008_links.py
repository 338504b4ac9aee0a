"""One-time links from the chat to a page, and the visits they open."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


_A_MOMENT = "length({0}) = 27 AND {0} LIKE '____-__-__T__:__:__.______Z'"


def upgrade() -> None:
    op.create_table(
        "link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("used_at", sa.Text(), nullable=True),
        sa.CheckConstraint("length(hash) = 64", name="hash_is_sha256"),
        sa.CheckConstraint("length(purpose) BETWEEN 1 AND 20", name="purpose_fits"),
        sa.CheckConstraint("length(ref) <= 80", name="ref_fits"),
        sa.CheckConstraint(_A_MOMENT.format("made_at"), name="made_at_is_a_moment"),
        sa.CheckConstraint(_A_MOMENT.format("expires_at"), name="expires_at_is_a_moment"),
        sa.CheckConstraint(_A_MOMENT.format("used_at"), name="used_at_is_a_moment"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        sqlite_strict=True,
    )
    op.create_index("ix_link_person_id", "link", ["person_id"])
    op.create_index("ix_link_expires_at", "link", ["expires_at"])
    op.create_table(
        "visit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("link_id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("began_at", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.CheckConstraint("length(hash) = 64", name="hash_is_sha256"),
        sa.CheckConstraint(_A_MOMENT.format("began_at"), name="began_at_is_a_moment"),
        sa.CheckConstraint(_A_MOMENT.format("seen_at"), name="seen_at_is_a_moment"),
        sa.CheckConstraint(_A_MOMENT.format("expires_at"), name="expires_at_is_a_moment"),
        sa.CheckConstraint(_A_MOMENT.format("ended_at"), name="ended_at_is_a_moment"),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        sa.UniqueConstraint("link_id"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("visit")
    op.drop_index("ix_link_expires_at", "link")
    op.drop_index("ix_link_person_id", "link")
    op.drop_table("link")
