"""What a person may see of their paper: the state and the items during the attempt, and the review with right answers afterwards.

Nothing shown during the attempt holds a key or an explanation; `review_paper` gives them once the rule of the exam allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from bot.domain.exam.exam import Attempt, Exam, clock_text, time_left_text
from bot.domain.exam.paper import shuffle_question, to_shown_letters
from bot.domain.grading.correction import Amendment
from bot.domain.library.question import KINDS, Question
from bot.domain.message import Refusal
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.storage.exam import attempts, exams
from bot.storage.exam.attempts import PaperItem
from bot.storage.grading import corrections
from bot.storage.study import grades, sittings
from bot.storage.study.grades import CountingGrade


@dataclass(frozen=True, slots=True)
class ReviewedItem:
    """One item looked at afterwards: the question with its options in the order seen, the recorded choice in those letters (None: not answered).

    The question keeps the key with which it was put; where a correction holds now, `amended` says which (in the letters seen) and `reason` why.
    """

    n: int
    question: Question
    choice: str | None
    mark: CountingGrade
    amended: Amendment | None = None
    reason: str = ""


def why_not_reviewable(session: Session, attempt: Attempt, now: datetime) -> str:
    """Why another exam still hides the keys of this paper, in a sentence; empty when none does."""
    if name := key_visibility.current_exam_name(session, attempt.person_id, now):
        return f"您正在考《{name}》，交卷以后再看答案和解析。"
    hidden = key_visibility.hidden_questions(session, attempt.person_id)
    if hidden and not hidden.isdisjoint(item.question for item in attempts.items(session, attempt.sitting_id)):
        return "这份卷里有您另一场考试的题，那场考试结束后再看答案和解析。"
    return ""


def review_paper(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> list[ReviewedItem]:
    """Every item of a paper with its key; nothing while it can be answered, its exam does not tell keys yet or another exam bars them."""
    if attempt.state != "closed" or not exam.tells_keys or why_not_reviewable(session, attempt, now):
        return []
    shuffles = {item.n: item.shuffle for item in attempts.items(session, attempt.sitting_id)}
    return [_reviewed_item(session, catalog, grade, shuffles[grade.n]) for grade in grades.grades_of_sitting(session, attempt.sitting_id)]


def _reviewed_item(session: Session, catalog: Catalog, grade: CountingGrade, shuffle: str) -> ReviewedItem:
    question = shuffle_question(catalog.question(session, grade.version_id), shuffle)
    choice = None if grade.choice is None else to_shown_letters(grade.choice, shuffle)
    correction = None if grade.correction is None else corrections.get(session, grade.correction)
    if correction is None:
        return ReviewedItem(grade.n, question, choice, grade)
    amended = replace(correction.amendment, keys=tuple(to_shown_letters(key, shuffle) for key in correction.amendment.keys))
    return ReviewedItem(grade.n, question, choice, grade, amended, correction.reason)


@dataclass(frozen=True, slots=True)
class ShownItem:
    """An item as this person sees it, without key and explanation. `choice` is what was recorded, in the letters seen; None while unanswered."""

    n: int
    kind: str
    label: str
    law: str
    stem: str
    options: tuple[tuple[str, str], ...]
    several: bool
    points: int
    choice: str | None


@dataclass(frozen=True, slots=True)
class AttemptStatus:
    """The state of an attempt. `left` in whole seconds, 0 when it is over; `place` the item in hand; `unanswered` the places that are still open."""

    exam: Exam
    attempt: Attempt
    size: int
    place: int
    left: int
    unanswered: tuple[int, ...]

    @property
    def sitting_id(self) -> int:
        return self.attempt.sitting_id

    @property
    def answered(self) -> int:
        return self.size - len(self.unanswered)

    @property
    def is_open(self) -> bool:
        return self.attempt.state == "open"


def require_attempt(session: Session, person_id: int, sitting_id: int, *, hold: bool = False) -> tuple[Exam, Attempt]:
    """An attempt of this very person, with its exam. Raises `Refusal` for anybody else's.

    With `hold` it is not closed before this transaction ends: what is recorded now is in its result.
    """
    attempt = attempts.get(session, sitting_id, hold=hold)
    exam = exams.get(session, attempt.exam_id) if attempt is not None and attempt.person_id == person_id else None
    if attempt is None or exam is None:
        raise Refusal("未记录：这份试卷不是发给您的。")
    return exam, attempt


def ended_sentence(exam: Exam, attempt: Attempt) -> str:
    """How an attempt ended, in a sentence."""
    if attempt.closed_by == "self":
        return f"考试《{exam.name}》您已交卷。发送「考试 {exam.id}」看结果。"
    return f"考试《{exam.name}》已于 {clock_text(attempt.deadline)} 到时结束，已答的都已保存并交卷。发送「考试 {exam.id}」看结果。"


def attempt_status(session: Session, catalog: Catalog, sitting_id: int, now: datetime) -> AttemptStatus:
    """How an attempt stands. Raises `Refusal` for a sitting that is no attempt."""
    attempt = attempts.get(session, sitting_id)
    exam = exams.get(session, attempt.exam_id) if attempt is not None else None
    if attempt is None or exam is None:
        raise Refusal("没有这场考试的记录。")
    return status_of(session, exam, attempt, now)


def status_of(session: Session, exam: Exam, attempt: Attempt, now: datetime) -> AttemptStatus:
    """`attempt_status` for callers that have read the rows already."""
    sitting = sittings.sitting(session, attempt.sitting_id)
    assert sitting is not None
    open_places = tuple(attempts.unanswered(session, attempt.sitting_id))
    return AttemptStatus(exam, attempt, sitting.size, min(sitting.next, sitting.size), seconds_left(attempt, now), open_places)


def seconds_left(attempt: Attempt, now: datetime) -> int:
    """Whole seconds until the deadline, never less than none."""
    return max(0, int((attempt.deadline - now).total_seconds())) if attempt.state == "open" else 0


def shown_paper(session: Session, catalog: Catalog, sitting_id: int) -> list[ShownItem]:
    """The whole paper in its order as its person sees it: options shuffled, what was answered, worth; never a key."""
    return [as_shown(session, catalog, item) for item in attempts.items(session, sitting_id)]


def shown_item(session: Session, catalog: Catalog, sitting_id: int, n: int) -> ShownItem | None:
    """One item of a paper; None for a place that it does not have."""
    item = attempts.item(session, sitting_id, n)
    return None if item is None else as_shown(session, catalog, item)


def as_shown(session: Session, catalog: Catalog, item: PaperItem) -> ShownItem:
    """An item as its person sees it."""
    question = shown_question(session, catalog, item)
    choice = None if item.choice is None else to_shown_letters(item.choice, item.shuffle)
    label = KINDS[question.kind].label
    return ShownItem(item.n, question.kind, label, question.law, question.stem, question.choices, question.kind == "multiple", item.points, choice)


def shown_question(session: Session, catalog: Catalog, item: PaperItem) -> Question:
    """The question with its options in the order of this person; it holds the key and goes no further than the services."""
    return shuffle_question(catalog.question(session, item.version_id), item.shuffle)


def time_left_line(status: AttemptStatus) -> str:
    """还剩 42 分（截止 10:40）."""
    return f"还剩 {time_left_text(status.left)}（截止 {clock_text(status.attempt.deadline)}）"
