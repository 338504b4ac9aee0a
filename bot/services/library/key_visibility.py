"""Keys that may not be told yet: while an exam can still be sat, nobody who has its paper is told the answers of its items, by whatever way.

Two rules. Whoever is at an exam is told no key of any question until it is handed in (`at_exam`). And until nobody sits the exam any more, the
items of a person's own paper are not drawn for other sets (`hidden`), and a set that holds one already keeps its verdict back (`kept_back`).
Everybody else may study the banks as always: they are open, and papers differ from person to person.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.exam.exam import date_time_text
from bot.domain.message import Option, Refusal
from bot.storage.exam import attempts

LONGEST_GRACE = timedelta(seconds=60)


def hidden(session: Session, person_id: int) -> frozenset[str]:
    """The questions whose keys a person may not be told yet."""
    return attempts.hidden_questions(session, person_id)


def at_exam(session: Session, person_id: int, now: datetime) -> str:
    """The exam that a person is at, whose time is not over; empty when there is none."""
    for one in attempts.attempts_at_open_exams(session, person_id):
        if one.is_open and now <= one.deadline + timedelta(seconds=one.grace_seconds):
            return one.name
    return ""


def all_at_exams(session: Session, now: datetime) -> frozenset[int]:
    """Everybody who is at an exam, or only just was: what is called out to many leaves them out."""
    return attempts.people_in_exams(session, now - LONGEST_GRACE)


def free(session: Session, person_id: int, now: datetime) -> None:
    """Raises `Refusal` for somebody who is at an exam: they are told nothing that could be a key."""
    if name := at_exam(session, person_id, now):
        raise Refusal(
            f"未记录：您正在考《{name}》，交卷以前不能做别的题、也看不到答案。回复「继续」接着考，或「交卷」。",
            (Option("继续", "继续"), Option("交卷", "交卷")),
        )


def kept_back(session: Session, person_id: int, question: str, now: datetime) -> str:
    """Why the key of a question is not told to a person, in a sentence; empty when it may be. Raises `Refusal` as `free` does."""
    watched = attempts.attempts_at_open_exams(session, person_id)
    if not watched:
        return ""
    free(session, person_id, now)
    if question not in hidden(session, person_id):
        return ""
    last = max(one.closes_at for one in watched)
    return f"这道题在您的考试卷里，对错、答案和解析在考试结束（{date_time_text(last)}）后再看。"
