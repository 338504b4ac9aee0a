"""The end of an attempt: closed once, by its person, by the clock or by the invigilator; marked, credited, and told when the rule says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlmodel import Session

from bot.domain.exam.exam import SETTLE, Attempt, Exam
from bot.domain.grading.correction import sum_grades
from bot.domain.times import day_of
from bot.services.hours import credit as hours_credit
from bot.services.library.catalog import Catalog
from bot.services.study import mistakes
from bot.storage import campaign
from bot.storage.exam import attempts as exam_attempts
from bot.storage.exam import exams as exam_exams
from bot.storage.study import grades, readings, sittings

log = structlog.get_logger(__name__)

AT_ONCE = 200
"""Attempts that one turn of the clock closes or tells, so that answers are written in between."""

Hook = Callable[[Session, Catalog, Exam, Attempt, datetime], None]
ON_CLOSED: list[Hook] = []
"""Called when an attempt was closed and marked, in the same transaction; again when it is closed after a reopening."""
ON_CANCELLED: list[Hook] = []
"""Called for each attempt that was passed in an exam that is called off afterwards, in that transaction."""
ON_TOLD: list[Hook] = []
"""Called once for an attempt from which on its result and its keys may be told, in the transaction that says so."""


@dataclass(frozen=True, slots=True)
class ClosedAttempt:
    """What one turn of the clock did: attempts closed, exams over, results told."""

    attempts: int = 0
    exams: int = 0
    told: int = 0

    def __bool__(self) -> bool:
        return bool(self.attempts or self.exams or self.told)


def end(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, by: str, now: datetime) -> bool:
    """Close an attempt with what was saved; True for the one call that did. The clock closes nothing that was given more time meanwhile."""
    until = attempt.deadline if by == "clock" else None
    if not exam_attempts.end(session, attempt.sitting_id, by, now, until=until):
        return False
    sittings.close_sitting(session, attempt.sitting_id, "done", now)
    if readings.focus(session, attempt.person_id) == ("exam", attempt.sitting_id):
        readings.drop_focus(session, attempt.person_id)
    closed = settle(session, catalog, exam, attempt.sitting_id, now)
    for hook in ON_CLOSED:
        hook(session, catalog, exam, closed, now)
    return True


def settle(session: Session, catalog: Catalog, exam: Exam, sitting_id: int, now: datetime) -> Attempt:
    """Work out the result of a closed attempt from the marks that count, and credit a pass where it may be told. Idempotent.

    The attempt is held first, so that of two who settle it together the later sees the marks of both.

    A make-up counts no more than its cap; whether it was passed goes by what was earned. `passed` stays unknown while a short answer waits.
    """
    found = exam_attempts.attempt(session, sitting_id, hold=True)
    assert found is not None
    places = grades.of_sitting(session, sitting_id)
    got = sum_grades(one.place for one in places).scaled(exam.total)
    passed = None if any(one.waits for one in places) else got >= exam.pass_line
    score = got if exam.cap is None else min(got, exam.cap)
    exam_attempts.mark(session, sitting_id, score, passed)
    found = replace(found, score=score, passed=passed)
    credit(session, catalog, exam, found, now)
    return found


def credit(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> hours_credit.EarnedCredit | None:
    """The hours of a pass (rule D4), once an exam; not before the result may be told, for the hours would tell it."""
    if not attempt.passed or not exam.tells_score or attempt.closed_at is None:
        return None
    day = day_of(min(attempt.closed_at, attempt.deadline))
    return hours_credit.earn_exam(session, catalog.policy, attempt.person_id, exam.root, day, now, makeup=exam.makeup_of is not None)


def close_due(session: Session, catalog: Catalog, now: datetime) -> ClosedAttempt:
    """What the clock does: close attempts whose time is over, then exams that nobody sits any more, then tell what may be told.

    Safe on any number of replicas: each step changes its row once. On PostgreSQL people whose own message is being served are left to the next
    turn, so that the message is written first.
    """
    found = [(one, seconds) for one, seconds in exam_attempts.overdue(session, now - SETTLE, AT_ONCE) if _is_over(one, seconds, now)]
    mine = exam_attempts.lock_people(session, {one.person_id for one, _ in found}) if found else set()
    known: dict[int, Exam] = {}
    closed = 0
    for one, _ in found:
        exam = known.get(one.exam_id) or exam_exams.get(session, one.exam_id)
        if exam is not None and one.person_id in mine:
            known[exam.id] = exam
            closed += end(session, catalog, exam, one, "clock", now)
    over = sum(_shut(session, exam_id, now) for exam_id in exam_exams.ended(session, now - SETTLE))
    return ClosedAttempt(closed, over, _tell(session, catalog, now))


def _shut(session: Session, exam_id: int, now: datetime) -> bool:
    """An exam is over; nobody is reminded of it any more."""
    exam = exam_exams.get(session, exam_id)
    if exam is None or not exam_exams.close(session, exam_id, now):
        return False
    if exam.campaign_id is not None:
        for state in ("running", "done"):
            campaign.set_state(session, exam.campaign_id, state, "stopped", now)
    return True


def _is_over(attempt: Attempt, grace_seconds: int, now: datetime) -> bool:
    return (now - attempt.deadline - SETTLE).total_seconds() >= grace_seconds


def _tell(session: Session, catalog: Catalog, now: datetime) -> int:
    """Everything that follows from results and keys that may be told from now on: hours, the notebook of mistakes, what others hung on it."""
    told = 0
    known: dict[int, Exam] = {}
    waiting = exam_attempts.untold(session, AT_ONCE)
    mine = exam_attempts.lock_people(session, {one.person_id for one in waiting}) if waiting else set()
    for one in waiting:
        exam = known.get(one.exam_id) or exam_exams.get(session, one.exam_id)
        if exam is None or one.person_id not in mine or not exam_attempts.tell(session, one.sitting_id, now):
            continue
        known[exam.id] = exam
        credit(session, catalog, exam, one, now)
        for mark in grades.of_sitting(session, one.sitting_id):
            if mark.answer_id is not None and mark.earned < 1000 and not mark.waits:
                mistakes.missed(session, one.person_id, mark.question, now)
        for hook in ON_TOLD:
            hook(session, catalog, exam, one, now)
        told += 1
    return told
