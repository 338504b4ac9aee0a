"""An exam with a wrong key for tests: five fixed questions, three people, two administrators, everything on the way to a correction."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.exam.paper import to_shown_letters
from bot.domain.grading.correction import Amendment
from bot.services.exam.paper_view import ReviewedItem, review_paper
from bot.services.grading import corrections
from bot.services.grading.correction_impact import CorrectionImpact
from bot.services.grading.corrections import WantedCorrection
from bot.storage.exam import attempts
from tests.conftest import NOW, enroll
from tests.support.exams import ADMIN, SECOND, ExamHarness

AFTER = NOW + timedelta(hours=3)
WHY = "解析与条文不符"


class Board:
    """An exam of five fixed questions worth 2 points each, pass line 60 %: 甲 has three right, 乙 two, 丙 four; all got the first one wrong."""

    def __init__(self, dispatcher: Dispatcher, **more: Any) -> None:
        self.hall = ExamHarness(dispatcher)
        questions = dispatcher.catalog().library.questions.values()
        self.questions = [question.id for question in questions if question.kind == "single" and question.id in dispatcher.catalog().drawn][:5]
        self.first = self.questions[0]
        self.people = [
            self.hall.run(lambda session, staff_no=staff_no: enroll(session, staff_no)) for staff_no in ("1001", "1002", "1003")
        ]  # fmt: skip
        for admin in ("9001", "9002"):
            self.hall.run(lambda session, staff_no=admin: enroll(session, staff_no, roles=("admin",)))
        fixed = "、".join(f"{question_id}×2" for question_id in self.questions)
        self.exam = self.hall.publish(f"固定 {fixed}；30 分钟；及格 60%", **more)
        self.sittings = [self.sit(person, right) for person, right in zip(self.people, (3, 2, 4), strict=True)]
        self.hall.tick(AFTER)

    def sit(self, person: int, right: int, at: Any = NOW) -> int:
        """Answers everything: the first question with the first wrong letter of the file, of the others so many right."""
        sitting = int(self.hall.begin(person, self.exam, at, random.Random(person)).status.sitting_id)
        places = self.hall.dispatcher.database.read_now(lambda session: [(item.n, item.question, item.shuffle) for item in items(session, sitting)])
        left = right
        for place, question, _ in sorted(places, key=lambda entry: self.questions.index(entry[1])):
            key, wrong = self.hall.keys(sitting)[place - 1]
            if question == self.first:
                self.hall.answer(person, sitting, place, shown(places, place, self.wrong), at)
                continue
            self.hall.answer(person, sitting, place, key if left > 0 else wrong, at)
            left -= 1
        self.hall.hand_in(person, sitting, at)
        return sitting

    @property
    def wrong(self) -> str:
        """What everybody chose at the first question, in the letters of the file."""
        question = self.hall.catalog.library.questions[self.first]
        return next(letter for letter, _ in question.options if letter != question.key)

    def wanted(self, *amended: str, question: str = "") -> WantedCorrection:
        way, *keys = amended
        return WantedCorrection("exam", self.exam, question or self.first, Amendment(way, tuple(keys)), WHY)

    def rehearse(self, wanted: WantedCorrection, author: Author = ADMIN) -> CorrectionImpact:
        impact: CorrectionImpact = self.hall.run(lambda session: corrections.rehearse(session, self.hall.catalog, author, wanted, AFTER))
        return impact

    def propose(self, wanted: WantedCorrection, author: Author = ADMIN) -> int:
        return int(self.hall.run(lambda session: corrections.propose(session, self.hall.catalog, author, wanted, AFTER)).id)

    def apply(self, number: int, author: Author = SECOND) -> CorrectionImpact:
        impact: CorrectionImpact = self.hall.run(lambda session: corrections.apply(session, self.hall.catalog, author, number, AFTER))
        return impact

    def correct(self, *amended: str) -> CorrectionImpact:
        return self.apply(self.propose(self.wanted(*amended)))

    def scores(self) -> list[tuple[int | None, bool | None]]:
        return [(attempt.score, attempt.passed) for attempt in map(self.hall.attempt, self.sittings)]

    def review(self, n: int) -> list[ReviewedItem]:
        """What the n-th of the people sees of their old paper."""
        exam, attempt = self.hall.exam(self.exam), self.hall.attempt(self.sittings[n])
        return self.hall.dispatcher.database.read_now(lambda session: review_paper(session, self.hall.catalog, exam, attempt, AFTER))

    def look(self, query: str) -> list[tuple[Any, ...]]:
        return self.hall.dispatcher.database.read_now(lambda session: [tuple(row) for row in session.execute(text(query))])

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row that a correction may touch."""
        tables = (
            "answer",
            "attempt",
            "remark",
            "ripple",
            "correction",
            "ledger",
            "exam",
            "audit",
            "campaign",
            "delivery",
            "year_total",
            "certificate",
        )
        return {table: self.look(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables}


def items(session: Session, sitting: int) -> list[Any]:
    return attempts.items(session, sitting)


def shown(places: list[tuple[int, str, str]], place: int, letter: str) -> str:
    """A letter of the file as a person sees it."""
    return to_shown_letters(letter, next(shuffle for number, _, shuffle in places if number == place))
