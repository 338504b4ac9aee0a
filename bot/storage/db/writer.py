"""The writer thread: runs all waiting work in one transaction and returns the results once it is committed."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from bot.logs import get_logger
from bot.storage.db.commits import Busy, InDoubt, transaction
from bot.storage.db.engine import driver_errors, is_sqlite, session_on

log = get_logger(__name__)

T = TypeVar("T")
Work = Callable[[Session], T]
Together = Callable[[Session, Sequence[Any]], Sequence[Any]]
"""Work on the items of many jobs at once: a result for each, in their order, or None for what has to be worked on by itself."""
OnError = Callable[[Session, Exception], None]
"""What is written in a job's place, in the same transaction, after its exception has been undone."""
Prelock = Callable[[Session, Sequence[Hashable]], None]

BATCH_SIZE = 200
ATTEMPTS = 3
SWEEP_SECONDS = 0.1
"""Seconds between two checks for work that has waited too long."""
LONG_WAIT_SECONDS = 1.0
"""Seconds of waiting after which work is not kept for another batch once a batch has failed."""
_RETRYABLE_STATES = ("40P01", "40001")
_SQLITE_DATABASE_FAULTS = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
)


class Stopped(Busy):
    """The database no longer accepts work: it is being stopped."""


class _BatchSpoilt(Exception):
    """Work in a batch without savepoints wrote and then raised, so that the batch must be rolled back and run again with them."""


@dataclass(slots=True, eq=False)
class WriteJob:
    """A piece of work, its key, and the future in its loop that waits for it; `result` and `error` are final once it is `settled`.

    Where `together` is given, the items of all jobs of a batch that have the same one are worked on by it first, and `work` only does what it left.
    """

    work: Work[Any]
    key: Hashable
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    queued_at: float
    together: Together | None = None
    item: Any = None
    on_error: OnError | None = None
    settled: bool = False
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Gauges:
    """Numbers of the writers for /metrics."""

    commits: int = 0
    batch: int = 0
    commit_seconds: float = 0.0
    failures: int = 0
    lost: int = 0
    committed: list[tuple[int, float]] = field(default_factory=list)


class Writer(threading.Thread):
    """One writer thread with its connection and its queue."""

    def __init__(self, engine: Engine, gauges: Gauges, prelock: Prelock | None, number: int, check_file: Callable[[], None]) -> None:
        """`check_file` raises where the database's file is no longer the one that was opened; it is asked before every commit."""
        super().__init__(name=f"writer-{number}", daemon=True)
        self._check_file = check_file
        self._engine = engine
        self._gauges = gauges
        self._prelock = prelock
        self._always_savepoints = not is_sqlite(engine)
        self.waiting: deque[WriteJob] = deque()
        self.urgent: deque[WriteJob] = deque()
        """Work that is taken up before all that waits, in commits of its own."""
        self.wake_scheduled = False
        self.sweeping_loops: set[asyncio.AbstractEventLoop] = set()
        self._condition = threading.Condition()
        self._finishing = False

    def put(self, job: WriteJob, *, urgent: bool = False) -> None:
        with self._condition:
            if self._finishing:
                raise Stopped("stopped")
            (self.urgent if urgent else self.waiting).append(job)

    def wake(self) -> None:
        """Called in the loop after the current round of callbacks: woken by the first job, the thread would contend with the loop for the GIL."""
        self.wake_scheduled = False
        with self._condition:
            self._condition.notify()

    def sweep(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        """Called in a loop while work waits: refuse work that has not begun after `patience` seconds; work in a running batch is waited for."""
        deadline = time.monotonic() - patience
        expired: list[WriteJob] = []
        with self._condition:
            for waiting in (self.urgent, self.waiting):
                while waiting and waiting[0].queued_at <= deadline:
                    expired.append(waiting.popleft())
            more_waiting = bool(self.urgent or self.waiting)
        for job in expired:
            job.error = Busy("patience")
        _release(expired)
        if more_waiting:
            loop.call_later(SWEEP_SECONDS, self.sweep, loop, patience)
        else:
            self.sweeping_loops.discard(loop)

    def finish(self) -> None:
        with self._condition:
            self._finishing = True
            self._condition.notify()

    def run(self) -> None:
        connection: Any = None
        while (batch := self._take_batch()) is not None:
            started = time.monotonic()
            try:
                if connection is None or connection.closed or connection.invalidated:
                    connection = self._engine.connect()
                self._run_batch(connection, batch)
                gauges = self._gauges
                gauges.commits += 1
                gauges.batch = len(batch)
                gauges.commit_seconds = time.monotonic() - started
                if len(gauges.committed) < 10_000:
                    gauges.committed.append((len(batch), gauges.commit_seconds))
            except BaseException as wrong:
                self._gauges.failures += 1
                log.warning("batch failed", size=len(batch), error=type(wrong).__name__, reason=str(getattr(wrong, "orig", wrong))[:200])
                # Jobs that ran alone before the fault are committed, and keep their result.
                uncommitted = [job for job in batch if not job.settled] + self._take_long_waiting()
                for job in uncommitted:
                    job.result, job.error = None, Busy(type(wrong).__name__)
                batch = [job for job in batch if job.settled] + uncommitted
                if connection is not None:
                    with contextlib.suppress(Exception):  # the connection is being thrown away, whatever its state
                        connection.close()
                    connection = None
            _release(batch)
        if connection is not None:
            connection.close()

    def _take_batch(self) -> list[WriteJob] | None:
        with self._condition:
            while not (self.urgent or self.waiting):
                if self._finishing:
                    return None
                self._condition.wait()
            batch: list[WriteJob] = []
            # What is urgent has a commit of its own: the work of a whole batch would keep it waiting.
            waiting = self.urgent or self.waiting
            while waiting and len(batch) < BATCH_SIZE:
                batch.append(waiting.popleft())
            return batch

    def _take_long_waiting(self) -> list[WriteJob]:
        """Remove and return jobs that have waited long: a database that fails once mostly fails again, and they would be refused too late."""
        now = time.monotonic()
        with self._condition:
            expired = [job for job in self.waiting if now - job.queued_at >= LONG_WAIT_SECONDS]
            self.waiting = deque(job for job in self.waiting if now - job.queued_at < LONG_WAIT_SECONDS)
            return expired

    def _run_batch(self, connection: Any, batch: list[WriteJob]) -> None:
        """All jobs in one transaction; when a statement fails, each alone, so that one bad job does not fail the others."""
        try:
            try:
                self._run_in_transaction(connection, batch, savepoints=self._always_savepoints)
            except _BatchSpoilt:
                self._run_in_transaction(connection, batch, savepoints=True)
            return
        except DBAPIError as wrong:
            if not _is_job_fault(wrong):
                raise
            log.info("batch split", size=len(batch), error=type(wrong.orig).__name__)
        for job in batch:
            self._run_alone(connection, job)

    def _run_alone(self, connection: Any, job: WriteJob) -> None:
        for attempt in range(ATTEMPTS):
            try:
                self._run_in_transaction(connection, [job], savepoints=True)
                return
            except DBAPIError as wrong:
                if not _is_job_fault(wrong):
                    raise
                job.result, job.error = None, wrong
                if getattr(wrong.orig, "sqlstate", None) not in _RETRYABLE_STATES or attempt == ATTEMPTS - 1:
                    job.settled = True
                    return

    def _run_in_transaction(self, connection: Any, batch: list[WriteJob], *, savepoints: bool) -> None:
        """The batch in one transaction; `savepoints` gives each job a savepoint of its own.

        A savepoint costs two statements and a copy of every touched page, and is rarely needed: an exception before any write leaves nothing
        to undo. SQLite counts the writes; raises `_BatchSpoilt` when a job without a savepoint wrote before its exception.
        """
        try:
            with transaction(connection):
                self._work_in_transaction(session_on(connection), batch, savepoints=savepoints)
        except InDoubt as wrong:
            for job in batch:
                job.result, job.error, job.settled = None, wrong, True
            raise
        for job in batch:
            job.settled = True

    def _work_in_transaction(self, session: Session, batch: list[WriteJob], *, savepoints: bool) -> None:
        raw = session.info["raw"]
        if self._prelock is not None:
            self._prelock(session, [job.key for job in batch if job.key is not None])
        done = _work_together(session, batch, savepoints=savepoints)
        for job in batch:
            if id(job) in done:
                continue
            if savepoints:
                raw.execute("SAVEPOINT job")
            written = 0 if savepoints else raw.total_changes
            try:
                job.result = job.work(session)
                if session.in_transaction():
                    # The session is in a transaction only when the job used mapped objects.
                    session.flush()
                    session.expunge_all()
                job.error = None
                if savepoints:
                    raw.execute("RELEASE SAVEPOINT job")
            except DBAPIError:
                raise
            except driver_errors() as wrong:
                raise DBAPIError(None, None, wrong) from wrong
            except Exception as wrong:
                job.result, job.error = None, wrong
                session.expunge_all()
                if savepoints:
                    raw.execute("ROLLBACK TO SAVEPOINT job")
                    raw.execute("RELEASE SAVEPOINT job")
                elif raw.total_changes != written:
                    raise _BatchSpoilt from wrong
                if job.on_error is not None:
                    job.on_error(session, wrong)
        self._check_file()


def _work_together(session: Session, batch: list[WriteJob], *, savepoints: bool) -> set[int]:
    """Have the jobs of a batch that can be worked on together worked on; the ids of those that are done.

    In turns: the next job of a key follows where the one before it is done, so that one person's messages stay in their order.
    """
    done: set[int] = set()
    left = batch
    while True:
        keys: set[Hashable] = set()
        turn: dict[Together, list[WriteJob]] = {}
        for job in left:
            if job.together is not None and job.key not in keys:
                turn.setdefault(job.together, []).append(job)
            keys.add(job.key)
        done_now: set[int] = set()
        for together, jobs in turn.items():
            done_now |= _work_on_group(session, together, jobs, savepoints=savepoints)
        if not done_now:
            return done
        done |= done_now
        # What was left once is left for good, and with it all that its sender said after it.
        stuck = {job.key for jobs in turn.values() for job in jobs if id(job) not in done_now}
        left = [job for job in left if id(job) not in done_now and job.key not in stuck]


def _work_on_group(session: Session, together: Together, jobs: list[WriteJob], *, savepoints: bool) -> set[int]:
    """The ids of the jobs that `together` has done. Where it raises, all of it is undone; without savepoints `_BatchSpoilt` says that it wrote."""
    raw = session.info["raw"]
    if savepoints:
        raw.execute("SAVEPOINT jobs")
    written = 0 if savepoints else raw.total_changes
    try:
        results = together(session, [job.item for job in jobs])
    except DBAPIError:
        raise
    except driver_errors() as wrong:
        raise DBAPIError(None, None, wrong) from wrong
    except Exception as wrong:
        log.exception("work on a batch failed", size=len(jobs))
        if savepoints:
            raw.execute("ROLLBACK TO SAVEPOINT jobs")
        elif raw.total_changes != written:
            raise _BatchSpoilt from wrong
        results = [None] * len(jobs)
    if savepoints:
        raw.execute("RELEASE SAVEPOINT jobs")
    done = set()
    for job, result in zip(jobs, results, strict=True):
        if result is not None:
            job.result, job.error = result, None
            done.add(id(job))
    return done


def _is_job_fault(wrong: DBAPIError) -> bool:
    """True for a fault of one job; false for one of the database itself: locked, full, read-only, disconnected."""
    if isinstance(wrong.orig, sqlite3.Error):
        return (getattr(wrong.orig, "sqlite_errorcode", 0) & 0xFF) not in _SQLITE_DATABASE_FAULTS
    import psycopg  # which is here if it has failed

    state = getattr(wrong.orig, "sqlstate", None)
    if state is None and isinstance(wrong.orig, psycopg.DataError | psycopg.ProgrammingError | psycopg.NotSupportedError):
        # The driver refused to send it (a NUL in a text); the database is fine.
        return True
    return not wrong.connection_invalidated and state is not None and not state.startswith(("08", "25006", "53", "55P03", "57", "58"))


def _release(batch: list[WriteJob]) -> None:
    """Hand the results to their loops, with one call into each."""
    loops: dict[asyncio.AbstractEventLoop, list[WriteJob]] = {}
    for job in batch:
        loops.setdefault(job.loop, []).append(job)
    for loop, jobs in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed, so that nobody waits any more
            loop.call_soon_threadsafe(_set_results, jobs)


def _set_results(jobs: list[WriteJob]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
