"""Live contests: what is on the screen, who buzzed first, what was decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

WHY = "a decision stands"


def upgrade() -> None:
    op.create_table(
        "live",
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("paused", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=True),
        sa.Column("host_at", sa.Text(), nullable=True),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.CheckConstraint("(host_id IS NULL) = (host_at IS NULL)", name="a_host_since_when"),
        sa.CheckConstraint("phase IN ('lobby', 'board', 'finished', 'closed') OR item >= 1", name="an_item_in_hand"),
        sa.CheckConstraint("length(changed_at) = 27 AND changed_at LIKE '____-__-__T__:__:__.______Z'", name="changed_at_is_a_moment"),
        sa.CheckConstraint("length(code) = 6", name="code_has_six_digits"),
        sa.CheckConstraint("length(host_at) = 27 AND host_at LIKE '____-__-__T__:__:__.______Z'", name="host_at_is_a_moment"),
        sa.CheckConstraint("item >= 0", name="items_count_up"),
        sa.CheckConstraint("length(opened_at) = 27 AND opened_at LIKE '____-__-__T__:__:__.______Z'", name="opened_at_is_a_moment"),
        sa.CheckConstraint("paused IN (0, 1)", name="paused_is_a_flag"),
        sa.CheckConstraint("phase IN ('lobby', 'reading', 'open', 'closed', 'board', 'finished')", name="phase_is_known"),
        sa.CheckConstraint("length(secret) = 12", name="secret_fits"),
        sa.CheckConstraint("version >= 1", name="versions_count_from_one"),
        sa.ForeignKeyConstraint(["host_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["contest_id"], ["contest.id"]),
        sa.PrimaryKeyConstraint("contest_id"),
        sa.UniqueConstraint("code"),
        sqlite_strict=True,
    )
    op.create_index("live_in_phase", "live", ["phase"], unique=False)
    op.create_table(
        "live_item",
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("round", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("holder_id", sa.Integer(), nullable=True),
        sa.Column("stake", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.Text(), nullable=False),
        sa.Column("buzz_at", sa.Text(), nullable=True),
        sa.Column("ends_at", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.Text(), nullable=True),
        sa.Column("pauses", sa.Text(), nullable=False),
        sa.Column("void", sa.Text(), nullable=False),
        sa.CheckConstraint("length(buzz_at) = 27 AND buzz_at LIKE '____-__-__T__:__:__.______Z'", name="buzz_at_is_a_moment"),
        sa.CheckConstraint("length(closed_at) = 27 AND closed_at LIKE '____-__-__T__:__:__.______Z'", name="closed_at_is_a_moment"),
        sa.CheckConstraint("length(ends_at) = 27 AND ends_at LIKE '____-__-__T__:__:__.______Z'", name="ends_at_is_a_moment"),
        sa.CheckConstraint("n >= 1", name="items_count_from_one"),
        sa.CheckConstraint("length(opened_at) = 27 AND opened_at LIKE '____-__-__T__:__:__.______Z'", name="opened_at_is_a_moment"),
        sa.CheckConstraint("round IN ('all', 'required', 'buzzer', 'risk', 'tie')", name="round_is_known"),
        sa.CheckConstraint("seconds >= 0", name="seconds_are_not_negative"),
        sa.CheckConstraint("stake >= 0", name="stake_is_not_negative"),
        sa.CheckConstraint("length(void) <= 200", name="void_fits"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"]),
        sa.ForeignKeyConstraint(["holder_id"], ["team.id"]),
        sa.ForeignKeyConstraint(["contest_id"], ["live.contest_id"]),
        sa.PrimaryKeyConstraint("contest_id", "n"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "live_buzz",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("arrived_at", sa.Text(), nullable=False),
        sa.Column("fault", sa.Integer(), nullable=False),
        sa.CheckConstraint("length(arrived_at) = 27 AND arrived_at LIKE '____-__-__T__:__:__.______Z'", name="arrived_at_is_a_moment"),
        sa.CheckConstraint("fault IN (0, 1)", name="fault_is_a_flag"),
        sa.ForeignKeyConstraint(["contest_id"], ["live.contest_id"]),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("contest_id", "n", "team_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "live_decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.CheckConstraint("length(act) BETWEEN 1 AND 20", name="act_fits"),
        sa.CheckConstraint("length(decided_at) = 27 AND decided_at LIKE '____-__-__T__:__:__.______Z'", name="decided_at_is_a_moment"),
        sa.CheckConstraint("points = 0 OR (team_id IS NULL) <> (person_id IS NULL)", name="points_go_to_one"),
        sa.CheckConstraint("length(why) <= 200", name="why_fits"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["contest_id"], ["live.contest_id"]),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("live_decision_of_contest", "live_decision", ["contest_id", "id"], unique=False)
    op.create_table(
        "live_call",
        sa.Column("contest_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("began_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.CheckConstraint("length(began_at) = 27 AND began_at LIKE '____-__-__T__:__:__.______Z'", name="began_at_is_a_moment"),
        sa.CheckConstraint("people >= 0 AND sent >= 0 AND failed >= 0", name="counts_are_not_negative"),
        sa.CheckConstraint("length(ended_at) = 27 AND ended_at LIKE '____-__-__T__:__:__.______Z'", name="ended_at_is_a_moment"),
        sa.CheckConstraint("what IN ('ask', 'told', 'end')", name="what_is_known"),
        sa.ForeignKeyConstraint(["contest_id"], ["live.contest_id"]),
        sa.PrimaryKeyConstraint("contest_id", "n", "what"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER live_decision_refuses_{act.lower()} BEFORE {act} ON live_decision BEGIN SELECT RAISE(ABORT, '{WHY}'); END")
        return
    op.execute(
        "CREATE TRIGGER live_decision_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON live_decision "
        f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('{WHY}')"
    )


def downgrade() -> None:
    for table in ("live_call", "live_decision", "live_buzz", "live_item", "live"):
        op.drop_table(table)
