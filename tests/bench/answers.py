"""The answer path through real HTTP, in rounds: each kind of server once a round, so that all meet the same machine.

CPU seconds by thread (schedstat) are the measure, rates by the wall stand beside them. After each run the database is held against every promise;
a reply that missed the platform's deadline and was sent actively counts as late.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from bot.storage.db.engine import open_engine
from tests.bench import databases, peers
from tests.bench.databases import ROUND
from tests.bench.load import BUSY, RECORDED, Outbox, Run, ask, message_id, opened, outbox, posted, request, sealer, user_of
from tests.bench.load import text as inner_text
from tests.bench.server import ALL, FIRST, LAST, CpuSeconds, Server, pin, served
from tests.bench.table import Row, note
from tests.bench.wire import counted
from tests.support import postgres

ASKERS, CROWD = 1_000, 5_000
SPOKEN_WITHIN = 30.0
"""Seconds without a late reply after which no more are expected."""
ECHOES = ("wechatpy", "werobot", "nonebot")
OF_ROUND: dict[str, Callable[[int, int], str]] = {
    "product": lambda person, n: "ABCD"[(person + n) % 4],
    "exam": lambda person, n: f"{n + 1}{'AB'[(person + n) % 2]}",
    "contest": lambda person, n: "AB"[(person + n) % 2],
    "naive": lambda person, n: "ABCD"[(person + n) % 4],
}
"""What is answered by person and question; A and B are letters of every choice and, for a judgement, 对 and 错."""
OPENING = {"exam": "考试 开始 1", "contest": "竞赛 1 开始"}
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
class Sample:
    """One run of one server: answers, CPU microseconds an answer by thread and of the database's backends, and what the wall said."""

    answers: int
    threads: dict[str, float]
    backends: float
    rate: float
    p99: float
    slowest: float
    late: int = 0
    unspoken: int = 0
    shed: int = 0
    unanswered: int = 0

    @property
    def client(self) -> float:
        return sum(self.threads.values())

    @property
    def whole(self) -> float:
        return self.client + self.backends

    @property
    def kept(self) -> bool:
        return not self.unspoken and not self.shed and not self.unanswered

    def __str__(self) -> str:
        by_thread = ", ".join(f"{name} {us:,.0f}" for name, us in sorted(self.threads.items(), key=lambda item: -item[1]) if us >= 1)
        backends = f" + backends {self.backends:,.0f}" if self.backends else ""
        late = f", late {self.late}" + (f" (never said: {self.unspoken})" if self.unspoken else "") if self.late else ""
        shed = f", told {BUSY} {self.shed}" if self.shed else ""
        shed += f", not answered {self.unanswered}" if self.unanswered else ""
        return f"{self.client:,.0f} us ({by_thread}){backends}, {self.rate:,.0f}/s, p99 {self.p99 * 1000:,.0f} ms{late}{shed}"


@dataclass
class Promises:
    """What the replies of a run came to, by person and message."""

    recorded: set[tuple[int, int]] = field(default_factory=set)
    late: set[tuple[int, int]] = field(default_factory=set)
    shed: int = 0
    unspoken: int = 0


class Bench:
    """Runs over copies of prepared databases; `where` is the URL of a PostgreSQL server, or empty for SQLite files."""

    def __init__(
        self, place: Path, *, rounds: int, seconds: float, askers: int = ASKERS, crowd: int = CROWD, analyze: bool = False, where: str = ""
    ) -> None:
        self.place, self.rounds, self.seconds, self.askers, self.crowd, self.where = place, rounds, seconds, askers, crowd, where
        self.platform = sealer()
        self._analyze = analyze
        self._templates: set[str] = set()
        self._copies = 0

    # ── Databases ──

    def _template(self, kind: str) -> str:
        """The URL of the prepared database that runs of a kind begin from; made once."""
        name = kind if kind in OPENING else "practice"
        if name in self._templates:
            return self._url(name)
        note(f"preparing {name} …")
        if name == "practice":
            self._create(name)
            databases.prepare(self._url(name), max(self.crowd, self.askers), analyze=self._analyze)
        else:
            url = self._copy(self._template("practice"), name)
            (databases.publish_exam if name == "exam" else databases.open_contest)(url)
            opening = [[request(self.platform, person, 99, OPENING[name])] for person in range(1, self.askers + 1)]
            with outbox() as sent, served("product", url, self.place / f"{name}-opening.log", outbound=sent.url) as server:
                asyncio.run(ask(server.port, opening, over=self.askers / 200))
                # Whether a reply came in time is of no account here; the service is stopped once everybody has begun.
                if (begun := databases.await_sittings(url, name, self.askers)) != self.askers:
                    raise RuntimeError(f"{OPENING[name]}: {begun} of {self.askers} have begun")
            databases.checkpoint(url)
        self._templates.add(name)
        return self._url(name)

    def _url(self, name: str) -> str:
        if self.where:
            return make_url(self.where).set(database=f"bench_{name}").render_as_string(hide_password=False)
        return f"sqlite:///{self.place / name}.db"

    def _create(self, name: str, template: str = "template0") -> str:
        if self.where:
            admin = create_engine(make_url(self.where).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
            with admin.connect() as connection:
                connection.execute(text(f'DROP DATABASE IF EXISTS "bench_{name}"'))
                connection.execute(text(f'CREATE DATABASE "bench_{name}" TEMPLATE "{template}"'))
            admin.dispose()
        return self._url(name)

    def _copy(self, url: str, name: str) -> str:
        if self.where:
            return self._create(name, str(make_url(url).database))
        for old in self.place.glob(f"{name}.db*"):
            old.unlink()
        shutil.copyfile(url.removeprefix("sqlite:///"), self.place / f"{name}.db")
        return self._url(name)

    def fresh(self, kind: str) -> str:
        """The URL of a database that nobody has answered in."""
        template = self._template(kind)
        self._copies += 1
        return self._copy(template, f"run{self._copies % 2}")

    # ── Runs ──

    def run(
        self, kind: str, *, askers: int | None = None, each: int = ROUND, seconds: float | None = None, on: slice = FIRST,
        preload: Path | None = None, replicas: int = 1,
    ) -> Sample:  # fmt: skip
        """One run against servers of its own, on a database of its own. Without `seconds` until everybody has sent everything."""
        people = range(1, (askers or self.askers) + 1)
        words = OF_ROUND.get(kind)
        url = self.fresh(kind if words else "product")
        if words:
            requests = [[request(self.platform, person, n, words(person, n)) for n in range(each)] for person in people]
        else:
            official = kind == "werobot"
            inner = ((person, inner_text(user_of(person), "A", message_id(person, 0))) for person in people)
            requests = [[posted(self.platform, content, f"{person:05d}", official_account=official)] for person, content in inner]
        postmaster = _postmaster(self.where) if words and self.where else None
        with outbox() as sent, _several("product" if kind in OPENING else kind, url, self.place, replicas, sent.url, on, preload) as servers:
            meters = [CpuSeconds(server, postmaster if n == 0 else None) for n, server in enumerate(servers)]
            ports = [server.port for server in servers]
            run = asyncio.run(ask(ports, requests, seconds, endless=words is None, measured=_all(meters)))
            promises = self._promises(run, sent) if words else self._echoes(kind, run)
        unanswered = len(people) * each - run.count if words and seconds is None else 0
        if words:
            found = databases.kept(url, promises.recorded, effect=kind in ("product", "naive"))
            if not found.whole or found.answers < len(promises.recorded):
                raise RuntimeError(f"{len(promises.recorded)} promised, {found}")
        threads: Counter[str] = Counter()
        for meter in meters:
            threads.update(meter.threads)
        us = {name: cpu / run.count * 1e6 for name, cpu in threads.items()}
        backends = sum(meter.backends for meter in meters) / run.count * 1e6
        spoken = (len(promises.late), promises.unspoken, promises.shed)
        return Sample(run.count, us, backends, run.rate, run.percentile(0.99), run.slowest, *spoken, unanswered)

    def _promises(self, run: Run, sent: Outbox) -> Promises:
        promises = Promises()
        for person, answers in enumerate(run.answers, 1):
            for n, answer in enumerate(answers):
                words = opened(self.platform, answer)
                if RECORDED in words:
                    promises.recorded.add((person, n))
                elif words in ("", "success"):
                    promises.late.add((person, n))
                elif BUSY in words:
                    promises.shed += 1
                else:
                    raise RuntimeError(f"person {person}, message {n}: {words[:300]}")
        owed = Counter(user_of(person) for person, _ in promises.late)
        sent.await_words(owed, SPOKEN_WITHIN)
        for person in {person for person, _ in promises.late}:
            # What was said late does not say which question it is of: whoever was told as often as they are owed was promised all of it.
            spoken = sent.words.get(user_of(person), [])
            places = {place for place in promises.late if place[0] == person}
            if sum(RECORDED in words for words in spoken) >= len(places):
                promises.recorded |= places
            else:
                busy = sum(BUSY in words for words in spoken)
                promises.shed += busy
                promises.unspoken += len(places) - busy
        return promises

    def _echoes(self, kind: str, run: Run) -> Promises:
        for answers in run.answers:
            words = opened(self.platform, answers[-1]) if answers else "nothing"
            if (words != "success") if kind == "bare" else (RECORDED not in words):
                raise RuntimeError(f"{kind}: {words[:300]}")
        return Promises()

    # ── Rows ──

    def rounds_of_all(self, kinds: Sequence[str]) -> dict[str, list[Sample]]:
        """Every kind once a round, at most `seconds` each."""
        samples: dict[str, list[Sample]] = {kind: [] for kind in kinds}
        for n in range(self.rounds):
            for kind in kinds:
                samples[kind].append(self.run(kind, seconds=self.seconds))
                note(f"round {n + 1}, {kind}: {samples[kind][-1]}")
        return samples

    def against_all(self) -> list[Row]:
        """Recorded answers against a bare POST, against the echoes of others, and against each other."""
        absent = {kind: packages for kind in peers.PACKAGES if (packages := peers.missing(kind))}
        samples = self.rounds_of_all(["bare", "product", "exam", "contest", "echo", *(kind for kind in peers.PACKAGES if kind not in absent)])
        product, bare = samples["product"], samples["bare"]
        rows = [
            Row(
                f"recorded answer, {self.askers:,} askers, FULL: share of a bare POST by CPU", _ratios(bare, product), "{:.2f}", 0.15, 0.40, 0.55,
                more_is_better=True, beside=f"bare {_middle(bare)}; product {_middle(product)}", kept=all(sample.kept for sample in product),
            ),
            Row(
                "the same by the wall", tuple(mine.rate / yardstick.rate for mine, yardstick in zip(product, bare, strict=True)), "{:.2f}",
                beside=f"{statistics.median(sample.rate for sample in product):,.0f}/s on one core",
            ),
            *_people(product),
        ]  # fmt: skip
        for kind in ("exam", "contest"):
            rows.append(
                Row(
                    f"{kind} answer: CPU against a practice answer", _ratios(samples[kind], product), "{:.2f} x", None, 1.2, 1.1,
                    beside=_middle(samples[kind]), kept=all(sample.kept for sample in samples[kind]),
                )
            )  # fmt: skip
        for kind in (kind for kind in ECHOES if kind in samples):
            share = statistics.median(_ratios(bare, samples[kind]))
            rows.append(
                Row(
                    f"recorded answer: CPU against {peers.NAMES[kind]}", _ratios(product, samples[kind]), "{:.2f} x", None,
                    1.0 if kind == "werobot" else None, 1.0 if kind == "wechatpy" else None,
                    beside=f"its share of a bare POST {share:.2f}; {_middle(samples[kind])}",
                )
            )  # fmt: skip
        if "naive" in samples:
            figures = _ratios(samples["naive"], product)
            rows.append(
                Row(
                    f"recorded answer: times cheaper than a {peers.NAMES['naive']}", figures, "{:.1f} x", 6, 15, 25, more_is_better=True,
                    beside=_middle(samples["naive"]),
                )
            )  # fmt: skip
        if "wechatpy" in samples:
            pairs = zip(samples["echo"], samples["wechatpy"], bare, strict=True)
            figures = tuple((ours.client - post.client) / (theirs.client - post.client) for ours, theirs, post in pairs)
            ours = statistics.median(echo.client - post.client for echo, post in zip(samples["echo"], bare, strict=True))
            rows.append(
                Row(
                    "door and codec in the service, above a bare POST: share of wechatpy's", figures, "{:.2f}", None, 0.5,
                    beside=f"ours {ours:,.0f} us above a bare POST; echo {_middle(samples['echo'])}",
                )
            )  # fmt: skip
        for kind, packages in absent.items():
            note(f"not measured: {peers.NAMES[kind]} (not installed: {', '.join(packages)}; {peers.INSTALL})")
        return rows

    def burst(self, *, slow: bool) -> Row:
        preload = slow_flush(self.place) if slow else None
        samples = []
        for n in range(self.rounds):
            samples.append(self.run("product", askers=self.crowd, each=1, preload=preload))
            note(f"burst {n + 1}{', slow flushes' if slow else ''}: slowest {samples[-1].slowest:.2f} s, {samples[-1]}")
        what = "the same with every flush slowed by 5 ms" if slow else f"burst of {self.crowd:,} people at once: slowest reply, none lost or double"
        bounds = (5.0, 2.5, 1.5) if slow else (4.0, 1.5, 1.0)
        return Row(
            what, tuple(sample.slowest for sample in samples), "{:.2f} s", *bounds, judge=max, kept=all(sample.kept for sample in samples),
            beside=f"CPU {_middle(samples)}; late {sum(sample.late for sample in samples)}",
        )  # fmt: skip

    def on_postgres(self) -> list[Row]:
        """CPU of client and backends an answer, and what goes over the wire."""
        samples = self.rounds_of_all(["product"])["product"]
        with counted(self.where) as (proxied, counts):
            url = make_url(self.fresh("product"))
            behind = url.set(query={"host": str(proxied)}).render_as_string(hide_password=False)
            # So few that nobody is late: an answer that is still under way has not sent all of its statements.
            people = range(1, min(self.askers, 50) + 1)
            requests = [[request(self.platform, person, n, "ABCD"[(person + n) % 4]) for n in range(ROUND)] for person in people]
            with served("product", behind, self.place / "wire.log") as server:
                before = counts.copy()
                run = asyncio.run(ask(server.port, requests))
                wire = {name: (counts[name] - before[name]) / run.count for name in counts}
        return [
            Row(
                "on PostgreSQL: CPU of client and backends an answer", tuple(sample.whole / 1000 for sample in samples), "{:.2f} ms", None, 0.7, 0.5,
                beside=_middle(samples), kept=all(sample.kept for sample in samples),
            ),
            Row("on PostgreSQL: statements an answer", (wire["statements"],), "{:.1f}", beside=f"round trips {wire['turns']:.1f}"),
        ]  # fmt: skip

    def replicas(self) -> Row:
        """Two replicas on one PostgreSQL against one, with all cores for everything."""
        gains = []
        pin(ALL)
        for n in range(self.rounds):
            one, two = (self.run("product", seconds=self.seconds, on=ALL, replicas=count) for count in (1, 2))
            gains.append(two.rate / one.rate)
            note(f"round {n + 1}, one replica: {one}; two: {two}")
        pin(LAST)
        return Row("two replicas on one PostgreSQL against one, all cores", tuple(gains), "{:.2f} x", None, 1.7, 1.9, more_is_better=True)

    def all_cores(self) -> Row:
        """The one process of SQLite where nothing holds it to a core; the load takes its share of them."""
        pin(ALL)
        samples = [self.run("product", seconds=self.seconds, on=ALL) for _ in range(self.rounds)]
        pin(LAST)
        what = f"answers/s, the server on all {os.cpu_count()} cores"
        return Row(what, tuple(sample.rate for sample in samples), "{:,.0f}/s", more_is_better=True, beside=_middle(samples))

    def storage_floor(self) -> Row:
        """The writes of an answer as plain statements by executemany, two hundred in a commit: what SQLite itself asks for."""
        figures = [_floor(self.fresh("product"), self.askers) for _ in range(self.rounds)]
        cpu, wall = ([figure[n] for figure in figures] for n in (0, 1))
        return Row(
            "SQLite's floor: CPU of an answer's seven writes in a group commit", tuple(cpu), "{:.1f} us", None, 60, 35,
            beside=f"{statistics.median(wall):.1f} us by the wall",
        )  # fmt: skip


def _ratios(above: Sequence[Sample], below: Sequence[Sample]) -> tuple[float, ...]:
    return tuple(one.client / other.client for one, other in zip(above, below, strict=True))


def _middle(samples: Sequence[Sample]) -> str:
    """The sample of the median CPU in words, and the least CPU of all."""
    ordered = sorted(samples, key=lambda sample: sample.whole)
    least = f"; least {ordered[0].whole:,.0f} us" if len(ordered) > 1 else ""
    return f"{ordered[len(ordered) // 2]}{least}"


def _people(samples: Sequence[Sample]) -> Iterator[Row]:
    """Answers a second as people: each thinks for half a minute to one and a half between two answers."""
    for think in (30, 90):
        figures = tuple(1e6 / sample.client * think for sample in samples)
        yield Row(f"people that one busy core carries, {think} s between two answers of each", figures, "{:,.0f}", more_is_better=True)


@contextmanager
def _several(kind: str, url: str, place: Path, count: int, outbound: str, on: slice, preload: Path | None) -> Iterator[list[Server]]:
    with served(kind, url, place / f"{kind}-{count}.log", outbound=outbound, on=on, preload=preload) as server:
        if count == 1:
            yield [server]
            return
        with _several(kind, url, place, count - 1, outbound, on, preload) as more:
            yield [server, *more]


@contextmanager
def _all(meters: Sequence[CpuSeconds]) -> Iterator[None]:
    for meter in meters:
        meter.__enter__()
    yield
    for meter in meters:
        meter.__exit__()


def _postmaster(url: str) -> int:
    return int((Path(str(parse_qs(urlsplit(url).query)["host"][0])) / "postmaster.pid").read_text().split()[0])


def _floor(url: str, people: int, size: int = 200) -> tuple[float, float]:
    """CPU and wall microseconds an answer, with the commits."""
    engine = open_engine(url)
    writes = (
        """INSERT INTO answer (person_id, sitting_id, n, question, version_id, choice, correct, earned, provisional, channel, message_id, arrived_at,
             recorded_at, late) SELECT :p, :p, i.n, i.question, i.version_id, 'A', 0, 0, 0, 'wecom', :m, :at, :at, 0
             FROM sitting_item i WHERE i.sitting_id = :p AND i.n = :n""",
        """INSERT INTO ledger (person_id, category, credit_seconds, day, law, required, source_kind, source_id, rule, rule_version, recorded_at,
             recorded_by) VALUES (:p, 'practice', 67, :day, '民法典', 0, 'item', :m, 'D3', 1, :at, 'system')""",
        """INSERT INTO year_total (person_id, year, category, seconds, items) VALUES (:p, 2026, 'practice', 67, 1)
             ON CONFLICT (person_id, year, category) DO UPDATE SET seconds = seconds + excluded.seconds, items = items + excluded.items""",
        """INSERT INTO day_total (person_id, day, category, seconds) VALUES (:p, :day, 'practice', 67)
             ON CONFLICT (person_id, day, category) DO UPDATE SET seconds = seconds + excluded.seconds""",
        """INSERT INTO notebook_card (person_id, question, entered_at, right_in_a_row, state, step, stability, difficulty, due_at, reviewed_at)
             VALUES (:p, :m, :at, 0, 1, 0, 0.212, 6.4133, :at, :at)""",
        "UPDATE sitting SET next = :n + 1 WHERE id = :p",
        """INSERT INTO inbox (channel, app, sender, message_id, person_id, arrived_at, reply) VALUES ('wecom', '1', :m, :m, :p, :at, :reply)""",
    )
    at, reply = "2026-12-01T01:00:00.000000Z", "已记录。" * 150
    answers = [
        {"p": person, "n": n, "m": message_id(person, n), "at": at, "day": at[:10], "reply": reply}
        for n in range(1, ROUND)
        for person in range(1, people + 1)
    ]
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        began, cpu = time.perf_counter(), time.thread_time()
        for start in range(0, len(answers), size):
            raw.execute("BEGIN IMMEDIATE")
            for statement in writes:
                raw.executemany(statement, answers[start : start + size])
            raw.execute("COMMIT")
        took, cpu = time.perf_counter() - began, time.thread_time() - cpu
    engine.dispose()
    return cpu / len(answers) * 1e6, took / len(answers) * 1e6


def slow_flush(place: Path) -> Path:
    """The stand-in for a slow disk, compiled here and now. RuntimeError without a C compiler."""
    library = place / "slow.so"
    if not library.exists():
        source = place / "slow.c"
        source.write_text(SLOW_FLUSH, encoding="ascii")
        cc = shutil.which("cc") or shutil.which("gcc")
        if cc is None:
            raise RuntimeError("the slow disk needs a C compiler (cc)")
        subprocess.run([cc, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL that may use all cores, whatever the load is pinned to."""
    pin(ALL)
    with postgres.running() as url:
        pin(LAST)
        yield url
