"""The drill: a backup while people answer, the machine lost, a restore on a bare one, and every old message sent once more."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.bench import databases
from tests.bench.databases import ROOT, ROUND
from tests.bench.load import ask, message_id, request, sealer
from tests.test_crash import Service, said

PEOPLE = 60


@pytest.mark.timeout(900)
def test_after_a_restore_on_a_bare_machine_replays_add_nothing_and_the_service_goes_on(tmp_path: Path) -> None:
    database = tmp_path / "bot.db"
    databases.prepare(f"sqlite:///{database}", PEOPLE)
    service = Service(database)
    platform = sealer()
    rng = random.Random(20261201)
    letter = {(person, n): rng.choice("ABCD") for person in range(1, PEOPLE + 1) for n in range(ROUND)}
    half = ROUND // 2

    with service.serving() as process:
        first = asyncio.run(
            ask(service.port, [[request(platform, person, n, letter[person, n]) for n in range(half)] for person in range(1, PEOPLE + 1)])
        )
        backup, second = asyncio.run(_backup_while_answering(service, letter, half, tmp_path / "backups"))
        process.kill()
    heard = {(person, n): said(answer) for person, answers in enumerate(first.answers, 1) for n, answer in enumerate(answers)}
    assert all(text.startswith("已记录") for text in heard.values())
    assert len(heard) == PEOPLE * half
    assert all(len(answers) == ROUND - half for answers in second)

    # Everything that was acknowledged before the backup began is in it; of what came while it ran, a whole beginning.
    assert PEOPLE * half <= backup["counts"]["answers"] <= PEOPLE * ROUND
    assert backup["counts"]["entries"] == backup["counts"]["answers"], "each answer with its effect"

    bare = Service(tmp_path / "bare machine" / "bot.db")
    restored = _bot(bare, "restore", str(tmp_path / "backups"), "--json")
    assert restored["counts"] == backup["counts"]
    before = bare.export("answers")
    assert len(before) == backup["counts"]["answers"]

    with bare.serving() as process:
        replayed = sorted(heard)
        again = asyncio.run(ask(bare.port, [[request(platform, person, n, letter[person, n])] for person, n in replayed])).answers
        assert [said(answer) for (answer,) in again] == [heard[key] for key in replayed], "the same words as before the loss"
        assert bare.export("answers") == before, "a replay adds nothing"
        # What the lost machine had answered after the backup is asked once more, and is recorded now.
        lost = [key for key in letter if message_id(*key) not in {row["message_id"] for row in before}]
        people_late = sorted({person for person, _ in lost})
        again_late = [[request(platform, person, n, letter[person, n]) for who, n in sorted(lost) if who == person] for person in people_late]
        late = asyncio.run(ask(bare.port, again_late)).answers
        assert all(said(answer).startswith("已记录") for answers in late for answer in answers)
        process.terminate()
        assert process.wait(60) == 0
    assert Counter(row["message_id"] for row in bare.export("answers")) == Counter(message_id(*key) for key in letter)
    assert len(bare.export("ledger")) == PEOPLE * ROUND


async def _backup_while_answering(
    service: Service, letter: dict[tuple[int, int], str], since: int, folder: Path
) -> tuple[dict[str, dict[str, int]], list[list[bytes]]]:
    """A backup by the command line beside people who answer the second half of their round."""
    platform = sealer()
    rest = [[request(platform, person, n, letter[person, n]) for n in range(since, ROUND)] for person in range(1, PEOPLE + 1)]
    answering = asyncio.create_task(ask(service.port, rest))
    backup = await asyncio.to_thread(_bot, service, "backup", str(folder), "--json")
    return backup, (await answering).answers


def _bot(service: Service, *words: str) -> dict[str, dict[str, int]]:
    done = subprocess.run([sys.executable, "-m", "bot", *words], env=service.environ, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    result: dict[str, dict[str, int]] = json.loads(done.stdout)
    return result
