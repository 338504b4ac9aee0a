"""What of all exams concerns one person: open now, to come, sat before; each with what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.exam import Attempt, Exam, best
from bot.domain.times import day_of
from bot.services.exam.sit import hindrance
from bot.services.shelf import Shelf
from bot.storage import audience
from bot.storage.exam import attempts, exams

AHEAD = timedelta(days=60)
"""How long before its opening an exam is listed."""
PAST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Mine:
    """An exam for a person: the try that counts (None: never begun), the one that runs, and why it cannot be begun now (empty: it can)."""

    exam: Exam
    counts: Attempt | None
    running: Attempt | None
    hindrance: str

    @property
    def is_done(self) -> bool:
        """Whether it was sat and cannot be begun again."""
        return self.running is None and bool(self.hindrance) and self.counts is not None and self.counts.state == "closed"


def of(session: Session, shelf: Shelf, exam: Exam, person_id: int, now: datetime) -> Mine:
    tried = attempts.attempts(session, exam.id, person_id)
    running = next((one for one in tried if one.state == "open" and now <= one.deadline + exam.grace), None)
    why = "" if running is not None else hindrance(session, shelf, exam, person_id, now)
    return Mine(exam, best(tried).get(person_id), running, why)


def mine(session: Session, shelf: Shelf, person_id: int, now: datetime) -> tuple[list[Mine], list[Mine]]:
    """(open or to come, sat before with no try left), the first to close in front, the last to be over in front."""
    today = day_of(now)
    coming = [one for one in exams.published(session, now + AHEAD) if one.closes_at > now]
    known = {one.id for one in coming}
    sat = exams.of_person(session, person_id)
    mine_ids = {one.id for one in sat}
    concern = [one for one in coming if one.id in mine_ids or audience.includes(session, one.audience, person_id, today, now)]
    found = [of(session, shelf, one, person_id, now) for one in concern]
    past = [one for one in sat if one.id not in known and one.state != "cancelled"][:PAST_SHOWN]
    return [one for one in found if not one.is_done], [
        *(one for one in found if one.is_done),
        *(of(session, shelf, one, person_id, now) for one in past),
    ]
