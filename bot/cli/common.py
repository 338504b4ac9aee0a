"""What all commands share: settings, database access, output as text or JSON, and the exit status (0 done, 1 refused, 2 misuse)."""

from __future__ import annotations

import getpass
import json
import sqlite3
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import psycopg
import typer
from rich.console import Console
from sqlalchemy import Engine
from sqlmodel import Session

from bot import settings as settings_module
from bot.domain.message import Refusal
from bot.settings import Settings
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.migrations import migrate

T = TypeVar("T")

cli = typer.Typer(
    name="bot",
    help="学法机器人：学法、答题、学时与报表。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="输出 JSON，供脚本使用")]
Apply = Annotated[bool, typer.Option("--apply", help="真正执行；不加则只预演，什么都不写")]

_config: Path | None = None
progress = Console(stderr=True)


@cli.callback()
def _read_global_options(config: Annotated[Path | None, typer.Option("--config", help="TOML 配置文件")] = None) -> None:
    global _config
    _config = config


def read_settings(**overrides: Any) -> Settings:
    return settings_module.load(_config, **overrides)


def now() -> datetime:
    """The command line's clock."""
    return datetime.now(UTC)


def operator() -> str:
    """The operating system's user, as the actor of audit entries."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"


def open_checked_engine(settings: Settings) -> Engine:
    """The engine of the settings. Raises `Refusal` with the remedy when its schema is not at this program's revision."""
    engine = open_engine(settings.database, busy_seconds=settings.limits.busy_seconds)
    revision = migrate.current(engine)
    migrate.refuse_unknown(revision)
    if revision != migrate.HEAD:
        state = "还没有建表" if revision is None else f"停在版本 {revision}，本程序需要 {migrate.HEAD}"
        raise Refusal(f"数据库{state}，请先运行 python -m bot migrate")
    return engine


def reading(work: Callable[[Session], T], settings: Settings | None = None) -> T:
    """Run read-only work on a database opened for it."""
    database = Database(open_checked_engine(settings or read_settings()))
    try:
        return database.read_now(work)
    finally:
        database.engine.dispose()


def writing(work: Callable[[Session], T], settings: Settings | None = None) -> T:
    """Run work in one transaction on a database opened for it; an exception rolls it back."""
    database = Database(open_checked_engine(settings or read_settings()))
    try:
        return database.write_now(work)
    finally:
        database.engine.dispose()


def show(result: Any, as_json: bool, text: str | Iterable[str]) -> None:
    """Print the result as JSON for a script or as text for a person."""
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=None, default=str))
    else:
        print(text if isinstance(text, str) else "\n".join(text))


def refuse(sentence: str, status: int = 1) -> typer.Exit:
    print(sentence, file=sys.stderr)
    return typer.Exit(status)


_APPEND_ONLY = "数据库不许这样改：流水、审计、作答等已记录的不能改也不能删，只能另记一笔更正"
_READ_ONLY, _FULL, _BUSY = "数据库是只读的，写不进去，请检查数据库文件和目录的权限", "磁盘满了，请腾出空间", "数据库正忙，请稍后再试"
_FAULTS = {
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_NOTADB: "这个文件不是数据库，请检查 BOT_DATABASE_URL",
    sqlite3.SQLITE_CORRUPT: "数据库文件已损坏，请用备份恢复",
    sqlite3.SQLITE_CANTOPEN: "数据库文件打不开，请检查 BOT_DATABASE_URL 和目录的权限",
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: "磁盘读写出错，请检查磁盘",
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_CONSTRAINT: "数据与库里的约束冲突",
    "08": "和 PostgreSQL 的连接断了，请检查它是否在运行",
    "23": "数据与库里的约束冲突",
    "23000": _APPEND_ONLY,
    "25006": "这个 PostgreSQL 是只读的（可能是备库），请检查 BOT_DATABASE_URL",
    "28": "PostgreSQL 拒绝登录，请检查用户名和密码",
    "3D": "PostgreSQL 里没有这个库，请先建库",
    "42501": "PostgreSQL 的这个用户权限不够",
    "53100": _FULL,
    "53": "PostgreSQL 的资源用尽了（连接、内存或磁盘），请稍后再试",
    "55P03": _BUSY,
    "57": "PostgreSQL 正在停止或启动，请稍后再试",
}
"""By SQLite's primary result code, and by PostgreSQL's SQLSTATE or its class."""


def database_fault(wrong: BaseException | None) -> str:
    """A driver's error as one Chinese sentence, looked up by its code; an error without a sentence is named by the code."""
    code: int | str = ""
    if isinstance(wrong, sqlite3.Error):
        code = getattr(wrong, "sqlite_errorcode", 0) & 0xFF
        name = getattr(wrong, "sqlite_errorname", type(wrong).__name__)
        sentence = _APPEND_ONLY if name == "SQLITE_CONSTRAINT_TRIGGER" else _FAULTS.get(code)
    else:
        name = code = getattr(wrong, "sqlstate", None) or ""
        sentence = _FAULTS.get(code) or _FAULTS.get(code[:2])
        if not code and isinstance(wrong, psycopg.OperationalError):
            sentence = "连不上 PostgreSQL，请检查它是否在运行，以及 BOT_DATABASE_URL 里的地址、端口、用户名、密码和库名"
    return f"数据库不能用：{sentence or f'出错代码 {name or type(wrong).__name__}'}。"


def print_error(sentence: str, status: int) -> int:
    """Print to stderr; returns the status, for `sys.exit`."""
    print(sentence, file=sys.stderr)
    return status
