"""Leases that ended are found without reading every delivery there ever was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SENDING = sa.text("state = 'sending'")


def upgrade() -> None:
    op.create_index("delivery_sending", "delivery", ["lease_until"], sqlite_where=_SENDING, postgresql_where=_SENDING)


def downgrade() -> None:
    op.drop_index("delivery_sending", "delivery")
