"""Shells for the command line: over a small roll, and over people with hours for reports."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from bot.cli.context import context
from bot.cli.main import main
from bot.domain.library.library import Library
from bot.services.library.catalog import load_catalog
from bot.storage.db.database import Database
from bot.storage.files.policies import load_policy
from tests.conftest import NOW, ROOT, enroll
from tests.support.agency import TODAY, Agency, noon
from tests.support.shell import ReportShell, Shell


@pytest.fixture
def shell(engine: Engine, shipped: Library, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Two civil servants on the roll; the clock of the command line stands at Monday 2 March 2026, 09:00."""
    monkeypatch.setenv("BOT_DATABASE_URL", engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://"))
    monkeypatch.setattr(context, "clock", lambda: NOW)
    database = Database(engine)
    policy, _ = load_policy(ROOT)
    assert policy is not None

    def work(session: Session) -> None:
        load_catalog(session, shipped, policy, NOW)
        enroll(session, "1001", "学员甲")
        enroll(session, "1002", "学员乙", unit="某局/财务处")

    database.write_now(work)

    def run(*said: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bot", *said])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return Shell(database, run)


@pytest.fixture
def report_shell(engine: Engine, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> ReportShell:
    """Two people in two units; one has reached the quota."""
    monkeypatch.setenv("BOT_DATABASE_URL", engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://"))
    monkeypatch.setattr(context, "clock", lambda: datetime(2026, 11, 20, 4, tzinfo=UTC))
    agency = Agency(engine)
    policy, _ = load_policy(ROOT)
    assert policy is not None
    agency.database.write_now(lambda session: load_catalog(session, Library(), policy, noon(TODAY)))
    agency.earn(agency.person("1001", ["局/一处"], name="张三"), 40, "2026-03-01")
    agency.person("1002", ["局/二处"], name="=1+1")
    return ReportShell(agency, capsysbinary, monkeypatch)
