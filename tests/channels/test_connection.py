"""Callbacks answered on the connection: whatever is sent, and in whatever pieces, gets what plain aiohttp would have answered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from bot.channels.base import ignore_note
from bot.channels.callback import CALLBACKS, Callback, CallbackResponse, CallbackRoute, add_route, query_stamp
from bot.channels.connection import LONGEST_HEAD, CallbackConnections, read_request
from bot.web import middleware

CAP = 4096
STAMP = "msg_signature=aa&timestamp=1700000000&nonce=n1"


def receive(push: Callback) -> None:
    """Says what was heard, at once or a moment later, refuses what has no stamp, and breaks when it is told to."""
    query_stamp(push.query)
    if push.body == b"break":
        raise RuntimeError("canary-trace")
    response = CallbackResponse(repr((sorted(push.query.items()), push.body)).encode(), "application/xml; charset=utf-8")
    if b"later" in push.body:
        asyncio.get_running_loop().call_later(0.01, push.respond, response)
    else:
        push.respond(response)


def application() -> web.Application:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=f"page {len(await request.read())}")

    app = web.Application(middlewares=[middleware.protect], client_max_size=middleware.LARGEST_BODY)
    app.on_response_prepare.append(middleware.add_headers)
    app.router.add_route("*", "/page", page)
    add_route(app, CallbackRoute("test", "/channels/test", receive, lambda query, headers: query_stamp(query), ignore_note, CAP))
    return app


@dataclass
class Doors:
    """The same application twice: behind plain aiohttp, and behind the connections of ours."""

    plain: int
    ours: int
    connections: CallbackConnections
    served: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def doors(idle_seconds: float = 30.0) -> AsyncIterator[Doors]:
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(application())
    await runner.setup()
    assert runner.server is not None
    make = middleware.connection_factory(runner.server, loop)
    served: list[bytes] = []

    def answer(route: CallbackRoute, callback: Callback) -> None:
        served.append(callback.body)
        route.answer(callback)

    routes: dict[str, CallbackRoute] = runner.app[CALLBACKS]
    connections = CallbackConnections(routes, make, idle_seconds=idle_seconds, answer=answer)
    servers = [await loop.create_server(factory, "127.0.0.1", 0) for factory in (make, connections)]
    try:
        plain, ours = (server.sockets[0].getsockname()[1] for server in servers)
        yield Doors(plain, ours, connections, served)
    finally:
        for server in servers:
            server.close()
        await connections.shut_down(5)
        await runner.cleanup()


def post(body: bytes, query: str = STAMP, *lines: str, version: str = "1.1", path: str = "/channels/test") -> bytes:
    head = [
        f"POST {path}?{query} HTTP/{version}",
        "Host: bot",
        "Content-Type: text/xml",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, *lines, "", ""]).encode() + body


RESET = b"reset"
LAST = b"GET /page HTTP/1.1\r\nHost: bot\r\nConnection: close\r\n\r\n"


def responses(stream: bytes) -> bytes:
    """What was answered, without the time of day."""
    return b"\r\n".join(line for line in stream.split(b"\r\n") if not line.startswith(b"Date: "))


def parsed(stream: bytes) -> list[tuple[bytes, frozenset[bytes], bytes]]:
    """Each answer as its status, its headers and its body."""
    answers = []
    rest = responses(stream)
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        answers.append((status, frozenset(lines), rest[:length]))
        rest = rest[length:]
    return answers


async def talk(port: int, parts: list[bytes], pause: float = 0.004, wait: float = 10.0) -> bytes:
    """Send the parts, each in a write of its own, and read until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause)
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(reader.read(), wait)
        raise AssertionError("the connection was not closed")
    except (ConnectionError, RuntimeError):
        # RuntimeError is how uvloop says it.
        return RESET
    finally:
        writer.transport.abort()


def same(ours: bytes, plain: bytes) -> None:
    """Where a connection is closed while more is on its way to it, the system may throw away what was answered: then there is nothing to compare."""
    if RESET not in (ours, plain):
        assert parsed(ours) == parsed(plain)


def catalogue() -> list[bytes]:
    good = b"<xml>hello</xml>"
    return [
        post(good),
        post(b"later"),
        post(b""),
        post("法律".encode() * 100),
        post(b"break"),
        post(good, ""),
        post(good, STAMP + "&nonce=n2"),
        post(good, STAMP.replace("aa", "%61a")),
        post(good, STAMP.replace("aa", "a+a")),
        post(good, STAMP + "&&x&=y&z="),
        post(good, STAMP, "Connection: keep-alive"),
        post(good, STAMP, "Connection: close"),
        post(b"later", STAMP, "Connection: close"),
        post(good, version="1.0"),
        post(good, STAMP, "Connection: keep-alive", version="1.0"),
        post(good, STAMP, "X-One: 1", "x-one: 2", "X_Two: 3"),
        post(good, STAMP, "Content-Encoding: gzip"),
        post(good, STAMP, "Expect: 100-continue"),
        post(good, STAMP, "X-Long: " + "x" * LONGEST_HEAD),
        post(good, STAMP, "X-Tab: a\tb"),
        post(good, STAMP, "X-Name: 法".encode().decode("latin-1")),
        post(b"x" * (CAP + 1)),
        post(good, path="/channels/nowhere"),
        post(good, path="/channels/t%65st"),
        post(good, path="/page"),
        post(good, STAMP, "Content-Length: 16"),
        post(good, STAMP, "Content-Length: 3"),
        b"POST /channels/test?" + STAMP.encode() + b" HTTP/1.1\r\nHost: bot\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"POST /channels/test?" + STAMP.encode() + b" HTTP/1.1\r\nHost: bot\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST /channels/test?" + STAMP.encode() + b" HTTP/1.1\r\nHost: bot\r\n\r\n",
        post(good).replace(b"Content-Length: ", b"Content-Length: +"),
        post(good).replace(b"Content-Length:", b"Content-Length :"),
        post(good).replace(b"Host: bot\r\n", b"Host: bot\r\n folded\r\n"),
        post(good).replace(b"\r\n", b"\n"),
        post(good).replace(b"HTTP/1.1", b"HTTP/2.0"),
        post(good).replace(b"POST", b"PUT"),
        post(good).replace(b"POST", b"HEAD", 1),
        b"GET /page HTTP/1.1\r\nHost: bot\r\n\r\n",
        b"HEAD /page HTTP/1.1\r\nHost: bot\r\n\r\n",
        b"GET /channels/test HTTP/1.1\r\nHost: bot\r\n\r\n",
        b"\r\n",
        b"rubbish\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ]


@pytest.mark.parametrize("number", range(len(catalogue())))
async def test_each_request_in_one_read_is_answered_as_aiohttp_answers_it(number: int) -> None:
    async with doors() as there:
        stream = [catalogue()[number], LAST]
        same(await talk(there.ours, stream), await talk(there.plain, stream))


@pytest.mark.parametrize("seed", range(24))
async def test_any_stream_in_any_pieces_is_answered_as_aiohttp_answers_it(seed: int) -> None:
    dice = random.Random(seed)
    async with doors() as there:
        for _ in range(4):
            requests = [dice.choice(catalogue()) for _ in range(dice.randrange(1, 5))] + [LAST]
            stream = b"".join(requests)
            ends = [sum(map(len, requests[:count])) for count in range(len(requests) + 1)]
            cuts = {0, len(stream), *(cut for cut in ends if dice.random() < 0.7), *(dice.randrange(len(stream)) for _ in range(dice.randrange(3)))}
            places = sorted(cuts)
            parts = [stream[begin:end] for begin, end in itertools.pairwise(places)]
            # One after the other, so that both see the same reads.
            same(await talk(there.ours, parts), await talk(there.plain, parts))


async def test_whole_callbacks_are_answered_here_and_nothing_else_is() -> None:
    async with doors() as there:
        await talk(there.ours, [post(b"one"), post(b"later"), post(b"three"), LAST])
        assert there.served == [b"one", b"later", b"three"]
        half = post(b"in two pieces")
        await talk(there.ours, [half[:60], half[60:], LAST])
        await talk(there.ours, [post(b"two") + post(b"at once"), LAST])
        assert there.served == [b"one", b"later", b"three"]


async def test_the_next_request_waits_for_the_answer_to_the_one_before() -> None:
    async with doors() as there:
        stream = [post(b"later 1"), post(b"now"), post(b"later 2"), LAST]
        answers = parsed(await talk(there.ours, stream, pause=0.002))
        assert [body for _, _, body in answers] == [body for _, _, body in parsed(await talk(there.plain, stream, pause=0.002))]
        assert len(answers) == 4


async def test_an_answer_to_a_machine_carries_nothing_for_browsers() -> None:
    async with doors() as there:
        for port in (there.ours, there.plain):
            stream = await talk(port, [post(b"hello", STAMP, "Connection: close")])
            names = {line.split(b":")[0] for line in stream.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]}
            assert names == {b"Content-Type", b"Content-Length", b"Date", b"Connection"}


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - a socket tells nobody what it has done
            await asyncio.sleep(0.01)


async def test_who_says_nothing_is_shown_out_and_who_is_being_answered_is_not() -> None:
    async with doors(idle_seconds=0.4) as there:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", there.ours)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        assert time.monotonic() - began >= 0.35
        writer.close()

        reader, writer = await asyncio.open_connection("127.0.0.1", there.ours)
        held: list[Callback] = []
        there.connections.answer = lambda route, callback: held.append(callback)
        writer.write(post(b"slow"))
        await until(lambda: bool(held))
        await asyncio.sleep(0.8)
        held[0].respond(CallbackResponse(b"at last"))
        assert (await reader.readuntil(b"at last")).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def test_who_hangs_up_before_the_answer_disturbs_nobody() -> None:
    async with doors() as there:
        held: list[Callback] = []
        there.connections.answer = lambda route, callback: held.append(callback)
        _, writer = await asyncio.open_connection("127.0.0.1", there.ours)
        writer.write(post(b"gone"))
        await until(lambda: bool(held))
        writer.transport.abort()
        await asyncio.sleep(0.05)
        held[0].respond(CallbackResponse(b"to nobody"))


async def test_who_does_not_read_is_not_heard_for_ever() -> None:
    """Requests of somebody who reads no answers stop being read once the answers fill what the system keeps for them."""
    async with doors() as there:
        large = CallbackResponse(b"x" * 200_000)
        count = 0

        def answer(route: CallbackRoute, callback: Callback) -> None:
            nonlocal count
            count += 1
            callback.respond(large)

        there.connections.answer = answer
        reader, writer = await asyncio.open_connection("127.0.0.1", there.ours, limit=1)
        for _ in range(400):
            writer.write(post(b"more"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.sleep(0.3)
        assert count < 200
        writer.transport.abort()
        del reader


async def test_at_the_end_what_is_in_hand_is_answered_and_the_rest_closed() -> None:
    async with doors() as there:
        held: list[Callback] = []
        there.connections.answer = lambda route, callback: held.append(callback)
        idle, sitting = await asyncio.open_connection("127.0.0.1", there.ours)
        reader, writer = await asyncio.open_connection("127.0.0.1", there.ours)
        writer.write(post(b"in hand"))
        await until(lambda: bool(held))
        ending = asyncio.create_task(there.connections.shut_down(20))
        assert await idle.read() == b""
        assert not ending.done()
        held[0].respond(CallbackResponse(b"answered"))
        answer = await reader.read()
        assert answer.endswith(b"answered")
        assert b"Connection: close" in answer
        await asyncio.wait_for(ending, 10)
        sitting.close()
        writer.close()


@pytest.mark.parametrize("data", catalogue())
def test_bytes_are_read_as_one_whole_callback_or_not_at_all(data: bytes) -> None:
    routes = {"/channels/test": CallbackRoute("test", "/channels/test", receive, lambda query, headers: None, ignore_note, CAP)}
    request = read_request(data, routes)
    if request is not None:
        assert data.endswith(b"\r\n\r\n" + request.body)
        for cut in range(len(data)):
            assert read_request(data[:cut], routes) is None
        assert read_request(data + b"P", routes) is None
