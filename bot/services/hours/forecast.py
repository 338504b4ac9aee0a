"""One person's forecast of the year's hours, with the smallest plan that what is left to learn can carry, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from bot.domain.calendar import ONE_DAY, UnknownYear
from bot.domain.hours.forecast import CatchUpPlan, Outlook, StudyDone, StudyLeft, WorkYear, catch_up_plan, forecast_year, study_left
from bot.domain.hours.policy import hours_text, quotas
from bot.domain.reports import ReportQuery
from bot.domain.times import chinese_day, day_of, end_of
from bot.services.library.catalog import Catalog
from bot.storage.people import leave
from bot.storage.reports import forecast

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
