"""Recording answers and handing in: the first answer stands, and what arrived in time counts (bot/docs/reliability.md D6–D10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.exam.exam import Attempt, Exam
from bot.domain.exam.paper import to_file_letters, to_shown_letters
from bot.domain.library.question import KINDS
from bot.domain.message import Incoming, Refusal
from bot.services.exam import finish
from bot.services.exam.paper_view import (
    AttemptStatus,
    ShownItem,
    attempt_status,
    ended_sentence,
    require_attempt,
    shown_item,
    shown_question,
    status_of,
)
from bot.services.library.catalog import Catalog
from bot.services.study import answers
from bot.storage.exam import attempts
from bot.storage.exam.attempts import PaperItem
from bot.storage.study import answers as study_answers
from bot.storage.study import sittings


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """A recorded answer, in the letters shown, and the state of the attempt after it."""

    n: int
    choice: str
    status: AttemptStatus


def record_exam_answer(
    session: Session, catalog: Catalog, person_id: int, sitting_id: int, n: int, choice: str, incoming: Incoming, now: datetime
) -> RecordedAnswer:
    """Record the answer to one item, as it was typed or tapped in the letters seen; the first stands.

    In time is what arrived at the edge by the deadline and the grace, however long it waited for its turn. Raises `Refusal` (未记录) otherwise.
    """
    exam, attempt = require_attempt(session, person_id, sitting_id, hold=True)
    item = attempts.item(session, sitting_id, n)
    if item is None:
        raise Refusal(f"未记录：这份卷没有第 {n} 题。")
    if not attempt.is_in_time(incoming.arrived, exam.grace):
        raise Refusal(f"未记录：{ended_sentence(exam, attempt)}")
    if item.choice is not None:
        return _repeated_answer(session, exam, attempt, item, incoming, now)
    question = shown_question(session, catalog, item)
    shown_choice = question.parse_answer(choice)
    if shown_choice is None:
        raise Refusal(f"未记录：第 {n} 题是{KINDS[question.kind].label}，没有看懂「{choice[:20]}」。")
    file_choice = to_file_letters(shown_choice, item.shuffle)
    graded = answers.grade(catalog.question(session, item.version_id), file_choice)
    study_answers.record(session, [answers.answer_row(person_id, sitting_id, item, file_choice, graded, incoming, now)])
    if attempt.state != "open":
        # It arrived in time and got its turn after the clock or the invigilator had closed the attempt: the result is worked out again with it.
        finish.update_result(session, catalog, exam, sitting_id, now)
    else:
        next_item = sittings.next_item(session, sitting_id, n + 1)
        sittings.set_next_item(session, sitting_id, n if next_item is None else next_item.n)
    return RecordedAnswer(n, shown_choice, status_of(session, exam, attempt, now))


def _repeated_answer(session: Session, exam: Exam, attempt: Attempt, item: PaperItem, incoming: Incoming, now: datetime) -> RecordedAnswer:
    """A copy of the same message gets the same result; any other answer to the item is refused."""
    is_copy = attempts.answer_by_message(session, attempt.sitting_id, item.n, incoming.sender.channel, incoming.message_id) is not None
    shown_choice = to_shown_letters(item.choice or "", item.shuffle)
    if not is_copy:
        raise Refusal(f"未记录：第 {item.n} 题已经答过（{shown_choice[:20]}），以第一次为准。")
    return RecordedAnswer(item.n, shown_choice, status_of(session, exam, attempt, now))


def turn_to_item(session: Session, catalog: Catalog, person_id: int, sitting_id: int, n: int, now: datetime) -> tuple[AttemptStatus, ShownItem]:
    """Turn to an item, answered or not. Raises `Refusal` when the paper has no such place or is over."""
    exam, attempt = require_attempt(session, person_id, sitting_id)
    if attempt.state != "open" or now > attempt.deadline + exam.grace:
        raise Refusal(ended_sentence(exam, attempt))
    shown = shown_item(session, catalog, sitting_id, n)
    if shown is None:
        raise Refusal(f"这份卷没有第 {n} 题。")
    sittings.set_next_item(session, sitting_id, n)
    return status_of(session, exam, attempt, now), shown


def hand_in(session: Session, catalog: Catalog, person_id: int, sitting_id: int, incoming: Incoming, now: datetime) -> AttemptStatus:
    """Hand in on the person's own request. Once: a second word, or one that races the clock, finds it closed and is told so by `Refusal`."""
    exam, attempt = require_attempt(session, person_id, sitting_id)
    if attempt.state != "open":
        raise Refusal(ended_sentence(exam, attempt))
    closed_by = "self" if attempt.is_in_time(incoming.arrived, exam.grace) else "clock"
    if not finish.close_attempt(session, catalog, exam, attempt, closed_by, now):
        raise Refusal(ended_sentence(exam, attempt))
    return attempt_status(session, catalog, sitting_id, now)
