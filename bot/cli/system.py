"""Commands `backup` and `restore`: a verified copy of the database while the service runs, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from bot.cli.context import Apply, As, Json, context, note
from bot.domain.times import SHANGHAI
from bot.services.hours import chain_verification
from bot.services.system import backup as system_backup
from bot.services.system.backup import Backup, BackupFacts, ChainState
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.migrations import migrate
from bot.storage.system import audit, backups

MIB = 1 << 20


def _verify_chain(session: Session) -> ChainState:
    check = chain_verification.verify(session)
    return ChainState(check.sealed, "" if check.head is None else check.head.hash, "" if check.fault is None else check.fault.sentence)


def _facts_lines(facts: BackupFacts) -> list[str]:
    counts = facts.counts
    last = "还没有" if counts.last_recorded_at is None else f"{counts.last_recorded_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"
    whole = f"相符，封存到第 {facts.chain.sealed} 号，链头 {facts.chain.head[:16]}" if facts.chain.head else "相符，还没有封存"
    return [
        f"  人员 {counts.people}、作答 {counts.answers}、学时流水 {counts.entries}、考试作答 {counts.attempts}、证书 {counts.certificates}、"
        f"审计 {counts.audit}",
        f"  最后一笔记录：{last}；表结构版本 {facts.revision}",
        f"  哈希链：{facts.chain.fault or whole}",
    ]


def _title(backup: Backup) -> str:
    return f"{backup.folder}（{backup.taken_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}，{backup.size / MIB:.1f} MiB）"


def backup_command(
    folder: Annotated[Path, typer.Argument(metavar="目录", help="备份放在这个目录下，每次一个子目录")], acting_as: As = "", as_json: Json = False
) -> None:
    context.take(acting_as=acting_as, as_json=as_json)
    engine = context.engine()
    moment = context.now()
    try:
        taken = system_backup.take(engine, folder, moment, _verify_chain)

        def record(session: Session) -> None:
            backups.record(session, taken.taken_at, str(taken.folder.resolve()), taken.size, taken.sha256, context.actor(session))
            audit.record(session, moment, context.actor(session), "cli", "备份", str(taken.folder), detail=taken.facts.chain.fault)

        Database(engine).write_now(record)
    finally:
        engine.dispose()
    context.show({"folder": str(taken.folder), **taken.as_dict()}, [f"已备份到 {_title(taken)}", *_facts_lines(taken.facts)])
    if taken.facts.chain.fault:
        note("备份已经留下，但学时流水的哈希链核对不符，请先查明原因。")
        raise typer.Exit(1)


def restore_command(
    folder: Annotated[Path, typer.Argument(metavar="目录", help="备份的目录；其中有几份时取最新的一份")],
    apply: Apply = False,
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    context.take(acting_as=acting_as, as_json=as_json)
    settings = context.settings()
    backup = system_backup.find(folder)
    note(f"备份：{_title(backup)}")
    system_backup.verify_file(backup)
    engine = open_engine(settings.database, busy_seconds=settings.limits.busy_seconds)
    moment = context.now()

    def record(session: Session) -> None:
        audit.record(session, moment, context.operator(), "cli", "恢复备份", str(backup.folder), detail=f"备份于 {backup.taken_at.isoformat()}")

    try:
        restored = system_backup.restore(engine, backup, moment, _verify_chain, replace=apply, record=record)
    finally:
        engine.dispose()
    lines = [f"已恢复：{_title(backup)}", *_facts_lines(backup.facts)]
    if restored.moved is not None:
        lines.append(f"  原来的数据库改名为 {restored.moved}")
    if backup.facts.revision != migrate.HEAD:
        lines.append("  请再运行 python -m bot migrate 升级表结构。")
    moved = None if restored.moved is None else str(restored.moved)
    context.show({"folder": str(backup.folder), "moved": moved, **backup.as_dict()}, lines)
