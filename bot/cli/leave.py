"""`leave import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import Apply, Json, cli, now, operator, reading, show, writing
from bot.services import leave

group = typer.Typer(help="请假、借调：导入。", no_args_is_help=True)
cli.add_typer(group, name="leave")


@group.callback()
def _leave() -> None:
    """请假、借调：导入。"""


@group.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="xlsx 或 csv，列：工号、类别（请假/借调）、开始、结束")], apply: Apply = False, as_json: Json = False
) -> None:
    """导入请假、借调：列出新增、改期和已有的；加 --apply 才写入。重复导入不变。"""
    at = now()
    try:
        asked, notes = leave.read_leave(file)
        if apply:
            plan = writing(lambda session: leave.apply(session, asked, at, actor=operator(), via="cli"))
        else:
            plan = reading(lambda session: leave.compare(session, asked, at))
    except leave.BadRows as bad:
        if not as_json:
            raise
        show({"applied": False, "faults": [{"row": one.row, "column": one.column, "reason": one.reason} for one in bad.faults]}, True, "")
        raise typer.Exit(1) from None
    end = "没有变化，什么都没有改动。" if plan.is_empty else "已写入。" if apply else "以上是预演，什么都没有写。"
    show({"applied": apply, "notes": list(notes), **plan.as_json()}, as_json, [*notes, *plan.as_text(), end])
