"""The next exam that concerns somebody: the day that their reviews aim at, and the paper that a mock exam is like.

What of all exams concerns one person: open now, to come, sat before; each with what can be done about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.exam.exam import Attempt, Exam, best
from bot.domain.study.review_goal import ReviewGoal
from bot.domain.times import day_of, start_of
from bot.services.exam.attempt import hindrance as attempt_hindrance
from bot.services.library.catalog import Catalog
from bot.storage.exam import attempts, exams
from bot.storage.people import audience

COMING_AHEAD = timedelta(days=366)
"""How far an exam may lie ahead to be aimed at."""


def coming(session: Session, person_id: int, now: datetime) -> Exam | None:
    """The published exam that closes next, is for this person and not sat by them yet; None when there is none."""
    for exam in exams.published(session, now + COMING_AHEAD):
        sat = exam.closes_at <= now or attempts.attempts(session, exam.id, person_id)
        if not sat and audience.includes(session, exam.audience, person_id, day_of(now), now):
            return exam
    return None


def day_of_next(session: Session, person_id: int, today: date) -> ReviewGoal | None:
    """The day on which the next exam opens, or, once that has come, the last on which it can be sat."""
    exam = coming(session, person_id, start_of(today))
    if exam is None:
        return None
    opens, closes = day_of(exam.opens_at), day_of(exam.closes_at)
    return ReviewGoal(opens) if opens > today or opens == closes else ReviewGoal(closes, is_deadline=True)


LISTED_AHEAD = timedelta(days=60)
"""How long before its opening an exam is listed."""
PAST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class OwnExam:
    """An exam for a person: the try that counts (None: never begun), the one that runs, and why it cannot be begun now (empty: it can)."""

    exam: Exam
    counts: Attempt | None
    running: Attempt | None
    hindrance: str

    @property
    def is_done(self) -> bool:
        """Whether it was sat and cannot be begun again."""
        return self.running is None and bool(self.hindrance) and self.counts is not None and self.counts.state == "closed"


def of(session: Session, catalog: Catalog, exam: Exam, person_id: int, now: datetime) -> OwnExam:
    tried = attempts.attempts(session, exam.id, person_id)
    running = next((one for one in tried if one.state == "open" and now <= one.deadline + exam.grace), None)
    why = "" if running is not None else attempt_hindrance(session, catalog, exam, person_id, now)
    return OwnExam(exam, best(tried).get(person_id), running, why)


def mine(session: Session, catalog: Catalog, person_id: int, now: datetime) -> tuple[list[OwnExam], list[OwnExam]]:
    """(open or to come, sat before with no try left), the first to close in front, the last to be over in front."""
    today = day_of(now)
    coming = [one for one in exams.published(session, now + LISTED_AHEAD) if one.closes_at > now]
    known = {one.id for one in coming}
    sat = exams.of_person(session, person_id)
    mine_ids = {one.id for one in sat}
    concern = [one for one in coming if one.id in mine_ids or audience.includes(session, one.audience, person_id, today, now)]
    found = [of(session, catalog, one, person_id, now) for one in concern]
    past = [one for one in sat if one.id not in known and one.state != "cancelled"][:PAST_SHOWN]
    return [one for one in found if not one.is_done], [
        *(one for one in found if one.is_done),
        *(of(session, catalog, one, person_id, now) for one in past),
    ]
