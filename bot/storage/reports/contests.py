"""Report 竞赛: participation and mean points by unit; no names, no ranks of persons, no scores of very small units."""

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
from bot.domain.reports import Cell, Column, Part, ReportQuery, Scope, Table, percentage
from bot.domain.times import day_of
from bot.storage.contest import contests, players, teams
from bot.storage.people import audience
from bot.storage.reports.scope import ReportUnit, make_table, report, units_in

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
UNIT_COLUMNS = (
    Column("unit", "单位"),
    Column("invited", "应参加", "int"),
    Column("took_part", "参加", "int"),
    Column("rate", "参加率", "percent"),
    Column("mean", "全员人均分"),
    Column("band", "档次"),
)
OUT_OF_OFFICE = ("已离职", "未入职")
MIN_UNIT = 5
"""A unit with fewer people than this shows no score: it would be that of a person."""


@dataclass(slots=True)
class _ContestSum:
    invited: int = 0
    took_part: int = 0
    points: int = 0


@report("竞赛", about="编号")
def contest_participation(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """当年各场竞赛的参加率；写编号看一场里各单位的参加率和全员人均分（档次，不排名次）。"""
    units = units_in(session, scope)
    year_contests = [
        contest for contest in contests.list_all(session) if contest.state in ("open", "closed") and _end_day(contest, ask).year == ask.year
    ]
    year_contests = [contest for contest in year_contests if contest.plan.opens_at is None or contest.plan.opens_at < ask.until]
    if not ask.about:
        rows: list[tuple[Cell, ...]] = []
        for contest in year_contests:
            whole = _total(_sums_by_unit(session, contest, units, ask))
            if whole.invited:
                rows.append(_contest_row(contest, whole))
        notes = [f"共 {len(rows)} 场。看一场各单位的情况：报表 竞赛 编号"]
        return make_table(session, ask, "竞赛", "竞赛参加情况", Part("各场", COLUMNS, rows), notes=notes)
    number = re.fullmatch(r"#?(\d{1,9})", ask.about)
    chosen = next((contest for contest in year_contests if number is not None and contest.id == int(number[1])), None)
    sums = {} if chosen is None else _sums_by_unit(session, chosen, units, ask)
    if chosen is None or not sums:
        raise Refusal(f"{ask.year} 年没有编号为「{ask.about[:20]}」的竞赛，或它与您的单位无关。发送「报表 竞赛」看编号。")
    whole = _total(sums)
    notes = [
        f"应参加 {whole.invited} 人，参加 {whole.took_part} 人。参加：至少有一项成绩{'' if chosen.state == 'closed' else '；还在进行，为目前情况'}。",
        f"全员人均分：未参加的按 0 分，大小单位可比；不足 {MIN_UNIT} 人的单位不显示。",
        "档次：按全员人均分，" + "、".join(f"前 {upto}% {label}" for upto, label in BANDS) + "；不公布名次。",
    ]
    title = f"竞赛参加情况（{chosen.name}，{STATE_LABELS[chosen.state]}）"
    return make_table(session, ask, "竞赛", title, Part("各单位", UNIT_COLUMNS, _unit_rows(sums, whole, units)), notes=notes)


def _end_day(contest: Contest, ask: ReportQuery) -> date:
    """The day a contest belongs to: that of its end (rule D14)."""
    ended_at = contest.plan.closes_at or contest.closed_at
    return day_of(ended_at) if ended_at is not None else ask.last


def _contest_row(contest: Contest, whole: _ContestSum) -> tuple[Cell, ...]:
    return (
        contest.id,
        contest.name,
        FORM_LABELS[contest.plan.form],
        STATE_LABELS[contest.state],
        span_text(contest.plan),
        whole.invited,
        whole.took_part,
        percentage(whole.took_part, whole.invited),
        contest.plan.clause,
    )


def _sums_by_unit(session: Session, contest: Contest, units: dict[int, ReportUnit], ask: ReportQuery) -> dict[int, _ContestSum]:
    """Everybody who was meant to take part on the contest's last day (or today), each once, in the unit of their first post."""
    day = min(_end_day(contest, ask), ask.last)
    invited = audience.evaluate(session, contest.plan.audience, day, ask.until)
    expected = {*invited.people, *(person_id for person_id, reason in invited.excluded if reason not in OUT_OF_OFFICE)}
    units_of_person = teams.units_by_person(session, day)
    played = {player.id: player.result for player in players.list_ranked(session, contest.id) if player.took_part}
    sums: defaultdict[int, _ContestSum] = defaultdict(_ContestSum)
    for person_id in expected | played.keys():
        unit_id = units_of_person[person_id][0] if person_id in units_of_person else None
        if unit_id not in units or unit_id is None:
            continue
        unit_sum = sums[unit_id]
        unit_sum.invited += 1
        if person_id in played:
            unit_sum.took_part += 1
            unit_sum.points += played[person_id].points
    return dict(sums)


def _total(sums: dict[int, _ContestSum]) -> _ContestSum:
    return _ContestSum(
        sum(unit_sum.invited for unit_sum in sums.values()),
        sum(unit_sum.took_part for unit_sum in sums.values()),
        sum(unit_sum.points for unit_sum in sums.values()),
    )


def _mean_points(unit_sum: _ContestSum) -> str:
    return f"{(Decimal(unit_sum.points) / 1000 / unit_sum.invited).quantize(Decimal('0.01'), ROUND_DOWN)}"


def _unit_rows(sums: dict[int, _ContestSum], whole: _ContestSum, units: dict[int, ReportUnit]) -> list[tuple[Cell, ...]]:
    """In the order of the tree, never by score; the whole at the end."""
    means = sorted((unit_sum.points / unit_sum.invited for unit_sum in sums.values() if unit_sum.invited >= MIN_UNIT), reverse=True)
    rows: list[tuple[Cell, ...]] = []
    for unit_id, unit in units.items():
        if unit_id not in sums:
            continue
        unit_sum = sums[unit_id]
        shown = unit_sum.invited >= MIN_UNIT
        # Who has no point yet stands in no band: with nobody's points they would all be in the first.
        band_text = band_label(means.index(unit_sum.points / unit_sum.invited) + 1, len(means)) if shown and unit_sum.points else ""
        rows.append(
            (
                unit.path,
                unit_sum.invited,
                unit_sum.took_part,
                percentage(unit_sum.took_part, unit_sum.invited),
                _mean_points(unit_sum) if shown else "",
                band_text,
            )
        )
    rows.append(
        (
            "合计",
            whole.invited,
            whole.took_part,
            percentage(whole.took_part, whole.invited),
            _mean_points(whole) if whole.invited >= MIN_UNIT else "",
            "",
        )
    )
    return rows
