"""A transaction whose outcome is known: a COMMIT that PostgreSQL took and whose answer was lost is looked up before anything is said of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from bot.logs import get_logger
from bot.storage.db.engine import is_sqlite

log = get_logger(__name__)

LOOK_UP_SECONDS = 30.0
"""How long the outcome of a lost COMMIT is looked for; longer than PostgreSQL takes to come back after a crash."""
_PAUSE_SECONDS = 0.05
_ABANDONED_SECONDS = 1.0
"""After this long a transaction still in progress has not received its COMMIT: its backend waits for a client that is gone, and is ended."""


class Busy(Exception):
    """The database could not be written in time (locked, full, read-only or overloaded): nothing was recorded."""


class InDoubt(Busy):
    """COMMIT was sent, its answer was lost, and the database was not reached since: it may or may not have been recorded."""


class DatabaseLost(Busy):
    """The file of the database was moved, replaced or removed under the service: what is recorded now would be in no file that anybody has."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """A transaction as PostgreSQL knows it, and the backend that runs it."""

    xid: str
    backend: int


@contextlib.contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """One transaction, committed at the end and rolled back by an exception.

    Returns when it is committed, also where only a look from a new connection could tell. Raises the database's error when it is not, and
    `InDoubt` when nobody could tell within LOOK_UP_SECONDS.
    """
    opened = connection.begin()
    try:
        yield
        identity = None if is_sqlite(connection.engine) else _identity(connection.connection.driver_connection)
    except BaseException:
        if opened.is_active:  # a flush that failed has rolled back already
            with contextlib.suppress(DBAPIError):  # a connection that is broken has nothing left to roll back
                opened.rollback()
        raise
    try:
        opened.commit()
    except DBAPIError as wrong:
        if identity is None or not wrong.connection_invalidated:
            raise
        stands = _look_up(connection.engine, identity)
        log.warning("commit looked up", committed=stands, reason=str(wrong.orig)[:200])
        if not stands:
            raise


def _identity(raw: Any) -> _Identity | None:
    """None for a transaction that wrote nothing: there is nothing to be in doubt about."""
    (xid,) = raw.execute("SELECT CAST(pg_current_xact_id_if_assigned() AS text)").fetchone()
    return None if xid is None else _Identity(xid, raw.info.backend_pid)


def _look_up(engine: Engine, identity: _Identity) -> bool:
    """Whether the transaction stands, asked on new connections until it is decided."""
    import psycopg  # what raises here has loaded it

    began = time.monotonic()
    while (waited := time.monotonic() - began) < LOOK_UP_SECONDS:
        try:
            with engine.connect() as connection:
                state = connection.scalar(text("SELECT pg_xact_status(CAST(:xid AS xid8))"), {"xid": identity.xid})
                if state == "committed":
                    return True
                if state != "in progress":
                    return False
                if waited > _ABANDONED_SECONDS:
                    connection.execute(
                        text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = :backend AND CAST(backend_xid AS text) = :xid"),
                        {"backend": identity.backend, "xid": str(int(identity.xid) % 2**32)},
                    )
        except DBAPIError as wrong:
            import psycopg  # which is here if it has failed

            if isinstance(wrong.orig, psycopg.DataError):
                # "transaction ID is in the future": the server that took over never received it.
                return False
            log.info("commit not yet looked up", reason=str(wrong.orig)[:200])
        time.sleep(_PAUSE_SECONDS)
    raise InDoubt("commit")
