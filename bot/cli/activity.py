"""`duty`: import the duty list, show it, tick off its activities."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from bot.cli.common import Apply, Json, cli, now, operator, reading, show, writing
from bot.domain.campaign.campaign import Author
from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.services import activity
from bot.services.activity import DutyImportPlan
from bot.services.library import catalog
from bot.storage import activity as activity_rows
from bot.storage.files.loader import data_root, load_library

group = typer.Typer(help="普法责任清单：导入、查看、记已办、半年提示。", no_args_is_help=True)
cli.add_typer(group, name="duty")

Year = Annotated[int | None, typer.Option("--year", help="年度，不写即今年")]
Id = Annotated[int, typer.Argument(help="计划活动的编号，见 duty list")]


def _author() -> Author:
    return Author(operator(), "cli")


@group.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="xlsx 或 csv，列：法律 责任处室 形式 次数 期限 联络员 依据")],
    year: Year = None,
    form: Annotated[list[str] | None, typer.Option("--form", help="允许新增的形式，可多次")] = None,
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """导入责任清单：列出新增、变更；加 --apply 写入，并生成计划活动和活动草稿。重复导入不变。"""
    moment = now()
    list_year = year or day_of(moment).year
    library, _ = load_library(data_root())
    try:
        lines, notes = activity.read_duty_list(file, list_year, library, frozenset(form or ()))

        def write(session: Session) -> DutyImportPlan:
            return activity.import_list(session, catalog.read_catalog(session, library), _author(), lines, list_year, moment)

        plan = writing(write) if apply else reading(lambda session: activity.compare_list(session, lines, list_year, moment))
    except activity.BadDutyRows as bad:
        if not as_json:
            raise
        show({"applied": False, "faults": [{"row": fault.row, "column": fault.column, "reason": fault.reason} for fault in bad.faults]}, True, "")
        raise typer.Exit(1) from None
    changed = len(plan.with_outcome("new")) + len(plan.with_outcome("changed"))
    end = "没有变化，什么都没有改动。" if not changed else "已写入，活动草稿用 campaign list 查看。" if apply else "以上是预演，什么都没有写。"
    show({"applied": apply and changed > 0, "notes": list(notes), **plan.as_json()}, as_json, [*notes, *plan.as_text(), end])


@group.command("list")
def list_(year: Year = None, as_json: Json = False) -> None:
    """逐行的应办、已办、状态，和各次计划活动的编号。"""
    today = day_of(now())

    def work(session: Session) -> list[dict[str, object]]:
        by_duty = activity_rows.planned_by_duty(session, year or today.year)
        rows = []
        for duty in activity_rows.duties_of_year(session, year or today.year):
            activities = by_duty.get(duty.id, [])
            done, state = activity.duty_progress(duty, activities, today)
            rows.append(
                {
                    "unit": duty.unit,
                    "law": duty.law,
                    "form": duty.form,
                    "count": duty.count,
                    "done": done,
                    "deadline": duty.deadline.isoformat(),
                    "state": state,
                    "liaison": duty.liaison_no,
                    "clause": duty.clause,
                    "activities": [
                        {"id": planned.id, "due_on": planned.due_on.isoformat(), "state": planned.state, "note": planned.note}
                        for planned in activities
                    ],
                }
            )
        return rows

    duties = reading(work)
    lines = [f"{duty['unit']}　{duty['law']}　{duty['form']} {duty['done']}/{duty['count']}　{duty['deadline']}　{duty['state']}" for duty in duties]
    show(duties, as_json, lines or ["还没有责任清单。"])


@group.command("done")
def done(
    planned_id: Id,
    note: Annotated[str, typer.Option("--note", help="依据：时间、地点、人数、签到或照片在哪里")],
    on: Annotated[str | None, typer.Option("--on", help="日期，不写即今天")] = None,
    as_json: Json = False,
) -> None:
    """记一次已办，只计一次。"""
    moment = now()
    try:
        day = day_of(moment) if on is None else date.fromisoformat(on)
    except ValueError:
        raise typer.BadParameter("日期应写作 2026-05-06。") from None
    planned = writing(lambda session: activity.mark_done(session, _author(), planned_id, day, note, moment))
    show({"id": planned.id, "name": planned.name, "done_on": day.isoformat()}, as_json, f"已记：{planned.name}，{day}。")


@group.command("cancel")
def cancel(planned_id: Id, reason: Annotated[str, typer.Option("--reason", help="原因")], as_json: Json = False) -> None:
    """取消一次计划活动，不计数。"""
    planned = writing(lambda session: activity.cancel(session, _author(), planned_id, reason, now()))
    show({"id": planned.id, "name": planned.name}, as_json, f"已取消：{planned.name}。")


@group.command("digest")
def digest(year: Year = None, as_of: Annotated[str, typer.Option("--as-of", help="截至日期，不写即今天")] = "", as_json: Json = False) -> None:
    """一项都没有开展的处室和联络员。"""
    try:
        day = date.fromisoformat(as_of) if as_of else day_of(now())
    except ValueError:
        raise Refusal("--as-of 应写作 2026-06-30。") from None
    idle = reading(lambda session: activity_rows.idle_units(session, year or day.year, day))
    shown = [{"unit": unit, "rows": duties, "liaisons": names} for unit, duties, names in idle]
    lines = [f"{unit}：{duties} 项都没有开展（联络员 {names or '没有登记'}）" for unit, duties, names in idle]
    show(shown, as_json, lines or ["每个处室都已开展。"])
