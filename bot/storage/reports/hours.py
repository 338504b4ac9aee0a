"""Reports on hours: 达标率 (how many have reached the quota), 名单 (the people of a unit), 个人 (one person's year, down to the entry)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal

from sqlalchemy import BigInteger, Integer, Select, Text, and_, case, cast, func, literal, select
from sqlmodel import Session

from bot.domain.hours.entry_hash import rule_text
from bot.domain.hours.policy import CATEGORY_LABELS, SOURCE_LABELS, YearQuotas, hours_text, shown_hours, total_hours
from bot.domain.message import Refusal
from bot.domain.reports import Cell, Column, Part, ReportQuery, Row, Scope, Table, mean_hours, percentage
from bot.domain.times import SHANGHAI
from bot.storage.db.query import Query, bind, columns, given, table
from bot.storage.reports.scope import (
    QUARTERS_PER_HOUR,
    Office,
    ReportUnit,
    count_people,
    hours_of_quarters,
    make_table,
    narrow_scope,
    people_by_unit,
    quarters_by_person,
    quotas_for,
    report,
    scoped,
    seconds_of_unit,
    units_in,
    units_on,
)
from bot.storage.tables.columns import MomentType
from bot.storage.tables.hours import EntryRow, SealRow, UncreditedRow
from bot.storage.tables.people import PersonRow

_ENTRY, _SEAL, _UNCREDITED, _PERSON = (table(row) for row in (EntryRow, SealRow, UncreditedRow, PersonRow))

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


@dataclass(frozen=True, slots=True)
class _UnitFigures:
    """What one unit itself adds: of all with a single post (`person_id` is 0), or of one of the few with several."""

    unit_id: int
    person_id: int
    counted: int
    reached: int
    quarters: int
    without_quota: int


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
    for own in _figures_by_unit(session, scope, ask, need):
        figures = (own.counted, own.reached, own.quarters, own.without_quota)
        sums.own_level[own.unit_id] += own.counted
        if own.person_id:
            several.setdefault(own.person_id, (set(), figures))[0].update(units[own.unit_id].above)
            continue
        for above in units[own.unit_id].above:
            sums.by_unit[above].add(*figures)
        sums.total.add(*figures)
    for touched, figures in several.values():
        for above in touched:
            sums.by_unit[above].add(*figures)
        sums.total.add(*figures)
    sums.shared = len(several)
    return sums


_TIERS = scoped(
    lambda office: select(_PERSON.c.tier).distinct().join_from(office.posts, _PERSON, _PERSON.c.id == office.posts.c.person_id), gives=str
)
_QUOTAS = given("quotas", tier=Text, need=Integer, least=Integer)


def _compliance(office: Office, *, is_now: bool) -> Select[tuple[int, int, int, int, int, int]]:
    """One row a unit, and one for each person in several units."""
    placed = select(office.posts.c.person_id, office.posts.c.unit_id).distinct().cte("placed")
    several = select(placed.c.person_id).group_by(placed.c.person_id).having(func.count() > 1).cte("several")
    hours = quarters_by_person(office, is_now=is_now).cte("hours")
    quota = select(_QUOTAS.c.tier, _QUOTAS.c.need, _QUOTAS.c.least).cte("quota").prefix_with("MATERIALIZED")
    total, collective = func.coalesce(hours.c.total, 0), func.coalesce(hours.c.collective, 0)
    person_id = case((several.c.person_id.is_not(None), placed.c.person_id), else_=0)
    figures = {
        "unit_id": placed.c.unit_id,
        "person_id": person_id,
        "counted": func.count(quota.c.need),
        "reached": func.count().filter(total >= quota.c.need, collective >= quota.c.least),
        "quarters": cast(func.coalesce(func.sum(total).filter(quota.c.need.is_not(None)), 0), BigInteger),
        "without_quota": func.count() - func.count(quota.c.need),
    }
    return (
        select(*(column.label(name) for name, column in figures.items()))
        .join_from(placed, _PERSON, _PERSON.c.id == placed.c.person_id)
        .outerjoin(several, several.c.person_id == placed.c.person_id)
        .outerjoin(quota, quota.c.tier == _PERSON.c.tier)
        .outerjoin(hours, hours.c.person_id == placed.c.person_id)
        .group_by(placed.c.unit_id, person_id)
    )


_COMPLIANCE_NOW = scoped(lambda office: _compliance(office, is_now=True), gives=_UnitFigures)
_COMPLIANCE_THEN = scoped(lambda office: _compliance(office, is_now=False), gives=_UnitFigures)


def _figures_by_unit(session: Session, scope: Scope, ask: ReportQuery, need: YearQuotas) -> Iterator[_UnitFigures]:
    asked = {tier: need.need(tier) for tier in _TIERS.all(session, scope, day=ask.last)}
    needs = [
        (tier, _ceil_quarters(hours * QUARTERS_PER_HOUR), _ceil_quarters(need.floor(tier) * QUARTERS_PER_HOUR))
        for tier, hours in asked.items()
        if hours is not None
    ]
    if ask.is_now:
        return _COMPLIANCE_NOW.stream(session, scope, day=ask.last, quotas=needs, per_hour=need.seconds_per_hour, year=ask.year)
    return _COMPLIANCE_THEN.stream(session, scope, day=ask.last, quotas=needs, per_hour=need.seconds_per_hour, first=ask.first, until=ask.until)


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


@dataclass(frozen=True, slots=True)
class _RecordedEntry:
    """An entry of the ledger as a person's record shows it: `reversed_by` and `seq` (its place in the chain) where there are such."""

    id: int
    day: date
    category: str
    credit_seconds: int
    source_kind: str
    source_id: str
    rule: str
    rule_version: int
    recorded_at: datetime
    recorded_by: str
    reverses: int | None
    reversed_by: int | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class _RefusedCredit:
    day: date
    source_kind: str
    source_id: str
    seconds: int
    rule: str
    rule_version: int
    reason: str


_BY_STAFF_NO = Query(
    select(_PERSON.c.id, _PERSON.c.staff_no, _PERSON.c.name, _PERSON.c.tier).where(_PERSON.c.staff_no == bind("staff_no")),
    gives=tuple[int, str, str, str],
)
_REVERSAL = _ENTRY.alias("reversal")
# COALESCE: once it has statistics, SQLite takes an index on `reverses`, nearly always NULL, for of no use, and would look for a reversal
# among all that was recorded until that day, for each entry anew.
_REVERSED_BY_THEN = func.coalesce(_REVERSAL.c.recorded_at, literal("", Text)) < bind("until", MomentType)
_ENTRIES = Query(
    select(*columns(_ENTRY, _RecordedEntry, reversed_by=_REVERSAL.c.id, seq=_SEAL.c.seq))
    .join_from(_ENTRY, _REVERSAL, and_(_REVERSAL.c.reverses == _ENTRY.c.id, _REVERSED_BY_THEN), isouter=True)
    .outerjoin(_SEAL, _SEAL.c.entry_id == _ENTRY.c.id)
    .where(
        _ENTRY.c.person_id == bind("person_id"),
        _ENTRY.c.day >= bind("first"),
        _ENTRY.c.day <= bind("day"),
        _ENTRY.c.recorded_at < bind("until", MomentType),
    )
    .order_by(_ENTRY.c.day.desc(), _ENTRY.c.id.desc()),
    gives=_RecordedEntry,
)
_REFUSED = Query(
    select(*columns(_UNCREDITED, _RefusedCredit))
    .where(
        _UNCREDITED.c.person_id == bind("person_id"),
        _UNCREDITED.c.day >= bind("first"),
        _UNCREDITED.c.day <= bind("day"),
        _UNCREDITED.c.at < bind("until"),
        _UNCREDITED.c.seconds > 0,
    )
    .order_by(_UNCREDITED.c.day.desc(), _UNCREDITED.c.id.desc()),
    gives=_RefusedCredit,
)


@report("个人", about="工号", requires_about=True)
def learning_record(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """一个人的学时档案：各类合计、每笔流水的来源和规则、未计的时间和原因。"""
    need = quotas_for(ask)
    person = _BY_STAFF_NO.first(session, staff_no=ask.about)
    units = units_in(session, scope)
    unit_paths = [] if person is None else [units[unit].path for unit in units_on(session, person[0], ask.last) if unit in units]
    if person is None or (scope.roots is not None and not unit_paths):
        raise Refusal(NO_PERSON)
    person_id, staff_no, name, tier = person
    entries = _ENTRIES.all(session, person_id=person_id, first=ask.first, day=ask.last, until=ask.until)
    refused = _REFUSED.all(session, person_id=person_id, first=ask.first, day=ask.last, until=ask.until)
    return make_table(
        session,
        ask,
        "个人",
        f"{name}（{staff_no}）学时档案",
        Part("各类合计", CATEGORY_COLUMNS, _category_rows(entries, need)),
        Part("流水", ENTRY_COLUMNS, [_entry_row(entry) for entry in entries]),
        Part("未计入", REFUSED_COLUMNS, [_refused_row(credit) for credit in refused]),
        notes=[f"单位：{'、'.join(sorted(unit_paths)) or '无'}；层级：{tier or '未登记'}。", _quota_summary(entries, tier, need)],
    )


def _seconds_by_category(entries: Sequence[_RecordedEntry]) -> dict[str, int]:
    sums = dict.fromkeys(CATEGORY_LABELS, 0)
    for entry in entries:
        sums[entry.category] += entry.credit_seconds
    return sums


def _category_rows(entries: Sequence[_RecordedEntry], need: YearQuotas) -> list[Row]:
    rows: list[Row] = []
    seconds = _seconds_by_category(entries)
    for category, label in CATEGORY_LABELS.items():
        count = sum(1 for entry in entries if entry.category == category)
        rows.append((label, shown_hours(seconds[category], need.seconds_per_hour), seconds[category], count))
    rows.append(("合计", total_hours(seconds, need.seconds_per_hour), sum(seconds.values()), len(entries)))
    return rows


def _quota_summary(entries: Sequence[_RecordedEntry], tier: str, need: YearQuotas) -> str:
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


def _entry_row(entry: _RecordedEntry) -> Row:
    reversal = f"冲销 #{entry.reverses}" if entry.reverses else f"已被 #{entry.reversed_by} 冲销" if entry.reversed_by else ""
    return (
        entry.day.isoformat(),
        CATEGORY_LABELS[entry.category],
        _source_text(entry.source_kind, entry.source_id),
        entry.credit_seconds,
        rule_text(entry.rule, entry.rule_version),
        entry.id,
        reversal,
        entry.recorded_at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S"),
        entry.recorded_by,
        entry.seq,
    )


def _refused_row(refused: _RefusedCredit) -> Row:
    source = _source_text(refused.source_kind, refused.source_id)
    return (refused.day.isoformat(), source, refused.seconds, rule_text(refused.rule, refused.rule_version), refused.reason)
