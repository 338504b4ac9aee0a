"""A person's streak, from the rows: read when a daily set is finished and when somebody asks for their hours, never on any other answer."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.calendar import Calendar
from bot.domain.study import streak
from bot.domain.study.streak import Streak
from bot.domain.times import day_of
from bot.storage.people import leave
from bot.storage.study.sittings import finished_daily_sets

MAX_STREAK_SPAN = timedelta(days=550)
"""How far back a streak is counted: about a year and a half of working days."""


def streak_of(session: Session, calendar: Calendar, person_id: int, now: datetime) -> Streak:
    """The streak of a person at a moment."""
    sets = finished_daily_sets(session, person_id, day_of(now) - MAX_STREAK_SPAN)
    if not sets:
        return Streak()
    return streak.count_streak(streak.finished_days(sets), now, calendar, leave.absences_of(session, person_id))
