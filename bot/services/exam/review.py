"""A paper after the exam: every item as its person saw it, with the key and the mark that counts, once the rule lets keys be told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from bot.domain.exam.exam import Attempt, Exam
from bot.domain.exam.paper import as_shown, shown_as
from bot.domain.grading.correction import Amendment
from bot.domain.library.question import Question
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.storage.exam import attempts
from bot.storage.grading import corrections
from bot.storage.study import grades
from bot.storage.study.grades import CountingGrade


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One item looked at afterwards: the question with its options in the order seen, the recorded choice in those letters (None: not answered).

    The question keeps the key with which it was put; where a correction holds now, `amended` says which (in the letters seen) and `reason` why.
    """

    n: int
    question: Question
    choice: str | None
    mark: CountingGrade
    amended: Amendment | None = None
    reason: str = ""


def barred(session: Session, attempt: Attempt, now: datetime) -> str:
    """Why another exam lets somebody see no keys of this old paper yet, in a sentence; empty when none stands in the way."""
    if name := key_visibility.at_exam(session, attempt.person_id, now):
        return f"您正在考《{name}》，交卷以后再看答案和解析。"
    hidden = key_visibility.hidden(session, attempt.person_id)
    if hidden and not hidden.isdisjoint(one.question for one in attempts.items(session, attempt.sitting_id)):
        return "这份卷里有您另一场考试的题，那场考试结束后再看答案和解析。"
    return ""


def review(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> list[Reviewed]:
    """Every item of a paper with its key; nothing while it can be answered, its exam does not tell keys yet or another exam bars them."""
    if attempt.state != "closed" or not exam.tells_keys or barred(session, attempt, now):
        return []
    shuffles = {one.n: one.shuffle for one in attempts.items(session, attempt.sitting_id)}
    return [_reviewed(session, catalog, mark, shuffles[mark.n]) for mark in grades.of_sitting(session, attempt.sitting_id)]


def _reviewed(session: Session, catalog: Catalog, mark: CountingGrade, shuffle: str) -> Reviewed:
    question = as_shown(catalog.question(session, mark.version_id), shuffle)
    choice = None if mark.choice is None else shown_as(mark.choice, shuffle)
    found = None if mark.correction is None else corrections.get(session, mark.correction)
    if found is None:
        return Reviewed(mark.n, question, choice, mark)
    amended = replace(found.amendment, keys=tuple(shown_as(one, shuffle) for one in found.amendment.keys))
    return Reviewed(mark.n, question, choice, mark, amended, found.reason)
