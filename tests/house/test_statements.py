"""Every statement that the service can send is one that both databases understand."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

import bot.services
import bot.storage
from bot.storage.db.query import Query, Statement

POSTGRES_ONLY = re.compile(r"\bFOR (NO KEY )?(UPDATE|SHARE|KEY SHARE)\b|\bpg_\w+\(|hashtextextended|^LOCK TABLE|= ANY\(|\bunnest\(")
"""Locks and arrays: what only PostgreSQL has, for which SQLite's one writer needs nothing."""
SQLITE_ONLY = re.compile(r"\bsqlite_|\browid\b|INSERT OR |\bpragma\b", re.IGNORECASE)
FILLED = {
    "ids": "1, 2",
    "names": "'a', 'b'",
    "materialized": "",
    "may_go": "1 = 1",
    "locked": "",
    "once_a_day": "1 = 1",
    "done": "1 = 0",
    "condition": "1 = 1",
    "extra": "",
}
"""What stands in the places of a statement that is put together when it is sent."""


def modules() -> Iterator[Any]:
    importlib.import_module("bot.dispatch")
    for package in (bot.storage, bot.services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".versions" not in module.name and not module.name.endswith(".env"):
                yield importlib.import_module(module.name)


def held(value: Any, where: str) -> Iterator[tuple[str, Statement | Query[Any]]]:
    if isinstance(value, (Statement, Query)):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from held(inner, f"{where}[{key!r}]")
    elif isinstance(value, (tuple, list)):
        for place, inner in enumerate(value):
            yield from held(inner, f"{where}[{place}]")


def statements() -> dict[str, Statement | Query[Any]]:
    """Each statement once, under the first place that holds it; templates with their places filled."""
    seen: set[int] = set()
    collected: dict[str, Statement | Query[Any]] = {}
    for module in modules():
        for name, value in vars(module).items():
            for where, statement in held(value, f"{module.__name__}.{name}"):
                if id(statement) not in seen:
                    seen.add(id(statement))
                    collected[where] = statement
            if isinstance(value, str) and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\s", value):
                places = set(re.findall(r"\{(\w+)\}", value))
                assert places <= set(FILLED), f"{module.__name__}.{name} has a place that this test cannot fill: {places - set(FILLED)}"
                text = value.format(**FILLED) if places else value
                # The beginning of several statements that differ in what they look for.
                collected.setdefault(f"{module.__name__}.{name}", Statement(f"{text} 1 = 1" if text.rstrip().endswith("WHERE") else text))
    return collected


def sqlite_text(statement: Statement | Query[Any]) -> str:
    return statement.sqlite if isinstance(statement, Statement) else statement.for_sqlite().text


def postgres_text(statement: Statement | Query[Any]) -> str:
    return statement.postgres if isinstance(statement, Statement) else statement.for_postgres().text


def numbered(statement: Statement | Query[Any]) -> str:
    """psycopg's places as the server counts them."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        names.append(found[1])
        return f"${len(names)}"

    return re.sub(r"%\((\w+)\)s", place, postgres_text(statement)).replace("%%", "%")


def refused(connection: psycopg.Connection[Any], statement: Statement | Query[Any]) -> str:
    """Why PostgreSQL does not prepare a statement; empty when it does. Where the text leaves the type of a value open, the driver would say it."""
    text = numbered(statement)
    count = len(set(re.findall(r"\$\d+", text)))
    said = ""
    for types in ("", f"({', '.join(['text'] * count)})", f"({', '.join(['bigint'] * count)})"):
        try:
            connection.execute(f"PREPARE tried{types} AS {text}".encode())
            connection.execute("DEALLOCATE tried")
        except (psycopg.errors.IndeterminateDatatype, psycopg.errors.AmbiguousFunction, psycopg.errors.AmbiguousParameter) as fault:
            said = str(fault).splitlines()[0]
        except psycopg.Error as fault:
            return said or str(fault).splitlines()[0]
        else:
            return ""
    return said


def test_sqlite_understands_every_statement_but_those_that_only_postgresql_has(sqlite_engine: Engine) -> None:
    every = statements()
    assert len(every) > 450, "they are looked for where they stand"
    wrong = []
    connection = sqlite3.connect(str(sqlite_engine.url.database))
    for where, statement in every.items():
        if POSTGRES_ONLY.search(sqlite_text(statement)):
            continue
        try:
            connection.execute(f"EXPLAIN {sqlite_text(statement)}", [None] * sqlite_text(statement).count("?"))
        except sqlite3.Error as fault:
            wrong.append(f"{where}: {fault}")
    connection.close()
    assert wrong == []


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_postgresql_understands_every_statement(engine: Engine) -> None:
    wrong = []
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        for where, statement in statements().items():
            if SQLITE_ONLY.search(sqlite_text(statement)) or re.match(r"SAVEPOINT|ROLLBACK|RELEASE|LOCK TABLE", sqlite_text(statement)):
                continue
            if fault := refused(connection, statement):
                wrong.append(f"{where}: {fault}")
    assert wrong == []


def test_what_only_postgresql_has_stays_a_handful() -> None:
    only = {where for where, statement in statements().items() if POSTGRES_ONLY.search(sqlite_text(statement))}
    assert 0 < len(only) <= 21, sorted(only)


def test_templates_are_found_where_they_stand() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in Path(bot.storage.__path__[0]).rglob("*.py"))
    assert len(re.findall(r"\b(?:Statement|Query)\(", source)) > 400
