"""`python -m tests.bench [PART …]`: what was measured, beside the budget (bot/docs/performance.md). Without a part: the whole table of answers."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bench.answers import Bench, postgres_server
from tests.bench.server import LAST, pin
from tests.bench.service import start_rows
from tests.bench.table import Row, table


class Parts:
    """The parts of the table; `bench` is over SQLite files."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.of_table: dict[str, Callable[[], Iterable[Row]]] = {
            "answers": bench.against_all,
            "floor": lambda: [bench.storage_floor()],
            "cores": lambda: [bench.all_cores()],
            "burst": lambda: [bench.burst(slow=False), bench.burst(slow=True)],
            "postgres": self.postgres,
            "start": lambda: start_rows(bench.fresh("product"), bench.rounds),
        }

    def postgres(self) -> Iterable[Row]:
        bench = self.bench
        with postgres_server() as url:
            there = Bench(bench.place, rounds=bench.rounds, seconds=bench.seconds, askers=bench.askers, crowd=bench.askers, where=url)
            return [*there.on_postgres(), there.replicas()]


def _push(quick: bool, kill: bool) -> bool:
    from tests.bench import push

    if not kill:
        pushed = push.push(800 if quick else 5_000)
        print(pushed)
        return quick or pushed.good
    outcome = push.kill(400 if quick else 5_000)
    print(outcome)
    return (outcome.missed, outcome.twice) == (0, 0) and outcome.states.get("unknown", 0) <= outcome.in_flight


def _occurrences(quick: bool) -> bool:
    from tests.bench import push

    outcome = push.occurrences(*((100, 5) if quick else (1_000, 40)))
    print(outcome)
    return (outcome.fired, outcome.twice, outcome.missed, outcome.sent_twice) == (outcome.due, 0, 0, 0)


def _memory(quick: bool) -> bool:
    from tests.bench import memory

    words, good = memory.report(4 if quick else 40)
    print(words)
    return quick or good


def _exam(quick: bool) -> bool:
    from tests.bench import exam

    return exam.report(quick=quick) or quick


def _live(quick: bool) -> bool:
    from tests.bench.live import report

    return report(quick=quick)


def _office(quick: bool) -> bool:
    from tests.bench import office

    return office.report(quick=quick)


def _deliveries(quick: bool) -> bool:
    from tests.bench import deliveries

    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        cost = deliveries.measure(Path(place), 2_000 if quick else 100_000)
    print(cost)
    return quick or cost.good


ALONE: dict[str, Callable[[bool], bool]] = {
    "deliveries": _deliveries,
    "exam": _exam,
    "live": _live,
    "memory": _memory,
    "occurrences": _occurrences,
    "office": _office,
    "push": lambda quick: _push(quick, kill=False),
    "push-kill": lambda quick: _push(quick, kill=True),
}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
        names = [*Parts(Bench(Path(place), rounds=1, seconds=1.0)).of_table]
        parser.add_argument("parts", nargs="*", metavar="PART", help=f"of the table: {', '.join(names)}; by itself: {', '.join(ALONE)}")
        parser.add_argument("--quick", action="store_true", help="100 askers, 500 people, one round: does it run")
        parser.add_argument("--rounds", type=int, help="paired rounds (3)")
        parser.add_argument("--seconds", type=float, help="seconds of each run (3)")
        parser.add_argument("--analyze", action="store_true", help="give the database statistics, which the product itself never makes")
        given = parser.parse_args()
        if unknown := set(given.parts) - {*names, *ALONE}:
            parser.error(f"unknown: {', '.join(sorted(unknown))}")
        good = True
        if parts := [name for name in names if name in given.parts or not given.parts]:
            many = (100, 500) if given.quick else (1_000, 5_000)
            rounds, seconds = given.rounds or (1 if given.quick else 3), given.seconds or (1.0 if given.quick else 3.0)
            bench = Bench(Path(place), rounds=rounds, seconds=seconds, askers=many[0], crowd=many[1], analyze=given.analyze)
            pin(LAST)
            made = Parts(bench).of_table
            rows: list[Row] = []
            said = [f"{rounds} rounds of {seconds:g} s", *(["with statistics"] if given.analyze else []), *(["quick form"] if given.quick else [])]
            try:
                for name in parts:
                    rows += made[name]()
            finally:
                # What was measured before a part failed took minutes, too.
                print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores, {', '.join(said)}")
                print(f"load of the machine at the end {os.getloadavg()[0]:.1f}")
                print(table(rows))
            good = given.quick or all(row.good for row in rows)
        for name in given.parts:
            if name in ALONE:
                good &= ALONE[name](given.quick)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
