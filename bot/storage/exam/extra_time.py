"""Rows of requests for extra time or reopening, and what an approval changes (bot/docs/rules.md S14)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlmodel import Session

from bot.domain.exam.exam import Attempt
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.exam import AttemptRow, ExamRow, ExtensionRow
from bot.storage.tables.study import SittingRow

_EXTENSION, _ATTEMPT, _SITTING, _EXAM = table(ExtensionRow), table(AttemptRow), table(SittingRow), table(ExamRow)


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


_SELECT = select(*columns(_EXTENSION, ExtraTimeRequest))
_ADD = Query(
    insert(_EXTENSION).values(binds("sitting_id", "kind", "minutes", "reason", "asked_by", "asked_at")).returning(_EXTENSION.c.id), gives=int
)
_GET = Query(_SELECT.where(_EXTENSION.c.id == bind("id")), gives=ExtraTimeRequest)
_OF_EXAM = Query(
    _SELECT.join_from(_EXTENSION, _ATTEMPT, _ATTEMPT.c.sitting_id == _EXTENSION.c.sitting_id)
    .where(_ATTEMPT.c.exam_id == bind("exam_id"))
    .order_by(_EXTENSION.c.id.desc())
    .limit(bind("n")),
    gives=ExtraTimeRequest,
)
_PENDING = Query(
    select(_EXTENSION.c.id)
    .where(
        _EXTENSION.c.sitting_id == bind("sitting_id"),
        _EXTENSION.c.kind == bind("kind"),
        _EXTENSION.c.minutes == bind("minutes"),
        _EXTENSION.c.approved_by.is_(None),
    )
    .order_by(_EXTENSION.c.id)
    .limit(1),
    gives=int,
)
_APPROVE = Query(
    update(_EXTENSION)
    .where(_EXTENSION.c.id == bind("id"), _EXTENSION.c.approved_by.is_(None))
    .values(approved_by=bind("by"), approved_at=bind("now"))
)
_ADOPT = Query(
    update(_EXTENSION)
    .where(_EXTENSION.c.id == bind("id"), _EXTENSION.c.asked_by == bind("before"), _EXTENSION.c.approved_by.is_(None))
    .values(asked_by=bind("by"))
)
_THIS_ATTEMPT = update(_ATTEMPT).where(_ATTEMPT.c.sitting_id == bind("id"))
_EXTEND = Query(_THIS_ATTEMPT.where(_ATTEMPT.c.state == "open").values(deadline=bind("deadline")))
_REOPEN = Query(
    _THIS_ATTEMPT.where(_ATTEMPT.c.state == "closed").values(
        state="open", closed_at=None, closed_by=None, score=None, passed=None, told_at=None, deadline=bind("deadline")
    )
)
_REOPEN_SITTING = Query(update(_SITTING).where(_SITTING.c.id == bind("id")).values(state="open", closed_at=None, next=bind("place")))
_REOPEN_EXAM = Query(
    update(_EXAM).where(_EXAM.c.id == bind("id"), _EXAM.c.state == "closed").values(state="published", closed_at=None, changed_at=bind("now"))
)


def add_request(session: Session, sitting_id: int, kind: str, minutes: int, reason: str, by: str, at: datetime) -> int:
    return _ADD.one(session, sitting_id=sitting_id, kind=kind, minutes=minutes, reason=reason, asked_by=by, asked_at=at)


def get_request(session: Session, extension_id: int) -> ExtraTimeRequest | None:
    return _GET.first(session, id=extension_id)


def requests_of_exam(session: Session, exam_id: int, n: int = 20) -> list[ExtraTimeRequest]:
    """What was asked for in an exam, newest first."""
    return _OF_EXAM.all(session, exam_id=exam_id, n=n)


def pending_request(session: Session, sitting_id: int, kind: str, minutes: int) -> int | None:
    """The same request, made before and not approved."""
    return _PENDING.first(session, sitting_id=sitting_id, kind=kind, minutes=minutes)


def adopt(session: Session, request: ExtraTimeRequest, by: str) -> bool:
    """Put a name to a request that nobody had put theirs to; true for the one call that did."""
    return _ADOPT.run(session, id=request.id, before=request.asked_by, by=by) == 1


def approve(session: Session, extension_id: int, by: str, at: datetime) -> bool:
    return _APPROVE.run(session, id=extension_id, by=by, now=at) == 1


def extend_deadline(session: Session, sitting_id: int, deadline: datetime) -> bool:
    """True when the attempt was still open."""
    return _EXTEND.run(session, id=sitting_id, deadline=deadline) == 1


def reopen_attempt(session: Session, attempt: Attempt, deadline: datetime, next_place: int, at: datetime) -> bool:
    """A closed attempt goes on, with its answers; its exam counts as published again."""
    if _REOPEN.run(session, id=attempt.sitting_id, deadline=deadline) == 0:
        return False
    _REOPEN_SITTING.run(session, id=attempt.sitting_id, place=next_place)
    _REOPEN_EXAM.run(session, id=attempt.exam_id, now=at)
    return True
