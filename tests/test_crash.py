"""kill -9 under load, twenty times: what was promised is there, once, with its effect (bot/docs/reliability.md C1, D5)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.bench import databases
from tests.bench.databases import ROOT, ROUND
from tests.bench.load import AES_KEY, AGENT, CORP, SECRET, TOKEN, ask, message_id, opened, request, sealer

KILLS = 20
PEOPLE = 600
PROMISED = 30
"""Answers that have come, at the least, before a kill: each kill has something to lose however slow the machine is."""
READY_SECONDS = 300
RETRIED = 10
_ITEM = re.compile(r"item:\d{4}:([^#]+)")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Service:
    """`python -m bot` over one database, as an operator runs it."""

    def __init__(self, database: Path) -> None:
        self.port = free_port()
        self.log = database.with_suffix(".log")
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BOT_")},
            "BOT_DATABASE_URL": f"sqlite:///{database}",
            "BOT_LISTEN": f"127.0.0.1:{self.port}",
            "BOT_WECOM__CORP_ID": CORP,
            "BOT_WECOM__AGENT_ID": AGENT,
            "BOT_WECOM__SECRET": SECRET,
            "BOT_WECOM__TOKEN": TOKEN,
            "BOT_WECOM__AES_KEY": AES_KEY,
            # Nobody listens there: what would go out beside an answer is not what is tested.
            "BOT_WECOM__API_BASE": "http://127.0.0.1:9",
            "BOT_WECOM__CARDS": "false",
        }

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """A service that answers 200 at /readyz; killed in the end, if it still lives."""
        with (
            self.log.open("ab") as log,
            subprocess.Popen(
                [sys.executable, "-m", "bot", "serve"], env=self.environ, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            ) as process,
        ):
            try:
                self._await(process)
                yield process
            finally:
                process.kill()

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        last = time.monotonic() + READY_SECONDS
        while process.poll() is None and time.monotonic() < last:
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (URLError, OSError):
                time.sleep(0.02)
        raise AssertionError(f"not ready:\n{self.log.read_text(encoding='utf-8', errors='replace')[-2000:]}")

    def export(self, what: str) -> list[dict[str, Any]]:
        done = subprocess.run([sys.executable, "-m", "bot", "export", what], env=self.environ, cwd=ROOT, capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.decode().splitlines()]


def said(answer: bytes) -> str:
    return opened(sealer(), answer)


async def until_killed(process: subprocess.Popen[bytes], port: int, requests: list[list[bytes]], count: int, later: float) -> list[list[bytes]]:
    """The answers that came before the service was killed, by person: it is killed `later` seconds after so many had come."""
    left = count
    enough = asyncio.Event()

    def answered() -> None:
        nonlocal left
        left -= 1
        if not left:
            enough.set()

    asking = asyncio.create_task(ask(port, requests, answered=answered))
    reached = asyncio.create_task(enough.wait())
    await asyncio.wait((asking, reached), return_when=asyncio.FIRST_COMPLETED)
    assert reached.done(), f"{left} of {count} answers did not come"
    await asyncio.sleep(later)
    process.kill()
    return (await asking).answers


@pytest.mark.timeout(900)
def test_after_twenty_kills_every_promise_is_kept_once_with_its_effect(tmp_path: Path) -> None:
    database = tmp_path / "bot.db"
    databases.prepare(f"sqlite:///{database}", PEOPLE)
    service = Service(database)
    rng = random.Random(20261123)
    platform = sealer()
    letter = {(person, n): rng.choice("ABCD") for person in range(1, PEOPLE + 1) for n in range(ROUND)}
    heard: list[list[str]] = [[] for _ in range(PEOPLE)]
    cut_short = 0

    for _ in range(KILLS):
        with service.serving() as process:
            left = [[request(platform, person, n, letter[person, n]) for n in range(len(texts), ROUND)] for person, texts in enumerate(heard, 1)]
            answers = asyncio.run(until_killed(process, service.port, left, PROMISED, rng.random() * 0.2))
        for texts, more in zip(heard, answers, strict=True):
            cut_short += len(texts) + len(more) < ROUND
            texts += [said(answer) for answer in more]

    promised = {(person, n) for person, texts in enumerate(heard, 1) for n, text in enumerate(texts) if text.startswith("已记录")}
    assert all(text.startswith("已记录") for texts in heard for text in texts), "nobody had a reason to be refused"
    assert len(promised) >= PROMISED * KILLS
    assert cut_short > KILLS, "the service was killed while people were answering"

    with service.serving() as process:
        # Whoever was cut off asks again and is answered; whoever was answered asks again and is told the same.
        unanswered = [(person, len(texts)) for person, texts in enumerate(heard, 1) if len(texts) < ROUND]
        again = asyncio.run(ask(service.port, [[request(platform, *one, letter[one])] for one in unanswered])).answers
        assert all(said(answer).startswith("已记录") for (answer,) in again)
        promised |= set(unanswered)
        known = rng.sample(sorted(promised - set(unanswered)), RETRIED)
        retried = asyncio.run(ask(service.port, [[request(platform, *one, letter[one])] for one in known])).answers
        assert [said(answer) for (answer,) in retried] == [heard[person - 1][n] for person, n in known]
        process.terminate()
        assert process.wait(60) == 0

    exported = service.export("answers")
    by_message = Counter(row["message_id"] for row in exported)
    assert by_message == Counter(message_id(*one) for one in promised), "each promise once, and nothing that was not promised"
    choice = {row["message_id"]: row["choice"] for row in exported}
    assert all(choice[message_id(*one)] == letter[one] for one in promised)

    earned = Counter((row["staff_no"], found[1]) for row in service.export("ledger") if (found := _ITEM.match(row["source"])))
    assert earned == Counter({(row["staff_no"], row["question"]): 1 for row in exported}), "each answer with its effect, once"
