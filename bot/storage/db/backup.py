"""Copies of a whole database: SQLite through its own backup, PostgreSQL through pg_dump and pg_restore.

Each copy is one moment of the database, taken while the service goes on writing, and is on disk when the function returns. All functions raise
`OSError` where a file cannot be made, and `BackupToolError` with a Chinese sentence where PostgreSQL's tools are missing, too old or fail.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DatabaseError

from bot.storage.db.engine import is_sqlite

_READ_BYTES = 1 << 20
_MAJOR_VERSION = re.compile(r"(\d+)")


class BackupToolError(Exception):
    """A tool of PostgreSQL is missing, older than the server, or failed: a Chinese sentence that says what to do."""


def has_entries(engine: Engine) -> bool:
    """True when the ledger holds any hours."""
    if not inspect(engine).has_table("ledger"):
        return False
    with engine.connect() as connection:
        return connection.execute(text("SELECT 1 FROM ledger LIMIT 1")).first() is not None


def is_empty(engine: Engine) -> bool:
    """True when the database holds no table."""
    return not inspect(engine).get_table_names()


def database_path(engine: Engine) -> Path:
    """The file of an SQLite database."""
    return Path(str(engine.url.database))


# ── Files ──


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to disk, so that a renamed file is found after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as read:
        while block := read.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


# ── SQLite ──


def copy_sqlite(engine: Engine, copy: Path) -> None:
    """A copy of an SQLite database as a new file with the database's own rights; no file is left when it fails.

    All pages are copied in one read transaction: in WAL mode nobody's write waits for it, and no write makes it begin again.
    """
    # Created first with the mode of the database, the copy is never readable by more users than the database is.
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IMODE(database_path(engine).stat().st_mode)))
    try:
        source = engine.raw_connection()
        try:
            target = sqlite3.connect(copy)
            try:
                connection = source.driver_connection
                assert isinstance(connection, sqlite3.Connection)
                connection.backup(target)
            finally:
                target.close()
        finally:
            source.close()
        sync_file(copy)
    except BaseException:
        copy.unlink()
        raise


def copy_beside(engine: Engine, ending: str) -> Path:
    """`copy_sqlite` into the folder of the database, under its name with an ending."""
    database = database_path(engine)
    copy = database.with_name(f"{database.name}.{ending}")
    copy_sqlite(engine, copy)
    return copy


def sqlite_damage(engine: Engine, *, quick: bool = False) -> str:
    """What SQLite finds wrong with the file, in its own words; empty when all is well. Not `quick`, its indexes and references too."""
    try:
        with engine.connect() as connection:
            check = "quick_check(1)" if quick else "integrity_check(5)"
            findings = [row[0] for row in connection.exec_driver_sql(f"PRAGMA {check}")]
            if findings != ["ok"] or quick:
                return "" if findings == ["ok"] else "; ".join(findings)
            dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            return "" if dangling is None else f"foreign key of {dangling[0]}"
    except DatabaseError as wrong:
        if getattr(wrong.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return str(wrong.orig)


def is_in_use(database: Path) -> bool:
    """True when another process has an SQLite database open."""
    connection = sqlite3.connect(database, timeout=0, isolation_level=None)
    try:
        # Set before the first look at the file, this asks for the whole file alone, which anybody else's open connection refuses.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as wrong:
        if (wrong.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return True
        raise
    finally:
        connection.close()
    return False


def replace_database(copy: Path, database: Path, ending: str) -> Path | None:
    """Put a copy in the place of an SQLite database; where the old one (with its log) was moved to, None when there was none."""
    moved: Path | None = None
    if database.exists():
        moved = database.with_name(f"{database.name}.{ending}")
        if moved.exists():
            raise FileExistsError(f"{moved} exists")
        for suffix in ("-wal", "-shm", ""):
            part = database.with_name(database.name + suffix)
            if part.exists():
                part.rename(moved.with_name(moved.name + suffix))
    copy.replace(database)
    sync_folder(database.parent)
    return moved


# ── PostgreSQL ──


def dump_postgres(engine: Engine, connection: Connection, dump: Path) -> None:
    """A dump, in pg_dump's custom form, of the very snapshot that `connection` (a REPEATABLE READ transaction) sees."""
    snapshot = str(connection.execute(text("SELECT pg_export_snapshot()")).scalar_one())
    os.close(os.open(dump, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _run_tool(engine, "pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={dump}"])
        sync_file(dump)
    except BaseException:
        dump.unlink()
        raise


def restore_postgres(engine: Engine, dump: Path) -> None:
    """Load a dump into an empty database, whole or not at all."""
    _run_tool(engine, "pg_restore", ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", str(dump)])


def _run_tool(engine: Engine, tool: str, arguments: Sequence[str]) -> None:
    program = shutil.which(tool)
    with engine.connect() as connection:
        server_major = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    if program is None:
        raise BackupToolError(f"这台机器上没有 {tool}：请安装 PostgreSQL {server_major} 的客户端工具，或在数据库那台机器上运行 {tool}。")
    version = _MAJOR_VERSION.search(subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout)  # noqa: S603 - found on PATH
    tool_major = int(version[1]) if version else 0
    if tool_major < server_major:
        raise BackupToolError(f"{tool} 是 {tool_major} 版，数据库是 {server_major} 版：请安装 PostgreSQL {server_major} 的客户端工具。")
    url = engine.url
    # The password goes through the environment: the list of processes shows arguments to everybody on the machine.
    environ = {**os.environ, **({"PGPASSWORD": url.password} if url.password else {}), "PGCONNECT_TIMEOUT": "10"}
    address = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    outcome = subprocess.run([program, f"--dbname={address}", *arguments], env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    if outcome.returncode != 0:
        complaint = next((line for line in outcome.stderr.splitlines() if line.strip()), "")[:200]
        raise BackupToolError(f"{tool} 没有做成（退出码 {outcome.returncode}）：{complaint}")


def is_sqlite_backup(file: Path) -> bool:
    """True when a file of a backup is an SQLite database."""
    return file.suffix == ".db"


def backup_file_name(engine: Engine) -> str:
    """What the copy of a database is called inside a backup."""
    return "database.db" if is_sqlite(engine) else "database.dump"
