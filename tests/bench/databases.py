"""The databases of a benchmark: people bound in WeCom with a round of questions in hand, an exam, a contest; and what is held against promises."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlmodel import Session

from bot.domain.campaign.campaign import Author
from bot.domain.contest.contest import ContestPlan, ContestRules
from bot.domain.exam.blueprint import parse_blueprint
from bot.domain.exam.exam import WantedExam
from bot.domain.people.audience import All
from bot.services.contest import manage as contest_manage
from bot.services.exam import manage as exam_manage
from bot.services.library.catalog import Catalog, load_catalog, read_catalog
from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite, open_engine
from bot.storage.files.loader import load_library
from bot.storage.files.policies import load_policy
from bot.storage.migrations.migrate import migrate
from bot.storage.tables.columns import stamp
from tests.bench.load import message_id, user_of

ROOT = Path(__file__).parent.parent.parent
ROUND = 20
"""Questions of a round: as many as earn on one day (rule D3), so that every answer has a ledger effect."""
ITEMS = 50
"""Questions of the exam."""
BLUEPRINT = "单选 30×2、多选 10×3、判断 10×1；案例≥30%；60 分钟；及格 60%；每题最多用 2000 次"
AUTHOR = Author("bench", "bench")
T = TypeVar("T")


def prepare(url: str, people: int, *, analyze: bool = False) -> None:
    """A migrated database with the shipped banks and so many people. `analyze` gives it statistics, which the product itself never makes."""
    engine = open_engine(url)
    migrate(engine)
    library, faults = load_library(ROOT)
    policy, policy_faults = load_policy(ROOT)
    assert policy is not None, [*faults, *policy_faults]
    now = datetime.now(UTC)
    catalog = Database(engine).write_now(lambda session: load_catalog(session, library, policy, now))
    singles = [(name, catalog.drawn[name]) for name in catalog.drawn if library.questions[name].kind == "single"]
    assert len(singles) >= ROUND, f"the banks hold {len(singles)} single-choice questions, {ROUND} are needed"
    with engine.begin() as connection:
        _fill(connection, people, singles, stamp(now))
        if not is_sqlite(engine):
            for table in ("unit", "person", "sitting"):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {max(people, 1)})"))
    if analyze:
        with engine.connect() as connection:
            connection.execute(text("ANALYZE"))
            connection.commit()
    engine.dispose()
    checkpoint(url)


def _fill(connection: Connection, people: int, singles: list[tuple[str, int]], moment: str) -> None:
    def many(statement: str, rows: Iterable[dict[str, object]]) -> None:
        if values := list(rows):
            connection.execute(text(statement), values)

    rng, ids = random.Random(1), range(1, people + 1)
    many("INSERT INTO unit (id, name, path) VALUES (1, :name, :name)", [{"name": "某局"}])
    many(
        "INSERT INTO person (id, staff_no, name, tier, recorded_at) VALUES (:id, :staff_no, :name, '公务员', :at)",
        ({"id": n, "staff_no": f"B{n:05d}", "name": f"学员{n}", "at": moment} for n in ids),
    )
    many("INSERT INTO post (person_id, unit_id, since) VALUES (:id, 1, '2020-01-01')", ({"id": n} for n in ids))
    many(
        """INSERT INTO account (channel, "user", person_id, bound_at, bound_by) VALUES ('wecom', :user, :id, :at, 'bench')""",
        ({"id": n, "user": user_of(n), "at": moment} for n in ids),
    )
    many(
        """INSERT INTO sitting (id, person_id, kind, scope, size, next, state, opened_at)
           VALUES (:id, :id, 'practice', '随机', :size, 1, 'open', :at)""",
        ({"id": n, "size": ROUND, "at": moment} for n in ids),
    )
    many(
        "INSERT INTO sitting_item (sitting_id, n, question, version_id) VALUES (:id, :n, :question, :version)",
        (
            {"id": person, "n": n, "question": question, "version": version}
            for person in ids
            for n, (question, version) in enumerate(rng.sample(singles, ROUND), 1)
        ),
    )
    many("INSERT INTO focus (person_id, kind, ref, since) VALUES (:id, 'sitting', :id, :at)", ({"id": n, "at": moment} for n in ids))


def checkpoint(url: str) -> None:
    """All of an SQLite database in its one file, so that it can be copied."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _write(url: str, work: Callable[[Session, Catalog, datetime], T]) -> T:
    """Work with the catalog over a prepared database."""
    library, _ = load_library(ROOT)
    database = Database(open_engine(url))
    now = datetime.now(UTC)
    result = database.write_now(lambda session: work(session, read_catalog(session, library), now))
    database.engine.dispose()
    checkpoint(url)
    return result


def publish_exam(url: str) -> None:
    """An exam of fifty items that is open to everybody: 考试 开始 1."""

    def work(session: Session, catalog: Catalog, now: datetime) -> None:
        wanted = WantedExam("开考", parse_blueprint(BLUEPRINT), All(), now - timedelta(minutes=1), now + timedelta(hours=3))
        exam_manage.publish(session, catalog, AUTHOR, exam_manage.create(session, catalog, AUTHOR, wanted, now), now)

    _write(url, work)


def open_contest(url: str) -> None:
    """A contest in one set of as many questions as a round: 竞赛 1 开始."""

    def work(session: Session, catalog: Catalog, now: datetime) -> None:
        opens, closes = now - timedelta(minutes=1), now + timedelta(hours=3)
        plan = ContestPlan("七一竞赛", "windowed", ContestRules(size=ROUND), (), All(), opens, closes)
        contest_manage.open_contest(session, AUTHOR, contest_manage.create(session, catalog, AUTHOR, plan, now), now)

    _write(url, work)


def await_sittings(url: str, kind: str, count: int, seconds: float = 60.0) -> int:
    """How many sittings of a kind there are, once there are so many or nothing has come for so long."""
    engine, last, found = open_engine(url), time.monotonic() + seconds, 0
    while found < count and time.monotonic() < last:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT COUNT(*) FROM sitting WHERE kind = :kind"), {"kind": kind}).scalar_one()
        time.sleep(0.1)
    engine.dispose()
    return found


@dataclass(frozen=True, slots=True)
class Kept:
    """What the database holds of a run: rows by message, and how many of them lack their effect."""

    answers: int
    double: int
    lost: int
    without_effect: int

    @property
    def whole(self) -> bool:
        return not (self.double or self.lost or self.without_effect)


def kept(url: str, promised: set[tuple[int, int]], *, effect: bool = True) -> Kept:
    """The rows against the promises: (person, n) of every reply that said 已记录. `effect` where each answer has one in the ledger."""
    engine = open_engine(url)
    with engine.connect() as connection:
        if is_sqlite(engine):
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        answers, distinct = connection.execute(text("SELECT COUNT(*), COUNT(DISTINCT message_id) FROM answer")).one()
        recorded = set(connection.execute(text("SELECT message_id FROM answer")).scalars())
        bare = connection.execute(
            text(
                """SELECT COUNT(*) FROM answer a WHERE 1 <> (
                     SELECT COUNT(*) FROM ledger l WHERE l.person_id = a.person_id AND l.source_kind = 'item'
                     AND l.source_id = substr(a.recorded_at, 1, 4) || ':' || a.question)"""
            )
        ).scalar_one()
    engine.dispose()
    return Kept(answers, answers - distinct, len({message_id(*place) for place in promised} - recorded), bare if effect else 0)
