"""A small agency for tests of reports: units, people with posts, hours in the ledger, and a look at a report of any day."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.domain.hours.policy import HoursPolicy, RuleVersion
from bot.domain.library.library import Lesson, Library
from bot.domain.people.person import EVERYBODY
from bot.domain.reports import ReportQuery, Scope, Table
from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite, ping
from bot.storage.files.loader import load_calendar
from bot.storage.hours import ledger
from bot.storage.reports.registry import REPORTS
from bot.storage.tables.people import PersonRow, PostRow, UnitRow

TODAY = date(2026, 11, 20)
PER_HOUR = 2700
POLICY = HoursPolicy(
    (
        RuleVersion("D1", 1, date(2025, 1, 1), {"seconds_per_hour": PER_HOUR}),
        RuleVersion("D2", 1, date(2025, 1, 1), {"day_cap": "2"}),
        RuleVersion("D3", 1, date(2025, 1, 1), {"items": 10, "hours": "0.25", "day_cap": "0.5", "year_cap": "10"}),
        RuleVersion(
            "D11",
            1,
            date(2025, 1, 1),
            {"quota": {"领导干部": "40", "公务员": "40", "事业人员": "24", "执法人员": "60"}, "collective": {"领导干部": "12"}},
        ),
    )
)
CALENDAR, _ = load_calendar(Path(__file__).parents[2])
LESSONS = [
    Lesson(f"课{n}", f"课{n}", "民法典", date(2021, 1, 1), (), (EVERYBODY,), 45, date(2021, 1, 1), (), ("",), f"d{n}") for n in range(45)
]  # fmt: skip
LIBRARY = Library(lessons={lesson.id: lesson for lesson in LESSONS}, calendar=CALENDAR)
"""Forty-five lessons of a 学时 each, and no question."""
Stay = tuple[str, str, str | None]


def noon(day: date) -> datetime:
    """Noon in Shanghai."""
    return datetime.combine(day, time(4), UTC)


class Agency:
    """Writes and reads through `Database`; days are text such as 2026-03-01."""

    def __init__(self, engine: Engine) -> None:
        self.database = Database(engine)
        self.sources = itertools.count(1)

    def unit(self, path: str) -> int:
        """The unit of a path, made with all that is above it."""

        def work(session: Session) -> int:
            parent: int | None = None
            parts = path.split("/")
            for depth in range(1, len(parts) + 1):
                path_so_far = "/".join(parts[:depth])
                row = session.execute(text("SELECT id FROM unit WHERE path = :p"), {"p": path_so_far}).first()
                if row is not None:
                    parent = row[0]
                    continue
                unit = UnitRow(parent_id=parent, name=parts[depth - 1], path=path_so_far)
                session.add(unit)
                session.flush()
                parent = unit.id
            assert parent is not None
            return parent

        return self.database.write_now(work)

    def person(
        self, staff_no: str, posts: Iterable[Stay | str] = ("局/办公室",), tier: str = "公务员", left_on: str | None = None, name: str = ""
    ) -> int:
        """A person with posts: a path (since 2020) or (path, since, until)."""
        stays: list[Stay] = [(post, "2020-01-01", None) if isinstance(post, str) else post for post in posts]
        units = [self.unit(path) for path, _, _ in stays]

        def work(session: Session) -> int:
            person = PersonRow(staff_no=staff_no, name=name or f"员{staff_no}", tier=tier, left_on=_day(left_on), recorded_at=noon(date(2020, 1, 1)))
            session.add(person)
            session.flush()
            assert person.id is not None
            for unit_id, (_, since, until) in zip(units, stays, strict=True):
                session.add(PostRow(person_id=person.id, unit_id=unit_id, since=date.fromisoformat(since), until=_day(until)))
            session.flush()
            return person.id

        return self.database.write_now(work)

    def earn(self, person_id: int, hours: float, day: str, category: str = "online", recorded: str | None = None, seconds: int = 0) -> int:
        """An entry written by the ledger's own function; returns its id."""
        amount, source = seconds or int(hours * PER_HOUR), str(next(self.sources))
        recorded_at = noon(date.fromisoformat(recorded or day))
        entry_id = self.database.write_now(
            lambda session: ledger.add(
                session, person_id, category, amount, date.fromisoformat(day), ("lesson", source), ("D2", 1), recorded_at, law="民法典"
            )
        )
        assert entry_id is not None
        return entry_id

    def take_back(self, entry_id: int, recorded: str) -> int:
        reversal_id = self.database.write_now(lambda session: ledger.reverse(session, entry_id, noon(date.fromisoformat(recorded)), "9001"))
        assert reversal_id is not None
        return reversal_id

    def ask(self, about: str = "", as_of: str = "", year: int = 0, *, from_ledger: bool = False) -> ReportQuery:
        """`from_ledger` asks for today as one would ask tomorrow, when the running totals do not serve any more."""
        day = date.fromisoformat(as_of) if as_of else TODAY
        return ReportQuery(year or day.year, day, TODAY + timedelta(1) if from_ledger else TODAY, POLICY, about, LIBRARY)

    def look(self, name: str, about: str = "", as_of: str = "", year: int = 0, scope: Scope | None = None, *, from_ledger: bool = False) -> Table:
        def work(session: Session) -> Table:
            ping(session)
            return REPORTS[name].run(session, scope or Scope(), self.ask(about, as_of, year, from_ledger=from_ledger)).in_memory()

        return self.database.read_now(work)

    def run(self, statement: str, **values: Any) -> None:
        """SQL past every check of the app."""
        self.database.write_now(lambda session: session.execute(text(statement), values))


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def by_unit(table: Table) -> dict[str, dict[str, Any]]:
    """The rows of 达标率 by unit, cells by key."""
    keys = [column.key for column in table.parts[0].columns]
    return {str(row[0]): dict(zip(keys, row, strict=True)) for row in table.parts[0].rows}


def figures(table: Table, unit: str) -> tuple[Any, ...]:
    """People counted, people who reached the quota, hours of a unit in 达标率."""
    row = by_unit(table)[unit]
    return row["counted"], row["reached"], row["total"]


def tamper(agency: Agency, *statements: str) -> None:
    """As an administrator of the database would: around the triggers and the foreign keys."""
    if not is_sqlite(agency.database.engine):
        with agency.database.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                connection.execute(text(statement))
        return
    with agency.database.engine.connect() as connection:
        raw = connection.connection.cursor()
        raw.execute("PRAGMA foreign_keys=OFF")
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            raw.execute(statement)
        connection.connection.commit()
