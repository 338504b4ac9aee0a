"""Takes a verified backup while the service runs, and restores one after it was verified.

A backup is a folder of its own under the one that is named: `database.db` (SQLite) or `database.dump` (PostgreSQL) and `backup.json`, which says
what it holds: schema revision, counts, the head of the ledger's hash chain, and the SHA-256 of the file. A folder without `backup.json` is not a
backup: the folder gets its name when everything in it is on disk.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from bot.domain.message import Refusal
from bot.domain.times import SHANGHAI
from bot.storage.db import backup as db_backup
from bot.storage.db.backup import BackupToolError
from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite, open_engine, session_on
from bot.storage.migrations import migrate
from bot.storage.system import backups
from bot.storage.system.backups import RecordCounts

MANIFEST = "backup.json"
FORMAT = 1
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class ChainState:
    """The hash chain of the ledger: how many entries are sealed, the hash of the last, and what is wrong with it (empty when nothing is)."""

    sealed: int
    head: str
    fault: str


VerifyChain = Callable[[Session], ChainState]
"""Walks the whole chain (bot/services/hours/chain_verification.py)."""


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """What a database holds: its schema revision, its counts and its chain."""

    revision: str
    counts: RecordCounts
    chain: ChainState


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup on disk. `taken_at` is the moment at which it began; `size` in bytes."""

    folder: Path
    taken_at: datetime
    file: str
    size: int
    sha256: str
    facts: BackupFacts

    def as_dict(self) -> dict[str, Any]:
        """For `--json` and for `backup.json`; moments in ISO 8601."""
        facts = asdict(self.facts)
        chain = facts.pop("chain")
        facts |= {"sealed": chain["sealed"], "head": chain["head"], "chain_fault": chain["fault"]}
        facts["counts"]["last_recorded_at"] = None if (last := self.facts.counts.last_recorded_at) is None else last.isoformat()
        return {
            "format": FORMAT, "taken_at": self.taken_at.isoformat(), "file": self.file, "size": self.size,
            "sha256": self.sha256, **facts,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Restored:
    """A finished restore: from which backup, and where the database that stood there was moved to (None when there was none)."""

    backup: Backup
    moved: Path | None


# ── Taking one ──


def take(engine: Engine, parent: Path, now: datetime, verify_chain: VerifyChain) -> Backup:
    """Copy the database into a new folder under `parent`, and verify the copy: pages, references, and the hash chain of the ledger.

    Raises `Refusal` where nothing can be written, where PostgreSQL's tools do not serve, and for a copy that SQLite cannot read. A chain that
    does not verify is backed up all the same, and said: it is evidence.
    """
    folder = parent / f"xuefa-{now.astimezone(SHANGHAI):%Y%m%d-%H%M%S}"
    unfinished = folder.with_name(folder.name + _UNFINISHED)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            raise Refusal(f"{folder} 已经有了：同一秒里做过一次备份，请再运行一次。")
        unfinished.mkdir(mode=0o700)
    except OSError as wrong:
        raise Refusal(f"备份目录写不了（{wrong.filename}：{_os_error(wrong)}），没有备份，请换一个目录或检查权限和磁盘。") from wrong
    try:
        file = unfinished / db_backup.backup_file_name(engine)
        facts = _copy(engine, file, verify_chain)
        taken = Backup(folder, now, file.name, file.stat().st_size, db_backup.file_digest(file), facts)
        manifest = unfinished / MANIFEST
        manifest.write_text(json.dumps(taken.as_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        db_backup.sync_file(manifest)
        db_backup.sync_folder(unfinished)
        unfinished.rename(folder)
        db_backup.sync_folder(parent)
    except BackupToolError as wrong:
        raise Refusal(f"没有备份：{wrong}") from wrong
    except OSError as wrong:
        raise Refusal(f"备份写不下去（{wrong.filename or folder}：{_os_error(wrong)}），没有备份，请检查磁盘和权限。") from wrong
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return taken


def _copy(engine: Engine, file: Path, verify_chain: VerifyChain) -> BackupFacts:
    """Write the copy; what it holds, read from the copy itself (SQLite) or from the very snapshot that was dumped (PostgreSQL)."""
    if is_sqlite(engine):
        db_backup.copy_sqlite(engine, file)
        with _opened_copy(file) as copy:
            if damage := db_backup.sqlite_damage(copy):
                raise Refusal(f"数据库有损坏，备份没有留下：{damage[:200]}。请先按运行维护页的“数据库损坏”处理。")
            return _read_facts(copy, verify_chain)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        session = session_on(connection)
        db_backup.dump_postgres(engine, connection, file)
        return _facts_in(session, migrate.current(engine) or "", verify_chain)


@contextmanager
def _opened_copy(file: Path) -> Iterator[Engine]:
    """An engine over a copy; when it is closed again, the file alone holds everything."""
    copy = open_engine(f"sqlite:///{file}")
    try:
        yield copy
    finally:
        copy.dispose()
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)


def _read_facts(engine: Engine, verify_chain: VerifyChain) -> BackupFacts:
    """What a database holds, from one snapshot of it."""
    revision = migrate.current(engine) or ""
    return Database(engine).read_now(lambda session: _facts_in(session, revision, verify_chain))


def _facts_in(session: Session, revision: str, verify_chain: VerifyChain) -> BackupFacts:
    return BackupFacts(revision, backups.count_records(session), verify_chain(session))


# ── Finding one ──


def find(place: Path) -> Backup:
    """The backup in a folder, or the newest of those under it. Raises `Refusal` where none is, and for one that cannot be read."""
    if not place.is_dir():
        raise Refusal(f"没有 {place} 这个目录，请写备份所在的目录。")
    folders = [place] if (place / MANIFEST).is_file() else sorted(manifest.parent for manifest in place.glob(f"*/{MANIFEST}"))
    if not folders:
        raise Refusal(f"{place} 里没有备份（备份是含 {MANIFEST} 的目录）。")
    # The name of a folder is the moment at which it was taken.
    return _read_manifest(folders[-1])


def _read_manifest(folder: Path) -> Backup:
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise Refusal(f"{folder / MANIFEST} 是更新的程序写的（格式 {told['format']}），请用同版本的程序恢复。")
        counts = dict(told["counts"])
        last = counts.pop("last_recorded_at")
        facts = BackupFacts(
            told["revision"],
            RecordCounts(
                **{name: int(value) for name, value in counts.items()}, last_recorded_at=None if last is None else datetime.fromisoformat(last)
            ),
            ChainState(int(told["sealed"]), told["head"], told["chain_fault"]),
        )
        file = str(told["file"])
        if Path(file).name != file:
            raise ValueError("a path")
        return Backup(folder, datetime.fromisoformat(told["taken_at"]), file, int(told["size"]), told["sha256"], facts)
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise Refusal(f"{folder / MANIFEST} 读不懂，这份备份用不了，请换一份。") from wrong


# ── Restoring one ──


def verify_file(backup: Backup) -> None:
    """Raises `Refusal` where the file of a backup is missing or is not the one that was written."""
    file = backup.folder / backup.file
    if not file.is_file():
        raise Refusal(f"备份里少了 {backup.file}，这份备份用不了，请换一份。")
    if file.stat().st_size != backup.size or db_backup.file_digest(file) != backup.sha256:
        raise Refusal(f"{file} 与备份时不一样（大小或 SHA-256 不符），这份备份用不了，请换一份。")
    if backup.facts.revision not in migrate.REVISIONS:
        raise Refusal(f"备份的数据库停在版本 {backup.facts.revision}，本程序不认识，请用备份那台机器上的程序版本恢复。")


def restore(
    engine: Engine, backup: Backup, now: datetime, verify_chain: VerifyChain, *, replace: bool, record: Callable[[Session], None]
) -> Restored:
    """Put a backup in the place of the database, once the copy has proved to hold what it held when it was taken.

    Nothing is replaced before that. With `replace` a database that stands there is moved aside (SQLite) and never deleted; without, it is
    refused. PostgreSQL is restored into an empty database only. `record` writes the audit into what was restored.
    """
    verify_file(backup)
    if db_backup.is_sqlite_backup(Path(backup.file)) != is_sqlite(engine):
        kinds = ("SQLite", "PostgreSQL") if is_sqlite(engine) else ("PostgreSQL", "SQLite")
        raise Refusal(f"备份是 {kinds[1]} 的，而 BOT_DATABASE_URL 是 {kinds[0]}：请改成同一种数据库再恢复。")
    moved: Path | None = None
    if is_sqlite(engine):
        moved = _restore_sqlite(engine, backup, now, verify_chain, replace=replace)
    else:
        _restore_postgres(engine, backup, verify_chain)
    Database(engine).write_now(record)
    return Restored(backup, moved)


def refuse_in_use(engine: Engine) -> None:
    """Raises `Refusal` while somebody has the SQLite database open: what they record meanwhile would go into the file that is moved aside."""
    database = db_backup.database_path(engine)
    if database.exists() and db_backup.is_in_use(database):
        raise Refusal("服务还在运行（数据库正被使用），没有恢复：请先停掉服务，再恢复。")


def _restore_sqlite(engine: Engine, backup: Backup, now: datetime, verify_chain: VerifyChain, *, replace: bool) -> Path | None:
    database = db_backup.database_path(engine)
    if database.exists() and not replace:
        raise Refusal(f"{database} 已经是一个数据库，没有恢复：确认要换掉它，请加 --apply（原来的会改名留下）。")
    refuse_in_use(engine)
    copy = database.with_name(f"{database.name}{_UNFINISHED}")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        shutil.copyfile(backup.folder / backup.file, copy)
        os.chmod(copy, 0o600)
        db_backup.sync_file(copy)
        with _opened_copy(copy) as opened:
            if damage := db_backup.sqlite_damage(opened):
                raise Refusal(f"备份里的数据库有损坏，没有恢复：{damage[:200]}。请换一份备份。")
            _compare(_read_facts(opened, verify_chain), backup)
        return db_backup.replace_database(copy, database, f"before-restore-{now.astimezone(SHANGHAI):%Y%m%d-%H%M%S}")
    except OSError as wrong:
        raise Refusal(f"数据库目录写不了（{wrong.filename or database}：{_os_error(wrong)}），没有恢复，请检查磁盘和权限。") from wrong
    finally:
        copy.unlink(missing_ok=True)


def _restore_postgres(engine: Engine, backup: Backup, verify_chain: VerifyChain) -> None:
    if not db_backup.is_empty(engine):
        raise Refusal("这个 PostgreSQL 库里已经有表，没有恢复：请新建一个空库，把 BOT_DATABASE_URL 指向它，再恢复。")
    try:
        db_backup.restore_postgres(engine, backup.folder / backup.file)
    except BackupToolError as wrong:
        raise Refusal(f"没有恢复：{wrong}") from wrong
    _compare(_read_facts(engine, verify_chain), backup)


def _compare(found: BackupFacts, backup: Backup) -> None:
    if found != backup.facts:
        parts = {"表结构版本": "revision", "行数": "counts", "哈希链": "chain"}
        differing = [title for title, name in parts.items() if getattr(found, name) != getattr(backup.facts, name)]
        raise Refusal(f"恢复出来的内容与备份时记下的不符（{'、'.join(differing)}），不能用，请换一份备份。")


def _os_error(wrong: OSError) -> str:
    return os.strerror(wrong.errno or 0)
