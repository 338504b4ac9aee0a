"""Rows of exams held on other platforms and of their results, and the roster that imported lines are matched against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import stamp

_BY_NAME = Statement("SELECT id, name, held_on, pass_line, total, exam_id FROM outside_exam WHERE name = :name")
_BY_EXAM = Statement("SELECT id, name, held_on, pass_line, total, exam_id FROM outside_exam WHERE exam_id = :exam_id")
_ALL = Statement(
    """SELECT o.id, o.name, o.held_on, o.pass_line, o.total, o.exam_id, COUNT(r.person_id), COALESCE(SUM(r.passed), 0)
       FROM outside_exam o LEFT JOIN outside_result r ON r.outside_id = o.id
       GROUP BY o.id, o.name, o.held_on, o.pass_line, o.total, o.exam_id ORDER BY o.held_on DESC, o.id DESC"""
)
_ADD_EXAM = Statement(
    """INSERT INTO outside_exam (name, held_on, pass_line, total, exam_id, recorded_by, recorded_at)
       VALUES (:name, :held_on, :pass_line, :total, :exam_id, :by, :at) RETURNING id"""
)
_SCORES = Statement("SELECT person_id, score FROM outside_result WHERE outside_id = :outside_id")
_ADD_RESULT = Statement(
    """INSERT INTO outside_result (outside_id, person_id, score, passed, file, row, recorded_by, recorded_at)
       VALUES (:outside_id, :person_id, :score, :passed, :file, :row, :by, :at) ON CONFLICT (outside_id, person_id) DO NOTHING"""
)
_PEOPLE = Statement("SELECT id, staff_no, name, joined_on, left_on FROM person ORDER BY id")
_POSTS = Statement(
    """SELECT o.person_id, u.path FROM post o JOIN unit u ON u.id = o.unit_id
       WHERE o.since <= :day AND (o.until IS NULL OR o.until >= :day) ORDER BY o.id"""
)


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


def find_by_name(session: Session, name: str) -> OutsideExam | None:
    row = _BY_NAME.one(session, name=name)
    return None if row is None else OutsideExam(row[0], row[1], date.fromisoformat(row[2]), row[3], row[4], row[5])


def find_by_exam(session: Session, exam_id: int) -> OutsideExam | None:
    """The results that came from elsewhere for an exam that is tracked here."""
    row = _BY_EXAM.one(session, exam_id=exam_id)
    return None if row is None else OutsideExam(row[0], row[1], date.fromisoformat(row[2]), row[3], row[4], row[5])


def list_exams(session: Session) -> list[tuple[OutsideExam, int, int]]:
    """(exam, results, passed) of all, the latest first."""
    return [(OutsideExam(row[0], row[1], date.fromisoformat(row[2]), *row[3:6]), int(row[6]), int(row[7])) for row in _ALL.all(session)]


def add_exam(session: Session, name: str, held_on: date, pass_line: int, total: int, exam_id: int | None, by: str, now: datetime) -> int:
    row = _ADD_EXAM.one(session, name=name, held_on=held_on.isoformat(), pass_line=pass_line, total=total, exam_id=exam_id, by=by, at=stamp(now))
    return int(row[0])


def scores_of(session: Session, outside_id: int) -> dict[int, int]:
    """Score (thousandths) by person."""
    return {row[0]: row[1] for row in _SCORES.all(session, outside_id=outside_id)}


def add_result(session: Session, outside_id: int, person_id: int, score: int, passed: bool, source: tuple[str, int], by: str, now: datetime) -> bool:
    """True for the one call that wrote it. `source` is (file, row)."""
    rows_written = _ADD_RESULT.run(
        session,
        outside_id=outside_id,
        person_id=person_id,
        score=score,
        passed=int(passed),
        file=source[0],
        row=source[1],
        by=by,
        at=stamp(now),
    )
    return rows_written == 1


def roster_on(session: Session, day: date) -> Iterable[RosterPerson]:
    """Everyone ever on the roll, with where they worked on a day."""
    units: dict[int, list[str]] = {}
    for person_id, path in _POSTS.all(session, day=day.isoformat()):
        units.setdefault(person_id, []).append(path)
    day_text = day.isoformat()
    for ident, staff_no, name, joined_on, left_on in _PEOPLE.all(session):
        in_office = (joined_on is None or joined_on <= day_text) and (left_on is None or left_on >= day_text)
        yield RosterPerson(ident, staff_no, name, tuple(units.get(ident, ())) if in_office else ())
