"""The desk and what no database takes: whoever shares the commit with it is served."""

from __future__ import annotations

from bot.storage.db import Desk
from tests.storage.test_desk import Held, counted, counts


async def test_a_text_that_the_driver_will_not_send_spoils_nobody_elses_work(desk: Desk) -> None:
    """PostgreSQL's driver refuses a NUL before the server sees it, SQLite keeps it; the others are served either way."""
    async with Held(desk) as held:
        got = await held.together([counts("first"), counts("nu\0l"), counts("last")])

    assert [got[0], got[2]] == ["first", "last"]
    assert {"first", "last"} <= counted(desk)
    assert desk.gauges.failures == 0
