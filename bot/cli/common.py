"""What all commands share: the settings, the database, how a result and a refusal are shown, the exit status (0 done, 1 refused, 2 misuse)."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from bot import settings as settings_module
from bot.domain.message import Refusal
from bot.settings import BadSettings, Settings
from bot.storage import migrations
from bot.storage.db import DRIVER_ERRORS, Busy, Desk, open_engine

T = TypeVar("T")

cli = typer.Typer(
    name="bot",
    help="学法机器人:学法、答题、学时与报表。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="输出 JSON,供脚本使用")]
Apply = Annotated[bool, typer.Option("--apply", help="真正执行;不加则只预演,什么都不写")]

_config: Path | None = None
progress = Console(stderr=True)


@cli.callback()
def _common(config: Annotated[Path | None, typer.Option("--config", help="TOML 配置文件")] = None) -> None:
    global _config
    _config = config


def read_settings(**over: Any) -> Settings:
    return settings_module.load(_config, **over)


def now() -> datetime:
    """The command line's clock."""
    return datetime.now(UTC)


def operator() -> str:
    """Who sits at the shell, for the audit."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"


def engine_of(settings: Settings) -> Engine:
    """The engine of the settings, on a schema this program knows; refuses otherwise and says what to do."""
    engine = open_engine(settings.database_url.get_secret_value(), busy_seconds=settings.limits.busy_seconds)
    found = migrations.current(engine)
    if found != migrations.head():
        what = "还没有建表" if found is None else f"停在版本 {found},本程序需要 {migrations.head()}"
        raise Refusal(f"数据库{what},请先运行 python -m bot migrate")
    return engine


def reading(work: Callable[[Session], T], settings: Settings | None = None) -> T:
    """Run something that only reads."""
    desk = Desk(engine_of(settings or read_settings()))
    try:
        return desk.read_now(work)
    finally:
        desk.engine.dispose()


def writing(work: Callable[[Session], T], settings: Settings | None = None) -> T:
    """Run something in one transaction; a `Refusal` in it leaves nothing behind."""
    desk = Desk(engine_of(settings or read_settings()))
    try:
        return desk.write_now(work)
    finally:
        desk.engine.dispose()


def show(result: Any, as_json: bool, text: str | Iterable[str]) -> None:
    """The result for a script or for a person."""
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=None, default=str))
    else:
        print(text if isinstance(text, str) else "\n".join(text))


def refuse(sentence: str, status: int = 1) -> typer.Exit:
    print(sentence, file=sys.stderr)
    return typer.Exit(status)


def main() -> None:
    """Run the command line; what goes wrong is one Chinese sentence and a status, never a stack trace for a known fault."""
    try:
        cli()
    except BadSettings as wrong:
        sys.exit(_say(str(wrong), 2))
    except Refusal as refusal:
        sys.exit(_say(str(refusal), 1))
    except Busy:
        sys.exit(_say("数据库正忙或写不了,什么都没有改动,请稍后再试。", 1))
    except DRIVER_ERRORS as wrong:  # from the statements that go to the driver directly
        sys.exit(_say(f"数据库不能用:{str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__}", 1))
    except DBAPIError as wrong:
        sys.exit(_say(f"数据库不能用:{str(wrong.orig).splitlines()[0] if str(wrong.orig) else type(wrong.orig).__name__}", 1))


def _say(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status
