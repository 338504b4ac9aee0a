"""The forecast on rows: the report for those in charge, the line for oneself, and the error it had on the made-up bureau's last year."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from bot.app.build import load_catalog
from bot.dispatch import Dispatcher
from bot.domain.calendar import UnknownYear
from bot.domain.hours.forecast import CatchUpPlan
from bot.domain.message import Refusal
from bot.domain.reports import ReportQuery, Scope, Table
from bot.services.demo import seed
from bot.services.hours import credit
from bot.services.library.catalog import Catalog
from bot.storage.db.database import Database
from bot.storage.db.engine import ping
from bot.storage.files.loader import data_root
from bot.storage.hours import ledger
from bot.storage.people import leave
from bot.storage.reports.registry import REPORTS
from tests.conftest import Chat, Clock, enroll
from tests.support.agency import POLICY, TODAY, Agency

LATE = datetime(2026, 11, 20, 4, tzinfo=UTC)


@pytest.fixture
def agency(engine: Engine) -> Agency:
    return Agency(engine)


def steady(agency: Agency, person: int, hours: float, year: int = 2026, until: str = "11-20", category: str = "online") -> None:
    """So many hours in the middle of each week of a year."""
    day = date(year, 1, 7)
    while day.isoformat() <= f"{year}-{until}":
        agency.earn(person, hours, day.isoformat(), category)
        day += timedelta(7)


def test_the_report_names_who_will_miss_and_what_would_do(agency: Agency) -> None:
    for staff_no, hours in (("1", 1), ("2", 0.5), ("3", 0.75)):
        steady(agency, agency.person(staff_no, ["局/一处"]), hours)
    agency.person("4", ["局/二处"], tier="")
    agency.person("5", ["局/二处"])

    found = agency.look("预警")

    listed = {row[0]: row for row in found.parts[0].rows}
    assert list(listed) == ["2", "3", "5"]
    _, _, unit, _, total, need, expected, margin, chance, short, minutes, day = listed["2"]
    assert (unit, total, need, expected, chance, short) == ("局/一处", Decimal(23), Decimal(40), Decimal(26), "很可能", 0)
    assert isinstance(margin, Decimal)
    assert margin < 2
    # 17 学时 are 765 minutes; 29 working days are left after the 20th of November.
    assert (minutes, day) == (27, "2026-12-31")
    assert listed["5"][10] is not None
    assert "4 人中，按今年的进度 3 人年底不能达标（很可能 3 人）" in found.notes[0]
    assert "误差未知" in found.notes[1]


def test_the_error_is_that_of_last_year_from_the_same_day(agency: Agency) -> None:
    person = agency.person("1", ["局/一处"])
    steady(agency, person, 1, 2025, "12-31")
    slacker = agency.person("2", ["局/一处"])
    steady(agency, slacker, 1, 2025, "11-20")

    note = agency.look("预警").notes[1]

    found = re.search(r"从 2025-11-20 推算上年年底，2 人平均绝对误差 ([\d.]+) 学时，达标与否判对 100.0%", note)
    assert found is not None, note
    assert Decimal("2") < Decimal(found[1]) < Decimal("4")


def test_what_is_recorded_later_is_not_known_earlier(agency: Agency) -> None:
    person = agency.person("1", ["局/一处"])
    steady(agency, person, 0.5, until="06-30")
    then = agency.look("预警", as_of="2026-06-30").parts[0].rows
    agency.earn(person, 30, "2026-06-01", recorded="2026-09-01")

    assert agency.look("预警", as_of="2026-06-30").parts[0].rows == then
    assert agency.look("预警").parts[0].rows == []


def test_a_supervisor_sees_the_own_units_and_the_error_of_all(agency: Agency) -> None:
    agency.person("1", ["局/一处"])
    steady(agency, agency.person("2", ["局/二处"]), 1, 2025, "12-31")
    mine = Scope((agency.unit("局/一处"),))

    found = agency.look("预警", scope=mine)

    assert [row[0] for row in found.parts[0].rows] == ["1"]
    assert "1 人平均绝对误差" in found.notes[1]
    with pytest.raises(Refusal, match="没有这个单位"):
        agency.look("预警", "局/二处", scope=mine)


def test_a_year_that_is_over_or_unknown_is_not_foretold(agency: Agency) -> None:
    with pytest.raises(Refusal, match="已经结束"):
        agency.look("预警", year=2025)
    ask = ReportQuery(2026, TODAY, TODAY, POLICY)
    with pytest.raises(UnknownYear):
        agency.database.read_now(lambda session: REPORTS["预警"].run(session, Scope(), ask))


# ── The made-up bureau ──


@pytest.mark.parametrize(("day", "error", "hits"), [(date(2026, 6, 30), 4, 75), (date(2026, 9, 30), 3, 85), (date(2026, 11, 20), 2, 90)])
def test_the_error_on_the_bureaus_last_year_is_stated_and_small(sqlite_engine: Engine, day: date, error: float, hits: float) -> None:
    database = Database(sqlite_engine)
    catalog = load_catalog(database, data_root(), LATE, 400, seed.seed)

    def look(session: Session) -> Table:
        ping(session)
        return REPORTS["预警"].run(session, Scope(), ReportQuery(2026, day, LATE.date(), catalog.policy, "", catalog.library)).in_memory()

    note = database.read_now(look).notes[1]

    found = re.search(r"(\d+) 人平均绝对误差 ([\d.]+) 学时，达标与否判对 ([\d.]+)%，± 范围说中 ([\d.]+)%", note)
    assert found is not None, note
    assert int(found[1]) > 110
    assert float(found[2]) < error
    assert float(found[3]) > hits
    assert float(found[4]) > 80


# ── One's own line ──


def earn(dispatcher: Dispatcher, person: int, hours: float, day: date, category: str = "external") -> None:
    at = datetime.combine(day, LATE.timetz())
    source = ("lesson", f"x:{day}:{category}")
    dispatcher.database.write_now(lambda session: ledger.add(session, person, category, int(hours * 2700), day, source, ("D2", 1), at))


def look(dispatcher: Dispatcher, person: int, now: datetime = LATE) -> credit.PersonalOutlook | None:
    catalog: Catalog = dispatcher.catalog()
    return dispatcher.database.read_now(lambda session: credit.outlook_of(session, catalog, person, "公务员", now))


@pytest.fixture
def person(dispatcher: Dispatcher) -> int:
    return dispatcher.database.write_now(lambda session: enroll(session, "1001", "学员甲"))


async def test_my_hours_say_where_the_year_ends_and_the_smallest_plan(dispatcher: Dispatcher, clock: Clock, person: int) -> None:
    for n in range(1, 11):
        earn(dispatcher, person, 3.6, date(2026, n, 15))
    clock.now = LATE
    said = await Chat(dispatcher, clock, "1001").say("我的学时")

    line = next(line for line in said.splitlines() if "按今年的进度" in line)
    assert re.fullmatch(r"🔭 按今年的进度，年底预计 40.75 学时（±[\d.]+），(刚够，别松劲|能达标)。", line), line

    slow = dispatcher.database.write_now(lambda session: enroll(session, "1002", "学员乙"))
    for n in range(1, 11):
        earn(dispatcher, slow, 3.5, date(2026, n, 15))
    said = await Chat(dispatcher, clock, "1002").say("我的学时")
    line = next(line for line in said.splitlines() if "按今年的进度" in line)
    # 5 学时 are 225 minutes, a quarter more for two categories; 29 working days are left.
    assert re.fullmatch(r"🔭 .*年底预计 39.5 学时（±[\d.]+），差 0.5。每个工作日 9 分钟，12月29日达标。", line), line


def test_leave_ahead_leaves_fewer_days_for_the_plan(dispatcher: Dispatcher, person: int) -> None:
    earn(dispatcher, person, 39, date(2026, 5, 6))
    before = look(dispatcher, person)
    dispatcher.database.write_now(lambda session: leave.add(session, person, "leave", date(2026, 12, 1), date(2026, 12, 29), "x", LATE))
    after = look(dispatcher, person)
    assert before is not None
    assert after is not None
    assert before.plan == CatchUpPlan(3, date(2026, 12, 11))
    assert after.plan == CatchUpPlan(6, date(2026, 12, 31))


def test_a_plan_never_asks_for_more_than_is_left_to_learn(dispatcher: Dispatcher, person: int) -> None:
    found = look(dispatcher, person)
    assert found is not None
    assert found.outlook.missing * 2700 > found.left.lessons + found.left.items
    assert found.plan is None
    assert "光靠自学来不及了" in credit.outlook_sentence(found)


def test_nothing_is_said_too_early_after_the_goal_or_without_a_calendar(dispatcher: Dispatcher, person: int) -> None:
    assert look(dispatcher, person, datetime(2026, 1, 20, 4, tzinfo=UTC)) is None
    assert look(dispatcher, person, datetime(2027, 6, 20, 4, tzinfo=UTC)) is None
    earn(dispatcher, person, 41, date(2026, 5, 6))
    assert credit.outlook_sentence(look(dispatcher, person)) == ""
    assert credit.outlook_sentence(None) == ""
