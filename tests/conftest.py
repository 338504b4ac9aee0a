"""Fixtures of all tests: an SQLite file, a PostgreSQL server, a database on either, and a chat through the dispatcher."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel

from bot.dispatch import Dispatcher
from bot.domain.library.library import Library
from bot.domain.message import Address, Incoming, QuestionCard, Reply, plain_text
from bot.services.library.catalog import load_catalog
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.files.policies import load_policy
from bot.storage.migrations.migrate import migrate
from bot.storage.people import accounts
from bot.storage.tables.people import AccountRow, PersonRow, PostRow, RoleRow, UnitRow
from bot.storage.tables.schema import metadata
from tests.support import postgres

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""Monday 2 March 2026, 09:00 in Shanghai: when a test begins unless it says otherwise."""


# How long an example takes is the machine's affair.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="module", autouse=True)
def _return_memory() -> Iterator[None]:
    """After a file of tests its memory goes back to the machine: glibc keeps what was freed, and a worker would grow to its largest files' sum."""
    yield
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """One PostgreSQL server for the whole run, from its PyPI package."""
    with postgres.running() as url:
        yield url


@pytest.fixture(scope="session")
def _fresh_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated file to copy: migrating once is enough."""
    path = tmp_path_factory.mktemp("fresh") / "fresh.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def _fresh_postgres(postgres_url: str) -> Engine:
    engine = open_engine(postgres_url)
    migrate(engine)
    return engine


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty, migrated database; every test that asks for it runs on both."""
    yield from (_sqlite if request.param == "sqlite" else _postgres)(request)


@pytest.fixture
def sqlite_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """For what only SQLite has."""
    yield from _sqlite(request)


@pytest.fixture
def postgres_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """For what only PostgreSQL has."""
    yield from _postgres(request)


def _postgres(request: pytest.FixtureRequest) -> Iterator[Engine]:
    shared: Engine = request.getfixturevalue("_fresh_postgres")
    yield shared
    tables = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
    with shared.begin() as connection:
        # The triggers that protect recorded rows refuse TRUNCATE too; a superuser's replica role steps around them between tests.
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
        connection.execute(text("SET session_replication_role = origin"))


def _sqlite(request: pytest.FixtureRequest) -> Iterator[Engine]:
    fresh: Path = request.getfixturevalue("_fresh_sqlite")
    path: Path = request.getfixturevalue("tmp_path") / "bot.db"
    path.write_bytes(fresh.read_bytes())
    made = open_engine(f"sqlite:///{path}")
    yield made
    made.dispose()
    forget_statements()


def forget_statements() -> None:
    """Every mapper keeps up to 150 compiled statements with the dialect of the engine that they were made for, long after that engine is gone.

    The service has one engine; a test run opens thousands, and grew with each.
    """
    for mapper in SQLModel._sa_registry.mappers:
        mapper.__dict__.pop("_compiled_cache", None)


@pytest.fixture
async def database(engine: Engine) -> AsyncIterator[Database]:
    made = Database(engine, prelock=accounts.lock_people)
    made.start()
    yield made
    await asyncio.to_thread(made.stop)


@dataclass
class Clock:
    """A clock that a test moves."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float = 0, **more: float) -> None:
        self.now += timedelta(seconds=seconds, **more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


_numbers = itertools.count(1)


@dataclass
class Chat:
    """One person's chat: `say` types, `tap` presses a button of the last reply; both return what is read on the screen."""

    dispatcher: Dispatcher
    clock: Clock
    user: str
    channel: str = "local"
    last: Reply = field(default_factory=Reply)

    async def hear(self, incoming: Incoming) -> str:
        self.last = await self.dispatcher.handle(incoming)
        return plain_text(self.last)

    def message(self, words: str, task: str = "") -> Incoming:
        kind = "tap" if task else "text"
        return Incoming(Address(self.channel, "test", self.user), words, f"m{next(_numbers)}", self.clock.now, kind, task)  # type: ignore[arg-type]

    async def say(self, words: str, after: float = 3) -> str:
        self.clock.pass_(after)
        return await self.hear(self.message(words))

    async def tap(self, words: str, after: float = 3) -> str:
        assert self.last.card is not None, "there is no button to tap"
        return await self.tap_on(self.last.card, words, after)

    async def tap_on(self, ask: QuestionCard, words: str, after: float = 3) -> str:
        self.clock.pass_(after)
        return await self.hear(self.message(words, ask.task))


def enroll(
    session: Session,
    staff_no: str,
    name: str = "",
    *,
    unit: str = "某局/办公室",
    tier: str = "公务员",
    roles: tuple[str, ...] = (),
    channel: str = "local",
) -> int:
    """One more person on the roster, bound on a channel under their staff number; returns the id."""
    parent: int | None = None
    path = ""
    for part in unit.split("/"):
        path = f"{path}/{part}".strip("/")
        row = session.execute(text("SELECT id FROM unit WHERE path = :p"), {"p": path}).first()
        if row is None:
            made = UnitRow(parent_id=parent, name=part, path=path)
            session.add(made)
            session.flush()
            parent = made.id
        else:
            parent = row[0]
    person = PersonRow(
        staff_no=staff_no, name=name or f"学员{staff_no}", tier=tier, joined_on=datetime(2020, 1, 1, tzinfo=UTC).date(), recorded_at=NOW
    )
    session.add(person)
    session.flush()
    assert person.id is not None
    assert parent is not None
    session.add(PostRow(person_id=person.id, unit_id=parent, since=datetime(2020, 1, 1, tzinfo=UTC).date()))
    session.add(AccountRow(channel=channel, user=staff_no, person_id=person.id, bound_at=NOW, bound_by="test"))
    session.add_all(RoleRow(person_id=person.id, role=role) for role in roles)
    session.flush()
    return person.id


Enroll = Callable[..., int]


@pytest.fixture(scope="session")
def shipped() -> Library:
    """The content and banks of the repository."""
    from bot.storage.files.loader import load_library

    library, faults = load_library(ROOT)
    assert not faults, "\n".join(str(fault) for fault in faults[:5])
    return library


@pytest.fixture
def rng() -> random.Random:
    return random.Random(20260302)


@pytest.fixture
def dispatcher(database: Database, shipped: Library, rng: random.Random) -> Dispatcher:
    """A dispatcher over an empty roster and the shipped library."""
    policy, faults = load_policy(ROOT)
    assert policy is not None, faults
    catalog = database.write_now(lambda session: load_catalog(session, shipped, policy, NOW))
    return Dispatcher(database, lambda: catalog, rng=rng)


@pytest.fixture
def chat(dispatcher: Dispatcher, clock: Clock) -> Chat:
    """The chat of 1001, a civil servant in 某局/办公室."""
    dispatcher.database.write_now(lambda session: enroll(session, "1001", "学员甲"))
    return Chat(dispatcher, clock, "1001")
