"""Keys that may not be told yet: while an exam can still be sat, nobody who has its paper is told the answers of its items, by whatever way.

Two rules. Whoever is at an exam does no other questions until it is handed in (`stands_before`). And until nobody sits the exam any more, the
items of a person's own paper are not drawn for practice, and a set that holds one already keeps its verdict back (`hidden`, `keeps_back`).
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.domain.exam import Exam
from bot.storage.exam import attempts, exams


def hidden(session: Session, person_id: int) -> frozenset[str]:
    """The questions whose keys a person may not be told yet."""
    return attempts.hidden(session, person_id)


def keeps_back(session: Session, person_id: int, question: str) -> Exam | None:
    """The exam because of which the key of a question is not told to a person; None when it may be."""
    exam_id = attempts.hides(session, person_id, question)
    return None if exam_id is None else exams.get(session, exam_id)


def sits(session: Session, person_id: int, now: datetime) -> Exam | None:
    """The exam that a person is at, whose time is not over; None when there is none."""
    for attempt in attempts.running(session, person_id):
        exam = exams.get(session, attempt.exam_id)
        if exam is not None and now <= attempt.deadline + exam.grace:
            return exam
    return None
