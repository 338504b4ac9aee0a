"""The Stream connection against a gateway that cuts, repeats, floods and falls silent (bot/docs/reliability.md D11–D14)."""

from __future__ import annotations

import asyncio
import resource
from random import Random

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from bot.channels.dingtalk.stream import OPEN, StreamConnection
from bot.domain.message import Incoming, Reply
from tests.support.platforms.dingtalk import SECRET
from tests.support.platforms.dingtalk_bot import LoopbackBot, loopback_bot


async def test_after_a_disconnect_the_new_connection_is_there_before_the_old_one_goes() -> None:
    async with loopback_bot() as loopback:
        old = loopback.platform.live[0]
        await loopback.platform.push(loopback.platform.frame("disconnect", '{"reason":"x"}', "d", "SYSTEM"))
        await loopback.platform.until(lambda: len(loopback.platform.live) == 2)
        assert old in loopback.platform.live

        late = loopback.platform.robot_frame("late", msg_id="late")
        await loopback.platform.push(late, to=old)
        await loopback.platform.ack(late["headers"]["messageId"])

    assert [ack["headers"]["messageId"] for ack in old.acks] == [late["headers"]["messageId"]]
    assert [one.message_id for one in loopback.heard] == ["late"]
    assert loopback.platform.connections[0].ticket != loopback.platform.connections[1].ticket


async def test_fifty_in_hand_when_the_gateway_says_disconnect_are_all_whole() -> None:
    gate = asyncio.Event()

    async def held(incoming: Incoming) -> None:
        await gate.wait()

    async with loopback_bot() as loopback:
        loopback.before = held
        old = loopback.platform.live[0]
        for n in range(50):
            await loopback.platform.push(loopback.platform.robot_frame(str(n), msg_id=f"m{n}"))
        await loopback.settle(lambda: len(loopback.heard) == 50)
        await loopback.platform.push(loopback.platform.frame("disconnect", "{}", "d", "SYSTEM"))
        await loopback.platform.until(lambda: len(loopback.platform.live) == 2)
        await old.socket.close()
        gate.set()
        await loopback.platform.until(lambda: len(loopback.platform.webhooks) == 50)

    assert sorted(loopback.committed) == sorted(f"m{n}" for n in range(50))


async def test_a_message_whose_acknowledgement_was_lost_is_decided_and_comes_again_under_the_same_id() -> None:
    async with loopback_bot() as loopback:
        frame = loopback.platform.robot_frame("A", msg_id="m1")

        async def cut(incoming: Incoming) -> None:
            loopback.before = None
            loopback.platform.cut(loopback.platform.live[0])
            await asyncio.sleep(0.2)

        loopback.before = cut
        await loopback.platform.push(frame)
        await loopback.platform.until(lambda: len(loopback.platform.connections) == 2)
        await loopback.platform.push(frame)
        await loopback.platform.ack(frame["headers"]["messageId"])
        await loopback.settle(lambda: len(loopback.committed) == 2)
        await asyncio.sleep(0.1)

    assert loopback.committed == ["m1", "m1"]
    assert loopback.platform.said() == ["已记录 A"]


async def test_four_copies_get_four_acknowledgements_and_one_text() -> None:
    async with loopback_bot() as loopback:
        frames = [loopback.platform.robot_frame("A", msg_id="m1") for _ in range(4)]
        for frame in frames:
            await loopback.platform.push(frame)
        for frame in frames:
            await loopback.platform.ack(frame["headers"]["messageId"])
        await asyncio.sleep(0.2)

    assert loopback.platform.said() == ["已记录 A"]


async def test_the_same_id_from_two_people_is_two_messages() -> None:
    async with loopback_bot() as loopback:
        for staff in ("one", "two"):
            await loopback.platform.push(loopback.platform.robot_frame("A", staff=staff, msg_id="m1"))
        await loopback.platform.until(lambda: len(loopback.platform.webhooks) == 2)

    assert {one.sender.user for one in loopback.heard} == {"one", "two"}


async def test_five_thousand_at_once_are_served_a_bounded_number_at_a_time() -> None:
    busy = most = 0

    async def work(incoming: Incoming) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.001)
        busy -= 1

    async with loopback_bot(stream={"limit": 64}) as loopback:
        loopback.before = work
        loopback.reply = lambda _: Reply()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for n in range(5000):
            await loopback.platform.push(loopback.platform.robot_frame("A", msg_id=f"m{n}"))
            if n % 50 == 0:
                await loopback.platform.push("rubbish")
        await loopback.settle(lambda: len(loopback.committed) == 5000, 60)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

        assert len(loopback.platform.connections) == 1
    assert most <= 64
    assert grown < 50_000
    assert len(set(loopback.committed)) == 5000


@pytest.mark.parametrize("pongs", [True, False])
async def test_a_socket_that_has_died_quietly_is_replaced(pongs: bool) -> None:
    async with loopback_bot(stream={"idle": 1.0 if pongs else 30.0, "heartbeat": 10.0 if pongs else 0.6, "linger": 0.2}) as loopback:
        loopback.platform.live[0].socket._autoping = pongs
        await loopback.platform.until(lambda: len(loopback.platform.connections) >= 2)
        await loopback.platform.push(loopback.platform.robot_frame("A"))
        await loopback.platform.until(lambda: bool(loopback.platform.webhooks))

        assert loopback.count("outbound_error") >= 1


async def test_a_quiet_night_makes_the_reconnections_rarer() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with loopback_bot(stream={"idle": 0.3, "linger": 0.1}) as loopback:
        await loopback.platform.until(lambda: len(loopback.platform.opens) == 4)

        # A slow machine makes them rarer still; no machine may have them sooner.
        assert loop.time() - began >= 0.3 + 0.6 + 1.2


async def test_a_gateway_that_refuses_is_asked_ever_more_slowly() -> None:
    waits: list[float] = []
    stream = StreamConnection(api_base="http://127.0.0.1:1", client_id="c", client_secret=SECRET, topics={}, note=lambda *_: None, rng=_Upper())
    for failures in range(1, 10):
        waits.append(stream._wait(failures))

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_gateway_that_comes_back_is_found_again() -> None:
    async with loopback_bot() as loopback:
        loopback.platform.open_status = [500, 503]
        await loopback.platform.live[0].socket.close()
        await loopback.platform.until(lambda: len(loopback.platform.connections) == 2)

        assert len(loopback.platform.opens) == 4


async def test_only_the_holder_of_the_lease_connects_and_lets_go_when_it_is_lost() -> None:
    held = False

    async def lease() -> bool:
        return held

    async with loopback_bot(lease=lease, stream={"lease_every": 0.1}) as loopback:
        await asyncio.sleep(0.3)
        assert loopback.platform.opens == []
        assert not loopback.channel.connected
        held = True
        await loopback.platform.until(lambda: bool(loopback.platform.live))
        assert loopback.channel.connected
        held = False
        await loopback.platform.until(lambda: not loopback.platform.live)


async def test_a_stop_finishes_and_acknowledges_what_is_in_hand() -> None:
    loopback: LoopbackBot
    async with loopback_bot() as loopback:
        started = asyncio.Event()

        async def slow(incoming: Incoming) -> None:
            started.set()
            await asyncio.sleep(0.3)

        loopback.before = slow
        frame = loopback.platform.robot_frame("A", msg_id="m1")
        await loopback.platform.push(frame)
        await started.wait()
        await loopback.http.close()

        assert loopback.committed == ["m1"]
        assert loopback.platform.said() == ["已记录 A"]
        assert (await loopback.platform.ack(frame["headers"]["messageId"]))["code"] == 200
        assert not loopback.platform.live


async def test_a_stop_waits_for_no_gateway_that_hangs() -> None:
    async with loopback_bot() as loopback:
        hanging = asyncio.Event()

        async def hang(_: web.Request, __: Handler) -> web.StreamResponse:
            hanging.set()
            await released.wait()
            return web.Response(status=503)

        released = asyncio.Event()
        loopback.platform.faults.on(OPEN, hang)
        await loopback.platform.live[0].socket.close()
        await hanging.wait()
        await loopback.http.close()
        released.set()
        assert len(loopback.platform.connections) == 1


class _Upper(Random):
    """A die that always falls on its highest side."""

    def uniform(self, a: float, b: float) -> float:
        return b
