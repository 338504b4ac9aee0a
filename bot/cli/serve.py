"""serve, migrate, check: run the service, change its schema, check its settings and files."""

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
from typing import Annotated

import typer
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot import logs
from bot.app import build, run
from bot.channels.local import Persona
from bot.cli.common import Json, cli, open_checked_engine, progress, read_settings, show
from bot.cli.common import now as common_now
from bot.domain.calendar import missing_year_warning
from bot.domain.message import Refusal
from bot.domain.times import SHANGHAI, day_of
from bot.services.certificate.typesetter import font_problem
from bot.services.demo import campaigns, exams, seed
from bot.services.library.catalog import Catalog
from bot.settings import BadSettings, Settings, blank_setting_faults
from bot.storage.db import backup
from bot.storage.db.engine import is_sqlite, open_engine
from bot.storage.files import loader
from bot.storage.files.policies import load_policy
from bot.storage.migrations import migrate as migrations_migrate

OPEN_FILES = 65_536


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


def build_demo_app(settings: Settings) -> build.App:
    """The app of the demo agency: schema, content and people are created where missing. Raises `Refusal` on a database of real people."""
    engine = open_writable_engine(settings)
    migrations_migrate.migrate(engine, "head")
    _check_writable(engine)
    return build.build(settings, engine, seed=_seed_demo)


def _seed_demo(session: Session, catalog: Catalog, now: datetime) -> None:
    """Add the agency's people and history, campaigns of which one falls due within a minute, an exam and contests."""
    seed.seed(session, catalog, now)
    campaigns.create_campaigns(session, catalog, now)
    exams.create_open_events(session, catalog, now)


@cli.command()
def serve(demo: Annotated[bool, typer.Option("--demo", help="演示：虚构的机关，本地聊天页可切换身份")] = False) -> None:
    """启动服务；收到 SIGTERM 后停止接收，处理完手头的消息再退出。"""
    signal.signal(signal.SIGTERM, _exit_at_once)
    signal.signal(signal.SIGINT, _exit_at_once)
    _raise_file_limit()
    settings = read_settings(**({"web": {"local_chat": True}} if demo else {}))
    logs.configure(settings.secrets())
    if demo:
        progress.print("正在准备演示数据…")
        app = build_demo_app(settings)
    else:
        open_writable_engine(settings).dispose()
        engine = open_checked_engine(settings)
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


async def _serve_until_signal(app: build.App, personas: Sequence[Persona]) -> bool:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return await run.serve(app, stop, lambda sentence: print(sentence, flush=True), personas)


@cli.command()
def migrate(to: Annotated[str, typer.Option("--to", help="目标版本；不写即最新，base 为清空")] = "head", as_json: Json = False) -> None:
    """升级（或降级）数据库结构。"""
    engine = open_writable_engine(read_settings())
    try:
        copy = _copy_before_downgrade(engine, to)
        before, after = migrations_migrate.migrate(engine, to)
    finally:
        engine.dispose()
    sentence = f"数据库结构：{before or '空'} → {after or '空'}" if before != after else f"数据库结构已是 {after or '空'}，没有改动"
    show({"before": before, "after": after, "copy": copy}, as_json, sentence)


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
        copy = backup.copy_beside(engine, f"before-{before}-{common_now().astimezone(SHANGHAI):%Y%m%d-%H%M%S}.db")
    except OSError as wrong:
        raise Refusal(f"降级前的副本写不了（{wrong.filename}：{os.strerror(wrong.errno or 0)}），没有降级。") from wrong
    print(f"库里有学时流水，降级前的副本已存到 {copy}", file=sys.stderr)
    return str(copy)


@cli.command()
def check(as_json: Json = False) -> None:
    """检查设置、课程、题库和学时规则：每处错误给出文件和行号。"""
    errors: list[dict[str, object]] = []
    try:
        settings = read_settings()
        setting_faults = [*blank_setting_faults(settings), *filter(None, [font_problem(settings.web.font)])]
    except BadSettings as wrong:
        setting_faults = str(wrong).splitlines()
    sentences = [line.removeprefix("设置").lstrip() for line in setting_faults]
    errors += [{"file": "设置", "line": 0, "sentence": sentence} for sentence in sentences]
    root = loader.data_root()
    library, faults = loader.load_library(root)
    faults += sorted(load_policy(root)[1])
    errors += [{"file": fault.file, "line": fault.line, "sentence": fault.sentence} for fault in faults]
    contents = f"{len(library.lessons)} 课、{len(library.questions)} 题、{len(library.laws)} 部法、{len(library.calendar.years)} 年工作日历"
    if reminder := missing_year_warning(library.calendar, day_of(common_now())):
        progress.print(f"提醒：{reminder}", markup=False, highlight=False)
    lines = [*(f"设置：{sentence}" for sentence in sentences), *map(str, faults)]
    show(errors, as_json, [*lines, f"发现 {len(errors)} 处错误（{contents}可用）" if errors else f"没有发现错误（{contents}）"])
    if errors:
        raise typer.Exit(1)
