"""What the bureau has to show of exams and contests: one exam over and told, one that can be sat now, a contest in its window, one for a hall."""

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
from bot.domain.exam.paper import CandidateItem, assemble
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
from bot.storage.study import sittings
from bot.storage.tables.columns import stamp

BLUEPRINT = "单选 12×5、判断 8×5；30 分钟；及格 70%"
PAST, NOW = "第三季度法律知识测试", "年度法律知识考试"
WINDOW, HALL = "学法周周赛", "法律知识现场赛"
DAYS_AGO = 10
TURNOUT = 0.92
"""How many of a hundred come to an exam, at a zeal of 1."""
ABLE = (-0.22, 0.3)
"""How far somebody stands below or above that, the same on every item: without it no question would tell people apart."""
KNOWS = {1: 0.88, 2: 0.74, 3: 0.56}
"""How often somebody of zeal 1 answers an item of a level rightly."""


def past_exam(session: Session, catalog: Catalog, people: Mapping[str, int], now: datetime) -> None:
    """An exam that ended late yesterday: papers, answers, results, hours and certificates, by the very rules that hold for the living."""
    yesterday = datetime.combine(day_of(now), time(22), SHANGHAI) - timedelta(days=1)
    opens = (yesterday - timedelta(days=DAYS_AGO)).replace(hour=9)
    one = _drafted(session, PAST, opens, yesterday, "after_close", opens)
    exams.publish(session, one.id, None, opens)
    one = replace(one, state="published")
    plan = question_pool.prepared(session, catalog, one, opens).plan
    for member in PEOPLE:
        rng = random.Random(f"{member.staff_no} {PAST} {day_of(now)}")  # noqa: S311 - makes a demo, guards nothing
        if rng.random() < min(0.98, TURNOUT * member.zeal):
            at = opens + timedelta(days=rng.randrange(DAYS_AGO), minutes=rng.randrange(9 * 60))
            paper = assemble(plan, (), {}, rng)
            able = rng.uniform(*ABLE)
            _sit(
                session,
                catalog,
                one,
                member,
                people[member.staff_no],
                [(item.item, item.points, item.shuffle) for item in paper.items],
                at,
                able,
                rng,
            )
    told = yesterday + timedelta(minutes=1)
    while finish.close_due(session, catalog, told):
        pass


def _drafted(session: Session, name: str, opens: datetime, closes: datetime, results: str, at: datetime) -> Exam:
    blueprint = parse_blueprint(BLUEPRINT)
    one = Exam(
        0, name, "draft", blueprint, All(), NO_GATE, opens, closes, blueprint.minutes, None, 1, blueprint.pass_line, blueprint.total,
        results, 0, None, None, "普法工作要点 第四条", None, AUTHOR.actor, None, None, None,
    )  # fmt: skip
    return replace(one, id=exams.add(session, one, AUTHOR.actor, at))


def _sit(
    session: Session,
    catalog: Catalog,
    one: Exam,
    member: BureauMember,
    person_id: int,
    items: Sequence[tuple[CandidateItem, int, str]],
    at: datetime,
    able: float,
    rng: random.Random,
) -> None:
    rows = [{"question": item.question, "version_id": item.version_id, "points": points, "shuffle": shuffle} for item, points, shuffle in items]
    sitting_id = attempts.begin(session, one, person_id, 1, rows, one.deadline(at), 0, at)
    for n, (item, _, _) in enumerate(items, 1):
        at += timedelta(seconds=rng.randrange(12, 55))
        question = catalog.library.questions[item.question]
        right = rng.random() < min(0.98, max(0.2, KNOWS[item.level] * (0.55 + 0.45 * member.zeal) + able))
        sittings.record(
            session,
            person_id=person_id,
            sitting_id=sitting_id,
            n=n,
            question=item.question,
            version_id=item.version_id,
            choice=question.key if right else _tempted(question, rng),
            correct=int(right),
            earned=1000 if right else 0,
            provisional=0,
            channel="local",
            message_id=f"demo-exam-{sitting_id}-{n}",
            arrived_at=stamp(at),
            recorded_at=stamp(at),
        )
    attempt = attempts.attempt(session, sitting_id)
    assert attempt is not None
    finish.end(session, catalog, one, attempt, "self", at + timedelta(seconds=30))


def _tempted(question: Question, rng: random.Random) -> str:
    """A wrong option; one of them tempts more than the others."""
    wrong = [said for said, _ in question.choices if said != question.key]
    return rng.choices(wrong, [3, *[1] * (len(wrong) - 1)])[0]


def to_take_part(session: Session, catalog: Catalog, now: datetime) -> None:
    """An exam and a contest that are open for two weeks, and a contest that waits for its host; made anew when those of the last start are over."""
    if not any(one.state == "published" and one.created_by == AUTHOR.actor for one in exams.everything(session)):
        wanted = exam.WantedExam(
            NOW, parse_blueprint(BLUEPRINT), All(), now, now + timedelta(days=14), results="at_once", clause="普法工作要点 第四条"
        )
        manage.publish(session, catalog, AUTHOR, manage.create(session, catalog, AUTHOR, wanted, now), now)
    had = {one.name for one in contests.list_all(session) if one.state in ("draft", "open") and one.created_by == AUTHOR.actor}
    if WINDOW not in had:
        rules = ContestRules(sets_a_day=2, teams="unit", best=5, board="upper")
        plan = ContestPlan(WINDOW, "windowed", rules, (), All(), now, now + timedelta(days=14), "普法工作要点 第五条")
        contest_manage.open_contest(session, AUTHOR, contest_manage.create(session, catalog, AUTHOR, plan, now), now)
    if HALL not in had:
        plan = ContestPlan(HALL, "live", ContestRules(size=8, base=10_000, finish=0, board="upper"), (), All(), clause="普法工作要点 第五条")
        contest_manage.create(session, catalog, AUTHOR, plan, now, fixed_items(catalog, plan, (), random.Random(f"{HALL} {day_of(now)}")))  # noqa: S311
