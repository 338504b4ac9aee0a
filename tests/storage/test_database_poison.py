"""`Database` and what no engine takes: whoever shares the commit with it is served."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite
from tests.storage.test_database import Held, counted, counts


async def test_a_text_that_the_driver_will_not_send_spoils_nobody_elses_work(database: Database) -> None:
    """PostgreSQL's driver refuses a NUL before the server sees it, SQLite keeps it; the others are served either way."""
    async with Held(database) as held:
        got = await held.together([counts("first"), counts("nu\0l"), counts("last")])

    assert [got[0], got[2]] == ["first", "last"]
    assert {"first", "last"} <= counted(database)
    assert database.gauges.failures == 0


async def test_a_failing_statement_is_told_without_what_it_was_given(database: Database) -> None:
    def work(session: Session) -> None:
        session.execute(text("INSERT INTO tally (day, what, n) VALUES ('2026-03-02', :what, -1)"), {"what": "赵甲的话"})

    with pytest.raises(IntegrityError) as wrong:
        await database.write(work)
    told = str(wrong.value)
    assert "counts_up" in told
    # PostgreSQL's own DETAIL quotes the row; the log takes it out (bot/logs.py).
    ours = told if is_sqlite(database.engine) else told.partition("DETAIL:")[0] + told.partition("[SQL")[2]
    assert "赵甲的话" not in ours
