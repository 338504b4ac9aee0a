"""Exams, contests, challenges and matches are sittings too; an item has a worth and an order of its options."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.storage.migrations.checks import swap_check

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OLD_KINDS = "kind IN ('daily', 'practice', 'mistakes', 'lesson')"
NEW_KINDS = "kind IN ('live', 'match', 'exam', 'contest', 'daily', 'lesson', 'mock', 'practice', 'mistakes', 'challenge')"
OLD_TASKS = "kind IN ('reading', 'sitting')"
NEW_TASKS = "kind IN ('reading', 'live', 'match', 'exam', 'sitting')"


def upgrade() -> None:
    swap_check("sitting", "kind_is_known", OLD_KINDS, NEW_KINDS)
    swap_check("focus", "kind_is_known", OLD_TASKS, NEW_TASKS)
    op.add_column(
        "sitting_item",
        sa.Column("points", sa.Integer(), sa.CheckConstraint("points >= 0", name="points_are_not_negative"), server_default="0", nullable=False),
    )
    op.add_column(
        "sitting_item",
        sa.Column(
            "shuffle", sa.Text(), sa.CheckConstraint("length(shuffle) <= 8", name="shuffle_fits"), server_default=sa.text("''"), nullable=False
        ),
    )


def downgrade() -> None:
    # Recorded answers stand, so that their sittings have to stand too: under the nearest kind that the older program knows.
    op.execute("DELETE FROM focus WHERE kind NOT IN ('reading', 'sitting')")
    op.execute(
        "UPDATE sitting SET scope = kind || ':' || scope, kind = 'practice', state = CASE state WHEN 'open' THEN 'left' ELSE state END, "
        "closed_at = COALESCE(closed_at, opened_at) WHERE kind NOT IN ('daily', 'practice', 'mistakes', 'lesson')"
    )
    for column in ("shuffle", "points"):
        op.drop_column("sitting_item", column)
    swap_check("focus", "kind_is_known", NEW_TASKS, OLD_TASKS)
    swap_check("sitting", "kind_is_known", NEW_KINDS, OLD_KINDS)
