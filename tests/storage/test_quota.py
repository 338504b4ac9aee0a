"""The platforms' limits as rows: two databases together never use more than the service's share."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from bot.domain.delivery.platform_limits import LIMITS, CalendarWindow, SlidingWindow
from bot.storage.db.database import Database
from bot.storage.delivery import quota
from tests.conftest import NOW


async def test_two_desks_that_take_at_once_never_take_more_than_there_is(engine: Engine) -> None:
    desks = [Database(engine) for _ in range(2)]
    for one in desks:
        one.start()
    window = SlidingWindow(60)

    async def taker(database: Database, n: int) -> int:
        got = 0
        for turn in range(30):
            got += await database.write(lambda session: quota.take(session, [("wecom/corp/minute", 100, window)], 3, NOW), of=(n, turn))
        return got

    taken = await asyncio.gather(*(taker(desks[n % 2], n) for n in range(4)))
    for one in desks:
        await asyncio.to_thread(one.stop)
    assert sum(taken) == 100
    assert desks[0].read_now(lambda session: session.execute(text("SELECT SUM(used) FROM budget")).scalar_one()) == 100


def test_no_stretch_of_the_window_s_length_holds_more_than_the_limit(engine: Engine) -> None:
    """Whatever moment the platform's own window begins at."""
    database, window, moments = Database(engine), SlidingWindow(60), []
    now = NOW
    for step in range(300):
        now = NOW + timedelta(seconds=step * 0.7)
        granted = database.write_now(lambda session, at=now: quota.take(session, [("b", 40, window)], 5, at))  # type: ignore[misc]
        moments += [now] * granted
    for at, begin in enumerate(moments):
        assert sum(1 for one in moments[at:] if one - begin < timedelta(seconds=60)) <= 40
    reach = (now - NOW).total_seconds() / 60 * 40
    assert len(moments) >= 0.9 * reach, "the budget is used, not only kept"


@pytest.mark.parametrize(
    ("unit", "at", "began", "freed"),
    [
        ("day", datetime(2026, 3, 1, 16, 0, tzinfo=UTC), datetime(2026, 3, 1, 16, tzinfo=UTC), datetime(2026, 3, 2, 16, tzinfo=UTC)),
        ("day", datetime(2026, 3, 1, 15, 59, tzinfo=UTC), datetime(2026, 2, 28, 16, tzinfo=UTC), datetime(2026, 3, 1, 16, tzinfo=UTC)),
        ("month", datetime(2026, 2, 28, 16, 0, tzinfo=UTC), datetime(2026, 2, 28, 16, tzinfo=UTC), datetime(2026, 3, 31, 16, tzinfo=UTC)),
        ("month", datetime(2026, 12, 30, 0, 0, tzinfo=UTC), datetime(2026, 11, 30, 16, tzinfo=UTC), datetime(2026, 12, 31, 16, tzinfo=UTC)),
    ],
)
def test_days_and_months_are_shanghai_s(unit: str, at: datetime, began: datetime, freed: datetime) -> None:
    window = CalendarWindow("day" if unit == "day" else "month")
    assert window.start(at) == began
    assert window.next_free(at) == freed


def test_every_limit_is_documented_and_used_to_eighty_percent() -> None:
    assert {limit.channel for limit in LIMITS} == {"wecom", "dingtalk", "wechat", "zwding"}
    for limit in LIMITS:
        assert limit.page
        assert 0 < limit.usable() <= 0.8 * limit.allowed
    by_key = {limit.key("zhangsan"): limit for limit in LIMITS}
    assert by_key["wecom/person/minute/zhangsan"].usable() == 24
    assert by_key["dingtalk/corp/month"].usable() == 4000
    assert by_key["wecom/app/day"].usable(accounts=500) == 80_000


def test_what_no_window_looks_at_is_forgotten_and_this_month_is_not(engine: Engine) -> None:
    database = Database(engine)
    old = NOW - timedelta(days=20)
    for name, window, at in (("a/minute", SlidingWindow(60), old), ("a/month", CalendarWindow("month"), old), ("a/day", CalendarWindow("day"), NOW)):
        database.write_now(lambda session, n=name, w=window, t=at: quota.take(session, [(n, 10, w)], 1, t))  # type: ignore[misc]
    assert database.write_now(lambda session: quota.forget(session, NOW)) == 1
    names = database.read_now(lambda session: session.execute(text("SELECT name FROM budget ORDER BY name")).scalars().all())
    assert names == ["a/day", "a/month"]
