"""A report about one person or one unit reads that person and that unit, however large the agency is, with and without statistics."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from bot.domain.reports import ReportQuery, Scope
from bot.services.reports import formats
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine, ping
from bot.storage.reports.registry import REPORTS
from tests.bench import rollup

LARGE = {"ledger", "answer", "year_total", "delivery", "sitting", "reading", "person", "post", "attempt", "account"}
"""Tables that grow with the people. `forecast` is looked through for those who were away, a short row each."""
FIGURES = ["达标率, one unit", "名单, one unit", "名单", "个人", "考试 1, one unit", "形式, one unit"]
COUNTED_WHOLE = {"名单": {"SCAN post", "SCAN person"}}
"""The line above the list says how many there are: one statement for all of them."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "agency.db"
    rollup.fill(path, 2_000, 6)
    return path


@pytest.fixture(params=["as shipped", "after ANALYZE"])
def path(request: pytest.FixtureRequest, filled: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "agency.db"
    shutil.copy(filled, copied)
    if request.param == "after ANALYZE":
        with sqlite3.connect(copied) as connection:
            connection.execute("ANALYZE")
            # An agency that took next to nothing back: the index of reversals is all NULL to the statistics.
            connection.execute("UPDATE sqlite_stat1 SET stat = '1000000 500000' WHERE tbl = 'ledger' AND idx LIKE 'sqlite_autoindex_ledger%'")
            connection.execute("UPDATE sqlite_stat1 SET stat = '1000000 1' WHERE tbl = 'ledger' AND idx = 'ledger_in_time'")
    return copied


def sent(path: Path, figure: rollup.ReportFigure) -> list[str]:
    """The statements of a report on a phone, with their values in place."""
    statements: list[str] = []

    def work(session: Session) -> str:
        ping(session)
        raw: Any = session.info["raw"]
        raw.set_trace_callback(statements.append)
        ask = ReportQuery(rollup.YEAR, figure.day, rollup.TODAY, rollup.POLICY, figure.about, rollup.LIBRARY)
        try:
            return formats.phone(REPORTS[figure.report].run(session, Scope(), ask))
        finally:
            raw.set_trace_callback(None)

    Database(open_engine(f"sqlite:///{path}")).read_now(work)
    return [statement for statement in dict.fromkeys(statements) if statement.lstrip().startswith(("SELECT", "WITH"))]


def scans(path: Path, statement: str) -> set[str]:
    """`SCAN table` for every large table that is looked through from end to end; entries found in the order of time only count as such."""
    with sqlite3.connect(path) as connection:
        steps = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    aliases = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN) \(?(\w+) (\w+)", statement)}
    scanned = {aliases.get(step.split()[1], step.split()[1]) for step in steps if step.startswith("SCAN") or "ledger_in_time" in step}
    return {f"SCAN {table}" for table in scanned & LARGE}


@pytest.mark.parametrize("name", FIGURES)
def test_what_a_phone_shows_is_found_by_an_index(path: Path, name: str) -> None:
    statements = sent(path, rollup.FIGURES[name])
    assert statements
    looked_through = {statement: found for statement in statements if (found := scans(path, statement))}
    assert set().union(*looked_through.values()) <= COUNTED_WHOLE.get(name, set()), looked_through
    assert len(looked_through) <= 1
