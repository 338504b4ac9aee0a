"""Rows as they come, a few at a time: for reports, exports and the chain, whatever their number."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from sqlmodel import Session

from bot.storage.sql import Sql

AT_ONCE = 2_000
_numbers = itertools.count(1)


def stream(session: Session, text: str, values: Mapping[str, Any]) -> Iterator[Any]:
    """The rows of one statement. On PostgreSQL through a cursor of the server's, inside the caller's transaction."""
    made = Sql(text)
    raw = session.info["raw"]
    if isinstance(raw, sqlite3.Connection):
        yield from raw.execute(made.sqlite, made.in_order(values))
        return
    with raw.cursor(name=f"stream{next(_numbers)}") as cursor:
        cursor.itersize = AT_ONCE
        cursor.execute(made.postgres, values)
        yield from cursor
