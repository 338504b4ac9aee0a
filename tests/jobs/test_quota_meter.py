"""What is said outside the delivery worker counts for everybody, is spaced by the platforms' limits, and never waits for the database."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.domain.delivery.platform_limits import LIMITS, CalendarWindow, PlatformLimit, SlidingWindow
from bot.domain.message import Address, Incoming, Reply
from bot.jobs.quota_meter import MAX_WAIT, QuotaMeter
from bot.services.delivery.quota import grant_cards
from bot.storage.db.commits import Busy
from bot.storage.db.database import Database
from bot.storage.delivery.quota import Quota, look_since_heard
from bot.storage.system import inbox
from tests.conftest import NOW, Clock
from tests.support.push_channel import FakePushChannel, delivery_worker
from tests.support.queued_deliveries import add_people, queue_campaign, states

MONTH = PlatformLimit("wecom", "corp/month", "call", 10, CalendarWindow("month"), "test")
SECOND = PlatformLimit("wecom", "app/second", "call", 10, SlidingWindow(1), "test")
MINUTE = PlatformLimit("wecom", "person/minute", "message", 5, SlidingWindow(60, 2), "test", per_person=True)


def rows(database: Database) -> dict[str, int]:
    found = database.read_now(lambda session: session.execute(text("SELECT name, SUM(used) FROM budget GROUP BY name")).all())
    return {row[0]: row[1] for row in found}


def metered(database: Database, clock: Clock, *limits: PlatformLimit) -> tuple[QuotaMeter, list[float]]:
    """A meter whose waiting moves the clock."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.pass_(seconds)
        await asyncio.sleep(0)

    return QuotaMeter(database, clock, limits or LIMITS, sleep), slept


async def test_replies_and_cards_said_actively_count_with_what_the_delivery_worker_says(database: Database, clock: Clock) -> None:
    office = FakePushChannel()
    meter, _ = metered(database, clock, MONTH)
    database.write_now(lambda session: queue_campaign(session, add_people(session, 8)))
    till = meter.for_channel("wecom")
    for _ in range(5):
        await till.spend("p0001")
    await meter.flush()
    one = delivery_worker(database, office, clock=clock, limits=(MONTH,), sizes={"wecom": 1})
    await one.round()
    await one.quiet()

    assert rows(database) == {"wecom/corp/month": 8}
    assert len(office.said) == 3, "eight calls are eighty percent of ten, and five were answers"
    assert states(database) == {"sent": 3, "queued": 5}


async def test_everything_that_is_said_is_counted_by_its_unit(database: Database, clock: Clock) -> None:
    meter, _ = metered(database, clock)
    await meter.for_channel("wecom").spend("ZhangSan", calls=1, messages=1)
    await meter.for_channel("wecom").spend("zhangsan")
    await meter.for_channel("wecom").spend("", messages=0)
    await meter.for_channel("dingtalk").spend("", messages=0, granted=True)
    await meter.flush()

    assert rows(database) == {
        "wecom/corp/minute": 3,
        "wecom/corp/hour": 3,
        "wecom/app/day": 2,
        "wecom/person/minute/zhangsan": 2,
        "wecom/person/hour/zhangsan": 2,
        "dingtalk/app/second": 1,
        "dingtalk/ip/20s": 1,
    }, "a card that was granted has had its share of the month already"


async def test_a_follower_s_messages_count_since_the_follower_spoke(database: Database, clock: Clock) -> None:
    said = Incoming(Address("wechat", "wx1", "openid"), "学习", "m1", NOW - timedelta(hours=1))
    database.write_now(lambda session: inbox.store_reply(session, said, add_people(session, 1)[0], Reply("好")))
    meter, _ = metered(database, clock)
    await meter.for_channel("wechat").spend("openid")
    await meter.for_channel("wechat").spend("openid")
    await meter.for_channel("wechat").spend("never-heard")
    await meter.flush()

    assert database.read_now(lambda session: look_since_heard(session, "openid", said.arrived)) == 2
    assert rows(database)["wechat/app/day"] == 3


async def test_answers_are_spaced_and_none_is_lost(database: Database, clock: Clock) -> None:
    meter, slept = metered(database, clock, SECOND)
    spoken = []

    async def answer(n: int) -> None:
        await meter.for_channel("wecom").spend(f"p{n}")
        spoken.append(clock())

    await asyncio.gather(*(answer(n) for n in range(40)))

    assert len(spoken) == 40
    for at in spoken:
        assert sum(at - timedelta(seconds=1) < other <= at for other in spoken) <= SECOND.usable()
    assert slept


async def test_a_person_who_has_had_enough_waits_alone_and_is_left_what_may_be_left_out(database: Database, clock: Clock) -> None:
    meter, slept = metered(database, clock, MINUTE)
    till = meter.for_channel("wecom")
    for _ in range(4):
        await till.spend("zhangsan")
    assert not till.may("ZhangSan")
    await till.spend("lisi")
    assert (till.may("lisi"), slept) == (True, [])
    await till.spend("zhangsan")
    assert sum(slept) >= 30


async def test_a_month_that_is_over_ends_the_cards_and_not_the_answers(database: Database, clock: Clock) -> None:
    meter, slept = metered(database, clock, MONTH)
    till = meter.for_channel("wecom")
    for _ in range(9):
        await till.spend("zhangsan")
    assert (till.may("zhangsan"), slept) == (False, [])
    await meter.flush()
    assert rows(database) == {"wecom/corp/month": 9}
    clock.pass_(days=31)
    assert till.may("zhangsan")


async def test_nobody_waits_longer_than_patience(database: Database, clock: Clock) -> None:
    meter, slept = metered(database, clock, PlatformLimit("wecom", "app/second", "call", 1, SlidingWindow(1), "test"))
    await meter.for_channel("wecom").spend("zhangsan")
    assert MAX_WAIT.total_seconds() <= sum(slept) < MAX_WAIT.total_seconds() + 2


async def test_what_another_replica_says_is_seen_with_the_next_look(database: Database, clock: Clock) -> None:
    meter, _ = metered(database, clock, MONTH)
    other, _ = metered(database, clock, MONTH)
    for _ in range(8):
        await other.for_channel("wecom").spend("zhangsan")
    await other.flush()
    assert meter.for_channel("wecom").may("lisi")
    await meter.flush()
    assert not meter.for_channel("wecom").may("lisi")


async def test_a_busy_database_hears_of_it_later_and_nothing_waits(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    meter, _ = metered(database, clock, MONTH)
    await meter.for_channel("wecom").spend("zhangsan")

    async def busy(*_: object, **__: object) -> None:
        raise Busy("locked")

    with monkeypatch.context() as away:
        away.setattr(database, "write", busy)
        await meter.flush()
        await meter.for_channel("wecom").spend("zhangsan")
    assert rows(database) == {}
    await meter.flush()
    await meter.flush()
    assert rows(database) == {"wecom/corp/month": 2}


async def test_what_is_said_while_the_rows_are_written_is_not_forgotten(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    meter, _ = metered(database, clock, MONTH)
    till = meter.for_channel("wecom")
    for _ in range(7):
        await till.spend("zhangsan")
    write = database.write

    async def slow(*given: object, **named: object) -> object:
        done = await write(*given, **named)  # type: ignore[arg-type, var-annotated]
        await till.spend("lisi")
        return done

    monkeypatch.setattr(database, "write", slow)
    await meter.flush()
    assert not till.may("wangwu")
    monkeypatch.setattr(database, "write", write)
    await meter.flush()
    assert rows(database) == {"wecom/corp/month": 8}


def test_cards_are_granted_from_their_own_share_and_from_the_month_of_all_calls(database: Database) -> None:
    limits = tuple(limit for limit in LIMITS if limit.channel == "dingtalk")

    def granted(wanted: int, most: int) -> int:
        return database.write_now(lambda session: grant_cards(session, wanted, most, NOW, limits))

    assert (granted(20, 30), granted(20, 30), granted(20, 30)) == (20, 10, 0)
    assert rows(database) == {"dingtalk/cards/month": 30, "dingtalk/corp/month": 30}

    def nearly_all(session: Session) -> None:
        purse = Quota(session)
        purse.take("dingtalk/corp/month", CalendarWindow("month"), 4000 - 35, NOW)
        purse.close()

    database.write_now(nearly_all)
    assert granted(20, 500) == 5
