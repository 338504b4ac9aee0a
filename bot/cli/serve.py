"""`serve` runs the service, `migrate` changes its schema."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot import logs
from bot.cli.context import Json, context, note
from bot.domain.message import Refusal
from bot.domain.times import SHANGHAI
from bot.services.library.catalog import Catalog
from bot.settings import Settings
from bot.storage.db import backup
from bot.storage.db.engine import is_sqlite, make_private, open_engine
from bot.storage.migrations import migrate as migrations_migrate

if TYPE_CHECKING:
    from bot.app.build import App
    from bot.channels.local import Persona

OPEN_FILES = 65_536
LARGEST_SEARCHED_BYTES = 1 << 30
"""A larger database is not read through at each start, which has to take seconds; `doctor` and `backup` do it."""


def open_writable_engine(settings: Settings) -> Engine:
    """An engine for a database that may not exist yet. Raises `Refusal` where its folder cannot be written."""
    try:
        return open_engine(settings.database, busy_seconds=settings.limits.busy_seconds)
    except OSError as wrong:
        raise Refusal(
            f"数据目录写不了（{wrong.filename}：{os.strerror(wrong.errno or 0)}），请检查权限，或用 BOT_DATABASE_URL 换一个位置。"
        ) from wrong


def _check_writable(engine: Engine) -> None:
    """Raise the driver's error when the database is read-only: a start that finds nothing changed writes nothing and would not notice."""
    with engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
        connection.rollback()


def _refuse_damaged(engine: Engine) -> None:
    """Raises `Refusal`, which names the file, for an SQLite database with a spoilt page: people would be told for ever that the service is busy."""
    if not is_sqlite(engine):
        return
    file = backup.database_path(engine)
    make_private(file)
    if file.stat().st_size <= LARGEST_SEARCHED_BYTES and (damage := backup.sqlite_damage(engine, quick=True)):
        raise Refusal(
            f"数据库文件 {file} 有损坏（{damage[:120]}），服务没有启动：请保留这个文件，把它移开，再用 python -m bot restore 目录 从备份恢复。"
        )


def build_demo_app(settings: Settings) -> App:
    """The app of the demo agency: schema, content and people are created where missing. Raises `Refusal` on a database of real people."""
    from bot.app import build

    engine = open_writable_engine(settings)
    migrations_migrate.migrate(engine, "head")
    _check_writable(engine)
    return build.build(settings, engine, seed=_seed_demo)


def _seed_demo(session: Session, catalog: Catalog, now: datetime) -> None:
    """Add the agency's people and history, campaigns of which one falls due within a minute, an exam and contests."""
    from bot.services.demo import campaigns, exams, seed

    seed.seed(session, catalog, now)
    campaigns.create_campaigns(session, catalog, now)
    exams.create_open_events(session, catalog, now)


def serve(demo: Annotated[bool, typer.Option("--demo", help="演示：虚构的机关，本地聊天页可切换身份")] = False) -> None:
    from bot.app import build, run
    from bot.channels.local import Persona
    from bot.services.demo import seed

    signal.signal(signal.SIGTERM, _exit_at_once)
    signal.signal(signal.SIGINT, _exit_at_once)
    _raise_file_limit()
    settings = context.settings(**({"web": {"local_chat": True}} if demo else {}))
    logs.configure(settings.secrets())
    if demo:
        note("正在准备演示数据…")
        app = build_demo_app(settings)
    else:
        open_writable_engine(settings).dispose()
        engine = context.engine(settings)
        _refuse_damaged(engine)
        _check_writable(engine)
        app = build.build(settings, engine)
    personas = [Persona(persona.staff_no, persona.name, persona.label, persona.quick) for persona in seed.PERSONAS] if demo else []
    with asyncio.Runner(loop_factory=run.loop_factory()) as runner:
        in_time = runner.run(_serve_until_signal(app, personas))
    if not in_time:
        # A thread is still blocked outside the program; everything that was acknowledged is on disk.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _raise_file_limit() -> None:
    """Allow as many open files as the system does: two thousand slow connections must not exhaust them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    """A signal before the service runs: there is nothing to finish."""
    raise SystemExit(0)


async def _serve_until_signal(app: App, personas: Sequence[Persona]) -> bool:
    from bot.app import run

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return await run.serve(app, stop, lambda sentence: print(sentence, flush=True), personas)


def migrate(
    to: Annotated[str, typer.Option("--to", metavar="版本", help="目标版本；不写即最新，base 为清空")] = "head", as_json: Json = False
) -> None:
    context.take(as_json=as_json)
    engine = open_writable_engine(context.settings())
    try:
        copy = _copy_before_downgrade(engine, to)
        before, after = migrations_migrate.migrate(engine, to)
    finally:
        engine.dispose()
    sentence = f"数据库结构：{before or '空'} → {after or '空'}" if before != after else f"数据库结构已是 {after or '空'}，没有改动"
    context.show({"before": before, "after": after, "copy": copy}, sentence)


def _copy_before_downgrade(engine: Engine, revision: str) -> str | None:
    """Path of the copy made before a downgrade that would lose recorded hours; None when none is needed, or on PostgreSQL."""
    before = migrations_migrate.current(engine)
    if before not in migrations_migrate.REVISIONS or migrations_migrate.is_up(before, revision) or not backup.has_entries(engine):
        return None
    if not is_sqlite(engine):
        print(
            f"降级会丢掉表里的数据，而 PostgreSQL 的库本程序不做副本：要留一份，请先运行 pg_dump -Fc -f before-{before}.dump 库名。", file=sys.stderr
        )
        return None
    try:
        copy = backup.copy_beside(engine, f"before-{before}-{context.now().astimezone(SHANGHAI):%Y%m%d-%H%M%S}.db")
    except OSError as wrong:
        raise Refusal(f"降级前的副本写不了（{wrong.filename}：{os.strerror(wrong.errno or 0)}），没有降级。") from wrong
    print(f"库里有学时流水，降级前的副本已存到 {copy}", file=sys.stderr)
    return str(copy)
