"""An answer in three steps, for decision message as for a whole batch: gather what it needs, decide without the database, keep what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from sqlmodel import Session

from bot.domain.hours.policy import HoursPolicy
from bot.domain.library.question import Grade, Question
from bot.domain.message import Incoming
from bot.domain.study.sitting import FORMS
from bot.domain.text import segmentation
from bot.domain.times import day_of
from bot.services.hours import credit
from bot.services.hours.credit import EarnedCredit, ItemCredit
from bot.services.study.mistakes import NotebookMove, move_notebook
from bot.storage.study import answers, mistakes
from bot.storage.study.answers import AnswerFacts, PlaceLookup
from bot.storage.study.sittings import OpenSitting, SittingItem

SEGMENTED_KINDS = ("short",)


class AnswerPlace(Protocol):
    """A place of a sitting: which question, in which version."""

    @property
    def n(self) -> int: ...
    @property
    def question(self) -> str: ...
    @property
    def version_id(self) -> int: ...


@dataclass(slots=True)
class AnswerDecision:
    """What an answer comes to, before anything is written: its grade, what it earns (None: it earned before, or earns nothing here), how the
    notebook moves, and the place that comes next (None: the sitting is over, or the next decision has to be looked for)."""

    sitting: OpenSitting
    item: SittingItem
    question: Question
    choice: str
    grade: Grade
    incoming: Incoming
    now: datetime
    item_credit: ItemCredit | None
    notebook_move: NotebookMove | None
    next_item: SittingItem | None

    @property
    def earned(self) -> EarnedCredit | None:
        return None if self.item_credit is None else self.item_credit.earned

    @property
    def is_over(self) -> bool:
        """Whether the sitting ends with this answer, whatever follows in it."""
        return FORMS[self.sitting.kind].one_life and not self.grade.correct


def grade(question: Question, choice: str) -> Grade:
    """The grade of a choice in the letters of the file."""
    return question.grade(choice, segment=segmentation.cut_words if question.kind in SEGMENTED_KINDS else None)


def lookup(person_id: int, sitting_id: int, n: int | None, day: date) -> PlaceLookup:
    """A place to gather; None for the decision in hand."""
    return PlaceLookup(person_id, sitting_id, n, day.isoformat(), day.year, credit.item_source(day, ""))


def gather(session: Session, places: Sequence[PlaceLookup]) -> list[AnswerFacts | None]:
    """The facts of each place, in one statement."""
    return answers.gather(session, places)


def decide(policy: HoursPolicy, facts: AnswerFacts, question: Question, choice: str, incoming: Incoming, now: datetime) -> AnswerDecision:
    """Grade an answer, credit it and move its card; reads nothing and writes nothing."""
    form = FORMS[facts.sitting.kind]
    graded = grade(question, choice)
    item_credit = None
    if form.earns_credit and facts.used is not None:
        item_credit = credit.decide_item(policy, facts.used, facts.item.question, question.law, day_of(now))
    move = move_notebook(facts.entry, question, graded, facts.asked_at, now) if form.updates_notebook else None
    return AnswerDecision(facts.sitting, facts.item, question, choice, graded, incoming, now, item_credit, move, facts.next_item)


def keep(session: Session, decisions: Sequence[AnswerDecision]) -> None:
    """Write what was decided, one statement a table."""
    answers.record(
        session,
        [
            answer_row(
                decision.sitting.person_id, decision.sitting.id, decision.item, decision.choice, decision.grade, decision.incoming, decision.now
            )
            for decision in decisions
        ],
    )
    credit.keep_items(
        session, [(decision.sitting.person_id, decision.item_credit, decision.now) for decision in decisions if decision.item_credit is not None]
    )
    mistakes.save_entries(
        session, [(decision.sitting.person_id, decision.notebook_move.entry) for decision in decisions if decision.notebook_move is not None]
    )
    answers.move_on(
        session, [(decision.sitting.id, decision.next_item.n) for decision in decisions if decision.next_item is not None and not decision.is_over]
    )


def answer_row(person_id: int, sitting_id: int, place: AnswerPlace, choice: str, graded: Grade, incoming: Incoming, now: datetime) -> dict[str, Any]:
    """The row of an answer. `choice` in the letters of the file; what is not quite right earns less than the whole."""
    return {
        "person_id": person_id,
        "sitting_id": sitting_id,
        "n": place.n,
        "question": place.question,
        "version_id": place.version_id,
        "choice": choice,
        "correct": graded.correct,
        "earned": 1000 if graded.correct else min(999, round(graded.earned * 1000)),
        "provisional": graded.provisional,
        "channel": incoming.sender.channel,
        "message_id": incoming.message_id,
        "arrived_at": incoming.arrived,
        "recorded_at": now,
    }
