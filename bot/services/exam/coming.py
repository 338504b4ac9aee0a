"""The next exam that concerns somebody: the day that their reviews aim at, and the paper that a mock exam is like."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.exam import Exam
from bot.domain.memory import Goal
from bot.domain.times import day_of, start_of
from bot.services import memory
from bot.storage import audience
from bot.storage.exam import attempts, exams

AHEAD = timedelta(days=366)
"""How far an exam may lie ahead to be aimed at."""


def coming(session: Session, person_id: int, now: datetime) -> Exam | None:
    """The published exam that closes next, is for this person and not sat by them yet; None when there is none."""
    for exam in exams.published(session, now + AHEAD):
        sat = exam.closes_at <= now or attempts.attempts(session, exam.id, person_id)
        if not sat and audience.includes(session, exam.audience, person_id, day_of(now), now):
            return exam
    return None


@memory.exam_day
def day_of_next(session: Session, person_id: int, today: date) -> Goal | None:
    """The day on which the next exam opens, or, once that has come, the last on which it can be sat."""
    exam = coming(session, person_id, start_of(today))
    if exam is None:
        return None
    opens, closes = day_of(exam.opens_at), day_of(exam.closes_at)
    return Goal(opens) if opens > today or opens == closes else Goal(closes, ends=True)
