"""Statements over the tables: what goes in and what comes back, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import pytest
from sqlalchemy import Engine, func, select, update
from sqlmodel import Session

from bot.storage.db.database import Database
from bot.storage.db.query import Query, bind, binds, insert, replacing, table
from bot.storage.study import current_task
from bot.storage.tables.columns import JsonType, stamp
from bot.storage.tables.people import PersonRow
from bot.storage.tables.study import ExamGoalRow
from tests.conftest import NOW

_goals, _people = table(ExamGoalRow), table(PersonRow)
DAY = date(2026, 5, 1)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a person aims at, with a field that no column fills."""

    minutes: int
    day: date | None
    note: str = "none"


@dataclass(frozen=True, slots=True)
class Named:
    id: int
    name: str


class NamePlace(NamedTuple):
    name: str
    tier: str


ADD_PERSON = Query(insert(_people).values(binds("staff_no", "name", "tier", "recorded_at")).returning(_people.c.id), gives=int)
SET_GOAL = Query(replacing(insert(_goals).values(binds("person_id", "day", "minutes") | {"target": 90}), ["person_id"], "minutes"))
GOAL = Query(select(_goals.c.day, _goals.c.minutes).where(_goals.c.person_id == bind("person_id")), gives=Goal)
BOTH = Query(
    select(_people.c.id, _people.c.name, _goals.c.minutes, _goals.c.day)
    .join_from(_people, _goals, _goals.c.person_id == _people.c.id, isouter=True)
    .order_by(_people.c.id),
    gives=(Named, Goal | None),
)
NAMES = Query(select(_people.c.name).where(_people.c.id.in_(bind("ids"))).order_by(_people.c.id), gives=str)
OTHERS = Query(select(_people.c.name).where(_people.c.id.not_in(bind("ids"))).order_by(_people.c.id), gives=str)
LATE = Query(select(func.max(_goals.c.day)).where(_goals.c.day > bind("day")), gives=date)


def run(engine: Engine, work: Callable[[Session], None]) -> None:
    Database(engine).write_now(work)


def _people_in(session: Session) -> list[int]:
    return [ADD_PERSON.one(session, staff_no=f"q{name}", name=name, tier="grassroots", recorded_at=NOW) for name in "甲乙丙"]


def test_rows_come_back_as_what_the_query_gives(engine: Engine) -> None:
    def work(session: Session) -> None:
        ids = _people_in(session)
        SET_GOAL.run(session, person_id=ids[0], day=DAY, minutes=5)
        assert GOAL.first(session, person_id=ids[0]) == Goal(5, DAY)
        assert GOAL.first(session, person_id=ids[1]) is None
        assert BOTH.all(session) == [(Named(ids[0], "甲"), Goal(5, DAY)), (Named(ids[1], "乙"), None), (Named(ids[2], "丙"), None)]
        assert list(BOTH.stream(session)) == BOTH.all(session)
        assert LATE.one(session, day=date(2026, 1, 1)) == DAY
        assert LATE.first(session, day=DAY) is None, "MAX of nothing"
        with pytest.raises(LookupError):
            GOAL.one(session, person_id=ids[1])

    run(engine, work)


def test_a_list_is_one_value(engine: Engine) -> None:
    def work(session: Session) -> None:
        ids = _people_in(session)
        assert NAMES.all(session, ids=[ids[0], ids[2]]) == ["甲", "丙"]
        assert NAMES.all(session, ids=[]) == []
        assert OTHERS.all(session, ids=ids[:2]) == ["丙"]

    run(engine, work)


def test_an_insert_takes_over_what_is_named_and_many_rows_go_at_once(engine: Engine) -> None:
    def work(session: Session) -> None:
        ids = _people_in(session)
        SET_GOAL.many(session, [{"person_id": person_id, "day": DAY, "minutes": 5} for person_id in ids])
        SET_GOAL.many(session, [])
        SET_GOAL.run(session, person_id=ids[0], day=None, minutes=7)
        assert GOAL.first(session, person_id=ids[0]) == Goal(7, DAY), "the day is not among what is replaced"
        longer = Query(update(_goals).values(minutes=_goals.c.minutes + bind("more")).where(_goals.c.minutes < 7))
        assert longer.run(session, more=1) == 2

    run(engine, work)


def test_named_tuples_and_constants() -> None:
    query = Query(select(_people.c.name, _people.c.tier).where(_people.c.tier == "it's", _people.c.left_on.is_(None)), gives=NamePlace)
    assert "= 'it''s'" in query.for_sqlite().text, "a constant is part of the text"
    make = query.for_sqlite().row
    assert make is not None
    assert make(("甲", "x")) == NamePlace("甲", "x")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(AttributeError):
        select(_people.c.nmae)
    with pytest.raises(TypeError, match="with \\['name'\\]"):
        Query(select(_people.c.name, _goals.c.minutes, _goals.c.day), gives=Goal).for_sqlite()
    with pytest.raises(TypeError, match="without \\['minutes'\\]"):
        Query(select(_goals.c.day), gives=Goal).for_sqlite()
    with pytest.raises(TypeError, match="do not make one"):
        Query(select(_people.c.id, _people.c.name), gives=int).for_sqlite()
    with pytest.raises(TypeError, match="default"):
        Query(insert(_people).values(binds("staff_no"))).for_postgres()
    with pytest.raises(TypeError, match="minutes"):
        SET_GOAL.for_sqlite().values(person_id=1, day=DAY)


def test_a_lock_vanishes_on_sqlite() -> None:
    query = Query(select(_people.c.id).where(_people.c.id == bind("id")).with_for_update(skip_locked=True), gives=int)
    assert "FOR UPDATE SKIP LOCKED" in query.for_postgres().text
    assert "FOR UPDATE" not in query.for_sqlite().text


def test_a_naive_moment_does_not_reach_a_row() -> None:
    with pytest.raises(ValueError, match="naive"):
        current_task._SET_FOCUS.for_sqlite().values(person_id=1, kind="sitting", ref=1, since=NOW.replace(tzinfo=None))
    assert current_task._SET_FOCUS.for_sqlite().values(person_id=1, kind="sitting", ref=1, since=NOW)[3] == stamp(NOW)


def test_a_value_that_cannot_be_changed_is_read_from_its_text_once() -> None:
    frozen, fresh = (JsonType(list, tuple, frozen=frozen) for frozen in (True, False))
    assert frozen.process_result_value("[1, 2]", None) is frozen.process_result_value("[1, 2]", None)
    assert frozen.process_result_value("[1, 3]", None) == (1, 3)
    assert fresh.process_result_value("[1, 2]", None) is not fresh.process_result_value("[1, 2]", None)
    assert frozen.process_result_value(None, None) is None
