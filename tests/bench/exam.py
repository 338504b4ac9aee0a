"""The start of an exam: five thousand people begin within ten seconds, and all at once; each with a paper of fifty items of their own."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.bench import databases
from tests.bench.databases import ITEMS
from tests.bench.load import ask, opened, request, sealer
from tests.bench.server import LAST, pin, served
from tests.bench.table import note

CROWD = 5_000
WITHIN = 10.0
LATEST = 5.0
"""No reply may take longer (bot/docs/reliability.md P3)."""
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


def burst(place: Path, crowd: int, within: float) -> Started:
    """One start of the exam over a database of its own."""
    database = place / f"exam-{within:g}.db"
    url, platform = f"sqlite:///{database}", sealer()
    databases.prepare(url, crowd)
    databases.publish_exam(url)
    requests = [[request(platform, person, 0, "考试 开始 1")] for person in range(1, crowd + 1)]
    with served("product", url, database.with_suffix(".log")) as server:
        run = asyncio.run(ask(server.port, requests, over=within))
    begun = sum("开始计时" in opened(platform, answer) for answers in run.answers for answer in answers)
    with closing(sqlite3.connect(database)) as connection:
        attempts, sitters, items, spread = connection.execute(_KEPT).fetchone()
    how = f"{crowd:,} people within {within:g} s" if within else f"{crowd:,} people at once"
    return Started(how, crowd, begun, run.slowest, run.percentile(0.99), run.wall, attempts, sitters, items, (spread or 0) / 1000)


def report(*, quick: bool) -> bool:
    """Print both starts; True when the first is good, which the budget asks for. The load generator takes the last core, the service the first."""
    pin(LAST)
    starts = []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        for within in (WITHIN, 0.0):
            note("starting …")
            found = burst(Path(place), 300 if quick else CROWD, within / (5 if quick else 1))
            print(found, flush=True)
            starts.append(found)
    return starts[0].good
