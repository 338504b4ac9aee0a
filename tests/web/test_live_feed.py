"""Who may watch a live contest at a time: strangers leave room for the host."""

from __future__ import annotations

import pytest
from aiohttp import web

from bot.dispatch import Dispatcher
from bot.web.live import Feed, feed
from tests.conftest import Clock


async def test_strangers_who_open_many_lines_keep_no_host_from_the_console(house: Dispatcher, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "STRANGERS", 1)
    made = Feed(house.desk, house.shelf, clock)
    async with made.watch(1, "public"):
        with pytest.raises(web.HTTPServiceUnavailable):
            async with made.watch(2, "public"):
                pass
        async with made.watch(1, "console"), made.watch(1, "named"):
            pass
    async with made.watch(2, "public"):
        pass
