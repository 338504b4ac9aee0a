"""Recording answers and handing in: the first answer stands, and what arrived in time counts (bot/docs/reliability.md D6–D10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.exam.exam import Attempt, Exam
from bot.domain.exam.paper import shuffle_question, to_file_letters, to_shown_letters
from bot.domain.library.question import KINDS, Grade
from bot.domain.message import Incoming, Refusal
from bot.services.exam import finish
from bot.services.exam.paper_view import (
    AttemptStatus,
    ShownItem,
    attempt_status,
    ended_sentence,
    require_attempt,
    seconds_left,
    shown_item,
    status_of,
)
from bot.services.library.catalog import Catalog
from bot.services.study import answers
from bot.storage.exam import attempts, exams
from bot.storage.exam.attempts import PaperItem, PaperPlace
from bot.storage.study import answers as study_answers
from bot.storage.study import sittings


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """A recorded answer, in the letters shown, and the state of the attempt after it."""

    n: int
    choice: str
    status: AttemptStatus


@dataclass(slots=True)
class PaperFacts:
    """All that deciding an answer needs: the attempt with its exam, the item, the size of the paper and the places answered so far."""

    exam: Exam
    attempt: Attempt
    item: PaperItem
    size: int
    answered: frozenset[int]


@dataclass(slots=True)
class ExamDecision:
    """What an answer comes to, before anything is written; `choice` in the letters of the file."""

    person_id: int
    item: PaperItem
    choice: str
    grade: Grade
    incoming: Incoming
    now: datetime
    recorded: RecordedAnswer


def gather(session: Session, places: Sequence[PaperPlace]) -> list[PaperFacts | None]:
    """The facts of each place, in one statement and one an exam; None for a paper that is not the person's, or a place that it does not have."""
    held = attempts.hold_places(session, places)
    held_exams = {exam_id: exams.get(session, exam_id) for exam_id in {found[0].exam_id for found in held if found is not None}}
    facts: list[PaperFacts | None] = []
    for found in held:
        exam = None if found is None else held_exams[found[0].exam_id]
        if found is None or exam is None:
            facts.append(None)
            continue
        attempt, state, item = found
        facts.append(PaperFacts(exam, attempt, item, state.size, frozenset(map(int, state.answered.split(","))) if state.answered else frozenset()))
    return facts


def decide(session: Session, catalog: Catalog, facts: PaperFacts, text: str, incoming: Incoming, now: datetime) -> ExamDecision:
    """Grade an answer as it was typed or tapped in the letters seen, and say how the attempt stands with it.

    In time is what arrived at the edge by the deadline and the grace, however long it waited for its turn. Raises `Refusal` (未记录) otherwise. Reads
    nothing but a version of a question that is not among the loaded ones.
    """
    exam, attempt, item = facts.exam, facts.attempt, facts.item
    if not attempt.is_in_time(incoming.arrived, exam.grace):
        raise Refusal(f"未记录：{ended_sentence(exam, attempt)}")
    if item.choice is not None:
        shown_choice = to_shown_letters(item.choice, item.shuffle)
        raise Refusal(f"未记录：第 {item.n} 题已经答过（{shown_choice[:20]}），以第一次为准。")
    question = catalog.question(session, item.version_id)
    choice = shuffle_question(question, item.shuffle).parse_answer(text)
    if choice is None:
        raise Refusal(f"未记录：第 {item.n} 题是{KINDS[question.kind].label}，没有看懂「{text[:20]}」。")
    file_choice = to_file_letters(choice, item.shuffle)
    unanswered = tuple(place for place in range(1, facts.size + 1) if place not in facts.answered and place != item.n)
    next_place = next((place for place in unanswered if place > item.n), next(iter(unanswered), item.n))
    status = AttemptStatus(exam, attempt, facts.size, next_place, seconds_left(attempt, now), unanswered)
    graded = answers.grade(question, file_choice)
    return ExamDecision(attempt.person_id, item, file_choice, graded, incoming, now, RecordedAnswer(item.n, choice, status))


def keep(session: Session, decisions: Sequence[ExamDecision]) -> None:
    """Record what was decided and take the next places in hand, one statement a table."""
    study_answers.record(
        session,
        [
            answers.answer_row(
                decision.person_id,
                decision.recorded.status.sitting_id,
                decision.item,
                decision.choice,
                decision.grade,
                decision.incoming,
                decision.now,
            )
            for decision in decisions
        ],
    )
    statuses = [decision.recorded.status for decision in decisions]
    study_answers.move_on(session, [(status.sitting_id, status.place) for status in statuses if status.is_open])


def record_exam_answer(
    session: Session, catalog: Catalog, person_id: int, sitting_id: int, n: int, choice: str, incoming: Incoming, now: datetime
) -> RecordedAnswer:
    """Record the answer to one item; the first stands, and a copy of the message that gave it gets the same result.

    Raises `Refusal` (未记录) for what does not count, as `decide` does.
    """
    (facts,) = gather(session, [PaperPlace(person_id, sitting_id, n)])
    if facts is None:
        require_attempt(session, person_id, sitting_id)
        raise Refusal(f"未记录：这份卷没有第 {n} 题。")
    exam, attempt, item = facts.exam, facts.attempt, facts.item
    if item.choice is not None and attempt.is_in_time(incoming.arrived, exam.grace) and _is_copy(session, attempt, item, incoming):
        return RecordedAnswer(item.n, to_shown_letters(item.choice, item.shuffle), status_of(session, exam, attempt, now))
    decision = decide(session, catalog, facts, choice, incoming, now)
    keep(session, [decision])
    if attempt.state != "open":
        # It arrived in time and got its turn after the clock or the invigilator had closed the attempt: the result is worked out again with it.
        finish.update_result(session, catalog, exam, sitting_id, now)
    return decision.recorded


def _is_copy(session: Session, attempt: Attempt, item: PaperItem, incoming: Incoming) -> bool:
    return attempts.answer_by_message(session, attempt.sitting_id, item.n, incoming.sender.channel, incoming.message_id) is not None


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
