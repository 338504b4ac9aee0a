"""How far the deliveries of an occurrence are queued, so that an agency of any size is queued a piece at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_UNFINISHED = sa.text("queued_after IS NOT NULL")


def upgrade() -> None:
    op.add_column("occurrence", sa.Column("queued_after", sa.Integer(), nullable=True))
    op.create_index("occurrence_unfinished", "occurrence", ["id"], sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED)


def downgrade() -> None:
    op.drop_index("occurrence_unfinished", "occurrence")
    op.drop_column("occurrence", "queued_after")
