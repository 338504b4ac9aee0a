"""A person's streak, from the rows; read when a daily set is finished and when somebody asks for their hours, never on any other answer.

The notebook of mistakes: what an answer does to it, what it asks today, and what to expect on the day that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.calendar import Calendar
from bot.domain.library.question import Grade, Question
from bot.domain.study import streak
from bot.domain.study.review_goal import RecallForecast, ReviewGoal, chosen
from bot.domain.study.review_goal import prospect as review_goal_prospect
from bot.domain.study.spaced_repetition import AGAIN, DAILY_REVIEWS, HARD, Mistake, Rating, answered, due_by, graded, near_due
from bot.domain.study.streak import Streak
from bot.domain.times import day_of, end_of, start_of
from bot.storage.people import leave
from bot.storage.study import mistakes
from bot.storage.study.mistakes import ReviewSettings
from bot.storage.study.sittings import daily_sets

LONGEST = timedelta(days=550)
"""How far back a streak is counted: about a year and a half of working days."""


def streak_of(session: Session, calendar: Calendar, person_id: int, now: datetime) -> Streak:
    """The streak of a person at a moment."""
    sets = daily_sets(session, person_id, day_of(now) - LONGEST)
    if not sets:
        return Streak()
    return streak.streak(streak.finished(sets), now, calendar, leave.absences_of(session, person_id))


ExamDay = Callable[[Session, int, date], ReviewGoal | None]
EXAM_DAYS: list[ExamDay] = []
"""Where the day that counts comes from when a person has set none; asked with the person and today."""


@dataclass(frozen=True, slots=True)
class NotebookMove:
    """How the notebook moved with an answer: the entry as it stands now, the answer's grade, whether the question left the list with it."""

    entry: Mistake
    grade: Rating
    left: bool

    @property
    def slow(self) -> bool:
        return self.grade is HARD


@dataclass(frozen=True, slots=True)
class NotebookStanding:
    """A notebook (of one law, where one was named) on a day: questions listed, and left; due by tonight; asked today and allowed a day; the day on
    which the next falls due; what the person aims at and may expect."""

    listed: int
    left: int
    due: int
    asked: int
    allowed: int
    next_due: date | None
    goal: ReviewGoal | None
    prospect: RecallForecast | None

    @property
    def room(self) -> int:
        """Reviews that today still allows."""
        return max(0, self.allowed - self.asked)


def moved(session: Session, person_id: int, question: Question, mark: Grade, place: tuple[int, int] | None, now: datetime) -> NotebookMove | None:
    """Grade an answer and move its card; None when that was never wrong, or waits for a person's mark.

    `place` is (sitting, n): the time since the question was put there makes a right answer slow. Without one only right and wrong are told apart.
    """
    if mark.provisional:
        return None
    had = mistakes.entry(session, person_id, question.id)
    if had is None and mark.correct:
        return None
    since = mistakes.put_since(session, person_id, *place) if place is not None and mark.correct else None
    grade = graded(question, None if since is None else (now - since).total_seconds(), correct=mark.correct)
    kept = answered(had, question.id, grade, now)
    if kept is None:
        return None
    mistakes.keep(session, person_id, kept)
    return NotebookMove(kept, grade, left=not kept.listed and (had is None or had.listed))


def missed(session: Session, person_id: int, question: str, now: datetime) -> None:
    """Take a question into the notebook that was answered wrong where the notebook does not move at once: in an exam, when its keys are told."""
    kept = answered(mistakes.entry(session, person_id, question), question, AGAIN, now)
    if kept is not None:
        mistakes.keep(session, person_id, kept)


def entries(session: Session, person_id: int, among: Collection[str]) -> list[Mistake]:
    """The notebook, listed and left, as far as its questions are among the given."""
    return [one for one in mistakes.entries(session, person_id) if one.question in among]


def plan(session: Session, person_id: int) -> ReviewSettings:
    """What a person set for their reviews."""
    return mistakes.plan(session, person_id)


def goal(session: Session, person_id: int, now: datetime) -> ReviewGoal | None:
    """The day that a person reviews for: their own, else that of their next exam; None when there is none, or it is over."""
    own, today = mistakes.plan(session, person_id), day_of(now)
    aim = ReviewGoal(own.day) if own.day is not None and own.day >= today else next_exam(session, person_id, today)
    return None if aim is None else replace(aim, minutes=own.minutes, target=own.target)


def next_exam(session: Session, person_id: int, today: date) -> ReviewGoal | None:
    """The nearest exam day that any source knows for a person."""
    found = (source(session, person_id, today) for source in EXAM_DAYS)
    return min((one for one in found if one is not None and one.day >= today), key=lambda one: one.day, default=None)


def allowed(own: ReviewSettings, aim: ReviewGoal | None) -> int:
    """Reviews a day: eight, or fewer where the person gave fewer minutes; with a day that counts, what the person's minutes hold."""
    if aim is not None:
        return aim.reviews
    return min(DAILY_REVIEWS, ReviewGoal(date.max, own.minutes).reviews)


def standing(session: Session, person_id: int, kept: list[Mistake], now: datetime, *, whole: bool) -> NotebookStanding:
    """How a notebook stands; `kept` is what `entries` gave. Only of a whole one is it said what to expect: the minutes are for all of it."""
    today = day_of(now)
    aim = goal(session, person_id, now)
    due = due_by(kept, end_of(today))
    later = min((one.card.due for one in kept if one.card.due >= end_of(today)), default=None)
    return NotebookStanding(
        listed=sum(one.listed for one in kept),
        left=sum(not one.listed for one in kept),
        due=len(due),
        asked=mistakes.asked(session, person_id, start_of(today)),
        allowed=allowed(mistakes.plan(session, person_id), aim),
        next_due=None if later is None else day_of(later),
        goal=aim,
        prospect=review_goal_prospect([one.card for one in kept], aim, now) if aim is not None and kept and whole else None,
    )


def due_today(kept: list[Mistake], at: NotebookStanding, now: datetime) -> list[str]:
    """What the notebook asks now, the most urgent first: no more than today still allows.

    With a day that counts, what does most for it; what was answered wrong or once right today and is due again comes after.
    """
    due = due_by(kept, end_of(day_of(now)))
    if at.goal is not None:
        fresh = [one for one in kept if day_of(one.card.reviewed_at) < day_of(now)]
        due = chosen(fresh, at.goal, now, at.room) + [one for one in due if day_of(one.card.reviewed_at) >= day_of(now)]
    return [one.question for one in due[: at.room]]


def with_daily(session: Session, person_id: int, kept: list[Mistake], now: datetime, most: int) -> list[str]:
    """What of the notebook comes with the daily set, at most `most`: near due, or best for the day that counts; none once today's are used up."""
    if not kept:
        return []
    today = day_of(now)
    aim = goal(session, person_id, now)
    room = min(most, allowed(mistakes.plan(session, person_id), aim) - mistakes.asked(session, person_id, start_of(today)))
    if room <= 0:
        return []
    fresh = [one for one in kept if day_of(one.card.reviewed_at) < today]
    found = near_due(fresh, end_of(today)) if aim is None else chosen(fresh, aim, now, room)
    return [one.question for one in found[:room]]


def set_day(session: Session, person_id: int, day: date | None) -> None:
    mistakes.keep_plan(session, person_id, replace(mistakes.plan(session, person_id), day=day))


def set_minutes(session: Session, person_id: int, minutes: int) -> None:
    mistakes.keep_plan(session, person_id, replace(mistakes.plan(session, person_id), minutes=minutes))


def set_target(session: Session, person_id: int, target: int) -> None:
    mistakes.keep_plan(session, person_id, replace(mistakes.plan(session, person_id), target=target))
