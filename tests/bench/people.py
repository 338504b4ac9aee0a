"""The people of a benchmark: each bound in WeCom, each with a round of single-choice questions in hand."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.services.library.catalog import load_catalog
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.files.loader import load_library
from bot.storage.files.policies import load_policy
from bot.storage.migrations.migrate import migrate
from bot.storage.tables.columns import stamp
from tests.bench.load import message_id, user_of

ROOT = Path(__file__).parent.parent.parent
ROUND = 20
"""Questions of a round: as many as earn on one day (rule D3), so that every answer has a ledger effect."""


def prepared(path: Path, people: int) -> None:
    """A migrated database with the shipped banks and so many people."""
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    library, faults = load_library(ROOT)
    policy, wrong = load_policy(ROOT)
    assert policy is not None, [*faults, *wrong]
    database = Database(engine)
    now = datetime.now(UTC)
    catalog = database.write_now(lambda session: load_catalog(session, library, policy, now))
    engine.dispose()
    singles = [(name, catalog.drawn[name]) for name in catalog.drawn if library.questions[name].kind == "single"]
    assert len(singles) >= ROUND, f"the banks hold {len(singles)} single-choice questions, {ROUND} are needed"
    at = stamp(now)
    rng = random.Random(1)
    ids = range(1, people + 1)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO unit (id, name, path) VALUES (1, '某局', '某局')")
        db.executemany(
            "INSERT INTO person (id, staff_no, name, tier, recorded_at) VALUES (?, ?, ?, '公务员', ?)",
            ((n, f"B{n:05d}", f"学员{n}", at) for n in ids),
        )
        db.executemany("INSERT INTO post (person_id, unit_id, since) VALUES (?, 1, '2020-01-01')", ((n,) for n in ids))
        db.executemany(
            "INSERT INTO account (channel, user, person_id, bound_at, bound_by) VALUES ('wecom', ?, ?, ?, 'bench')",
            ((user_of(n), n, at) for n in ids),
        )
        db.executemany(
            "INSERT INTO sitting (id, person_id, kind, scope, size, next, state, opened_at) VALUES (?, ?, 'practice', '随机', ?, 1, 'open', ?)",
            ((n, n, ROUND, at) for n in ids),
        )
        db.executemany(
            "INSERT INTO sitting_item (sitting_id, n, question, version_id) VALUES (?, ?, ?, ?)",
            ((n, place, *item) for n in ids for place, item in enumerate(rng.sample(singles, ROUND), 1)),
        )
        db.executemany("INSERT INTO focus (person_id, kind, ref, since) VALUES (?, 'sitting', ?, ?)", ((n, n, at) for n in ids))
        db.execute("ANALYZE")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


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


def kept(path: Path, promised: set[tuple[int, int]]) -> Kept:
    """The rows against the promises: (person, n) of every reply that said 已记录."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        answers, double = db.execute("SELECT COUNT(*), COUNT(*) - COUNT(DISTINCT message_id) FROM answer").fetchone()
        there = {row[0] for row in db.execute("SELECT message_id FROM answer")}
        bare = db.execute(
            """SELECT COUNT(*) FROM answer a WHERE 1 <> (
                 SELECT COUNT(*) FROM ledger l WHERE l.person_id = a.person_id AND l.source_kind = 'item'
                 AND l.source_id = substr(a.recorded_at, 1, 4) || ':' || a.question)"""
        ).fetchone()[0]
    return Kept(answers, double, len({message_id(*one) for one in promised} - there), bare)
