"""The notebook of mistakes: how an answer changes it, which reviews it asks today, what to expect on the day that counts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlmodel import Session

from bot.domain.library.question import Grade, Question
from bot.domain.study.review_goal import RecallForecast, ReviewGoal, best_reviews, forecast_recall
from bot.domain.study.spaced_repetition import AGAIN, DAILY_REVIEWS, HARD, Mistake, Rating, due_by, due_soon, grade_answer, update_mistake
from bot.domain.times import day_of, end_of, start_of
from bot.storage.study import mistakes
from bot.storage.study.mistakes import ReviewSettings

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
    forecast: RecallForecast | None

    @property
    def room(self) -> int:
        """Reviews that today still allows."""
        return max(0, self.allowed - self.asked)


def move_notebook(before: Mistake | None, question: Question, mark: Grade, asked_at: datetime | None, now: datetime) -> NotebookMove | None:
    """Grade an answer and move its card; None when the question was never answered wrong, or waits for a person's mark.

    The time since `asked_at`, when the question was put, makes a right answer slow; where it is not known only right and wrong are told apart.
    """
    if mark.provisional or (before is None and mark.correct):
        return None
    since = asked_at if mark.correct else None
    grade = grade_answer(question, None if since is None else (now - since).total_seconds(), correct=mark.correct)
    after = update_mistake(before, question.id, grade, now)
    return None if after is None else NotebookMove(after, grade, left=not after.listed and (before is None or before.listed))


def add_missed(session: Session, person_id: int, question: str, now: datetime) -> None:
    """Take a question into the notebook that was answered wrong where the notebook does not move at once: in an exam, when its keys are told."""
    after = update_mistake(mistakes.entry(session, person_id, question), question, AGAIN, now)
    if after is not None:
        mistakes.save_entries(session, [(person_id, after)])


def entries(session: Session, person_id: int, among: Collection[str]) -> list[Mistake]:
    """The notebook, listed and left, as far as its questions are among the given."""
    return [entry for entry in mistakes.entries(session, person_id) if entry.question in among]


def count_due_on(session: Session, person_id: int, day: date) -> int:
    """How many questions of the notebook are due by the end of a day."""
    return sum(day_of(entry.card.due) <= day for entry in mistakes.entries(session, person_id))


def review_settings(session: Session, person_id: int) -> ReviewSettings:
    """What a person set for their reviews."""
    return mistakes.review_settings(session, person_id)


def review_goal(session: Session, person_id: int, now: datetime) -> ReviewGoal | None:
    """The day that a person reviews for: their own, else that of their next exam; None when there is none, or it is over."""
    chosen, today = mistakes.review_settings(session, person_id), day_of(now)
    aim = ReviewGoal(chosen.day) if chosen.day is not None and chosen.day >= today else next_exam_goal(session, person_id, today)
    return None if aim is None else replace(aim, minutes=chosen.minutes, target=chosen.target)


def next_exam_goal(session: Session, person_id: int, today: date) -> ReviewGoal | None:
    """The nearest exam day that any source knows for a person."""
    goals = (source(session, person_id, today) for source in EXAM_DAYS)
    return min((goal for goal in goals if goal is not None and goal.day >= today), key=lambda goal: goal.day, default=None)


def daily_review_limit(chosen: ReviewSettings, aim: ReviewGoal | None) -> int:
    """Reviews a day: eight, or fewer where the person gave fewer minutes; with a day that counts, what the person's minutes hold."""
    if aim is not None:
        return aim.reviews
    return min(DAILY_REVIEWS, ReviewGoal(date.max, chosen.minutes).reviews)


def notebook_standing(session: Session, person_id: int, notebook: list[Mistake], now: datetime, *, whole: bool) -> NotebookStanding:
    """How a notebook stands; `notebook` is what `entries` gave. Only a whole one is forecast: the minutes are for all of it."""
    today = day_of(now)
    aim = review_goal(session, person_id, now)
    due = due_by(notebook, end_of(today))
    later = min((entry.card.due for entry in notebook if entry.card.due >= end_of(today)), default=None)
    return NotebookStanding(
        listed=sum(entry.listed for entry in notebook),
        left=sum(not entry.listed for entry in notebook),
        due=len(due),
        asked=mistakes.reviews_asked(session, person_id, start_of(today)),
        allowed=daily_review_limit(mistakes.review_settings(session, person_id), aim),
        next_due=None if later is None else day_of(later),
        goal=aim,
        forecast=forecast_recall([entry.card for entry in notebook], aim, now) if aim is not None and notebook and whole else None,
    )


def reviews_due_today(notebook: list[Mistake], standing: NotebookStanding, now: datetime) -> list[str]:
    """What the notebook asks now, the most urgent first: no more than today still allows.

    With a day that counts, what does most for it; what was answered wrong or once right today and is due again comes after.
    """
    due = due_by(notebook, end_of(day_of(now)))
    if standing.goal is not None:
        fresh = [entry for entry in notebook if day_of(entry.card.reviewed_at) < day_of(now)]
        due = best_reviews(fresh, standing.goal, now, standing.room) + [entry for entry in due if day_of(entry.card.reviewed_at) >= day_of(now)]
    return [entry.question for entry in due[: standing.room]]


def reviews_for_daily(session: Session, person_id: int, notebook: list[Mistake], now: datetime, most: int) -> list[str]:
    """The questions that come with the daily set, at most `most`: due soon, or best for the day that counts; none once today's are used up."""
    if not notebook:
        return []
    today = day_of(now)
    aim = review_goal(session, person_id, now)
    room = min(
        most, daily_review_limit(mistakes.review_settings(session, person_id), aim) - mistakes.reviews_asked(session, person_id, start_of(today))
    )
    if room <= 0:
        return []
    fresh = [entry for entry in notebook if day_of(entry.card.reviewed_at) < today]
    candidates = due_soon(fresh, end_of(today)) if aim is None else best_reviews(fresh, aim, now, room)
    return [entry.question for entry in candidates[:room]]


def set_goal_day(session: Session, person_id: int, day: date | None) -> None:
    mistakes.save_review_settings(session, person_id, replace(mistakes.review_settings(session, person_id), day=day))


def set_minutes(session: Session, person_id: int, minutes: int) -> None:
    mistakes.save_review_settings(session, person_id, replace(mistakes.review_settings(session, person_id), minutes=minutes))


def set_target(session: Session, person_id: int, target: int) -> None:
    mistakes.save_review_settings(session, person_id, replace(mistakes.review_settings(session, person_id), target=target))
