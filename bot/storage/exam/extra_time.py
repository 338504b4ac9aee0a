"""Rows of requests for extra time or reopening, and what an approval changes (bot/docs/rules.md S14)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.exam.exam import Attempt
from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_LENGTHEN = Statement("UPDATE attempt SET deadline = :deadline WHERE sitting_id = :id AND state = 'open'")
_REOPEN = Statement(
    """UPDATE attempt SET state = 'open', closed_at = NULL, closed_by = NULL, score = NULL, passed = NULL, told_at = NULL,
           deadline = :deadline
       WHERE sitting_id = :id AND state = 'closed'"""
)
_REOPEN_SITTING = Statement("UPDATE sitting SET state = 'open', closed_at = NULL, next = :next WHERE id = :id")
_REOPEN_EXAM = Statement("UPDATE exam SET state = 'published', closed_at = NULL, changed_at = :at WHERE id = :id AND state = 'closed'")
_ASK = Statement(
    """INSERT INTO extension (sitting_id, kind, minutes, reason, asked_by, asked_at) VALUES (:sitting_id, :kind, :minutes, :reason, :by, :at)
       RETURNING id"""
)
_ASKED = Statement("SELECT id, sitting_id, kind, minutes, reason, asked_by, asked_at, approved_by, approved_at FROM extension WHERE id = :id")
_ASKED_OF = Statement(
    """SELECT x.id, x.sitting_id, x.kind, x.minutes, x.reason, x.asked_by, x.asked_at, x.approved_by, x.approved_at
       FROM extension x JOIN attempt a ON a.sitting_id = x.sitting_id WHERE a.exam_id = :exam_id ORDER BY x.id DESC LIMIT :n"""
)
_WAITING = Statement(
    """SELECT id FROM extension WHERE sitting_id = :sitting_id AND kind = :kind AND minutes = :minutes AND approved_by IS NULL
       ORDER BY id LIMIT 1"""
)
_ADOPT = Statement("UPDATE extension SET asked_by = :by WHERE id = :id AND asked_by = :before AND approved_by IS NULL")
_APPROVE = Statement("UPDATE extension SET approved_by = :by, approved_at = :at WHERE id = :id AND approved_by IS NULL")


@dataclass(frozen=True, slots=True)
class ExtraTimeRequest:
    """Extra time or a reopening as asked for, and who approved it when."""

    id: int
    sitting_id: int
    kind: str
    minutes: int
    reason: str
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    approved_at: datetime | None


def _request(row: Any) -> ExtraTimeRequest:
    ident, sitting_id, kind, minutes, reason, by, at, approver, approved_at = row
    when = None if approved_at is None else moment(approved_at)
    return ExtraTimeRequest(ident, sitting_id, kind, minutes, reason, by, moment(at), approver, when)


def add_request(session: Session, sitting_id: int, kind: str, minutes: int, reason: str, by: str, at: datetime) -> int:
    return int(_ASK.one(session, sitting_id=sitting_id, kind=kind, minutes=minutes, reason=reason, by=by, at=stamp(at))[0])


def get_request(session: Session, extension_id: int) -> ExtraTimeRequest | None:
    row = _ASKED.one(session, id=extension_id)
    return None if row is None else _request(row)


def requests_of_exam(session: Session, exam_id: int, n: int = 20) -> list[ExtraTimeRequest]:
    """What was asked for in an exam, newest first."""
    return [_request(row) for row in _ASKED_OF.all(session, exam_id=exam_id, n=n)]


def pending_request(session: Session, sitting_id: int, kind: str, minutes: int) -> int | None:
    """The same request, made before and not approved."""
    row = _WAITING.one(session, sitting_id=sitting_id, kind=kind, minutes=minutes)
    return None if row is None else int(row[0])


def adopt(session: Session, request: ExtraTimeRequest, by: str) -> bool:
    """Put a name to a request that nobody had put theirs to; true for the one call that did."""
    return _ADOPT.run(session, id=request.id, before=request.asked_by, by=by) == 1


def approve(session: Session, extension_id: int, by: str, at: datetime) -> bool:
    return _APPROVE.run(session, id=extension_id, by=by, at=stamp(at)) == 1


def extend_deadline(session: Session, sitting_id: int, deadline: datetime) -> bool:
    """True when the attempt was still open."""
    return _LENGTHEN.run(session, id=sitting_id, deadline=stamp(deadline)) == 1


def reopen_attempt(session: Session, attempt: Attempt, deadline: datetime, next_place: int, at: datetime) -> bool:
    """A closed attempt goes on, with its answers; its exam counts as published again."""
    if _REOPEN.run(session, id=attempt.sitting_id, deadline=stamp(deadline)) == 0:
        return False
    _REOPEN_SITTING.run(session, id=attempt.sitting_id, next=next_place)
    _REOPEN_EXAM.run(session, id=attempt.exam_id, at=stamp(at))
    return True
