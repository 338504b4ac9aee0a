"""Health, readiness and metrics of the service; and connections that do not finish a request are dropped."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import Engine, text

from bot.channels.local import Persona
from bot.storage.system import backups
from bot.web import middleware
from tests.support.service import running_service, window

ZHANG = Persona("nobody-1", "赵甲", "学员")


async def test_a_house_on_either_database_is_alive_and_ready(engine: Engine) -> None:
    async with running_service(engine) as service, aiohttp.ClientSession() as session:
        async with session.get(f"{service.url}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})
        async with session.get(f"{service.url}/readyz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok", "last_backup": None})


async def test_readiness_says_when_the_database_was_last_backed_up(engine: Engine) -> None:
    taken_at = datetime(2026, 11, 30, 18, tzinfo=UTC)
    async with running_service(engine) as service, aiohttp.ClientSession() as session:
        await service.app.database.write(lambda database: backups.record(database, taken_at, "/backups/xuefa-1", 4096, "0" * 64, "cli:ops"))
        async with session.get(f"{service.url}/readyz") as answer:
            assert await answer.json() == {"status": "ok", "last_backup": "2026-11-30T18:00:00+00:00"}


async def test_a_house_on_a_schema_of_tomorrow_is_alive_but_not_ready(sqlite_engine: Engine) -> None:
    async with running_service(sqlite_engine) as service, aiohttp.ClientSession() as session:
        with sqlite_engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        async with session.get(f"{service.url}/readyz") as answer:
            assert (answer.status, await answer.json()) == (503, {"status": "schema", "last_backup": None})
        async with session.get(f"{service.url}/healthz") as answer:
            assert answer.status == 200


async def test_a_house_whose_database_is_gone_is_not_ready(sqlite_engine: Engine) -> None:
    async with running_service(sqlite_engine) as service, aiohttp.ClientSession() as session:
        with sqlite_engine.begin() as connection:
            connection.execute(text("ALTER TABLE alembic_version RENAME TO gone"))
        async with session.get(f"{service.url}/readyz") as answer:
            assert (answer.status, await answer.json()) == (503, {"status": "database"})


async def test_what_was_heard_answered_and_committed_is_counted(sqlite_engine: Engine) -> None:
    async with running_service(sqlite_engine, [ZHANG]) as service, aiohttp.ClientSession() as session:
        async with window(session, service.url) as chat:
            await chat.say("count-me-1", "帮助")
            await chat.say("count-me-2", "每日")
        async with session.get(f"{service.url}/metrics") as answer:
            page = await answer.text()
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert 'bot_messages_heard_total{channel="local"} 2.0' in page
        assert 'bot_answers_total{channel="local"} 2.0' in page
        assert 'bot_reply_seconds_count{channel="local"} 2.0' in page
        assert "bot_queue_depth " in page
        assert 'bot_channel_on{channel="local"} 1.0' in page
        assert 'bot_channel_on{channel="wecom"} 0.0' in page
        commits = next(line for line in page.splitlines() if line.startswith("bot_commit_size_count"))
        assert float(commits.split()[1]) >= 2


async def test_a_name_that_nobody_declared_is_not_counted_in_silence(sqlite_engine: Engine) -> None:
    async with running_service(sqlite_engine) as service:
        with pytest.raises(KeyError):
            service.app.metrics.note("answerd", "local", 1)


async def test_every_answer_wears_the_same_coat(sqlite_engine: Engine) -> None:
    async with running_service(sqlite_engine) as service, aiohttp.ClientSession() as session:
        for path, status in (("/healthz", 200), ("/chat", 200), ("/chat/chat.css", 200), ("/nowhere", 404), ("/metrics", 200)):
            async with session.get(f"{service.url}{path}") as answer:
                assert answer.status == status, path
                assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'"), path
                assert answer.headers["X-Content-Type-Options"] == "nosniff", path
                assert answer.headers["X-Frame-Options"] == "DENY", path
                assert "Server" not in answer.headers, path
        async with session.put(f"{service.url}/healthz") as answer:
            assert (answer.status, await answer.text()) == (405, "bad request")


async def test_a_request_that_is_none_gets_one_short_answer(sqlite_engine: Engine) -> None:
    async with running_service(sqlite_engine) as service:
        for rubbish in (b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(rubbish)
            answer = (await asyncio.wait_for(reader.read(), 60)).decode()
            head, _, body = answer.partition("\r\n\r\n")
            assert " 400 " in head.splitlines()[0], answer
            assert body == "bad request"
            assert "aiohttp" not in answer
            assert "Python" not in answer
            writer.close()
            await writer.wait_closed()


# ── Requests that dribble in ──


@asynccontextmanager
async def door() -> AsyncIterator[int]:
    """A small application behind the guard, with a handler that reads its body and one that fails."""

    async def swallow(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def fail(request: web.Request) -> web.Response:
        raise ValueError("the password is hunter2-hunter2")

    made = web.Application(middlewares=[middleware.protect], client_max_size=middleware.LARGEST_BODY)
    made.on_response_prepare.append(middleware.add_headers)
    made.router.add_post("/swallow", swallow)
    made.router.add_get("/fail", fail)
    runner = web.AppRunner(made)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(middleware.connection_factory(runner.server, asyncio.get_running_loop()), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await runner.cleanup()


async def dribble(port: int, first: bytes, drop: bytes) -> float:
    """Seconds until the connection is closed for somebody who goes on sending a byte now and then, and would for ever."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    try:
        while True:
            try:
                if not await asyncio.wait_for(reader.read(1000), 0.1):
                    break
            except TimeoutError:
                writer.write(drop)
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return time.monotonic() - began


DRIBBLES = {
    "idle": (b"", b""),
    "head": (b"POST /swallow HTTP/1.1\r\nHost: x\r\n", b"a"),
    "body": (b"POST /swallow HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n", b"x"),
    "chunks": (b"POST /swallow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


def test_a_whole_request_may_take_ten_to_fifteen_seconds() -> None:
    assert 10 <= middleware.WHOLE_REQUEST_SECONDS <= 15


@pytest.mark.parametrize("kind", DRIBBLES)
async def test_whoever_does_not_finish_a_request_is_shown_out(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "WHOLE_REQUEST_SECONDS", 0.8)
    async with door() as port:
        assert await dribble(port, *DRIBBLES[kind]) > 0.5


async def test_a_second_request_on_a_connection_has_the_same_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "WHOLE_REQUEST_SECONDS", 0.8)
    whole = b"POST /swallow HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
    async with door() as port:
        assert await dribble(port, whole + b"POST /swallow HTTP/1.1\r\n", b"a") > 0.5


async def test_a_crowd_of_dribblers_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody of them is shown out while this lasts: whoever had to wait for them would wait for ever.
    monkeypatch.setattr(middleware, "WHOLE_REQUEST_SECONDS", 3_600.0)
    async with door() as port, aiohttp.ClientSession() as session:
        crowd = [asyncio.create_task(dribble(port, *DRIBBLES[kind])) for kind in DRIBBLES for _ in range(60)]
        for _ in range(50):
            async with session.post(f"http://127.0.0.1:{port}/swallow", data=b"y" * 1000) as answer:
                assert await answer.text() == "1000"
        assert not any(one.done() for one in crowd)
        for one in crowd:
            one.cancel()
        await asyncio.wait(crowd)


async def test_a_crowd_of_dribblers_is_shown_out_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "WHOLE_REQUEST_SECONDS", 0.8)
    async with door() as port:
        await asyncio.gather(*(dribble(port, *DRIBBLES[kind]) for kind in DRIBBLES for _ in range(60)))


async def test_an_error_of_ours_tells_a_stranger_nothing() -> None:
    async with door() as port, aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/fail") as answer:
        assert answer.status == 500
        assert "hunter2" not in await answer.text()
        assert "ValueError" not in await answer.text()


async def test_a_body_past_the_cap_is_refused() -> None:
    body = io.BytesIO(b"y" * (middleware.LARGEST_BODY + 1))
    async with door() as port, aiohttp.ClientSession() as session, session.post(f"http://127.0.0.1:{port}/swallow", data=body) as answer:
        assert (answer.status, await answer.text()) == (413, "bad request")


async def test_a_service_that_cannot_write_is_not_ready_until_it_can(sqlite_engine: Engine) -> None:
    async with running_service(sqlite_engine) as service, aiohttp.ClientSession() as session:
        with sqlite_engine.connect() as somebody:
            somebody.execute(text("SELECT 1"))  # BEGIN IMMEDIATE: the one write lock is taken
            async with session.get(f"{service.url}/readyz") as answer:
                assert answer.status == 503
                assert (await answer.json())["status"] == "write"
        await asyncio.sleep(1.1)
        async with session.get(f"{service.url}/readyz") as answer:
            assert answer.status == 200
