"""One person's forecast of the year's hours, and the smallest plan that what is left to learn can carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.calendar import UnknownYear
from bot.domain.hours.forecast import CatchUpPlan, Outlook, WorkYear, forecast_year, smallest_plan
from bot.domain.hours.policy import hours_text, item_seconds, quotas
from bot.domain.times import chinese_day, day_of
from bot.services.library.catalog import Catalog
from bot.storage.hours import ledger
from bot.storage.people import leave
from bot.storage.reports import forecast

ROUNDING_SPARE = 675
"""A quarter of an hour of 学时 in seconds: what the rounding of a second category may cost a plan that needs two."""


@dataclass(frozen=True, slots=True)
class PersonalOutlook:
    """One person's outlook. `plan` is None when self-study cannot do it; `learnable_seconds` is what is left to learn, in credit seconds."""

    outlook: Outlook
    plan: CatchUpPlan | None
    learnable_seconds: int


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
    span = year.span(today, forecast.joined_on(session, person_id), away)
    outlook = forecast_year(forecast.earned_by_day(session, person_id, today), today, span, quota)
    if outlook is None:
        return None
    lessons, items = _learnable_seconds(session, catalog, person_id, tier, today)
    seconds = int(outlook.missing * quota.per_hour)
    if seconds > lessons:
        seconds += ROUNDING_SPARE
    days = [day for day in year.between(today + timedelta(days=1), date(today.year, 12, 31)) if not any(day in stay for stay in away)]
    most = int(catalog.policy.at("D2", today).number("day_cap") * quota.per_hour) // 60
    plan = smallest_plan(seconds, days, most) if seconds <= lessons + items else None
    return PersonalOutlook(outlook, plan, lessons + items)


def _learnable_seconds(session: Session, catalog: Catalog, person_id: int, tier: str, today: date) -> tuple[int, int]:
    """Credit seconds that a person's unread lessons and unanswered questions can still earn this year (rules D2, D3)."""
    lessons_done = forecast.lessons_earned(session, person_id, today.year)
    lessons = sum(lesson.minutes * 60 for lesson in catalog.library.lessons_for(tier, today) if lesson.id not in lessons_done)
    rule, per_hour = catalog.policy.at("D3", today), catalog.policy.seconds_per_hour(today)
    used = ledger.used_credit(session, person_id, "practice", today)
    room = int(rule.number("year_cap") * per_hour) - used.year_seconds
    unanswered = max(0, len(catalog.drawn) - used.year_items)
    return lessons, max(0, min(room, unanswered * item_seconds(0, rule, per_hour)))


def outlook_sentence(personal: PersonalOutlook | None) -> str:
    """One line for 我的学时; empty when there is nothing to foretell, or the quota is reached."""
    if personal is None or personal.outlook.reached:
        return ""
    outlook = personal.outlook
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
    return f"光靠自学来不及了（没学的课和题约值 {personal.learnable_seconds // 60} 分钟），请参加集体学法、考试或培训。"
