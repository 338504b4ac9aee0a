"""The desk: one way to write, one way to read, whatever database stands below.

`await desk.write(work)` queues plain synchronous work for a writer thread, which takes all who are waiting into ONE transaction, each in a
savepoint of its own, commits once, and only then lets their results go. On SQLite there is one writer (WAL, `synchronous=FULL`,
`BEGIN IMMEDIATE`); on PostgreSQL a few, each with its connection and its share of the keys. `await desk.read(work)` runs on a read-only
connection in another thread. What a caller was told to be done is on disk before it is told (reliability.md, section 0, facts 9 and 10).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

import psycopg
import structlog
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlmodel import Session

log = structlog.get_logger()

T = TypeVar("T")
Work = Callable[[Session], T]
Prelock = Callable[[Session, Sequence[Hashable]], None]

BATCH = 200
RETRIED = 3
SWEEP = 0.1
"""Seconds between two looks at who has waited too long."""
WAITED_LONG = 1.0
"""Seconds after which somebody who waits is not made to wait for a second try, once the database has failed a first."""
_AGAIN = ("40P01", "40001")
_SQLITE_ILL = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
)
DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)


class Busy(Exception):
    """The database could not be written in time (locked, full, read-only or overloaded): nothing was recorded."""


class Stopped(Busy):
    """The desk no longer takes work."""


@dataclass(slots=True, eq=False)
class _Job:
    work: Work[Any]
    key: Hashable
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    since: float
    settled: bool = False
    outcome: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Gauges:
    """What /metrics shows of the desk; written by the writers, read by anyone."""

    commits: int = 0
    batch: int = 0
    commit_seconds: float = 0.0
    failures: int = 0
    committed: list[tuple[int, float]] = field(default_factory=list)


def is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def open_engine(url: str, *, busy_seconds: float = 2.0) -> Engine:
    """An engine whose connections keep the promises of the house: foreign keys, WAL, FULL, explicit transactions."""
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        if path and path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": busy_seconds, "check_same_thread": False})
        event.listen(engine, "connect", partial(_dress_sqlite, busy_seconds))
        event.listen(engine, "begin", _begin_immediate)
        return engine
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool, isolation_level="READ COMMITTED")
    event.listen(engine, "connect", partial(_dress_postgres, busy_seconds))
    return engine


def _dress_sqlite(busy_seconds: float, connection: sqlite3.Connection, _record: object) -> None:
    # The driver would open deferred transactions by itself; a read that turns into a write in one of those fails at once with BUSY_SNAPSHOT.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={int(busy_seconds * 1000)}",
        "cache_size=-32768",
        # A batch touches more pages than the 1,000 after which SQLite would copy them back by default; 8,000 are 32 MiB.
        "wal_autocheckpoint=8000",
        "trusted_schema=OFF",
        # Without it REPLACE deletes a row past the trigger that refuses to have it deleted.
        "recursive_triggers=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reading") else "BEGIN IMMEDIATE")


def _dress_postgres(busy_seconds: float, connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('TimeZone', 'UTC', false), set_config('lock_timeout', %s, false)", (f"{int(busy_seconds * 1000)}ms",))
    connection.commit()


class Desk:
    """The bridge between the loop and the database. Make it, `start()` it, `stop()` it; in between `write` and `read`."""

    def __init__(self, engine: Engine, *, prelock: Prelock | None = None, limit: int = 20_000, writers: int = 3, patience: float = 4.0) -> None:
        self.engine = engine
        self.gauges = Gauges()
        self._limit = limit
        self._patience = patience
        self._prelock = None if is_sqlite(engine) else prelock
        self._writers = [_Writer(self, n) for n in range(1 if is_sqlite(engine) else writers)]
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="reader")
        self._reading = threading.local()

    @property
    def depth(self) -> int:
        """How many wait."""
        return sum(len(writer.waiting) for writer in self._writers)

    def start(self) -> None:
        for writer in self._writers:
            writer.start()

    def stop(self, timeout: float = 8.0) -> None:
        """Finish what is queued, then end; what comes later is refused."""
        until = time.monotonic() + timeout
        for writer in self._writers:
            writer.finish()
        for writer in self._writers:
            writer.join(max(0.1, until - time.monotonic()))
        self._readers.shutdown(wait=True, cancel_futures=True)
        self.engine.dispose()

    async def write(self, work: Work[T], of: Hashable = None) -> T:
        """What `work` returned, after its commit; its exception if it raised one, after the rollback of its savepoint alone.

        `of` names whose work it is: on PostgreSQL the same key always meets the same writer. Raises `Busy` when the database cannot be
        written within the patience of the desk; then nothing was recorded and nothing will be.
        """
        writer = self._writers[_share(of, len(self._writers))]
        if len(writer.waiting) >= self._limit:
            raise Busy("queue")
        loop = asyncio.get_running_loop()
        job = _Job(work, of, loop, loop.create_future(), time.monotonic())
        writer.put(job)
        if not writer.nudged:
            writer.nudged = True
            loop.call_soon(writer.nudge)
        if loop not in writer.watched_by:
            writer.watched_by.add(loop)
            loop.call_later(SWEEP, writer.sweep, loop, self._patience)
        # A caller that hangs up cancels its future and not the work: what was taken in is done, and its reply is kept for the retry.
        result: T = await job.future
        return result

    async def read(self, work: Work[T]) -> T:
        """What `work` returned, from a read-only connection in another thread; it sees what was committed when it began."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, work)

    def read_now(self, work: Work[T]) -> T:
        """`read`, from a plain thread (command line, tests)."""
        with self.engine.connect() as connection:
            if is_sqlite(self.engine):
                # A long report goes through its pages once: a large cache would only be memory.
                connection.execution_options(reading=True).connection.cursor().executescript("PRAGMA query_only=ON; PRAGMA cache_size=-8192")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return work(_session(connection))

    def write_now(self, work: Work[T]) -> T:
        """One transaction in the caller's thread, for the command line and for the start, before the writers run."""
        with self.engine.connect() as connection, connection.begin():
            session = _session(connection)
            result = work(session)
            session.flush()
            return result


def _share(key: Hashable, parts: int) -> int:
    return 0 if parts == 1 else crc32(repr(key).encode()) % parts


class _Writer(threading.Thread):
    """Takes all who wait into one transaction."""

    def __init__(self, desk: Desk, number: int) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.desk = desk
        self.waiting: deque[_Job] = deque()
        self.nudged = False
        self.watched_by: set[asyncio.AbstractEventLoop] = set()
        self._wake = threading.Condition()
        self._finishing = False

    def put(self, job: _Job) -> None:
        with self._wake:
            if self._finishing:
                raise Stopped("stopped")
            self.waiting.append(job)

    def nudge(self) -> None:
        """Called in the loop when it has heard everybody who spoke at once: begun at the first, the writer would wrestle with it for the GIL."""
        self.nudged = False
        with self._wake:
            self._wake.notify()

    def sweep(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        """Called in a loop while anybody waits: whom nobody has begun to serve when patience ends is not served; one in hand is waited for."""
        until = time.monotonic() - patience
        lost: list[_Job] = []
        with self._wake:
            while self.waiting and self.waiting[0].since <= until:
                lost.append(self.waiting.popleft())
            go_on = bool(self.waiting)
        for job in lost:
            job.error = Busy("patience")
        _let_go(lost)
        if go_on:
            loop.call_later(SWEEP, self.sweep, loop, patience)
        else:
            self.watched_by.discard(loop)

    def finish(self) -> None:
        with self._wake:
            self._finishing = True
            self._wake.notify()

    def run(self) -> None:
        connection: Any = None
        while (batch := self._take()) is not None:
            started = time.monotonic()
            try:
                if connection is None or connection.closed or connection.invalidated:
                    connection = self.desk.engine.connect()
                self._serve(connection, batch)
                gauges = self.desk.gauges
                gauges.commits += 1
                gauges.batch = len(batch)
                gauges.commit_seconds = time.monotonic() - started
                if len(gauges.committed) < 10_000:
                    gauges.committed.append((len(batch), gauges.commit_seconds))
            except BaseException as wrong:
                self.desk.gauges.failures += 1
                log.warning("batch failed", size=len(batch), error=type(wrong).__name__, reason=str(getattr(wrong, "orig", wrong))[:200])
                # What was taken alone before the fault is committed, and its caller is told so.
                lost = [job for job in batch if not job.settled] + self._leave_out()
                for job in lost:
                    job.outcome, job.error = None, Busy(type(wrong).__name__)
                batch = [job for job in batch if job.settled] + lost
                if connection is not None:
                    with contextlib.suppress(Exception):  # the connection is being thrown away, whatever its state
                        connection.close()
                    connection = None
            _let_go(batch)
        if connection is not None:
            connection.close()

    def _take(self) -> list[_Job] | None:
        with self._wake:
            while not self.waiting:
                if self._finishing:
                    return None
                self._wake.wait()
            batch: list[_Job] = []
            while self.waiting and len(batch) < BATCH:
                batch.append(self.waiting.popleft())
            return batch

    def _leave_out(self) -> list[_Job]:
        """Those who waited long already: a database that fails once mostly fails again, and they would be told too late."""
        now = time.monotonic()
        with self._wake:
            long = [job for job in self.waiting if now - job.since >= WAITED_LONG]
            self.waiting = deque(job for job in self.waiting if now - job.since < WAITED_LONG)
            return long

    def _serve(self, connection: Any, batch: list[_Job]) -> None:
        """All in one transaction; when a statement fails, each alone, so that one bad piece of work spoils nobody else's."""
        try:
            self._transact(connection, batch)
            return
        except DBAPIError as wrong:
            if not _is_of_one(wrong):
                raise
            log.info("batch split", size=len(batch), error=type(wrong.orig).__name__)
        for job in batch:
            self._alone(connection, job)

    def _alone(self, connection: Any, job: _Job) -> None:
        for turn in range(RETRIED):
            try:
                self._transact(connection, [job])
                return
            except DBAPIError as wrong:
                if not _is_of_one(wrong):
                    raise
                job.outcome, job.error = None, wrong
                if getattr(wrong.orig, "sqlstate", None) not in _AGAIN or turn == RETRIED - 1:
                    job.settled = True
                    return

    def _transact(self, connection: Any, batch: list[_Job]) -> None:
        with connection.begin():
            session = _session(connection)
            raw = session.info["raw"]
            if self.desk._prelock is not None:
                self.desk._prelock(session, [job.key for job in batch if job.key is not None])
            for job in batch:
                raw.execute("SAVEPOINT job")
                try:
                    job.outcome = job.work(session)
                    session.flush()
                    job.error = None
                    session.expunge_all()
                    raw.execute("RELEASE SAVEPOINT job")
                except DBAPIError:
                    raise
                except DRIVER_ERRORS as wrong:
                    raise DBAPIError(None, None, wrong) from wrong
                except Exception as wrong:
                    job.outcome, job.error = None, wrong
                    session.expunge_all()
                    raw.execute("ROLLBACK TO SAVEPOINT job")
                    raw.execute("RELEASE SAVEPOINT job")
        for job in batch:
            job.settled = True


def _is_of_one(wrong: DBAPIError) -> bool:
    """True for a fault that belongs to one piece of work; false for one of the database itself: locked, full, read-only, disconnected."""
    if isinstance(wrong.orig, sqlite3.Error):
        return (getattr(wrong.orig, "sqlite_errorcode", 0) & 0xFF) not in _SQLITE_ILL
    state = getattr(wrong.orig, "sqlstate", None)
    return not wrong.connection_invalidated and state is not None and not state.startswith(("08", "25006", "53", "55P03", "57", "58"))


def _session(connection: Any) -> Session:
    session = Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only")
    session.info["raw"] = connection.connection.driver_connection
    return session


def _let_go(batch: list[_Job]) -> None:
    """One call into each loop for the whole batch."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        loops.setdefault(job.loop, []).append(job)
    for loop, jobs in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_tell, jobs)


def _tell(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.outcome)


def ping(session: Session) -> None:
    """Raises when the database cannot answer."""
    session.execute(text("SELECT 1"))
