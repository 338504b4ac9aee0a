"""Hours as they are credited, and the forecast of the year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from bot.domain.calendar import ONE_DAY, UnknownYear
from bot.domain.hours.forecast import CatchUpPlan, Outlook, StudyDone, StudyLeft, WorkYear, catch_up_plan, forecast_year, study_left
from bot.domain.hours.policy import CreditCap, CreditGrant, HoursPolicy, RuleVersion, grant, hours_text, quotas
from bot.domain.reports import ReportQuery
from bot.domain.times import chinese_day, day_of, end_of
from bot.services.library.catalog import Catalog
from bot.storage.hours import ledger
from bot.storage.hours.ledger import UsedCredit
from bot.storage.people import leave
from bot.storage.reports import forecast


@dataclass(frozen=True, slots=True)
class EarnedCredit:
    """The result of crediting a source: seconds credited, seconds refused with the reason, the rule that decided."""

    credited: int
    refused: int
    reason: str
    rule: RuleVersion


def _record(
    session: Session,
    person_id: int,
    category: str,
    granted: CreditGrant,
    day: date,
    source: tuple[str, str],
    rule: RuleVersion,
    now: datetime,
    *,
    law: str,
    required: bool,
    items: int = 0,
    by: str = "system",
) -> EarnedCredit:
    rule_key = (rule.line, rule.version)
    if granted.credited:
        ledger.add(session, person_id, category, granted.credited, day, source, rule_key, now, law=law, required=required, by=by, items=items)
    if granted.refused:
        ledger.refuse(session, person_id, source, granted.refused, day, rule_key, granted.reason, now)
    return EarnedCredit(granted.credited, granted.refused, granted.reason, rule)


def earn_lesson(session: Session, policy: HoursPolicy, person_id: int, lesson: str, law: str, seconds: int, day: date, now: datetime) -> EarnedCredit:
    """Reading time of a finished lesson (rule D2): each lesson once a year, at most so much a day. `seconds` is what the pages were credited."""
    rule = policy.at("D2", day)
    source = ("lesson", f"{day.year}:{lesson}")
    if is_lesson_counted(session, person_id, lesson, day):
        granted = CreditGrant(0, seconds, "同一课每年只计一次，本年度已计过")
    else:
        limit = policy.seconds(rule.number("day_cap"), day)
        used = ledger.used_credit(session, person_id, "online", day)
        granted = grant(seconds, [CreditCap(used.day_seconds, limit, f"今日在线学习 {rule.number_text('day_cap')} 学时")])
    return _record(session, person_id, "online", granted, day, source, rule, now, law=law, required=True)


def refuse_lesson(session: Session, policy: HoursPolicy, person_id: int, lesson: str, seconds: int, reason: str, day: date, now: datetime) -> None:
    """Reading time that will never count, kept with its reason."""
    if seconds:
        rule = policy.at("D2", day)
        ledger.refuse(session, person_id, ("lesson", f"{day.year}:{lesson}"), seconds, day, (rule.line, rule.version), reason, now)


def is_lesson_counted(session: Session, person_id: int, lesson: str, day: date) -> bool:
    """True when a lesson has earned in the year of a day, so that it will not earn again in it."""
    return ledger.has_earned(session, person_id, "lesson", f"{day.year}:{lesson}")


@dataclass(frozen=True, slots=True)
class ItemCredit:
    """What a practised item earns, and its source."""

    earned: EarnedCredit
    day: date
    source: str
    law: str


@dataclass(frozen=True, slots=True)
class SetCredit:
    """What the items of one set earned together in seconds, what a cap refused and why, and the rule."""

    credited: int
    refused: int
    reason: str
    rule: RuleVersion


def credit_of_set(session: Session, policy: HoursPolicy, sitting_id: int, day: date) -> SetCredit:
    """What the answers of a sitting earned, each entry being of the moment of its answer."""
    refused, reason = ledger.refused_in_sitting(session, sitting_id)
    return SetCredit(ledger.earned_in_sitting(session, sitting_id), refused, reason, policy.at("D3", day))


def item_source(day: date, question: str) -> str:
    """A practised item as a source of the ledger: once a year."""
    return f"{day.year}:{question}"


def decide_item(policy: HoursPolicy, used: UsedCredit, question: str, law: str, day: date) -> ItemCredit:
    """What a practised item earns that did not earn this year (rule D3): ten make a quarter, so much a day and a year at the most."""
    terms = policy.practice(day)
    wanted = terms.item_seconds(used.year_items)
    caps = (CreditCap(used.day_seconds, terms.day_limit, terms.day_name), CreditCap(used.year_seconds, terms.year_limit, terms.year_name))
    granted = grant(wanted, caps)
    if granted.refused:
        # A part of an item would count it as done; refused whole, it can still count on another day.
        granted = CreditGrant(0, wanted, granted.reason)
    return ItemCredit(EarnedCredit(granted.credited, granted.refused, granted.reason, terms.rule), day, item_source(day, question), law)


def keep_items(session: Session, items: Sequence[tuple[int, ItemCredit, datetime]]) -> None:
    """Write what items earned and what was refused, as (person, credit, when); one statement a table."""
    ledger.add_items(
        session,
        [
            {
                "person_id": person_id,
                "day": item.day,
                "year": item.day.year,
                "source_id": item.source,
                "law": item.law,
                "seconds": item.earned.credited,
                "rule": item.earned.rule.line,
                "rule_version": item.earned.rule.version,
                "recorded_at": now,
            }
            for person_id, item, now in items
            if item.earned.credited
        ],
    )
    ledger.refuse_items(
        session,
        [
            {
                "person_id": person_id,
                "source_id": item.source,
                "seconds": item.earned.refused,
                "day": item.day,
                "rule": item.earned.rule.line,
                "rule_version": item.earned.rule.version,
                "reason": item.earned.reason,
                "at": now,
            }
            for person_id, item, now in items
            if item.earned.refused
        ],
    )


EXAM_SOURCES = ("exam", "makeup")
"""The kinds of source under which a pass stands in the ledger; both are one exam."""


def earn_exam(
    session: Session, policy: HoursPolicy, person_id: int, exam: int | str, day: date, now: datetime, *, makeup: bool = False, by: str = "system"
) -> EarnedCredit | None:
    """A passed exam (rule D4), once an exam: a pass of its make-up counts as much, marked as such, and only where the exam itself did not count.

    `exam` is that of the exam itself, for a make-up too ("outside:2" for one held elsewhere); `day` the one on which it was sat. None when it
    counts already. What was reversed may count again, as a further entry.
    """
    rule = policy.at("D4", day)
    entries = _exam_entries(session, person_id, exam)
    if any(not taken_back for _, _, taken_back in entries):
        return None
    source = ("makeup" if makeup else "exam", f"{exam}#{len(entries) + 1}" if entries else str(exam))
    granted = CreditGrant(policy.seconds(rule.number("pass"), day))
    return _record(session, person_id, "exam", granted, day, source, rule, now, law="", required=True, by=by)


def _exam_entries(session: Session, person_id: int, exam: int | str) -> list[tuple[int, int, bool]]:
    return [entry for kind in EXAM_SOURCES for entry in ledger.entries_of_source(session, person_id, kind, str(exam))]


def exam_seconds(session: Session, person_id: int, exam: int | str) -> int:
    """Credit seconds that stand for an exam."""
    return sum(seconds for _, seconds, taken_back in _exam_entries(session, person_id, exam) if not taken_back)


def reverse_exam(session: Session, person_id: int, exam: int | str, now: datetime, by: str) -> int:
    """A pass that does not stand any more: what it earned is taken back by its mirror image. The seconds taken back."""
    standing = [(entry, seconds) for entry, seconds, taken_back in _exam_entries(session, person_id, exam) if not taken_back]
    return sum(seconds for entry, seconds in standing if ledger.reverse(session, entry, now, by) is not None)


def earn_contest(session: Session, policy: HoursPolicy, person_id: int, contest_id: int, day: date, now: datetime) -> EarnedCredit | None:
    """Taking part in a contest (rule D5): each contest once, so much a year at the most, nothing for rank. None when it was decided before."""
    rule = policy.at("D5", day)
    source = ("contest", str(contest_id))
    used = ledger.used_credit_unless_earned(session, person_id, "contest", day, source)
    if used is None or ledger.was_refused(session, person_id, source):
        return None
    limit = policy.seconds(rule.number("year_cap"), day)
    granted = grant(policy.seconds(rule.number("join"), day), [CreditCap(used.year_seconds, limit, f"本年竞赛 {rule.number_text('year_cap')} 学时")])
    return _record(session, person_id, "contest", granted, day, source, rule, now, law="", required=False)


LATE_DAYS = 90
"""Before so few days are left of the year nobody is told that it is too late."""


@dataclass(frozen=True, slots=True)
class PersonalOutlook:
    """One person's outlook; `plan` is None when self-study cannot do it. `days_left` are those of the year, the days off among them."""

    outlook: Outlook
    plan: CatchUpPlan | None
    left: StudyLeft
    days_left: int


def outlook_of(session: Session, catalog: Catalog, person_id: int, tier: str, now: datetime) -> PersonalOutlook | None:
    """The outlook of a person today; None without a quota, too early in the year, or where the calendar of the year is missing."""
    today = day_of(now)
    quota = forecast.forecast_quota(tier, quotas(catalog.policy, today), catalog.policy, today)
    if quota is None:
        return None
    try:
        year = WorkYear(today.year, catalog.library.calendar)
    except UnknownYear:
        return None
    away = leave.absences_of(session, person_id)
    _, joined_on = forecast.first_days(session, [person_id])[person_id]
    earnings = forecast.year_earnings(session, [person_id], today, end_of(today)).get(person_id)
    outlook = forecast_year(earnings.earned if earnings else (), today, year.span(today, joined_on, away), quota)
    if outlook is None:
        return None
    ask = report_query(catalog, today)
    done = forecast.studied(session, [person_id], ask).get(person_id, StudyDone())
    left = study_left(done, catalog.library.lessons_for(tier, today), len(catalog.drawn), catalog.policy, today)
    days = [day for day in year.between(today + ONE_DAY, date(today.year, 12, 31)) if not any(day in stay for stay in away)]
    return PersonalOutlook(outlook, catch_up_plan(outlook, left, days, catalog.policy, today), left, (date(today.year, 12, 31) - today).days)


def report_query(catalog: Catalog, today: date) -> ReportQuery:
    """What is asked of the forecasts of today."""
    return ReportQuery(today.year, today, today, catalog.policy, library=catalog.library)


def outlook_sentence(personal: PersonalOutlook | None) -> str:
    """One line for 我的学时; empty when there is nothing to foretell, or the quota is reached."""
    if personal is None or personal.outlook.reached:
        return ""
    outlook = personal.outlook
    if outlook.expected <= outlook.margin and personal.days_left > LATE_DAYS:
        return f"🔭 学得还少，看不出年底会怎样。{_plan_sentence(personal)}"
    head = f"🔭 按今年的进度，年底预计 {hours_text(outlook.expected)} 学时（±{hours_text(outlook.margin)}）"
    if not outlook.will_miss:
        return f"{head}，{'刚够，别松劲' if outlook.doubtful else '能达标'}。"
    if outlook.expected < outlook.quota.need:
        head += f"，差 {hours_text(outlook.quota.need - outlook.expected)}"
    return f"{head}。{_plan_sentence(personal)}"


def _plan_sentence(personal: PersonalOutlook) -> str:
    short = personal.outlook.collective_missing
    together = f"集体学法还差 {hours_text(short)}，自学补不了，请参加集体学法。" if short else ""
    if personal.plan is not None:
        return f"每个工作日 {personal.plan.minutes} 分钟，{chinese_day(personal.plan.day)}{'总量够数' if short else '达标'}。{together}"
    if not personal.outlook.missing:
        return together
    worth = f"没学的课和题约值 {(personal.left.lessons + personal.left.items) // 60} 分钟"
    if personal.days_left > LATE_DAYS:
        return f"自学之外还要参加集体学法、考试或培训（{worth}），时间够，先从今天的「每日」做起。"
    return f"光靠自学来不及了（{worth}），请参加集体学法、考试或培训。"
