"""Rows of exams and the export of their attempts.

Each change of state is one conditional UPDATE that returns True to the one call that made it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.exam import blueprint
from bot.domain.exam.exam import Exam, gate_from_json, gate_json
from bot.domain.people import audience
from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_COLUMNS = """id, name, state, blueprint, audience, gate, opens_at, closes_at, minutes, late_minutes, attempts, pass_line, total, results,
    grace_seconds, makeup_of, cap, clause, campaign_id, created_by, closed_at, released_at, frozen_at"""
_ADD = Statement(
    """INSERT INTO exam (name, state, blueprint, audience, gate, opens_at, closes_at, minutes, late_minutes, attempts, pass_line, total, results,
                         grace_seconds, makeup_of, cap, clause, created_by, created_at, changed_at)
       VALUES (:name, 'draft', :blueprint, :audience, :gate, :opens_at, :closes_at, :minutes, :late_minutes, :attempts, :pass_line, :total,
               :results, :grace_seconds, :makeup_of, :cap, :clause, :by, :at, :at) RETURNING id"""
)
_GET = Statement(f"SELECT {_COLUMNS} FROM exam WHERE id = :id")  # noqa: S608
_HOLD = Statement("SELECT id FROM exam WHERE id = :id FOR UPDATE")
_ALL = Statement(f"SELECT {_COLUMNS} FROM exam ORDER BY id DESC")  # noqa: S608
_PUBLISHED = Statement(f"SELECT {_COLUMNS} FROM exam WHERE state = 'published' AND opens_at <= :until ORDER BY closes_at, id")  # noqa: S608
_IS_PUBLISHED = Statement("SELECT 1 FROM exam WHERE id = :id AND state = 'published'")
_OF_PERSON = Statement(
    f"""SELECT {_COLUMNS} FROM exam WHERE id IN (SELECT exam_id FROM attempt WHERE person_id = :person_id) ORDER BY closes_at DESC, id DESC"""  # noqa: S608
)
_MAKEUP = Statement("SELECT id FROM exam WHERE makeup_of = :id AND state <> 'cancelled'")
_PUBLISH = Statement("UPDATE exam SET state = 'published', campaign_id = :campaign_id, changed_at = :at WHERE id = :id AND state = 'draft'")
_CANCEL = Statement("UPDATE exam SET state = 'cancelled', changed_at = :at WHERE id = :id AND state IN ('draft', 'published')")
_CLOSE = Statement("UPDATE exam SET state = 'closed', closed_at = :at, changed_at = :at WHERE id = :id AND state = 'published'")
_RELEASE = Statement("UPDATE exam SET state = 'released', released_at = :at, changed_at = :at WHERE id = :id AND state = 'closed'")
_FREEZE = Statement("UPDATE exam SET frozen_at = :at WHERE id = :id")
_ENDED = Statement(
    """SELECT e.id FROM exam e WHERE e.state = 'published' AND e.closes_at <= :until
       AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.exam_id = e.id AND a.state = 'open') ORDER BY e.id"""
)


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _optional_moment(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


def _exam(row: Any) -> Exam:
    return Exam(
        id=row[0], name=row[1], state=row[2],
        blueprint=blueprint.blueprint_from_json(json.loads(row[3])), audience=audience.audience_from_json(json.loads(row[4])),
        gate=gate_from_json(json.loads(row[5])), opens_at=moment(row[6]), closes_at=moment(row[7]), minutes=row[8], late_minutes=row[9],
        attempts=row[10], pass_line=row[11], total=row[12], results=row[13], grace_seconds=row[14], makeup_of=row[15], cap=row[16], clause=row[17],
        campaign_id=row[18], created_by=row[19], closed_at=_optional_moment(row[20]), released_at=_optional_moment(row[21]),
        frozen_at=_optional_moment(row[22]),
    )  # fmt: skip


def add(session: Session, exam: Exam, by: str, at: datetime) -> int:
    """Insert a draft with the values of `exam` (id and state are ignored); returns the new id."""
    row = _ADD.one(
        session, name=exam.name, blueprint=_to_json(blueprint.blueprint_json(exam.blueprint)),
        audience=_to_json(audience.audience_json(exam.audience)), gate=_to_json(gate_json(exam.gate)), opens_at=stamp(exam.opens_at),
        closes_at=stamp(exam.closes_at), minutes=exam.minutes, late_minutes=exam.late_minutes, attempts=exam.attempts,
        pass_line=exam.pass_line, total=exam.total, results=exam.results, grace_seconds=exam.grace_seconds, makeup_of=exam.makeup_of,
        cap=exam.cap, clause=exam.clause, by=by, at=stamp(at),
    )  # fmt: skip
    return int(row[0])


def get(session: Session, exam_id: int) -> Exam | None:
    row = _GET.one(session, id=exam_id)
    return None if row is None else _exam(row)


def lock(session: Session, exam_id: int) -> Exam | None:
    """An exam whose row stays locked until this transaction ends; None when there is none."""
    if session.get_bind().dialect.name != "sqlite":
        _HOLD.one(session, id=exam_id)
    return get(session, exam_id)


def list_all(session: Session) -> list[Exam]:
    """All exams, newest first."""
    return [_exam(row) for row in _ALL.all(session)]


def list_published(session: Session, until: datetime) -> list[Exam]:
    """Published exams that open by a moment, the one that closes first in front."""
    return [_exam(row) for row in _PUBLISHED.all(session, until=stamp(until))]


def is_published(session: Session, exam_id: int) -> bool:
    return _IS_PUBLISHED.one(session, id=exam_id) is not None


def sat_by(session: Session, person_id: int) -> list[Exam]:
    """The exams that somebody has an attempt at, newest first."""
    return [_exam(row) for row in _OF_PERSON.all(session, person_id=person_id)]


def makeup_id(session: Session, exam_id: int) -> int | None:
    """The id of an exam's make-up that was not cancelled; None when there is none."""
    row = _MAKEUP.one(session, id=exam_id)
    return None if row is None else int(row[0])


def publish(session: Session, exam_id: int, campaign_id: int | None, at: datetime) -> bool:
    """True for the one call that published it; so of the others below."""
    return _PUBLISH.run(session, id=exam_id, campaign_id=campaign_id, at=stamp(at)) == 1


def cancel(session: Session, exam_id: int, at: datetime) -> bool:
    return _CANCEL.run(session, id=exam_id, at=stamp(at)) == 1


def close(session: Session, exam_id: int, at: datetime) -> bool:
    return _CLOSE.run(session, id=exam_id, at=stamp(at)) == 1


def release(session: Session, exam_id: int, at: datetime) -> bool:
    return _RELEASE.run(session, id=exam_id, at=stamp(at)) == 1


def set_frozen(session: Session, exam_id: int, at: datetime | None) -> None:
    """Hold results back from a moment on, or (None) let them be told again."""
    _FREEZE.run(session, id=exam_id, at=None if at is None else stamp(at))


def list_ended(session: Session, until: datetime) -> list[int]:
    """Ids of published exams whose window is over and that have no open attempt."""
    return [row[0] for row in _ENDED.all(session, until=stamp(until))]


_EXPORT = Statement(
    """SELECT p.staff_no, p.name, COALESCE((SELECT MIN(u.path) FROM post o JOIN unit u ON u.id = o.unit_id WHERE o.person_id = p.id
                                          AND (o.until IS NULL OR o.until >= substr(t.started_at, 1, 10))), ''),
              t.n, t.sitting_id, t.started_at, t.deadline, t.state, t.closed_at, t.closed_by, t.score, t.passed, t.difficulty,
              (SELECT COUNT(*) FROM answer a WHERE a.sitting_id = t.sitting_id)
       FROM attempt t JOIN person p ON p.id = t.person_id WHERE t.exam_id = :exam_id ORDER BY t.sitting_id"""
)
_EXPORT_COLUMNS = (
    "staff_no", "name", "unit", "attempt", "session", "started_at", "deadline", "state", "closed_at", "closed_by", "score", "passed", "difficulty",
    "answered",
)  # fmt: skip


def export_attempts(session: Session, exam_id: int) -> list[dict[str, Any]]:
    """Every attempt in the order in which they began; score in points, difficulty from 0 to 1."""
    attempts = []
    for row in _EXPORT.all(session, exam_id=exam_id):
        attempt = dict(zip(_EXPORT_COLUMNS, row, strict=True))
        attempt["score"] = None if attempt["score"] is None else attempt["score"] / 1000
        attempt["passed"] = None if attempt["passed"] is None else bool(attempt["passed"])
        attempt["difficulty"] /= 1000
        attempts.append(attempt)
    return attempts
