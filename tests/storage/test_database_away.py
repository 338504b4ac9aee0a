"""`Database` and a PostgreSQL that takes the line and says nothing: a stopped machine, a broken network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from bot.storage.db.commits import Busy
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from tests.storage.test_database import counts


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield f"postgresql://bot@127.0.0.1:{door.getsockname()[1]}/bot"


async def test_who_writes_while_the_database_is_silent_is_told(silent: str) -> None:
    database = Database(open_engine(silent))
    database.start()

    async def told(after: float) -> None:
        await asyncio.sleep(after)
        with pytest.raises(Busy):
            await database.write(counts("unheard"), of="one")

    try:
        # It never says a word: whoever is told is told by the database's own limits (test_database_ill.py adds them up).
        await asyncio.gather(*(told(after) for after in (0, 0.5, 1.5, 2.5)))
    finally:
        await asyncio.to_thread(database.stop, 1.0)
