"""The answer path through real HTTP: the first four rows of the budget, each as a ratio taken in paired rounds on this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.channels.signature import EnvelopeCodec
from tests.bench import people
from tests.bench.load import Run, ask, codec, opened, request
from tests.bench.naive import has_aiosqlite

ASKERS = 1_000
CROWD = 5_000
SLOW_FLUSH = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
static int slowed(const char *name, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    usleep(5000);
    return real(file);
}
int fsync(int file) { return slowed("fsync", file); }
int fdatasync(int file) { return slowed("fdatasync", file); }
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured, how it varied, and what the budget asks."""

    what: str
    measured: str
    spread: str
    least: str
    goal: str
    reached: bool
    at_goal: bool


@contextmanager
def server(kind: str, database: Path, *, preload: Path | None = None, profile: Path | None = None) -> Iterator[int]:
    """A server on the first core; its port."""
    environ = {**os.environ, **({"LD_PRELOAD": str(preload)} if preload else {})}
    words = [sys.executable, "-m", "tests.bench.server", kind, str(database)] + (["--profile", str(profile)] if profile else [])
    log = database.with_suffix(".log")
    with log.open("wb") as errors, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ, cwd=people.ROOT) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                raise RuntimeError(f"the {kind} server did not start: {log.read_text(encoding='utf-8')[-1000:]}")
            yield int(port)
        finally:
            process.terminate()
            process.wait(60)


class Bench:
    """One table's worth of runs over copies of one prepared database."""

    def __init__(self, place: Path, *, rounds: int, seconds: float, crowd: int = CROWD, askers: int = ASKERS) -> None:
        self.place, self.rounds, self.seconds, self.crowd, self.askers = place, rounds, seconds, crowd, askers
        self.sealer: EnvelopeCodec = codec()
        self.fresh = place / "fresh.db"
        people.prepared(self.fresh, max(crowd, askers))

    def run(self, kind: str, askers: int, each: int, seconds: float | None, *, preload: Path | None = None, profile: Path | None = None) -> Run:
        """One run against a server of its own; what was promised is held against what the database has."""
        database = self.place / f"{kind}.db"
        for old in self.place.glob(f"{kind}.db*"):
            old.unlink()
        shutil.copyfile(self.fresh, database)
        requests = [[request(self.sealer, person, n, "ABCD"[(person + n) % 4]) for n in range(each)] for person in range(1, askers + 1)]
        with server(kind, database, preload=preload, profile=profile) as port:
            run = asyncio.run(ask(port, requests, seconds))
        if kind != "bare":
            self._hold_to(run, database, askers, each, seconds)
        return run

    def _hold_to(self, run: Run, database: Path, askers: int, each: int, seconds: float | None) -> None:
        promised: set[tuple[int, int]] = set()
        for person, answers in enumerate(run.answers, 1):
            for n, answer in enumerate(answers):
                said = opened(self.sealer, answer)
                if "已记录" not in said:
                    raise RuntimeError(f"person {person}, message {n}: {said[:300]}")
                promised.add((person, n))
        if seconds is None and len(promised) != askers * each:
            raise RuntimeError(f"{askers * each} were sent, {len(promised)} were answered")
        found = people.kept(database, promised)
        if not found.whole or found.answers < len(promised):
            raise RuntimeError(f"{len(promised)} promised, {found}")

    def against_bare_and_naive(self) -> list[Row]:
        shares, times, rates, naives = [], [], [], []
        for _ in range(self.rounds):
            bare = self.run("bare", self.askers, 400, self.seconds).rate
            ours = self.run("product", self.askers, people.ROUND, self.seconds).rate
            naive = self.run("naive", self.askers, people.ROUND, self.seconds).rate
            rates.append(ours)
            naives.append(naive)
            shares.append(ours / bare)
            times.append(ours / naive)
            note(f"round: bare {bare:,.0f}/s, product {ours:,.0f}/s, naive {naive:,.0f}/s")
        share, ratio = statistics.median(shares), statistics.median(times)
        how = "async SQLModel session on aiosqlite" if has_aiosqlite() else "SQLModel session in a thread"
        first = f"answers/s, {self.askers:,} askers, FULL, as a share of a bare POST"
        second = f"the same against a naive handler ({how})"
        return [
            Row(first, f"{share:.2f} ({statistics.median(rates):,.0f}/s)", _spread(shares, 2), "0.15", "0.40", share >= 0.15, share >= 0.40),
            Row(second, f"{ratio:.1f} x ({statistics.median(naives):,.0f}/s)", _spread(times, 1), "6 x", "15 x", ratio >= 6, ratio >= 15),
        ]

    def burst(self, *, slow: bool) -> Row:
        preload = slow_flush(self.place) if slow else None
        slowest = []
        for _ in range(self.rounds):
            run = self.run("product", self.crowd, 1, None, preload=preload)
            slowest.append(run.slowest)
            note(f"burst: slowest {run.slowest:.2f} s, p99 {run.percentile(0.99):.2f} s")
        worst, (least, goal) = max(slowest), (5.0, 2.5) if slow else (4.0, 1.5)
        what = (
            "the same with every flush slowed by 5 ms" if slow else f"burst of {self.crowd:,} people at once: slowest reply, none lost, none double"
        )
        return Row(what, f"{worst:.2f} s", _spread(slowest, 2), f"{least:g} s", f"{goal:g} s", worst <= least, worst <= goal)


def _spread(found: list[float], digits: int) -> str:
    return f"{min(found):.{digits}f}-{max(found):.{digits}f}"


def slow_flush(place: Path) -> Path:
    """The stand-in for a slow disk, compiled here and now. RuntimeError without a C compiler."""
    made = place / "slow.so"
    if not made.exists():
        source = place / "slow.c"
        source.write_text(SLOW_FLUSH, encoding="ascii")
        cc = shutil.which("cc") or shutil.which("gcc")
        if cc is None:
            raise RuntimeError("the slow disk needs a C compiler (cc)")
        subprocess.run([cc, "-shared", "-fPIC", "-O2", "-o", str(made), str(source), "-ldl"], check=True)
    return made


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measured(*, quick: bool, rounds: int | None = None) -> list[Row]:
    """All rows. The load generator takes the last core, the servers the first."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        bench = (
            Bench(Path(place), rounds=rounds or 1, seconds=1.0, crowd=500, askers=100)
            if quick
            else Bench(Path(place), rounds=rounds or 3, seconds=3.0)
        )
        rows = bench.against_bare_and_naive()
        rows.append(bench.burst(slow=False))
        rows.append(bench.burst(slow=True))
        return rows
