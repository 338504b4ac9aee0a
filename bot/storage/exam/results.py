"""Results of an exam for those who look after it: try by try for scripts, person by person for reports."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from bot.storage.sql import Sql

_EXPORT = Sql(
    """SELECT p.staff_no, p.name, COALESCE((SELECT MIN(u.path) FROM post o JOIN unit u ON u.id = o.unit_id WHERE o.person_id = p.id
                                          AND (o.until IS NULL OR o.until >= substr(t.started_at, 1, 10))), ''),
              t.n, t.sitting_id, t.started_at, t.deadline, t.state, t.closed_at, t.closed_by, t.score, t.passed, t.difficulty,
              (SELECT COUNT(*) FROM answer a WHERE a.sitting_id = t.sitting_id)
       FROM attempt t JOIN person p ON p.id = t.person_id WHERE t.exam_id = :exam_id ORDER BY t.sitting_id"""
)
_NAMES = (
    "staff_no", "name", "unit", "attempt", "session", "started_at", "deadline", "state", "closed_at", "closed_by", "score", "passed", "difficulty",
    "answered",
)  # fmt: skip


def exported(session: Session, exam_id: int) -> list[dict[str, Any]]:
    """Every try in the order in which they began; score in points, difficulty from 0 to 1."""
    found = []
    for row in _EXPORT.all(session, exam_id=exam_id):
        one = dict(zip(_NAMES, row, strict=True))
        one["score"] = None if one["score"] is None else one["score"] / 1000
        one["passed"] = None if one["passed"] is None else bool(one["passed"])
        one["difficulty"] /= 1000
        found.append(one)
    return found
