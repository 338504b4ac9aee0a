"""An exam for tests: published over the shipped question banks and taken through the services, without the chat."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.exam.blueprint import parse_blueprint
from bot.domain.exam.exam import Attempt, Exam, WantedExam
from bot.domain.message import Address, Incoming
from bot.domain.people.audience import All
from bot.services.exam import answers, attempt, finish, manage
from bot.services.exam.answers import RecordedAnswer
from bot.services.exam.attempt import BegunAttempt
from bot.services.exam.finish import CloseSummary
from bot.services.exam.paper_view import AttemptStatus
from bot.services.library.catalog import Catalog
from bot.storage.exam import attempts, exams
from tests.conftest import NOW

T = TypeVar("T")
BLUEPRINT = "单选 4×2、判断 2×1；30 分钟；及格 60%"
ADMIN, SECOND = Author("9001", "test"), Author("9002", "test")
_numbers = itertools.count(1)


def message(at: datetime, user: str = "1001", text: str = "", message_id: str = "") -> Incoming:
    """A message that arrives at a moment."""
    return Incoming(Address("local", "test", user), text, message_id or f"x{next(_numbers)}", at)


@dataclass
class ExamHarness:
    """Exams over a dispatcher: every call is a transaction of its own, like a message."""

    dispatcher: Dispatcher

    @property
    def catalog(self) -> Catalog:
        return self.dispatcher.catalog()

    def run(self, work: Any) -> Any:
        return self.dispatcher.database.write_now(work)

    def draft(self, blueprint: str = BLUEPRINT, author: Author = ADMIN, **more: Any) -> int:
        """A draft that opens now for two hours; `more` replaces what is wanted."""
        wanted = replace(WantedExam("年度学法考试", parse_blueprint(blueprint), All(), NOW, NOW + timedelta(hours=2)), **more)
        return self.draft_wanted(wanted, author)

    def draft_wanted(self, wanted: WantedExam, author: Author = ADMIN) -> int:
        return int(self.run(lambda session: manage.create(session, self.catalog, author, wanted, NOW)))

    def publish(self, blueprint: str = BLUEPRINT, at: datetime = NOW, **more: Any) -> int:
        exam_id = self.draft(blueprint, **more)
        self.run(lambda session: manage.publish(session, self.catalog, ADMIN, exam_id, at))
        return exam_id

    def begin(self, person_id: int, exam_id: int, at: datetime = NOW, rng: random.Random | None = None) -> BegunAttempt:
        begun: BegunAttempt = self.run(lambda session: attempt.begin(session, self.catalog, person_id, exam_id, at, rng or random.Random(7)))
        return begun

    def answer(self, person_id: int, sitting_id: int, n: int, choice: str, at: datetime = NOW, *, arrived: datetime | None = None) -> RecordedAnswer:
        incoming = message(arrived or at)
        recorded: RecordedAnswer = self.run(
            lambda session: answers.record_exam_answer(session, self.catalog, person_id, sitting_id, n, choice, incoming, at)
        )
        return recorded

    def answer_all(self, person_id: int, sitting_id: int, at: datetime = NOW, *, right: int = 1000) -> None:
        """Answer every item, the first `right` of them rightly."""
        for n, (key, wrong) in enumerate(self.keys(sitting_id), 1):
            self.answer(person_id, sitting_id, n, key if n <= right else wrong, at)

    def keys(self, sitting_id: int) -> list[tuple[str, str]]:
        """(right, wrong) answer of each item, in the letters shown to the person."""

        def work(session: Session) -> list[tuple[str, str]]:
            from bot.domain.exam.paper import shuffle_question

            keys = []
            for item in attempts.items(session, sitting_id):
                question = shuffle_question(self.catalog.question(session, item.version_id), item.shuffle)
                wrong = next(value for value, _ in question.choices if value not in question.key)
                keys.append((question.key, wrong))
            return keys

        return self.dispatcher.database.read_now(work)

    def hand_in(self, person_id: int, sitting_id: int, at: datetime = NOW, *, arrived: datetime | None = None) -> AttemptStatus:
        status: AttemptStatus = self.run(lambda session: answers.hand_in(session, self.catalog, person_id, sitting_id, message(arrived or at), at))
        return status

    def tick(self, at: datetime) -> CloseSummary:
        """Run what the clock does at a moment."""
        summary: CloseSummary = self.run(lambda session: finish.close_due(session, self.catalog, at))
        return summary

    def attempt(self, sitting_id: int) -> Attempt:
        attempt_ = self.dispatcher.database.read_now(lambda session: attempts.get(session, sitting_id))
        assert attempt_ is not None
        return attempt_

    def exam(self, exam_id: int) -> Exam:
        exam = self.dispatcher.database.read_now(lambda session: exams.get(session, exam_id))
        assert exam is not None
        return exam
