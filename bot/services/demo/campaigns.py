"""The demo's campaigns, of which one fires within the first minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.campaign.campaign import Author
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule, parse_schedule
from bot.domain.people.audience import All
from bot.domain.times import SHANGHAI, day_of, start_of
from bot.services.campaign import manage
from bot.services.library.catalog import Catalog
from bot.storage import campaign
from bot.storage.study import readings

AUTHOR = Author("demo", "cli")
FIRST_LESSON = "开机第一课"
AT_ANY_HOUR = {"quiet": False}
"""A delivery rule: the demo is looked at when it is started, be it at night."""


def create_campaigns(session: Session, catalog: Catalog, now: datetime) -> list[int]:
    """A lesson at the next full minute after each start, a daily set on working days, a poll on Constitution Day; the ids of what was made.

    Started again, only the lesson is made anew, and not while the last one still waits to fall due.
    """
    existing = [row for row in campaign.all_campaigns(session) if row.created_by == AUTHOR.actor]
    created: list[int] = []
    if not any(row.name == FIRST_LESSON and row.state == "running" for row in existing):
        minute = (now.astimezone(SHANGHAI) + timedelta(minutes=1)).replace(second=0, microsecond=0)
        schedule = Schedule("once", time=minute.strftime("%H:%M"), on=minute.date(), on_holiday="keep")
        # Who has finished a lesson this year is not sent it again: the one that most people still lack shows most.
        finished = readings.count_finished(session, start_of(day_of(now).replace(month=1, day=1)))
        lesson = CampaignContent("lesson", lesson=min(catalog.library.lessons, key=lambda name: finished.get(name, 0)))
        created.append(_create_started(session, catalog, FIRST_LESSON, lesson, schedule, now, clause="演示", delivery=AT_ANY_HOUR))
    if not existing:
        daily = parse_schedule("每个工作日 08:30")
        created.append(_create_started(session, catalog, "工作日每日一练", CampaignContent("daily"), daily, now, clause="年度学法计划 第二条"))
        poll = CampaignContent("poll", text="今年宪法宣传周，您最想参加哪一项？", options=("知识竞赛", "旁听庭审", "专题讲座", "参观学习"))
        created.append(
            _create_started(session, catalog, "宪法宣传周意见征集", poll, parse_schedule("国家宪法日 09:30"), now, clause="普法工作要点 第六条")
        )
    return created


def _create_started(
    session: Session,
    catalog: Catalog,
    name: str,
    content: CampaignContent,
    schedule: Schedule,
    now: datetime,
    *,
    clause: str,
    delivery: dict[str, Any] | None = None,
) -> int:
    """Started where the calendar lets it; in a year that is not known it stays a draft, which is what an agency would see too."""
    campaign_id = manage.create(session, catalog, AUTHOR, name, content, schedule, All(), now, clause=clause, delivery=delivery)
    if manage.can_start(catalog.library.calendar, schedule, now):
        manage.start(session, catalog, AUTHOR, campaign_id, now)
    return campaign_id
