"""Campaigns: what is sent when and to whom, what it may cost, leave, tags, duties."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("began", sa.Text(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.CheckConstraint("length(began) = 27 AND began LIKE '____-__-__T__:__:__.______Z'", name="began_is_a_moment"),
        sa.CheckConstraint("used >= 0", name="used_counts_up"),
        sa.PrimaryKeyConstraint("name", "began"),
        sqlite_strict=True,
    )
    op.create_table(
        "campaign",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("rhythm", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("missed", sa.Text(), nullable=False),
        sa.Column("clause", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.Column("planned_until", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('lesson', 'daily', 'series', 'notice', 'poll', 'reminder', 'invitation', 'digest')", name="kind_is_known"),
        sa.CheckConstraint("length(changed_at) = 27 AND changed_at LIKE '____-__-__T__:__:__.______Z'", name="changed_at_is_a_moment"),
        sa.CheckConstraint("length(created_at) = 27 AND created_at LIKE '____-__-__T__:__:__.______Z'", name="created_at_is_a_moment"),
        sa.CheckConstraint("length(planned_until) = 27 AND planned_until LIKE '____-__-__T__:__:__.______Z'", name="planned_until_is_a_moment"),
        sa.CheckConstraint("missed IN ('send', 'mark')", name="missed_is_known"),
        sa.CheckConstraint("state IN ('draft', 'running', 'paused', 'stopped', 'done')", name="state_is_known"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_table(
        "switch",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_on", sa.Integer(), nullable=False),
        sa.Column("turned_by", sa.Text(), nullable=False),
        sa.Column("turned_at", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("length(turned_at) = 27 AND turned_at LIKE '____-__-__T__:__:__.______Z'", name="turned_at_is_a_moment"),
        sa.CheckConstraint("is_on IN (0, 1)", name="is_on_is_a_flag"),
        sa.PrimaryKeyConstraint("name"),
        sqlite_strict=True,
    )
    op.create_table(
        "absence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("until", sa.Text(), nullable=True),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('leave', 'secondment')", name="kind_is_known"),
        sa.CheckConstraint("length(recorded_at) = 27 AND recorded_at LIKE '____-__-__T__:__:__.______Z'", name="recorded_at_is_a_moment"),
        sa.CheckConstraint("length(since) = 10 AND since LIKE '____-__-__'", name="since_is_a_day"),
        sa.CheckConstraint("length(until) = 10 AND until LIKE '____-__-__'", name="until_is_a_day"),
        sa.CheckConstraint("until IS NULL OR until >= since", name="ends_after_it_begins"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("absence", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_absence_person_id"), ["person_id"], unique=False)

    op.create_table(
        "duty",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("law", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("deadline", sa.Text(), nullable=False),
        sa.Column("liaison_id", sa.Integer(), nullable=True),
        sa.Column("clause", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(deadline) = 10 AND deadline LIKE '____-__-__'", name="deadline_is_a_day"),
        sa.CheckConstraint("length(recorded_at) = 27 AND recorded_at LIKE '____-__-__T__:__:__.______Z'", name="recorded_at_is_a_moment"),
        sa.CheckConstraint("count >= 1", name="count_is_positive"),
        sa.ForeignKeyConstraint(
            ["liaison_id"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"],
            ["unit.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("year", "unit_id", "law", "form"),
        sqlite_strict=True,
    )
    op.create_table(
        "occurrence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("due", sa.Text(), nullable=False),
        sa.Column("fired_at", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("invited", sa.Integer(), nullable=False),
        sa.Column("excluded", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("length(due) = 27 AND due LIKE '____-__-__T__:__:__.______Z'", name="due_is_a_moment"),
        sa.CheckConstraint("length(fired_at) = 27 AND fired_at LIKE '____-__-__T__:__:__.______Z'", name="fired_at_is_a_moment"),
        sa.CheckConstraint("state IN ('fired', 'missed', 'void')", name="state_is_known"),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("campaign_id", "due"),
        sqlite_strict=True,
    )
    op.create_table(
        "preference",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("push_at", sa.Text(), nullable=True),
        sa.Column("quiet_from", sa.Text(), nullable=True),
        sa.Column("quiet_to", sa.Text(), nullable=True),
        sa.Column("digest", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.CheckConstraint("push_at IS NULL OR push_at LIKE '__:__'", name="push_at_is_a_time"),
        sa.CheckConstraint("quiet_from IS NULL OR quiet_from LIKE '__:__'", name="quiet_from_is_a_time"),
        sa.CheckConstraint("quiet_to IS NULL OR quiet_to LIKE '__:__'", name="quiet_to_is_a_time"),
        sa.CheckConstraint("digest IN (0, 1)", name="digest_is_a_flag"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("person_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "tag",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.CheckConstraint("length(tag) BETWEEN 1 AND 40", name="tag_fits"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("person_id", "tag"),
        sqlite_strict=True,
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("occurrence_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("not_before", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.Text(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Text(), nullable=True),
        sa.Column("read_at", sa.Text(), nullable=True),
        sa.Column("platform_id", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name="a_lease_while_sending"),
        sa.CheckConstraint("length(created_at) = 27 AND created_at LIKE '____-__-__T__:__:__.______Z'", name="created_at_is_a_moment"),
        sa.CheckConstraint("length(lease_until) = 27 AND lease_until LIKE '____-__-__T__:__:__.______Z'", name="lease_until_is_a_moment"),
        sa.CheckConstraint("length(not_before) = 27 AND not_before LIKE '____-__-__T__:__:__.______Z'", name="not_before_is_a_moment"),
        sa.CheckConstraint("length(read_at) = 27 AND read_at LIKE '____-__-__T__:__:__.______Z'", name="read_at_is_a_moment"),
        sa.CheckConstraint("length(sent_at) = 27 AND sent_at LIKE '____-__-__T__:__:__.______Z'", name="sent_at_is_a_moment"),
        sa.CheckConstraint("state IN ('queued', 'sending', 'sent', 'failed', 'unknown', 'skipped')", name="state_is_known"),
        sa.CheckConstraint("tries >= 0", name="tries_count_up"),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["occurrence.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("occurrence_id", "person_id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index("delivery_of_person", ["person_id", "state"], unique=False)
        batch_op.create_index(
            "delivery_queued", ["not_before"], unique=False, sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'")
        )

    op.create_table(
        "planned",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("duty_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("done_on", sa.Text(), nullable=True),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("(state = 'done') = (done_on IS NOT NULL)", name="done_on_a_day"),
        sa.CheckConstraint("length(done_on) = 10 AND done_on LIKE '____-__-__'", name="done_on_is_a_day"),
        sa.CheckConstraint("length(due_on) = 10 AND due_on LIKE '____-__-__'", name="due_on_is_a_day"),
        sa.CheckConstraint("state IN ('planned', 'done', 'cancelled')", name="state_is_known"),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
        ),
        sa.ForeignKeyConstraint(
            ["duty_id"],
            ["duty.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("planned", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_planned_duty_id"), ["duty_id"], unique=False)

    op.create_table(
        "vote",
        sa.Column("occurrence_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("voted_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(voted_at) = 27 AND voted_at LIKE '____-__-__T__:__:__.______Z'", name="voted_at_is_a_moment"),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["occurrence.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("occurrence_id", "person_id"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("vote")
    with op.batch_alter_table("planned", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_planned_duty_id"))

    op.drop_table("planned")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("delivery_queued", sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
        batch_op.drop_index("delivery_of_person")

    op.drop_table("delivery")
    op.drop_table("tag")
    op.drop_table("preference")
    op.drop_table("occurrence")
    op.drop_table("duty")
    with op.batch_alter_table("absence", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_absence_person_id"))

    op.drop_table("absence")
    op.drop_table("switch")
    op.drop_table("campaign")
    op.drop_table("budget")
