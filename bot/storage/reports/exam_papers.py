"""What the reports on an exam share: the exam asked for, the papers that the asker may see, and the grades and arrival times of their answers."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.exam.exam import Exam
from bot.domain.library.question import Question, question_from_body
from bot.domain.message import Refusal
from bot.domain.reports import ReportQuery, Scope
from bot.storage.db.query import Statement, stream
from bot.storage.exam import exams
from bot.storage.reports.scope import bind_values, office_sql
from bot.storage.study import grades
from bot.storage.study.grades import CountingGrade
from bot.storage.tables.columns import moment

NO_EXAM = "没有这场考试，请写考试的编号或全名。发送「考试」看列表。"
_PAPERS = Statement(
    """SELECT t.sitting_id, t.person_id, t.n, t.started_at, p.staff_no, p.name FROM attempt t JOIN person p ON p.id = t.person_id
       WHERE t.exam_id = :exam AND t.state = 'closed' AND t.closed_at < :until ORDER BY t.sitting_id"""
)
_ARRIVALS = Statement(
    """SELECT a.sitting_id, a.n, a.arrived_at, a.channel FROM answer a JOIN attempt t ON t.sitting_id = a.sitting_id
       WHERE t.exam_id = :exam ORDER BY a.sitting_id, a.arrived_at, a.id"""
)
_BODIES = Statement(
    """SELECT DISTINCT v.id, v.question, v.version, v.body FROM question_version v JOIN sitting_item i ON i.version_id = v.id
       JOIN attempt t ON t.sitting_id = i.sitting_id WHERE t.exam_id = :exam"""
)
_VISITS = Statement(
    """SELECT l.person_id, COUNT(*) FROM visit v JOIN link l ON l.id = v.link_id WHERE l.purpose = 'exam' AND l.ref = :ref GROUP BY l.person_id"""
)
_CLOSED_SITTINGS = "SELECT t.sitting_id FROM attempt t WHERE t.exam_id = :exam AND t.state = 'closed'"


@dataclass(frozen=True, slots=True)
class ReportedPaper:
    """One closed try at the exam: the n-th of its person."""

    sitting_id: int
    person_id: int
    n: int
    started_at: datetime
    staff_no: str
    name: str


@dataclass(frozen=True, slots=True)
class ReportedVersion:
    """A question as it stood in the papers; `name` tells versions apart where there are several."""

    name: str
    question: Question


def find_exam(session: Session, about: str) -> Exam:
    """The exam of a number or a full name. Raises `Refusal` for none, or where several are called so."""
    wanted = about.strip().lstrip("#")
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
        exam = exams.get(session, int(wanted))
        matches = [exam] if exam is not None else []
    else:
        matches = [exam for exam in exams.list_all(session) if exam.name == wanted]
    matches = [exam for exam in matches if exam.state != "draft"]
    if not matches:
        raise Refusal(NO_EXAM)
    if len(matches) > 1:
        raise Refusal(f"叫这个名称的考试有 {len(matches)} 场，请写编号：{'、'.join(str(exam.id) for exam in matches[:10])}。")
    return matches[0]


def visible_papers(session: Session, scope: Scope, ask: ReportQuery, exam: Exam) -> list[ReportedPaper]:
    """The closed tries of those whom the asker may see, as they stood on the day asked for."""
    rows = _PAPERS.all(session, exam=exam.id, until=bind_values(ask)["until"])
    closed_papers = [ReportedPaper(row[0], row[1], row[2], moment(row[3]), row[4], row[5]) for row in rows]
    if scope.roots is None:
        return closed_papers
    text = f"WITH RECURSIVE {office_sql(scope)} SELECT DISTINCT person_id FROM office"  # noqa: S608
    visible = {row[0] for row in stream(session, text, bind_values(ask))}
    return [paper for paper in closed_papers if paper.person_id in visible]


def grades_of(session: Session, exam: Exam, sittings: Collection[int]) -> list[CountingGrade]:
    """The grades that count of some papers of an exam."""
    return [grade for grade in grades.grades_of_sittings(session, _CLOSED_SITTINGS, exam=exam.id) if grade.sitting_id in sittings]


def question_versions(session: Session, exam: Exam) -> dict[int, ReportedVersion]:
    """The questions of an exam's papers by version row."""
    rows = _BODIES.all(session, exam=exam.id)
    several = {row[1] for row in rows if sum(other[1] == row[1] for other in rows) > 1}
    return {row[0]: ReportedVersion(f"{row[1]}@{row[0]}" if row[1] in several else row[1], question_from_body(json.loads(row[3]))) for row in rows}


def answer_arrivals(session: Session, exam: Exam) -> dict[int, list[tuple[int, datetime, str]]]:
    """(place, arrival, channel) of the answers of each paper, in the order in which they came."""
    arrivals: dict[int, list[tuple[int, datetime, str]]] = {}
    for sitting_id, place, arrived_at, channel in _ARRIVALS.all(session, exam=exam.id):
        arrivals.setdefault(sitting_id, []).append((place, moment(arrived_at), channel))
    return arrivals


def browser_counts(session: Session, exam: Exam) -> dict[int, int]:
    """In how many browsers each person has opened an exam's page, as far as visits are still kept."""
    return {row[0]: int(row[1]) for row in _VISITS.all(session, ref=str(exam.id))}
