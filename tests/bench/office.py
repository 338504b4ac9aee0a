"""Answers while the office works: a hundred a second beside an import, a year's xlsx, a correction and a push: `python -m tests.bench office`.

The service stands as `python -m bot serve` builds it, on SQLite; import, report and correction are the commands that an administrator runs on the
same machine. Those who answer have a round of questions in hand; the push and the correction are for others, who sat an exam before.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from aiohttp.test_utils import TestServer
from sqlalchemy import text

from bot.domain.campaign.content import CampaignContent
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from tests.bench import databases
from tests.bench.databases import ROOT, ROUND
from tests.bench.load import RECORDED, ask, opened, outbox, request, sealer
from tests.bench.server import ALL, free_port, served
from tests.bench.service import environment
from tests.bench.table import Row, note, table
from tests.support.kills import Platform
from tests.support.queued_deliveries import queue_campaign

SITTERS, ANSWERERS, RATE = 5_000, 2_000, 100
OFFSET = 10_000
"""Staff numbers of people who are new in the import begin here."""


def _run(url: str, *words: str) -> tuple[str, float, int, str]:
    """One command of an administrator: its words, wall seconds, status, and the end of what it said."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "bot", *words], cwd=ROOT, env=environment(url, free_port()), capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    return " ".join(words[:3]), time.perf_counter() - began, done.returncode, said[-300:]


def _sit_exam(url: str, place: Path, sitters: int) -> str:
    """Everybody up to that number sits the exam and answers one question; the question that most papers hold, once the exam is closed."""
    databases.publish_exam(url)
    platform = sealer()
    sitting = [[request(platform, person, 90, "考试 开始 1"), request(platform, person, 91, "1A")] for person in range(1, sitters + 1)]
    with outbox() as sent, served("product", url, place / "sitting.log", outbound=sent.url, on=ALL) as server:
        asyncio.run(ask(server.port, sitting, over=sitters / 200))
    label, _, status, said = _run(url, "exam", "close", "1", "--reason", "到点", "--apply")
    if status:
        raise RuntimeError(f"{label}: {said}")
    engine = open_engine(url)
    with engine.connect() as connection:
        most = (
            """SELECT i.question, COUNT(*) FROM sitting_item i JOIN attempt t ON t.sitting_id = i.sitting_id GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"""
        )
        question, papers = connection.execute(text(most)).one()
        connection.execute(text("INSERT INTO role (person_id, role) VALUES (1, 'admin')"))
        connection.commit()
    engine.dispose()
    note(f"{sitters} papers, of which {papers} hold {question}")
    return str(question)


def _roster(place: Path, people: int, more: int) -> Path:
    """Everybody who is there, and so many who are new."""
    numbers = [*range(1, people + 1), *range(OFFSET, OFFSET + more)]
    file = place / "roster.csv"
    file.write_text("工号,姓名,单位,层级\n" + "".join(f"B{n:05d},学员{n},某局,公务员\n" for n in numbers), encoding="utf-8")
    return file


async def _worked(url: str, place: Path, sitters: int, answerers: int, rate: int, commands: list[tuple[str, ...]]) -> list[Row]:
    sink, done = Platform(0.02), asyncio.Event()
    sink.at = lambda reached: done.set() if reached >= sitters else None
    every = answerers / rate
    platform, database = sealer(), Database(open_engine(url))
    people = range(sitters + 1, sitters + answerers + 1)
    requests = [[request(platform, person, n, "ABCD"[(person + n) % 4]) for n in range(ROUND)] for person in people]
    async with TestServer(sink.application()) as sent:
        with served("product", url, place / "office.log", outbound=str(sent.make_url("")).rstrip("/"), on=ALL) as server:
            asking = asyncio.create_task(ask(server.port, requests, 120, over=every, every=every))
            await asyncio.sleep(3)
            # A notice to many goes out in few calls, as WeCom takes a thousand people in one.
            notice = CampaignContent("invitation", target="竞赛 1", text="竞赛马上开始")
            await asyncio.to_thread(
                database.write_now,
                lambda session: queue_campaign(session, range(1, sitters + 1), content=notice, rule={"quiet": False}, now=datetime.now(UTC)),
            )
            worked = await asyncio.gather(*(asyncio.to_thread(_run, url, *words) for words in commands))
            took = max(seconds for _, seconds, _, _ in worked)
            run = await asking
            lag = float(server.told()["lag"])
    database.engine.dispose()
    for label, seconds, status, said in worked:
        note(f"{label}: {seconds:.1f} s, status {status}" + (f": {said}" if status else ""))
    words = [opened(platform, answer) for answers in run.answers for answer in answers]
    recorded = sum(RECORDED in said for said in words)
    late = sum(said == "success" for said in words)
    beside = f"{run.count:,} answers, {recorded:,} recorded at once, {late} late; the office took {took:.0f} s; {sink.reached.total():,} reached"
    kept = recorded + late == run.count and not any(status for _, _, status, _ in worked)
    return [
        Row(
            f"p99 at {rate} answers a second while the office works", (run.percentile(0.99) * 1000,), "{:.0f} ms", None, 100, beside=beside, kept=kept
        ),
        Row("lag of the loop meanwhile, longest", (lag * 1000,), "{:.0f} ms", None, 50),
    ]


def report(*, quick: bool) -> bool:
    """Print it; True when everything was done and every answer recorded."""
    sitters, answerers, rate = (200, 100, 20) if quick else (SITTERS, ANSWERERS, RATE)
    with tempfile.TemporaryDirectory(prefix="bench-office-") as folder:
        place = Path(folder)
        url = f"sqlite:///{place / 'office.db'}"
        databases.prepare(url, sitters + answerers)
        question = _sit_exam(url, place, sitters)
        roster = _roster(place, sitters + answerers, sitters)
        commands = [
            ("roster", "import", str(roster), "--apply"),
            ("report", "名单", "--format", "xlsx", "--out", str(place / "year.xlsx")),
            ("exam", "correct", "1", question, "送分", "--reason", "题干有误", "--second", "B00001", "--apply"),
        ]
        rows = asyncio.run(_worked(url, place, sitters, answerers, rate, commands))
    print(table(rows))
    return all(row.good for row in rows)
