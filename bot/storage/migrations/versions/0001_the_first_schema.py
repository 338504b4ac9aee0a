"""The first schema: people, study, hours, the hall."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint("length(at) = 27 AND at LIKE '____-__-__T__:__:__.______Z'", name="at_is_a_moment"),
        sa.CheckConstraint("outcome IN ('done', 'refused', 'failed')", name="outcome_is_known"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("audit_in_time", ["at"], unique=False)

    op.create_table(
        "bind_guard",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("fails", sa.Integer(), nullable=False),
        sa.Column("wait_until", sa.Text(), nullable=True),
        sa.Column("heard", sa.Text(), nullable=False),
        sa.CheckConstraint("length(wait_until) = 27 AND wait_until LIKE '____-__-__T__:__:__.______Z'", name="wait_until_is_a_moment"),
        sa.CheckConstraint("fails >= 0", name="fails_count_up"),
        sa.PrimaryKeyConstraint("channel", "user"),
        sqlite_strict=True,
    )
    op.create_table(
        "person",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("staff_no", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("joined_on", sa.Text(), nullable=True),
        sa.Column("left_on", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(joined_on) = 10 AND joined_on LIKE '____-__-__'", name="joined_on_is_a_day"),
        sa.CheckConstraint("length(left_on) = 10 AND left_on LIKE '____-__-__'", name="left_on_is_a_day"),
        sa.CheckConstraint("length(recorded_at) = 27 AND recorded_at LIKE '____-__-__T__:__:__.______Z'", name="recorded_at_is_a_moment"),
        sa.CheckConstraint("left_on IS NULL OR joined_on IS NULL OR left_on >= joined_on", name="leaves_after_joining"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 60", name="name_fits"),
        sa.CheckConstraint("length(staff_no) BETWEEN 1 AND 40", name="staff_no_fits"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("staff_no"),
        sqlite_strict=True,
    )
    op.create_table(
        "platform_token",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.Text(), nullable=True),
        sa.CheckConstraint("length(expires_at) = 27 AND expires_at LIKE '____-__-__T__:__:__.______Z'", name="expires_at_is_a_moment"),
        sa.CheckConstraint("length(lease_until) = 27 AND lease_until LIKE '____-__-__T__:__:__.______Z'", name="lease_until_is_a_moment"),
        sa.PrimaryKeyConstraint("name"),
        sqlite_strict=True,
    )
    op.create_table(
        "question_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("bank", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(loaded_at) = 27 AND loaded_at LIKE '____-__-__T__:__:__.______Z'", name="loaded_at_is_a_moment"),
        sa.CheckConstraint("length(digest) = 64", name="digest_is_sha256"),
        sa.CheckConstraint("version >= 1", name="versions_count_from_one"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("question", "version"),
        sqlite_strict=True,
    )
    op.create_table(
        "rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(loaded_at) = 27 AND loaded_at LIKE '____-__-__T__:__:__.______Z'", name="loaded_at_is_a_moment"),
        sa.CheckConstraint("length(valid_from) = 10 AND valid_from LIKE '____-__-__'", name="valid_from_is_a_day"),
        sa.CheckConstraint("version >= 1", name="versions_count_from_one"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("line", "version"),
        sqlite_strict=True,
    )
    op.create_table(
        "tally",
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.CheckConstraint("length(day) = 10 AND day LIKE '____-__-__'", name="day_is_a_day"),
        sa.CheckConstraint("n >= 0", name="counts_up"),
        sa.PrimaryKeyConstraint("day", "what"),
        sqlite_strict=True,
    )
    op.create_table(
        "unit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        sa.CheckConstraint("parent_id IS NULL OR parent_id <> id", name="not_its_own_parent"),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["unit.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("unit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_unit_parent_id"), ["parent_id"], unique=False)

    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("bound_at", sa.Text(), nullable=False),
        sa.Column("bound_by", sa.Text(), nullable=False),
        sa.CheckConstraint("channel IN ('wecom', 'wechat', 'dingtalk', 'zwding', 'local')", name="channel_is_known"),
        sa.CheckConstraint("length(bound_at) = 27 AND bound_at LIKE '____-__-__T__:__:__.______Z'", name="bound_at_is_a_moment"),
        sa.CheckConstraint('length("user") BETWEEN 1 AND 200', name="user_fits"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("channel", "person_id"),
        sa.UniqueConstraint("channel", "user"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_person_id"), ["person_id"], unique=False)

    op.create_table(
        "bind_code",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.Text(), nullable=True),
        sa.CheckConstraint("length(expires_at) = 27 AND expires_at LIKE '____-__-__T__:__:__.______Z'", name="expires_at_is_a_moment"),
        sa.CheckConstraint("length(made_at) = 27 AND made_at LIKE '____-__-__T__:__:__.______Z'", name="made_at_is_a_moment"),
        sa.CheckConstraint("length(used_at) = 27 AND used_at LIKE '____-__-__T__:__:__.______Z'", name="used_at_is_a_moment"),
        sa.CheckConstraint("tries BETWEEN 0 AND 5", name="tries_are_few"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("person_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "day_total",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.CheckConstraint("category IN ('online', 'practice', 'exam', 'contest', 'collective', 'external')", name="category_is_known"),
        sa.CheckConstraint("length(day) = 10 AND day LIKE '____-__-__'", name="day_is_a_day"),
        sa.CheckConstraint("seconds >= 0", name="totals_are_not_negative"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("person_id", "day", "category"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "focus",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref", sa.Integer(), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('reading', 'sitting')", name="kind_is_known"),
        sa.CheckConstraint("length(since) = 27 AND since LIKE '____-__-__T__:__:__.______Z'", name="since_is_a_moment"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("person_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "inbox",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("arrived_at", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.CheckConstraint("length(arrived_at) = 27 AND arrived_at LIKE '____-__-__T__:__:__.______Z'", name="arrived_at_is_a_moment"),
        sa.CheckConstraint("length(message_id) BETWEEN 1 AND 300", name="message_id_fits"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("channel", "app", "sender", "message_id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_inbox_arrived_at"), ["arrived_at"], unique=False)

    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("credit_seconds", sa.Integer(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("law", sa.Text(), nullable=False),
        sa.Column("required", sa.Integer(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("reverses", sa.Integer(), nullable=True),
        sa.CheckConstraint("category IN ('online', 'practice', 'exam', 'contest', 'collective', 'external')", name="category_is_known"),
        sa.CheckConstraint("length(day) = 10 AND day LIKE '____-__-__'", name="day_is_a_day"),
        sa.CheckConstraint("length(recorded_at) = 27 AND recorded_at LIKE '____-__-__T__:__:__.______Z'", name="recorded_at_is_a_moment"),
        sa.CheckConstraint(
            "(reverses IS NULL AND credit_seconds > 0) OR (reverses IS NOT NULL AND credit_seconds < 0)", name="a_reversal_takes_back"
        ),
        sa.CheckConstraint("abs(credit_seconds) <= 604800", name="credit_is_plausible"),
        sa.CheckConstraint("required IN (0, 1)", name="required_is_a_flag"),
        sa.CheckConstraint("reverses IS NULL OR reverses <> id", name="does_not_reverse_itself"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["reverses"],
            ["ledger.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("reverses"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("ledger", schema=None) as batch_op:
        batch_op.create_index("ledger_in_time", ["recorded_at"], unique=False)
        batch_op.create_index("ledger_of_person", ["person_id", "day"], unique=False)
        batch_op.create_index(
            "one_source_earns_once",
            ["person_id", "source_kind", "source_id"],
            unique=True,
            sqlite_where=sa.text("reverses IS NULL"),
            postgresql_where=sa.text("reverses IS NULL"),
        )

    op.create_table(
        "mistake",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.Text(), nullable=False),
        sa.Column("right_in_a_row", sa.Integer(), nullable=False),
        sa.Column("left_at", sa.Text(), nullable=True),
        sa.CheckConstraint("length(entered_at) = 27 AND entered_at LIKE '____-__-__T__:__:__.______Z'", name="entered_at_is_a_moment"),
        sa.CheckConstraint("length(left_at) = 27 AND left_at LIKE '____-__-__T__:__:__.______Z'", name="left_at_is_a_moment"),
        sa.CheckConstraint("right_in_a_row >= 0", name="right_counts_up"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("person_id", "question"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "post",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("until", sa.Text(), nullable=True),
        sa.CheckConstraint("length(since) = 10 AND since LIKE '____-__-__'", name="since_is_a_day"),
        sa.CheckConstraint("length(until) = 10 AND until LIKE '____-__-__'", name="until_is_a_day"),
        sa.CheckConstraint("until IS NULL OR until >= since", name="ends_after_it_begins"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"],
            ["unit.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("person_id", "unit_id", "since"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("post", schema=None) as batch_op:
        batch_op.create_index("post_of_unit", ["unit_id", "until"], unique=False)

    op.create_table(
        "question_state",
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(changed_at) = 27 AND changed_at LIKE '____-__-__T__:__:__.______Z'", name="changed_at_is_a_moment"),
        sa.CheckConstraint("state IN ('active', 'withdrawn')", name="state_is_known"),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["question_version.id"],
        ),
        sa.PrimaryKeyConstraint("question"),
        sqlite_strict=True,
    )
    op.create_table(
        "reading",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("lesson", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.Text(), nullable=True),
        sa.CheckConstraint("(state IN ('done', 'left')) = (closed_at IS NOT NULL)", name="closed_when_over"),
        sa.CheckConstraint("length(closed_at) = 27 AND closed_at LIKE '____-__-__T__:__:__.______Z'", name="closed_at_is_a_moment"),
        sa.CheckConstraint("length(opened_at) = 27 AND opened_at LIKE '____-__-__T__:__:__.______Z'", name="opened_at_is_a_moment"),
        sa.CheckConstraint("state IN ('open', 'asking', 'done', 'left')", name="state_is_known"),
        sa.CheckConstraint("page >= 1", name="pages_count_from_one"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("reading", schema=None) as batch_op:
        batch_op.create_index("reading_of_person", ["person_id", "state"], unique=False)
        batch_op.create_index(
            "reading_open_once",
            ["person_id", "lesson"],
            unique=True,
            sqlite_where=sa.text("state IN ('open', 'asking')"),
            postgresql_where=sa.text("state IN ('open', 'asking')"),
        )

    op.create_table(
        "role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("role IN ('admin', 'supervisor')", name="role_is_known"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"],
            ["unit.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("person_id", "role"),
        sqlite_strict=True,
    )
    op.create_table(
        "sitting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("next", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_when_over"),
        sa.CheckConstraint("kind IN ('daily', 'practice', 'mistakes', 'lesson')", name="kind_is_known"),
        sa.CheckConstraint("length(closed_at) = 27 AND closed_at LIKE '____-__-__T__:__:__.______Z'", name="closed_at_is_a_moment"),
        sa.CheckConstraint("length(opened_at) = 27 AND opened_at LIKE '____-__-__T__:__:__.______Z'", name="opened_at_is_a_moment"),
        sa.CheckConstraint("state IN ('open', 'done', 'left')", name="state_is_known"),
        sa.CheckConstraint("size >= 1 AND next BETWEEN 1 AND size + 1", name="next_is_inside"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("sitting", schema=None) as batch_op:
        batch_op.create_index("sitting_of_person", ["person_id", "kind", "scope"], unique=False)
        batch_op.create_index(
            "sitting_open_once",
            ["person_id", "kind", "scope"],
            unique=True,
            sqlite_where=sa.text("state = 'open'"),
            postgresql_where=sa.text("state = 'open'"),
        )

    op.create_table(
        "uncredited",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(at) = 27 AND at LIKE '____-__-__T__:__:__.______Z'", name="at_is_a_moment"),
        sa.CheckConstraint("length(day) = 10 AND day LIKE '____-__-__'", name="day_is_a_day"),
        sa.CheckConstraint("seconds >= 0", name="refused_is_not_negative"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("uncredited", schema=None) as batch_op:
        batch_op.create_index("uncredited_of_person", ["person_id", "day"], unique=False)

    op.create_table(
        "year_total",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.CheckConstraint("category IN ('online', 'practice', 'exam', 'contest', 'collective', 'external')", name="category_is_known"),
        sa.CheckConstraint("seconds >= 0 AND items >= 0", name="totals_are_not_negative"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("person_id", "year", "category"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "answer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("sitting_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("earned", sa.Integer(), nullable=False),
        sa.Column("provisional", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("arrived_at", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.Column("late", sa.Integer(), nullable=False),
        sa.CheckConstraint("length(arrived_at) = 27 AND arrived_at LIKE '____-__-__T__:__:__.______Z'", name="arrived_at_is_a_moment"),
        sa.CheckConstraint("length(recorded_at) = 27 AND recorded_at LIKE '____-__-__T__:__:__.______Z'", name="recorded_at_is_a_moment"),
        sa.CheckConstraint("correct = 0 OR earned = 1000", name="correct_earns_all"),
        sa.CheckConstraint("correct IN (0, 1)", name="correct_is_a_flag"),
        sa.CheckConstraint("earned BETWEEN 0 AND 1000", name="earned_is_a_share"),
        sa.CheckConstraint("late IN (0, 1)", name="late_is_a_flag"),
        sa.CheckConstraint("provisional IN (0, 1)", name="provisional_is_a_flag"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["sitting_id"],
            ["sitting.id"],
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["question_version.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sitting_id", "n"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("answer", schema=None) as batch_op:
        batch_op.create_index("answer_in_time", ["recorded_at"], unique=False)
        batch_op.create_index("answer_of_person", ["person_id", "question"], unique=False)

    op.create_table(
        "page_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Text(), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=True),
        sa.Column("credited", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("length(asked_at) = 27 AND asked_at LIKE '____-__-__T__:__:__.______Z'", name="asked_at_is_a_moment"),
        sa.CheckConstraint("length(sent_at) = 27 AND sent_at LIKE '____-__-__T__:__:__.______Z'", name="sent_at_is_a_moment"),
        sa.CheckConstraint("(asked_at IS NULL) = (seen IS NULL)", name="seen_when_asked"),
        sa.CheckConstraint("seen IS NULL OR (seen >= 0 AND credited BETWEEN 0 AND seen)", name="never_more_than_seen"),
        sa.ForeignKeyConstraint(
            ["reading_id"],
            ["reading.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("page_view", schema=None) as batch_op:
        batch_op.create_index("page_view_of_reading", ["reading_id", "page"], unique=False)

    op.create_table(
        "seal",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("sealed_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(sealed_at) = 27 AND sealed_at LIKE '____-__-__T__:__:__.______Z'", name="sealed_at_is_a_moment"),
        sa.CheckConstraint("seq >= 1", name="places_count_from_one"),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["ledger.id"],
        ),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("entry_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "sitting_item",
        sa.Column("sitting_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("n >= 1", name="items_count_from_one"),
        sa.ForeignKeyConstraint(
            ["sitting_id"],
            ["sitting.id"],
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["question_version.id"],
        ),
        sa.PrimaryKeyConstraint("sitting_id", "n"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "confirmation",
        sa.Column("answer_id", sa.Integer(), nullable=False),
        sa.Column("earned", sa.Integer(), nullable=False),
        sa.Column("confirmed_by", sa.Integer(), nullable=False),
        sa.Column("confirmed_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(confirmed_at) = 27 AND confirmed_at LIKE '____-__-__T__:__:__.______Z'", name="confirmed_at_is_a_moment"),
        sa.CheckConstraint("earned BETWEEN 0 AND 1000", name="earned_is_a_share"),
        sa.ForeignKeyConstraint(
            ["answer_id"],
            ["answer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["confirmed_by"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("answer_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("answer_id", sa.Integer(), nullable=True),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("reported_at", sa.Text(), nullable=False),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.Text(), nullable=True),
        sa.Column("answered", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Text(), nullable=True),
        sa.CheckConstraint("length(answered_at) = 27 AND answered_at LIKE '____-__-__T__:__:__.______Z'", name="answered_at_is_a_moment"),
        sa.CheckConstraint("length(reported_at) = 27 AND reported_at LIKE '____-__-__T__:__:__.______Z'", name="reported_at_is_a_moment"),
        sa.CheckConstraint("length(seen_at) = 27 AND seen_at LIKE '____-__-__T__:__:__.______Z'", name="seen_at_is_a_moment"),
        sa.CheckConstraint("(answered_at IS NULL) = (answered_by IS NULL)", name="answered_by_somebody"),
        sa.CheckConstraint("length(said) <= 500", name="said_fits"),
        sa.ForeignKeyConstraint(
            ["answer_id"],
            ["answer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["answered_by"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["question_version.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_report_person_id"), ["person_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_report_person_id"))

    op.drop_table("report")
    op.drop_table("confirmation")
    op.drop_table("sitting_item")
    op.drop_table("seal")
    with op.batch_alter_table("page_view", schema=None) as batch_op:
        batch_op.drop_index("page_view_of_reading")

    op.drop_table("page_view")
    with op.batch_alter_table("answer", schema=None) as batch_op:
        batch_op.drop_index("answer_of_person")
        batch_op.drop_index("answer_in_time")

    op.drop_table("answer")
    op.drop_table("year_total")
    with op.batch_alter_table("uncredited", schema=None) as batch_op:
        batch_op.drop_index("uncredited_of_person")

    op.drop_table("uncredited")
    with op.batch_alter_table("sitting", schema=None) as batch_op:
        batch_op.drop_index("sitting_open_once", sqlite_where=sa.text("state = 'open'"), postgresql_where=sa.text("state = 'open'"))
        batch_op.drop_index("sitting_of_person")

    op.drop_table("sitting")
    op.drop_table("role")
    with op.batch_alter_table("reading", schema=None) as batch_op:
        batch_op.drop_index(
            "reading_open_once", sqlite_where=sa.text("state IN ('open', 'asking')"), postgresql_where=sa.text("state IN ('open', 'asking')")
        )
        batch_op.drop_index("reading_of_person")

    op.drop_table("reading")
    op.drop_table("question_state")
    with op.batch_alter_table("post", schema=None) as batch_op:
        batch_op.drop_index("post_of_unit")

    op.drop_table("post")
    op.drop_table("mistake")
    with op.batch_alter_table("ledger", schema=None) as batch_op:
        batch_op.drop_index("one_source_earns_once", sqlite_where=sa.text("reverses IS NULL"), postgresql_where=sa.text("reverses IS NULL"))
        batch_op.drop_index("ledger_of_person")
        batch_op.drop_index("ledger_in_time")

    op.drop_table("ledger")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_inbox_arrived_at"))

    op.drop_table("inbox")
    op.drop_table("focus")
    op.drop_table("day_total")
    op.drop_table("bind_code")
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_person_id"))

    op.drop_table("account")
    with op.batch_alter_table("unit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_unit_parent_id"))

    op.drop_table("unit")
    op.drop_table("tally")
    op.drop_table("rule")
    op.drop_table("question_version")
    op.drop_table("platform_token")
    op.drop_table("person")
    op.drop_table("bind_guard")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("audit_in_time")

    op.drop_table("audit")
