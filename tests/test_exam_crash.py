"""kill -9 in the middle of an exam, a few times: every answer that was promised stands once on its own item, and the result counts it.

See bot/docs/reliability.md C1.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.bench import databases
from tests.bench.load import ask, message_id, request, sealer
from tests.test_crash import Service, said

KILLS = 4
PEOPLE = 150
ITEMS = 16
"""Places that each of them answers, of fifty."""
_PLACE = re.compile(r"已记录：第 (\d+) 题")
_RESULTS = """SELECT t.person_id, t.state, t.score, (SELECT COALESCE(SUM(i.points * a.earned / 1000), 0) FROM answer a
    JOIN sitting_item i ON i.sitting_id = a.sitting_id AND i.n = a.n WHERE a.sitting_id = t.sitting_id) FROM attempt t"""


async def killed_after(process: subprocess.Popen[bytes], port: int, requests: list[list[bytes]], database: Path, count: int) -> list[list[bytes]]:
    """The answers that came before the service was killed, which is when the database holds so many."""
    asking = asyncio.create_task(ask(port, requests))
    with closing(sqlite3.connect(database)) as db:
        while not asking.done() and db.execute("SELECT COUNT(*) FROM answer").fetchone()[0] < count:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    process.kill()
    return (await asking).answers


@pytest.mark.timeout(900)
def test_an_exam_survives_kills_with_every_answer_on_its_item_and_in_the_result(tmp_path: Path) -> None:
    database = tmp_path / "bot.db"
    url = f"sqlite:///{database}"
    databases.prepare(url, PEOPLE)
    databases.publish_exam(url)
    service = Service(database)
    rng = random.Random(20261201)
    platform = sealer()
    # A and B are letters of every choice and, for a judgement, 对 and 错.
    words = {(person, n): f"{n}{rng.choice('AB')}" if n else "考试 开始 1" for person in range(1, PEOPLE + 1) for n in range(ITEMS + 1)}
    heard: list[list[str]] = [[] for _ in range(PEOPLE)]

    for kill in range(1, KILLS + 1):
        with service.serving() as process:
            left = [[request(platform, person, n, words[person, n]) for n in range(len(texts), ITEMS + 1)] for person, texts in enumerate(heard, 1)]
            answers = asyncio.run(killed_after(process, service.port, left, database, kill * PEOPLE * ITEMS // (KILLS + 1)))
        for texts, more in zip(heard, answers, strict=True):
            texts += [said(answer) for answer in more]

    promised = {(person, n): text for person, texts in enumerate(heard, 1) for n, text in enumerate(texts) if n}
    assert all("考试《开考》开始计时" in texts[0] for texts in heard if texts)
    for (_, n), text in promised.items():
        found = _PLACE.match(text)
        assert found is not None, text
        assert int(found[1]) == n
    assert PEOPLE < len(promised) < PEOPLE * ITEMS, "the service was killed while people were answering"

    with service.serving() as process:
        rest = [(person, n) for person, texts in enumerate(heard, 1) for n in range(len(texts), ITEMS + 1)]
        of_person = {person: [request(platform, person, n, words[person, n]) for who, n in rest if who == person] for person, _ in rest}
        caught_up = asyncio.run(ask(service.port, list(of_person.values()))).answers
        assert all(said(one).startswith("已记录：第") or "考试《开考》" in said(one) for texts in caught_up for one in texts)
        promised |= {place: "" for place in rest if place[1]}
        done = asyncio.run(ask(service.port, [[request(platform, person, 90, "确认交卷")] for person in range(1, PEOPLE + 1)])).answers
        assert all(said(answer).startswith("已记录：考试《开考》已于") and f"答了 {ITEMS}/50 题" in said(answer) for (answer,) in done)
        process.terminate()
        assert process.wait(60) == 0

    by_message = Counter(row["message_id"] for row in service.export("answers"))
    assert by_message == Counter(message_id(*place) for place in promised), "each promise once, and nothing that was not promised"
    with closing(sqlite3.connect(database)) as db:
        results = db.execute(_RESULTS).fetchall()
        replies = [json.loads(row[0])["text"] for row in db.execute("SELECT reply FROM inbox")]
    assert sorted(row[0] for row in results) == list(range(1, PEOPLE + 1)), "one attempt each"
    assert all(state == "closed" and score == earned for _, state, score, earned in results)
    assert not any("正确" in text or "解析" in text for text in replies), "no verdict before the end"
