"""The exams that concern one person: which to take, which were taken, and the next one, which reviews and mock exams aim at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.exam.exam import Attempt, Exam, counting_attempts
from bot.domain.study.review_goal import ReviewGoal
from bot.domain.times import day_of, start_of
from bot.services.exam.attempt import entry_obstacle
from bot.services.library.catalog import Catalog
from bot.storage.exam import attempts, exams
from bot.storage.people import audience

GOAL_AHEAD = timedelta(days=366)
"""How far an exam may lie ahead to be aimed at."""


def next_exam(session: Session, person_id: int, now: datetime) -> Exam | None:
    """The published exam that closes next, is for this person and not sat by them yet; None when there is none."""
    for exam in exams.list_published(session, now + GOAL_AHEAD):
        sat = exam.closes_at <= now or attempts.of_person_at_exam(session, exam.id, person_id)
        if not sat and audience.includes(session, exam.audience, person_id, day_of(now), now):
            return exam
    return None


def next_exam_goal(session: Session, person_id: int, today: date) -> ReviewGoal | None:
    """The day on which the next exam opens, or, once that has come, the last on which it can be sat."""
    exam = next_exam(session, person_id, start_of(today))
    if exam is None:
        return None
    opens, closes = day_of(exam.opens_at), day_of(exam.closes_at)
    return ReviewGoal(opens) if opens > today or opens == closes else ReviewGoal(closes, is_deadline=True)


LISTED_AHEAD = timedelta(days=60)
"""How long before its opening an exam is listed."""
MAX_PAST = 5


@dataclass(frozen=True, slots=True)
class OwnExam:
    """An exam for a person: the try that counts (None: never begun), the one that runs, and why it cannot be begun now (empty: it can)."""

    exam: Exam
    counts: Attempt | None
    running: Attempt | None
    obstacle: str

    @property
    def is_done(self) -> bool:
        """Whether it was sat and cannot be begun again."""
        return self.running is None and bool(self.obstacle) and self.counts is not None and self.counts.state == "closed"


def own_exam_of(session: Session, catalog: Catalog, exam: Exam, person_id: int, now: datetime) -> OwnExam:
    person_attempts = attempts.of_person_at_exam(session, exam.id, person_id)
    running = next((attempt for attempt in person_attempts if attempt.state == "open" and now <= attempt.deadline + exam.grace), None)
    obstacle = "" if running is not None else entry_obstacle(session, catalog, exam, person_id, now)
    return OwnExam(exam, counting_attempts(person_attempts).get(person_id), running, obstacle)


def list_own_exams(session: Session, catalog: Catalog, person_id: int, now: datetime) -> tuple[list[OwnExam], list[OwnExam]]:
    """(open or to come, sat before with no try left), the first to close in front, the last to be over in front."""
    today = day_of(now)
    upcoming = [exam for exam in exams.list_published(session, now + LISTED_AHEAD) if exam.closes_at > now]
    upcoming_ids = {exam.id for exam in upcoming}
    sat = exams.sat_by(session, person_id)
    sat_ids = {exam.id for exam in sat}
    concerning = [exam for exam in upcoming if exam.id in sat_ids or audience.includes(session, exam.audience, person_id, today, now)]
    own_exams = [own_exam_of(session, catalog, exam, person_id, now) for exam in concerning]
    past = [exam for exam in sat if exam.id not in upcoming_ids and exam.state != "cancelled"][:MAX_PAST]
    return [own_exam for own_exam in own_exams if not own_exam.is_done], [
        *(own_exam for own_exam in own_exams if own_exam.is_done),
        *(own_exam_of(session, catalog, exam, person_id, now) for exam in past),
    ]
