"""责任清单: every row of the duty list with what was done of it, by form, and the offices that have done nothing."""

from __future__ import annotations

from collections import Counter

from sqlmodel import Session

from bot.domain.duty import STATES, state_of
from bot.domain.report import Ask, Cell, Column, Part, Scope, Table, rate
from bot.storage import duty
from bot.storage.reports.base import narrowed, report, table, units_in

COLUMNS = (
    Column("unit", "责任处室"),
    Column("law", "法律"),
    Column("form", "形式"),
    Column("count", "应办", "int"),
    Column("done", "已办", "int"),
    Column("deadline", "期限"),
    Column("state", "状态"),
    Column("liaison", "联络员", phone="never"),
    Column("clause", "依据", phone="never"),
)
BY_FORM = (
    Column("form", "形式"),
    Column("rows", "清单行数", "int"),
    Column("count", "应办", "int"),
    Column("done", "已办", "int"),
    Column("rate", "完成率", "percent"),
)
EVENTS = (Column("unit", "责任处室"), Column("name", "活动"), Column("done_on", "日期"), Column("note", "依据"))


@report("责任清单", about="单位")
def duties(session: Session, scope: Scope, ask: Ask) -> Table:
    """普法责任清单逐行的应办、已办和状态，按形式汇总，并列出一项都没有开展的处室。"""
    scope, called = narrowed(session, scope, ask.about)
    units = units_in(session, scope)
    planned = duty.planned(session, ask.year)
    rows: list[tuple[Cell, ...]] = []
    events: list[tuple[Cell, ...]] = []
    forms: dict[str, list[int]] = {}
    by_unit: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for one in duty.of_year(session, ask.year):
        if one.unit_id not in units:
            continue
        ticked = [each for each in planned.get(one.id, []) if each.done_on is not None and each.done_on <= ask.last]
        state = state_of(len(ticked), one.count, one.deadline, ask.last)
        rows.append((one.unit, one.law, one.form, one.count, len(ticked), one.deadline.isoformat(), state, one.liaison, one.clause))
        events += [(one.unit, each.name, str(each.done_on), each.note) for each in ticked]
        sums = forms.setdefault(one.form, [0, 0, 0])
        sums[0], sums[1], sums[2] = sums[0] + 1, sums[1] + one.count, sums[2] + len(ticked)
        by_unit[one.unit] += len(ticked)
        states[state] += 1
    idle = [unit for unit in sorted(by_unit) if not by_unit[unit]]
    notes = [f"共 {len(rows)} 行，应办 {sum(one[1] for one in forms.values())} 次，已办 {len(events)} 次。" + _states(states)]
    if idle:
        notes.append(f"还没有开展任何一项的处室：{'、'.join(idle)}。")
    notes.append("每次活动只计一次，须有日期和依据；取消的不计。")
    parts = (
        Part("逐行", COLUMNS, rows),
        Part("按形式", BY_FORM, [(form, *sums, rate(min(sums[2], sums[1]), sums[1])) for form, sums in sorted(forms.items())]),
        Part("已办", EVENTS, sorted(events, key=lambda event: str(event[2]))),
    )
    return table(session, ask, "责任清单", f"普法责任清单（{called}）" if called else "普法责任清单", *parts, notes=notes)


def _states(states: Counter[str]) -> str:
    return "，".join(f"{name} {states[name]}" for name in STATES if states[name]) + ("。" if states else "")
