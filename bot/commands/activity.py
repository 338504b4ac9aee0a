"""The duty list (`duty …`): imported, shown, its planned activities ticked off or cancelled, and which units have done nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from bot.commands.actions import Act, ActValue, Outcome, SheetName, action
from bot.services import activity
from bot.storage import activity as activity_rows
from bot.storage.files.table_reader import read_table

Year = Annotated[int | None, ActValue("年度", "年度，不写即今年", "--year")]
Id = Annotated[int, ActValue("编号", "计划活动的编号，见 duty list")]


@action(cli="duty import", effect=True)
def import_duties(
    act: Act,
    file: Annotated[Path, ActValue("文件", "xlsx 或 csv，列：法律 责任处室 形式 次数 期限 联络员 依据")],
    year: Year = None,
    form: Annotated[list[str] | None, ActValue("形式", "允许新增的形式，可多次", "--form")] = None,
    sheet: SheetName = "",
) -> Outcome:
    """导入责任清单：列出新增、变更；加 --apply 写入，并生成计划活动和活动草稿。重复导入不变。"""
    act.require_whole_agency()
    list_year = year or act.today.year
    asked = activity.layout(list_year, act.catalog.library, frozenset(form or ()))
    lines, notes = activity.read_duty_list(act.session, read_table(file, asked, sheet), asked, act.catalog.library, act.now)
    if act.applies:
        plan = activity.import_list(act.session, act.catalog, act.author, lines, list_year, act.now)
    else:
        plan = activity.compare_list(act.session, lines, list_year, act.now)
    changed = len(plan.with_outcome("new")) + len(plan.with_outcome("changed"))
    done = "已写入，活动草稿用 campaign list 查看。" if changed else "没有变化，什么都没有改动。"
    return Outcome({"notes": list(notes), **plan.as_json()}, [*notes, *plan.as_text()], done, unchanged=not changed)


@action(cli="duty list")
def list_duties(act: Act, year: Year = None) -> Outcome:
    """逐行的应办、已办、状态，和各次计划活动的编号。"""
    act.require_whole_agency()
    list_year = year or act.today.year
    by_duty = activity_rows.planned_by_duty(act.session, list_year)
    rows, lines = [], []
    for duty in activity_rows.duties_of_year(act.session, list_year):
        activities = by_duty.get(duty.id, [])
        done, state = activity.duty_progress(duty, activities, act.today)
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
                    {"id": planned.id, "due_on": planned.due_on.isoformat(), "state": planned.state, "note": planned.note} for planned in activities
                ],
            }
        )
        numbers = "、".join(str(planned.id) for planned in activities)
        lines.append(f"{duty.unit}　{duty.law}　{duty.form} {done}/{duty.count}　{duty.deadline}　{state}" + (f"　编号 {numbers}" if numbers else ""))
    return Outcome(rows, lines or ["还没有责任清单。"])


@action(cli="duty done", effect=True)
def record_done(
    act: Act,
    planned_id: Id,
    note: Annotated[str, ActValue("依据", "依据：时间、地点、人数、签到或照片在哪里", "--note")],
    on: Annotated[date | None, ActValue("日期", "日期，不写即今天", "--on", year="past")] = None,
) -> Outcome:
    """记一次已办，只计一次。"""
    act.require_whole_agency()
    day = on or act.today
    planned = activity.mark_done(act.session, act.author, planned_id, day, note, act.now)
    line = f"记已办：{planned.name}，{day}。"
    return Outcome({"id": planned.id, "name": planned.name, "done_on": day.isoformat()}, line, f"已记：{planned.name}，{day}。")


@action(cli="duty cancel", effect=True, final=True)
def cancel_planned(act: Act, planned_id: Id, reason: Annotated[str, ActValue("原因", "原因", "--reason")]) -> Outcome:
    """取消一次计划活动，不计数。"""
    act.require_whole_agency()
    planned = activity.cancel(act.session, act.author, planned_id, reason, act.now)
    return Outcome({"id": planned.id, "name": planned.name}, f"取消：{planned.name}，不计数。", f"已取消：{planned.name}。")


@action(cli="duty digest")
def list_idle(
    act: Act,
    year: Year = None,
    as_of: Annotated[date | None, ActValue("日期", "截至日期，不写即今天", "--as-of", year="past")] = None,
) -> Outcome:
    """一项都没有开展的处室和联络员。"""
    act.require_whole_agency()
    day = as_of or act.today
    idle = activity_rows.idle_units(act.session, year or day.year, day)
    shown = [{"unit": unit, "rows": duties, "liaisons": names} for unit, duties, names in idle]
    lines = [f"{unit}：{duties} 项都没有开展（联络员 {names or '没有登记'}）" for unit, duties, names in idle]
    return Outcome(shown, lines or ["每个处室都已开展。"])
