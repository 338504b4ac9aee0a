"""The store's identity: what is answered with 已记录 is in the file that stands at the path, or it is not answered so."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.domain.message import Address, Incoming
from bot.storage.db.commits import Busy, DatabaseLost
from bot.storage.db.database import Database
from bot.storage.db.engine import make_private, open_engine
from bot.storage.migrations import migrate
from bot.storage.system import switches
from tests.conftest import enroll
from tests.support.service import RunningService, bot, environment, running_service

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


def path_of(engine: Engine) -> Path:
    return Path(str(engine.url.database))


def turn(name: str) -> object:
    return lambda session: switches.turn(session, name, True, "1010", NOW)


def names(path: Path) -> set[str]:
    engine = open_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            return {row[0] for row in connection.execute(text("SELECT name FROM switch"))}
    finally:
        engine.dispose()


def take_away(path: Path, how: str) -> Path:
    """Where the open file is now; `how` is what an operator does to it under the service."""
    elsewhere = path.with_name("elsewhere.db")
    if how == "moved":
        path.rename(elsewhere)
    elif how == "replaced":
        copy = path.with_name("copy.db")
        shutil.copyfile(path, copy)
        path.rename(elsewhere)
        copy.rename(path)
    else:
        path.rename(elsewhere)
        path.touch()
    return elsewhere


@pytest.mark.parametrize("how", ["moved", "replaced", "an empty file in its place"])
async def test_nothing_is_recorded_into_a_file_that_nobody_has(sqlite_engine: Engine, how: str) -> None:
    path = path_of(sqlite_engine)
    database = Database(sqlite_engine)
    database.start()
    try:
        await database.write(turn("before"))  # type: ignore[arg-type]
        with sqlite_engine.connect() as connection:
            connection.rollback()
        elsewhere = take_away(path, how)
        before = path.stat().st_size if path.exists() else None
        for _ in range(3):
            with pytest.raises(Busy):
                await database.write(turn("after"))  # type: ignore[arg-type]
        with pytest.raises(DatabaseLost):
            await database.read(lambda session: switches.is_on(session, "before"))
        with pytest.raises(DatabaseLost):
            database.read_now(lambda session: switches.is_on(session, "before"))
        assert (path.stat().st_size if path.exists() else None) == before
    finally:
        database.stop()
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(elsewhere.with_name(elsewhere.name + suffix))
    assert names(elsewhere) == {"before"}


async def test_the_very_file_put_back_is_written_to_again(sqlite_engine: Engine) -> None:
    path = path_of(sqlite_engine)
    database = Database(sqlite_engine)
    database.start()
    try:
        await database.write(turn("before"))  # type: ignore[arg-type]
        elsewhere = take_away(path, "moved")
        with pytest.raises(DatabaseLost):
            await database.read(lambda session: switches.is_on(session, "before"))
        elsewhere.rename(path)
        await database.write(turn("after"))  # type: ignore[arg-type]
        assert await database.read(lambda session: switches.is_on(session, "after"))
    finally:
        database.stop()


async def say(service: RunningService, words: str, number: int) -> str:
    incoming = Incoming(Address("local", "page", "1001"), words, f"message-{number:05}", datetime.now(UTC))
    return (await service.app.dispatcher.handle(incoming)).text


async def test_a_service_whose_file_was_moved_says_so_within_a_second_to_people_to_readyz_and_to_the_alarm(
    sqlite_engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(sqlite_engine)
    async with running_service(sqlite_engine) as service, aiohttp.ClientSession() as session:
        await service.app.database.write(lambda session: enroll(session, "1001"))
        elsewhere = take_away(path, "moved")
        started = time.monotonic()
        async with asyncio.timeout(5):
            while "database file gone" not in capsys.readouterr().out:  # noqa: ASYNC110 - what a log says raises no event
                await asyncio.sleep(0.05)
        assert time.monotonic() - started < 2.5
        async with session.get(f"{service.url}/readyz") as answer:
            assert (answer.status, await answer.json()) == (503, {"status": "database_moved"})
        async with session.get(f"{service.url}/metrics") as answer:
            assert "bot_database_lost 1.0" in await answer.text()
        started = time.monotonic()
        assert (await say(service, "绑定 1001 123456", 1)).startswith("系统繁忙，未记录")
        assert time.monotonic() - started < 1
        assert not path.exists()
        elsewhere.rename(path)
        await asyncio.sleep(1.2)
        async with session.get(f"{service.url}/readyz") as answer:
            assert answer.status == 200


def test_a_database_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    before = os.umask(0o022)
    try:
        engine = open_engine(f"sqlite:///{path}")
        migrate.migrate(engine)
        with engine.connect():
            modes = {part.name: stat.S_IMODE(part.stat().st_mode) for part in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}, modes
    path.chmod(0o644)
    make_private(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("table", ["answer", "audit"])
async def test_a_database_with_a_spoilt_page_is_named_and_not_served(tmp_path: Path, table: str) -> None:
    path = tmp_path / "bot.db"
    spoil(path, table)
    status, out, err = await bot("serve", env=environment(path))
    assert status == 1
    assert out == ""
    assert f"数据库文件 {path} 有损坏" in err
    assert "python -m bot restore 目录" in err


def spoil(path: Path, table: str) -> None:
    """A database at the program's revision, with rubbish over the root page of a table."""
    engine = open_engine(f"sqlite:///{path}")
    migrate.migrate(engine)
    with engine.connect() as connection:
        page = connection.execute(text("SELECT rootpage FROM sqlite_master WHERE name = :name"), {"name": table}).scalar_one()
        size = connection.execute(text("PRAGMA page_size")).scalar_one()
    engine.dispose()
    with path.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\x00\xff" * 100)


def test_a_rehearsed_write_is_none(sqlite_engine: Engine) -> None:
    """The check that /readyz makes writes to the disk and changes nothing."""
    from bot.app.run import touch

    database = Database(sqlite_engine)

    def revision(session: Session) -> object:
        return session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()

    database.write_now(touch)
    assert database.read_now(revision) == migrate.HEAD
