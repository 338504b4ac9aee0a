"""The tables `contest` and `contest_item`: plans, states, row locks, fixed questions, and the frozen board of a closed contest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import starmap
from typing import Any

from sqlalchemy import select, type_coerce, update
from sqlmodel import Session

from bot.domain.contest.contest import Contest, ContestPlan, rules_from_json, rules_json
from bot.domain.people import audience
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.columns import JsonType
from bot.storage.tables.contest import ContestItemRow, ContestRow

_contests, _items = table(ContestRow), table(ContestItemRow)


@dataclass(frozen=True, slots=True)
class ContestItem:
    """A fixed question; `points` in thousandths, `part` the round it belongs to."""

    n: int
    question: str
    version_id: int
    points: int = 1000
    part: str = ""


@dataclass(frozen=True, slots=True)
class _ContestState:
    """What a row says beside the plan."""

    id: int
    state: str
    version: int
    created_by: str
    closed_at: datetime | None
    board: Mapping[str, Any]


def _names_json(names: tuple[str, ...]) -> dict[str, Any]:
    return {"names": list(names)}


def _names_from_json(source: dict[str, Any]) -> tuple[str, ...]:
    return tuple(source.get("names", ()))


class _BoardType(JsonType):
    """A board as JSON; before there is one the row's text is empty."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(dict, dict)

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        return super().process_result_value(value, dialect) if value else {}


_RULES, _NAMES, _AUDIENCE, _BOARD = (
    JsonType(rules_json, rules_from_json, frozen=True),
    JsonType(_names_json, _names_from_json, frozen=True),
    JsonType(audience.audience_json, audience.audience_from_json, frozen=True),
    _BoardType(),
)
_SELECT = select(
    *columns(
        _contests,
        ContestPlan,
        rules=type_coerce(_contests.c.rules, _RULES),
        names=type_coerce(_contests.c.source, _NAMES),
        audience=type_coerce(_contests.c.audience, _AUDIENCE),
    ),
    *columns(_contests, _ContestState, board=type_coerce(_contests.c.board, _BOARD)),
)
_GIVES = (ContestPlan, _ContestState)
_THIS = _contests.c.id == bind("id")
_PLAN = binds("name", "form", "clause", "opens_at", "closes_at") | {
    "rules": bind("rules", _RULES),
    "source": bind("names", _NAMES),
    "audience": bind("audience", _AUDIENCE),
}
_ADD = Query(
    insert(_contests)
    .values(
        _PLAN | {"state": "draft", "version": 1, "created_by": bind("by"), "created_at": bind("now"), "changed_at": bind("now"), "board": ""},
    )
    .returning(_contests.c.id),
    gives=int,
)
_UPDATE = Query(
    update(_contests).where(_THIS, _contests.c.state == "draft").values(_PLAN | {"version": _contests.c.version + 1, "changed_at": bind("now")})
)
_GET = Query(_SELECT.where(_THIS), gives=_GIVES)
_LIST = Query(_SELECT.order_by(_contests.c.id.desc()), gives=_GIVES)
_LOCK = Query(_SELECT.where(_THIS).with_for_update(key_share=True), gives=_GIVES)
_LOCK_EXCLUSIVE = Query(_SELECT.where(_THIS).with_for_update(), gives=_GIVES)
_LOCK_SHARED = Query(_SELECT.where(_THIS).with_for_update(read=True, key_share=True), gives=_GIVES)
_CHANGE = update(_contests).where(_THIS)
_END_EARLY = Query(
    _CHANGE.where(_contests.c.state == "open", _contests.c.opens_at < bind("now"), _contests.c.closes_at > bind("now")).values(
        closes_at=bind("now"), changed_at=bind("now")
    )
)
_OPEN = Query(_CHANGE.where(_contests.c.state == "draft").values(state="open", changed_at=bind("now")))
_CANCEL = Query(_CHANGE.where(_contests.c.state.in_(["draft", "open"])).values(state="cancelled", closed_at=bind("now"), changed_at=bind("now")))
_FREEZE = Query(
    _CHANGE.where(_contests.c.state.in_(["open", "closed"])).values(
        state="closed", closed_at=bind("now"), changed_at=bind("now"), board=bind("board", _BOARD)
    )
)
_DUE = Query(
    select(_contests.c.id)
    .where(_contests.c.state == "open", _contests.c.form == "windowed", _contests.c.closes_at <= bind("before"))
    .order_by(_contests.c.closes_at, _contests.c.id),
    gives=int,
)
_ADD_ITEM = Query(insert(_items).values(binds("contest_id", "n", "question", "version_id", "points", "part")))
_ITEMS = Query(select(*columns(_items, ContestItem)).where(_items.c.contest_id == bind("contest_id")).order_by(_items.c.n), gives=ContestItem)


def _plan_values(plan: ContestPlan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in ("name", "form", "rules", "names", "audience", "opens_at", "closes_at", "clause")}


def _contest(plan: ContestPlan, state: _ContestState) -> Contest:
    return Contest(state.id, plan, state.state, state.version, state.created_by, state.closed_at, state.board)


def _first(session: Session, query: Query[tuple[ContestPlan, _ContestState]], contest_id: int) -> Contest | None:
    row = query.first(session, id=contest_id)
    return None if row is None else _contest(*row)


def add(session: Session, plan: ContestPlan, by: str, at: datetime) -> int:
    """Store a draft; returns its id."""
    return _ADD.one(session, **_plan_values(plan), by=by, now=at)


def update_draft(session: Session, contest_id: int, plan: ContestPlan, at: datetime) -> bool:
    """The next version of a draft; False for what is no draft any more."""
    return _UPDATE.run(session, **_plan_values(plan), id=contest_id, now=at) == 1


def get(session: Session, contest_id: int) -> Contest | None:
    return _first(session, _GET, contest_id)


def lock(session: Session, contest_id: int) -> Contest | None:
    """A contest whose row is locked against other changes until this transaction ends; answers can still be written."""
    return _first(session, _LOCK, contest_id)


def lock_exclusive(session: Session, contest_id: int) -> Contest | None:
    """A contest that is locked against changes and new answers until this transaction ends: for freezing its board."""
    return _first(session, _LOCK_EXCLUSIVE, contest_id)


def lock_shared(session: Session, contest_id: int) -> Contest | None:
    """A contest that cannot be closed before this transaction ends, so that what is written now is on its board."""
    return _first(session, _LOCK_SHARED, contest_id)


def list_all(session: Session) -> list[Contest]:
    """All contests, newest first."""
    return list(starmap(_contest, _LIST.all(session)))


def end_early(session: Session, contest_id: int, at: datetime) -> bool:
    """End an open window now; answers that arrive from then on do not count."""
    return _END_EARLY.run(session, id=contest_id, now=at) == 1


def open_draft(session: Session, contest_id: int, at: datetime) -> bool:
    """True for the one caller that opened it."""
    return _OPEN.run(session, id=contest_id, now=at) == 1


def cancel(session: Session, contest_id: int, at: datetime) -> bool:
    return _CANCEL.run(session, id=contest_id, now=at) == 1


def freeze(session: Session, contest_id: int, board: dict[str, Any], at: datetime) -> bool:
    """Close it with its board; a closed one is given its board anew (a key was corrected)."""
    return _FREEZE.run(session, id=contest_id, board=board, now=at) == 1


def due_to_close(session: Session, before: datetime) -> list[int]:
    """Windowed contests whose end lies at or before a moment and that are still open."""
    return _DUE.all(session, before=before)


def add_items(session: Session, contest_id: int, items: Iterable[ContestItem]) -> None:
    """The fixed questions, in their order."""
    _ADD_ITEM.many(session, [{"contest_id": contest_id, **asdict(item)} for item in items])


def list_items(session: Session, contest_id: int) -> list[ContestItem]:
    return _ITEMS.all(session, contest_id=contest_id)
