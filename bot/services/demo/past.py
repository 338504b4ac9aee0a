"""The demo's past year: study and exams, in numbers that the product can really make."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import insert, select
from sqlmodel import Session

from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.exam import exam
from bot.domain.exam.blueprint import parse_blueprint
from bot.domain.exam.exam import NO_GATE, Exam
from bot.domain.exam.paper import CandidateItem, draw_paper
from bot.domain.hours.policy import HoursPolicy, quotas
from bot.domain.library.library import Lesson, expected_reading_seconds
from bot.domain.library.question import Question
from bot.domain.people.audience import All
from bot.domain.study.spaced_repetition import AGAIN, GOOD, Mistake, update_mistake
from bot.domain.times import SHANGHAI, day_of
from bot.services.contest import manage as contest_manage
from bot.services.contest.play import fixed_items
from bot.services.demo.bureau import PEOPLE, BureauMember, join_date
from bot.services.demo.campaigns import AUTHOR
from bot.services.exam import finish, manage, question_pool
from bot.services.library.catalog import Catalog
from bot.services.study.quiz import DAILY_SIZE
from bot.storage.contest import contests
from bot.storage.db.query import table
from bot.storage.exam import attempts, exams
from bot.storage.library import StoredRule, add_rule
from bot.storage.study import answers, mistakes
from bot.storage.tables.columns import Row
from bot.storage.tables.hours import DayTotalRow, EntryRow, YearTotalRow
from bot.storage.tables.study import AnswerRow, PageViewRow, ReadingRow, SittingItemRow, SittingRow

HOUR = 2700
MEETING = 2 * HOUR
PASS_RATE, RIGHT_RATE = 0.9, 0.78
MEETINGS = {"局党组": 19, "领导干部": 19, "公务员": 19, "事业人员": 11, "执法人员": 28}
"""Meetings (two 学时 each) that a year holds for a tier."""
EXAMS = {"局党组": 2, "领导干部": 2, "公务员": 2, "事业人员": 2, "执法人员": 5}
"""Exams of a year; one of this year's is the one that services/demo/exams.py creates with its papers."""
SETS = 14
"""Daily sets of a year at a zeal of 1; the kinds of question that can be answered with a tap are used."""
D6 = {"title": "集体学法按实际分钟计，半天最多 3、全天最多 6 学时（演示用）", "half_day_cap": "3", "day_cap": "6"}
TAPPED = ("single", "judge")


def write_history(session: Session, catalog: Catalog, people: Mapping[str, int], now: datetime) -> None:
    """Everything until yesterday; today is left to the visitor."""
    today = day_of(now)
    policy = _with_meetings(session, catalog.policy, date(today.year - 1, 1, 1), now)
    rows = DemoRows()
    for member in PEOPLE:
        rng = random.Random(f"{member.staff_no} {today.year}")  # noqa: S311 - makes a demo, guards nothing
        for year in (today.year - 1, today.year):
            _PersonYear(rows, catalog, policy, member, people[member.staff_no], year, today, rng).live()
    write_rows(session, rows)


def _with_meetings(session: Session, policy: HoursPolicy, since: date, now: datetime) -> HoursPolicy:
    if any(rule.line == "D6" for rule in policy.versions):
        return policy
    body = json.dumps(D6, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    add_rule(session, StoredRule("D6", 1, since, sha256(body.encode()).hexdigest(), body), now)
    return policy


def _spread_days(rng: random.Random, year: int, count: int) -> Iterator[date]:
    """`count` working days of a year, in order, about evenly apart."""
    step = 350 / max(1, count)
    for number in range(count):
        day = date(year, 1, 8) + timedelta(days=int(number * step + rng.uniform(0, step * 0.8)))
        yield day - timedelta(days=max(0, day.weekday() - 4))


@dataclass
class _PersonYear:
    """One person's year."""

    rows: DemoRows
    catalog: Catalog
    policy: HoursPolicy
    member: BureauMember
    person_id: int
    year: int
    today: date
    rng: random.Random

    def live(self) -> None:
        since = max(join_date(self.member.number, self.today), date(self.year, 1, 1))
        zeal = self.member.zeal * self.rng.uniform(0.82, 1.16)
        for day in _spread_days(self.rng, self.year, round(SETS * zeal)):
            if since <= day < self.today:
                self._daily(day)
        lessons = [lesson for lesson in self.catalog.library.lessons_for(self.member.tier, self.today) if self.rng.random() < zeal * 0.8]
        for lesson, day in zip(lessons, _spread_days(self.rng, self.year, len(lessons)), strict=True):
            if since <= day < self.today:
                self._lesson(lesson, day)
        self._offline(zeal, since)

    def _at(self, day: date, hour: int) -> datetime:
        return datetime.combine(day, time(hour, self.rng.randrange(60), self.rng.randrange(60)), SHANGHAI)

    def _earn(
        self, category: str, seconds: int, moment: datetime, source: tuple[str, str], line: str, *, law: str = "", required: bool = False
    ) -> None:
        version = 1 if line == "D6" else self.policy.at(line, day_of(moment)).version
        self.rows.entries.append(
            {
                "person_id": self.person_id,
                "category": category,
                "credit_seconds": seconds,
                "day": day_of(moment),
                "law": law,
                "required": required,
                "source_kind": source[0],
                "source_id": source[1],
                "rule": line,
                "rule_version": version,
                "recorded_at": moment,
                "recorded_by": "system",
                "reverses": None,
            }
        )

    # ── The daily set (rule D3) ──

    def _daily(self, day: date) -> None:
        names = [name for name, version in self.catalog.drawn.items() if self.catalog.library.questions[name].kind in TAPPED]
        moment = self._at(day, self.rng.choice((8, 9, 12, 13, 18, 20)))
        opened = moment
        chosen = self.rng.sample(names, min(DAILY_SIZE, len(names)))
        for number, name in enumerate(chosen, 1):
            moment += timedelta(seconds=self.rng.randrange(15, 70))
            self._answer(name, number, day, moment)
        self.rows.sittings.append(
            {
                "person_id": self.person_id,
                "kind": "daily",
                "scope": day.isoformat(),
                "size": len(chosen),
                "next": len(chosen) + 1,
                "state": "done",
                "opened_at": opened,
                "closed_at": moment,
            }
        )

    def _answer(self, name: str, number: int, day: date, moment: datetime) -> None:
        question = self.catalog.library.questions[name]
        right = self.rng.random() < RIGHT_RATE
        choice = question.key if right else self.rng.choice([value for value, _ in question.choices if value != question.key])
        self.rows.answers.append(
            {
                "person_id": self.person_id,
                "sitting_id": 0,
                "n": number,
                "question": name,
                "version_id": self.catalog.drawn[name],
                "choice": choice,
                "correct": right,
                "earned": 1000 if right else 0,
                "provisional": False,
                "channel": "local",
                "message_id": f"demo-{self.person_id}-{day.isoformat()}-{number}",
                "arrived_at": moment,
                "recorded_at": moment,
                "late": False,
            }
        )
        self._note(name, right, moment)
        if self.rows.items[self.person_id, self.year, name]:
            return
        counted = self.rows.items[self.person_id, self.year, ""]
        self.rows.items[self.person_id, self.year, name] += 1
        self.rows.items[self.person_id, self.year, ""] += 1
        seconds = self.policy.practice(day).item_seconds(counted)
        self._earn("practice", seconds, moment, ("item", f"{self.year}:{name}"), "D3", law=question.law)

    def _note(self, name: str, right: bool, moment: datetime) -> None:
        key = (self.person_id, name)
        entry = update_mistake(self.rows.notebook.get(key), name, GOOD if right else AGAIN, moment)
        if entry is not None:
            self.rows.notebook[key] = entry

    # ── Lessons (rule D2) ──

    def _lesson(self, lesson: Lesson, day: date) -> None:
        rule = self.policy.at("D2", day)
        opened = moment = self._at(day, self.rng.choice((9, 10, 14, 15, 19)))
        credited = 0
        for number, page in enumerate(lesson.pages, 1):
            expected = expected_reading_seconds(page, self.catalog.chars_a_minute)
            seconds = int(expected * self.rng.uniform(0.6, float(rule.number("page_ceiling"))))
            page_view = {
                "page": number,
                "sent_at": moment,
                "asked_at": moment + timedelta(seconds=seconds),
                "seen": seconds,
                "credited": seconds,
                "reason": "",
            }
            self.rows.views.append(((self.person_id, lesson.id, opened), page_view))
            moment += timedelta(seconds=seconds)
            credited += seconds
        self.rows.readings.append(
            {
                "person_id": self.person_id,
                "lesson": lesson.id,
                "digest": lesson.digest,
                "page": max(1, len(lesson.pages)),
                "state": "done",
                "opened_at": opened,
                "closed_at": moment,
            }
        )
        if credited:
            self._earn("online", credited, moment, ("lesson", f"{self.year}:{lesson.id}"), "D2", law=lesson.law, required=True)

    # ── Meetings, exams, contests (rules D6, D4, D5) ──

    def _offline(self, zeal: float, since: date) -> None:
        tier = self.member.tier
        need = quotas(self.policy, min(self.today, date(self.year, 12, 31))).need(tier)
        meetings = MEETINGS[tier] if need is not None else 0
        plan = [("collective", MEETING, "activity", "D6", "第{}次集体学法")] * meetings + [
            ("exam", self.policy.seconds(self.policy.at("D4", self.today).number("pass"), self.today), "exam", "D4", "第{}次法律知识考试")
        ] * (EXAMS[tier] - (self.year == self.today.year))
        plan += [("contest", self.policy.seconds(self.policy.at("D5", self.today).number("join"), self.today), "contest", "D5", "第{}场学法竞赛")] * 3
        fixed = random.Random(f"{tier} {self.year}")  # noqa: S311 - the calendar of a tier is the same for all of it
        fixed.shuffle(plan)
        counts: Counter[str] = Counter()
        for (category, seconds, kind, line, name), day in zip(plan, _spread_days(fixed, self.year, len(plan)), strict=True):
            counts[kind] += 1
            attends = self.rng.random() < min(0.97, zeal * (PASS_RATE if kind == "exam" else 0.93 if kind == "activity" else 0.7))
            if attends and since <= day < self.today:
                self._earn(category, seconds, self._at(day, 16), (kind, f"{self.year}:{name.format(counts[kind])}"), line, required=kind != "contest")


@dataclass
class DemoRows:
    """What is to be written, table by table; sittings and readings are named by what makes them unique until they have their ids."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    sittings: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    readings: list[dict[str, Any]] = field(default_factory=list)
    views: list[tuple[tuple[int, str, datetime], dict[str, Any]]] = field(default_factory=list)
    notebook: dict[tuple[int, str], Mistake] = field(default_factory=dict)
    items: Counter[tuple[int, int, str]] = field(default_factory=Counter)


def write_rows(session: Session, rows: DemoRows) -> None:
    """Write everything, in the order of time."""
    rows.entries.sort(key=lambda entry: entry["recorded_at"])
    rows.sittings.sort(key=lambda sitting: sitting["closed_at"])
    rows.answers.sort(key=lambda answer: answer["recorded_at"])
    rows.readings.sort(key=lambda reading: reading["closed_at"])
    _insert(session, SittingRow, rows.sittings)
    sittings, readings = table(SittingRow), table(ReadingRow)
    sitting_ids = {
        (row[1], row[2]): row[0]
        for row in session.execute(select(sittings.c.id, sittings.c.person_id, sittings.c.scope).where(sittings.c.kind == "daily"))
    }
    for answer in rows.answers:
        answer["sitting_id"] = sitting_ids[answer["person_id"], day_of(answer["recorded_at"]).isoformat()]
    _insert(
        session,
        SittingItemRow,
        [{name: answer[name] for name in ("sitting_id", "n", "question", "version_id")} for answer in rows.answers],
    )
    _insert(session, AnswerRow, rows.answers)
    for (person_id, _), entry in rows.notebook.items():
        mistakes.save_entries(session, [(person_id, entry)])
    _insert(session, ReadingRow, rows.readings)
    reading_ids = {
        (row[1], row[2], row[3]): row[0]
        for row in session.execute(select(readings.c.id, readings.c.person_id, readings.c.lesson, readings.c.opened_at))
    }
    _insert(session, PageViewRow, [{"reading_id": reading_ids[reading_key], **view} for reading_key, view in rows.views])
    _insert(session, EntryRow, rows.entries)
    _write_totals(session, rows)


def _insert(session: Session, kind: type[Row], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(table(kind)), rows)


def _write_totals(session: Session, rows: DemoRows) -> None:
    """The running totals, added up from the very entries."""
    years: Counter[tuple[int, int, str]] = Counter()
    items: Counter[tuple[int, int, str]] = Counter()
    days: Counter[tuple[int, date, str]] = Counter()
    for entry in rows.entries:
        key = (entry["person_id"], entry["day"].year, entry["category"])
        years[key] += entry["credit_seconds"]
        items[key] += entry["source_kind"] == "item"
        days[entry["person_id"], entry["day"], entry["category"]] += entry["credit_seconds"]
    _insert(
        session,
        YearTotalRow,
        [
            {"person_id": person_id, "year": year, "category": category, "seconds": seconds, "items": items[person_id, year, category]}
            for (person_id, year, category), seconds in years.items()
        ],
    )
    _insert(
        session,
        DayTotalRow,
        [{"person_id": person_id, "day": day, "category": category, "seconds": seconds} for (person_id, day, category), seconds in days.items()],
    )


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
