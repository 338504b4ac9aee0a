"""What is recorded stays: rows that people rely on refuse UPDATE and DELETE in the database itself."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEPT = {
    "ledger": "the ledger is put right by reversal only",
    "audit": "the audit is never changed",
    "answer": "a recorded answer stands",
    "question_version": "a version that was shown stays as it was",
    "confirmation": "a confirmation stands",
    "uncredited": "a refusal keeps its reason",
    "seal": "a seal is never moved",
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table, why in KEPT.items():
            for act in ("UPDATE", "DELETE"):
                op.execute(f"CREATE TRIGGER {table}_refuses_{act.lower()} BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, '{why}'); END")
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table, why in KEPT.items():
        op.execute(
            f"CREATE TRIGGER {table}_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('{why}')"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in KEPT:
            for act in ("update", "delete"):
                op.execute(f"DROP TRIGGER {table}_refuses_{act}")
        return
    for table in KEPT:
        op.execute(f"DROP TRIGGER {table}_refuses_change ON {table}")
    op.execute("DROP FUNCTION refuse_change()")
