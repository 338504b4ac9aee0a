"""Who may watch a live contest at a time, and that whoever comes later sees the clock as it is now."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from bot.dispatch import Dispatcher
from bot.web.contest import live_pages
from bot.web.contest.live_pages import LiveFeed
from tests.conftest import Clock
from tests.support.live_contests import opened


async def test_strangers_who_open_many_lines_keep_no_host_from_the_console(
    dispatcher: Dispatcher, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_pages, "MAX_PUBLIC_WATCHERS", 1)
    made = LiveFeed(dispatcher.database, dispatcher.catalog, clock)
    async with made.watch(1, "public"):
        with pytest.raises(web.HTTPServiceUnavailable):
            async with made.watch(2, "public"):
                pass
        async with made.watch(1, "console"), made.watch(1, "named"):
            pass
    async with made.watch(2, "public"):
        pass


async def test_who_comes_later_is_shown_what_is_left_now_and_a_clock_that_stands_stands(dispatcher: Dispatcher, clock: Clock) -> None:
    room = opened(dispatcher, clock, players=1)
    await room.host.say("主持 下一题")
    made = LiveFeed(dispatcher.database, dispatcher.catalog, clock)

    async def left() -> float:
        async with made.watch(room.id, "named") as frames:
            shown = json.loads(await anext(frames))
        return float(shown["item"]["left"]) / 1000

    async with made.watch(room.id, "named") as frames:
        assert json.loads(await anext(frames))["item"]["left"] == 30_000
        clock.pass_(12)
        assert await left() == 18
        clock.pass_(100)
        assert await left() == 0
    await room.host.say("主持 收题")
    await room.host.say("主持 下一题")
    await room.host.say("主持 暂停", after=10)
    async with made.watch(room.id, "named") as frames:
        assert json.loads(await anext(frames))["item"]["left"] == 20_000
        clock.pass_(100)
        assert await left() == 20
