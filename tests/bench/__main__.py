"""`python -m tests.bench [answers|push|occurrences|memory|exam|live] [--quick] [--rounds N] [--kill]`: what was measured, against the budget."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys

from tests.bench.answers import Row, measured


def table(rows: list[Row]) -> str:
    head = ("what", "measured", "spread", "first release", "goal", "reached")
    lines = [(row.what, row.measured, row.spread, row.least, row.goal, _word(row)) for row in rows]
    widths = [max(len(line[at]) for line in (head, *lines)) for at in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in (head, *lines))


def _word(row: Row) -> str:
    return "goal" if row.at_goal else "yes" if row.reached else "no"


def _push(quick: bool, kill: bool) -> int:
    from tests.bench import push

    if not kill:
        found = push.push(800 if quick else 5_000)
        print(found)
        return 0 if quick or found.good else 1
    came = push.kill(400 if quick else 5_000)
    print(came)
    return 0 if (came.missed, came.twice) == (0, 0) and came.states.get("unknown", 0) <= came.in_flight else 1


def _occurrences(quick: bool) -> int:
    from tests.bench import push

    found = push.occurrences(*((100, 5) if quick else (1_000, 40)))
    print(found)
    return 0 if (found.fired, found.twice, found.missed, found.sent_twice) == (found.due, 0, 0, 0) else 1


def _memory(quick: bool) -> int:
    from tests.bench import memory

    said, good = memory.report(4 if quick else 40)
    print(said)
    return 0 if quick or good else 1


def _exam(quick: bool) -> int:
    from tests.bench import exam

    return 0 if exam.report(quick=quick) or quick else 1


def _live(quick: bool) -> int:
    from tests.bench.live import report

    return 0 if report(quick=quick) else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("answers", "push", "occurrences", "memory", "exam", "live"), default="answers")
    parser.add_argument("--kill", action="store_true", help="push: kill -9 in the middle of it")
    parser.add_argument("--quick", action="store_true", help="100 askers, 500 people, one round: does it run")
    parser.add_argument("--rounds", type=int, help="paired rounds (3)")
    given = parser.parse_args()
    if given.what == "push":
        return _push(given.quick, given.kill)
    if given.what == "occurrences":
        return _occurrences(given.quick)
    if given.what == "memory":
        return _memory(given.quick)
    if given.what == "exam":
        return _exam(given.quick)
    if given.what == "live":
        return _live(given.quick)
    rows = measured(quick=given.quick, rounds=given.rounds)
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores{', quick form' if given.quick else ''}")
    print(table(rows))
    return 0 if given.quick or all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
