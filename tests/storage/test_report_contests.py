"""The report on contests: who took part, unit by unit, fair to small ones, with nobody's name in it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.contest.leaderboard import ContestResult
from bot.domain.message import Refusal
from bot.domain.people.audience import All, Audience, UnitIs
from bot.domain.reports import Scope
from bot.storage.contest import contests, players
from bot.storage.people import audience as people_audience
from tests.support.agency import TODAY, Agency, noon


@pytest.fixture
def agency(engine: Engine) -> Agency:
    """Two units, of six and of two; all of the first played."""
    made = Agency(engine)
    for n in range(6):
        made.person(f"10{n}", ["局/甲处"])
    for n in range(2):
        made.person(f"20{n}", ["局/乙处"])
    return made


def held(agency: Agency, staff_nos: list[str], audience: Audience | None = None) -> int:
    """A contest in which some have eight points each."""
    at = noon(TODAY) - timedelta(days=2)
    plan = ContestPlan("宪法周竞赛", "windowed", ContestRules(), ("宪法",), audience or All(), at - timedelta(days=3), at)

    def work(session: Session) -> int:
        number = contests.add(session, plan, "9001", at)
        contests.open_draft(session, number, at)
        for staff_no in staff_nos:
            person = people_audience.find_person_id(session, staff_no)
            assert person is not None
            players.join(session, number, person, None, 0, at)
            players.set_result(session, number, person, ContestResult(8000, 0, 1, at))
        return number

    return agency.database.write_now(work)


def test_every_contest_of_the_year_shows_how_many_of_those_who_were_meant_took_part(agency: Agency) -> None:
    number = held(agency, ["100", "101", "200"])
    (part,) = agency.look("竞赛").parts
    assert [(row[0], row[5], row[6], str(row[7])) for row in part.rows] == [(number, 8, 3, "37.5")]


def test_units_are_compared_by_the_mean_over_all_of_them_and_small_ones_keep_their_score(agency: Agency) -> None:
    number = held(agency, ["100", "101", "102", "200"])
    table = agency.look("竞赛", str(number))
    assert [(row[0], row[1], row[2], row[4], row[5]) for row in table.parts[0].rows] == [
        ("局/乙处", 2, 1, "", ""),
        ("局/甲处", 6, 3, "4.00", "第一档"),
        ("合计", 8, 4, "4.00", ""),
    ]
    assert "员100" not in str(table)


def test_who_was_not_meant_is_not_counted(agency: Agency) -> None:
    number = held(agency, ["100"], UnitIs("局/甲处"))
    rows = agency.look("竞赛", str(number)).parts[0].rows
    assert [(row[0], row[1], row[2]) for row in rows] == [("局/甲处", 6, 1), ("合计", 6, 1)]


def test_a_supervisor_of_another_unit_sees_nothing_of_it(agency: Agency) -> None:
    number = held(agency, ["100"], UnitIs("局/甲处"))
    other = Scope((agency.unit("局/乙处"),))
    assert list(agency.look("竞赛", scope=other).parts[0].rows) == []
    with pytest.raises(Refusal, match="与您的单位无关"):
        agency.look("竞赛", str(number), scope=other)
    with pytest.raises(Refusal, match="没有编号为「七一」"):
        agency.look("竞赛", "七一")
