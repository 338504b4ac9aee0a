"""Forecasts that are kept say what a computation from the ledger says, whatever happened since; chat and report say the same plan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.hours.policy import RuleVersion
from bot.domain.reports import ReportQuery, Scope, Table
from bot.jobs import schedule
from bot.services.hours.credit import outlook_of, report_query
from bot.services.library.catalog import Catalog
from bot.storage.db.database import Database
from bot.storage.hours import ledger
from bot.storage.people import leave
from bot.storage.reports import forecast
from bot.storage.reports.registry import REPORTS
from tests.conftest import enroll
from tests.support.agency import LIBRARY, PER_HOUR, POLICY, TODAY, Agency, noon

LATE = datetime(2026, 11, 20, 4, tzinfo=UTC)


class ForecastOffice:
    """Eight people in two offices with this year and the year before; the forecasts of all of them are kept."""

    def __init__(self, engine: Engine) -> None:
        self.agency = Agency(engine)
        self.people: list[int] = []
        self.entries: list[int] = []
        for n in range(8):
            self.people.append(self.agency.person(f"10{n}", ["局/一处" if n % 2 else "局/二处"], ("公务员", "事业人员", "领导干部", "")[n % 4]))
        self.agency.database.write_now(self._study)
        self.keep()

    def _study(self, session: Session) -> None:
        """Once a month, some more and some less; `entries` holds twenty a person, those of the year before first."""
        for n, person_id in enumerate(self.people):
            for day in (date(year, month, 10 + n) for year in (2025, 2026) for month in range(1, 11)):
                category, seconds = ("online", "practice", "collective")[day.month % 3], int((1 + n * (day.month % 4) / 2) * PER_HOUR)
                source = ("lesson", str(next(self.agency.sources)))
                entry_id = ledger.add(session, person_id, category, seconds, day, source, ("D2", 1), noon(day))
                assert entry_id is not None
                self.entries.append(entry_id)

    def keep(self, ask: ReportQuery | None = None) -> int:
        """What the job does, in one go; how many were made anew."""
        asked, database = ask or self.agency.ask(), self.agency.database
        basis, people, entry_id = database.read_now(lambda session: forecast.to_keep(session, asked))
        made = database.read_now(lambda session: forecast.make(session, asked, people))
        database.write_now(lambda session: forecast.keep(session, basis, made))
        database.write_now(lambda session: forecast.keep_run(session, basis, entry_id, LATE))
        return len(people)

    def made_anew(self) -> set[int]:
        """Whose forecast a look at today's report would make from the ledger."""

        def work(session: Session) -> set[int]:
            forecasts = forecast.Forecasts(session, self.agency.ask())
            forecasts.verdicts(Scope())
            forecasts.back_test()
            return set(forecasts.made)

        return self.agency.database.read_now(work)

    def computed(self, about: str = "") -> Table:
        """The report when nothing is kept."""
        self.agency.run("UPDATE forecast_run SET basis = 'none'")
        return self.agency.look("预警", about)

    def absent(self, person_id: int, since: str, until: str | None = None) -> None:
        last = None if until is None else date.fromisoformat(until)
        self.agency.database.write_now(lambda session: leave.add(session, person_id, "leave", date.fromisoformat(since), last, "9001", noon(TODAY)))


@pytest.fixture
def office(engine: Engine) -> ForecastOffice:
    return ForecastOffice(engine)


def move(office: ForecastOffice) -> None:
    office.agency.run("UPDATE post SET until = '2026-11-19' WHERE person_id = :id", id=office.people[0])
    unit_id = office.agency.unit("局/三处")
    office.agency.run("INSERT INTO post (person_id, unit_id, since) VALUES (:id, :unit, '2026-11-20')", id=office.people[0], unit=unit_id)


def earn_elsewhere(office: ForecastOffice) -> None:
    """An entry taken back and earned again on another day: the sum of the year is the same, its weeks are not."""
    office.agency.take_back(office.entries[19], "2026-11-20")
    office.agency.earn(office.people[0], 2, "2026-02-03", "practice", recorded="2026-11-20")
    office.agency.earn(office.people[0], 0, "2026-02-04", "practice", recorded="2026-11-20", seconds=1)


CHANGES: dict[str, tuple[Callable[[ForecastOffice], object], set[int]]] = {
    "an entry": (lambda office: office.agency.earn(office.people[1], 9, "2026-11-20"), {1}),
    "an entry of the year before": (lambda office: office.agency.earn(office.people[2], 9, "2025-12-20", recorded="2026-11-20"), {2}),
    "a reversal": (lambda office: office.agency.take_back(office.entries[15], "2026-11-20"), {0}),
    "earned on another day": (earn_elsewhere, {0}),
    "a move": (move, set()),
    "a leaver": (lambda office: office.agency.run("UPDATE person SET left_on = '2026-11-01' WHERE id = :id", id=office.people[3]), set()),
    "a joiner": (lambda office: office.people.append(office.agency.person("200", ["局/一处"])), {8}),
    "another tier": (lambda office: office.agency.run("UPDATE person SET tier = '领导干部' WHERE id = :id", id=office.people[3]), {3}),
    "another first day": (lambda office: office.agency.run("UPDATE person SET joined_on = '2026-06-01' WHERE id = :id", id=office.people[4]), {4}),
    "leave": (lambda office: office.absent(office.people[5], "2026-03-01", "2026-06-30"), {5}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_kept_equals_the_computation_and_only_what_changed_is_made_anew(office: ForecastOffice, change: str) -> None:
    assert office.made_anew() == set()
    act, places = CHANGES[change]
    act(office)
    changed = {office.people[place] for place in places}
    assert office.made_anew() == changed
    seen = office.agency.look("预警")
    unit_seen = office.agency.look("预警", "局/一处")
    assert office.keep() == len(changed)
    assert office.made_anew() == set()
    kept_again = office.agency.look("预警")
    assert seen == kept_again == office.computed()
    assert unit_seen == office.computed("局/一处")


def test_leave_that_was_taken_back_is_forgotten(office: ForecastOffice) -> None:
    office.absent(office.people[5], "2026-03-01")
    office.keep()
    office.agency.run("DELETE FROM absence")
    assert office.made_anew() == {office.people[5]}
    assert office.agency.look("预警") == office.computed()


def test_another_day_and_another_rule_take_nothing_that_was_kept(office: ForecastOffice) -> None:
    before = office.agency.look("预警", as_of="2026-10-31")
    assert office.agency.look("预警").parts != before.parts
    stricter = RuleVersion("D11", 2, date(2026, 11, 1), {"quota": {"公务员": "80"}, "collective": {}})
    asked = office.agency.ask()
    changed = ReportQuery(asked.year, asked.as_of, asked.today, type(POLICY)((*POLICY.versions, stricter)), library=LIBRARY)
    found = office.agency.database.read_now(lambda session: REPORTS["预警"].run(session, Scope(), changed).in_memory())
    assert {str(row[5]) for row in found.parts[0].rows} == {"80"}
    assert office.keep(changed) == 8
    assert office.agency.look("预警", as_of="2026-10-31") == before


async def test_the_job_keeps_what_does_not_hold_and_nothing_else(database: Database) -> None:
    catalog = Catalog(LIBRARY, POLICY, {})
    person = await database.write(lambda session: enroll(session, "1001", "学员甲"))
    await database.write(lambda session: enroll(session, "1002", "学员乙"))
    assert await schedule.run_forecasts(database, catalog, LATE) == 2
    assert await schedule.run_forecasts(database, catalog, LATE) == 0
    await database.write(lambda session: ledger.add(session, person, "online", 2700, TODAY, ("lesson", "2026:x"), ("D2", 1), LATE))
    assert await schedule.run_forecasts(database, catalog, LATE) == 1
    rows = await database.read(lambda session: session.execute(text("SELECT outlook FROM forecast ORDER BY person_id")).scalars().all())
    assert [str(row).split()[0] for row in rows] == ["1.00", "0"]
    assert await schedule.run_forecasts(database, catalog, LATE + timedelta(days=1)) == 2, "a new day, new forecasts"
    assert await schedule.run_forecasts(database, catalog, datetime(2031, 3, 1, tzinfo=UTC)) == 0, "nobody has entered the calendar"


# ── Chat and report ──


@pytest.mark.parametrize(("hours", "lessons_done", "away"), [(35, 0, False), (35, 0, True), (34, 1000, False), (25, 0, False), (0, 0, False)])
def test_the_report_gives_the_plan_that_the_person_is_told(dispatcher: Dispatcher, hours: float, lessons_done: int, away: bool) -> None:
    catalog = dispatcher.catalog()
    person = dispatcher.database.write_now(lambda session: enroll(session, "1001", "学员甲"))

    def work(session: Session) -> None:
        day, at = date(2026, 5, 6), datetime(2026, 5, 6, 4, tzinfo=UTC)
        if hours:
            ledger.add(session, person, "external", int(hours * 2700), day, ("activity", "1"), ("D2", 1), at)
        for lesson in list(catalog.library.lessons)[:lessons_done]:
            ledger.add(session, person, "online", 1, day, ("lesson", f"2026:{lesson}"), ("D2", 1), at)
        if away:
            leave.add(session, person, "leave", date(2026, 12, 1), date(2026, 12, 29), "9001", LATE)

    dispatcher.database.write_now(work)
    told = dispatcher.database.read_now(lambda session: outlook_of(session, catalog, person, "公务员", LATE))
    (row,) = dispatcher.database.read_now(lambda session: list(REPORTS["预警"].run(session, Scope(), report_query(catalog, TODAY)).parts[0].rows))
    assert told is not None
    assert row[4:10] == (told.outlook.total, 40, told.outlook.expected, told.outlook.margin, row[8], told.outlook.collective_missing)
    assert row[10:] == ((None, None) if told.plan is None else (told.plan.minutes, told.plan.day.isoformat()))
