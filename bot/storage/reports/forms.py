"""形式: in which forms and on which channels the law was brought to people in a year, how many took part, and how much of it was finished."""

from __future__ import annotations

from sqlmodel import Session

from bot.domain.content import KIND_LABELS
from bot.domain.preference import CHANNELS
from bot.domain.report import Ask, Cell, Column, Part, Scope, Table, rate
from bot.domain.sitting import FORMS
from bot.domain.times import start_of
from bot.storage.reports.base import narrowed, office_of, report, table, values_of
from bot.storage.sql import Sql
from bot.storage.tables import stamp

PUSHED = (
    Column("form", "形式"),
    Column("channel", "渠道"),
    Column("times", "次数", "int"),
    Column("sent", "送达人次", "int"),
    Column("lost", "未送达人次", "int"),
    Column("answered", "已阅或投票人次", "int"),
)
TAKEN = (
    Column("form", "形式"),
    Column("channel", "渠道"),
    Column("people", "参与人数", "int"),
    Column("begun", "开始", "int"),
    Column("done", "完成", "int"),
    Column("rate", "完成率", "percent"),
)
LESSON, ANY = "课程", "不分渠道"

_PUSHED = """WITH RECURSIVE {office}
    SELECT c.kind, d.channel, COUNT(DISTINCT d.occurrence_id), SUM(CASE WHEN d.state = 'sent' THEN 1 ELSE 0 END),
           SUM(CASE WHEN d.state <> 'sent' THEN 1 ELSE 0 END),
           SUM(CASE WHEN d.read_at IS NOT NULL OR v.person_id IS NOT NULL THEN 1 ELSE 0 END)
    FROM delivery d JOIN campaign c ON c.id = d.campaign_id JOIN occurrence o ON o.id = d.occurrence_id
    LEFT JOIN vote v ON v.occurrence_id = d.occurrence_id AND v.person_id = d.person_id
    WHERE c.created_by <> 'system' AND o.state = 'fired' AND o.due >= :since AND o.due < :until AND d.state IN ('sent', 'failed', 'unknown')
      AND d.person_id IN (SELECT person_id FROM office)
    GROUP BY c.kind, d.channel ORDER BY c.kind, d.channel"""
_ANSWERED = """WITH RECURSIVE {office}
    SELECT s.kind, a.channel, COUNT(DISTINCT s.person_id), COUNT(DISTINCT s.id), COUNT(DISTINCT CASE WHEN s.state = 'done' THEN s.id END)
    FROM answer a JOIN sitting s ON s.id = a.sitting_id
    WHERE a.arrived_at >= :since AND a.arrived_at < :until AND s.person_id IN (SELECT person_id FROM office)
    GROUP BY s.kind, a.channel ORDER BY s.kind, a.channel"""
_READ = """WITH RECURSIVE {office}
    SELECT COUNT(DISTINCT r.person_id), COUNT(*), SUM(CASE WHEN r.state = 'done' THEN 1 ELSE 0 END)
    FROM reading r WHERE r.opened_at >= :since AND r.opened_at < :until AND r.person_id IN (SELECT person_id FROM office)"""


@report("形式", about="单位")
def forms(session: Session, scope: Scope, ask: Ask) -> Table:
    """当年用了哪些形式和渠道：推送的次数和送达人次，学课、答题的参与人数和完成率。"""
    scope, called = narrowed(session, scope, ask.about)
    values = {**values_of(ask), "since": stamp(start_of(ask.first))}

    def found(text: str) -> list[tuple[Cell, ...]]:
        return [tuple(row) for row in Sql(text.format(office=office_of(scope))).all(session, **values)]

    pushed = [(KIND_LABELS[str(kind)], _channel(channel), *counts) for kind, channel, *counts in found(_PUSHED)]
    [(people, begun, done)] = found(_READ)
    taken: list[tuple[Cell, ...]] = [(LESSON, ANY, people, begun, done or 0)]
    taken += [(FORMS[str(kind)].name, _channel(channel), *counts) for kind, channel, *counts in found(_ANSWERED)]
    rows = [(*row, rate(int(row[4] or 0), int(row[3] or 0))) for row in taken if row[3]]
    parts = (Part("推送", PUSHED, pushed), Part("参与", TAKEN, rows))
    notes = [f"共推送 {sum(int(row[2] or 0) for row in pushed)} 次；在机器人里学课、答题的形式 {len({row[0] for row in rows})} 种。"]
    terms = ["一份题在两个渠道上作答的，两个渠道各计一次；公众号公开系列的读者不在其中，另计。", "线下活动的形式见「报表 责任清单」。"]
    return table(session, ask, "形式", f"学法形式（{called}）" if called else "学法形式", *parts, notes=notes, terms=terms)


def _channel(name: Cell) -> str:
    return CHANNELS.get(str(name), str(name))
