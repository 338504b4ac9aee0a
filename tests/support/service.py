"""The service as a test starts it: in this process on a free port, or as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import Engine

from bot.app import build, run
from bot.channels.local import Persona
from bot.settings import Settings

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass
class RunningService:
    """A service that runs in this process."""

    app: build.App
    port: int
    stop: asyncio.Event
    said: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def settings(**more: Any) -> Settings:
    return Settings(**{"listen": "127.0.0.1:0", "web": {"local_chat": True}, **more})


@asynccontextmanager
async def running_service(engine: Engine, personas: Sequence[Persona] = (), **more: Any) -> AsyncIterator[RunningService]:
    """Serve on a free port for as long as the block lasts."""
    app = build.build(settings(**more), engine)
    stop = asyncio.Event()
    said: list[str] = []
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def announce(sentence: str) -> None:
        said.append(sentence)
        found = ADDRESS.search(sentence)
        if found and not ready.done():
            ready.set_result(int(found[1]))

    task = asyncio.create_task(run.serve(app, stop, announce, personas))
    task.add_done_callback(lambda ended: None if ready.done() else ready.set_exception(ended.exception() or AssertionError("never ready")))
    await ready
    try:
        yield RunningService(app, ready.result(), stop, said)
    finally:
        stop.set()
        assert await task, "the service did not end in time"


@dataclass
class Window:
    """A window of the local chat page, without the page."""

    socket: aiohttp.ClientWebSocketResponse
    hello: dict[str, Any] = field(default_factory=dict)

    async def next(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(await self.socket.receive_str(timeout=60))
        return frame

    async def send(self, **frame: Any) -> None:
        await self.socket.send_str(json.dumps(frame))

    async def say(self, ident: str, text: str, task: str = "", label: str = "") -> dict[str, Any]:
        """Say something and wait for the turn it became."""
        await self.send(type="say", id=ident, text=text, task=task, label=label)
        while True:
            frame = await self.next()
            if frame.get("id") == ident:
                return frame


@asynccontextmanager
async def window(session: aiohttp.ClientSession, url: str, who: str = "", since: str = "") -> AsyncIterator[Window]:
    """A window that was greeted."""
    query = {key: value for key, value in {"as": who, "since": since}.items() if value}
    async with session.ws_connect(f"{url}/chat/ws", params=query, timeout=aiohttp.ClientWSTimeout(ws_close=1)) as socket:
        made = Window(socket)
        made.hello = await made.next()
        yield made


# ── A process of its own ──


@dataclass
class Service:
    """`python -m bot …` in another process, on a database under a test's own directory."""

    process: asyncio.subprocess.Process
    out: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 300)


def environment(database: Path, port: int = 0) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BOT_")}
    return {**kept, "BOT_DATABASE_URL": f"sqlite:///{database}", "BOT_LISTEN": f"127.0.0.1:{port}"}


async def bot(*arguments: str, env: dict[str, str], said: str = "", cwd: Path = ROOT) -> tuple[int, str, str]:
    """Run one command to its end: status, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(said.encode()), 300)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def served(*arguments: str, env: dict[str, str]) -> AsyncIterator[Service]:
    """`python -m bot serve …`, ready; killed at the end where the test did not end it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "serve", *arguments, env=env, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    service = Service(process)
    assert process.stdout is not None
    try:
        while not service.port or len(service.out) < 2:
            line = (await asyncio.wait_for(process.stdout.readline(), 300)).decode()
            assert line, "the service ended before it was ready"
            service.out.append(line.strip())
            if found := ADDRESS.search(line):
                service.port = int(found[1])
        yield service
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
