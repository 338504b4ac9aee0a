"""Report 个人: one person's year, from the total down to each entry of the ledger and the time that was not credited."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from bot.domain.hours.entry_hash import rule_text
from bot.domain.hours.policy import CATEGORY_LABELS, SOURCE_LABELS, YearQuotas, hours_text, shown_hours, total_hours
from bot.domain.message import Refusal
from bot.domain.reports import Column, Part, ReportQuery, Row, Scope, Table
from bot.domain.times import SHANGHAI
from bot.storage.db.query import Statement
from bot.storage.reports.scope import bind_values, make_table, quotas_for, report, units_in, units_on
from bot.storage.tables.columns import moment

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
_ENTRIES = Statement(
    """SELECT l.id, l.day, l.category, l.credit_seconds, l.source_kind, l.source_id, l.rule, l.rule_version, l.recorded_at, l.recorded_by,
              l.reverses, r.id, s.seq
       FROM ledger l LEFT JOIN ledger r ON r.reverses = l.id AND r.recorded_at < :until LEFT JOIN seal s ON s.entry_id = l.id
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
