"""Report 预警: who is forecast to miss the yearly quota, how sure that is, and what daily study would still be enough.

The daily earnings behind it are read in one pass over the ledger, one person after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

from sqlmodel import Session

from bot.domain.calendar import ONE_DAY
from bot.domain.hours.forecast import BackTest, EarnedOnDay, ForecastQuota, Outlook, WorkYear, back_test, forecast_year, smallest_plan
from bot.domain.hours.policy import HoursPolicy, YearQuotas, quotas, shown_hours, total_hours
from bot.domain.message import Refusal
from bot.domain.reports import Column, Part, ReportQuery, Row, Scope, Table, percentage
from bot.domain.times import end_of
from bot.storage.db.query import Statement, stream
from bot.storage.people import leave
from bot.storage.reports.scope import bind_values, make_table, narrow_scope, office_sql, quotas_for, report, units_in
from bot.storage.tables.columns import stamp

_CAP_RULES = {"practice": "D3", "contest": "D5"}
_EARNED = Statement(
    """SELECT category, day, SUM(credit_seconds) FROM ledger
       WHERE person_id = :person_id AND day >= :first AND day <= :last GROUP BY category, day"""
)
_JOINED = Statement("SELECT joined_on FROM person WHERE id = :person_id")
# Reversals name the same lesson as what they take back, and a lesson taken back earns no second time: no need to tell them apart.
_LESSONS = Statement(
    "SELECT DISTINCT source_id FROM ledger WHERE person_id = :person_id AND day >= :first AND day <= :last AND source_kind = 'lesson'"
)


@dataclass(slots=True)
class EarningPerson:
    """Somebody in office with what they earned: `earned` as known at the cut, `final` all of the year as known at the end."""

    id: int
    staff_no: str
    name: str
    tier: str
    joined_on: date | None
    earned: list[EarnedOnDay] = field(default_factory=list)
    final: dict[str, int] = field(default_factory=dict)


def forecast_quota(tier: str, need: YearQuotas, policy: HoursPolicy, day: date) -> ForecastQuota | None:
    """What a tier is asked for on a day; None when nothing is."""
    hours = need.need(tier)
    if hours is None:
        return None
    caps: dict[str, int] = {}
    for category, line in _CAP_RULES.items():
        if any(rule.line == line for rule in policy.versions):
            caps[category] = policy.seconds(policy.at(line, day).number("year_cap"), day)
    return ForecastQuota(hours, need.floor(tier), need.seconds_per_hour, caps)


def people_with_earnings(session: Session, scope: Scope, cut: date, known_until: datetime) -> Iterator[EarningPerson]:
    """Everybody in office in a scope on a day, with the year until then as the ledger stood at the end of that day.

    `known` is the moment up to which the ledger is read for `final`, which holds the whole year.
    """
    values = {
        "day": cut.isoformat(),
        "first": date(cut.year, 1, 1).isoformat(),
        "last": date(cut.year, 12, 31).isoformat(),
        "cut": stamp(end_of(cut)),
        "known": stamp(known_until),
    }
    text = f"""WITH RECURSIVE {office_sql(scope)},
        who AS (SELECT DISTINCT person_id FROM office)
        SELECT p.id, p.staff_no, p.name, p.tier, p.joined_on, l.category, l.day, CAST(SUM(l.credit_seconds) AS BIGINT),
               CAST(SUM(CASE WHEN l.recorded_at < :cut AND l.day <= :day THEN l.credit_seconds ELSE 0 END) AS BIGINT)
        FROM who w JOIN person p ON p.id = w.person_id
        LEFT JOIN ledger l ON l.person_id = p.id AND l.day >= :first AND l.day <= :last AND l.recorded_at < :known
        GROUP BY p.id, p.staff_no, p.name, p.tier, p.joined_on, l.category, l.day ORDER BY p.id"""  # noqa: S608
    for _, rows in groupby(stream(session, text, values), key=itemgetter(0)):
        person: EarningPerson | None = None
        for person_id, staff_no, name, tier, joined_on, category, day, seconds, seconds_known in rows:
            if person is None:
                person = EarningPerson(person_id, staff_no, name, tier, joined_on and date.fromisoformat(joined_on))
            if category is not None:
                person.final[category] = person.final.get(category, 0) + int(seconds)
                if seconds_known:
                    person.earned.append(EarnedOnDay(category, date.fromisoformat(day), int(seconds_known)))
        assert person is not None
        yield person


def earned_by_day(session: Session, person_id: int, day: date) -> list[EarnedOnDay]:
    """What one person earned this year until a day."""
    rows = _EARNED.all(session, person_id=person_id, first=date(day.year, 1, 1).isoformat(), last=day.isoformat())
    return [EarnedOnDay(row[0], date.fromisoformat(row[1]), int(row[2])) for row in rows]


def joined_on(session: Session, person_id: int) -> date | None:
    row = _JOINED.one(session, person_id=person_id)
    return None if row is None or row[0] is None else date.fromisoformat(row[0])


def lessons_earned(session: Session, person_id: int, year: int) -> set[str]:
    """The lessons that earned already this year and earn nothing more."""
    rows = _LESSONS.all(session, person_id=person_id, first=date(year, 1, 1).isoformat(), last=date(year, 12, 31).isoformat())
    return {row[0].partition(":")[2] for row in rows}


COLUMNS = (
    Column("staff_no", "工号"),
    Column("name", "姓名"),
    Column("unit", "单位"),
    Column("tier", "层级", phone="never"),
    Column("total", "已有", "hours"),
    Column("need", "应达", "hours"),
    Column("expected", "预计年底", "hours"),
    Column("margin", "±", "hours"),
    Column("chance", "不达标"),
    Column("short", "集体学法差额", "hours", phone="if any"),
    Column("minutes", "每日分钟", "int"),
    Column("reached_on", "达标日", phone="never"),
)
MAX_MINUTES = 90
"""What a day can hold of online study (rule D2); a plan beyond it is none."""


@report("预警", about="单位")
def shortfall_forecast(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """按今年的进度，哪些人年底达不到学时，误差多大，每个工作日补多少分钟还来得及。"""
    need = quotas_for(ask)
    if ask.last != ask.as_of:
        raise Refusal(f"{ask.year} 年度已经结束，不再预测，请看「报表 达标率」。")
    scope, scope_name = narrow_scope(session, scope, ask.about)
    year = WorkYear(ask.year, ask.calendar)
    workdays_left = year.between(ask.last + ONE_DAY, date(ask.year, 12, 31))
    units = _unit_of_person(session, scope, ask)
    listed: list[tuple[int, Decimal, Row]] = []
    counts = {"counted": 0, "surely": 0, "doubtful": 0, "early": 0}
    for person, outlook in _outlooks(session, scope, ask, need, year):
        if outlook is None:
            counts["early"] += 1
            continue
        counts["counted"] += 1
        counts["doubtful"] += outlook.doubtful
        if outlook.will_miss:
            counts["surely"] += outlook.will_surely_miss
            place, unit = units[person.id]
            listed.append((place, outlook.expected - outlook.quota.need, _person_row(person, unit, outlook, workdays_left)))
    rows = [row for _, _, row in sorted(listed, key=lambda entry: (entry[0], entry[1], entry[2][0]))]
    notes = [
        f"{counts['counted']} 人中，按今年的进度 {len(rows)} 人年底不能达标（很可能 {counts['surely']} 人），"
        f"另有 {counts['doubtful']} 人在误差之内。",
        back_test_text(_back_test_last_year(session, ask, need)),
    ]
    if counts["early"]:
        notes.append(f"{counts['early']} 人今年在岗不足 20 个工作日，不作预测。")
    terms = [
        "进度：今年至今各类学时除以在岗工作日（请假、借调除外），照此推到年底；±：按本人各周的波动，五次里约四次落在这个范围内。",
        "每日分钟：从次日起每个工作日自学这么多分钟，到达标日补足差额；空着表示来不及只靠自学，集体学法的差额只能参加集体学法来补。",
    ]
    title = f"学时预警（{scope_name}）" if scope_name else "学时预警"
    return make_table(session, ask, "预警", title, Part("预计不能达标的人", COLUMNS, rows), notes=notes, terms=terms)


def _outlooks(session: Session, scope: Scope, ask: ReportQuery, need: YearQuotas, year: WorkYear) -> Iterator[tuple[EarningPerson, Outlook | None]]:
    away = leave.absences_by_person(session)
    for person in people_with_earnings(session, scope, ask.last, ask.until):
        quota = forecast_quota(person.tier, need, ask.policy, ask.last)
        if quota is not None:
            span = year.span(ask.last, person.joined_on, away.get(person.id, ()))
            yield person, forecast_year(person.earned, ask.last, span, quota)


def _person_row(person: EarningPerson, unit: str, outlook: Outlook, workdays_left: Sequence[date]) -> Row:
    plan = smallest_plan(int(outlook.missing * outlook.quota.per_hour), workdays_left, MAX_MINUTES)
    return (
        person.staff_no,
        person.name,
        unit,
        person.tier,
        outlook.total,
        outlook.quota.need,
        outlook.expected,
        outlook.margin,
        "很可能" if outlook.will_surely_miss else "可能",
        outlook.collective_missing,
        plan.minutes if plan else None,
        plan.day.isoformat() if plan else None,
    )


def _unit_of_person(session: Session, scope: Scope, ask: ReportQuery) -> dict[int, tuple[int, str]]:
    """The first unit of each person in the order of the tree, with its place there."""
    order = {unit.id: (place, unit.path) for place, unit in enumerate(units_in(session, scope).values())}
    place_of_person: dict[int, tuple[int, str]] = {}
    for person_id, unit_id in stream(session, f"WITH RECURSIVE {office_sql(scope)} SELECT person_id, unit_id FROM office", bind_values(ask)):  # noqa: S608
        if unit_id in order:
            place_of_person[person_id] = min(place_of_person.get(person_id, order[unit_id]), order[unit_id])
    return place_of_person


# ── The back-test ──


def _back_test_last_year(session: Session, ask: ReportQuery, need: YearQuotas) -> BackTest | None:
    """The same day of the year before, over the whole agency: only sums leave here, so no scope is overstepped."""
    before = ask.year - 1
    if not ask.calendar.knows(before):
        return None
    cut = ask.last.replace(year=before, day=min(ask.last.day, 28) if ask.last.month == 2 else ask.last.day)
    year, quotas_then = WorkYear(before, ask.calendar), quotas(ask.policy, cut)
    away = leave.absences_by_person(session)

    def outcomes() -> Iterator[tuple[Outlook, Decimal, Decimal]]:
        for person in people_with_earnings(session, Scope(), cut, ask.until):
            quota = forecast_quota(person.tier, quotas_then, ask.policy, cut)
            if quota is None or not person.final:
                continue
            outlook = forecast_year(person.earned, cut, year.span(cut, person.joined_on, away.get(person.id, ())), quota)
            if outlook is not None:
                per_hour = quota.per_hour
                yield outlook, total_hours(person.final, per_hour), shown_hours(person.final.get("collective", 0), per_hour)

    return back_test(cut, outcomes())


def back_test_text(result: BackTest | None) -> str:
    """How far to trust the figures, in a sentence."""
    if result is None:
        return "回测：没有上年同期的数据可以检验，误差未知，只供参考。"
    return (
        f"回测：用同样的办法从 {result.cut.isoformat()} 推算上年年底，{result.people} 人平均绝对误差 {result.mean_error} 学时，"
        f"达标与否判对 {percentage(result.hits, result.people)}%，± 范围说中 {percentage(result.ranges_held, result.people)}%。"
    )
