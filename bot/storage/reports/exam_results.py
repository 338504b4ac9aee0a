"""Report 考试: who was invited to an exam, who sat and passed it, by unit; the absent, and the results of people in the asker's scope."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from bot.domain.exam.blueprint import exact_points_text
from bot.domain.exam.exam import CLOSED_BY_LABELS, STATE_LABELS, Exam, date_time_text
from bot.domain.message import Refusal
from bot.domain.reports import Cell, Column, Part, ReportQuery, Row, Scope, Table, percentage
from bot.domain.times import day_of
from bot.storage.db.query import Statement, stream
from bot.storage.exam import exams
from bot.storage.people import audience
from bot.storage.reports.scope import ReportUnit, make_table, narrow_scope, office_sql, report, units_in
from bot.storage.tables.columns import moment, stamp

EXAM_COLUMNS = (
    Column("name", "考试"),
    Column("id", "编号", "int"),
    Column("state", "状态"),
    Column("window", "时间", phone="never"),
    Column("invited", "应考", "int"),
    Column("sat", "参考", "int"),
    Column("sitting_rate", "参考率", "percent"),
    Column("passed", "合格", "int"),
    Column("pass_rate", "合格率", "percent"),
    Column("clause", "依据", phone="never"),
)
UNIT_COLUMNS = (
    Column("unit", "单位"),
    Column("invited", "应考", "int"),
    Column("sat", "参考", "int"),
    Column("sitting_rate", "参考率", "percent"),
    Column("passed", "合格", "int"),
    Column("pass_rate", "合格率", "percent"),
)
ABSENT_COLUMNS = (Column("staff_no", "工号"), Column("name", "姓名"), Column("unit", "单位"))
RESULT_COLUMNS = (
    Column("staff_no", "工号"),
    Column("name", "姓名"),
    Column("unit", "单位", phone="never"),
    Column("score", "得分", "hours"),
    Column("verdict", "结果"),
    Column("attempt", "第几次", "int", phone="never"),
    Column("closed_at", "交卷", phone="never"),
    Column("closed_by", "方式", phone="never"),
)
AWAY_REASONS = ("请假", "借调")
OUT_OF_OFFICE = ("已离职", "未入职")
TOTAL = "合计"


_RANK = "CASE WHEN {t}.closed_at < :until THEN CASE WHEN {t}.score > 0 THEN {t}.score ELSE 0 END ELSE -1 END"
_BETTER = f"({_RANK.format(t='b')} > {_RANK.format(t='t')} OR ({_RANK.format(t='b')} = {_RANK.format(t='t')} AND b.sitting_id < t.sitting_id))"
# Found by the key of an attempt, person by person: SQLite takes the attempts of an exam for few, and would look through all of them for each.
_JOIN_TRIED = f"""LEFT JOIN attempt t ON t.exam_id = :exam AND t.person_id = w.person_id AND t.started_at < :until
    AND NOT EXISTS (SELECT 1 FROM attempt b WHERE b.exam_id = :exam AND b.person_id = t.person_id AND b.started_at < :until AND {_BETTER})"""  # noqa: S608
"""The try that counts, `t`, as it stood at :until: the best of those that were closed by then, else the one that was open."""
_IS_MEANT = f"""(t.person_id IS NOT NULL OR s.reason NOT IN ({", ".join(repr(reason) for reason in (*AWAY_REASONS, *OUT_OF_OFFICE))}))"""
"""Said of somebody in office: has begun, or is of the audience (`selected s`) and not away."""


@dataclass(slots=True)
class ExamSum:
    """People: who were to sit, who began, who passed."""

    invited: int = 0
    sat: int = 0
    passed: int = 0

    def add(self, other: ExamSum) -> None:
        self.invited += other.invited
        self.sat += other.sat
        self.passed += other.passed

    def cells(self) -> tuple[Cell, ...]:
        return (self.invited, self.sat, percentage(self.sat, self.invited), self.passed, percentage(self.passed, self.sat))


@dataclass(frozen=True, slots=True)
class ExamTry:
    """The try that counts: `closed_at` and what follows are None while it is open."""

    n: int
    closed_at: str | None = None
    closed_by: str | None = None
    score: int | None = None
    passed: int | None = None


@dataclass(frozen=True, slots=True)
class ExamRoll:
    """The people of an exam within a scope: the units of each who is to sit, the tries of those who began, and how many are away."""

    units: Mapping[int, tuple[int, ...]]
    tries: Mapping[int, ExamTry]
    away: int

    def sum_of(self, people: Sequence[int]) -> ExamSum:
        tries = [self.tries[person_id] for person_id in people if person_id in self.tries]
        return ExamSum(len(people), len(tries), sum(1 for tried in tries if tried.passed))


@report("考试", about="编号 单位")
def exam_participation(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """当年各场考试的应考、参考、合格；写编号看一场：各单位、缺考名单、成绩，可再写单位，例如“报表 考试 12 某局/办公室”。"""
    year_exams = [
        exam for exam in exams.list_all(session) if exam.state in ("published", "closed", "released") and day_of(exam.closes_at).year == ask.year
    ]
    if not ask.about:
        return _year_table(session, scope, ask, year_exams)
    number, _, unit = ask.about.strip().partition(" ")
    exam_id = re.fullmatch(r"#?(\d{1,9})", number)
    if exam_id is None:
        return _year_table(session, narrow_scope(session, scope, ask.about)[0], ask, year_exams)
    exam = next((item for item in year_exams if item.id == int(exam_id[1])), None)
    unit_scope, scope_name = narrow_scope(session, scope, unit.strip())
    roll = None if exam is None else _exam_roll(session, unit_scope, ask, exam)
    if exam is None or roll is None or not roll.units:
        raise Refusal(f"{ask.year} 年没有编号为「{number[:20]}」的考试，或它与您看的单位无关。发送「报表 考试」看编号。")
    return _exam_table(session, unit_scope, ask, exam, roll, scope_name)


def _year_table(session: Session, scope: Scope, ask: ReportQuery, year_exams: list[Exam]) -> Table:
    rows: list[Row] = []
    for exam in year_exams:
        sums = _exam_sum(session, scope, ask, exam)
        if sums.invited:
            window = f"{date_time_text(exam.opens_at)}—{date_time_text(exam.closes_at)}"
            rows.append((exam.name, exam.id, STATE_LABELS[exam.state], window, *sums.cells(), exam.clause))
    notes = [f"共 {len(rows)} 场。看一场的各单位、缺考名单和成绩：报表 考试 编号"]
    return make_table(session, ask, "考试", "考试情况", Part("各场", EXAM_COLUMNS, rows), notes=notes, terms=_TERMS)


_TERMS = ("应考：考试当天在范围内的人和已参加的人，不含请假、借调；参考率=参考/应考；合格率=合格/参考。",)


class PeopleRows:
    """A row for each of some people, made while they are gone through: a phone shows a few of a hundred thousand."""

    def __init__(self, people: Sequence[int], row: Callable[[int], Row]) -> None:
        self.people, self.row = people, row

    def __len__(self) -> int:
        return len(self.people)

    def __iter__(self) -> Iterator[Row]:
        return map(self.row, self.people)


def _exam_table(session: Session, scope: Scope, ask: ReportQuery, exam: Exam, roll: ExamRoll, scope_name: str) -> Table:
    units = units_in(session, scope)
    names = {person_id: (staff_no, name) for person_id, staff_no, name in audience.list_people(session, sorted(roll.units))}

    def person_cells(person_id: int) -> tuple[str, str, str]:
        return (*names[person_id], "、".join(sorted(units[unit_id].path for unit_id in roll.units[person_id])))

    absent = sorted((person_id for person_id in roll.units if person_id not in roll.tries), key=lambda person_id: repr(names[person_id][0]))
    parts = [
        Part("各单位", UNIT_COLUMNS, _unit_rows(roll, units)),
        Part("缺考名单" if exam.is_over else "还没有考", ABSENT_COLUMNS, PeopleRows(absent, person_cells)),
    ]
    notes = [
        f"{date_time_text(exam.opens_at)} 至 {date_time_text(exam.closes_at)}，满分 {exact_points_text(exam.total)} 分，"
        f"{exact_points_text(exam.pass_line)} 分及格。",
        *([f"{roll.away} 人请假或借调，不计应考。"] if roll.away else []),
    ]
    if exam.is_over:
        sat = sorted(roll.tries, key=lambda person_id: names[person_id][0])
        results = PeopleRows(sat, lambda person_id: _result_row(exam, *person_cells(person_id), roll.tries[person_id]))
        parts.append(Part("成绩", RESULT_COLUMNS, results))
    else:
        notes.append("考试还没有结束，成绩暂不列出。")
    title = f"考试情况（{exam.name}，{STATE_LABELS[exam.state]}{f'；{scope_name}' if scope_name else ''}）"
    return make_table(session, ask, "考试", title, *parts, notes=notes, terms=_TERMS)


def _result_row(exam: Exam, staff_no: str, name: str, unit: str, tried: ExamTry) -> Row:
    score = None if tried.score is None else Decimal(tried.score) / 1000
    verdict = "在考" if tried.closed_at is None else "待阅卷" if tried.passed is None else "合格" if tried.passed else "不合格"
    closed_at = None if tried.closed_at is None else date_time_text(moment(tried.closed_at))
    makeup = "（补考）" if exam.makeup_of is not None else ""
    closed_by = None if tried.closed_by is None else CLOSED_BY_LABELS[tried.closed_by]
    return (staff_no, name, unit, score, f"{verdict}{makeup}", tried.n, closed_at, closed_by)


def _unit_rows(roll: ExamRoll, units: dict[int, ReportUnit]) -> list[Row]:
    """Each unit with everything below it; somebody in two units counts once on every level."""
    people_of: dict[tuple[int, ...], list[int]] = {}
    for person_id, own in roll.units.items():
        people_of.setdefault(own, []).append(person_id)
    below = {unit_id: ExamSum() for unit_id in units}
    total = ExamSum()
    for own, people in people_of.items():
        sums = roll.sum_of(people)
        total.add(sums)
        for unit_above in {container_id for unit_id in own for container_id in units[unit_id].above}:
            below[unit_above].add(sums)
    rows: list[Row] = [(units[unit_id].path, *sums.cells()) for unit_id, sums in below.items() if sums.invited]
    if sum(len(unit.above) == 1 and below[unit.id].invited > 0 for unit in units.values()) > 1:
        rows.insert(0, (TOTAL, *total.cells()))
    return rows


def _exam_text(session: Session, scope: Scope, ask: ReportQuery, exam: Exam) -> tuple[str, dict[str, Any]]:
    """The parts `office` and `selected` (the audience with reasons) of a WITH RECURSIVE, and the values of them and of `_JOIN_TRIED`.

    They show the exam as it stood at the end of the day asked for, and people where they were on its last day.
    """
    day = min(day_of(exam.closes_at), ask.last)
    selection, values = audience.selection_statement(session, exam.audience, day, min(ask.until, exam.closes_at))
    return f"{office_sql(scope)}, selected AS ({selection})", {**values, "until": stamp(ask.until), "exam": exam.id}


def _exam_sum(session: Session, scope: Scope, ask: ReportQuery, exam: Exam) -> ExamSum:
    parts, values = _exam_text(session, scope, ask, exam)
    text = f"""WITH RECURSIVE {parts}
        SELECT COUNT(*), COUNT(t.person_id), COALESCE(SUM(CASE WHEN t.passed = 1 AND t.closed_at < :until THEN 1 ELSE 0 END), 0)
        FROM (SELECT DISTINCT person_id FROM office) w {_JOIN_TRIED}
        LEFT JOIN selected s ON s.id = w.person_id WHERE {_IS_MEANT}"""  # noqa: S608
    return ExamSum(*map(int, Statement(text).one(session, **values)))


def _exam_roll(session: Session, scope: Scope, ask: ReportQuery, exam: Exam) -> ExamRoll:
    parts, values = _exam_text(session, scope, ask, exam)
    text = f"""WITH RECURSIVE {parts}
        SELECT w.person_id, w.unit_id, CASE WHEN {_IS_MEANT} THEN 1 ELSE 0 END, t.n, t.closed_at < :until,
               t.closed_at, t.closed_by, t.score, t.passed
        FROM office w {_JOIN_TRIED} LEFT JOIN selected s ON s.id = w.person_id
        WHERE {_IS_MEANT} OR s.reason IN ({", ".join(repr(reason) for reason in AWAY_REASONS)})"""  # noqa: S608
    units: dict[int, tuple[int, ...]] = {}
    tries: dict[int, ExamTry] = {}
    away: set[int] = set()
    alone: dict[int, tuple[int, ...]] = {}
    for person_id, unit_id, is_meant, n, was_closed, *closing in stream(session, text, values):
        if not is_meant:
            away.add(person_id)
            continue
        if n is not None:
            tries[person_id] = ExamTry(n, *closing) if was_closed else ExamTry(n)
        own = units.get(person_id)
        # One tuple for all who are in one unit only.
        units[person_id] = alone.setdefault(unit_id, (unit_id,)) if own is None else tuple(sorted({*own, unit_id}))
    return ExamRoll(units, tries, len(away))
