"""What is owed is claimed by one holder at a time, begun before it is said, settled once; what is in doubt stays in doubt."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import Engine

from bot.storage.db.database import Database
from bot.storage.delivery import queue
from bot.storage.delivery.queue import SendResult
from bot.storage.system import switches
from tests.conftest import NOW
from tests.support.queued_deliveries import add_occurrence, add_people, queue_campaign, rows, run_sql, states

LATER = NOW + timedelta(minutes=5)


def owed(database: Database, count: int) -> int:
    return database.write_now(lambda session: queue_campaign(session, add_people(session, count)))


async def test_several_desks_that_claim_at_once_never_hold_the_same_delivery(engine: Engine) -> None:
    desks = [Database(engine) for _ in range(4)]
    owed(desks[0], 200)
    for one in desks:
        one.start()

    everybody_has_some = asyncio.Barrier(len(desks))

    async def holder(n: int) -> list[int]:
        mine: list[int] = []
        while got := await desks[n].write(lambda session: queue.claim(session, f"h{n}", NOW, 7, 60)):
            if not mine:
                await everybody_has_some.wait()
            mine += [one.id for one in got]
        return mine

    claimed = await asyncio.gather(*(holder(n) for n in range(4)))
    for one in desks:
        await asyncio.to_thread(one.stop)
    everything = [ident for mine in claimed for ident in mine]
    assert len(everything) == len(set(everything)) == 200
    assert all(claimed), "somebody got nothing: not all of them were at it at once"


def test_a_claim_comes_back_by_itself_and_only_the_new_holder_may_begin(engine: Engine) -> None:
    database = Database(engine)
    owed(database, 3)
    first = database.write_now(lambda session: queue.claim(session, "dead", NOW, 10, 30))
    assert database.write_now(lambda session: queue.claim(session, "alive", NOW, 10, 30)) == []
    again = database.write_now(lambda session: queue.claim(session, "alive", NOW + timedelta(seconds=31), 10, 30))
    assert [one.id for one in again] == [one.id for one in first]
    ids = [one.id for one in again]
    assert database.write_now(lambda session: queue.begin(session, ids, "dead", "wecom", LATER, 60)) == set()
    assert database.write_now(lambda session: queue.begin(session, ids, "alive", "wecom", LATER, 60)) == set(ids)
    assert states(database) == {"sending": 3}


def test_a_lease_that_ends_without_word_is_unknown_and_never_claimed_again(engine: Engine) -> None:
    database = Database(engine)
    owed(database, 3)
    ids = [one.id for one in database.write_now(lambda session: queue.claim(session, "a", NOW, 10, 30))]
    database.write_now(lambda session: queue.begin(session, ids[:2], "a", "wecom", NOW, 60))
    assert database.write_now(lambda session: queue.expire_leases(session, NOW + timedelta(seconds=59))) == 0
    assert database.write_now(lambda session: queue.expire_leases(session, NOW + timedelta(seconds=60))) == 2
    assert states(database) == {"unknown": 2, "queued": 1}
    claimed = database.write_now(lambda session: queue.claim(session, "b", NOW + timedelta(days=1), 10, 30))
    assert [one.id for one in claimed] == ids[2:]


def test_a_word_that_comes_after_the_lease_still_counts(engine: Engine) -> None:
    database = Database(engine)
    owed(database, 1)
    (one,) = database.write_now(lambda session: queue.claim(session, "a", NOW, 10, 30))
    database.write_now(lambda session: queue.begin(session, [one.id], "a", "wecom", NOW, 60))
    database.write_now(lambda session: queue.expire_leases(session, LATER))
    database.write_now(lambda session: queue.settle(session, [SendResult(one.id, "sent", platform_id="m1")], "b", LATER))
    assert states(database) == {"unknown": 1}, "somebody else's word is no word"
    database.write_now(lambda session: queue.settle(session, [SendResult(one.id, "sent", platform_id="m1")], "a", LATER))
    assert rows(database, "state, platform_id, sent_at, tries") == [("sent", "m1", "2026-03-02T01:05:00.000000Z", 1)]


def test_what_was_sent_is_not_unsent_by_a_second_word(engine: Engine) -> None:
    database = Database(engine)
    owed(database, 1)
    (one,) = database.write_now(lambda session: queue.claim(session, "a", NOW, 10, 30))
    database.write_now(lambda session: queue.begin(session, [one.id], "a", "wecom", NOW, 60))
    database.write_now(lambda session: queue.settle(session, [SendResult(one.id, "sent")], "a", NOW))
    database.write_now(lambda session: queue.settle(session, [SendResult(one.id, "queued", not_before=NOW)], "a", NOW))
    assert states(database) == {"sent": 1}


def test_paused_and_stopped_campaigns_are_neither_claimed_nor_begun(engine: Engine) -> None:
    database = Database(engine)
    campaign = owed(database, 2)
    ids = [one.id for one in database.write_now(lambda session: queue.claim(session, "a", NOW, 1, 30))]
    for state in ("paused", "stopped"):
        run_sql(database, "UPDATE campaign SET state = :state WHERE id = :id", state=state, id=campaign)
        assert database.write_now(lambda session: queue.claim(session, "a", LATER, 10, 30)) == []
        assert database.write_now(lambda session: queue.begin(session, ids, "a", "wecom", NOW, 60)) == set()
    run_sql(database, "UPDATE campaign SET state = 'running' WHERE id = :id", id=campaign)
    assert database.write_now(lambda session: queue.begin(session, ids, "a", "wecom", NOW, 60)) == set(ids)


def test_the_emergency_switch_stops_what_is_claimed_and_what_is_not(engine: Engine) -> None:
    database = Database(engine)
    owed(database, 2)
    ids = [one.id for one in database.write_now(lambda session: queue.claim(session, "a", NOW, 1, 30))]
    database.write_now(lambda session: switches.turn(session, switches.PAUSED, True, "1001", NOW))
    assert database.write_now(lambda session: queue.claim(session, "a", LATER, 10, 30)) == []
    assert database.write_now(lambda session: queue.begin(session, ids, "a", "wecom", NOW, 60)) == set()
    database.write_now(lambda session: switches.turn(session, switches.PAUSED, False, "1001", NOW))
    assert len(database.write_now(lambda session: queue.claim(session, "a", LATER, 10, 30))) == 2


def test_a_holder_that_ends_gives_back_what_it_had_not_begun(engine: Engine) -> None:
    database = Database(engine)
    campaign = owed(database, 3)
    ids = [one.id for one in database.write_now(lambda session: queue.claim(session, "a", NOW, 10, 300))]
    database.write_now(lambda session: queue.begin(session, ids[:1], "a", "wecom", NOW, 60))
    database.write_now(lambda session: queue.put_off(session, [(ids[1], LATER, "安静时段")], "a"))
    assert database.write_now(lambda session: queue.release(session, "a", NOW)) == 1
    assert [one.id for one in database.write_now(lambda session: queue.claim(session, "b", NOW, 10, 300))] == ids[2:]
    database.write_now(lambda session: add_occurrence(session, campaign, [1], now=LATER))
    assert len(database.write_now(lambda session: queue.claim(session, "b", LATER, 10, 300))) >= 2, "what was put off comes back"


def test_what_keeps_failing_is_given_up_after_many_tries_and_hours_and_not_before() -> None:
    made = NOW
    assert queue.retry_at(1, made, NOW, None) == NOW + timedelta(seconds=10)
    assert queue.retry_at(1, made, NOW, 60) == NOW + timedelta(seconds=60)
    assert queue.retry_at(30, made, NOW + timedelta(hours=5), None) == NOW + timedelta(hours=5, seconds=1800)
    assert queue.retry_at(7, made, NOW + timedelta(days=2), None) is not None
    assert queue.retry_at(8, made, NOW + timedelta(hours=6), None) is None
