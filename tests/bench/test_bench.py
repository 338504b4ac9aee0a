"""The benchmarks run and measure what they say, so that their figures can be had when somebody needs them; none of these is a timed test."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.bench import databases, deliveries, memory, peers
from tests.bench.answers import ECHOES, Bench
from tests.bench.live.play import play
from tests.bench.load import ask, outbox, request
from tests.bench.server import CpuSeconds, served
from tests.bench.service import start_rows
from tests.bench.table import Row, table
from tests.bench.wire import counted


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, rounds=1, seconds=0.5, askers=10, crowd=20)


# ── The table ──


@pytest.mark.parametrize(
    ("figures", "more_is_better", "reached", "good"),
    [
        ((0.1, 0.2, 0.12), True, "no", False),
        ((0.1, 0.16, 0.5), True, "first release", True),
        ((0.41, 0.40, 0.3), True, "goal", True),
        ((0.6, 0.7), True, "then", True),
        ((0.7,), False, "no", False),
        ((0.5,), False, "goal", True),
        ((0.1,), False, "then", True),
    ],
)
def test_a_row_says_which_bound_its_figure_reaches(figures: tuple[float, ...], more_is_better: bool, reached: str, good: bool) -> None:
    least, goal, then = (0.15, 0.40, 0.55) if more_is_better else (0.60, 0.50, 0.15)
    row = Row("share", figures, "{:.2f}", least, goal, then, more_is_better=more_is_better)

    assert (row.reached, row.good) == (reached, good)


def test_a_row_whose_promises_were_not_kept_is_not_good_however_fast() -> None:
    row = Row("slowest", (0.1,), "{:.1f} s", 4.0, kept=False)

    assert (row.good, row.reached) == (False, "NOT KEPT")


def test_the_table_shows_figure_spread_and_every_bound() -> None:
    lines = table([Row("slowest reply", (1.0, 3.0, 2.0), "{:.1f} s", 4.0, 1.5, 1.0, beside="late 2"), Row("shown only", (5,), "{:.0f}")]).splitlines()

    cells = re.split(r"\s{2,}", lines[1])
    assert cells == ["slowest reply", "2.0 s", "1.0 s–3.0 s", "4.0 s", "1.5 s", "1.0 s", "first release", "late 2"]
    assert lines[2].split() == ["shown", "only", "5"]


# ── Answers ──


def test_every_kind_of_answer_is_recorded_and_its_cpu_is_told_by_thread(bench: Bench) -> None:
    samples = {kind: runs[0] for kind, runs in bench.rounds_of_all(["bare", "product", "exam", "contest", "echo", "wechatpy"]).items()}

    assert all(sample.answers > 0 and sample.kept for sample in samples.values())
    assert all(sample.threads["loop"] > 0 for sample in samples.values())
    assert all(samples[kind].threads["writer"] > 0 for kind in ("product", "exam", "contest"))
    assert samples["product"].client > samples["echo"].client > samples["bare"].client


@pytest.mark.parametrize("kind", [*ECHOES, "naive"])
def test_a_peer_answers_every_message(bench: Bench, kind: str) -> None:
    if packages := peers.missing(kind):
        pytest.skip(f"not installed: {', '.join(packages)} ({peers.INSTALL})")

    assert bench.run(kind, seconds=0.5).answers > 0


async def test_a_reply_that_is_late_is_counted_as_late_and_not_as_lost(bench: Bench) -> None:
    url = bench.fresh("product")
    requests = [[request(bench.platform, person, 0, "A")] for person in (1, 2, 3)]
    with outbox() as sent, served("hasty", url, bench.place / "hasty.log", outbound=sent.url) as server:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            # Nobody else can write as long as this transaction stands: longer than the channel waits, and shorter than the service.
            other.execute("BEGIN IMMEDIATE")
            with CpuSeconds(server) as cpu:
                asking = asyncio.create_task(ask(server.port, requests))
                await asyncio.sleep(1.5)
            other.execute("COMMIT")
        run = await asking
        promises = await asyncio.to_thread(bench._promises, run, sent)

    assert promises.late == {(1, 0), (2, 0), (3, 0)} == promises.recorded
    assert (promises.shed, promises.unspoken) == (0, 0)
    assert databases.kept(url, promises.recorded) == databases.Kept(3, 0, 0, 0)
    assert cpu.client > 0


def test_a_burst_is_held_against_the_database(bench: Bench) -> None:
    row = bench.burst(slow=False)

    assert row.kept
    assert row.figure > 0


def test_the_floor_is_the_writes_of_an_answer(bench: Bench) -> None:
    assert bench.storage_floor().figure > 0


def test_a_campaign_to_everybody_is_sent_to_everybody_and_every_stage_is_measured(tmp_path: Path) -> None:
    cost = deliveries.measure(tmp_path, 2_100)
    assert cost.sent == 2_100
    assert all(cost.cpu[stage] > 0 for stage in deliveries.STAGES)


def test_on_postgres_the_backends_are_measured_and_the_wire_is_counted(tmp_path: Path, postgres_url: str) -> None:
    there = Bench(tmp_path, rounds=1, seconds=0.5, askers=10, crowd=20, where=postgres_url)

    cpu, wire = there.on_postgres()

    assert cpu.kept
    assert cpu.figure > 0
    assert 0 < wire.figure < 100


def test_the_relay_counts_statements_and_turns(postgres_url: str) -> None:
    with counted(postgres_url) as (place, counts), psycopg.connect(f"postgresql://postgres@/postgres?host={place}", autocommit=True) as connection:
        before = counts.copy()
        for n in range(5):
            assert connection.execute("SELECT %s::int", (n,)).fetchone() == (n,)
        sent = counts["statements"] - before["statements"], counts["turns"] - before["turns"]

    assert sent == (5, 5)


def test_the_start_of_commands_and_of_the_service_is_measured(bench: Bench) -> None:
    rows = start_rows(bench.fresh("product"), 1)

    assert all(row.figure > 0 for row in rows)


# ── The others ──


@pytest.mark.parametrize(("where", "replicas", "speed"), [("sqlite", 1, 50), ("postgres", 2, 0)])
def test_two_hundred_phones_stand_where_the_reference_says(where: str, replicas: int, speed: int) -> None:
    played = play(200, 2, replicas=replicas, where=where, speed=speed)

    assert (played.lost, played.double, played.odd, played.misplaced) == (0, 0, 0, 0), str(played)


@pytest.mark.parametrize("learner", [memory.OtherNumbers, memory.OtherShape])
def test_every_plan_has_the_minutes_of_the_others_and_no_more(learner: type[memory.Learner]) -> None:
    rows = {plan: memory.run(learner, (12, 6, 2), plan, 2) for plan in memory.PLANS}

    assert {plan: row.reviews for plan, row in rows.items() if plan != "aimed at the day"} == dict.fromkeys(
        ("plain FSRS", "cramming, 1 day", "cramming, 3 days"), 24
    )
    assert rows["aimed at the day"].reviews <= 24
    assert all(0 < known < 1 for row in rows.values() for known in row.known)


def test_the_same_seeds_give_the_same_table() -> None:
    assert memory.report(2, ((8, 4, 1),)) == memory.report(2, ((8, 4, 1),))
