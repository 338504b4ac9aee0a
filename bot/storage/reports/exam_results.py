"""Report 考试: who was invited to an exam, who sat and passed it, by unit; the absent, and the results of people in the asker's scope."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import FromClause, Text, and_, case, exists, func, literal, or_, select
from sqlmodel import Session

from bot.domain.exam.blueprint import exact_points_text
from bot.domain.exam.exam import CLOSED_BY_LABELS, STATE_LABELS, Exam, date_time_text
from bot.domain.message import Refusal
from bot.domain.reports import Cell, Column, Part, ReportQuery, Row, Scope, Table, percentage
from bot.domain.times import day_of
from bot.storage.db.query import Query, bind, columns, table
from bot.storage.exam import exams
from bot.storage.people import audience
from bot.storage.reports.scope import Office, ReportUnit, make_table, narrow_scope, report, units_in
from bot.storage.tables.columns import FlagType, MomentType
from bot.storage.tables.exam import AttemptRow

_ATTEMPT = table(AttemptRow)

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
    closed_at: datetime | None = None
    closed_by: str | None = None
    score: int | None = None
    passed: bool | None = None


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
    closed_at = None if tried.closed_at is None else date_time_text(tried.closed_at)
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


# ── The statements ──

_UNTIL = bind("until", MomentType)


def _rank(tried: FromClause) -> Any:
    """By its score as it stood at `until`; what was open then ranks below everything."""
    return case((tried.c.closed_at < _UNTIL, func.coalesce(tried.c.score, 0)), else_=-1)


def _begun(tried: FromClause, person_id: Any) -> Any:
    """A person's tries at the exam that had begun.

    COALESCE: by the moment SQLite would look through the tries of a person at all exams, or through everybody's at this one; so it takes the key.
    """
    begun_at = func.coalesce(tried.c.started_at, literal("", Text), type_=MomentType())
    return and_(tried.c.exam_id == bind("exam"), tried.c.person_id == person_id, begun_at < _UNTIL)


def _with_tries(people: FromClause, selection: FromClause) -> tuple[FromClause, Any]:
    """People with the try that counts (the best of those closed by then, else the one that was open) and with the reason why the audience leaves
    them out; and whether they were to sit: who has begun, or is of the audience and not away."""
    better = _ATTEMPT.alias("better")
    ranks_above = or_(_rank(better) > _rank(_ATTEMPT), and_(_rank(better) == _rank(_ATTEMPT), better.c.sitting_id < _ATTEMPT.c.sitting_id))
    has_better = exists(select(better.c.n).where(_begun(better, _ATTEMPT.c.person_id), better.c.n != _ATTEMPT.c.n, ranks_above))
    joined = people.outerjoin(_ATTEMPT, and_(_begun(_ATTEMPT, people.c.person_id), ~has_better)).outerjoin(
        selection, selection.c.id == people.c.person_id
    )
    return joined, or_(_ATTEMPT.c.person_id.is_not(None), selection.c.reason.not_in([*AWAY_REASONS, *OUT_OF_OFFICE]))


def _selection(session: Session, ask: ReportQuery, exam: Exam) -> tuple[FromClause, dict[str, Any]]:
    """The audience of an exam as (id, reason), and the values of the statements over it: as it stood at the end of the day asked for, and people
    where they were on the exam's last day."""
    day = min(day_of(exam.closes_at), ask.last)
    selected, values = audience.selection(session, exam.audience, day, min(ask.until, exam.closes_at))
    return selected.cte("selected"), {**values, "until": ask.until, "exam": exam.id}


def _values(scope: Scope, values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values} if scope.roots is None else {**values, "roots": scope.roots}


def _exam_sum(session: Session, scope: Scope, ask: ReportQuery, exam: Exam) -> ExamSum:
    selection, values = _selection(session, ask, exam)
    people = select(Office(whole=scope.roots is None).posts.c.person_id).distinct().subquery("people")
    joined, is_meant = _with_tries(people, selection)
    has_passed = and_(_ATTEMPT.c.passed == 1, _ATTEMPT.c.closed_at < _UNTIL)
    figures = (
        func.count().label("invited"),
        func.count(_ATTEMPT.c.person_id).label("sat"),
        func.count().filter(has_passed).label("passed"),
    )
    return Query(select(*figures).select_from(joined).where(is_meant), gives=ExamSum).one(session, **_values(scope, values))


@dataclass(frozen=True, slots=True)
class _OfficePlace:
    """A post of somebody in office: whether they were to sit the exam, or are away, and whether their try was closed."""

    person_id: int
    unit_id: int
    is_meant: bool
    was_closed: bool


def _exam_roll(session: Session, scope: Scope, ask: ReportQuery, exam: Exam) -> ExamRoll:
    selection, values = _selection(session, ask, exam)
    posts = Office(whole=scope.roots is None).posts
    joined, is_meant = _with_tries(posts, selection)
    flags = {"is_meant": is_meant, "was_closed": _ATTEMPT.c.closed_at < _UNTIL}
    yes, no = literal(True, FlagType), literal(False, FlagType)
    rows = Query(
        select(
            posts.c.person_id,
            posts.c.unit_id,
            *(case((condition, yes), else_=no).label(name) for name, condition in flags.items()),
            *columns(_ATTEMPT, ExamTry),
        )
        .select_from(joined)
        .where(or_(is_meant, selection.c.reason.in_(AWAY_REASONS))),
        gives=(_OfficePlace, ExamTry | None),
    )
    units: dict[int, tuple[int, ...]] = {}
    tries: dict[int, ExamTry] = {}
    away: set[int] = set()
    alone: dict[int, tuple[int, ...]] = {}
    for place, tried in rows.stream(session, **_values(scope, values)):
        person_id = place.person_id
        if not place.is_meant:
            away.add(person_id)
            continue
        if tried is not None:
            tries[person_id] = tried if place.was_closed else ExamTry(tried.n)
        own = units.get(person_id)
        # One tuple for all who are in one unit only.
        units[person_id] = alone.setdefault(place.unit_id, (place.unit_id,)) if own is None else tuple(sorted({*own, place.unit_id}))
    return ExamRoll(units, tries, len(away))
