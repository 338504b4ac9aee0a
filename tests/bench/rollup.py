"""How long the roll-up of a year takes, and an xlsx of everybody: `python -m tests.bench.rollup [PEOPLE] [ENTRIES]`, a table at the end.

Fills a SQLite file of its own with PEOPLE people in 400 units and ENTRIES ledger entries each (synthetic; the running totals are made from
them by one statement), then times each figure in a process of its own, so that the peak of memory is that figure's. Budgets: bot/docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from bot.domain.hours.policy import HoursPolicy, RuleVersion
from bot.domain.reports import ReportQuery, Scope
from bot.services.reports import formats
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine, ping
from bot.storage.reports.registry import REPORTS
from bot.storage.tables.hours import CATEGORIES

UNITS = 400
YEAR = 2026
TODAY = date(2026, 11, 20)
POLICY = HoursPolicy(
    (
        RuleVersion("D1", 1, date(2025, 1, 1), {"seconds_per_hour": 2700}),
        RuleVersion(
            "D11",
            1,
            date(2025, 1, 1),
            {"quota": {"领导干部": "40", "公务员": "40", "事业人员": "24", "执法人员": "60"}, "collective": {"领导干部": "12"}},
        ),
    )
)
TIERS = ("公务员", "公务员", "事业人员", "执法人员", "领导干部", "")


def fill(path: Path, people: int, entries: int) -> None:
    """The agency and its year, written in one go."""
    from bot.storage.migrations.migrate import migrate

    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    rng = random.Random(7)
    at = "2026-01-01T00:00:00.000000Z"
    with engine.begin() as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute("INSERT INTO unit (id, parent_id, name, path) VALUES (1, NULL, '某市', '某市')")
        units = (
            (2 + n, 1 if n < 20 else 2 + n % 20, f"单位{n}", f"某市/单位{n}" if n < 20 else f"某市/单位{n % 20}/单位{n}") for n in range(UNITS - 1)
        )
        raw.executemany("INSERT INTO unit (id, parent_id, name, path) VALUES (?, ?, ?, ?)", units)
        raw.executemany(
            "INSERT INTO person (id, staff_no, name, tier, recorded_at) VALUES (?, ?, ?, ?, ?)",
            ((n, f"{n:07}", f"学员{n}", TIERS[n % 6], at) for n in range(1, people + 1)),
        )
        posts = [(n, 2 + n % (UNITS - 1), "2020-01-01") for n in range(1, people + 1)]
        posts += [(n, 2 + (n + 7) % (UNITS - 1), "2020-01-01") for n in range(1, people + 1, 50)]
        raw.executemany("INSERT INTO post (person_id, unit_id, since) VALUES (?, ?, ?)", posts)
        days = [(date(YEAR, 1, 1) + timedelta(n)).isoformat() for n in range(320)]
        raw.executemany(
            """INSERT INTO ledger (person_id, category, credit_seconds, day, law, required, source_kind, source_id, rule, rule_version,
                                   recorded_at, recorded_by) VALUES (?, ?, ?, ?, '', 0, 'bench', ?, 'D2', 1, ?, 'system')""",
            (
                (n, CATEGORIES[k % len(CATEGORIES)], rng.randrange(60, 4000), day, str(k), f"{day}T04:00:00.000000Z")
                for k in range(entries)
                for day in (days[k * 319 // max(entries, 1)],)
                for n in range(1, people + 1)
            ),
        )
        raw.execute(
            """INSERT INTO year_total (person_id, year, category, seconds, items)
               SELECT person_id, CAST(substr(day, 1, 4) AS INTEGER), category, SUM(credit_seconds), 0 FROM ledger GROUP BY 1, 2, 3"""
        )
    engine.dispose()


def measure(path: Path, figure: str) -> dict[str, Any]:
    """One figure: the best of three for the roll-up, once for the long ones."""
    database = Database(open_engine(f"sqlite:///{path}"))
    name, day, form = {
        "roll-up, running totals": ("达标率", TODAY, ""),
        "roll-up, ledger as of a day": ("达标率", TODAY - timedelta(1), ""),
        "list of everybody": ("名单", TODAY, ""),
        "list of everybody, xlsx": ("名单", TODAY, "xlsx"),
        "list of everybody, csv": ("名单", TODAY, "csv"),
    }[figure]
    ask = ReportQuery(YEAR, day, TODAY, POLICY)
    times, rows, size = [], 0, 0
    for _ in range(3 if name == "达标率" else 1):
        began = time.perf_counter()

        def work(session: Any) -> tuple[int, int]:
            ping(session)
            made = REPORTS[name].run(session, Scope(), ask)
            out = BytesIO()
            if form:
                formats.FORMATS[form](made, out)
                return len(made.parts[0].rows), out.tell()
            return sum(1 for _ in made.parts[0].rows), 0

        rows, size = database.read_now(work)
        times.append(time.perf_counter() - began)
    peak = _peak_mib()
    return {"figure": figure, "seconds": min(times), "first": times[0], "rows": rows, "bytes": size, "peak_mib": peak}


def _peak_mib() -> float:
    """The most memory this process held; getrusage would report the parent's, which survives fork and exec."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


FIGURES = ("roll-up, running totals", "roll-up, ledger as of a day", "list of everybody", "list of everybody, xlsx", "list of everybody, csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=20_000)
    parser.add_argument("entries", type=int, nargs="?", default=60)
    parser.add_argument("--keep", type=Path, help="use this file, and fill it only when it is not there")
    parser.add_argument("--measure", nargs=2, metavar=("FILE", "FIGURE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        sys.stdout.write(json.dumps(measure(Path(given.measure[0]), given.measure[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = given.keep or Path(folder) / "bench.db"
        began = time.perf_counter()
        if not path.exists():
            fill(path, given.people, given.entries)
        filled = time.perf_counter() - began
        lines = [f"{given.people:,} people x {given.entries} entries, filled in {filled:.0f} s, {path.stat().st_size >> 20} MiB"]
        lines.append(f"{'figure':32}{'best s':>9}{'first s':>9}{'rows':>9}{'MiB out':>9}{'peak MiB':>10}")
        for figure in FIGURES:
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.rollup", "--measure", str(path), figure], check=True, capture_output=True, text=True
            )
            one = json.loads(done.stdout)
            lines.append(
                f"{figure:32}{one['seconds']:>9.3f}{one['first']:>9.3f}{one['rows']:>9,}{one['bytes'] / 2**20:>9.1f}{one['peak_mib']:>10.0f}"
            )
        sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
