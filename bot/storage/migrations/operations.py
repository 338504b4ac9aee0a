"""What a migration does to a table that stands and Alembic cannot on SQLite: other CHECK constraints, and a table made anew with its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from alembic import op
from sqlalchemy import Connection, text

Condition = Callable[[str, str, str], str]
"""(table, name of the CHECK, its condition as the database tells it) -> the condition that it shall have."""


def change_checks(change: Condition) -> None:
    """Give every named CHECK of every table the condition that `change` returns; where it is the same nothing is done.

    SQLite has no statement for it; but a CHECK is only text in the schema, and SQLite's manual (ALTER TABLE, section 7) describes this way of
    changing it. The rows are not looked at: `change` must not refuse what stands. PostgreSQL reads each changed table once.
    """
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        _change_sqlite_checks(bind, change)
        return
    checks = bind.execute(
        text(
            """SELECT r.relname, c.conname, pg_get_expr(c.conbin, c.conrelid) FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
               WHERE c.contype = 'c' AND r.relnamespace = current_schema()::regnamespace ORDER BY 1, 2"""
        )
    )
    clauses: dict[str, list[str]] = {}
    for table, name, condition in checks.all():
        if (wanted := change(table, name, condition)) != condition:
            clauses.setdefault(table, []).append(f'DROP CONSTRAINT "{name}", ADD CONSTRAINT "{name}" CHECK ({wanted})')
    for table, several in clauses.items():
        op.execute(f'ALTER TABLE "{table}" {", ".join(several)}')


def rebuild(table: str, change: Callable[[str], str]) -> None:
    """Make an SQLite table anew from its changed CREATE TABLE: rows, indexes and triggers stay, and what points to it (foreign keys are off)."""
    bind = op.get_bind()
    (created,) = _schema_texts(bind, "type = 'table' AND name = :table", table)
    others = list(_schema_texts(bind, "type <> 'table' AND tbl_name = :table AND sql IS NOT NULL", table))
    changed = change(created)
    if changed == created:
        raise RuntimeError(f"{table} is not what this step expects: {created}")
    bind.exec_driver_sql(re.sub(rf'^CREATE TABLE "?{table}"?', f'CREATE TABLE "{table}_anew"', changed, count=1))
    bind.exec_driver_sql(f'INSERT INTO "{table}_anew" SELECT * FROM "{table}"')  # noqa: S608 - names of the schema
    bind.exec_driver_sql(f'DROP TABLE "{table}"')
    bind.exec_driver_sql(f'ALTER TABLE "{table}_anew" RENAME TO "{table}"')
    for statement in others:
        bind.exec_driver_sql(statement)


def _schema_texts(bind: Connection, condition: str, table: str) -> Iterator[str]:
    return bind.execute(text(f"SELECT sql FROM sqlite_schema WHERE {condition} ORDER BY rowid"), {"table": table}).scalars()  # noqa: S608 - conditions of this module


def _change_sqlite_checks(bind: Connection, change: Condition) -> None:
    tables = bind.execute(text("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL")).all()
    version = int(bind.execute(text("PRAGMA schema_version")).scalar_one())
    bind.execute(text("PRAGMA writable_schema=ON"))
    try:
        for table, created in tables:
            changed = _with_checks_changed(table, created, change)
            if changed != created:
                update = text("UPDATE sqlite_schema SET sql = :changed WHERE type = 'table' AND name = :table")
                bind.execute(update, {"changed": changed, "table": table})
        bind.execute(text(f"PRAGMA schema_version={version + 1}"))
    finally:
        bind.execute(text("PRAGMA writable_schema=OFF"))


def _with_checks_changed(table: str, created: str, change: Condition) -> str:
    changed, last = "", 0
    for found in re.finditer(r"\bCONSTRAINT (\w+) CHECK \(", created):
        end = _closing(created, found.end())
        changed += created[last : found.end()] + change(table, found[1], created[found.end() : end])
        last = end
    return changed + created[last:]


def _closing(sql: str, start: int) -> int:
    """Where the parenthesis that was opened before `start` is closed; what stands in quotes does not count."""
    depth = 1
    for token in re.finditer(r"'[^']*'|[()]", sql[start:]):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return start + token.start()
    raise RuntimeError(f"a CHECK without an end: {sql[start:]}")
