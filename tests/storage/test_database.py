"""`Database` on both engines: who shares a commit, who is spoilt by whom, and that everybody is told."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import Hashable
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session

from bot.domain.message import Address, Refusal
from bot.storage.db.commits import Busy
from bot.storage.db.database import Database
from bot.storage.db.query import Statement
from bot.storage.db.writer import BATCH_SIZE, Stopped, Work
from bot.storage.people import accounts
from bot.storage.system import inbox
from bot.storage.tables.system import TallyRow
from tests.conftest import NOW, enroll

DAY = "2026-03-02"
COUNT = Statement("INSERT INTO tally (day, what, n) VALUES (:day, :what, 1)")
BAD = Statement("INSERT INTO tally (day, what, n) VALUES (:day, :what, -1)")
SEEN = Statement("SELECT seconds FROM year_total WHERE person_id = :id AND year = 2026 AND category = 'online'")
PUT = Statement("UPDATE year_total SET seconds = :seconds WHERE person_id = :id AND year = 2026 AND category = 'online'")
NEW = Statement("INSERT INTO year_total (person_id, year, category, seconds, items) VALUES (:id, 2026, 'online', 0, 0)")


def counts(what: str) -> Work[str]:
    """Work that leaves one row and returns its name."""

    def work(session: Session) -> str:
        COUNT.run(session, day=DAY, what=what)
        return what

    return work


def counted(database: Database) -> set[str]:
    return {row[0] for row in database.read_now(lambda session: session.execute(text("SELECT what FROM tally")).all())}


class Held:
    """The writer held in one piece of work, so that whoever comes meanwhile waits for the same commit."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.begun, self.goes_on = threading.Event(), threading.Event()

    async def __aenter__(self) -> Held:
        def wait(session: Session) -> None:
            self.begun.set()
            assert self.goes_on.wait(10)

        self.waiting = asyncio.create_task(self.database.write(wait, of="everybody"))
        assert await asyncio.to_thread(self.begun.wait, 10)
        return self

    async def together(self, works: list[Work[Any]]) -> list[Any]:
        """What each got, all of them queued while the writer was held."""
        tasks = [asyncio.create_task(self.database.write(work, of="everybody")) for work in works]
        await asyncio.sleep(0)
        self.goes_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def __aexit__(self, *_: object) -> None:
        self.goes_on.set()
        await self.waiting


async def test_all_who_wait_share_one_commit(database: Database) -> None:
    async with Held(database) as held:
        before = database.gauges.commits
        got = await held.together([counts(f"n{n}") for n in range(BATCH_SIZE)])

    assert got == [f"n{n}" for n in range(BATCH_SIZE)]
    assert database.gauges.commits == before + 2
    assert (database.gauges.batch, len(counted(database))) == (BATCH_SIZE, BATCH_SIZE)


async def test_a_refusal_takes_back_its_own_work_and_nobody_elses(database: Database) -> None:
    def refused(session: Session) -> None:
        COUNT.run(session, day=DAY, what="refused")
        raise Refusal("不行")

    async with Held(database) as held:
        got = await held.together([counts("first"), refused, counts("last")])

    assert (got[0], str(got[1]), got[2]) == ("first", "不行", "last")
    assert counted(database) == {"first", "last"}


async def test_a_bug_in_one_piece_of_work_is_raised_to_its_caller_alone(database: Database) -> None:
    def broken(session: Session) -> None:
        COUNT.run(session, day=DAY, what="broken")
        raise ZeroDivisionError

    async with Held(database) as held:
        got = await held.together([counts("first"), broken, counts("last")])

    assert [type(one) for one in got] == [str, ZeroDivisionError, str]
    assert counted(database) == {"first", "last"}


def _by_driver(session: Session) -> None:
    COUNT.run(session, day=DAY, what="before the fault")
    BAD.run(session, day=DAY, what="negative")


def _by_core(session: Session) -> None:
    COUNT.run(session, day=DAY, what="before the fault")
    session.execute(text("INSERT INTO tally (day, what, n) VALUES ('2026-03-02', 'negative', -1)"))


@pytest.mark.parametrize("bad", [_by_driver, _by_core])
async def test_a_failing_statement_spoils_nobody_elses_work(database: Database, bad: Work[None]) -> None:
    async with Held(database) as held:
        got = await held.together([counts("first"), bad, counts("middle"), bad, counts("last")])

    assert [one for one in got if isinstance(one, str)] == ["first", "middle", "last"]
    assert "counts_up" in str(got[1])
    assert "counts_up" in str(got[3])
    assert counted(database) == {"first", "middle", "last"}
    assert await database.write(counts("after")) == "after"


async def test_a_failing_flush_is_raised_as_what_it_is(database: Database) -> None:
    def add(session: Session) -> None:
        session.add(TallyRow(day=NOW.date(), what="flushed", n=-1))

    with pytest.raises(IntegrityError, match="counts_up"):
        await database.write(add)
    assert counted(database) == set()


async def test_objects_of_one_piece_of_work_do_not_leak_into_the_next(database: Database) -> None:
    def refused(session: Session) -> None:
        session.add(TallyRow(day=NOW.date(), what="never", n=1))
        raise Refusal("不行")

    async with Held(database) as held:
        await held.together([refused, counts("next")])
    assert counted(database) == {"next"}


async def test_a_caller_that_hangs_up_does_not_take_its_work_back(database: Database) -> None:
    async with Held(database):
        gone = asyncio.create_task(database.write(counts("hung up"), of="everybody"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
    await database.write(counts("next"), of="everybody")
    assert counted(database) == {"hung up", "next"}


async def test_a_reader_sees_what_was_committed_and_cannot_write(database: Database) -> None:
    await database.write(counts("one"))
    assert await database.read(lambda session: session.execute(text("SELECT what FROM tally")).scalar_one()) == "one"
    with pytest.raises(Exception, match=r"readonly|read-only"):
        await database.read(counts("two"))
    assert counted(database) == {"one"}


async def test_a_reader_sees_one_moment_while_others_write(database: Database) -> None:
    await database.write(counts("one"))
    loop = asyncio.get_running_loop()

    def twice(session: Session) -> tuple[int, int]:
        first = session.execute(text("SELECT COUNT(*) FROM tally")).scalar_one()
        asyncio.run_coroutine_threadsafe(database.write(counts("two")), loop).result(10)
        return first, session.execute(text("SELECT COUNT(*) FROM tally")).scalar_one()

    assert await database.read(twice) == (1, 1)
    assert counted(database) == {"one", "two"}


async def test_a_reader_sees_every_commit_before_it_by_whatever_way_it_asks(database: Database) -> None:
    count = Statement("SELECT COUNT(*) FROM tally")

    def look(session: Session) -> tuple[int, int]:
        return count.one(session)[0], len(session.execute(text("SELECT what FROM tally")).all())

    for n in range(6):
        assert await asyncio.gather(*(database.read(look) for _ in range(3))) == [(n, n)] * 3
        await database.write(counts(f"seen {n}"))


async def test_a_reader_whose_look_failed_or_whose_line_was_cut_looks_again(engine: Engine, database: Database) -> None:
    def trip(session: Session) -> None:
        session.execute(text("SELECT * FROM nowhere"))

    for _ in range(4):
        with pytest.raises(DBAPIError):
            await database.read(trip)
        with pytest.raises(ZeroDivisionError):
            await database.read(lambda session: 1 // len(session.execute(text("SELECT what FROM tally")).all()))
    await database.write(counts("seen"))
    if engine.dialect.name != "sqlite":
        await asyncio.gather(*(database.read(lambda session: session.execute(text("SELECT 1")).all()) for _ in range(4)))
        with engine.begin() as other:
            other.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()")
            )
    for _ in range(4):
        assert await database.read(lambda session: session.execute(text("SELECT COUNT(*) FROM tally")).scalar()) == 1


async def test_a_full_queue_is_refused_at_once(engine: Engine) -> None:
    database = Database(engine, limit=3)
    database.start()
    try:
        async with Held(database):
            waiting = [asyncio.create_task(database.write(counts(f"n{n}"), of="everybody")) for n in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                await database.write(counts("too many"), of="everybody")
        await asyncio.gather(*waiting)
        assert counted(database) == {"n0", "n1", "n2"}
    finally:
        await asyncio.to_thread(database.stop)


async def test_who_waited_too_long_is_refused_and_never_served(engine: Engine) -> None:
    database = Database(engine, patience=0.3)
    database.start()
    try:
        async with Held(database):
            with pytest.raises(Busy):
                await database.write(counts("impatient"), of="everybody")
        await database.write(counts("later"), of="everybody")
        assert counted(database) == {"later"}
    finally:
        await asyncio.to_thread(database.stop)


async def test_stopping_serves_whoever_waits_and_refuses_whoever_comes(engine: Engine) -> None:
    database = Database(engine)
    database.start()
    async with Held(database) as held:
        waiting = [asyncio.create_task(database.write(counts(f"n{n}"), of=n)) for n in range(500)]
        await asyncio.sleep(0)
        stopping = asyncio.create_task(asyncio.to_thread(database.stop))
        await asyncio.sleep(0.1)
        with pytest.raises(Stopped):
            await database.write(counts("too late"), of="everybody")
        held.goes_on.set()
    assert await asyncio.gather(*waiting) == [f"n{n}" for n in range(500)]
    await stopping
    assert len(counted(database)) == 500


async def test_two_desks_write_to_one_database_and_nothing_is_lost_or_deadlocked(engine: Engine) -> None:
    """Read, think, write: with overlapping people in every order, from two replicas at once."""
    desks = [Database(engine, prelock=accounts.lock_people, patience=30) for _ in range(2)]
    people = desks[0].write_now(lambda session: {str(n): enroll(session, str(n)) for n in range(20)})
    desks[0].write_now(lambda session: [NEW.run(session, id=one) for one in people.values()])

    def add(person_id: int) -> Work[None]:
        def work(session: Session) -> None:
            seconds = SEEN.one(session, id=person_id)[0]
            PUT.run(session, id=person_id, seconds=seconds + 1)

        return work

    rng = random.Random(7)
    jobs = [user for user in people for _ in range(40)]
    rng.shuffle(jobs)
    for database in desks:
        database.start()
    try:
        async with asyncio.timeout(60):
            key: list[Hashable] = [Address("local", "test", user) if rng.random() < 0.5 else people[user] for user in jobs]
            await asyncio.gather(*(desks[n % 2].write(add(people[user]), of=of) for n, (user, of) in enumerate(zip(jobs, key, strict=True))))
    finally:
        for database in desks:
            await asyncio.to_thread(database.stop)
    seconds = desks[0].read_now(lambda session: session.execute(text("SELECT seconds FROM year_total")).scalars().all())
    assert list(seconds) == [40] * 20
    assert sum(database.gauges.failures for database in desks) == 0


async def test_work_that_was_recorded_is_not_called_busy_when_the_database_fails_after_it(engine: Engine) -> None:
    """A batch that had to be taken one by one, and a database that dies in the middle: who was recorded is told so."""
    database = Database(engine)
    database.start()

    def dies(session: Session) -> None:
        if engine.dialect.name == "sqlite":
            wrong = sqlite3.OperationalError("disk I/O error")
            wrong.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise wrong
        raise psycopg.errors.DiskFull("no space left on device")

    try:
        async with Held(database) as held:
            # The first failing statement makes the writer take them one by one; the second is the database's own fault.
            got = await held.together([counts("first"), _by_driver, dies, counts("last")])
        told = {one for one in got if isinstance(one, str)}
        assert isinstance(got[2], Busy)
        assert counted(database) == told
        assert "first" in told
    finally:
        await asyncio.to_thread(database.stop)


async def test_the_hall_counts_strangers_whoever_writes(database: Database) -> None:
    """The counter is one row that every writer wants: waiting for it is not a failure."""
    await asyncio.gather(*(database.write(lambda session: inbox.count(session, "stranger", NOW.date()), of=n) for n in range(300)))
    row = database.read_now(lambda session: session.execute(text("SELECT n FROM tally")).one())
    assert row[0] == 300


async def test_what_is_told_was_committed_before(database: Database) -> None:
    """Another connection sees a row as soon as its caller was told of it."""
    for n in range(20):
        await database.write(counts(f"n{n}"))
        assert f"n{n}" in counted(database)
