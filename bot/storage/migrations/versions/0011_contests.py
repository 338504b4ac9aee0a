"""Contests: windows, teams, boards, matches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

AT_IT = sa.text("state IN ('ready', 'playing')")
OWED = sa.text("owed IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "contest",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("clause", sa.Text(), nullable=False),
        sa.Column("opens_at", sa.Text(), nullable=True),
        sa.Column("closes_at", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.Text(), nullable=True),
        sa.Column("board", sa.Text(), nullable=False),
        sa.CheckConstraint("form <> 'windowed' OR (opens_at IS NOT NULL AND closes_at IS NOT NULL)", name="a_window_has_two_ends"),
        sa.CheckConstraint("length(changed_at) = 27 AND changed_at LIKE '____-__-__T__:__:__.______Z'", name="changed_at_is_a_moment"),
        sa.CheckConstraint("length(closed_at) = 27 AND closed_at LIKE '____-__-__T__:__:__.______Z'", name="closed_at_is_a_moment"),
        sa.CheckConstraint("(state IN ('closed', 'cancelled')) = (closed_at IS NOT NULL)", name="closed_when_over"),
        sa.CheckConstraint("closes_at > opens_at", name="closes_after_it_opens"),
        sa.CheckConstraint("length(closes_at) = 27 AND closes_at LIKE '____-__-__T__:__:__.______Z'", name="closes_at_is_a_moment"),
        sa.CheckConstraint("length(created_at) = 27 AND created_at LIKE '____-__-__T__:__:__.______Z'", name="created_at_is_a_moment"),
        sa.CheckConstraint("form IN ('windowed', 'live', 'onsite')", name="form_is_known"),
        sa.CheckConstraint("(state = 'closed') = (board <> '')", name="frozen_when_closed"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        sa.CheckConstraint("length(opens_at) = 27 AND opens_at LIKE '____-__-__T__:__:__.______Z'", name="opens_at_is_a_moment"),
        sa.CheckConstraint("state IN ('draft', 'open', 'closed', 'cancelled')", name="state_is_known"),
        sa.CheckConstraint("version >= 1", name="versions_count_from_one"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("contest_in_state", "contest", ["state", "closes_at"], unique=False)
    op.create_table(
        "contest_item",
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.CheckConstraint("n >= 1", name="items_count_from_one"),
        sa.CheckConstraint("length(part) <= 40", name="part_fits"),
        sa.CheckConstraint("points >= 0", name="points_are_not_negative"),
        sa.ForeignKeyConstraint(["contest_id"], ["contest.id"]),
        sa.ForeignKeyConstraint(["version_id"], ["question_version.id"]),
        sa.PrimaryKeyConstraint("contest_id", "n"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "team",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 400", name="name_fits"),
        sa.ForeignKeyConstraint(["contest_id"], ["contest.id"]),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("contest_id", "name"),
        sqlite_strict=True,
    )
    op.create_table(
        "team_member",
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["contest_id"], ["contest.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"]),
        sa.PrimaryKeyConstraint("contest_id", "person_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("team_member_of_team", "team_member", ["team_id"], unique=False)
    op.create_table(
        "participation",
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("joined_at", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=True),
        sa.Column("strength", sa.Integer(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("millis", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.Text(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.CheckConstraint("correct >= 0 AND millis >= 0", name="counts_are_not_negative"),
        sa.CheckConstraint("length(finished_at) = 27 AND finished_at LIKE '____-__-__T__:__:__.______Z'", name="finished_at_is_a_moment"),
        sa.CheckConstraint("length(joined_at) = 27 AND joined_at LIKE '____-__-__T__:__:__.______Z'", name="joined_at_is_a_moment"),
        sa.CheckConstraint("place >= 1", name="places_count_from_one"),
        sa.CheckConstraint("strength BETWEEN 0 AND 1000", name="strength_is_a_share"),
        sa.ForeignKeyConstraint(["contest_id"], ["contest.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"]),
        sa.PrimaryKeyConstraint("contest_id", "person_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("participation_of_person", "participation", ["person_id"], unique=False)
    op.create_table(
        "contest_set",
        sa.Column("sitting_id", sa.Integer(), nullable=False),
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("whole", sa.Integer(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("millis", sa.Integer(), nullable=False),
        sa.Column("over_at", sa.Text(), nullable=True),
        sa.CheckConstraint("correct >= 0 AND millis >= 0", name="counts_are_not_negative"),
        sa.CheckConstraint("length(day) = 10 AND day LIKE '____-__-__'", name="day_is_a_day"),
        sa.CheckConstraint("length(over_at) = 27 AND over_at LIKE '____-__-__T__:__:__.______Z'", name="over_at_is_a_moment"),
        sa.CheckConstraint("n >= 1", name="sets_count_from_one"),
        sa.CheckConstraint("whole IN (0, 1)", name="whole_is_a_flag"),
        sa.ForeignKeyConstraint(["sitting_id"], ["sitting.id"]),
        sa.ForeignKeyConstraint(["contest_id"], ["contest.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("sitting_id"),
        sa.UniqueConstraint("contest_id", "person_id", "day", "n"),
        sqlite_strict=True,
    )
    op.create_table(
        "duel",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("invited", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("until", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=True),
        sa.Column("over_at", sa.Text(), nullable=True),
        sa.CheckConstraint("invited IN (0, 1)", name="invited_is_a_flag"),
        sa.CheckConstraint("length(made_at) = 27 AND made_at LIKE '____-__-__T__:__:__.______Z'", name="made_at_is_a_moment"),
        sa.CheckConstraint("length(over_at) = 27 AND over_at LIKE '____-__-__T__:__:__.______Z'", name="over_at_is_a_moment"),
        sa.CheckConstraint("(state IN ('over', 'off')) = (over_at IS NOT NULL)", name="over_when_it_ended"),
        sa.CheckConstraint("length(started_at) = 27 AND started_at LIKE '____-__-__T__:__:__.______Z'", name="started_at_is_a_moment"),
        sa.CheckConstraint("state NOT IN ('running', 'over') OR started_at IS NOT NULL", name="started_when_it_runs"),
        sa.CheckConstraint("state IN ('calling', 'running', 'over', 'off')", name="state_is_known"),
        sa.CheckConstraint("size BETWEEN 2 AND 4", name="two_to_four_play"),
        sa.CheckConstraint("length(until) = 27 AND until LIKE '____-__-__T__:__:__.______Z'", name="until_is_a_moment"),
        sa.ForeignKeyConstraint(["made_by"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("duel_in_state", "duel", ["state", "until"], unique=False)
    op.create_table(
        "duel_player",
        sa.Column("duel_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sitting_id", sa.Integer(), nullable=True),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("millis", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("points", sa.Integer(), nullable=True),
        sa.Column("owed", sa.Text(), nullable=True),
        sa.CheckConstraint("correct >= 0 AND millis >= 0", name="counts_are_not_negative"),
        sa.CheckConstraint("owed IN ('invited', 'begun', 'off', 'over')", name="owed_is_known"),
        sa.CheckConstraint("place BETWEEN 1 AND 4", name="place_is_one_of_four"),
        sa.CheckConstraint("(place IS NULL) = (points IS NULL)", name="points_with_a_place"),
        sa.CheckConstraint("state IN ('invited', 'ready', 'playing', 'done', 'declined')", name="state_is_known"),
        sa.ForeignKeyConstraint(["duel_id"], ["duel.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["sitting_id"], ["sitting.id"]),
        sa.PrimaryKeyConstraint("duel_id", "person_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("duel_player_at_one", "duel_player", ["person_id"], unique=True, sqlite_where=AT_IT, postgresql_where=AT_IT)
    op.create_index("duel_player_owed", "duel_player", ["duel_id", "person_id"], unique=False, sqlite_where=OWED, postgresql_where=OWED)


def downgrade() -> None:
    for table in ("duel_player", "duel", "contest_set", "participation", "team_member", "team", "contest_item", "contest"):
        op.drop_table(table)
