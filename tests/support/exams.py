"""An exam for tests: published over the shipped banks, sat at the service level without a word of chat."""

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
from bot.services.exam.answers import Recorded
from bot.services.exam.attempt import BegunAttempt
from bot.services.exam.finish import ClosedAttempt
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
class Hall:
    """Exams over a dispatcher: every call is a transaction of its own, as of a message."""

    dispatcher: Dispatcher

    @property
    def catalog(self) -> Catalog:
        return self.dispatcher.catalog()

    def run(self, work: Any) -> Any:
        return self.dispatcher.database.write_now(work)

    def draft(self, blueprint: str = BLUEPRINT, author: Author = ADMIN, **more: Any) -> int:
        """A draft that opens now for two hours; `more` replaces what is wanted."""
        wanted = replace(WantedExam("年度学法考试", parse_blueprint(blueprint), All(), NOW, NOW + timedelta(hours=2)), **more)
        return int(self.run(lambda session: manage.create(session, self.catalog, author, wanted, NOW)))

    def publish(self, blueprint: str = BLUEPRINT, at: datetime = NOW, **more: Any) -> int:
        exam_id = self.draft(blueprint, **more)
        self.run(lambda session: manage.publish(session, self.catalog, ADMIN, exam_id, at))
        return exam_id

    def begin(self, person_id: int, exam_id: int, at: datetime = NOW, rng: random.Random | None = None) -> BegunAttempt:
        made: BegunAttempt = self.run(lambda session: attempt.begin(session, self.catalog, person_id, exam_id, at, rng or random.Random(7)))
        return made

    def answer(self, person_id: int, sitting_id: int, n: int, choice: str, at: datetime = NOW, *, arrived: datetime | None = None) -> Recorded:
        incoming = message(arrived or at)
        made: Recorded = self.run(lambda session: answers.answer(session, self.catalog, person_id, sitting_id, n, choice, incoming, at))
        return made

    def answer_all(self, person_id: int, sitting_id: int, at: datetime = NOW, *, right: int = 1000) -> None:
        """Answer every item, the first `right` of them rightly."""
        for n, (key, wrong) in enumerate(self.keys(sitting_id), 1):
            self.answer(person_id, sitting_id, n, key if n <= right else wrong, at)

    def keys(self, sitting_id: int) -> list[tuple[str, str]]:
        """(right, wrong) of each item in the letters that its person sees."""

        def work(session: Session) -> list[tuple[str, str]]:
            from bot.domain.exam.paper import as_shown

            found = []
            for one in attempts.items(session, sitting_id):
                question = as_shown(self.catalog.question(session, one.version_id), one.shuffle)
                wrong = next(said for said, _ in question.choices if said not in question.key)
                found.append((question.key, wrong))
            return found

        return self.dispatcher.database.read_now(work)

    def hand_in(self, person_id: int, sitting_id: int, at: datetime = NOW, *, arrived: datetime | None = None) -> AttemptStatus:
        made: AttemptStatus = self.run(lambda session: answers.hand_in(session, self.catalog, person_id, sitting_id, message(arrived or at), at))
        return made

    def tick(self, at: datetime) -> ClosedAttempt:
        """What the clock does at a moment."""
        made: ClosedAttempt = self.run(lambda session: finish.close_due(session, self.catalog, at))
        return made

    def attempt(self, sitting_id: int) -> Attempt:
        found = self.dispatcher.database.read_now(lambda session: attempts.attempt(session, sitting_id))
        assert found is not None
        return found

    def exam(self, exam_id: int) -> Exam:
        found = self.dispatcher.database.read_now(lambda session: exams.get(session, exam_id))
        assert found is not None
        return found
