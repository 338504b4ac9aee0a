"""Builds the app that the service and the terminal share: database, catalog, dispatcher, metrics and the quota of replies."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.library.library import Library
from bot.domain.message import Refusal
from bot.jobs.reply_quota import ReplyQuota
from bot.services.library import catalog
from bot.services.library.catalog import Catalog
from bot.settings import Settings
from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite
from bot.storage.files import loader
from bot.storage.files.policies import PolicyFile, load_policy
from bot.storage.people import accounts
from bot.web.metrics import Metrics

LOADING_LOCK = 7_235_001
"""The PostgreSQL advisory lock under which replicas load the content files into the database one after the other."""
FAULTS_SHOWN = 20

Seed = Callable[[Session, Catalog, datetime], None]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The service's clock."""
    return datetime.now(UTC)


def load_content(root: Path) -> tuple[Library, PolicyFile]:
    """The library and the policies from their files. Raises `Refusal` with file, line and sentence of every fault."""
    library, faults = loader.load_library(root)
    policy, policy_faults = load_policy(root)
    faults = [*faults, *policy_faults]
    if faults or policy is None:
        shown = "\n".join(f"  {fault}" for fault in faults[:FAULTS_SHOWN])
        rest = f"\n  ……共 {len(faults)} 处" if len(faults) > FAULTS_SHOWN else ""
        raise Refusal(f"内容文件有错，服务没有启动（python -m bot check 可查看全部）：\n{shown}{rest}")
    return library, policy


def load_catalog(database: Database, root: Path, now: datetime, chars_a_minute: int, seed: Seed | None = None) -> Catalog:
    """The catalog, after the rows were brought in line with the files and `seed`, if given, has added the demo's people."""
    library, policy = load_content(root)

    def load(session: Session) -> Catalog:
        if not is_sqlite(database.engine):
            session.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": LOADING_LOCK})
        filled = catalog.load_catalog(session, library, policy, now, chars_a_minute)
        if seed is None:
            return filled
        seed(session, filled, now)
        return catalog.read_catalog(session, library, chars_a_minute)

    return database.write_now(load)


@dataclass
class App:
    """What every entry point works with: the settings, the database, the catalog and what answers messages over them."""

    settings: Settings
    database: Database
    catalog: Catalog
    dispatcher: Dispatcher
    metrics: Metrics
    reply_quota: ReplyQuota
    clock: Clock


def build(settings: Settings, engine: Engine, *, root: Path | None = None, clock: Clock = utc_now, seed: Seed | None = None) -> App:
    """The app over an engine whose schema was checked (bot/cli/context.py), with nothing running yet.

    Raises `Refusal` for faults in the files.
    """
    limits = settings.limits
    database = Database(engine, prelock=accounts.lock_people, limit=limits.queue)
    loaded_catalog = replace(
        load_catalog(database, root or loader.data_root(), clock(), limits.reading_chars_a_minute, seed), limits=settings.platform_limits
    )
    metrics = Metrics()
    dispatcher = Dispatcher(database, lambda: loaded_catalog, rng=random.SystemRandom(), note=metrics.note, a_minute=limits.person_a_minute)
    dispatcher.pages = settings.public_url.rstrip("/")
    metrics.add_measure(lambda registry: _measure_database(database, registry))
    return App(settings, database, loaded_catalog, dispatcher, metrics, ReplyQuota(database, clock, loaded_catalog.limits), clock)


def _measure_database(database: Database, metrics: Metrics) -> None:
    commits, database.gauges.committed = database.gauges.committed, []
    for size, seconds in commits:
        metrics.commit_size.observe(size)
        metrics.commit_seconds.observe(seconds)
    metrics.queue_depth.set(database.depth)
    metrics.commit_failures.set(database.gauges.failures)
    metrics.database_lost.set(database.gauges.lost)
