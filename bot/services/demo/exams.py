"""The demo's exams and contests: a finished exam with results, an open exam, a contest in its window and a live contest that waits for its host."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

from sqlmodel import Session

from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.exam import exam
from bot.domain.exam.blueprint import parse_blueprint
from bot.domain.exam.exam import NO_GATE, Exam
from bot.domain.exam.paper import CandidateItem, draw_paper
from bot.domain.library.question import Question
from bot.domain.people.audience import All
from bot.domain.times import SHANGHAI, day_of
from bot.services.contest import manage as contest_manage
from bot.services.contest.play import fixed_items
from bot.services.demo.bureau import PEOPLE, BureauMember
from bot.services.demo.campaigns import AUTHOR
from bot.services.exam import finish, manage, question_pool
from bot.services.library.catalog import Catalog
from bot.storage.contest import contests
from bot.storage.exam import attempts, exams
from bot.storage.study import answers

BLUEPRINT = "单选 12×5、判断 8×5；30 分钟；及格 70%"
PAST, NOW = "第三季度法律知识测试", "年度法律知识考试"
WINDOW, HALL = "学法周周赛", "法律知识现场赛"
DAYS_AGO = 10
TURNOUT = 0.92
"""How many of a hundred come to an exam, at a zeal of 1."""
ABILITY_RANGE = (-0.22, 0.3)
"""How far somebody stands below or above that, the same on every item: without it no question would tell people apart."""
RIGHT_RATE_BY_LEVEL = {1: 0.88, 2: 0.74, 3: 0.56}
"""How often somebody of zeal 1 answers an item of a level rightly."""


def create_past_exam(session: Session, catalog: Catalog, people: Mapping[str, int], now: datetime) -> None:
    """An exam that ended late yesterday: papers, answers, results, hours and certificates, by the very rules that hold for the living."""
    yesterday = datetime.combine(day_of(now), time(22), SHANGHAI) - timedelta(days=1)
    opens = (yesterday - timedelta(days=DAYS_AGO)).replace(hour=9)
    exam_ = _create_draft(session, PAST, opens, yesterday, "after_close", opens)
    exams.publish(session, exam_.id, None, opens)
    exam_ = replace(exam_, state="published")
    plan = question_pool.prepared_plan(session, catalog, exam_, opens).plan
    for member in PEOPLE:
        rng = random.Random(f"{member.staff_no} {PAST} {day_of(now)}")  # noqa: S311 - makes a demo, guards nothing
        if rng.random() < min(0.98, TURNOUT * member.zeal):
            started_at = opens + timedelta(days=rng.randrange(DAYS_AGO), minutes=rng.randrange(9 * 60))
            paper = draw_paper(plan, (), {}, rng)
            ability = rng.uniform(*ABILITY_RANGE)
            _sit(
                session,
                catalog,
                exam_,
                member,
                people[member.staff_no],
                [(item.item, item.points, item.shuffle) for item in paper.items],
                started_at,
                ability,
                rng,
            )
    results_at = yesterday + timedelta(minutes=1)
    while finish.close_due(session, catalog, results_at):
        pass


def _create_draft(session: Session, name: str, opens: datetime, closes: datetime, results: str, moment: datetime) -> Exam:
    blueprint = parse_blueprint(BLUEPRINT)
    exam_ = Exam(
        0, name, "draft", blueprint, All(), NO_GATE, opens, closes, blueprint.minutes, None, 1, blueprint.pass_line, blueprint.total,
        results, 0, None, None, "普法工作要点 第四条", None, AUTHOR.actor, None, None, None,
    )  # fmt: skip
    return replace(exam_, id=exams.add(session, exam_, AUTHOR.actor, moment))


def _sit(
    session: Session,
    catalog: Catalog,
    exam_: Exam,
    member: BureauMember,
    person_id: int,
    items: Sequence[tuple[CandidateItem, int, str]],
    moment: datetime,
    ability: float,
    rng: random.Random,
) -> None:
    paper_items = [
        {"question": item.question, "version_id": item.version_id, "points": points, "shuffle": shuffle} for item, points, shuffle in items
    ]
    sitting_id = attempts.begin(session, exam_, person_id, 1, paper_items, exam_.deadline(moment), 0, moment)
    for n, (item, _, _) in enumerate(items, 1):
        moment += timedelta(seconds=rng.randrange(12, 55))
        question = catalog.library.questions[item.question]
        right = rng.random() < min(0.98, max(0.2, RIGHT_RATE_BY_LEVEL[item.level] * (0.55 + 0.45 * member.zeal) + ability))
        answers.record(
            session,
            [
                {
                    "person_id": person_id,
                    "sitting_id": sitting_id,
                    "n": n,
                    "question": item.question,
                    "version_id": item.version_id,
                    "choice": question.key if right else _wrong_choice(question, rng),
                    "correct": right,
                    "earned": 1000 if right else 0,
                    "provisional": False,
                    "channel": "local",
                    "message_id": f"demo-exam-{sitting_id}-{n}",
                    "arrived_at": moment,
                    "recorded_at": moment,
                }
            ],
        )
    attempt = attempts.get(session, sitting_id)
    assert attempt is not None
    finish.close_attempt(session, catalog, exam_, attempt, "self", moment + timedelta(seconds=30))


def _wrong_choice(question: Question, rng: random.Random) -> str:
    """A wrong option; one of them tempts more than the others."""
    wrong = [value for value, _ in question.choices if value != question.key]
    return rng.choices(wrong, [3, *[1] * (len(wrong) - 1)])[0]


def create_open_events(session: Session, catalog: Catalog, now: datetime) -> None:
    """An exam and a contest that are open for two weeks, and a contest that waits for its host; made anew when those of the last start are over."""
    if not any(row.state == "published" and row.created_by == AUTHOR.actor for row in exams.list_all(session)):
        wanted = exam.WantedExam(
            NOW, parse_blueprint(BLUEPRINT), All(), now, now + timedelta(days=14), results="at_once", clause="普法工作要点 第四条"
        )
        manage.publish(session, catalog, AUTHOR, manage.create(session, catalog, AUTHOR, wanted, now), now)
    open_contests = {row.name for row in contests.list_all(session) if row.state in ("draft", "open") and row.created_by == AUTHOR.actor}
    if WINDOW not in open_contests:
        rules = ContestRules(sets_a_day=2, teams="unit", best=5, board="upper")
        plan = ContestPlan(WINDOW, "windowed", rules, (), All(), now, now + timedelta(days=14), "普法工作要点 第五条")
        contest_manage.open_contest(session, AUTHOR, contest_manage.create(session, catalog, AUTHOR, plan, now), now)
    if HALL not in open_contests:
        plan = ContestPlan(HALL, "live", ContestRules(size=8, base=10_000, finish=0, board="upper"), (), All(), clause="普法工作要点 第五条")
        contest_manage.create(session, catalog, AUTHOR, plan, now, fixed_items(catalog, plan, (), random.Random(f"{HALL} {day_of(now)}")))  # noqa: S311
