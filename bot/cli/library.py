"""`bank check`: checks every key against the text of its law and withdraws the questions that no longer hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from bot.cli.context import Apply, As, Json, context
from bot.domain.library.statute import CitationFinding
from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.storage.files.bank_check import check_banks
from bot.storage.files.loader import data_root, load_library
from bot.storage.library import update_withdrawals
from bot.storage.system import audit


def check_bank_command(
    laws: Annotated[Path | None, typer.Option("--laws", metavar="目录", help="放法律文本的目录，文件名如 民法典(2020-05-28).md")] = None,
    apply: Apply = False,
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    """逐题核对依据：正确、有误、过时、无法核对。加 --apply 后，有误和过时的题不再抽取。"""
    context.take(acting_as=acting_as, as_json=as_json)
    library, faults = load_library(data_root())
    if faults:
        raise Refusal("\n".join(str(fault) for fault in faults))
    if laws is not None and not laws.is_dir():
        raise Refusal(f"找不到目录 {laws}，请用 --laws 指向放法律文本的目录。")
    report = check_banks(library, laws, day_of(context.now()))
    faulty = {row.question: row.reason for row in report.rows if row.finding in (CitationFinding.WRONG, CitationFinding.STALE)}
    lines = list(report.lines())
    if apply:
        context.require_whole_agency()

        def work(session: Session) -> tuple[int, int]:
            right = {row.question for row in report.rows if row.finding is CitationFinding.RIGHT}
            counts = update_withdrawals(session, faulty, right, context.now())
            audit.record(session, context.now(), context.author(session).actor, "cli", "核对题库", detail=f"停用 {counts[0]}，恢复 {counts[1]}")
            return counts

        stopped, restored = context.writing(work)
        lines.append(f"停用 {stopped} 题，恢复 {restored} 题。")
    context.show(report.as_dict(), lines)
    if faulty:
        raise typer.Exit(1)


CLI = {"bank check": check_bank_command}
