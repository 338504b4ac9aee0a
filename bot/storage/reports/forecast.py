"""Forecasts of the year's hours: what is kept of them, and the report 预警: who is to miss the quota, how sure that is, what would still be enough.

A person's forecast (the arithmetic is bot/domain/hours/forecast.py) costs some 0.2 ms, too much to be made for everybody at each look. So a job
(bot/jobs/schedule.py) keeps them in the table `forecast`, each with all that it was made from: the day, the rules and the calendar (`basis`), tier,
first day, leave, and the newest entry of the ledger. A reader takes those that still hold and makes the others anew, so that what is read is always
what a computation from the ledger would give; on a day or in a database for which nothing is kept, all are made anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from sqlalchemy import Select, Text, and_, case, func, literal, select
from sqlmodel import Session

from bot.domain.calendar import ONE_DAY
from bot.domain.hours.forecast import (
    QUARTER,
    BackTest,
    EarnedOnDay,
    ForecastQuota,
    ForecastSpan,
    Outlook,
    StudyDone,
    TestedOutlook,
    WorkYear,
    catch_up_plan,
    forecast_year,
    held_against,
    study_left,
)
from bot.domain.hours.policy import HoursPolicy, YearQuotas, quotas, shown_hours, total_hours
from bot.domain.library.library import Lesson
from bot.domain.message import Refusal
from bot.domain.people.person import Absence
from bot.domain.reports import Column, Part, ReportQuery, Row, Scope, Table, percentage
from bot.domain.times import end_of
from bot.storage.db.query import Query, bind, binds, columns, insert, replacing, table
from bot.storage.hours import seals
from bot.storage.people import leave
from bot.storage.reports.scope import (
    IN_LEDGER,
    QUARTERS_PER_HOUR,
    Office,
    OfficePerson,
    make_table,
    narrow_scope,
    on_day,
    people_by_unit,
    quotas_for,
    report,
    scoped,
    units_in,
)
from bot.storage.tables.hours import EntryRow, ForecastRow, ForecastRunRow
from bot.storage.tables.library import QuestionStateRow
from bot.storage.tables.people import PersonRow, PostRow

_ENTRY, _FORECAST, _RUN, _PERSON, _POST, _QUESTION_STATE = (
    table(row) for row in (EntryRow, ForecastRow, ForecastRunRow, PersonRow, PostRow, QuestionStateRow)
)
_CAP_RULES = {"practice": "D3", "contest": "D5"}
_RULES = ("D1", "D11", *_CAP_RULES.values())
NO_QUOTA, TOO_EARLY, FINE, DOUBTFUL, LIKELY, SURE = "none", "early", "fine", "doubtful", "likely", "sure"
"""What a forecast comes to; `likely` and `sure` are those who are to miss the quota."""
PEOPLE_AT_ONCE = 500
"""How many people's entries are held in memory at a time."""


# ── What a forecast is made from ──


_KNOWN_BY_CUT = and_(_ENTRY.c.recorded_at < bind("cut"), _ENTRY.c.day <= bind("day"))
_EARNED = Query(
    select(
        _ENTRY.c.person_id,
        _ENTRY.c.category,
        _ENTRY.c.day,
        func.sum(_ENTRY.c.credit_seconds),
        func.coalesce(func.sum(_ENTRY.c.credit_seconds).filter(_KNOWN_BY_CUT), 0),
        func.max(_ENTRY.c.id),
    )
    .where(_ENTRY.c.person_id.in_(bind("ids")), _ENTRY.c.day >= bind("first"), _ENTRY.c.day <= bind("last"), _ENTRY.c.recorded_at < bind("known"))
    .group_by(_ENTRY.c.person_id, _ENTRY.c.category, _ENTRY.c.day),
    gives=tuple[int, str, date, int, int, int],
)
# Reversals name the same lesson as what they take back, and a lesson taken back earns no second time: no need to tell them apart.
_LESSON = case((_ENTRY.c.source_kind == "lesson", _ENTRY.c.source_id), else_="")
_STUDIED = Query(
    select(
        _ENTRY.c.person_id,
        _LESSON,
        func.coalesce(func.sum(_ENTRY.c.credit_seconds).filter(_ENTRY.c.category == "practice"), 0),
        func.count().filter(_ENTRY.c.source_kind == "item", _ENTRY.c.reverses.is_(None)),
    )
    .where(_ENTRY.c.person_id.in_(bind("ids")), IN_LEDGER)
    .group_by(_ENTRY.c.person_id, _LESSON),
    gives=tuple[int, str, int, int],
)
_FIRST_DAYS = Query(
    select(_PERSON.c.id, _PERSON.c.tier, _PERSON.c.joined_on).where(_PERSON.c.id.in_(bind("ids"))), gives=tuple[int, str, date | None]
)
_ACTIVE_QUESTIONS = Query(select(_QUESTION_STATE.c.question).where(_QUESTION_STATE.c.state == "active"), gives=str)


@dataclass(slots=True)
class YearEarnings:
    """What somebody earned in a year: `earned` until a day, as known at its end; `final` all of it, as known now; `newest` the last entry of it."""

    earned: list[EarnedOnDay] = field(default_factory=list)
    final: dict[str, int] = field(default_factory=dict)
    newest: int = 0


def year_earnings(session: Session, ids: Collection[int], cut: date, known_until: datetime) -> dict[int, YearEarnings]:
    """The year of `cut` of those who earned anything in it; `known_until` is the moment up to which the ledger is read for `final`."""
    by_person: dict[int, YearEarnings] = {}
    rows = _EARNED.all(
        session,
        ids=ids,
        day=cut,
        first=date(cut.year, 1, 1),
        last=date(cut.year, 12, 31),
        cut=end_of(cut),
        known=known_until,
    )
    for person_id, category, day, seconds, seconds_known, newest in rows:
        year = by_person.setdefault(person_id, YearEarnings())
        year.final[category] = year.final.get(category, 0) + seconds
        year.newest = max(year.newest, newest)
        if seconds_known:
            year.earned.append(EarnedOnDay(category, day, seconds_known))
    return by_person


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


def first_days(session: Session, ids: Collection[int]) -> dict[int, tuple[str, date | None]]:
    """Tier and first day of people."""
    return {person_id: (tier, joined_on) for person_id, tier, joined_on in _FIRST_DAYS.all(session, ids=ids)}


def studied(session: Session, ids: Collection[int], ask: ReportQuery) -> dict[int, StudyDone]:
    """What people have learned this year by the day asked for; who has learned nothing is not in it."""
    sums: dict[int, tuple[set[str], list[int]]] = {}
    for person_id, source_id, seconds, items in _STUDIED.all(session, ids=ids, first=ask.first, day=ask.last, until=ask.until):
        lessons, counts = sums.setdefault(person_id, (set(), [0, 0]))
        if source_id:
            lessons.add(source_id.partition(":")[2])
        counts[0] += seconds
        counts[1] += items
    return {person_id: StudyDone(frozenset(lessons), *counts) for person_id, (lessons, counts) in sums.items()}


def count_questions(session: Session, ask: ReportQuery) -> int:
    """How many questions may be drawn."""
    return sum(question in ask.library.questions for question in _ACTIVE_QUESTIONS.all(session))


# ── The forecasts of a day ──


@dataclass(frozen=True, slots=True)
class PersonForecast:
    """One person's forecast with what it was made from; `tested` is how the same arithmetic did in the year before, None where it says nothing."""

    person_id: int
    tier: str
    joined_on: date | None
    away: str
    newest: int
    outlook: Outlook | None
    verdict: str
    tested: TestedOutlook | None


def verdict_of(outlook: Outlook) -> str:
    if outlook.will_miss:
        return SURE if outlook.will_surely_miss else LIKELY
    return DOUBTFUL if outlook.doubtful else FINE


class _ForecastYear:
    """One year from one day of it: quotas by tier and spans by first day and leave, each worked out once."""

    def __init__(self, ask: ReportQuery, cut: date) -> None:
        self.cut, self.policy = cut, ask.policy
        self.work_year = WorkYear(cut.year, ask.library.calendar)
        self.need = quotas(ask.policy, cut)
        self._quotas: dict[str, ForecastQuota | None] = {}
        self._spans: dict[tuple[date | None, tuple[Absence, ...]], ForecastSpan] = {}

    def quota(self, tier: str) -> ForecastQuota | None:
        if tier not in self._quotas:
            self._quotas[tier] = forecast_quota(tier, self.need, self.policy, self.cut)
        return self._quotas[tier]

    def outlook(self, quota: ForecastQuota, earned: Sequence[EarnedOnDay], joined_on: date | None, away: tuple[Absence, ...]) -> Outlook | None:
        span = self._spans.get((joined_on, away))
        if span is None:
            span = self._spans[joined_on, away] = self.work_year.span(self.cut, joined_on, away)
        return forecast_year(earned, self.cut, span, quota)

    def __str__(self) -> str:
        """Everything of it that a forecast depends on."""
        rules = [(rule.line, rule.version, rule.body) for line in _RULES for rule in self.policy.versions if rule.line == line]
        return f"{self.cut} {rules} {self.work_year.days}"


@dataclass(frozen=True, slots=True)
class _KeptRun:
    """For which basis everybody's forecast is kept, and the newest entry of the ledger by then."""

    basis: str
    entry_id: int


@dataclass(frozen=True, slots=True)
class _TestedSums:
    """How the forecasts of the year before did: people of whom nothing is kept, people tested, their errors in quarters, hits, ranges that held."""

    to_make: int
    people: int
    quarters: int
    hits: int
    held: int


_KEPT_RUN = Query(select(*columns(_RUN, _KeptRun)).where(_RUN.c.id == 1), gives=_KeptRun)
_SAVE_RUN = Query(replacing(insert(_RUN).values(binds("basis", "entry_id", "made_at") | {"id": 1}), ["id"], "basis", "entry_id", "made_at"))
_FIGURES = [column.name for column in _FORECAST.c if column.name != "person_id"]
_SAVE = Query(replacing(insert(_FORECAST).values(binds("person_id", *_FIGURES)), ["person_id"], *_FIGURES))
_NEWEST_ENTRY = Query(select(func.coalesce(func.max(_ENTRY.c.id), 0)), gives=int)
_KEPT_AWAY = Query(
    select(_FORECAST.c.person_id, _FORECAST.c.away).where(_FORECAST.c.basis == bind("basis"), _FORECAST.c.away != ""), gives=tuple[int, str]
)
_NEWEST_OF_PERSON = (
    select(_ENTRY.c.person_id, func.max(_ENTRY.c.id).label("newest"))
    .where(_ENTRY.c.id > bind("entry_id"), _ENTRY.c.day >= bind("first"), _ENTRY.c.day <= bind("last"))
    .group_by(_ENTRY.c.person_id)
    .subquery("newest_of_person")
)
_EARNED_SINCE = Query(
    select(_FORECAST.c.person_id)
    .join_from(_NEWEST_OF_PERSON, _FORECAST, _FORECAST.c.person_id == _NEWEST_OF_PERSON.c.person_id)
    .where(_FORECAST.c.basis == bind("basis"), _NEWEST_OF_PERSON.c.newest > _FORECAST.c.entry_id),
    gives=int,
)
_NO_DAY = literal("", Text)
_HOLDS = and_(
    _FORECAST.c.basis == bind("basis"),
    _FORECAST.c.tier == _PERSON.c.tier,
    func.coalesce(_FORECAST.c.joined_on, _NO_DAY) == func.coalesce(_PERSON.c.joined_on, _NO_DAY),
)


def _over_office(office: Office, *figures: Any) -> Select[Any]:
    """Figures of everybody in office, each once, with the forecast that is kept of them and still holds."""
    people = select(office.posts.c.person_id).distinct().subquery("people")
    holds = and_(_FORECAST.c.person_id == _PERSON.c.id, _HOLDS, _FORECAST.c.person_id.not_in(bind("changed")))
    return select(*figures).join_from(people, _PERSON, _PERSON.c.id == people.c.person_id).outerjoin(_FORECAST, holds)


_VERDICT = func.coalesce(_FORECAST.c.verdict, "")
_VERDICTS = scoped(lambda office: _over_office(office, _VERDICT, func.count()).group_by(_VERDICT), gives=tuple[str, int])
_TESTED = scoped(
    lambda office: _over_office(
        office,
        (func.count() - func.count(_FORECAST.c.person_id)).label("to_make"),
        func.count(_FORECAST.c.tested_error).label("people"),
        func.coalesce(func.sum(_FORECAST.c.tested_error), 0).label("quarters"),
        func.count().filter(_FORECAST.c.tested_hit == 1).label("hits"),
        func.count().filter(_FORECAST.c.range_held == 1).label("held"),
    ),
    gives=_TestedSums,
)
_TO_MAKE = scoped(lambda office: _over_office(office, _PERSON.c.id).where(_FORECAST.c.person_id.is_(None)).order_by(_PERSON.c.id), gives=int)
_MISSING_OF_UNIT = Query(
    select(_FORECAST.c.person_id, _PERSON.c.tier, _FORECAST.c.outlook)
    .join_from(_POST, _PERSON, _PERSON.c.id == _POST.c.person_id)
    .join(_FORECAST, _FORECAST.c.person_id == _PERSON.c.id)
    .where(_POST.c.unit_id == bind("unit"), on_day(_POST), _FORECAST.c.verdict.in_([LIKELY, SURE]), _HOLDS),
    gives=tuple[int, str, str],
)


class Forecasts:
    """The forecasts of the day asked for: those kept that still hold, and the others, made when they are first asked for.

    Raises `UnknownYear` when nobody has entered the calendar of the year.
    """

    def __init__(self, session: Session, ask: ReportQuery) -> None:
        self.session, self.ask = session, ask
        self.this_year = _ForecastYear(ask, ask.last)
        self.year_before: _ForecastYear | None = None
        if ask.library.calendar.knows(ask.year - 1):
            cut = ask.last.replace(year=ask.year - 1, day=min(ask.last.day, 28) if ask.last.month == 2 else ask.last.day)
            self.year_before = _ForecastYear(ask, cut)
        self.away = {person_id: tuple(stays) for person_id, stays in leave.absences_by_person(session).items()}
        self.basis = f"{ask.last} {hashlib.sha256(f'{self.this_year} {self.year_before}'.encode()).hexdigest()[:16]}"
        self.made: dict[int, PersonForecast] = {}
        run = _KEPT_RUN.first(session)
        self.are_kept = run is not None and run.basis == self.basis
        self._known_entry = run.entry_id if run is not None and self.are_kept else 0

    @cached_property
    def changed(self) -> set[int]:
        """Who has earned, lost an entry or changed their leave since their forecast was kept."""
        if not self.are_kept:
            return set()
        entry_id = self._known_entry
        if self.session.get_bind().dialect.name != "sqlite":
            # Writers on PostgreSQL commit out of order: an older entry may have come to light since.
            entry_id -= seals.WINDOW
        first, last = date(self.ask.year - 1, 1, 1), date(self.ask.year, 12, 31)
        earned = _EARNED_SINCE.all(self.session, entry_id=entry_id, first=first, last=last, basis=self.basis)
        kept_away = dict(_KEPT_AWAY.all(self.session, basis=self.basis))
        away = {person_id: _away_text(stays) for person_id, stays in self.away.items()}
        moved = {person_id for person_id in kept_away.keys() | away.keys() if kept_away.get(person_id, "") != away.get(person_id, "")}
        return moved.union(earned)

    def _kept(self, day: date) -> dict[str, Any]:
        """The values by which the statements over an office know the forecasts that hold; with no basis there are none."""
        return {"basis": self.basis if self.are_kept else "", "changed": self.changed, "day": day}

    def to_make(self, scope: Scope, day: date) -> list[int]:
        """Who was in office in a scope on a day and has no forecast that holds."""
        return _TO_MAKE.all(self.session, scope, **self._kept(day))

    def make(self, ids: Sequence[int]) -> Iterator[PersonForecast]:
        """The forecasts of people from the ledger, a few hundred people at a time."""
        for place in range(0, len(ids), PEOPLE_AT_ONCE):
            some = ids[place : place + PEOPLE_AT_ONCE]
            now = year_earnings(self.session, some, self.this_year.cut, self.ask.until)
            before = {} if self.year_before is None else year_earnings(self.session, some, self.year_before.cut, self.ask.until)
            for person_id, (tier, joined_on) in first_days(self.session, some).items():
                yield self._make(person_id, tier, joined_on, now.get(person_id), before.get(person_id))

    def _make(self, person_id: int, tier: str, joined_on: date | None, now: YearEarnings | None, before: YearEarnings | None) -> PersonForecast:
        away = self.away.get(person_id, ())
        quota = self.this_year.quota(tier)
        outlook = None if quota is None else self.this_year.outlook(quota, now.earned if now else (), joined_on, away)
        verdict = NO_QUOTA if quota is None else TOO_EARLY if outlook is None else verdict_of(outlook)
        newest = max(year.newest for year in (now, before) if year) if now or before else 0
        tested = self._tested(tier, joined_on, before, away)
        return PersonForecast(person_id, tier, joined_on, _away_text(away), newest, outlook, verdict, tested)

    def _tested(self, tier: str, joined_on: date | None, before: YearEarnings | None, away: tuple[Absence, ...]) -> TestedOutlook | None:
        quota = None if self.year_before is None else self.year_before.quota(tier)
        if self.year_before is None or quota is None or before is None or not before.final:
            return None
        outlook = self.year_before.outlook(quota, before.earned, joined_on, away)
        if outlook is None:
            return None
        return held_against(outlook, total_hours(before.final, quota.per_hour), shown_hours(before.final.get("collective", 0), quota.per_hour))

    def _made(self, ids: Sequence[int]) -> list[PersonForecast]:
        self.made.update((forecast.person_id, forecast) for forecast in self.make([person_id for person_id in ids if person_id not in self.made]))
        return [self.made[person_id] for person_id in ids]

    def verdicts(self, scope: Scope) -> Counter[str]:
        """How many people in office in a scope have which verdict. From here on `missing_in` knows all of them."""
        rows = _VERDICTS.all(self.session, scope, **self._kept(self.ask.last))
        counts: Counter[str] = Counter({verdict: count for verdict, count in rows if verdict})
        if any(not verdict for verdict, _ in rows):
            counts.update(forecast.verdict for forecast in self._made(self.to_make(scope, self.ask.last)))
        return counts

    def missing_in(self, unit_id: int, people: Collection[int]) -> dict[int, Outlook]:
        """The outlooks of those among the people of a unit who are to miss the quota."""
        outlooks: dict[int, Outlook] = {}
        if self.are_kept:
            for person_id, tier, figures in _MISSING_OF_UNIT.all(self.session, unit=unit_id, day=self.ask.last, basis=self.basis):
                quota = self.this_year.quota(tier)
                if person_id not in self.changed and quota is not None:
                    outlooks[person_id] = _outlook_from_text(quota, figures)
        for person_id in people:
            made = self.made.get(person_id)
            if made is not None and made.outlook is not None and made.outlook.will_miss:
                outlooks[person_id] = made.outlook
        return outlooks

    def back_test(self) -> BackTest | None:
        """The same day of the year before, over the whole agency: only sums leave here, so no scope is overstepped."""
        if self.year_before is None:
            return None
        cut = self.year_before.cut
        sums = _TESTED.one(self.session, Scope(), **self._kept(cut))
        result = BackTest(cut, sums.people, sums.quarters * QUARTER, sums.hits, sums.held)
        for made in self._made(self.to_make(Scope(), cut)) if sums.to_make else ():
            if made.tested is not None:
                result.add(made.tested)
        return result if result.people else None


# ── Keeping them ──


def to_keep(session: Session, ask: ReportQuery) -> tuple[str, list[int], int]:
    """The basis of today's forecasts, whose have to be made and kept anew, and the newest entry of the ledger, to be kept when that is done."""
    forecasts = Forecasts(session, ask)
    people = {*forecasts.changed, *forecasts.to_make(Scope(), ask.last)}
    if forecasts.year_before is not None:
        people.update(forecasts.to_make(Scope(), forecasts.year_before.cut))
    return forecasts.basis, sorted(people), _NEWEST_ENTRY.one(session)


def make(session: Session, ask: ReportQuery, ids: Sequence[int]) -> list[PersonForecast]:
    """The forecasts of people, from the ledger as it stands now."""
    return list(Forecasts(session, ask).make(ids))


def keep(session: Session, basis: str, forecasts: Sequence[PersonForecast]) -> None:
    """Keep forecasts in place of what was kept of these people."""
    _SAVE.many(session, [{"basis": basis, **_kept_values(forecast)} for forecast in forecasts])


def keep_run(session: Session, basis: str, entry_id: int, now: datetime) -> None:
    """Say that all forecasts of a basis are kept, and know the ledger as far as an entry."""
    _SAVE_RUN.run(session, basis=basis, entry_id=entry_id, made_at=now)


def _kept_values(forecast: PersonForecast) -> dict[str, Any]:
    outlook, tested = forecast.outlook, forecast.tested
    return {
        "person_id": forecast.person_id,
        "entry_id": forecast.newest,
        "tier": forecast.tier,
        "joined_on": forecast.joined_on,
        "away": forecast.away,
        "verdict": forecast.verdict,
        "outlook": "" if outlook is None else " ".join(map(str, (outlook.total, outlook.expected, outlook.margin, *outlook.collective))),
        "tested_error": None if tested is None else int(tested.error * QUARTERS_PER_HOUR),
        "tested_hit": None if tested is None else tested.is_hit,
        "range_held": None if tested is None else tested.range_held,
    }


def _outlook_from_text(quota: ForecastQuota, figures: str) -> Outlook:
    total, expected, margin, collective, collective_expected = map(Decimal, figures.split())
    return Outlook(quota, total, expected, margin, (collective, collective_expected))


def _away_text(stays: Sequence[Absence]) -> str:
    return " ".join(f"{stay.since}/{stay.until or ''}" for stay in stays)


def people_to_miss(session: Session, scope: Scope, ask: ReportQuery) -> list[int]:
    """Who in a scope will miss the quota at the present pace, without those who are away on the day, by id. Raises `UnknownYear`."""
    forecasts = Forecasts(session, ask)
    forecasts.verdicts(scope)
    return sorted(
        person_id
        for unit, people in people_by_unit(session, units_in(session, scope), ask.last)
        for person_id in forecasts.missing_in(unit.id, {person.id for person in people}).keys() & {person.id for person in people}
        if not any(ask.last in stay for stay in forecasts.away.get(person_id, ()))
    )


# ── 预警 ──


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


@report("预警", about="单位")
def shortfall_forecast(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """按今年的进度，哪些人年底达不到学时，误差多大，每个工作日补多少分钟还来得及。"""
    quotas_for(ask)
    if ask.last != ask.as_of:
        raise Refusal(f"{ask.year} 年度已经结束，不再预测，请看「报表 达标率」。")
    scope, scope_name = narrow_scope(session, scope, ask.about)
    forecasts = Forecasts(session, ask)
    counts = forecasts.verdicts(scope)
    rows = ShortfallRows(forecasts, scope, counts[LIKELY] + counts[SURE])
    notes = [
        f"{counts.total() - counts[NO_QUOTA] - counts[TOO_EARLY]} 人中，按今年的进度 {len(rows)} 人年底不能达标（很可能 {counts[SURE]} 人），"
        f"另有 {counts[DOUBTFUL]} 人在误差之内。",
        back_test_text(forecasts.back_test()),
    ]
    if counts[TOO_EARLY]:
        notes.append(f"{counts[TOO_EARLY]} 人今年在岗不足 20 个工作日，不作预测。")
    terms = [
        "进度：今年至今各类学时除以在岗工作日（请假、借调除外），照此推到年底；±：按本人各周的波动，五次里约四次落在这个范围内。",
        "每日分钟：从次日起每个工作日自学这么多分钟，到达标日补足差额；空着表示来不及只靠自学，集体学法的差额只能参加集体学法来补。",
    ]
    title = f"学时预警（{scope_name}）" if scope_name else "学时预警"
    return make_table(session, ask, "预警", title, Part("预计不能达标的人", COLUMNS, rows), notes=notes, terms=terms)


class ShortfallRows:
    """Who is to miss the quota, in the order of the tree, in a unit the furthest from it first; read unit after unit while they are gone through."""

    def __init__(self, forecasts: Forecasts, scope: Scope, size: int) -> None:
        self.forecasts, self.size = forecasts, size
        self.units = units_in(forecasts.session, scope)
        self.workdays_left = forecasts.this_year.work_year.between(forecasts.ask.last + ONE_DAY, date(forecasts.ask.year, 12, 31))
        self.questions = count_questions(forecasts.session, forecasts.ask)
        self._lessons: dict[str, tuple[Lesson, ...]] = {}

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Row]:
        session, ask = self.forecasts.session, self.forecasts.ask
        for unit, people in people_by_unit(session, self.units, ask.last):
            outlooks = self.forecasts.missing_in(unit.id, {person.id for person in people})
            listed = [person for person in people if person.id in outlooks]
            done = studied(session, [person.id for person in listed], ask) if listed else {}
            listed.sort(key=lambda person: (outlooks[person.id].expected - outlooks[person.id].quota.need, person.staff_no))
            for person in listed:
                yield self._row(person, outlooks[person.id], done.get(person.id, StudyDone()))

    def _row(self, person: OfficePerson, outlook: Outlook, done: StudyDone) -> Row:
        ask, away = self.forecasts.ask, self.forecasts.away.get(person.id, ())
        if person.tier not in self._lessons:
            self._lessons[person.tier] = ask.library.lessons_for(person.tier, ask.last)
        left = study_left(done, self._lessons[person.tier], self.questions, ask.policy, ask.last)
        days = [day for day in self.workdays_left if not any(day in stay for stay in away)] if away else self.workdays_left
        plan = catch_up_plan(outlook, left, days, ask.policy, ask.last)
        return (
            person.staff_no,
            person.name,
            person.units[0],
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


def back_test_text(result: BackTest | None) -> str:
    """How far to trust the figures, in a sentence."""
    if result is None:
        return "回测：没有上年同期的数据可以检验，误差未知，只供参考。"
    return (
        f"回测：用同样的办法从 {result.cut.isoformat()} 推算上年年底，{result.people} 人平均绝对误差 {result.mean_error} 学时，"
        f"达标与否判对 {percentage(result.hits, result.people)}%，± 范围说中 {percentage(result.ranges_held, result.people)}%。"
    )
