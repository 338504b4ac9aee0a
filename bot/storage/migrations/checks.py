"""Replaces a CHECK constraint on a table that other tables reference, for migrations."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text


def swap_check(table: str, name: str, old: str, new: str) -> None:
    """Replace the condition `old` of the CHECK `name` of `table` by `new`. Raises RuntimeError where the CHECK is not `old`.

    SQLite has no statement for it, and a referenced table cannot be rebuilt inside a transaction; but a CHECK is only text in the schema, and
    SQLite's manual (ALTER TABLE, section 7) describes this way of changing it.
    """
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(name, table, new)
        return
    before, after = f"CONSTRAINT {name} CHECK ({old})", f"CONSTRAINT {name} CHECK ({new})"
    version = bind.execute(text("PRAGMA schema_version")).scalar_one()
    bind.execute(text("PRAGMA writable_schema=ON"))
    try:
        changed = bind.execute(
            text("UPDATE sqlite_schema SET sql = replace(sql, :before, :after) WHERE type = 'table' AND name = :table AND instr(sql, :before) > 0"),
            {"before": before, "after": after, "table": table},
        ).rowcount
        if changed != 1:
            raise RuntimeError(f"the CHECK {name} of {table} is not what this step expects")
        bind.execute(text(f"PRAGMA schema_version={int(version) + 1}"))
    finally:
        bind.execute(text("PRAGMA writable_schema=OFF"))
