"""Engines whose connections are configured for durability: foreign keys, WAL, FULL, explicit transactions, UTC."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.pool import NullPool
from sqlmodel import Session

T = TypeVar("T")


def driver_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What the drivers raise, and the others. psycopg (9 MiB) comes with the first engine for PostgreSQL, and raises nothing before."""
    psycopg = sys.modules.get("psycopg")
    return (sqlite3.Error, *others) if psycopg is None else (sqlite3.Error, psycopg.Error, *others)


def database_away(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What a database that is locked, full or away raises, for who looks again a moment later: a line in the log, and no fault of ours."""
    psycopg = sys.modules.get("psycopg")
    drivers = (sqlite3.OperationalError,) if psycopg is None else (sqlite3.OperationalError, psycopg.OperationalError)
    return (*drivers, OperationalError, InterfaceError, *others)


def is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def is_sqlite_session(session: Session) -> bool:
    """True on SQLite, whose one writer needs no lock of a row."""
    return isinstance(session.info["raw"], sqlite3.Connection)


_POSTGRES_TIMEOUTS = {"connect_timeout": 3, "keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 4_000}
"""How long a silent PostgreSQL is waited for: 3 s for a connection, 4 s for a packet to be taken, 19 s (10 + 3 x 3) under a statement that runs."""


def open_engine(url: str, *, busy_seconds: float = 2.0) -> Engine:
    """An engine for an `sqlite:///` or `postgresql://` URL. `busy_seconds`: how long a connection waits for a lock."""
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        if path and path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": busy_seconds, "check_same_thread": False}, hide_parameters=True)
        if path and path != ":memory:":
            event.listen(engine, "do_connect", partial(_create_private, Path(path)), once=True)
        event.listen(engine, "connect", partial(_configure_sqlite, busy_seconds))
        event.listen(engine, "begin", _begin_immediate)
        return engine
    driver = url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(driver, poolclass=NullPool, isolation_level="READ COMMITTED", connect_args=_POSTGRES_TIMEOUTS, hide_parameters=True)
    event.listen(engine, "connect", partial(_configure_postgres, busy_seconds))
    return engine


def _create_private(path: Path, *_: object) -> None:
    """Make a database that is not there yet as a file of this user alone: SQLite would let everybody read it, and gives its log the same mode.

    Before the first connection only: a file that goes away later is not made anew (bot/storage/db/database.py, `DatabaseFile`).
    """
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def make_private(path: Path) -> None:
    """Take a database of ours, with its log, from everybody else."""
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists() and part.stat().st_uid == os.getuid() and part.stat().st_mode & 0o077:
            part.chmod(0o600)


def _configure_sqlite(busy_seconds: float, connection: sqlite3.Connection, _record: object) -> None:
    # The driver would open deferred transactions by itself; in one of those a read that becomes a write fails at once with BUSY_SNAPSHOT.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={int(busy_seconds * 1000)}",
        "cache_size=-32768",
        # A batch touches more pages than the 1,000 after which SQLite would copy them back by default; 8,000 are 32 MiB.
        "wal_autocheckpoint=8000",
        # Savepoints need more rollback space than SQLite keeps in memory by default.
        "temp_store=MEMORY",
        "trusted_schema=OFF",
        # Without it REPLACE deletes rows without firing the triggers that forbid it.
        "recursive_triggers=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reading") else "BEGIN IMMEDIATE")


def _configure_postgres(busy_seconds: float, connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('TimeZone', 'UTC', false), set_config('lock_timeout', %s, false)", (f"{int(busy_seconds * 1000)}ms",))
    connection.commit()


def session_on(connection: Any) -> Session:
    """A session over a connection that is in a transaction; `info["raw"]` is the driver's own connection (bot/storage/db/query.py)."""
    session = Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only")
    session.info["raw"] = connection.connection.driver_connection
    return session


def rehearse(session: Session, work: Callable[[], T]) -> T:
    """The outcome of the work, done in the caller's transaction, of which nothing stays; a refusal comes through. Rehearsals may stand within each
    other."""
    ping(session)  # opens the transaction: a savepoint outside of one would be the transaction
    session.flush()
    raw = session.info["raw"]
    raw.execute("SAVEPOINT rehearsal")
    try:
        return work()
    finally:
        raw.execute("ROLLBACK TO SAVEPOINT rehearsal")
        raw.execute("RELEASE SAVEPOINT rehearsal")
        session.expire_all()


def ping(session: Session) -> None:
    """Raises when the database cannot answer."""
    session.execute(text("SELECT 1"))
