"""How long each report takes on a phone and as a file, over a made-up year: `python -m tests.bench.rollup [PEOPLE] [ENTRIES]`, a table at the end.

Fills a SQLite file of its own with PEOPLE people in 400 units, ENTRIES ledger entries each and half as many in the year before, ten answers,
five deliveries and three lessons each, four exams and a contest (all synthetic; the running totals are made from the ledger by one statement).
Each figure is timed in a process of its own, so that the peak of memory is that figure's; seconds are CPU seconds of that process, which a busy
machine changes little. Budgets: bot/docs/performance.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from bot.domain.exam.blueprint import blueprint_json, parse_blueprint
from bot.domain.hours.policy import HoursPolicy, RuleVersion
from bot.domain.library.question import question_body
from bot.domain.reports import ReportQuery, Scope, Table
from bot.services.reports import formats
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine, ping
from bot.storage.files.loader import data_root, load_library
from bot.storage.migrations.migrate import migrate
from bot.storage.reports import forecast
from bot.storage.reports.registry import REPORTS
from bot.storage.tables.columns import stamp
from bot.storage.tables.hours import CATEGORIES
from bot.storage.tables.schema import metadata

UNITS = 400
YEAR = 2026
TODAY = date(2026, 11, 20)
DAYS_OF_YEAR = 320
NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
LIBRARY, _ = load_library(data_root())
POLICY = HoursPolicy(
    (
        RuleVersion("D1", 1, date(2025, 1, 1), {"seconds_per_hour": 2700}),
        RuleVersion("D2", 1, date(2025, 1, 1), {"day_cap": "2"}),
        RuleVersion("D3", 1, date(2025, 1, 1), {"items": 10, "hours": "0.25", "day_cap": "0.5", "year_cap": "10"}),
        RuleVersion("D5", 1, date(2025, 1, 1), {"year_cap": "6"}),
        RuleVersion(
            "D11",
            1,
            date(2025, 1, 1),
            {"quota": {"领导干部": "40", "公务员": "40", "事业人员": "24", "执法人员": "60"}, "collective": {"领导干部": "12"}},
        ),
    )
)
TIERS = ("公务员", "公务员", "事业人员", "执法人员", "领导干部", "")
CHANNELS = ("wecom", "dingtalk", "local")
ANALYSED_SHARE = 20
"""One person in so many sat the exam whose papers are looked into (5,000 of 100,000)."""
ONE_UNIT = "某市/单位3/单位43"


# ── The made-up agency ──


def fill(path: Path, people: int, entries: int) -> None:
    """The agency and its year, written in one go."""
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    with engine.begin() as connection:
        raw: Any = connection.connection.driver_connection
        _people(raw, people)
        _ledger(raw, people, entries)
        _study(raw, people)
        _campaigns(raw, people)
        _exams(raw, people)
        _contest(raw, people)
        _duties(raw)
    _keep_forecasts(Database(engine))
    engine.dispose()


def _keep_forecasts(database: Database) -> None:
    """As the job of the service does every few minutes (bot/jobs/schedule.py)."""
    ask = ReportQuery(YEAR, TODAY, TODAY, POLICY, library=LIBRARY)
    basis, people, entry_id = database.read_now(lambda session: forecast.to_keep(session, ask))
    for place in range(0, len(people), 500):
        made = database.read_now(partial(forecast.make, ask=ask, ids=people[place : place + 500]))
        database.write_now(partial(forecast.keep, basis=basis, forecasts=made))
    database.write_now(lambda session: forecast.keep_run(session, basis, entry_id, NOW))


def _insert(raw: Any, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Rows of a table; columns that are not named take the default of the table's class."""
    names = [name.strip(' "') for name in columns.split(",")]
    unnamed = [column for column in metadata.tables[table].columns if column.default is not None and column.name not in names]
    defaults: dict[str, Any] = {column.name: getattr(column.default, "arg", None) for column in unnamed}
    quoted = ", ".join(f'"{name}"' for name in [*names, *defaults])
    places = ", ".join([*("?" * len(names)), *(repr(int(value) if isinstance(value, bool) else value) for value in defaults.values())])
    raw.executemany(f"INSERT INTO {table} ({quoted}) VALUES ({places})", rows)


def _moment_of(day: int, second: int = 0) -> str:
    return stamp(datetime(YEAR, 1, 1, 2, tzinfo=UTC) + timedelta(day, second))


def _people(raw: Any, people: int) -> None:
    at = "2026-01-01T00:00:00.000000Z"
    raw.execute("INSERT INTO unit (id, parent_id, name, path) VALUES (1, NULL, '某市', '某市')")
    _insert(
        raw,
        "unit",
        "id, parent_id, name, path",
        [(2 + n, 1 if n < 20 else 2 + n % 20, f"单位{n}", f"某市/单位{n}" if n < 20 else f"某市/单位{n % 20}/单位{n}") for n in range(UNITS - 1)],
    )
    everybody = range(1, people + 1)
    joined = {n: f"2026-{1 + n % 9:02}-01" for n in everybody if n % 25 == 0}
    _insert(
        raw,
        "person",
        "id, staff_no, name, tier, joined_on, left_on, recorded_at",
        [(n, f"{n:07}", f"学员{n}", TIERS[n % 6], joined.get(n), "2026-08-31" if n % 60 == 7 else None, at) for n in everybody],
    )
    # Everybody in one unit; one in fifty in two; one in thirty moved in May.
    posts = [(n, 2 + n % (UNITS - 1), "2020-01-01", "2026-04-30" if n % 30 == 11 else None) for n in everybody]
    posts += [(n, 2 + (n + 7) % (UNITS - 1), "2020-01-01", None) for n in everybody if n % 50 == 1]
    posts += [(n, 2 + (n + 3) % (UNITS - 1), "2026-05-01", None) for n in everybody if n % 30 == 11]
    _insert(raw, "post", "person_id, unit_id, since, until", posts)
    away = [(n, ("leave", "secondment")[n % 2], "2026-03-02", None if n % 400 == 9 else "2026-04-20", "9001", at) for n in everybody if n % 40 == 9]
    _insert(raw, "absence", "person_id, kind, since, until, recorded_by, recorded_at", away)
    _insert(raw, "account", 'channel, "user", person_id, bound_at, bound_by', [("wecom", f"u{n}", n, at, "9001") for n in everybody if n % 10])


def _ledger(raw: Any, people: int, entries: int) -> None:
    """Everybody's entries of the year in the order of the days, then half as many of the year before; one in a hundred is taken back."""
    rng = random.Random(7)
    columns = (
        "person_id, category, credit_seconds, day, law, required, source_kind, source_id, rule, rule_version, recorded_at, recorded_by, reverses"
    )

    def rows(year: int, count: int) -> Iterator[tuple[Any, ...]]:
        for k in range(count):
            day = date(year, 1, 1) + timedelta(k * (DAYS_OF_YEAR - 1) // max(count, 1) if year == YEAR else k * 364 // max(count, 1))
            category, at = CATEGORIES[k % len(CATEGORIES)], f"{day.isoformat()}T04:00:00.000000Z"
            for n in range(1, people + 1):
                # Most come to some forty hours in a year; who has a number that ends in 3 does half as much.
                seconds = 60 + rng.randrange(220_000 // max(entries, 6)) // (2 if n % 10 == 3 else 1)
                kind = "lesson" if k % 6 == 0 else "bench"
                yield n, category, seconds, day.isoformat(), "", 0, kind, f"{year}:{k}", "D2", 1, at, "system", None

    _insert(raw, "ledger", columns, rows(YEAR - 1, entries // 2))
    _insert(raw, "ledger", columns, rows(YEAR, entries))
    copied = "person_id, category, -credit_seconds, day, law, required, source_kind, source_id, rule, rule_version"
    raw.execute(f"INSERT INTO ledger ({columns}) SELECT {copied}, '2026-10-08T04:00:00.000000Z', '9001', id FROM ledger WHERE id % 100 = 17")
    raw.execute(
        """INSERT INTO year_total (person_id, year, category, seconds, items)
           SELECT person_id, CAST(substr(day, 1, 4) AS INTEGER), category, SUM(credit_seconds), 0 FROM ledger GROUP BY 1, 2, 3"""
    )


def _study(raw: Any, people: int) -> None:
    question = next(question for question in LIBRARY.questions.values() if question.letters == "ABCD")
    body = json.dumps(question_body(question), ensure_ascii=False)
    versions = [(n, f"bench-{n}", 1, "bench", f"{n:064}", body, _moment_of(0)) for n in range(1, 41)]
    _insert(raw, "question_version", "id, question, version, bank, digest, body, loaded_at", versions)
    sittings = [
        (2 * n + k, n, ("daily", "practice")[k], f"2026-{k}", 5, 6, "done", _moment_of((n + 40 * k) % 300), _moment_of((n + 40 * k) % 300, 300))
        for n in range(1, people + 1)
        for k in range(2)
    ]
    _insert(raw, "sitting", "id, person_id, kind, scope, size, next, state, opened_at, closed_at", sittings)
    _insert(
        raw,
        "answer",
        "person_id, sitting_id, n, question, version_id, choice, correct, earned, provisional, channel, message_id, arrived_at, recorded_at, late",
        (
            (row[1], row[0], n, f"bench-{n}", n, "A", 1, 1000, 0, CHANNELS[(row[0] + (n > 3 and row[0] % 9 == 0)) % 3], f"{row[0]}.{n}",
             row[7], row[7], 0)
            for row in sittings
            for n in range(1, 6)
        ),
    )  # fmt: skip
    _insert(
        raw,
        "reading",
        "person_id, lesson, digest, page, state, opened_at, closed_at",
        (
            (n, f"lesson-{k}", "d", 2, "left" if n % 7 == k else "done", _moment_of((n + k * 90) % 300), _moment_of((n + k * 90) % 300, 600))
            for n in range(1, people + 1)
            for k in range(3)
        ),
    )


EVERYBODY = '{"all":true}'


def _campaigns(raw: Any, people: int) -> None:
    columns = "id, name, kind, content, rhythm, audience, clause, state, created_by, created_at, changed_at"
    campaign = (
        1,
        "每周一课",
        "notice",
        '{"kind":"notice","title":"通知","text":"请学习","receipt":true}',
        '{"kind":"once","on":"2026-03-02","time":"09:00"}',
        EVERYBODY,
        "年度要点",
        "running",
        "9001",
    )
    _insert(raw, "campaign", columns, [(*campaign, _moment_of(10), _moment_of(10))])
    occurrences = [(k + 1, 1, _moment_of(20 + 50 * k), _moment_of(20 + 50 * k), "fired", people) for k in range(5)]
    _insert(raw, "occurrence", "id, campaign_id, due, fired_at, state, invited", occurrences)
    _insert(
        raw,
        "delivery",
        "campaign_id, occurrence_id, person_id, state, channel, created_at, not_before, sent_at, read_at",
        (
            (1, occurrence, n, "failed" if n % 30 == 5 else "sent", CHANNELS[n % 3], due, due, due, due if (n + occurrence) % 4 else None)
            for occurrence, _, due, *_ in occurrences
            for n in range(1, people + 1)
        ),
    )


def _exams(raw: Any, people: int) -> None:
    """Three exams that nearly everybody sat, and one whose papers are there to be looked into."""
    blueprint = json.dumps(blueprint_json(parse_blueprint("固定 bench-1×2；60 分钟；及格 60%")), ensure_ascii=False)
    columns = (
        "id, name, state, blueprint, audience, gate, opens_at, closes_at, minutes, pass_line, total, clause, created_by, created_at, changed_at,"
        " closed_at, released_at"
    )
    exams = [
        (e, f"年度考试{e}", "released", blueprint, EVERYBODY, "{}", _moment_of(60 * e), _moment_of(60 * e + 2), 60, 12_000, 20_000, "要点", "9001",
         _moment_of(50), _moment_of(50), _moment_of(60 * e + 3), _moment_of(60 * e + 3))
        for e in range(1, 5)
    ]  # fmt: skip
    _insert(raw, "exam", columns, exams)
    first = 3 * people + 10
    tries = [
        (first + e * people + n, e, n)
        for e in range(1, 5)
        for n in range(1, people + 1)
        if (n % 10 != e if e < 4 else n % ANALYSED_SHARE == 1)
    ]  # fmt: skip
    _insert(
        raw,
        "sitting",
        "id, person_id, kind, scope, size, next, state, opened_at, closed_at",
        ((sitting, n, "exam", str(e), 20, 21, "done", _moment_of(60 * e, n % 900), _moment_of(60 * e, 1800 + n % 900)) for sitting, e, n in tries),
    )
    _insert(
        raw,
        "attempt",
        "sitting_id, exam_id, person_id, n, started_at, deadline, state, closed_at, closed_by, score, passed, told_at",
        (
            (sitting, e, n, 1, _moment_of(60 * e, n % 900), _moment_of(60 * e, 3600 + n % 900), "closed", _moment_of(60 * e, 1800 + n % 900), "self",
             1000 * (n % 21), int(n % 21 >= 12), _moment_of(60 * e + 3))
            for sitting, e, n in tries
        ),
    )  # fmt: skip
    papers = [(sitting, n) for sitting, e, n in tries if e == 4]
    items = [(sitting, k, f"bench-{k}", k, 1000) for sitting, _ in papers for k in range(1, 21)]
    _insert(raw, "sitting_item", "sitting_id, n, question, version_id, points", items)
    _insert(
        raw,
        "answer",
        "person_id, sitting_id, n, question, version_id, choice, correct, earned, provisional, channel, message_id, arrived_at, recorded_at, late",
        (
            (n, sitting, k, f"bench-{k}", k, choice, int(choice == "A"), 1000 * (choice == "A"), 0, CHANNELS[n % 3], f"{sitting}.{k}",
             _moment_of(240, n % 900 + 30 * k), _moment_of(240, n % 900 + 30 * k), 0)
            for sitting, n in papers
            for k in range(1, 21)
            for choice in ("ABCD"[(n * 7 + k * n % 11) % 4 if (n + k) % 3 else 0],)
        ),
    )  # fmt: skip


def _contest(raw: Any, people: int) -> None:
    columns = "id, name, form, state, rules, source, audience, opens_at, closes_at, created_by, created_at, changed_at, closed_at, board"
    contest = (
        1,
        "宪法周竞赛",
        "windowed",
        "closed",
        "{}",
        "{}",
        EVERYBODY,
        _moment_of(200),
        _moment_of(206),
        "9001",
        _moment_of(190),
        _moment_of(190),
    )
    _insert(raw, "contest", columns, [(*contest, _moment_of(206), "{}")])
    _insert(
        raw,
        "participation",
        "contest_id, person_id, joined_at, points, correct, millis, finished_at",
        ((1, n, _moment_of(201), n % 50 * 200, n % 50, n, _moment_of(202) if n % 9 else None) for n in range(1, people + 1) if n % 4),
    )


def _duties(raw: Any) -> None:
    duties = [(n, YEAR, f"法律{n % 7}", 2 + n, f"形式{n // 7}", 2, "2026-12-01", "要点", _moment_of(1)) for n in range(1, 101)]
    _insert(raw, "duty", "id, year, law, unit_id, form, count, deadline, clause, recorded_at", duties)
    _insert(raw, "planned", "duty_id, n, name, due_on, state, done_on", [(n, 1, "活动", "2026-06-01", "done", "2026-06-01") for n in range(1, 101)])


# ── The figures ──


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A report as somebody asks for it: on a phone, or as a file of a form; `runs` times, of which the best counts."""

    report: str
    about: str = ""
    day: date = TODAY
    form: str = "phone"
    runs: int = 3


FIGURES = {
    "达标率": ReportFigure("达标率"),
    "达标率, as of yesterday": ReportFigure("达标率", day=TODAY - timedelta(1)),
    "达标率, one unit": ReportFigure("达标率", ONE_UNIT),
    "名单": ReportFigure("名单"),
    "名单, as of yesterday": ReportFigure("名单", day=TODAY - timedelta(1)),
    "名单, one unit": ReportFigure("名单", ONE_UNIT),
    "个人": ReportFigure("个人", "0000042"),
    "预警": ReportFigure("预警"),
    "预警, one unit": ReportFigure("预警", ONE_UNIT),
    "考试": ReportFigure("考试"),
    "考试 1": ReportFigure("考试", "1"),
    "考试 1, one unit": ReportFigure("考试", f"1 {ONE_UNIT}"),
    "题目分析": ReportFigure("题目分析", "4", runs=1),
    "考试线索": ReportFigure("考试线索", "4", runs=1),
    "竞赛": ReportFigure("竞赛"),
    "竞赛 1": ReportFigure("竞赛", "1"),
    "活动依据": ReportFigure("活动依据"),
    "责任清单": ReportFigure("责任清单"),
    "形式": ReportFigure("形式"),
    "形式, one unit": ReportFigure("形式", ONE_UNIT),
    "名单, csv": ReportFigure("名单", form="csv", runs=1),
    "名单, xlsx": ReportFigure("名单", form="xlsx", runs=1),
    "预警, csv": ReportFigure("预警", form="csv", runs=1),
    "预警, nothing kept": ReportFigure("预警", day=TODAY - timedelta(1), runs=1),
}


def _written(table: Table, form: str) -> int:
    """How many bytes the report has in a form."""
    if form == "phone":
        return len(formats.phone(table).encode())
    out = BytesIO()
    formats.FORMATS[form](table, out)
    return out.tell()


def measure(path: Path, name: str) -> dict[str, Any]:
    """One figure, in CPU seconds: the best run, and the first one."""
    database = Database(open_engine(f"sqlite:///{path}"))
    figure = FIGURES[name]
    # As the service has it once it is up (bot/app/run.py): a report makes a hundred thousand objects and lets all of them go.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    ask = ReportQuery(YEAR, figure.day, TODAY, POLICY, figure.about, LIBRARY)
    times, rows, size = [], 0, 0
    for _ in range(figure.runs):
        began = time.process_time()

        def work(session: Any) -> tuple[int, int]:
            ping(session)
            table = REPORTS[figure.report].run(session, Scope(), ask)
            return len(table.parts[0].rows), _written(table, figure.form)

        rows, size = database.read_now(work)
        times.append(time.process_time() - began)
    return {"seconds": min(times), "first": times[0], "rows": rows, "bytes": size, "peak_mib": _peak_mib()}


def _peak_mib() -> float:
    """The most memory this process held; getrusage would report the parent's, which survives fork and exec."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=20_000)
    parser.add_argument("entries", type=int, nargs="?", default=60)
    parser.add_argument("--keep", type=Path, help="use this file, and fill it only when it is not there")
    parser.add_argument("--only", help="figures whose name begins so")
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
        print(f"{given.people:,} people x {given.entries} entries, filled in {filled:.0f} s, {path.stat().st_size >> 20} MiB")
        print(f"{'CPU seconds':28}{'best':>9}{'first':>9}{'rows':>9}{'KiB out':>9}{'peak MiB':>10}", flush=True)
        for name in FIGURES:
            if given.only and not name.startswith(given.only):
                continue
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.rollup", "--measure", str(path), name], check=True, capture_output=True, text=True
            )
            taken = json.loads(done.stdout)
            # A Chinese character takes two columns.
            shown = name + " " * (28 - len(name) - sum(ord(char) > 0x2E80 for char in name))
            print(
                f"{shown}{taken['seconds']:>9.3f}{taken['first']:>9.3f}{taken['rows']:>9,}{taken['bytes'] / 1024:>9.1f}{taken['peak_mib']:>10.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
