"""活动依据: every campaign with the clause it rests on, and those that name none."""

from __future__ import annotations

from sqlmodel import Session

from bot.domain.audience import lies_within
from bot.domain.campaign import STATE_LABELS
from bot.domain.content import describe
from bot.domain.report import Ask, Cell, Column, Part, Scope, Table
from bot.domain.rhythm import describe as said
from bot.domain.times import day_of
from bot.storage import campaign
from bot.storage.reports.base import narrowed, report, table, units_in

COLUMNS = (
    Column("name", "活动"),
    Column("id", "编号", "int"),
    Column("state", "状态"),
    Column("clause", "依据"),
    Column("content", "内容", phone="never"),
    Column("rhythm", "频次", phone="never"),
)
NONE = "无依据"


@report("活动依据", about="单位")
def clauses(session: Session, scope: Scope, ask: Ask) -> Table:
    """当年有改动或仍在进行的活动各依据哪一条，没有写依据的单独列出。"""
    scope, called = narrowed(session, scope, ask.about)
    roots = None if scope.roots is None else tuple(unit.path for unit in units_in(session, scope).values() if len(unit.above) == 1)
    found = [one for one in campaign.everything(session) if lies_within(one.audience, roots) and one.state != "draft"]
    found = [one for one in found if one.state in ("running", "paused") or day_of(one.changed_at).year == ask.year]
    rows: list[tuple[Cell, ...]] = [
        (one.name, one.id, STATE_LABELS[one.state], one.clause or NONE, describe(one.content), said(one.rhythm)) for one in found
    ]
    missing = [row for row in rows if row[3] == NONE]
    notes = [f"共 {len(rows)} 个活动，{len(missing)} 个没有写依据。补写请发：活动 改 编号 依据=…"]
    parts = (Part(NONE, COLUMNS, missing), Part("全部", COLUMNS, rows))
    return table(session, ask, "活动依据", f"活动依据（{called}）" if called else "活动依据", *parts, notes=notes)
