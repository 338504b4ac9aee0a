"""Keys that may not be shown yet: while an exam can still be sat, nobody who has its paper is shown the answers of its items in any other way.

Two rules. Whoever is sitting an exam is shown no key of any question until it is handed in (`require_not_at_exam`). And until nobody sits the exam
any more, the items of a person's own paper are not drawn for other sets (`hidden_questions`), and a set that holds one already withholds its
verdict (`withheld_reason`). Everybody else may study the banks as always: they are open, and papers differ from person to person.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.exam.exam import date_time_text
from bot.domain.message import Option, Refusal
from bot.storage.exam import attempts

MAX_GRACE = timedelta(seconds=60)


def hidden_questions(session: Session, person_id: int) -> frozenset[str]:
    """The questions whose keys a person may not be shown yet."""
    return attempts.hidden_questions(session, person_id)


def current_exam_name(session: Session, person_id: int, now: datetime) -> str:
    """The exam that a person is at, whose time is not over; empty when there is none."""
    for attempt in attempts.attempts_at_open_exams(session, person_id):
        if attempt.is_open and now <= attempt.deadline + timedelta(seconds=attempt.grace_seconds):
            return attempt.name
    return ""


def people_at_exams(session: Session, now: datetime) -> frozenset[int]:
    """Everybody who is at an exam, or only just was: messages to many leave them out."""
    return attempts.people_in_exams(session, now - MAX_GRACE)


def require_not_at_exam(session: Session, person_id: int, now: datetime) -> None:
    """Raises `Refusal` for somebody who is at an exam: they are shown nothing that could be a key."""
    if name := current_exam_name(session, person_id, now):
        raise Refusal(
            f"未记录：您正在考《{name}》，交卷以前不能做别的题、也看不到答案。回复「继续」接着考，或「交卷」。",
            (Option("继续", "继续"), Option("交卷", "交卷")),
        )


def withheld_reason(session: Session, person_id: int, question: str, now: datetime) -> str:
    """Why the key of a question is not shown to a person, in a sentence; empty when it may be. Raises `Refusal` as `require_not_at_exam` does."""
    watched = attempts.attempts_at_open_exams(session, person_id)
    if not watched:
        return ""
    require_not_at_exam(session, person_id, now)
    if question not in hidden_questions(session, person_id):
        return ""
    last_close = max(attempt.closes_at for attempt in watched)
    return f"这道题在您的考试卷里，对错、答案和解析在考试结束（{date_time_text(last_close)}）后再看。"
