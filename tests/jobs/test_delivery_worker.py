"""What is owed arrives once, on the channel that works, within the budgets; what did not arrive is known by name and reason."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent
from bot.domain.delivery.platform_limits import PlatformLimit, SlidingWindow
from bot.domain.message import OutboundMessage, SendReceipt
from bot.services.delivery import progress
from bot.storage.db.database import Database
from bot.storage.system import switches
from bot.storage.tables.people import RoleRow
from tests.conftest import NOW, Clock
from tests.support.push_channel import FakePushChannel, FakeRecallChannel, NoteCounter, accept, delivery_worker, run_until_idle
from tests.support.queued_deliveries import add_occurrence, add_people, queue_campaign, rows, run_sql, states


async def owed(database: Database, count: int, channels: tuple[str, ...] = ("wecom",), **more: object) -> int:
    return await database.write(lambda session: queue_campaign(session, add_people(session, count, channels), **more))  # type: ignore[arg-type]


async def test_everybody_gets_it_once_in_as_few_calls_as_the_platform_allows(database: Database) -> None:
    await owed(database, 250)
    office = FakePushChannel()
    await run_until_idle(delivery_worker(database, office))
    assert sorted(office.users) == sorted(f"p{n:04}" for n in range(250))
    assert len(office.batches) == 1, "the same words to everybody are one call of WeCom"
    assert states(database) == {"sent": 250}
    assert {row[0] for row in rows(database, "channel")} == {"wecom"}


@pytest.mark.parametrize(("channel", "size"), [("dingtalk", 20), ("zwding", 100), ("wecom", 1000)])
async def test_a_call_holds_as_many_as_its_platform_takes(database: Database, channel: str, size: int) -> None:
    await owed(database, 130, (channel,))
    office = FakePushChannel(channel)
    await run_until_idle(delivery_worker(database, office, clock=Clock(NOW)))
    assert max(len(batch) for batch in office.batches) == min(size, 130)
    assert states(database) == {"sent": 130}


async def test_part_of_a_call_that_fails_fails_for_those_alone(database: Database) -> None:
    await owed(database, 30)
    gone = {"p0003", "p0017"}
    office = FakePushChannel(script=lambda parcel: SendReceipt("failed", "recipient invaliduser") if parcel.to.user in gone else accept(parcel))
    await run_until_idle(delivery_worker(database, office))
    assert states(database) == {"sent": 28, "failed": 2}
    assert {row[0] for row in rows(database, "error, state") if row[1] == "failed"} == {"recipient invaliduser"}
    assert len(office.batches) == 1, "nobody is sent it again"


async def test_what_may_have_arrived_is_never_sent_again_by_itself(database: Database) -> None:
    await owed(database, 3)
    clock = Clock(NOW)
    office = FakePushChannel(script=lambda parcel: SendReceipt("unknown", "unknown timeout") if parcel.to.user == "p0001" else accept(parcel))
    one = delivery_worker(database, office, clock=clock)
    for _ in range(3):
        await run_until_idle(one)
        clock.pass_(hours=1)
    assert sorted(office.users) == ["p0000", "p0001", "p0002"]
    assert states(database) == {"sent": 2, "unknown": 1}


async def test_a_channel_that_breaks_leaves_its_call_in_doubt_and_the_delivery_worker_alive(database: Database) -> None:
    await owed(database, 2)

    def broken(parcel: OutboundMessage) -> SendReceipt:
        raise OSError("cut")

    await run_until_idle(delivery_worker(database, FakePushChannel(script=broken)))
    assert states(database) == {"unknown": 2}


async def test_the_next_channel_is_tried_when_one_surely_failed_and_no_further_than_the_rule_says(database: Database) -> None:
    await owed(database, 3, ("wecom", "dingtalk"))
    wecom, dingtalk = FakePushChannel("wecom", script=lambda _: SendReceipt("failed", "recipient 60111")), FakePushChannel("dingtalk")
    await run_until_idle(delivery_worker(database, wecom, dingtalk))
    assert states(database) == {"sent": 3}
    assert sorted(dingtalk.users) == ["p0000", "p0001", "p0002"]
    assert wecom.batches == [["p0000", "p0001", "p0002"]]
    assert {row[0] for row in rows(database, "channel")} == {"dingtalk"}


async def test_without_fallback_a_failure_stays_a_failure(database: Database) -> None:
    await owed(database, 2, ("wecom", "dingtalk"), rule={"fallback": False})
    wecom, dingtalk = FakePushChannel("wecom", script=lambda _: SendReceipt("failed", "recipient 60111")), FakePushChannel("dingtalk")
    await run_until_idle(delivery_worker(database, wecom, dingtalk))
    assert states(database) == {"failed": 2}
    assert dingtalk.users == []


async def test_when_all_channels_failed_it_is_said_so(database: Database) -> None:
    await owed(database, 1, ("wecom", "dingtalk"))
    both = [FakePushChannel(name, script=lambda _: SendReceipt("failed", "recipient gone")) for name in ("wecom", "dingtalk")]
    await run_until_idle(delivery_worker(database, *both))
    assert states(database) == {"failed": 1}
    assert [len(office.batches) for office in both] == [1, 1]


async def test_one_poisonous_recipient_does_not_hold_the_others(database: Database) -> None:
    """It fails for now, for ever: the others go, and it is given up by and by."""
    await owed(database, 40)
    clock = Clock(NOW)
    office = FakePushChannel(script=lambda parcel: SendReceipt("later", "transient -1") if parcel.to.user == "p0000" else accept(parcel))
    one = delivery_worker(database, office, clock=clock)
    await run_until_idle(one)
    assert states(database) == {"sent": 39, "queued": 1}
    for _ in range(20):
        clock.pass_(minutes=30)
        await run_until_idle(one)
    assert states(database) == {"sent": 39, "failed": 1}
    (poison,) = (row for row in rows(database, "tries, error, state") if row[2] == "failed")
    assert poison[0] >= 8
    assert "transient -1" in poison[1]


async def test_a_refused_token_stops_the_channel_and_calls_somebody_once(database: Database) -> None:
    await owed(database, 50, ("dingtalk",))
    clock, noted = Clock(NOW), NoteCounter()
    office = FakePushChannel("dingtalk", script=lambda _: SendReceipt("later", "token 40014", retry_after=600, stop=True))
    one = delivery_worker(database, office, clock=clock, note=noted, calls=1)
    await run_until_idle(one)
    assert len(office.batches) == 1, "the second call was not even tried"
    assert states(database) == {"queued": 50}
    clock.pass_(601)
    await run_until_idle(one)
    assert len(office.batches) == 2
    audits = database.read_now(lambda session: session.execute(text("SELECT action, target, outcome, detail FROM audit")).all())
    assert len(audits) == 1
    assert audits[0][:3] == ("通道停发", "dingtalk", "failed")
    assert "token 40014" in audits[0][3]
    assert noted.counts["send_stopped", "dingtalk"] == 1
    office.script = accept
    clock.pass_(601)
    await run_until_idle(one)
    assert states(database) == {"sent": 50}, "nothing was lost, and no try was counted against anybody"
    assert {row[0] for row in rows(database, "tries")} == {1}
    assert database.read_now(lambda session: session.execute(text("SELECT COUNT(*) FROM audit WHERE action = '通道恢复'")).scalar_one()) == 1


async def test_administrators_are_told_of_a_stopped_channel_once_an_hour_whatever_the_number_of_replicas(database: Database) -> None:
    await owed(database, 4, ("wecom", "dingtalk"))

    def chief(session: Session) -> None:
        session.add(RoleRow(person_id=1, role="admin"))

    await database.write(chief)
    clock = Clock(NOW)
    for holder in ("a", "b"):
        ill = FakePushChannel("wecom", script=lambda _: SendReceipt("later", "config 60020", retry_after=600, stop=True))
        await run_until_idle(delivery_worker(database, ill, FakePushChannel("dingtalk"), clock=clock, holder=holder))
        clock.pass_(601)
    told = database.read_now(lambda session: session.execute(text("SELECT content FROM campaign WHERE created_by = 'system'")).scalars().all())
    assert len(told) == 1
    assert "企业微信暂时发不出去（config 60020），03-02 09:10 前不再尝试，排队的不会丢。" in told[0]


async def test_a_channel_that_is_stopped_is_gone_around_where_the_rule_allows(database: Database) -> None:
    await owed(database, 4, ("wecom", "dingtalk"))
    wecom, dingtalk = (
        FakePushChannel("wecom", script=lambda _: SendReceipt("later", "config 60020", retry_after=600, stop=True)),
        FakePushChannel("dingtalk"),
    )
    clock = Clock(NOW)
    one = delivery_worker(database, wecom, dingtalk, clock=clock)
    await run_until_idle(one)
    clock.pass_(599)
    await database.write(lambda session: queue_campaign(session, [1, 2, 3, 4], now=clock.now, name="第二次"))
    await run_until_idle(one)
    assert len(dingtalk.users) == 4, "the second campaign did not wait for WeCom"


async def test_two_delivery_workers_together_never_pass_eighty_percent(engine: object) -> None:
    """Ten a minute are documented: eight go, from two desks, whatever they do at the same time."""
    desks = [Database(engine) for _ in range(2)]  # type: ignore[arg-type]
    limit = PlatformLimit("wecom", "corp/minute", "call", 10, SlidingWindow(60), "wecom-limits")
    desks[0].write_now(lambda session: queue_campaign(session, add_people(session, 40)))
    for one in desks:
        one.start()
    clock = Clock(NOW)
    offices = [FakePushChannel(seconds=0.01) for _ in desks]
    workers = [
        delivery_worker(database, office, clock=clock, holder=f"r{n}", limits=(limit,), sizes={"wecom": 1})
        for n, (database, office) in enumerate(zip(desks, offices, strict=True))
    ]
    await asyncio.gather(*(run_until_idle(one, 3) for one in workers))
    assert len(offices[0].users) + len(offices[1].users) == 8
    clock.pass_(30)
    await asyncio.gather(*(run_until_idle(one, 3) for one in workers))
    assert len(offices[0].users) + len(offices[1].users) == 8, "any sixty seconds, not the clock's minute"
    clock.pass_(40)
    await asyncio.gather(*(run_until_idle(one, 3) for one in workers))
    assert len(offices[0].users) + len(offices[1].users) == 16
    for one in desks:
        await asyncio.to_thread(one.stop)


async def test_replicas_whose_clocks_are_four_minutes_apart_send_nothing_twice_and_lose_nothing(engine: object) -> None:
    """Each sees the other's reservations and leases as long over or far ahead (bot/docs/reliability.md S4): whose they are decides, not the hour."""
    desks = [Database(engine) for _ in range(2)]  # type: ignore[arg-type]
    desks[0].write_now(lambda session: queue_campaign(session, add_people(session, 60), now=NOW - timedelta(minutes=10)))
    for one in desks:
        one.start()
    clocks = [Clock(NOW - timedelta(minutes=2)), Clock(NOW + timedelta(minutes=2))]
    offices = [FakePushChannel(seconds=0.01) for _ in desks]
    workers = [
        delivery_worker(database, office, clock=clock, holder=f"r{n}", sizes={"wecom": 1}, calls=3)
        for n, (database, office, clock) in enumerate(zip(desks, offices, clocks, strict=True))
    ]
    for _ in range(6):
        await asyncio.gather(*(run_until_idle(one) for one in workers))
        for clock in clocks:
            clock.pass_(15)
    assert sorted(offices[0].users + offices[1].users) == [f"p{n:04}" for n in range(60)]
    assert states(desks[0]) == {"sent": 60}
    for one in desks:
        await asyncio.to_thread(one.stop)


async def test_nobody_is_sent_more_than_a_member_may_get(database: Database) -> None:
    """Thirty a minute are dropped in silence by WeCom; twenty-four is where the service stops (bot/docs/reliability.md O7)."""
    ids = await database.write(lambda session: add_people(session, 1))
    clock = Clock(NOW)
    for n in range(40):
        invite = CampaignContent("invitation", target="竞赛 1", text=f"第 {n} 场")
        await database.write(lambda session, said=invite: queue_campaign(session, ids, content=said))  # type: ignore[misc]
    office = FakePushChannel()
    one = delivery_worker(database, office, clock=clock)
    await run_until_idle(one)
    # An invitation is a text and a card.
    assert len(office.users) == 12
    for _ in range(6):
        clock.pass_(61)
        await run_until_idle(one)
    assert len(office.users) == 40


async def test_in_an_emergency_nothing_more_goes_and_nothing_is_lost(database: Database) -> None:
    await owed(database, 30)
    office = FakePushChannel()

    def pause(batch: object) -> None:
        if len(office.batches) == 4:
            database.write_now(lambda session: switches.turn(session, switches.PAUSED, True, "1001", NOW))

    office.before = pause
    clock = Clock(NOW)
    one = delivery_worker(database, office, clock=clock, sizes={"wecom": 1}, calls=1)
    await run_until_idle(one)
    assert len(office.users) == 5
    clock.pass_(hours=1)
    await run_until_idle(one)
    assert len(office.users) == 5
    await database.write(lambda session: switches.turn(session, switches.PAUSED, False, "1001", NOW))
    await run_until_idle(one)
    assert sorted(office.users) == sorted(f"p{n:04}" for n in range(30))


async def test_a_recall_is_handed_to_channels_that_can_and_said_of_those_that_cannot(database: Database) -> None:
    await owed(database, 3)
    await database.write(lambda session: queue_campaign(session, add_people(session, 1, ("local",), "q"), name="第二个"))
    wecom, local = FakeRecallChannel("wecom"), FakePushChannel("local")
    one = delivery_worker(database, wecom, local)
    await run_until_idle(one)
    run_sql(database, "UPDATE occurrence SET state = 'void'")
    again = delivery_worker(database, wecom, local, holder="replica-2")
    await again.round()
    await again.round()
    assert sorted(wecom.recalled) == ["id-d1", "id-d2", "id-d3"], "each once"
    assert [row[0] for row in rows(database, "error")] == ["已撤回", "已撤回", "撤回失败：too late", f"撤回失败：{progress.NO_RECALL}"]


async def test_a_delivery_worker_runs_by_itself_and_ends_in_order(database: Database) -> None:
    office, tenth = FakePushChannel(seconds=0.05), asyncio.Event()
    office.before = lambda batch: tenth.set() if len(office.users) >= 10 else None
    one = delivery_worker(database, office, sizes={"wecom": 1}, calls=4)
    running = asyncio.create_task(one.run())
    await owed(database, 20)
    one.wake()
    async with asyncio.timeout(60):
        await tenth.wait()
    await one.stop()
    await running
    found = states(database)
    assert found["sending"] == 0
    assert found["sent"] == len(office.users)
    assert found["sent"] + found["queued"] == 20
    rest = delivery_worker(database, FakePushChannel(), holder="replica-2")
    await run_until_idle(rest)
    assert states(database) == {"sent": 20}, "what was given back is taken up at once"


async def test_a_campaign_that_falls_due_again_is_another_delivery(database: Database) -> None:
    campaign = await owed(database, 2)
    await database.write(lambda session: add_occurrence(session, campaign, [1, 2], after=60))
    clock = Clock(NOW + timedelta(minutes=2))
    office = FakePushChannel()
    one = delivery_worker(database, office, clock=clock)
    await run_until_idle(one)
    assert sorted(office.users) == ["p0000", "p0001"], "one at a time for one person"
    clock.pass_(minutes=6)
    await run_until_idle(one)
    assert states(database) == {"sent": 4}
