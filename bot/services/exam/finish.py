"""Closing attempts and exams: by the person, the clock or the invigilator; grading, credit, and announcing results when the rule allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from bot.domain.exam.exam import CLOSE_DELAY, Attempt, Exam
from bot.domain.grading.correction import sum_grades
from bot.domain.times import day_of
from bot.logs import get_logger
from bot.services.hours import credit
from bot.services.library.catalog import Catalog
from bot.services.study import mistakes
from bot.storage import campaign
from bot.storage.exam import attempts as exam_attempts
from bot.storage.exam import exams as exam_exams
from bot.storage.study import current_task, grades, sittings

log = get_logger(__name__)

BATCH_SIZE = 200
"""How many attempts one run closes or announces, so that answers are written in between."""

Hook = Callable[[Session, Catalog, Exam, Attempt, datetime], None]
ON_CLOSED: list[Hook] = []
"""Called when an attempt was closed and marked, in the same transaction; again when it is closed after a reopening."""
ON_CANCELLED: list[Hook] = []
"""Called for each attempt that was passed in an exam that is called off afterwards, in that transaction."""
ON_ANNOUNCED: list[Hook] = []
"""Called once for an attempt from which on its result and its keys may be told, in the transaction that says so."""


@dataclass(frozen=True, slots=True)
class CloseSummary:
    """What one run of `close_due` did: attempts closed, exams closed, results announced."""

    attempts: int = 0
    exams: int = 0
    told: int = 0

    def __bool__(self) -> bool:
        return bool(self.attempts or self.exams or self.told)


def close_attempt(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, by: str, now: datetime) -> bool:
    """Close an attempt with what was saved; True for the one call that did. The clock closes nothing that was given more time meanwhile."""
    until = attempt.deadline if by == "clock" else None
    if not exam_attempts.close(session, attempt.sitting_id, by, now, until=until):
        return False
    sittings.close_sitting(session, attempt.sitting_id, "done", now)
    if current_task.focus(session, attempt.person_id) == ("exam", attempt.sitting_id):
        current_task.drop_focus(session, attempt.person_id)
    closed = update_result(session, catalog, exam, attempt.sitting_id, now)
    for hook in ON_CLOSED:
        hook(session, catalog, exam, closed, now)
    return True


def update_result(session: Session, catalog: Catalog, exam: Exam, sitting_id: int, now: datetime) -> Attempt:
    """Work out the result of a closed attempt from the marks that count, and credit a pass where it may be told. Idempotent.

    The attempt is locked first, so that of two who update it together the later sees the marks of both.

    A make-up counts no more than its cap; whether it was passed goes by what was earned. `passed` stays unknown while a short answer waits.
    """
    attempt = exam_attempts.get(session, sitting_id, hold=True)
    assert attempt is not None
    item_grades = grades.grades_of_sitting(session, sitting_id)
    earned = sum_grades(grade.place for grade in item_grades).scaled(exam.total)
    passed = None if any(grade.waits for grade in item_grades) else earned >= exam.pass_line
    score = earned if exam.cap is None else min(earned, exam.cap)
    exam_attempts.set_result(session, sitting_id, score, passed)
    attempt = replace(attempt, score=score, passed=passed)
    credit_pass(session, catalog, exam, attempt, now)
    return attempt


def credit_pass(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> credit.EarnedCredit | None:
    """The hours of a pass (bot/docs/rules.md D4), once an exam; not before the result may be told, for the hours would tell it."""
    if not attempt.passed or not exam.tells_score or attempt.closed_at is None:
        return None
    day = day_of(min(attempt.closed_at, attempt.deadline))
    return credit.earn_exam(session, catalog.policy, attempt.person_id, exam.root, day, now, makeup=exam.makeup_of is not None)


def close_due(session: Session, catalog: Catalog, now: datetime) -> CloseSummary:
    """Close attempts whose time is over, then exams without open attempts, then announce the results that may be told.

    Safe on any number of replicas: each step changes its row once. On PostgreSQL people whose own message is being served are left to the next
    turn, so that the message is written first.
    """
    overdue = [
        (attempt, seconds)
        for attempt, seconds in exam_attempts.overdue(session, now - CLOSE_DELAY, BATCH_SIZE)
        if _is_grace_over(attempt, seconds, now)
    ]
    locked_people = exam_attempts.lock_people(session, {attempt.person_id for attempt, _ in overdue}) if overdue else set()
    exams_by_id: dict[int, Exam] = {}
    closed = 0
    for attempt, _ in overdue:
        exam = exams_by_id.get(attempt.exam_id) or exam_exams.get(session, attempt.exam_id)
        if exam is not None and attempt.person_id in locked_people:
            exams_by_id[exam.id] = exam
            closed += close_attempt(session, catalog, exam, attempt, "clock", now)
    closed_exams = sum(_close_exam(session, exam_id, now) for exam_id in exam_exams.list_ended(session, now - CLOSE_DELAY))
    return CloseSummary(closed, closed_exams, _announce_results(session, catalog, now))


def _close_exam(session: Session, exam_id: int, now: datetime) -> bool:
    """Close an exam and stop its reminders; False when another call was first."""
    exam = exam_exams.get(session, exam_id)
    if exam is None or not exam_exams.close(session, exam_id, now):
        return False
    if exam.campaign_id is not None:
        for state in ("running", "done"):
            campaign.set_state(session, exam.campaign_id, state, "stopped", now)
    return True


def _is_grace_over(attempt: Attempt, grace_seconds: int, now: datetime) -> bool:
    return (now - attempt.deadline - CLOSE_DELAY).total_seconds() >= grace_seconds


def _announce_results(session: Session, catalog: Catalog, now: datetime) -> int:
    """Do what follows once results and keys may be told: hours, the notebook of mistakes, `ON_ANNOUNCED`. How many attempts."""
    announced = 0
    exams_by_id: dict[int, Exam] = {}
    waiting = exam_attempts.unannounced(session, BATCH_SIZE)
    locked_people = exam_attempts.lock_people(session, {attempt.person_id for attempt in waiting}) if waiting else set()
    for attempt in waiting:
        exam = exams_by_id.get(attempt.exam_id) or exam_exams.get(session, attempt.exam_id)
        if exam is None or attempt.person_id not in locked_people or not exam_attempts.mark_announced(session, attempt.sitting_id, now):
            continue
        exams_by_id[exam.id] = exam
        credit_pass(session, catalog, exam, attempt, now)
        for grade in grades.grades_of_sitting(session, attempt.sitting_id):
            if grade.answer_id is not None and grade.earned < 1000 and not grade.waits:
                mistakes.add_missed(session, attempt.person_id, grade.question, now)
        for hook in ON_ANNOUNCED:
            hook(session, catalog, exam, attempt, now)
        announced += 1
    return announced
