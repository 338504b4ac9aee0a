"""Going down takes rows away: what is recorded is copied first; and a database that cannot be used is one Chinese sentence."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from bot.cli import serve
from bot.cli.faults import database_fault
from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite, open_engine
from bot.storage.hours import ledger
from bot.storage.migrations import migrate
from tests.conftest import enroll
from tests.storage.test_database_ill import as_somebody_without_rights
from tests.support.service import bot, environment


def earn(engine: Engine) -> None:
    def work(session: Session) -> None:
        one = enroll(session, "1001")
        ledger.add(session, one, "online", 2700, date(2026, 2, 1), ("lesson", "2026:x"), ("D2", 1), datetime(2026, 2, 1, 4, tzinfo=UTC))

    Database(engine).write_now(work)


async def test_going_down_with_recorded_hours_leaves_a_whole_copy_that_only_those_may_read_who_could_before(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate.migrate(engine)
    earn(engine)
    engine.dispose()
    path.chmod(0o600)

    status, out, err = await bot("migrate", "--to", "base", "--json", env=environment(path))

    assert status == 0, err
    copy = Path(json.loads(out)["copy"])
    assert re.fullmatch(rf"bot\.db\.before-{migrate.HEAD}-\d{{8}}-\d{{6}}\.db", copy.name)
    assert f"副本已存到 {copy}" in err
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with sqlite3.connect(copy) as kept:
        assert kept.execute("SELECT credit_seconds FROM ledger").fetchall() == [(2700,)]
        assert kept.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept.close()


async def test_going_up_or_down_with_nothing_recorded_copies_nothing(tmp_path: Path) -> None:
    env = environment(tmp_path / "bot.db")
    for to in ("head", "base", "head"):
        status, out, _ = await bot("migrate", "--to", to, "--json", env=env)
        assert (status, json.loads(out)["copy"]) == (0, None)
    assert not list(tmp_path.glob("*before*"))


def test_on_postgresql_it_is_said_that_there_is_no_copy_and_how_to_make_one(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    earn(engine)
    copy = serve._copy_before_downgrade(engine, "base")
    said = capsys.readouterr().err
    if is_sqlite(engine):
        assert copy is not None
        assert copy in said
    else:
        assert copy is None
        assert "pg_dump" in said
    assert serve._copy_before_downgrade(engine, migrate.HEAD) is None


def test_a_service_does_not_start_on_a_database_that_it_cannot_write(sqlite_engine: Engine) -> None:
    serve._check_writable(sqlite_engine)
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        path = Path(place) / "bot.db"
        path.write_bytes(Path(str(sqlite_engine.url.database)).read_bytes())
        Path(place).chmod(0o755)
        path.chmod(0o444)
        if os.geteuid() != 0:
            Path(place).chmod(0o555)
        with as_somebody_without_rights(), pytest.raises(DBAPIError) as caught:
            serve._check_writable(open_engine(f"sqlite:///{path}"))
        Path(place).chmod(0o755)
    assert "只读" in database_fault(caught.value.orig)


async def test_a_database_that_cannot_be_used_is_one_chinese_sentence(tmp_path: Path) -> None:
    (tmp_path / "none.db").write_bytes(b"no database at all " * 100)
    (tmp_path / "folder.db").mkdir()
    for env, said in (
        (environment(tmp_path / "none.db"), "不是数据库"),
        (environment(tmp_path / "folder.db"), "打不开"),
        (environment(tmp_path) | {"BOT_DATABASE_URL": "postgresql://bot:canary@127.0.0.1:1/bot"}, "连不上 PostgreSQL"),
    ):
        status, _, err = await bot("serve", env=env)
        assert (status, said in err, len(err.splitlines())) == (1, True, 1), err
        assert not re.search(r"[a-z]+ [a-z]+ [a-z]+|canary", err)


def test_what_may_not_be_changed_is_told_as_such_on_either_database(engine: Engine) -> None:
    earn(engine)
    with pytest.raises(DBAPIError) as caught:
        Database(engine).write_now(lambda session: session.execute(text("DELETE FROM ledger")))
    assert "已记录的不能改也不能删" in database_fault(caught.value.orig)


def test_an_error_without_a_sentence_is_named_by_its_code() -> None:
    assert database_fault(psycopg.errors.UndefinedTable("relation does not exist")) == "数据库不能用：出错代码 42P01。"
