"""竞赛: who took part, by unit and fair to small ones; no name, no place of a person."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal

from sqlmodel import Session

from bot.domain.contest.contest import FORM_LABELS, STATE_LABELS, Contest, span_text
from bot.domain.contest.leaderboard import BANDS, band_label
from bot.domain.message import Refusal
from bot.domain.reports import Cell, Column, Part, ReportQuery, Scope, Table, rate
from bot.domain.times import day_of
from bot.storage.contest import contests, players, teams
from bot.storage.people import audience
from bot.storage.reports.scope import ReportUnit, report, table, units_in

COLUMNS = (
    Column("id", "编号", "int"),
    Column("name", "竞赛"),
    Column("form", "形式", phone="never"),
    Column("state", "状态"),
    Column("span", "时间", phone="never"),
    Column("invited", "应参加", "int"),
    Column("took_part", "参加", "int"),
    Column("rate", "参加率", "percent"),
    Column("clause", "依据", phone="never"),
)
BY_UNIT = (
    Column("unit", "单位"),
    Column("invited", "应参加", "int"),
    Column("took_part", "参加", "int"),
    Column("rate", "参加率", "percent"),
    Column("mean", "全员人均分"),
    Column("band", "档次"),
)
GONE = ("已离职", "未入职")
FEW = 5
"""A unit with fewer people than this shows no score: it would be that of a person."""


@dataclass(slots=True)
class _Sum:
    invited: int = 0
    took_part: int = 0
    points: int = 0


@report("竞赛", about="编号")
def held(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """当年各场竞赛的参加率；写编号看一场里各单位的参加率和全员人均分（档次，不排名次）。"""
    units = units_in(session, scope)
    found = [one for one in contests.list_all(session) if one.state in ("open", "closed") and _day(one, ask).year == ask.year]
    found = [one for one in found if one.plan.opens_at is None or one.plan.opens_at < ask.until]
    if not ask.about:
        rows: list[tuple[Cell, ...]] = []
        for one in found:
            whole = _whole(_by_unit(session, one, units, ask))
            if whole.invited:
                rows.append(_row(one, whole))
        notes = [f"共 {len(rows)} 场。看一场各单位的情况：报表 竞赛 编号"]
        return table(session, ask, "竞赛", "竞赛参加情况", Part("各场", COLUMNS, rows), notes=notes)
    number = re.fullmatch(r"#?(\d{1,9})", ask.about)
    chosen = next((one for one in found if number is not None and one.id == int(number[1])), None)
    sums = {} if chosen is None else _by_unit(session, chosen, units, ask)
    if chosen is None or not sums:
        raise Refusal(f"{ask.year} 年没有编号为「{ask.about[:20]}」的竞赛，或它与您的单位无关。发送「报表 竞赛」看编号。")
    whole = _whole(sums)
    notes = [
        f"应参加 {whole.invited} 人，参加 {whole.took_part} 人。参加：至少有一项成绩{'' if chosen.state == 'closed' else '；还在进行，为目前情况'}。",
        f"全员人均分：未参加的按 0 分，大小单位可比；不足 {FEW} 人的单位不显示。",
        "档次：按全员人均分，" + "、".join(f"前 {upto}% {label}" for upto, label in BANDS) + "；不公布名次。",
    ]
    title = f"竞赛参加情况（{chosen.name}，{STATE_LABELS[chosen.state]}）"
    return table(session, ask, "竞赛", title, Part("各单位", BY_UNIT, _ranked(sums, whole, units)), notes=notes)


def _day(one: Contest, ask: ReportQuery) -> date:
    """The day a contest belongs to: that of its end (rule D14)."""
    at = one.plan.closes_at or one.closed_at
    return day_of(at) if at is not None else ask.last


def _row(one: Contest, whole: _Sum) -> tuple[Cell, ...]:
    return (
        one.id,
        one.name,
        FORM_LABELS[one.plan.form],
        STATE_LABELS[one.state],
        span_text(one.plan),
        whole.invited,
        whole.took_part,
        rate(whole.took_part, whole.invited),
        one.plan.clause,
    )


def _by_unit(session: Session, one: Contest, units: dict[int, ReportUnit], ask: ReportQuery) -> dict[int, _Sum]:
    """Everybody who was meant to take part on the contest's last day (or today), each once, in the unit of their first post."""
    day = min(_day(one, ask), ask.last)
    invited = audience.evaluate(session, one.plan.audience, day, ask.until)
    meant = {*invited.people, *(who for who, why in invited.excluded if why not in GONE)}
    at = teams.units_by_person(session, day)
    played = {each.id: each.result for each in players.list_ranked(session, one.id) if each.took_part}
    sums: defaultdict[int, _Sum] = defaultdict(_Sum)
    for who in meant | played.keys():
        unit_id = at[who][0] if who in at else None
        if unit_id not in units or unit_id is None:
            continue
        one_sum = sums[unit_id]
        one_sum.invited += 1
        if who in played:
            one_sum.took_part += 1
            one_sum.points += played[who].points
    return dict(sums)


def _whole(sums: dict[int, _Sum]) -> _Sum:
    return _Sum(sum(one.invited for one in sums.values()), sum(one.took_part for one in sums.values()), sum(one.points for one in sums.values()))


def _mean(one: _Sum) -> str:
    return f"{(Decimal(one.points) / 1000 / one.invited).quantize(Decimal('0.01'), ROUND_DOWN)}"


def _ranked(sums: dict[int, _Sum], whole: _Sum, units: dict[int, ReportUnit]) -> list[tuple[Cell, ...]]:
    """In the order of the tree, never by score; the whole at the end."""
    fair = sorted((one.points / one.invited for one in sums.values() if one.invited >= FEW), reverse=True)
    rows: list[tuple[Cell, ...]] = []
    for unit_id, unit in units.items():
        if unit_id not in sums:
            continue
        one = sums[unit_id]
        shown = one.invited >= FEW
        # Who has no point yet stands in no band: with nobody's points they would all be in the first.
        where = band_label(fair.index(one.points / one.invited) + 1, len(fair)) if shown and one.points else ""
        rows.append((unit.path, one.invited, one.took_part, rate(one.took_part, one.invited), _mean(one) if shown else "", where))
    rows.append(("合计", whole.invited, whole.took_part, rate(whole.took_part, whole.invited), _mean(whole) if whole.invited >= FEW else "", ""))
    return rows
