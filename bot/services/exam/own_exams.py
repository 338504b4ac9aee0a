"""A person's exams, open and past, and mock exams."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.exam.blueprint import Blueprint, BlueprintRow
from bot.domain.exam.exam import Attempt, Exam, counting_attempts
from bot.domain.exam.paper import CandidateItem, build_plan, draw_paper, expected_difficulty, find_shortages
from bot.domain.message import Refusal
from bot.domain.study.review_goal import ReviewGoal
from bot.domain.times import day_of, start_of
from bot.services.exam.attempt import entry_obstacle
from bot.services.exam.question_pool import questions_by_scope
from bot.services.library.catalog import Catalog
from bot.services.library.key_visibility import hidden_questions
from bot.services.study import quiz
from bot.services.study.quiz import AskedQuestion
from bot.storage.exam import attempts, exams
from bot.storage.people import audience
from bot.storage.study import grades, sittings
from bot.storage.study.sittings import OpenSitting
from bot.storage.tables.columns import moment, stamp

GOAL_AHEAD = timedelta(days=366)
"""How far an exam may lie ahead to be aimed at."""


def next_exam(session: Session, person_id: int, now: datetime) -> Exam | None:
    """The published exam that closes next, is for this person and not sat by them yet; None when there is none."""
    for exam in exams.list_published(session, now + GOAL_AHEAD):
        sat = exam.closes_at <= now or attempts.of_person_at_exam(session, exam.id, person_id)
        if not sat and audience.includes(session, exam.audience, person_id, day_of(now), now):
            return exam
    return None


def next_exam_goal(session: Session, person_id: int, today: date) -> ReviewGoal | None:
    """The day on which the next exam opens, or, once that has come, the last on which it can be sat."""
    exam = next_exam(session, person_id, start_of(today))
    if exam is None:
        return None
    opens, closes = day_of(exam.opens_at), day_of(exam.closes_at)
    return ReviewGoal(opens) if opens > today or opens == closes else ReviewGoal(closes, is_deadline=True)


LISTED_AHEAD = timedelta(days=60)
"""How long before its opening an exam is listed."""
MAX_PAST = 5


@dataclass(frozen=True, slots=True)
class OwnExam:
    """An exam for a person: the try that counts (None: never begun), the one that runs, and why it cannot be begun now (empty: it can)."""

    exam: Exam
    counts: Attempt | None
    running: Attempt | None
    obstacle: str

    @property
    def is_done(self) -> bool:
        """Whether it was sat and cannot be begun again."""
        return self.running is None and bool(self.obstacle) and self.counts is not None and self.counts.state == "closed"


def own_exam_of(session: Session, catalog: Catalog, exam: Exam, person_id: int, now: datetime) -> OwnExam:
    person_attempts = attempts.of_person_at_exam(session, exam.id, person_id)
    running = next((attempt for attempt in person_attempts if attempt.state == "open" and now <= attempt.deadline + exam.grace), None)
    obstacle = "" if running is not None else entry_obstacle(session, catalog, exam, person_id, now)
    return OwnExam(exam, counting_attempts(person_attempts).get(person_id), running, obstacle)


def list_own_exams(session: Session, catalog: Catalog, person_id: int, now: datetime) -> tuple[list[OwnExam], list[OwnExam]]:
    """(open or to come, sat before with no try left), the first to close in front, the last to be over in front."""
    today = day_of(now)
    upcoming = [exam for exam in exams.list_published(session, now + LISTED_AHEAD) if exam.closes_at > now]
    upcoming_ids = {exam.id for exam in upcoming}
    sat = exams.sat_by(session, person_id)
    sat_ids = {exam.id for exam in sat}
    concerning = [exam for exam in upcoming if exam.id in sat_ids or audience.includes(session, exam.audience, person_id, today, now)]
    own_exams = [own_exam_of(session, catalog, exam, person_id, now) for exam in concerning]
    past = [exam for exam in sat if exam.id not in upcoming_ids and exam.state != "cancelled"][:MAX_PAST]
    return [own_exam for own_exam in own_exams if not own_exam.is_done], [
        *(own_exam for own_exam in own_exams if own_exam.is_done),
        *(own_exam_of(session, catalog, exam, person_id, now) for exam in past),
    ]


KIND = "mock"
DEFAULT_BLUEPRINT = Blueprint(
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


def mock_blueprint(blueprint: Blueprint) -> Blueprint:
    """The blueprint of an exam without its fixed items, which the exam keeps to itself; the pass line in the same share of the points."""
    if not blueprint.fixed or not blueprint.rows:
        return blueprint
    without_fixed = replace(blueprint, fixed=())
    return replace(without_fixed, pass_line=max(1, blueprint.pass_line * without_fixed.total // blueprint.total))


def begin(session: Session, catalog: Catalog, person_id: int, now: datetime, rng: random.Random) -> tuple[AskedQuestion, MockExam]:
    """A mock paper in hand; an unfinished one makes way for good. Raises `Refusal` where the banks cannot give the paper."""
    exam = next_exam(session, person_id, now)
    mock = MockExam(DEFAULT_BLUEPRINT) if exam is None or not exam.blueprint.rows else MockExam(mock_blueprint(exam.blueprint), exam.name)
    pool, scope_questions = _candidates(catalog, hidden_questions(session, person_id)), questions_by_scope(catalog, mock.blueprint)
    if lacking := find_shortages(mock.blueprint, pool, scope_questions):
        raise Refusal(f"现在出不了模拟卷：{'；'.join(lacking[:5])}。可以先发「练习」随机练。")
    paper = draw_paper(build_plan(mock.blueprint, pool, scope_questions), (), {}, rng)
    for sitting_id in sittings.open_sittings_of_kind(session, person_id, KIND):
        sittings.close_sitting(session, sitting_id, "left", now)
    scope = f"{exam.id if exam is not None and mock.exam else 0}@{stamp(now)}"
    points = {item.item.question: item.points for item in paper.items}
    return quiz.open_set(session, catalog, person_id, KIND, scope, points, now, points), mock


def _candidates(catalog: Catalog, hidden_questions: frozenset[str]) -> list[CandidateItem]:
    """What can be drawn, of the difficulty that its level says; the options stay as in the file."""
    items = []
    for name, version_id in catalog.drawn.items():
        if name not in hidden_questions:
            question = catalog.library.questions[name]
            items.append(
                CandidateItem(name, version_id, question.kind, question.law, question.level, question.case, expected_difficulty(question.level))
            )
    return items


def result(session: Session, sitting: OpenSitting) -> MockResult:
    """The result of a mock exam that is over, on the server's clock: what arrived after its time does not count."""
    exam_id, _, began = sitting.scope.partition("@")
    exam = exams.get(session, int(exam_id)) if exam_id != "0" else None
    mock = MockExam(DEFAULT_BLUEPRINT) if exam is None else MockExam(mock_blueprint(exam.blueprint), exam.name)
    arrived: Mapping[int, datetime] = sittings.answer_arrivals(session, sitting.id)
    until = moment(began) + timedelta(minutes=mock.blueprint.minutes)
    late = {n for n, moment_arrived in arrived.items() if moment_arrived > until}
    item_grades = grades.grades_of_sitting(session, sitting.id)
    return MockResult(
        mock,
        sum(grade.points * grade.earned // 1000 for grade in item_grades if grade.n not in late),
        sum(grade.points for grade in item_grades),
        round((max(arrived.values(), default=until) - moment(began)).total_seconds()),
        len(late),
        sum(grade.earned < 1000 and not grade.waits for grade in item_grades),
        sum(grade.waits for grade in item_grades),
    )
