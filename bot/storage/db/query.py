"""Raw SQL statements, and a stream of rows for results of any size.

They bypass SQLAlchemy Core for speed: 40,800/s against 2,700/s (bot/docs/decisions/0002-raw-drivers-under-sqlalchemy.md). A statement is written
once with `:name`; the placeholders of both drivers are derived from it, positional for SQLite (looking up thirteen names takes longer than
thirteen values) and `%(name)s` for psycopg. Nearly all of storage is
written this way; the decision says what that costs and what is to follow.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlmodel import Session

_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


def _value_getter(names: list[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """A function that takes the values of the names, in their order, out of a mapping."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return lambda values: ()
    # An itemgetter of one name gives the value itself.
    name = names[0]
    return lambda values: (values[name],)


class Statement:
    """One statement: `one` row or None, `all` rows, or `run` for the number of rows touched. KeyError for a value that is not given."""

    __slots__ = ("in_order", "postgres", "sqlite")

    def __init__(self, text: str) -> None:
        statement = " ".join(text.split())
        self.sqlite = _PARAMETER.sub("?", statement)
        self.postgres = _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%"))
        self.in_order = _value_getter(_PARAMETER.findall(statement))

    def _cursor(self, session: Session, values: dict[str, Any]) -> Any:
        raw = session.info["raw"]
        if isinstance(raw, sqlite3.Connection):
            return raw.execute(self.sqlite, self.in_order(values))
        return raw.execute(self.postgres, values)

    def one(self, session: Session, **values: Any) -> Any:
        return self._cursor(session, values).fetchone()

    def all(self, session: Session, **values: Any) -> list[Any]:
        return self._cursor(session, values).fetchall()  # type: ignore[no-any-return]

    def run(self, session: Session, **values: Any) -> int:
        return self._cursor(session, values).rowcount  # type: ignore[no-any-return]

    def many(self, session: Session, rows: Sequence[dict[str, Any]]) -> None:
        """Run the statement once for each row, in one call of the driver."""
        raw = session.info["raw"]
        if isinstance(raw, sqlite3.Connection):
            raw.executemany(self.sqlite, map(self.in_order, rows))
        elif rows:
            with raw.cursor() as cursor:
                cursor.executemany(self.postgres, rows)


ROWS_PER_FETCH = 2_000
_numbers = itertools.count(1)


def stream(session: Session, text: str, values: Mapping[str, Any]) -> Iterator[Any]:
    """The rows of one statement, fetched a few at a time; on PostgreSQL by a server-side cursor in the caller's transaction."""
    statement = Statement(text)
    raw = session.info["raw"]
    if isinstance(raw, sqlite3.Connection):
        yield from raw.execute(statement.sqlite, statement.in_order(values))
        return
    with raw.cursor(name=f"stream{next(_numbers)}") as cursor:
        cursor.itersize = ROWS_PER_FETCH
        cursor.execute(statement.postgres, values)
        yield from cursor
