"""The demo's past: daily sets, lessons, ledger entries and mistakes of last year and this year, gathered as rows and written in bulk.

Credit follows the hour rules of the catalog (bot/docs/rules.md D2 to D5, with their versions); a rule D6 for meetings is added for the demo.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import insert, select
from sqlmodel import Session

from bot.domain.hours.policy import HoursPolicy, item_seconds, quotas
from bot.domain.library.library import Lesson, expected_reading_seconds
from bot.domain.study.spaced_repetition import AGAIN, GOOD, Mistake, update_mistake
from bot.domain.times import SHANGHAI, day_of
from bot.services.demo.bureau import PEOPLE, BureauMember, join_date
from bot.services.library.catalog import Catalog
from bot.services.study.quiz import DAILY_SIZE
from bot.storage.db.query import table
from bot.storage.library import StoredRule, add_rule
from bot.storage.study import mistakes
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
        rule = self.policy.at("D3", day)
        counted = self.rows.items[self.person_id, self.year, ""]
        self.rows.items[self.person_id, self.year, name] += 1
        self.rows.items[self.person_id, self.year, ""] += 1
        seconds = item_seconds(counted, rule, self.policy.seconds_per_hour(day))
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
