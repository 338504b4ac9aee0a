"""Report 考试: who was invited to an exam, who sat and passed it, by unit; the absent, and the results of people in the asker's scope."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlmodel import Session

from bot.domain.exam.blueprint import exact_points_text
from bot.domain.exam.exam import CLOSED_BY_LABELS, STATE_LABELS, Attempt, Exam, counting_attempts, date_time_text
from bot.domain.message import Refusal
from bot.domain.reports import Cell, Column, Part, ReportQuery, Row, Scope, Table, percentage
from bot.domain.times import day_of
from bot.storage.db.query import stream
from bot.storage.exam import attempts, exams
from bot.storage.people import audience
from bot.storage.reports.scope import ReportUnit, bind_values, make_table, narrow_scope, office_sql, report, units_in

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
class _ExamSum:
    """People: who were to sit, who began, who passed."""

    invited: int = 0
    sat: int = 0
    passed: int = 0

    def cells(self) -> tuple[Cell, ...]:
        return (self.invited, self.sat, percentage(self.sat, self.invited), self.passed, percentage(self.passed, self.sat))


@dataclass(slots=True)
class _ExamRoll:
    """The people of an exam within a scope: to sit (id), away, and the try of each that counts; the units of each on its day."""

    meant: set[int]
    away: set[int]
    tried: dict[int, Attempt]
    at: dict[int, set[int]]

    def sum_of(self, people: Collection[int]) -> _ExamSum:
        sat = [self.tried[person_id] for person_id in people if person_id in self.tried]
        return _ExamSum(len(people), len(sat), sum(1 for attempt in sat if attempt.passed))


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
    if exam is None or roll is None or not roll.meant:
        raise Refusal(f"{ask.year} 年没有编号为「{number[:20]}」的考试，或它与您看的单位无关。发送「报表 考试」看编号。")
    return _exam_table(session, unit_scope, ask, exam, roll, scope_name)


def _year_table(session: Session, scope: Scope, ask: ReportQuery, year_exams: list[Exam]) -> Table:
    rows: list[Row] = []
    for exam in year_exams:
        roll = _exam_roll(session, scope, ask, exam)
        if roll.meant:
            window = f"{date_time_text(exam.opens_at)}—{date_time_text(exam.closes_at)}"
            rows.append((exam.name, exam.id, STATE_LABELS[exam.state], window, *roll.sum_of(roll.meant).cells(), exam.clause))
    notes = [f"共 {len(rows)} 场。看一场的各单位、缺考名单和成绩：报表 考试 编号"]
    return make_table(session, ask, "考试", "考试情况", Part("各场", EXAM_COLUMNS, rows), notes=notes, terms=_TERMS)


_TERMS = ("应考：考试当天在范围内的人和已参加的人，不含请假、借调；参考率=参考/应考；合格率=合格/参考。",)


def _exam_table(session: Session, scope: Scope, ask: ReportQuery, exam: Exam, roll: _ExamRoll, scope_name: str) -> Table:
    units = units_in(session, scope)
    names = {person_id: (staff_no, name) for person_id, staff_no, name in audience.list_people(session, sorted(roll.meant))}
    paths = {person_id: "、".join(sorted(units[unit_id].path for unit_id in roll.at[person_id])) for person_id in roll.meant}
    absent: list[Row] = [(*names[person_id], paths[person_id]) for person_id in roll.meant - roll.tried.keys()]
    parts = [
        Part("各单位", UNIT_COLUMNS, _unit_rows(roll, units)),
        Part("缺考名单" if exam.is_over else "还没有考", ABSENT_COLUMNS, sorted(absent, key=str)),
    ]
    notes = [
        f"{date_time_text(exam.opens_at)} 至 {date_time_text(exam.closes_at)}，满分 {exact_points_text(exam.total)} 分，"
        f"{exact_points_text(exam.pass_line)} 分及格。",
        *([f"{len(roll.away)} 人请假或借调，不计应考。"] if roll.away else []),
    ]
    if exam.is_over:
        results = [_result_row(exam, *names[person_id], paths[person_id], roll.tried[person_id]) for person_id in roll.meant & roll.tried.keys()]
        parts.append(Part("成绩", RESULT_COLUMNS, sorted(results, key=lambda row: str(row[0]))))
    else:
        notes.append("考试还没有结束，成绩暂不列出。")
    title = f"考试情况（{exam.name}，{STATE_LABELS[exam.state]}{f'；{scope_name}' if scope_name else ''}）"
    return make_table(session, ask, "考试", title, *parts, notes=notes, terms=_TERMS)


def _result_row(exam: Exam, staff_no: str, name: str, unit: str, attempt: Attempt) -> Row:
    score = None if attempt.score is None else Decimal(attempt.score) / 1000
    verdict = "在考" if attempt.state == "open" else "待阅卷" if attempt.passed is None else "合格" if attempt.passed else "不合格"
    closed_at = None if attempt.closed_at is None else date_time_text(attempt.closed_at)
    makeup = "（补考）" if exam.makeup_of is not None else ""
    return (
        staff_no,
        name,
        unit,
        score,
        f"{verdict}{makeup}",
        attempt.n,
        closed_at,
        None if attempt.closed_by is None else CLOSED_BY_LABELS[attempt.closed_by],
    )


def _unit_rows(roll: _ExamRoll, units: dict[int, ReportUnit]) -> list[Row]:
    """Each unit with everything below it; somebody in two units counts once on every level."""
    people_below: dict[int, set[int]] = {unit_id: set() for unit_id in units}
    for person_id in roll.meant:
        for unit_above in {container_id for unit_id in roll.at[person_id] for container_id in units[unit_id].above}:
            people_below[unit_above].add(person_id)
    rows: list[Row] = [(units[unit].path, *roll.sum_of(people).cells()) for unit, people in people_below.items() if people]
    tops = [unit for unit in units.values() if len(unit.above) == 1 and people_below[unit.id]]
    if len(tops) > 1:
        rows.insert(0, (TOTAL, *roll.sum_of(roll.meant).cells()))
    return rows


def _exam_roll(session: Session, scope: Scope, ask: ReportQuery, exam: Exam) -> _ExamRoll:
    """As the exam stood at the end of the day asked for, people where they were on its last day."""
    day = min(day_of(exam.closes_at), ask.last)
    text = f"WITH RECURSIVE {office_sql(scope)} SELECT person_id, unit_id FROM office"  # noqa: S608
    units_of_person: dict[int, set[int]] = {}
    for person_id, unit_id in stream(session, text, bind_values(replace(ask, as_of=day, year=day.year))):
        units_of_person.setdefault(person_id, set()).add(unit_id)
    attempt_of_person = {
        person_id: attempt
        for person_id, attempt in counting_attempts(_as_of(attempts.of_exam(session, exam.id), ask.until)).items()
        if person_id in units_of_person
    }
    invited = audience.evaluate(session, exam.audience, day, min(ask.until, exam.closes_at))
    reasons = dict(invited.excluded)
    away = {person_id for person_id, reason in reasons.items() if reason in AWAY_REASONS and person_id in units_of_person} - attempt_of_person.keys()
    invited_ids = {
        *invited.people,
        *(person_id for person_id, reason in reasons.items() if reason not in (*AWAY_REASONS, *OUT_OF_OFFICE)),
        *attempt_of_person,
    }
    return _ExamRoll({person_id for person_id in invited_ids if person_id in units_of_person}, away, attempt_of_person, units_of_person)


def _as_of(all_attempts: list[Attempt], until: datetime) -> list[Attempt]:
    """What had begun by a moment; what was closed later was still open then."""
    return [
        attempt
        if attempt.closed_at is None or attempt.closed_at < until
        else replace(attempt, state="open", closed_at=None, closed_by=None, score=None, passed=None)
        for attempt in all_attempts
        if attempt.started_at < until
    ]
