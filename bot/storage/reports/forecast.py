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
from bot.storage.db.query import Statement
from bot.storage.hours import seals
from bot.storage.people import leave
from bot.storage.reports.scope import (
    QUARTERS_PER_HOUR,
    OfficePerson,
    bind_values,
    make_table,
    narrow_scope,
    office_sql,
    people_by_unit,
    quotas_for,
    report,
    units_in,
)
from bot.storage.tables.columns import stamp

_CAP_RULES = {"practice": "D3", "contest": "D5"}
_RULES = ("D1", "D11", *_CAP_RULES.values())
NO_QUOTA, TOO_EARLY, FINE, DOUBTFUL, LIKELY, SURE = "none", "early", "fine", "doubtful", "likely", "sure"
"""What a forecast comes to; `likely` and `sure` are those who are to miss the quota."""
PEOPLE_AT_ONCE = 500
"""How many people's entries are held in memory at a time."""


# ── What a forecast is made from ──


_EARNED = """SELECT l.person_id, l.category, l.day, CAST(SUM(l.credit_seconds) AS BIGINT),
        CAST(SUM(CASE WHEN l.recorded_at < :cut AND l.day <= :day THEN l.credit_seconds ELSE 0 END) AS BIGINT), MAX(l.id)
    FROM ledger l WHERE l.person_id IN ({ids}) AND l.day >= :first AND l.day <= :last AND l.recorded_at < :known
    GROUP BY l.person_id, l.category, l.day"""
# Reversals name the same lesson as what they take back, and a lesson taken back earns no second time: no need to tell them apart.
_STUDIED = """SELECT l.person_id, CASE WHEN l.source_kind = 'lesson' THEN l.source_id ELSE '' END,
        CAST(SUM(CASE WHEN l.category = 'practice' THEN l.credit_seconds ELSE 0 END) AS BIGINT),
        SUM(CASE WHEN l.source_kind = 'item' AND COALESCE(l.reverses, 0) = 0 THEN 1 ELSE 0 END)
    FROM ledger l WHERE l.person_id IN ({ids}) AND l.day >= :first AND l.day <= :day AND l.recorded_at < :until
    GROUP BY l.person_id, CASE WHEN l.source_kind = 'lesson' THEN l.source_id ELSE '' END"""
_PEOPLE = "SELECT id, tier, joined_on FROM person WHERE id IN ({ids})"
_ACTIVE_QUESTIONS = Statement("SELECT question FROM question_state WHERE state = 'active'")


@dataclass(slots=True)
class YearEarnings:
    """What somebody earned in a year: `earned` until a day, as known at its end; `final` all of it, as known now; `newest` the last entry of it."""

    earned: list[EarnedOnDay] = field(default_factory=list)
    final: dict[str, int] = field(default_factory=dict)
    newest: int = 0


def _id_list(ids: Collection[int]) -> str:
    return ", ".join(str(int(person_id)) for person_id in ids) or "NULL"


def year_earnings(session: Session, ids: Collection[int], cut: date, known_until: datetime) -> dict[int, YearEarnings]:
    """The year of `cut` of those who earned anything in it; `known_until` is the moment up to which the ledger is read for `final`."""
    values = {
        "day": cut.isoformat(),
        "first": date(cut.year, 1, 1).isoformat(),
        "last": date(cut.year, 12, 31).isoformat(),
        "cut": stamp(end_of(cut)),
        "known": stamp(known_until),
    }
    by_person: dict[int, YearEarnings] = {}
    for person_id, category, day, seconds, seconds_known, newest in Statement(_EARNED.format(ids=_id_list(ids))).all(session, **values):
        year = by_person.setdefault(person_id, YearEarnings())
        year.final[category] = year.final.get(category, 0) + int(seconds)
        year.newest = max(year.newest, newest)
        if seconds_known:
            year.earned.append(EarnedOnDay(category, date.fromisoformat(day), int(seconds_known)))
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
    rows = Statement(_PEOPLE.format(ids=_id_list(ids))).all(session)
    return {person_id: (tier, joined and date.fromisoformat(joined)) for person_id, tier, joined in rows}


def studied(session: Session, ids: Collection[int], ask: ReportQuery) -> dict[int, StudyDone]:
    """What people have learned this year by the day asked for; who has learned nothing is not in it."""
    sums: dict[int, tuple[set[str], list[int]]] = {}
    for person_id, source_id, seconds, items in Statement(_STUDIED.format(ids=_id_list(ids))).all(session, **bind_values(ask)):
        lessons, counts = sums.setdefault(person_id, (set(), [0, 0]))
        if source_id:
            lessons.add(source_id.partition(":")[2])
        counts[0] += int(seconds)
        counts[1] += int(items)
    return {person_id: StudyDone(frozenset(lessons), *counts) for person_id, (lessons, counts) in sums.items()}


def count_questions(session: Session, ask: ReportQuery) -> int:
    """How many questions may be drawn."""
    return sum(question in ask.library.questions for (question,) in _ACTIVE_QUESTIONS.all(session))


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


_RUN = Statement("SELECT basis, entry_id FROM forecast_run WHERE id = 1")
_SAVE_RUN = Statement(
    """INSERT INTO forecast_run (id, basis, entry_id, made_at) VALUES (1, :basis, :entry_id, :at)
       ON CONFLICT (id) DO UPDATE SET basis = excluded.basis, entry_id = excluded.entry_id, made_at = excluded.made_at"""
)
_SAVE = Statement(
    """INSERT INTO forecast (person_id, basis, entry_id, tier, joined_on, away, verdict, outlook, tested_error, tested_hit, range_held)
       VALUES (:person_id, :basis, :entry_id, :tier, :joined_on, :away, :verdict, :outlook, :tested_error, :tested_hit, :range_held)
       ON CONFLICT (person_id) DO UPDATE SET basis = excluded.basis, entry_id = excluded.entry_id, tier = excluded.tier,
           joined_on = excluded.joined_on, away = excluded.away, verdict = excluded.verdict, outlook = excluded.outlook,
           tested_error = excluded.tested_error, tested_hit = excluded.tested_hit, range_held = excluded.range_held"""
)
_NEWEST_ENTRY = Statement("SELECT COALESCE(MAX(id), 0) FROM ledger")
_KEPT_AWAY = Statement("SELECT person_id, away FROM forecast WHERE basis = :basis AND away <> ''")
_EARNED_SINCE = Statement(
    """SELECT f.person_id FROM (SELECT person_id, MAX(id) AS newest FROM ledger WHERE id > :entry_id AND day >= :first AND day <= :last
                                GROUP BY person_id) n
       JOIN forecast f ON f.person_id = n.person_id WHERE f.basis = :basis AND n.newest > f.entry_id"""
)
_HOLDS = "f.basis = :basis AND f.tier = p.tier AND COALESCE(f.joined_on, '') = COALESCE(p.joined_on, '')"
_VERDICTS = """WITH RECURSIVE {office} SELECT COALESCE(f.verdict, ''), COUNT(*)
    FROM (SELECT DISTINCT person_id FROM office) w JOIN person p ON p.id = w.person_id
    LEFT JOIN forecast f ON f.person_id = p.id AND {condition} GROUP BY COALESCE(f.verdict, '')"""
_TESTED = """WITH RECURSIVE {office} SELECT COUNT(*) - COUNT(f.person_id), COUNT(f.tested_error), COALESCE(SUM(f.tested_error), 0),
        COALESCE(SUM(f.tested_hit), 0), COALESCE(SUM(f.range_held), 0)
    FROM (SELECT DISTINCT person_id FROM office) w JOIN person p ON p.id = w.person_id
    LEFT JOIN forecast f ON f.person_id = p.id AND {condition}"""
_TO_MAKE = """WITH RECURSIVE {office} SELECT DISTINCT p.id FROM office w JOIN person p ON p.id = w.person_id
    LEFT JOIN forecast f ON f.person_id = p.id AND {condition} WHERE f.person_id IS NULL ORDER BY p.id"""
_MISSING_OF_UNIT = Statement(
    f"""SELECT f.person_id, p.tier, f.outlook FROM post t JOIN person p ON p.id = t.person_id JOIN forecast f ON f.person_id = p.id
        WHERE t.unit_id = :unit AND t.since <= :day AND (t.until IS NULL OR t.until >= :day) AND f.verdict IN ('{LIKELY}', '{SURE}') AND {_HOLDS}"""  # noqa: S608
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
        run = _RUN.one(session)
        self.are_kept = run is not None and run[0] == self.basis
        self._known_entry = int(run[1]) if self.are_kept else 0

    @cached_property
    def changed(self) -> set[int]:
        """Who has earned, lost an entry or changed their leave since their forecast was kept."""
        if not self.are_kept:
            return set()
        entry_id = self._known_entry
        if self.session.get_bind().dialect.name != "sqlite":
            # Writers on PostgreSQL commit out of order: an older entry may have come to light since.
            entry_id -= seals.WINDOW
        first, last = date(self.ask.year - 1, 1, 1).isoformat(), date(self.ask.year, 12, 31).isoformat()
        earned = _EARNED_SINCE.all(self.session, entry_id=entry_id, first=first, last=last, basis=self.basis)
        kept_away = dict(_KEPT_AWAY.all(self.session, basis=self.basis))
        away = {person_id: _away_text(stays) for person_id, stays in self.away.items()}
        moved = {person_id for person_id in kept_away.keys() | away.keys() if kept_away.get(person_id, "") != away.get(person_id, "")}
        return moved.union(person_id for (person_id,) in earned)

    def _text(self, template: str, scope: Scope) -> str:
        condition = _HOLDS if self.are_kept else "1 = 0 AND f.basis = :basis"
        if self.changed:
            condition += f" AND f.person_id NOT IN ({_id_list(self.changed)})"
        return template.format(office=office_sql(scope), condition=condition)

    def to_make(self, scope: Scope, day: date) -> list[int]:
        """Who was in office in a scope on a day and has no forecast that holds."""
        return [row[0] for row in Statement(self._text(_TO_MAKE, scope)).all(self.session, basis=self.basis, day=day.isoformat())]

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
        rows = Statement(self._text(_VERDICTS, scope)).all(self.session, basis=self.basis, day=self.ask.last.isoformat())
        counts: Counter[str] = Counter({verdict: int(count) for verdict, count in rows if verdict})
        if any(not verdict for verdict, _ in rows):
            counts.update(forecast.verdict for forecast in self._made(self.to_make(scope, self.ask.last)))
        return counts

    def missing_in(self, unit_id: int, people: Collection[int]) -> dict[int, Outlook]:
        """The outlooks of those among the people of a unit who are to miss the quota."""
        outlooks: dict[int, Outlook] = {}
        if self.are_kept:
            for person_id, tier, figures in _MISSING_OF_UNIT.all(self.session, unit=unit_id, day=self.ask.last.isoformat(), basis=self.basis):
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
        row = Statement(self._text(_TESTED, Scope())).one(self.session, basis=self.basis, day=cut.isoformat())
        to_make, people, quarters, hits, held = map(int, row)
        result = BackTest(cut, people, quarters * QUARTER, hits, held)
        for made in self._made(self.to_make(Scope(), cut)) if to_make else ():
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
    return forecasts.basis, sorted(people), int(_NEWEST_ENTRY.one(session)[0])


def make(session: Session, ask: ReportQuery, ids: Sequence[int]) -> list[PersonForecast]:
    """The forecasts of people, from the ledger as it stands now."""
    return list(Forecasts(session, ask).make(ids))


def keep(session: Session, basis: str, forecasts: Sequence[PersonForecast]) -> None:
    """Keep forecasts in place of what was kept of these people."""
    _SAVE.many(session, [{"basis": basis, **_kept_values(forecast)} for forecast in forecasts])


def keep_run(session: Session, basis: str, entry_id: int, now: datetime) -> None:
    """Say that all forecasts of a basis are kept, and know the ledger as far as an entry."""
    _SAVE_RUN.run(session, basis=basis, entry_id=entry_id, at=stamp(now))


def _kept_values(forecast: PersonForecast) -> dict[str, Any]:
    outlook, tested = forecast.outlook, forecast.tested
    return {
        "person_id": forecast.person_id,
        "entry_id": forecast.newest,
        "tier": forecast.tier,
        "joined_on": forecast.joined_on and forecast.joined_on.isoformat(),
        "away": forecast.away,
        "verdict": forecast.verdict,
        "outlook": "" if outlook is None else " ".join(map(str, (outlook.total, outlook.expected, outlook.margin, *outlook.collective))),
        "tested_error": None if tested is None else int(tested.error * QUARTERS_PER_HOUR),
        "tested_hit": None if tested is None else int(tested.is_hit),
        "range_held": None if tested is None else int(tested.range_held),
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
