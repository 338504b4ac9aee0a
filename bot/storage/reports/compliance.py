"""Report 达标率: how many of those with a quota have reached it, rolled up the tree of units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

from sqlmodel import Session

from bot.domain.hours.policy import YearQuotas
from bot.domain.reports import Cell, Column, Part, ReportQuery, Row, Scope, Table, mean_hours, percentage
from bot.storage.db.query import Statement, stream
from bot.storage.reports.scope import (
    QUARTERS_PER_HOUR,
    ReportUnit,
    bind_values,
    hours_of_quarters,
    make_table,
    narrow_scope,
    office_sql,
    quotas_for,
    report,
    seconds_sql,
    units_in,
)

COLUMNS = (
    Column("unit", "单位"),
    Column("counted", "应计人数", "int"),
    Column("reached", "达标人数", "int"),
    Column("rate", "达标率", "percent"),
    Column("mean", "平均学时", "hours"),
    Column("total", "学时合计", "hours"),
    Column("own", "其中本级", "int", phone="never"),
    Column("apart", "无应达", "int", phone="if any"),
)
_TIERS = Statement("SELECT DISTINCT tier FROM person")
TOTAL = "合计"


@dataclass(slots=True)
class ComplianceFigures:
    """People counted, those who reached their quota, their quarter hours, and the people whom no quota concerns."""

    counted: int = 0
    reached: int = 0
    quarters: int = 0
    without_quota: int = 0

    def add(self, counted: int, reached: int, quarters: int, without_quota: int) -> None:
        self.counted += counted
        self.reached += reached
        self.quarters += quarters
        self.without_quota += without_quota


@dataclass(slots=True)
class _ComplianceSums:
    by_unit: dict[int, ComplianceFigures] = field(default_factory=dict)
    own_level: dict[int, int] = field(default_factory=dict)
    total: ComplianceFigures = field(default_factory=ComplianceFigures)
    shared: int = 0


@report("达标率", about="单位")
def compliance(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """各单位的应计人数、达标人数、达标率和学时，逐级汇总。"""
    need = quotas_for(ask)
    scope, scope_name = narrow_scope(session, scope, ask.about)
    units = units_in(session, scope)
    sums = _roll_up(session, scope, ask, need, units)
    rows = [_unit_row(unit.path, sums.by_unit[unit.id], sums.own_level[unit.id]) for unit in units.values()]
    tops = [unit for unit in units.values() if len(unit.above) == 1]
    if len(tops) > 1:
        rows.insert(0, _unit_row(TOTAL, sums.total, None))
    terms = [
        "应计人数：当日在职且所属层级有年度应达学时的人；达标：合计学时不少于应达，且集体学法不少于下限。",
        "学时按人、按类向下取到 0.25 后相加；平均学时与学时合计只含应计人员。",
    ]
    notes = []
    if ask.last != ask.as_of:
        notes.append(f"人员按 {ask.last.isoformat()} 在职计。")
    if sums.shared:
        notes.append(f"{sums.shared} 人在两个以上单位任职，在每个单位计入，在共同的上级只计一次。")
    if sums.total.without_quota:
        notes.append(f"{sums.total.without_quota} 人未登记层级或该层级无年度要求，列为无应达，不计入分子分母。")
    return make_table(
        session, ask, "达标率", f"学时达标率（{scope_name}）" if scope_name else "学时达标率", Part("各单位", COLUMNS, rows), notes=notes, terms=terms
    )


def _unit_row(name: str, figures: ComplianceFigures, own: int | None) -> Row:
    hours = hours_of_quarters(figures.quarters)
    cells: tuple[Cell, ...] = (
        name,
        figures.counted,
        figures.reached,
        percentage(figures.reached, figures.counted),
        mean_hours(hours, figures.counted),
        hours,
    )
    return (*cells, own, figures.without_quota)


def _roll_up(session: Session, scope: Scope, ask: ReportQuery, need: YearQuotas, units: dict[int, ReportUnit]) -> _ComplianceSums:
    """People with one post come added up by unit; the few with several come one by one, so that each level counts them once."""
    sums = _ComplianceSums({unit: ComplianceFigures() for unit in units}, dict.fromkeys(units, 0))
    several: dict[int, tuple[set[int], tuple[int, int, int, int]]] = {}
    for unit_id, person_id, counted, reached, quarters, without_quota in _figures_by_unit(session, scope, ask, need):
        figures = (int(counted), int(reached), int(quarters), int(without_quota))
        sums.own_level[unit_id] += figures[0]
        if person_id:
            several.setdefault(person_id, (set(), figures))[0].update(units[unit_id].above)
            continue
        for above in units[unit_id].above:
            sums.by_unit[above].add(*figures)
        sums.total.add(*figures)
    for touched, figures in several.values():
        for above in touched:
            sums.by_unit[above].add(*figures)
        sums.total.add(*figures)
    sums.shared = len(several)
    return sums


def _figures_by_unit(session: Session, scope: Scope, ask: ReportQuery, need: YearQuotas) -> Iterable[tuple[int, int, int, int, int, int]]:
    """(unit, person or 0, counted, reached, quarters of those counted, without_quota): one row a unit, and one for each person in several units.

    Whole division of seconds gives the quarters that `shown_hours` rounds down to; a test holds the two together.
    """
    selects = ["SELECT CAST(NULL AS TEXT) AS tier, 0 AS need, 0 AS least WHERE 1 = 0"]
    values: dict[str, object] = {**bind_values(ask), "per_hour": need.seconds_per_hour, "quarters": QUARTERS_PER_HOUR}
    for n, (tier,) in enumerate(_TIERS.all(session)):
        hours = need.need(tier)
        if hours is None:
            continue
        selects.append(f"SELECT CAST(:tier{n} AS TEXT), CAST(:need{n} AS INTEGER), CAST(:least{n} AS INTEGER)")
        values |= {
            f"tier{n}": tier,
            f"need{n}": _ceil_quarters(hours * QUARTERS_PER_HOUR),
            f"least{n}": _ceil_quarters(need.floor(tier) * QUARTERS_PER_HOUR),
        }
    text = f"""WITH RECURSIVE {office_sql(scope)},
        heads AS (SELECT person_id, COUNT(*) AS posts FROM office GROUP BY person_id),
        hours AS (SELECT person_id, SUM(seconds * :quarters / :per_hour) AS total,
                         SUM(CASE WHEN category = 'collective' THEN seconds * :quarters / :per_hour ELSE 0 END) AS together
                  FROM ({seconds_sql(ask, scope)}) s GROUP BY person_id),
        quota AS ({" UNION ALL ".join(selects)})
        SELECT o.unit_id, CASE WHEN h.posts > 1 THEN o.person_id ELSE 0 END, COUNT(q.need),
               SUM(CASE WHEN COALESCE(t.total, 0) >= q.need AND COALESCE(t.together, 0) >= q.least THEN 1 ELSE 0 END),
               SUM(CASE WHEN q.need IS NULL THEN 0 ELSE COALESCE(t.total, 0) END), COUNT(*) - COUNT(q.need)
        FROM office o JOIN heads h ON h.person_id = o.person_id JOIN person p ON p.id = o.person_id
        LEFT JOIN quota q ON q.tier = p.tier LEFT JOIN hours t ON t.person_id = o.person_id
        GROUP BY o.unit_id, CASE WHEN h.posts > 1 THEN o.person_id ELSE 0 END"""  # noqa: S608
    return stream(session, text, values)


def _ceil_quarters(quarters: Decimal) -> int:
    """A quota in whole quarters: a need between two quarters is reached at the upper one."""
    return int(quarters.to_integral_value(ROUND_CEILING))
