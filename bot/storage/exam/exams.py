"""Rows of exams and the export of their attempts.

Each change of state is one conditional UPDATE that returns True to the one call that made it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Text, exists, func, literal, select, type_coerce, update
from sqlmodel import Session

from bot.domain.exam import blueprint
from bot.domain.exam.exam import Exam, gate_from_json, gate_json
from bot.domain.people import audience
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.columns import JsonType
from bot.storage.tables.exam import AttemptRow, ExamRow
from bot.storage.tables.people import PersonRow, PostRow, UnitRow
from bot.storage.tables.study import AnswerRow

_EXAM, _ATTEMPT, _PERSON, _POST, _UNIT, _ANSWER = (table(row) for row in (ExamRow, AttemptRow, PersonRow, PostRow, UnitRow, AnswerRow))
_JSON = {
    "blueprint": JsonType(blueprint.blueprint_json, blueprint.blueprint_from_json),
    "audience": JsonType(audience.audience_json, audience.audience_from_json),
    "gate": JsonType(gate_json, gate_from_json),
}
_SELECT = select(*columns(_EXAM, Exam, **{name: type_coerce(_EXAM.c[name], kind) for name, kind in _JSON.items()}))
_THIS = _EXAM.c.id == bind("id")
_GIVEN = (
    "name", "opens_at", "closes_at", "minutes", "late_minutes", "attempts", "pass_line", "total", "results", "grace_seconds", "makeup_of", "cap",
    "clause",
)  # fmt: skip
_ADD = Query(
    insert(_EXAM)
    .values(
        binds(*_GIVEN, "created_by")
        | {name: bind(name, kind) for name, kind in _JSON.items()}
        | {"state": "draft", "created_at": bind("now"), "changed_at": bind("now")}
    )
    .returning(_EXAM.c.id),
    gives=int,
)
_GET = Query(_SELECT.where(_THIS), gives=Exam)
_LOCK = Query(_SELECT.where(_THIS).with_for_update(), gives=Exam)
_ALL = Query(_SELECT.order_by(_EXAM.c.id.desc()), gives=Exam)
_PUBLISHED = Query(_SELECT.where(_EXAM.c.state == "published", _EXAM.c.opens_at <= bind("until")).order_by(_EXAM.c.closes_at, _EXAM.c.id), gives=Exam)
_IS_PUBLISHED = Query(select(literal(1)).where(_THIS, _EXAM.c.state == "published"), gives=int)
_OF_PERSON = Query(
    _SELECT.where(_EXAM.c.id.in_(select(_ATTEMPT.c.exam_id).where(_ATTEMPT.c.person_id == bind("person_id")))).order_by(
        _EXAM.c.closes_at.desc(), _EXAM.c.id.desc()
    ),
    gives=Exam,
)
_MAKEUP = Query(select(_EXAM.c.id).where(_EXAM.c.makeup_of == bind("id"), _EXAM.c.state != "cancelled"), gives=int)
_MOVE = update(_EXAM).where(_THIS)
_PUBLISH = Query(_MOVE.where(_EXAM.c.state == "draft").values(state="published", campaign_id=bind("campaign_id"), changed_at=bind("now")))
_CANCEL = Query(_MOVE.where(_EXAM.c.state.in_(("draft", "published"))).values(state="cancelled", changed_at=bind("now")))
_CLOSE = Query(_MOVE.where(_EXAM.c.state == "published").values(state="closed", closed_at=bind("now"), changed_at=bind("now")))
_RELEASE = Query(_MOVE.where(_EXAM.c.state == "closed").values(state="released", released_at=bind("now"), changed_at=bind("now")))
_FREEZE = Query(_MOVE.values(frozen_at=bind("frozen_at")))
_ENDED = Query(
    select(_EXAM.c.id)
    .where(
        _EXAM.c.state == "published",
        _EXAM.c.closes_at <= bind("until"),
        ~exists(select(_ATTEMPT.c.sitting_id).where(_ATTEMPT.c.exam_id == _EXAM.c.id, _ATTEMPT.c.state == "open")),
    )
    .order_by(_EXAM.c.id),
    gives=int,
)


def add(session: Session, exam: Exam, by: str, at: datetime) -> int:
    """Insert a draft with the values of `exam` (id and state are ignored); returns the new id."""
    return _ADD.one(session, created_by=by, now=at, **{name: getattr(exam, name) for name in (*_GIVEN, *_JSON)})


def get(session: Session, exam_id: int) -> Exam | None:
    return _GET.first(session, id=exam_id)


def lock(session: Session, exam_id: int) -> Exam | None:
    """An exam whose row stays locked until this transaction ends; None when there is none."""
    return _LOCK.first(session, id=exam_id)


def list_all(session: Session) -> list[Exam]:
    """All exams, newest first."""
    return _ALL.all(session)


def list_published(session: Session, until: datetime) -> list[Exam]:
    """Published exams that open by a moment, the one that closes first in front."""
    return _PUBLISHED.all(session, until=until)


def is_published(session: Session, exam_id: int) -> bool:
    return _IS_PUBLISHED.first(session, id=exam_id) is not None


def sat_by(session: Session, person_id: int) -> list[Exam]:
    """The exams that somebody has an attempt at, newest first."""
    return _OF_PERSON.all(session, person_id=person_id)


def makeup_id(session: Session, exam_id: int) -> int | None:
    """The id of an exam's make-up that was not cancelled; None when there is none."""
    return _MAKEUP.first(session, id=exam_id)


def publish(session: Session, exam_id: int, campaign_id: int | None, at: datetime) -> bool:
    """True for the one call that published it; so of the others below."""
    return _PUBLISH.run(session, id=exam_id, campaign_id=campaign_id, now=at) == 1


def cancel(session: Session, exam_id: int, at: datetime) -> bool:
    return _CANCEL.run(session, id=exam_id, now=at) == 1


def close(session: Session, exam_id: int, at: datetime) -> bool:
    return _CLOSE.run(session, id=exam_id, now=at) == 1


def release(session: Session, exam_id: int, at: datetime) -> bool:
    return _RELEASE.run(session, id=exam_id, now=at) == 1


def set_frozen(session: Session, exam_id: int, at: datetime | None) -> None:
    """Hold results back from a moment on, or (None) let them be told again."""
    _FREEZE.run(session, id=exam_id, frozen_at=at)


def list_ended(session: Session, until: datetime) -> list[int]:
    """Ids of published exams whose window is over and that have no open attempt."""
    return _ENDED.all(session, until=until)


_UNIT_THEN = (
    select(func.min(_UNIT.c.path))
    .join_from(_POST, _UNIT, _UNIT.c.id == _POST.c.unit_id)
    .where(
        _POST.c.person_id == _PERSON.c.id,
        _POST.c.until.is_(None) | (type_coerce(_POST.c.until, Text()) >= func.substr(type_coerce(_ATTEMPT.c.started_at, Text()), 1, 10)),
    )
    .scalar_subquery()
)
_EXPORT = Query(
    select(
        _PERSON.c.staff_no,
        _PERSON.c.name,
        func.coalesce(_UNIT_THEN, "").label("unit"),
        _ATTEMPT.c.n.label("attempt"),
        _ATTEMPT.c.sitting_id.label("session"),
        *(type_coerce(_ATTEMPT.c[name], Text()).label(name) for name in ("started_at", "deadline")),
        _ATTEMPT.c.state,
        type_coerce(_ATTEMPT.c.closed_at, Text()).label("closed_at"),
        _ATTEMPT.c.closed_by,
        _ATTEMPT.c.score,
        _ATTEMPT.c.passed,
        _ATTEMPT.c.difficulty,
        select(func.count()).select_from(_ANSWER).where(_ANSWER.c.sitting_id == _ATTEMPT.c.sitting_id).scalar_subquery().label("answered"),
    )
    .join_from(_ATTEMPT, _PERSON, _PERSON.c.id == _ATTEMPT.c.person_id)
    .where(_ATTEMPT.c.exam_id == bind("exam_id"))
    .order_by(_ATTEMPT.c.sitting_id),
    gives=dict,
)


def export_attempts(session: Session, exam_id: int) -> list[dict[str, Any]]:
    """Every attempt in the order in which they began; score in points, difficulty from 0 to 1, moments as rows have them."""
    exported = _EXPORT.all(session, exam_id=exam_id)
    for attempt in exported:
        attempt["score"] = None if attempt["score"] is None else attempt["score"] / 1000
        attempt["difficulty"] /= 1000
    return exported
