"""The command line in this thread, a platform beside it in another: for commands that speak to a platform and end."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import structlog
from sqlalchemy import Engine

from bot.cli.main import main

T = TypeVar("T")


@dataclass
class Shell:
    """`python -m bot …`: its status, standard output and standard error."""

    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def run(self, *words: str) -> tuple[int, str, str]:
        self.patch.setattr("sys.argv", ["bot", *words])
        self.capture.readouterr()
        status = 0
        try:
            main()
        except SystemExit as done:
            status = int(done.code or 0)
        out, err = self.capture.readouterr()
        return status, out, err

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json")[1])


@contextmanager
def shell_on(engine: Engine, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> Iterator[Shell]:
    patch.setenv("BOT_DATABASE_URL", str(engine.url))
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield Shell(capture, patch)
    # A command sends its log to a stream that ends with its test.
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@contextmanager
def elsewhere(standing: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """What stands in another thread's loop while a command runs in this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def do(work: Callable[[], Awaitable[Any]]) -> Any:
        async def done() -> Any:
            return await work()

        return asyncio.run_coroutine_threadsafe(done(), loop).result(10)

    try:
        found: T = do(standing.__aenter__)
        yield found
    finally:
        do(lambda: standing.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
