"""Copies an SQLite database before a downgrade drops data from it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sqlalchemy import Engine, inspect, text


def has_entries(engine: Engine) -> bool:
    """True when the ledger holds any hours."""
    if not inspect(engine).has_table("ledger"):
        return False
    with engine.connect() as connection:
        return connection.execute(text("SELECT 1 FROM ledger LIMIT 1")).first() is not None


def copy_beside(engine: Engine, ending: str) -> Path:
    """A consistent copy of an SQLite file beside it, with the same rights, on disk when this returns; no copy is left when it fails.

    Raises `OSError` where no file can be made and the driver's error where the database cannot be read or the disk is full.
    """
    database = Path(str(engine.url.database))
    copy = database.with_name(f"{database.name}.{ending}")
    # VACUUM INTO accepts an empty file: created first with the database's mode, the copy is never readable by more users than the database.
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IMODE(database.stat().st_mode)))
    try:
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("VACUUM INTO ?", (str(copy),))
        finally:
            connection.close()
        with copy.open("rb") as written:
            os.fsync(written.fileno())
    except BaseException:
        copy.unlink()
        raise
    return copy
