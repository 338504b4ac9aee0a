"""Reports on hours: 达标率 (how many have reached the quota), 名单 (the people of a unit), 个人 (one person's year, down to the entry)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

from sqlmodel import Session

from bot.domain.hours.entry_hash import rule_text
from bot.domain.hours.policy import CATEGORY_LABELS, SOURCE_LABELS, YearQuotas, hours_text, shown_hours, total_hours
from bot.domain.message import Refusal
from bot.domain.reports import Cell, Column, Part, ReportQuery, Row, Scope, Table, mean_hours, percentage
from bot.domain.times import SHANGHAI
from bot.storage.db.query import Statement, stream
from bot.storage.reports.scope import (
    QUARTERS_PER_HOUR,
    ReportUnit,
    bind_values,
    count_people,
    hours_of_quarters,
    make_table,
    narrow_scope,
    office_sql,
    people_by_unit,
    quotas_for,
    report,
    seconds_of_unit,
    seconds_sql,
    units_in,
    units_on,
)
from bot.storage.tables.columns import moment

# ── 达标率 ──


RATE_COLUMNS = (
    Column("unit", "单位"),
    Column("counted", "应计人数", "int"),
    Column("reached", "达标人数", "int"),
    Column("rate", "达标率", "percent"),
    Column("mean", "平均学时", "hours"),
    Column("total", "学时合计", "hours"),
    Column("own", "其中本级", "int", phone="never"),
    Column("apart", "无应达", "int", phone="if any"),
)
_TIERS = "WITH RECURSIVE {office} SELECT DISTINCT p.tier FROM office o JOIN person p ON p.id = o.person_id"
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
        session,
        ask,
        "达标率",
        f"学时达标率（{scope_name}）" if scope_name else "学时达标率",
        Part("各单位", RATE_COLUMNS, rows),
        notes=notes,
        terms=terms,
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
    tiers = Statement(_TIERS.format(office=office_sql(scope))).all(session, day=ask.last.isoformat())
    for n, (tier,) in enumerate(tiers):
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
        placed AS (SELECT DISTINCT person_id, unit_id FROM office),
        several AS (SELECT person_id FROM placed GROUP BY person_id HAVING COUNT(*) > 1),
        hours AS (SELECT person_id, SUM(seconds * :quarters / :per_hour) AS total,
                         SUM(CASE WHEN category = 'collective' THEN seconds * :quarters / :per_hour ELSE 0 END) AS together
                  FROM ({seconds_sql(ask, scope)}) s GROUP BY person_id),
        quota AS ({" UNION ALL ".join(selects)})
        SELECT o.unit_id, CASE WHEN s.person_id IS NOT NULL THEN o.person_id ELSE 0 END, COUNT(q.need),
               SUM(CASE WHEN COALESCE(t.total, 0) >= q.need AND COALESCE(t.together, 0) >= q.least THEN 1 ELSE 0 END),
               SUM(CASE WHEN q.need IS NULL THEN 0 ELSE COALESCE(t.total, 0) END), COUNT(*) - COUNT(q.need)
        FROM placed o JOIN person p ON p.id = o.person_id LEFT JOIN several s ON s.person_id = o.person_id
        LEFT JOIN quota q ON q.tier = p.tier LEFT JOIN hours t ON t.person_id = o.person_id
        GROUP BY o.unit_id, CASE WHEN s.person_id IS NOT NULL THEN o.person_id ELSE 0 END"""  # noqa: S608
    return stream(session, text, values)


def _ceil_quarters(quarters: Decimal) -> int:
    """A quota in whole quarters: a need between two quarters is reached at the upper one."""
    return int(quarters.to_integral_value(ROUND_CEILING))


# ── 名单 ──


MEMBER_COLUMNS = (
    Column("staff_no", "工号"),
    Column("name", "姓名"),
    Column("unit", "单位"),
    Column("tier", "层级"),
    *(Column(category, label, "hours", phone="never") for category, label in CATEGORY_LABELS.items()),
    Column("total", "合计", "hours"),
    Column("need", "应达", "hours"),
    Column("missing", "差额", "hours"),
    Column("missing_collective", "集体学法差额", "hours", phone="if any"),
    Column("reached", "达标"),
)
_COLLECTIVE_INDEX = list(CATEGORY_LABELS).index("collective")
_ZERO_HOURS = hours_of_quarters(0)


@report("名单", about="单位")
def members(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """一个单位（含下级）的人员名单：各类学时、合计、应达、差额、是否达标。"""
    need = quotas_for(ask)
    scope, scope_name = narrow_scope(session, scope, ask.about)
    rows = MemberRows(session, scope, ask, need)
    terms = ["差额=应达-合计；集体学法差额=集体学法下限-已有集体学法；两项都为 0 即达标。"]
    return make_table(
        session, ask, "名单", f"学时名单（{scope_name}）", Part("人员", MEMBER_COLUMNS, rows), notes=[f"共 {len(rows)} 人。"], terms=terms
    )


class MemberRows:
    """The rows, each person once, in the order of the tree and then of the roll; read unit after unit while they are gone through."""

    def __init__(self, session: Session, scope: Scope, ask: ReportQuery, need: YearQuotas) -> None:
        self.session, self.ask, self.need = session, ask, need
        self.units = units_in(session, scope)
        self.size = count_people(session, scope, ask.last)

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Row]:
        standings: dict[str, tuple[Decimal | None, Decimal]] = {}
        for unit, people in people_by_unit(self.session, self.units, self.ask.last):
            seconds = seconds_of_unit(self.session, self.ask, unit.id) if people else {}
            for person in people:
                if person.tier not in standings:
                    standings[person.tier] = (self.need.need(person.tier), self.need.floor(person.tier))
                hours = self._hours(seconds.get(person.id, {}), *standings[person.tier])
                yield (person.staff_no, person.name, "、".join(person.units), person.tier, *hours)

    def _hours(self, seconds: Mapping[str, int], wanted: Decimal | None, floor: Decimal) -> tuple[Cell, ...]:
        per_hour = self.need.seconds_per_hour
        quarters = [seconds.get(category, 0) * QUARTERS_PER_HOUR // per_hour for category in CATEGORY_LABELS]
        hours_each = [hours_of_quarters(count) for count in quarters]
        total = hours_of_quarters(sum(quarters))
        if wanted is None:
            return (*hours_each, total, None, None, None, "无应达")
        missing, short = max(_ZERO_HOURS, wanted - total), max(_ZERO_HOURS, floor - hours_each[_COLLECTIVE_INDEX])
        return (*hours_each, total, wanted, missing, short, "否" if missing or short else "是")


# ── 个人 ──


NO_PERSON = "没有这个工号，请核对后再查。"
CATEGORY_COLUMNS = (
    Column("category", "类别"),
    Column("hours", "学时", "hours"),
    Column("seconds", "计入秒数", "int", phone="never"),
    Column("entries", "流水笔数", "int"),
)
ENTRY_COLUMNS = (
    Column("day", "日期"),
    Column("category", "类别"),
    Column("source", "来源"),
    Column("seconds", "计入秒数", "int"),
    Column("rule", "规则"),
    Column("id", "流水号", "int"),
    Column("reversal", "冲销"),
    Column("recorded_at", "记录时间", phone="never"),
    Column("recorded_by", "记录人", phone="never"),
    Column("seq", "封存号", "int", phone="never"),
)
REFUSED_COLUMNS = (
    Column("day", "日期"),
    Column("source", "来源"),
    Column("seconds", "未计秒数", "int"),
    Column("rule", "规则"),
    Column("reason", "原因"),
)

_PERSON = Statement("SELECT id, staff_no, name, tier FROM person WHERE staff_no = :staff_no")
# COALESCE: once it has statistics, SQLite takes an index on `reverses`, nearly always NULL, for of no use, and would look for a reversal
# among all that was recorded until that day, for each entry anew.
_ENTRIES = Statement(
    """SELECT l.id, l.day, l.category, l.credit_seconds, l.source_kind, l.source_id, l.rule, l.rule_version, l.recorded_at, l.recorded_by,
              l.reverses, r.id, s.seq
       FROM ledger l LEFT JOIN ledger r ON r.reverses = l.id AND COALESCE(r.recorded_at, '') < :until LEFT JOIN seal s ON s.entry_id = l.id
       WHERE l.person_id = :person_id AND l.day >= :first AND l.day <= :day AND l.recorded_at < :until ORDER BY l.day DESC, l.id DESC"""
)
_REFUSED = Statement(
    """SELECT day, source_kind, source_id, seconds, rule, rule_version, reason FROM uncredited
       WHERE person_id = :person_id AND day >= :first AND day <= :day AND at < :until AND seconds > 0 ORDER BY day DESC, id DESC"""
)


@report("个人", about="工号", requires_about=True)
def learning_record(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """一个人的学时档案：各类合计、每笔流水的来源和规则、未计的时间和原因。"""
    need = quotas_for(ask)
    person = _PERSON.one(session, staff_no=ask.about)
    units = units_in(session, scope)
    unit_paths = [] if person is None else [units[unit].path for unit in units_on(session, person[0], ask.last) if unit in units]
    if person is None or (scope.roots is not None and not unit_paths):
        raise Refusal(NO_PERSON)
    person_id, staff_no, name, tier = person
    bounds = bind_values(ask)
    entries = _ENTRIES.all(session, person_id=person_id, **bounds)
    refused = _REFUSED.all(session, person_id=person_id, **bounds)
    return make_table(
        session,
        ask,
        "个人",
        f"{name}（{staff_no}）学时档案",
        Part("各类合计", CATEGORY_COLUMNS, _category_rows(entries, need)),
        Part("流水", ENTRY_COLUMNS, [_entry_row(row) for row in entries]),
        Part("未计入", REFUSED_COLUMNS, [_refused_row(row) for row in refused]),
        notes=[f"单位：{'、'.join(sorted(unit_paths)) or '无'}；层级：{tier or '未登记'}。", _quota_summary(entries, tier, need)],
    )


def _seconds_by_category(entries: list[Any]) -> dict[str, int]:
    sums = dict.fromkeys(CATEGORY_LABELS, 0)
    for row in entries:
        sums[row[2]] += row[3]
    return sums


def _category_rows(entries: list[Any], need: YearQuotas) -> list[Row]:
    rows: list[Row] = []
    seconds = _seconds_by_category(entries)
    for category, label in CATEGORY_LABELS.items():
        count = sum(1 for row in entries if row[2] == category)
        rows.append((label, shown_hours(seconds[category], need.seconds_per_hour), seconds[category], count))
    rows.append(("合计", total_hours(seconds, need.seconds_per_hour), sum(seconds.values()), len(entries)))
    return rows


def _quota_summary(entries: list[Any], tier: str, need: YearQuotas) -> str:
    wanted, floor = need.need(tier), need.floor(tier)
    if wanted is None:
        return f"无应达：未登记层级或该层级无年度要求（{need.rule}）。"
    seconds = _seconds_by_category(entries)
    total, together = total_hours(seconds, need.seconds_per_hour), shown_hours(seconds["collective"], need.seconds_per_hour)
    required = f"应达 {hours_text(wanted)} 学时" + (f"，其中集体学法不少于 {hours_text(floor)}" if floor else "")
    short = [("还差", wanted - total), ("集体学法还差", floor - together)]
    missing = [f"{label} {hours_text(hours)}" for label, hours in short if hours > 0]
    return f"{required}；{'，'.join(missing) if missing else '已达标'}。"


def _source_text(kind: str, source_id: str) -> str:
    return f"{SOURCE_LABELS.get(kind, kind)} {source_id}"


def _entry_row(row: Any) -> Row:
    entry_id, day, category, seconds, kind, source_id, line, version, recorded_at, by, reverses, reversed_by, seq = row
    reversal = f"冲销 #{reverses}" if reverses else f"已被 #{reversed_by} 冲销" if reversed_by else ""
    recorded = moment(recorded_at).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    return (day, CATEGORY_LABELS[category], _source_text(kind, source_id), seconds, rule_text(line, version), entry_id, reversal, recorded, by, seq)


def _refused_row(row: Any) -> Row:
    day, kind, source_id, seconds, line, version, reason = row
    return (day, _source_text(kind, source_id), seconds, rule_text(line, version), reason)
