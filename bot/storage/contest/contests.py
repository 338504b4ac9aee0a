"""The tables `contest` and `contest_item`: plans, states, row locks, fixed questions, and the frozen board of a closed contest."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.contest.contest import Contest, ContestPlan, rules_from_json, rules_json
from bot.domain.people import audience
from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_COLUMNS = "id, name, form, state, version, rules, source, audience, clause, opens_at, closes_at, created_by, closed_at, board"
_INSERT = Statement(
    """INSERT INTO contest (name, form, state, version, rules, source, audience, clause, opens_at, closes_at, created_by, created_at, changed_at,
                            board)
       VALUES (:name, :form, 'draft', 1, :rules, :source, :audience, :clause, :opens_at, :closes_at, :by, :at, :at, '') RETURNING id"""
)
_UPDATE = Statement(
    """UPDATE contest SET name = :name, form = :form, version = version + 1, rules = :rules, source = :source, audience = :audience, clause = :clause,
       opens_at = :opens_at, closes_at = :closes_at, changed_at = :at WHERE id = :id AND state = 'draft'"""
)
_GET = Statement(f"SELECT {_COLUMNS} FROM contest WHERE id = :id")  # noqa: S608
_LIST = Statement(f"SELECT {_COLUMNS} FROM contest ORDER BY id DESC")  # noqa: S608
_LOCK = Statement("SELECT id FROM contest WHERE id = :id FOR NO KEY UPDATE")
_LOCK_EXCLUSIVE = Statement("SELECT id FROM contest WHERE id = :id FOR UPDATE")
_END_EARLY = Statement(
    "UPDATE contest SET closes_at = :end, changed_at = :at WHERE id = :id AND state = 'open' AND opens_at < :end AND closes_at > :end"
)
_LOCK_SHARED = Statement("SELECT id FROM contest WHERE id = :id FOR KEY SHARE")
_OPEN = Statement("UPDATE contest SET state = 'open', changed_at = :at WHERE id = :id AND state = 'draft'")
_CANCEL = Statement("UPDATE contest SET state = 'cancelled', closed_at = :at, changed_at = :at WHERE id = :id AND state IN ('draft', 'open')")
_FREEZE = Statement(
    "UPDATE contest SET state = 'closed', closed_at = :at, changed_at = :at, board = :board WHERE id = :id AND state IN ('open', 'closed')"
)
_DUE = Statement("SELECT id FROM contest WHERE state = 'open' AND form = 'windowed' AND closes_at <= :before ORDER BY closes_at, id")
_INSERT_ITEM = Statement(
    "INSERT INTO contest_item (contest_id, n, question, version_id, points, part) VALUES (:contest_id, :n, :question, :version_id, :points, :part)"
)
_ITEMS = Statement("SELECT n, question, version_id, points, part FROM contest_item WHERE contest_id = :contest_id ORDER BY n")


@dataclass(frozen=True, slots=True)
class ContestItem:
    """A fixed question; `points` in thousandths, `part` the round it belongs to."""

    n: int
    question: str
    version_id: int
    points: int = 1000
    part: str = ""


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _stamp_or_none(moment_: datetime | None) -> str | None:
    return None if moment_ is None else stamp(moment_)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


def _plan_values(plan: ContestPlan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "form": plan.form,
        "rules": _json_text(rules_json(plan.rules)),
        "source": _json_text({"names": list(plan.names)}),
        "audience": _json_text(audience.audience_json(plan.audience)),
        "clause": plan.clause,
        "opens_at": _stamp_or_none(plan.opens_at),
        "closes_at": _stamp_or_none(plan.closes_at),
    }


def _contest_of_row(row: Any) -> Contest:
    plan = ContestPlan(
        name=row[1],
        form=row[2],
        rules=rules_from_json(json.loads(row[5])),
        names=tuple(json.loads(row[6]).get("names", ())),
        audience=audience.audience_from_json(json.loads(row[7])),
        clause=row[8],
        opens_at=_moment_or_none(row[9]),
        closes_at=_moment_or_none(row[10]),
    )
    return Contest(row[0], plan, row[3], row[4], row[11], _moment_or_none(row[12]), json.loads(row[13]) if row[13] else {})


# ── Contests ──


def add(session: Session, plan: ContestPlan, by: str, at: datetime) -> int:
    """Store a draft; returns its id."""
    return int(_INSERT.one(session, **_plan_values(plan), by=by, at=stamp(at))[0])


def update_draft(session: Session, contest_id: int, plan: ContestPlan, at: datetime) -> bool:
    """The next version of a draft; False for what is no draft any more."""
    return _UPDATE.run(session, **_plan_values(plan), id=contest_id, at=stamp(at)) == 1


def get(session: Session, contest_id: int) -> Contest | None:
    row = _GET.one(session, id=contest_id)
    return None if row is None else _contest_of_row(row)


def lock(session: Session, contest_id: int) -> Contest | None:
    """A contest whose row is locked against other changes until this transaction ends; answers can still be written."""
    if not _is_sqlite(session):
        _LOCK.one(session, id=contest_id)
    return get(session, contest_id)


def lock_exclusive(session: Session, contest_id: int) -> Contest | None:
    """A contest that is locked against changes and new answers until this transaction ends: for freezing its board."""
    if not _is_sqlite(session):
        _LOCK_EXCLUSIVE.one(session, id=contest_id)
    return get(session, contest_id)


def end_early(session: Session, contest_id: int, end: datetime, at: datetime) -> bool:
    """Bring the end of an open window forward; answers that arrive from then on do not count."""
    return _END_EARLY.run(session, id=contest_id, end=stamp(end), at=stamp(at)) == 1


def lock_shared(session: Session, contest_id: int) -> Contest | None:
    """A contest that cannot be closed before this transaction ends, so that what is written now is on its board."""
    if not _is_sqlite(session):
        _LOCK_SHARED.one(session, id=contest_id)
    return get(session, contest_id)


def list_all(session: Session) -> list[Contest]:
    """All contests, newest first."""
    return [_contest_of_row(row) for row in _LIST.all(session)]


def open_draft(session: Session, contest_id: int, at: datetime) -> bool:
    """True for the one caller that opened it."""
    return _OPEN.run(session, id=contest_id, at=stamp(at)) == 1


def cancel(session: Session, contest_id: int, at: datetime) -> bool:
    return _CANCEL.run(session, id=contest_id, at=stamp(at)) == 1


def freeze(session: Session, contest_id: int, board: dict[str, Any], at: datetime) -> bool:
    """Close it with its board; a closed one is given its board anew (a key was corrected)."""
    return _FREEZE.run(session, id=contest_id, board=_json_text(board), at=stamp(at)) == 1


def due_to_close(session: Session, before: datetime) -> list[int]:
    """Windowed contests whose end lies at or before a moment and that are still open."""
    return [row[0] for row in _DUE.all(session, before=stamp(before))]


def add_items(session: Session, contest_id: int, items: Iterable[ContestItem]) -> None:
    """The fixed questions, in their order."""
    for item in items:
        _INSERT_ITEM.run(
            session, contest_id=contest_id, n=item.n, question=item.question, version_id=item.version_id, points=item.points, part=item.part
        )


def list_items(session: Session, contest_id: int) -> list[ContestItem]:
    return [ContestItem(*row) for row in _ITEMS.all(session, contest_id=contest_id)]
