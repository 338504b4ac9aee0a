"""Faults that are known, each as one Chinese sentence and an exit status: settings that are wrong, a database that is busy, broken or away."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from bot.settings import BadSettings
from bot.storage.db.commits import Busy, InDoubt
from bot.storage.db.engine import driver_errors

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
        import psycopg  # which is here if it has failed

        name = code = getattr(wrong, "sqlstate", None) or ""
        sentence = _FAULTS.get(code) or _FAULTS.get(code[:2])
        if not code and isinstance(wrong, psycopg.OperationalError):
            sentence = "连不上 PostgreSQL，请检查它是否在运行，以及 BOT_DATABASE_URL 里的地址、端口、用户名、密码和库名"
    return f"数据库不能用：{sentence or f'出错代码 {name or type(wrong).__name__}'}。"


def sentence_and_status(wrong: Exception) -> tuple[str, int] | None:
    """What to say of a fault and with which status to end; None for one that nobody foresaw."""
    if isinstance(wrong, BadSettings):
        return str(wrong), 2
    if isinstance(wrong, InDoubt):
        return "提交时和数据库的连接断了，又一直连不上，是否已写入确认不了；请先恢复数据库，查看后再决定要不要重做。", 1
    if isinstance(wrong, Busy):
        return "数据库正忙或写不了，什么都没有改动，请稍后再试。", 1
    if isinstance(wrong, driver_errors()):  # raised by statements that go to the driver directly
        return database_fault(wrong), 1
    if isinstance(wrong, DBAPIError):
        return database_fault(wrong.orig), 1
    return None
