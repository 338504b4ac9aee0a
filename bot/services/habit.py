"""A person's streak, from the rows; read when a daily set is finished and when somebody asks for their hours, never on any other answer."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain import habit
from bot.domain.calendar import Calendar
from bot.domain.habit import Streak
from bot.domain.times import day_of
from bot.storage import absence
from bot.storage.habit import daily_sets

LONGEST = timedelta(days=550)
"""How far back a streak is counted: about a year and a half of working days."""


def of(session: Session, calendar: Calendar, person_id: int, now: datetime) -> Streak:
    """The streak of a person at a moment."""
    sets = daily_sets(session, person_id, day_of(now) - LONGEST)
    if not sets:
        return Streak()
    return habit.streak(habit.finished(sets), now, calendar, absence.stays(session, person_id))
