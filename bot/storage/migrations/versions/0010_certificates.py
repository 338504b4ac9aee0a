"""Certificates with numbers that anybody can check."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_VALID = sa.text("state = 'valid'")
ENDED = "(state = 'valid') = (changed_at IS NULL) AND (state = 'valid') = (cause IS NULL)"
CONTENT = "id, number, code, person_id, kind, source_kind, source_id, body, issued_at, issued_by, replaces"
GUARDS = {
    "stays": ("DELETE", "", "a certificate stays"),
    "keeps_its_words": (f"UPDATE OF {CONTENT}", "", "a certificate keeps its words"),
    "is_never_valid_again": ("UPDATE", "OLD.state = 'replaced' OR NEW.state = 'valid'", "a certificate is never made valid again"),
}


def upgrade() -> None:
    op.create_table(
        "certificate",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.Text(), nullable=False),
        sa.Column("issued_by", sa.Text(), nullable=False),
        sa.Column("replaces", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=True),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('exam', 'contest', 'study')", name="kind_is_known"),
        sa.CheckConstraint("state IN ('valid', 'revoked', 'replaced')", name="state_is_known"),
        sa.CheckConstraint("cause IN ('decision', 'correction')", name="cause_is_known"),
        sa.CheckConstraint("length(number) BETWEEN 16 AND 20", name="number_fits"),
        sa.CheckConstraint("length(code) = 10", name="code_fits"),
        sa.CheckConstraint("length(reason) <= 200", name="reason_fits"),
        sa.CheckConstraint(
            "(state = 'valid') = (changed_at IS NULL) AND (state = 'valid') = (cause IS NULL)", name="changed_when_it_no_longer_holds"
        ),
        sa.CheckConstraint("replaces IS NULL OR replaces < id", name="replaces_an_older_one"),
        sa.CheckConstraint("length(issued_at) = 27 AND issued_at LIKE '____-__-__T__:__:__.______Z'", name="issued_at_is_a_moment"),
        sa.CheckConstraint("length(changed_at) = 27 AND changed_at LIKE '____-__-__T__:__:__.______Z'", name="changed_at_is_a_moment"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["replaces"], ["certificate.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("replaces"),
        sqlite_strict=True,
    )
    op.create_index(
        "one_source_one_valid_certificate",
        "certificate",
        ["person_id", "source_kind", "source_id"],
        unique=True,
        sqlite_where=_VALID,
        postgresql_where=_VALID,
    )
    op.create_index("certificate_of_source", "certificate", ["source_kind", "source_id"])
    op.create_index("certificate_of_person", "certificate", ["person_id"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for name, (act, when, why) in GUARDS.items():
        condition = f" WHEN ({when})" if when else ""
        if sqlite:
            op.execute(f"CREATE TRIGGER certificate_{name} BEFORE {act} ON certificate{condition} BEGIN SELECT RAISE(ABORT, '{why}'); END")
            continue
        acts = f"{act} OR TRUNCATE" if act == "DELETE" else act
        each = f"FOR EACH {'ROW' if when else 'STATEMENT'}{condition}"
        op.execute(f"CREATE TRIGGER certificate_{name} BEFORE {acts} ON certificate {each} EXECUTE FUNCTION refuse_change('{why}')")


def downgrade() -> None:
    op.drop_table("certificate")
