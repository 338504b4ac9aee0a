"""A backup is taken while others write, proves itself, and comes back whole on a bare machine; nothing is replaced by what does not."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from bot.services.hours import chain_verification
from bot.services.system import backup as system_backup
from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite, open_engine
from bot.storage.hours import ledger
from bot.storage.migrations import migrate
from tests.conftest import enroll
from tests.support.postgres import PACKAGE, VERSION
from tests.support.shell import Shell

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


def earn(database: Database, staff_no: str = "2001", seconds: int = 2700) -> None:
    """Somebody earns, and the entry is sealed."""

    def work(session: Session) -> None:
        person = enroll(session, staff_no)
        ledger.add(session, person, "online", seconds, date(2026, 2, 1), ("lesson", "2026:x"), ("D2", 1), datetime(2026, 2, 1, 4, tzinfo=UTC))
        chain_verification.seal_entries(session, NOW)

    database.write_now(work)


def entries(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT id, person_id, credit_seconds, day FROM ledger ORDER BY id"))]


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and pg_restore of the server's own version, first on PATH."""
    package = importlib.util.find_spec(PACKAGE)
    assert package is not None
    assert package.submodule_search_locations
    monkeypatch.setenv("PATH", f"{package.submodule_search_locations[0]}/{VERSION}/bin:{os.environ['PATH']}")


@contextmanager
def bare(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """The URL of a place where no database stands yet."""
    if is_sqlite(engine):
        yield f"sqlite:///{tmp_path / 'other machine' / 'bot.db'}"
        return
    url = engine.url.set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bare")
        try:
            yield url.set(database="bare").render_as_string(hide_password=False)
        finally:
            connection.execute("DROP DATABASE bare WITH (FORCE)")


# ── There and back ──


def test_a_backup_comes_back_on_a_bare_machine_with_every_row_and_the_chain(
    shell: Shell, engine: Engine, tools: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earn(shell.database)
    taken = shell.json("backup", str(tmp_path / "backups"))
    assert taken["counts"]["entries"] == 1
    assert taken["counts"]["people"] == 3
    assert len(taken["head"]) == 64
    assert taken["chain_fault"] == ""
    # What is recorded after the backup is not in it.
    earn(shell.database, "2002")

    with bare(engine, tmp_path) as url:
        monkeypatch.setenv("BOT_DATABASE_URL", url)
        restored = shell.json("restore", str(tmp_path / "backups"))
        assert restored["sha256"] == taken["sha256"]
        assert restored["moved"] is None
        other = open_engine(url)
        try:
            assert entries(other) == entries(engine)[:1]
            assert migrate.current(other) == migrate.HEAD
            # The head that the backup names was kept outside of the database: it is in the chain that came back.
            assert shell.json("ledger", "verify", "--head", taken["head"])["ok"] is True
            with pytest.raises(IntegrityError, match="by reversal only"), other.begin() as connection:
                connection.execute(text("DELETE FROM ledger"))
            with other.connect() as connection:
                acts = connection.execute(text("SELECT action, target FROM audit ORDER BY id DESC LIMIT 1")).one()
            assert acts == ("恢复备份", taken["folder"])
        finally:
            other.dispose()


def test_a_backup_says_what_it_holds_and_the_service_knows_of_it(shell: Shell, tools: None, tmp_path: Path) -> None:
    earn(shell.database)
    said = shell("backup", str(tmp_path / "backups"))
    assert re.search(r"已备份到 .*/backups/xuefa-\d{8}-\d{6}（\d{4}-\d\d-\d\d \d\d:\d\d:\d\d，\d+\.\d MiB）", said)
    assert "人员 3、作答 0、学时流水 1" in said
    assert "哈希链：相符，封存到第 1 号" in said
    assert shell.count("backup") == 1
    with shell.database.engine.connect() as connection:
        assert connection.execute(text("SELECT action, outcome FROM audit ORDER BY id DESC LIMIT 1")).one() == ("备份", "done")


def test_nobody_else_may_read_a_backup(shell: Shell, engine: Engine, tools: None, tmp_path: Path) -> None:
    if is_sqlite(engine):
        Path(str(engine.url.database)).chmod(0o600)
    taken = shell.json("backup", str(tmp_path / "backups"))
    folder = Path(taken["folder"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / taken["file"]).stat().st_mode) == 0o600


def test_a_chain_that_does_not_verify_is_backed_up_and_said(shell: Shell, engine: Engine, tools: None, tmp_path: Path) -> None:
    earn(shell.database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE year_total SET seconds = seconds + 60"))
    status, out, err = shell.run("backup", str(tmp_path / "backups"), "--json")
    assert status == 1
    assert "不符" in json.loads(out)["chain_fault"]
    assert "备份已经留下" in err
    assert system_backup.find(tmp_path / "backups").facts.chain.fault


# ── What is refused, and leaves everything as it was ──


def test_a_database_that_stands_there_is_replaced_only_when_asked_and_is_kept_under_another_name(
    shell: Shell, engine: Engine, tools: None, tmp_path: Path
) -> None:
    earn(shell.database)
    shell("backup", str(tmp_path / "backups"))
    earn(shell.database, "2002")
    before = entries(engine)
    status, _, err = shell.run("restore", str(tmp_path / "backups"))
    assert status == 1
    assert ("加 --apply" in err) if is_sqlite(engine) else ("已经有表" in err)
    assert entries(engine) == before
    if not is_sqlite(engine):
        status, _, err = shell.run("restore", str(tmp_path / "backups"), "--apply")
        assert status == 1
        assert "请新建一个空库" in err
        assert entries(engine) == before
        return
    restored = shell.json("restore", str(tmp_path / "backups"), "--apply")
    assert entries(engine) == before[:1]
    aside = open_engine(f"sqlite:///{restored['moved']}")
    assert entries(aside) == before
    aside.dispose()


def test_a_database_in_use_is_not_replaced(shell: Shell, sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_DATABASE_URL", str(sqlite_engine.url))
    database = Database(sqlite_engine)
    earn(database)
    shell("backup", str(tmp_path / "backups"))
    with sqlite_engine.connect() as service:
        service.execute(text("SELECT 1 FROM ledger"))
        status, _, err = shell.run("restore", str(tmp_path / "backups"), "--apply")
    assert status == 1
    assert "请先停掉服务" in err
    assert len(entries(sqlite_engine)) == 1


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder, file: (folder / file).write_bytes(b"\0" + (folder / file).read_bytes()[1:]), "SHA-256 不符"),
        (lambda folder, file: (folder / file).write_bytes((folder / file).read_bytes()[:-1]), "SHA-256 不符"),
        (lambda folder, file: (folder / file).unlink(), "少了"),
        (lambda folder, file: (folder / "backup.json").write_text("{}"), "读不懂"),
        (lambda folder, file: (folder / "backup.json").unlink(), "里没有备份"),
        (lambda folder, file: _edit(folder, "format", 9), "更新的程序"),
        (lambda folder, file: _edit(folder, "revision", "9999"), "停在版本 9999"),
        (lambda folder, file: _edit(folder, "file", "../../etc/passwd"), "读不懂"),
        (lambda folder, file: _edit(folder, "head", "0" * 64), "不符（哈希链）"),
        (
            lambda folder, file: _edit(folder, "counts", {**json.loads((folder / "backup.json").read_text())["counts"], "answers": 7}),
            "不符（行数）",
        ),
    ],
)
def test_a_spoilt_backup_is_refused_and_replaces_nothing(
    shell: Shell, sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: object, sentence: str
) -> None:
    monkeypatch.setenv("BOT_DATABASE_URL", str(sqlite_engine.url))
    earn(Database(sqlite_engine))
    taken = shell.json("backup", str(tmp_path / "backups"))
    earn(Database(sqlite_engine), "2002")
    before = entries(sqlite_engine)
    assert callable(spoil)
    spoil(Path(taken["folder"]), taken["file"])
    status, _, err = shell.run("restore", str(tmp_path / "backups"), "--apply")
    assert status == 1
    assert sentence in err
    assert entries(sqlite_engine) == before
    assert [path.name for path in sorted(tmp_path.glob("bot.db*")) if not path.name.endswith(("-wal", "-shm"))] == ["bot.db"]


def _edit(folder: Path, key: str, value: object) -> None:
    manifest = folder / "backup.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), key: value}))


def test_a_folder_that_cannot_be_written_is_said_and_leaves_nothing(shell: Shell, tools: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _, err = shell.run("backup", str(tmp_path / "file" / "backups"))
    assert status == 1
    assert "备份目录写不了" in err
    assert shell.count("backup") == 0


def test_a_backup_of_one_kind_of_database_is_not_restored_into_the_other(
    shell: Shell, engine: Engine, tools: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    shell("backup", str(tmp_path / "backups"))
    monkeypatch.setenv("BOT_DATABASE_URL", postgres_url if is_sqlite(engine) else f"sqlite:///{tmp_path / 'new.db'}")
    status, _, err = shell.run("restore", str(tmp_path / "backups"))
    assert status == 1
    assert "同一种数据库" in err


def test_without_the_tools_of_postgresql_it_is_said_what_to_install(
    shell: Shell, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_sqlite(engine):
        return
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, err = shell.run("backup", str(tmp_path / "backups"))
    assert status == 1
    assert "这台机器上没有 pg_dump：请安装 PostgreSQL 18 的客户端工具" in err
    assert not list((tmp_path / "backups").iterdir())


def test_tools_older_than_the_server_are_said(shell: Shell, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_sqlite(engine):
        return
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.1'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    status, _, err = shell.run("backup", str(tmp_path / "backups"))
    assert status == 1
    assert "pg_dump 是 15 版，数据库是 18 版" in err
