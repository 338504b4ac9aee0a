"""Rows of exams held on other platforms and of their results, and the roster that imported lines are matched against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Integer, case, func, literal, or_, select
from sqlmodel import Session

from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.columns import FlagType
from bot.storage.tables.grading import OutsideExamRow, OutsideResultRow
from bot.storage.tables.people import PersonRow, PostRow, UnitRow

_EXAM, _RESULT, _PERSON, _POST, _UNIT = (table(row) for row in (OutsideExamRow, OutsideResultRow, PersonRow, PostRow, UnitRow))


@dataclass(frozen=True, slots=True)
class OutsideExam:
    """An exam held elsewhere. Points in thousandths; `exam_id` where it is tracked as an exam here."""

    id: int
    name: str
    held_on: date
    pass_line: int
    total: int
    exam_id: int | None


@dataclass(frozen=True, slots=True)
class RosterPerson:
    """A person whom a line may mean, with the units of the day of the exam (none: not in office then)."""

    id: int
    staff_no: str
    name: str
    units: tuple[str, ...]


_SELECT = select(*columns(_EXAM, OutsideExam))
_BY_NAME = Query(_SELECT.where(_EXAM.c.name == bind("name")), gives=OutsideExam)
_BY_EXAM = Query(_SELECT.where(_EXAM.c.exam_id == bind("exam_id")), gives=OutsideExam)
_ALL = Query(
    _SELECT.add_columns(func.count(_RESULT.c.person_id), func.coalesce(func.sum(_RESULT.c.passed, type_=Integer()), 0))
    .join_from(_EXAM, _RESULT, _RESULT.c.outside_id == _EXAM.c.id, isouter=True)
    .group_by(*columns(_EXAM, OutsideExam))
    .order_by(_EXAM.c.held_on.desc(), _EXAM.c.id.desc()),
    gives=(OutsideExam, int, int),
)
_ADD_EXAM = Query(
    insert(_EXAM).values(binds("name", "held_on", "pass_line", "total", "exam_id", "recorded_by", "recorded_at")).returning(_EXAM.c.id), gives=int
)
_SCORES = Query(select(_RESULT.c.person_id, _RESULT.c.score).where(_RESULT.c.outside_id == bind("outside_id")), gives=tuple[int, int])
_ADD_RESULT = Query(
    insert(_RESULT)
    .values(binds("outside_id", "person_id", "score", "passed", "file", "row", "recorded_by", "recorded_at"))
    .on_conflict_do_nothing(index_elements=["outside_id", "person_id"])
)
_IN_OFFICE = case(
    (
        or_(_PERSON.c.joined_on.is_(None), _PERSON.c.joined_on <= bind("day")) & or_(_PERSON.c.left_on.is_(None), _PERSON.c.left_on >= bind("day")),
        literal(True, FlagType),
    ),
    else_=literal(False, FlagType),
)
_PEOPLE = Query(
    select(_PERSON.c.id, _PERSON.c.staff_no, _PERSON.c.name, _IN_OFFICE.label("in_office")).order_by(_PERSON.c.id), gives=tuple[int, str, str, bool]
)
_POSTS = Query(
    select(_POST.c.person_id, _UNIT.c.path)
    .join_from(_POST, _UNIT, _UNIT.c.id == _POST.c.unit_id)
    .where(_POST.c.since <= bind("day"), or_(_POST.c.until.is_(None), _POST.c.until >= bind("day")))
    .order_by(_POST.c.id),
    gives=tuple[int, str],
)


def find_by_name(session: Session, name: str) -> OutsideExam | None:
    return _BY_NAME.first(session, name=name)


def find_by_exam(session: Session, exam_id: int) -> OutsideExam | None:
    """The results that came from elsewhere for an exam that is tracked here."""
    return _BY_EXAM.first(session, exam_id=exam_id)


def list_exams(session: Session) -> list[tuple[OutsideExam, int, int]]:
    """(exam, results, passed) of all, the latest first."""
    return _ALL.all(session)


def add_exam(session: Session, name: str, held_on: date, pass_line: int, total: int, exam_id: int | None, by: str, now: datetime) -> int:
    return _ADD_EXAM.one(session, name=name, held_on=held_on, pass_line=pass_line, total=total, exam_id=exam_id, recorded_by=by, recorded_at=now)


def scores_of(session: Session, outside_id: int) -> dict[int, int]:
    """Score (thousandths) by person."""
    return dict(_SCORES.all(session, outside_id=outside_id))


def add_result(session: Session, outside_id: int, person_id: int, score: int, passed: bool, source: tuple[str, int], by: str, now: datetime) -> bool:
    """True for the one call that wrote it. `source` is (file, row)."""
    file, row = source
    rows_written = _ADD_RESULT.run(
        session, outside_id=outside_id, person_id=person_id, score=score, passed=passed, file=file, row=row, recorded_by=by, recorded_at=now
    )
    return rows_written == 1


def roster_on(session: Session, day: date) -> Iterable[RosterPerson]:
    """Everyone ever on the roll, with where they worked on a day."""
    units: dict[int, list[str]] = {}
    for person_id, path in _POSTS.all(session, day=day):
        units.setdefault(person_id, []).append(path)
    for person_id, staff_no, name, in_office in _PEOPLE.stream(session, day=day):
        yield RosterPerson(person_id, staff_no, name, tuple(units.get(person_id, ())) if in_office else ())
