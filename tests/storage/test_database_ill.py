"""When the database is locked, read-only, full or broken: everybody is told while it lasts, nothing is half done, and it heals by itself.

No test here looks at a watch: whoever is told before the trouble ends was not kept waiting for its end. How long it takes is the sum of the limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import pwd
import random
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, text
from sqlmodel import Session

from bot.dispatch import BUSY_REPLY, Dispatcher
from bot.domain.library.library import Library
from bot.services.library.catalog import Catalog, load_catalog
from bot.services.study import quiz
from bot.services.study.quiz import AskedQuestion
from bot.storage.db import engine as db_engine
from bot.storage.db import writer
from bot.storage.db.commits import Busy
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.files.policies import load_policy
from bot.storage.migrations.migrate import migrate
from tests.conftest import NOW, ROOT, Chat, Clock, enroll
from tests.flows.test_daily import question_in_hand, right_answer
from tests.storage.test_database import counted, counts

WITHIN = 5.0
"""Seconds after which nobody waits any more (bot/docs/reliability.md)."""
LOCKER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def sqlite_desk(sqlite_engine: Engine) -> AsyncIterator[Database]:
    made = Database(sqlite_engine)
    made.start()
    yield made
    await asyncio.to_thread(made.stop)


def file_of(database: Database) -> Path:
    assert database.engine.url.database is not None
    return Path(database.engine.url.database)


@contextlib.contextmanager
def locked_by_another(path: Path) -> Iterator[None]:
    """Another process that holds the write lock."""
    with subprocess.Popen([sys.executable, "-c", LOCKER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            other.communicate()


async def told(database: Database, name: str) -> str:
    """The name when it was recorded, empty when it was refused."""
    try:
        return await database.write(counts(name), of=name)
    except Busy:
        return ""


def test_the_limits_of_a_wait_add_up_to_less_than_five_seconds() -> None:
    """Whom nobody has begun to serve waits for the patience of `Database`; who is in hand, or came shortly before, for the database."""
    patience = inspect.signature(Database).parameters["patience"].default
    busy = inspect.signature(open_engine).parameters["busy_seconds"].default
    assert patience + writer.SWEEP_SECONDS < WITHIN
    assert writer.LONG_WAIT_SECONDS + 2 * busy <= WITHIN
    assert db_engine._POSTGRES_TIMEOUTS["connect_timeout"] < WITHIN


async def test_behind_a_lock_everybody_is_told_while_it_is_held(sqlite_desk: Database) -> None:
    """Somebody comes every fifth of a second, and 1,000 at once: more than one batch can hold."""
    with locked_by_another(file_of(sqlite_desk)):
        crowd = [asyncio.create_task(told(sqlite_desk, f"crowd{n}")) for n in range(1000)]
        one_by_one = []
        for n in range(30):
            one_by_one.append(asyncio.create_task(told(sqlite_desk, f"single{n}")))
            await asyncio.sleep(0.2)
        heard = await asyncio.gather(*crowd, *one_by_one)

    assert set(heard) == {""}
    assert counted(sqlite_desk) == set()
    assert await sqlite_desk.write(counts("afterwards")) == "afterwards"


async def test_readers_are_served_while_another_process_holds_the_write_lock(sqlite_desk: Database) -> None:
    await sqlite_desk.write(counts("one"))
    with locked_by_another(file_of(sqlite_desk)):
        assert await sqlite_desk.read(lambda session: session.execute(text("SELECT what FROM tally")).scalars().all()) == ["one"]


async def test_a_message_behind_a_lock_is_refused_politely_and_its_retry_is_answered(chat: Chat, engine: Engine) -> None:
    """On PostgreSQL another session holds the person; on SQLite another process holds the file."""
    await chat.say("每日")
    message = chat.message(right_answer(question_in_hand(chat)))
    with contextlib.ExitStack() as stack:
        if engine.dialect.name == "sqlite":
            stack.enter_context(locked_by_another(file_of(chat.dispatcher.database)))
        else:
            other = stack.enter_context(psycopg.connect(engine.url.render_as_string(hide_password=False).replace("+psycopg", "")))
            other.execute("SELECT id FROM person FOR UPDATE")
        assert await chat.dispatcher.handle(message) == BUSY_REPLY
    assert chat.dispatcher.database.read_now(lambda s: s.execute(text("SELECT COUNT(*) FROM answer")).scalar()) == 0

    assert (await chat.hear(message)).startswith("已记录")
    assert chat.dispatcher.database.read_now(lambda s: s.execute(text("SELECT COUNT(*) FROM answer")).scalar()) == 1


def practice_for(session: Session, catalog: Catalog, person_id: int, rng: random.Random) -> AskedQuestion:
    return quiz.start_practice(session, catalog, person_id, "", NOW, rng)


def leave_room(database: Database, pages: int) -> Any:
    """A disk with room for so many more pages, on every connection from now on; returns what takes the limit away."""
    with contextlib.closing(sqlite3.connect(file_of(database))) as look:
        had = look.execute("PRAGMA page_count").fetchone()[0]

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={had + pages}")

    event.listen(database.engine, "connect", limit)
    return lambda: event.remove(database.engine, "connect", limit)


async def test_a_full_disk_refuses_politely_and_heals_when_there_is_room(sqlite_engine: Engine) -> None:
    database = Database(sqlite_engine)
    free = leave_room(database, 6)
    database.start()
    try:
        long = "满" * 400
        recorded = {name for name in await asyncio.gather(*(told(database, f"{long}{n}") for n in range(200))) if name}
        assert len(recorded) < 200
        assert counted(database) == recorded
        heard = [await told(database, f"{long}again{n}") for n in range(40)]
        assert counted(database) == recorded | {name for name in heard if name}
        assert "" in heard
        free()
        assert await database.write(counts(f"{long}healed")) == f"{long}healed"
    finally:
        await asyncio.to_thread(database.stop)


@contextlib.contextmanager
def no_file_grows_past(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_write_that_the_file_system_cuts_short_leaves_nothing_behind(sqlite_desk: Database) -> None:
    """The journal may not grow: a batch begins to be written and fails half-way."""
    await sqlite_desk.write(counts("before"))
    journal = Path(f"{file_of(sqlite_desk)}-wal")
    long = "满" * 1500
    with no_file_grows_past(journal.stat().st_size + 50_000):
        assert set(await asyncio.gather(*(told(sqlite_desk, f"{long}{n}") for n in range(150)))) == {""}
        assert counted(sqlite_desk) == {"before"}
    assert await sqlite_desk.write(counts("after")) == "after"
    assert counted(sqlite_desk) == {"before", "after"}
    with contextlib.closing(sqlite3.connect(file_of(sqlite_desk))) as look:
        assert look.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@contextlib.contextmanager
def as_somebody_without_rights() -> Iterator[None]:
    """Root may write to anything: for this while the process is nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_read_only_file_refuses_politely_and_heals_when_it_may_be_written(sqlite_engine: Engine) -> None:
    assert sqlite_engine.url.database is not None
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        home = Path(place)
        path = home / "bot.db"
        path.write_bytes(Path(sqlite_engine.url.database).read_bytes())
        home.chmod(0o755)
        path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        engine = open_engine(f"sqlite:///{path}")
        database = Database(engine)
        database.start()
        try:
            if os.geteuid() != 0:
                home.chmod(0o555)
            with as_somebody_without_rights():
                assert set(await asyncio.gather(*(told(database, f"n{n}") for n in range(5)))) == {""}
            home.chmod(0o755)
            path.chmod(0o644)
            assert await database.write(counts("after")) == "after"
            assert counted(database) == {"after"}
        finally:
            await asyncio.to_thread(database.stop)


async def test_a_directory_that_is_gone_refuses_politely(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'var' / 'bot.db'}")
    (tmp_path / "var").rmdir()
    database = Database(engine)
    database.start()
    try:
        assert await told(database, "nowhere") == ""
    finally:
        await asyncio.to_thread(database.stop)


@pytest.mark.parametrize("where", [0, 100], ids=["its header", "its first page"])
async def test_a_broken_file_refuses_politely(sqlite_engine: Engine, where: int) -> None:
    path = Path(str(sqlite_engine.url.database))
    whole = bytearray(path.read_bytes())
    whole[where : where + 60] = b"\xff" * 60
    path.write_bytes(whole)
    database = Database(sqlite_engine)
    database.start()
    try:
        assert await told(database, "broken") == ""
    finally:
        await asyncio.to_thread(database.stop)


async def test_a_postgres_that_cuts_its_connections_is_found_again(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("CREATE DATABASE cut")
    engine = open_engine(postgres_url.replace("/postgres?", "/cut?"))
    migrate(engine)
    database = Database(engine)
    database.start()
    try:
        assert await told(database, "before") == "before"
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cut'")
        cut, again = await told(database, "cut"), await told(database, "again")
        assert again == "again"
        assert counted(database) == {"before", "again"} | ({"cut"} if cut else set())
    finally:
        await asyncio.to_thread(database.stop)
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("DROP DATABASE cut WITH (FORCE)")


async def test_stopping_behind_a_lock_ends_while_it_is_held(sqlite_engine: Engine) -> None:
    database = Database(sqlite_engine)
    database.start()
    with locked_by_another(file_of(database)):
        waiting = [asyncio.create_task(told(database, f"n{n}")) for n in range(3)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(database.stop)
        assert set(await asyncio.gather(*waiting)) == {""}
    assert counted(database) == set()


async def test_while_the_disk_fills_the_hall_keeps_what_it_said(sqlite_engine: Engine, shipped: Library, rng: random.Random, clock: Clock) -> None:
    """Who reads 已记录 is recorded, who reads 系统繁忙 is not; the service goes on when there is room."""
    people = [f"{n}" for n in range(2000, 2040)]
    policy, _ = load_policy(ROOT)
    assert policy is not None
    database = Database(sqlite_engine)
    catalog = database.write_now(lambda session: load_catalog(session, shipped, policy, NOW))
    hall = Dispatcher(database, lambda: catalog, rng=rng)
    chats = [Chat(hall, clock, user) for user in people]
    database.write_now(lambda session: [practice_for(session, catalog, enroll(session, user), rng) for user in people])
    free = leave_room(database, 12)
    database.start()
    try:
        said: dict[str, list[str]] = {user: [] for user in people}
        for _ in range(6):
            for chat, text_ in zip(chats, await asyncio.gather(*(chat.say("A") for chat in chats)), strict=True):
                said[chat.user].append(text_)
        assert any("系统繁忙" in one for all_ in said.values() for one in all_)
        kept = database.read_now(
            lambda s: dict(s.execute(text("SELECT p.staff_no, COUNT(*) FROM answer a JOIN person p ON p.id = a.person_id GROUP BY 1")).all())
        )
        assert kept == {user: n for user in people if (n := sum(one.startswith("已记录") for one in said[user]))}
        free()
        assert "系统繁忙" not in await chats[0].say("A")
    finally:
        await asyncio.to_thread(database.stop)
