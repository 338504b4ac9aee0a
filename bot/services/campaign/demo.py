"""Three campaigns for the demo bureau, of which one fires within the first minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.audience import All
from bot.domain.campaign import Author
from bot.domain.content import Content
from bot.domain.rhythm import Rhythm, parse_rhythm
from bot.domain.times import SHANGHAI, day_of, start_of
from bot.services.campaign import plan
from bot.services.shelf import Shelf
from bot.storage import campaign as rows
from bot.storage import study

AUTHOR = Author("demo", "cli")
FIRST = "开机第一课"
AT_ANY_HOUR = {"quiet": False}
"""A delivery rule: the demo is looked at when it is started, be it at night."""


def demo_campaigns(session: Session, shelf: Shelf, now: datetime) -> list[int]:
    """A lesson at the next full minute after each start, a daily set on working days, a poll on Constitution Day; the ids of what was made.

    Started again, only the lesson is made anew, and not while the last one still waits to fall due.
    """
    had = [one for one in rows.everything(session) if one.created_by == AUTHOR.actor]
    made: list[int] = []
    if not any(one.name == FIRST and one.state == "running" for one in had):
        minute = (now.astimezone(SHANGHAI) + timedelta(minutes=1)).replace(second=0, microsecond=0)
        rhythm = Rhythm("once", time=minute.strftime("%H:%M"), on=minute.date(), on_holiday="keep")
        # Who has finished a lesson this year is not sent it again: the one that most people still lack shows most.
        done = study.finished(session, start_of(day_of(now).replace(month=1, day=1)))
        lesson = Content("lesson", lesson=min(shelf.library.lessons, key=lambda one: done.get(one, 0)))
        made.append(_running(session, shelf, FIRST, lesson, rhythm, now, clause="演示", delivery=AT_ANY_HOUR))
    if not had:
        daily = parse_rhythm("每个工作日 08:30")
        made.append(_running(session, shelf, "工作日每日一练", Content("daily"), daily, now, clause="年度学法计划 第二条"))
        poll = Content("poll", text="今年宪法宣传周，您最想参加哪一项？", options=("知识竞赛", "旁听庭审", "专题讲座", "参观学习"))
        made.append(_running(session, shelf, "宪法宣传周意见征集", poll, parse_rhythm("国家宪法日 09:30"), now, clause="普法工作要点 第六条"))
    return made


def _running(
    session: Session, shelf: Shelf, name: str, content: Content, rhythm: Rhythm, now: datetime, *, clause: str, delivery: dict[str, Any] | None = None
) -> int:
    """Started where the calendar lets it; in a year that is not known it stays a draft, which is what an agency would see too."""
    made = plan.create(session, shelf, AUTHOR, name, content, rhythm, All(), now, clause=clause, delivery=delivery)
    if plan.can_start(shelf.library.calendar, rhythm, now):
        plan.start(session, shelf, AUTHOR, made, now)
    return made
