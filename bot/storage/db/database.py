"""The database as the event loop uses it: writes in batches, reads in threads, on SQLite and PostgreSQL alike.

`await database.write(work)` queues synchronous work for a writer thread, which runs all waiting work in ONE transaction (work that raises is
rolled back alone), commits once, and only then returns the results. SQLite has one writer (WAL, `synchronous=FULL`, `BEGIN IMMEDIATE`);
PostgreSQL has a few, each with its own connection and its share of the keys. `await database.read(work)` runs on a read-only connection in
another thread. A result is returned only after it is on disk (bot/docs/reliability.md#sqlite-in-python).
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from zlib import crc32

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from bot.logs import get_logger
from bot.storage.db.commits import Busy, DatabaseLost, transaction
from bot.storage.db.engine import driver_errors, is_sqlite, session_on
from bot.storage.db.writer import SWEEP_SECONDS, Gauges, OnError, Prelock, T, Together, Work, WriteJob, Writer

log = get_logger(__name__)


class DatabaseFile:
    """The file of an SQLite database, and which file it was when the service began to write to it."""

    def __init__(self, engine: Engine, gauges: Gauges) -> None:
        path = engine.url.database or ""
        self.path = Path(path) if is_sqlite(engine) and path not in ("", ":memory:") else None
        self._gauges = gauges
        self._pinned: tuple[int, int] | None = None
        if self.path is not None:
            event.listen(engine, "do_connect", self._before_connect)

    def pin(self) -> None:
        """From now on the file has to stay the one that stands there."""
        if self.path is not None and self.path.exists():
            self._pinned = self._found()

    def check(self) -> None:
        """Raises `DatabaseLost` where another file, or none, stands at the path; the log says when that begins and when it is over."""
        if self._pinned is None:
            return
        lost = self._found() != self._pinned
        if lost != bool(self._gauges.lost):
            self._gauges.lost = int(lost)
            if lost:
                log.error("database file gone", file=str(self.path), cure="put the very file back, or restart with the file that is to be used")
            else:
                log.warning("database file is back", file=str(self.path))
        if lost:
            raise DatabaseLost(f"{self.path} is no longer the file that was opened")

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)  # type: ignore[arg-type]
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _before_connect(self, *_: object) -> None:
        # A connection to a path where nothing stands would make an empty database there.
        self.check()


class Database:
    """Reads and writes for coroutines, between `start()` and `stop()`; `read_now` and `write_now` for plain threads need neither."""

    def __init__(self, engine: Engine, *, prelock: Prelock | None = None, limit: int = 20_000, writers: int = 3, patience: float = 4.0) -> None:
        self.engine = engine
        self.gauges = Gauges()
        self.file = DatabaseFile(engine, self.gauges)
        self._limit = limit
        self._patience = patience
        single_writer = is_sqlite(engine)
        shared_prelock = None if single_writer else prelock
        self._writers = [Writer(engine, self.gauges, shared_prelock, number, self.file.check) for number in range(1 if single_writer else writers)]
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="reader")
        self._thread = threading.local()
        self._reader_connections: list[Connection] = []

    @property
    def depth(self) -> int:
        """How many pieces of work wait for a writer."""
        return sum(len(writer.waiting) + len(writer.urgent) for writer in self._writers)

    def start(self) -> None:
        self.file.pin()
        for writer in self._writers:
            writer.start()

    def stop(self, timeout: float = 8.0) -> None:
        """Finish the queued work within `timeout` seconds, then close the connections; later work is refused with `Stopped`."""
        deadline = time.monotonic() + timeout
        for writer in self._writers:
            writer.finish()
        for writer in self._writers:
            writer.join(max(0.1, deadline - time.monotonic()))
        self._readers.shutdown(wait=True, cancel_futures=True)
        for connection in self._reader_connections:
            connection.close()
        self.engine.dispose()

    async def write(self, work: Work[T], of: Hashable = None, *, together: Together | None = None, item: Any = None, urgent: bool = False) -> T:
        """What `work` returned, after its commit; its exception if it raised one, after the rollback of its savepoint alone.

        `of` names whose work it is: on PostgreSQL the same key always meets the same writer. Jobs of a batch that have the same `together` are
        worked on by it first, with the `item` of each, and by `work` only where that gave nothing. What is `urgent` is committed before all
        that waits: a row for which thousands wait. Raises `Busy` when the database cannot be written within `patience` seconds; then
        nothing was recorded and nothing will be; `InDoubt`, a kind of it, when nobody can tell.
        """
        # A caller that is cancelled cancels its future and not the work: the work is done, and its reply is stored for the retry.
        return await self.submit(work, of, together=together, item=item, urgent=urgent)

    def submit(
        self,
        work: Work[T],
        of: Hashable = None,
        *,
        together: Together | None = None,
        item: Any = None,
        on_error: OnError | None = None,
        urgent: bool = False,
    ) -> asyncio.Future[T]:
        """`write` for who waits without a task: the future holds the result or the exception.

        `on_error` writes in the same transaction what is to stay of work that raised, for instance that it was refused.
        """
        writer = self._writers[_writer_index(of, len(self._writers))]
        loop = asyncio.get_running_loop()
        job = WriteJob(work, of, loop, loop.create_future(), time.monotonic(), together, item, on_error)
        try:
            if len(writer.waiting) >= self._limit and not urgent:
                raise Busy("queue")
            writer.put(job, urgent=urgent)
        except Busy as busy:
            job.future.set_exception(busy)
            return job.future
        if not writer.wake_scheduled:
            writer.wake_scheduled = True
            loop.call_soon(writer.wake)
        if loop not in writer.sweeping_loops:
            writer.sweeping_loops.add(loop)
            loop.call_later(SWEEP_SECONDS, writer.sweep, loop, self._patience)
        return job.future

    async def read(self, work: Work[T]) -> T:
        """What `work` returned, from a read-only connection in another thread; it sees what was committed when it began."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def read_now(self, work: Work[T]) -> T:
        """`read`, from a plain thread (command line, tests)."""
        with self.engine.connect() as connection:
            return work(session_on(_make_read_only(connection)))

    def _read(self, work: Work[T]) -> T:
        """`read`, in a reader thread, over the connection that the thread keeps: opening one takes longer than most reads."""
        self.file.check()
        connection: Connection | None = getattr(self._thread, "connection", None)
        if connection is not None:
            try:
                return self._read_over(connection, work)
            except driver_errors(DBAPIError):
                # The connection may be left over from before the database was unreachable: try once more with a fresh one.
                pass
        fresh = self._thread.connection = _make_read_only(self.engine.connect())
        self._reader_connections.append(fresh)
        return self._read_over(fresh, work)

    def _read_over(self, connection: Connection, work: Work[T]) -> T:
        try:
            session = session_on(connection)
            try:
                return work(session)
            finally:
                session.close()
                connection.rollback()
                # SQLAlchemy does not know of transactions begun by raw statements (bot/storage/db/query.py);
                # ended here, so that the next read sees what is committed by then.
                connection.connection.driver_connection.rollback()  # type: ignore[union-attr]
        except driver_errors(DBAPIError):
            self._thread.connection = None
            self._reader_connections.remove(connection)
            connection.close()
            raise

    def write_now(self, work: Work[T]) -> T:
        """One transaction in the caller's thread, for the command line and for the start of the service."""
        with self.engine.connect() as connection, transaction(connection):
            session = session_on(connection)
            result = work(session)
            session.flush()
            return result


def _make_read_only(connection: Connection) -> Connection:
    if is_sqlite(connection.engine):
        # A long report reads each page once: a larger cache would waste memory.
        connection.execution_options(reading=True).connection.cursor().executescript("PRAGMA query_only=ON; PRAGMA cache_size=-8192")
    else:
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return connection


def _writer_index(key: Hashable, parts: int) -> int:
    return 0 if parts == 1 else crc32(repr(key).encode()) % parts
