"""模拟考试: a paper like that of the next exam, with the result at the end. It earns nothing as an exam; its items count as practice."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.exam.blueprint import Blueprint, BlueprintRow
from bot.domain.exam.paper import CandidateItem, assemble, difficulty, missing, prepare
from bot.domain.message import Refusal
from bot.services.exam.own_exams import coming
from bot.services.exam.question_pool import scopes
from bot.services.library.catalog import Catalog
from bot.services.library.key_visibility import hidden_questions
from bot.services.study import quiz
from bot.services.study.quiz import AskedQuestion
from bot.storage.exam import exams
from bot.storage.study import grades, sittings
from bot.storage.study.sittings import OpenSitting
from bot.storage.tables.columns import moment, stamp

KIND = "mock"
USUAL = Blueprint(
    (BlueprintRow("single", 10, points=4000), BlueprintRow("multiple", 5, points=8000), BlueprintRow("judge", 5, points=4000)),
    pass_line=60_000,
    minutes=20,
)
"""What is asked where no exam is announced: 20 items, 100 points, 60 to pass, 20 minutes."""


@dataclass(frozen=True, slots=True)
class MockExam:
    """What a mock exam is like: its blueprint, and the name of the exam that has it (empty for the usual one)."""

    blueprint: Blueprint
    exam: str = ""


@dataclass(frozen=True, slots=True)
class MockResult:
    """How a mock exam ended. Points in thousandths; `late` answers came after the time and do not count; `missed` items were not (all) right."""

    mock: MockExam
    got: int
    total: int
    seconds: int
    late: int
    missed: int
    waits: int

    @property
    def passed(self) -> bool:
        return self.got >= self.mock.blueprint.pass_line


def like(blueprint: Blueprint) -> Blueprint:
    """The blueprint of an exam without its fixed items, which the exam keeps to itself; the pass line in the same share of the points."""
    if not blueprint.fixed or not blueprint.rows:
        return blueprint
    rest = replace(blueprint, fixed=())
    return replace(rest, pass_line=max(1, blueprint.pass_line * rest.total // blueprint.total))


def begin(session: Session, catalog: Catalog, person_id: int, now: datetime, rng: random.Random) -> tuple[AskedQuestion, MockExam]:
    """A mock paper in hand; an unfinished one makes way for good. Raises `Refusal` where the banks cannot give the paper."""
    exam = coming(session, person_id, now)
    mock = MockExam(USUAL) if exam is None or not exam.blueprint.rows else MockExam(like(exam.blueprint), exam.name)
    pool, named = _pool(catalog, hidden_questions(session, person_id)), scopes(catalog, mock.blueprint)
    if lacking := missing(mock.blueprint, pool, named):
        raise Refusal(f"现在出不了模拟卷：{'；'.join(lacking[:5])}。可以先发「练习」随机练。")
    paper = assemble(prepare(mock.blueprint, pool, named), (), {}, rng)
    for sitting_id in sittings.open_sittings_of_kind(session, person_id, KIND):
        sittings.close_sitting(session, sitting_id, "left", now)
    scope = f"{exam.id if exam is not None and mock.exam else 0}@{stamp(now)}"
    worth = {one.item.question: one.points for one in paper.items}
    return quiz.open_set(session, catalog, person_id, KIND, scope, worth, now, worth), mock


def _pool(catalog: Catalog, barred: frozenset[str]) -> list[CandidateItem]:
    """What can be drawn, of the difficulty that its level says; the options stay as in the file."""
    found = []
    for name, version_id in catalog.drawn.items():
        if name not in barred:
            one = catalog.library.questions[name]
            found.append(CandidateItem(name, version_id, one.kind, one.law, one.level, one.case, difficulty(one.level)))
    return found


def result(session: Session, sitting: OpenSitting) -> MockResult:
    """The result of a mock exam that is over, on the server's clock: what arrived after its time does not count."""
    exam_id, _, began = sitting.scope.partition("@")
    exam = exams.get(session, int(exam_id)) if exam_id != "0" else None
    mock = MockExam(USUAL) if exam is None else MockExam(like(exam.blueprint), exam.name)
    arrived: Mapping[int, datetime] = sittings.answer_arrivals(session, sitting.id)
    until = moment(began) + timedelta(minutes=mock.blueprint.minutes)
    late = {n for n, at in arrived.items() if at > until}
    places = grades.grades_of_sitting(session, sitting.id)
    return MockResult(
        mock,
        sum(one.points * one.earned // 1000 for one in places if one.n not in late),
        sum(one.points for one in places),
        round((max(arrived.values(), default=until) - moment(began)).total_seconds()),
        len(late),
        sum(one.earned < 1000 and not one.waits for one in places),
        sum(one.waits for one in places),
    )
