"""The start of an exam: five thousand people begin within ten seconds, and all at once; each with a paper of fifty items of their own."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlmodel import Session

from bot.domain.campaign.campaign import Author
from bot.domain.exam.blueprint import parse_blueprint
from bot.domain.exam.exam import WantedExam
from bot.domain.people.audience import All
from bot.services.exam import manage
from bot.services.library.catalog import read_catalog
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.files.loader import load_library
from tests.bench import people as people_module
from tests.bench.answers import note, server
from tests.bench.load import ask, codec, opened, request

CROWD = 5_000
WITHIN = 10.0
LATEST = 5.0
"""No reply may take longer (bot/docs/reliability.md P3)."""
ITEMS = 50
BLUEPRINT = "单选 30×2、多选 10×3、判断 10×1；案例≥30%；60 分钟；及格 60%；每题最多用 2000 次"
_KEPT = """SELECT (SELECT COUNT(*) FROM attempt), (SELECT COUNT(DISTINCT person_id) FROM attempt), (SELECT COUNT(*) FROM sitting_item i
    JOIN attempt t ON t.sitting_id = i.sitting_id), (SELECT MAX(difficulty) - MIN(difficulty) FROM attempt)"""


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a burst: replies that say that the clock runs, seconds of the slowest and of most, and what the database has of it."""

    how: str
    people: int
    begun: int
    slowest: float
    p99: float
    wall: float
    attempts: int
    sitters: int
    items: int
    spread: float

    @property
    def good(self) -> bool:
        whole = (self.begun, self.attempts, self.sitters, self.items) == (self.people, self.people, self.people, self.people * ITEMS)
        return whole and self.slowest <= LATEST and self.spread <= 0.03

    def __str__(self) -> str:
        return (
            f"{self.how}: {self.begun}/{self.people} began, slowest reply {self.slowest:.2f} s, p99 {self.p99:.2f} s, all within {self.wall:.1f} s; "
            f"{self.attempts} attempts of {self.sitters} people, {self.items} items, spread of the mean difficulty {self.spread:.3f} "
            f"({'good' if self.good else 'NOT good'}: none lost, none double, none over {LATEST:g} s)"
        )


def prepared(path: Path, crowd: int) -> None:
    """So many people, and an exam that is open to all of them."""
    people_module.prepared(path, crowd)
    library, _ = load_library(people_module.ROOT)
    database = Database(open_engine(f"sqlite:///{path}"))
    now = datetime.now(UTC)

    def work(session: Session) -> None:
        catalog, author = read_catalog(session, library), Author("bench", "bench")
        wanted = WantedExam("开考", parse_blueprint(BLUEPRINT), All(), now - timedelta(minutes=1), now + timedelta(hours=3))
        manage.publish(session, catalog, author, manage.create(session, catalog, author, wanted, now), now)

    database.write_now(work)
    database.engine.dispose()


def burst(place: Path, crowd: int, within: float) -> Started:
    """One start of the exam over a database of its own."""
    database = place / f"exam-{within:g}.db"
    prepared(database, crowd)
    sealer = codec()
    requests = [[request(sealer, person, 0, "考试 开始 1")] for person in range(1, crowd + 1)]
    with server("product", database) as port:
        run = asyncio.run(ask(port, requests, over=within))
    begun = sum("开始计时" in opened(sealer, answer) for answers in run.answers for answer in answers)
    with closing(sqlite3.connect(database)) as db:
        attempts, sitters, items, spread = db.execute(_KEPT).fetchone()
    how = f"{crowd:,} people within {within:g} s" if within else f"{crowd:,} people at once"
    return Started(how, crowd, begun, run.slowest, run.percentile(0.99), run.wall, attempts, sitters, items, (spread or 0) / 1000)


def report(*, quick: bool) -> bool:
    """Print both starts; True when the first is good, which the budget asks for. The load generator takes the last core, the service the first."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    starts = []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        for within in (WITHIN, 0.0):
            note("starting …")
            found = burst(Path(place), 300 if quick else CROWD, within / (5 if quick else 1))
            print(found, flush=True)
            starts.append(found)
    return starts[0].good
