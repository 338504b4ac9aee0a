"""`roster import` and `roster codes`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from bot.cli.common import Apply, Json, cli, now, operator, progress, reading, refuse, show, writing
from bot.domain.times import SHANGHAI
from bot.services import people, roster
from bot.services.roster import BadRows, Plan, Roster
from bot.storage.tables import stamp

group = typer.Typer(help="花名册：导入、发放绑定验证码。", no_args_is_help=True)
cli.add_typer(group, name="roster")

NO_CHANGE = "花名册没有变化，什么都没有改动。"


@group.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="xlsx 或 csv（UTF-8、GBK）")],
    apply: Apply = False,
    leavers_ok: Annotated[bool, typer.Option("--leavers-ok", help="允许超过一半的人因不在花名册里而记为离职")] = False,
    as_json: Json = False,
) -> None:
    """导入花名册：列出新进、离开、调动、变更和冲突；加 --apply 才写入。"""
    at = now()
    try:
        read = roster.read_roster(file)
    except BadRows as bad:
        if not as_json:
            raise
        show({"applied": False, "faults": [{"row": one.row, "column": one.column, "reason": one.reason} for one in bad.faults]}, True, "")
        raise typer.Exit(1) from None
    take(read, at, apply, leavers_ok, as_json, "花名册导入")


def take(read: Roster, at: datetime, apply: bool, leavers_ok: bool, as_json: bool, source: str) -> None:
    """Compare a roster with the roll, show the difference, and write it when it was asked for and nothing stands in the way."""
    plan = reading(lambda session: roster.compare(session, read, at))
    blocked = _blocked(plan, leavers_ok)
    if apply and not blocked:
        plan = writing(lambda session: roster.apply(session, read, at, actor=operator(), via="cli", leavers_ok=leavers_ok, source=source))
    done = apply and not blocked
    end = NO_CHANGE if plan.is_empty else "已写入。" if done else "以上是预演，什么都没有写。"
    show({"applied": done, "changed": len(plan.steps), "refused": blocked, **plan.as_json()}, as_json, plan.as_text() + ([] if blocked else [end]))
    if blocked:
        raise refuse(blocked)


def _blocked(plan: Plan, leavers_ok: bool) -> str:
    if plan.conflicts:
        return roster.CONFLICTS
    return roster.loses_most(plan) if plan.loses_most and not leavers_ok else ""


@group.command("codes")
def codes(unit: Annotated[str, typer.Option("--unit", help="只发给这个单位及其下属")] = "", as_json: Json = False) -> None:
    """给还没有绑定微信的人发一次性验证码（10 分钟内有效，旧验证码作废）。"""

    def issue(session: Session) -> list[people.Code]:
        return people.issue_codes(session, now(), actor=operator(), via="cli", unit=unit)

    made = writing(issue)
    show(
        [{"staff_no": one.staff_no, "code": one.code, "expires_at": stamp(one.expires_at)} for one in made],
        as_json,
        (f"{one.staff_no} {one.name} {one.code} {one.expires_at.astimezone(SHANGHAI).isoformat(timespec='seconds')}" for one in made),
    )
    note = f"{len(made)} 个验证码，10 分钟内有效，以前发的已作废。请分别交给本人。" if made else "没有要发的：在册的人都已绑定微信。"
    progress.print(note, markup=False, highlight=False)
