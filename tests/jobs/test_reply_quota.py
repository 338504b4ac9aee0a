"""What is said outside the delivery worker counts for everybody, is spaced by the platforms' limits, and never waits for the database."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.domain.delivery.platform_limits import LIMITS, CalendarWindow, PlatformLimit, SlidingWindow, heard_limit
from bot.domain.message import Address, Incoming, Reply
from bot.jobs.reply_quota import MAX_WAIT, ReplyQuota
from bot.services.delivery.quota import grant_cards
from bot.storage.db.commits import Busy
from bot.storage.db.database import Database
from bot.storage.delivery import quota as quota_rows
from bot.storage.delivery.quota import QuotaRows
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


def metered(database: Database, clock: Clock, *limits: PlatformLimit) -> tuple[ReplyQuota, list[float]]:
    """A quota whose waiting moves the clock."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.pass_(seconds)
        await asyncio.sleep(0)

    return ReplyQuota(database, clock, limits or LIMITS, sleep), slept


async def test_replies_and_cards_said_actively_count_with_what_the_delivery_worker_says(database: Database, clock: Clock) -> None:
    office = FakePushChannel()
    replies, _ = metered(database, clock, MONTH)
    database.write_now(lambda session: queue_campaign(session, add_people(session, 8)))
    channel = replies.for_channel("wecom")
    for _ in range(5):
        await channel.take("p0001")
    await replies.flush()
    one = delivery_worker(database, office, clock=clock, limits=(MONTH,), sizes={"wecom": 1})
    await one.round()
    await one.quiet()

    assert rows(database) == {"wecom/corp/month": 8}
    assert len(office.said) == 3, "eight calls are eighty percent of ten, and five were answers"
    assert states(database) == {"sent": 3, "queued": 5}


async def test_everything_that_is_said_is_counted_by_its_unit(database: Database, clock: Clock) -> None:
    replies, _ = metered(database, clock)
    await replies.for_channel("wecom").take("ZhangSan", calls=1, messages=1)
    await replies.for_channel("wecom").take("zhangsan")
    await replies.for_channel("wecom").take("", messages=0)
    await replies.for_channel("dingtalk").take("", messages=0, granted=True)
    await replies.flush()

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
    replies, _ = metered(database, clock)
    await replies.for_channel("wechat").take("openid")
    await replies.for_channel("wechat").take("openid")
    await replies.for_channel("wechat").take("never-heard")
    await replies.flush()

    window = heard_limit(said.arrived)
    assert database.read_now(lambda session: quota_rows.look(session, window.key("openid"), window.window, NOW)) == 2
    assert rows(database)["wechat/app/day"] == 3


async def test_answers_are_spaced_and_none_is_lost(database: Database, clock: Clock) -> None:
    replies, slept = metered(database, clock, SECOND)
    spoken = []

    async def answer(n: int) -> None:
        await replies.for_channel("wecom").take(f"p{n}")
        spoken.append(clock())

    await asyncio.gather(*(answer(n) for n in range(40)))

    assert len(spoken) == 40
    for at in spoken:
        assert sum(at - timedelta(seconds=1) < other <= at for other in spoken) <= SECOND.usable()
    assert slept


async def test_a_person_who_has_had_enough_waits_alone_and_is_left_what_may_be_left_out(database: Database, clock: Clock) -> None:
    replies, slept = metered(database, clock, MINUTE)
    channel = replies.for_channel("wecom")
    for _ in range(4):
        await channel.take("zhangsan")
    assert not channel.look("ZhangSan")
    await channel.take("lisi")
    assert (channel.look("lisi"), slept) == (True, [])
    await channel.take("zhangsan")
    assert sum(slept) >= 30


async def test_a_month_that_is_over_ends_the_cards_and_not_the_answers(database: Database, clock: Clock) -> None:
    replies, slept = metered(database, clock, MONTH)
    channel = replies.for_channel("wecom")
    for _ in range(9):
        await channel.take("zhangsan")
    assert (channel.look("zhangsan"), slept) == (False, [])
    await replies.flush()
    assert rows(database) == {"wecom/corp/month": 9}
    clock.pass_(days=31)
    assert channel.look("zhangsan")


async def test_nobody_waits_longer_than_patience(database: Database, clock: Clock) -> None:
    replies, slept = metered(database, clock, PlatformLimit("wecom", "app/second", "call", 1, SlidingWindow(1), "test"))
    await replies.for_channel("wecom").take("zhangsan")
    assert MAX_WAIT.total_seconds() <= sum(slept) < MAX_WAIT.total_seconds() + 2


async def test_what_another_replica_says_is_seen_with_the_next_look(database: Database, clock: Clock) -> None:
    replies, _ = metered(database, clock, MONTH)
    other, _ = metered(database, clock, MONTH)
    for _ in range(8):
        await other.for_channel("wecom").take("zhangsan")
    await other.flush()
    assert replies.for_channel("wecom").look("lisi")
    await replies.flush()
    assert not replies.for_channel("wecom").look("lisi")


async def test_a_busy_database_hears_of_it_later_and_nothing_waits(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    replies, _ = metered(database, clock, MONTH)
    await replies.for_channel("wecom").take("zhangsan")

    async def busy(*_: object, **__: object) -> None:
        raise Busy("locked")

    with monkeypatch.context() as away:
        away.setattr(database, "write", busy)
        await replies.flush()
        await replies.for_channel("wecom").take("zhangsan")
    assert rows(database) == {}
    await replies.flush()
    await replies.flush()
    assert rows(database) == {"wecom/corp/month": 2}


async def test_what_is_said_while_the_rows_are_written_is_not_forgotten(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    replies, _ = metered(database, clock, MONTH)
    channel = replies.for_channel("wecom")
    for _ in range(7):
        await channel.take("zhangsan")
    write = database.write

    async def slow(*given: object, **named: object) -> object:
        done = await write(*given, **named)  # type: ignore[arg-type, var-annotated]
        await channel.take("lisi")
        return done

    monkeypatch.setattr(database, "write", slow)
    await replies.flush()
    assert not channel.look("wangwu")
    monkeypatch.setattr(database, "write", write)
    await replies.flush()
    assert rows(database) == {"wecom/corp/month": 8}


def test_cards_are_granted_from_their_own_share_and_from_the_month_of_all_calls(database: Database) -> None:
    limits = tuple(limit for limit in LIMITS if limit.channel == "dingtalk")

    def granted(wanted: int, most: int) -> int:
        return database.write_now(lambda session: grant_cards(session, wanted, most, NOW, limits))

    assert (granted(20, 30), granted(20, 30), granted(20, 30)) == (20, 10, 0)
    assert rows(database) == {"dingtalk/cards/month": 30, "dingtalk/corp/month": 30}

    def nearly_all(session: Session) -> None:
        purse = QuotaRows(session)
        purse.take("dingtalk/corp/month", CalendarWindow("month"), 4000 - 35, NOW)
        purse.close()

    database.write_now(nearly_all)
    assert granted(20, 500) == 5
