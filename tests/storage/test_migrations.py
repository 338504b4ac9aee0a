"""The schema: the same from the migrations and from the tables, up and down with people in it, and every rule kept by the database itself."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bot.domain.library.library import Library
from bot.services.library.catalog import load_catalog
from bot.services.study import quiz
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.files.policies import load_policy
from bot.storage.migrations.migrate import HERE, current, head, known, migrate
from bot.storage.tables.schema import metadata
from tests.conftest import NOW, ROOT, enroll
from tests.support.rows import GOOD, SECOND, bad_rows, put, put_good, rules

Rows = dict[str, list[dict[str, Any]]]
REVISIONS = [script.revision for script in reversed(list(ScriptDirectory(str(HERE)).walk_revisions()))]


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with nothing in it, of a test's own."""
    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
        yield engine
        engine.dispose()
        return
    url: str = request.getfixturevalue("postgres_url")
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS empty")
        server.execute("CREATE DATABASE empty")
    engine = open_engine(url.replace("/postgres?", "/empty?"))
    yield engine
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("DROP DATABASE empty WITH (FORCE)")


def canonical(engine: Engine) -> Rows:
    """Every row of every table that stands, in one order, with the columns that stand."""
    found = inspect(engine)
    there = {name: {column["name"] for column in found.get_columns(name)} for name in found.get_table_names()}
    with engine.connect() as connection:
        return {
            table.name: in_order(
                dict(row) for row in connection.execute(select(*(column for column in table.c if column.name in there[table.name]))).mappings()
            )
            for table in metadata.sorted_tables
            if table.name in there
        }


def in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=repr)


def as_far_as(full: Rows, stands: Rows) -> Rows:
    """The rows of `full` in the tables and columns that still stand."""
    return {name: in_order({column: row[column] for column in (rows[0] if rows else row)} for row in full[name]) for name, rows in stands.items()}


def fill_tables(engine: Engine, library: Library) -> None:
    """A day's work: people, a lesson's questions answered right and wrong, and one row at least in every table."""
    policy, _ = load_policy(ROOT)
    assert policy is not None
    database = Database(engine)

    def live(session: Any) -> None:
        catalog = load_catalog(session, library, policy, NOW)
        for n in range(20):
            person_id = enroll(session, f"{n}", roles=("admin",) if n == 0 else ())
            quiz.start_practice(session, catalog, person_id, "", NOW, random.Random(n))

    database.write_now(live)
    with engine.begin() as connection:
        put_good(connection)


def test_every_table_has_a_lawful_row_and_every_rule_a_row_that_breaks_it() -> None:
    assert set(GOOD) == {table.name for table in metadata.sorted_tables}
    tried = {(table, rule) for table, _, rule in bad_rows()}
    assert {(table.name, rule) for table in metadata.sorted_tables for rule in rules(table)} == tried
    assert "None" not in {rule for _, rule in tried}, "a rule without a name cannot be told to anybody"


def test_a_row_that_breaks_a_rule_is_refused_by_the_rules_name(engine: Engine) -> None:
    with engine.begin() as connection:
        put_good(connection)
    for table, row, rule in bad_rows():
        with pytest.raises(IntegrityError, match=rf"\b{rule}\b"), engine.begin() as connection:
            put(connection, table, row)


@pytest.mark.parametrize(
    "table",
    [
        "ledger",
        "audit",
        "answer",
        "question_version",
        "confirmation",
        "uncredited",
        "seal",
        "remark",
        "ripple",
        "outside_result",
        "certificate",
        "live_decision",
    ],
)
@pytest.mark.parametrize("act", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_what_is_recorded_refuses_to_be_changed_or_deleted(engine: Engine, table: str, act: str) -> None:
    with engine.begin() as connection:
        put_good(connection)
    before = canonical(engine)
    column = next(iter(GOOD[table]))
    with pytest.raises(DBAPIError, match=r"never|only|stands|stays|keeps"), engine.begin() as connection:
        connection.execute(text(act.format(table, f'"{column}"')))
    assert canonical(engine) == before


@pytest.mark.parametrize("table", ["ledger", "audit", "answer"])
def test_what_is_recorded_cannot_be_emptied_or_replaced(engine: Engine, table: str) -> None:
    if engine.dialect.name == "sqlite":
        # SQLite has no TRUNCATE: emptying is a DELETE there, or a REPLACE over a row.
        with engine.begin() as connection:
            put_good(connection)
        before = canonical(engine)
        row = {"id": 1, **GOOD[table]} if table == "audit" else GOOD[table]
        with pytest.raises(DBAPIError), engine.begin() as connection:
            put(connection, table, row, "INSERT OR REPLACE")
        assert canonical(engine) == before
        return
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {table} CASCADE"))


def test_one_source_earns_once_and_is_reversed_once(engine: Engine) -> None:
    with engine.begin() as connection:
        put_good(connection)
    again = {**GOOD["ledger"], "id": 901}
    back = {**GOOD["ledger"], "id": 902, "credit_seconds": -60, "reverses": 900}
    with pytest.raises(IntegrityError), engine.begin() as connection:
        put(connection, "ledger", again)
    with engine.begin() as connection:
        put(connection, "ledger", back)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        put(connection, "ledger", {**back, "id": 903})


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("account", {"person_id": 999_999, "user": "nobody"}),
        ("ledger", {"person_id": 999_999}),
        ("answer", {"sitting_id": 999_999}),
        ("sitting_item", {"version_id": 999_999, "n": 2}),
        ("role", {"unit_id": 999_999, "role": "supervisor"}),
    ],
)
def test_a_row_that_points_nowhere_is_refused(engine: Engine, table: str, row: dict[str, Any]) -> None:
    with engine.begin() as connection:
        put_good(connection)
    bad = {**GOOD[table], **SECOND.get(table, {}), **({"id": 950} if "id" in GOOD[table] else {}), **row}
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), engine.begin() as connection:
        put(connection, table, bad)


@pytest.mark.parametrize(("table", "row"), [("tally", {"n": "three"}), ("sitting", {"size": "many"}), ("year_total", {"seconds": 1.5})])
def test_a_number_column_holds_numbers_only(sqlite_engine: Engine, table: str, row: dict[str, Any]) -> None:
    """STRICT tables: without them SQLite keeps 'three' in an INTEGER column."""
    with pytest.raises(DBAPIError, match="cannot store"), sqlite_engine.begin() as connection:
        put(connection, table, {**GOOD[table], **row})


def test_the_tables_and_the_migrations_say_the_same(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata})
        assert compare_metadata(context, metadata) == []


def test_every_rule_of_the_tables_stands_in_the_database(engine: Engine) -> None:
    """Alembic does not compare CHECK constraints; here they are compared by name."""
    found = inspect(engine)
    for table in metadata.sorted_tables:
        there = {constraint["name"] for constraint in found.get_check_constraints(table.name)}
        assert rules(table) <= there, table.name


def test_the_schema_goes_down_and_up_again_with_people_in_it(empty: Engine, shipped: Library) -> None:
    """Step by step down to nothing and up again; a table that stands keeps every row it had."""
    assert migrate(empty) == (None, head())
    fill_tables(empty, shipped)
    full = canonical(empty)
    assert all(full.values()), [name for name, rows in full.items() if not rows]
    for revision in [*reversed(REVISIONS[:-1]), "base"]:
        migrate(empty, revision)
        stands = canonical(empty)
        assert as_far_as(full, stands) == stands
        assert current(empty) == (None if revision == "base" else revision)
    assert canonical(empty) == {}

    for revision in REVISIONS:
        migrate(empty, revision)
    assert current(empty) == head()
    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_one_step_down_and_up_changes_no_row_and_guards_them_again(empty: Engine, shipped: Library) -> None:
    migrate(empty)
    fill_tables(empty, shipped)
    full = canonical(empty)
    for revision in reversed(REVISIONS[:-1]):
        migrate(empty, revision)
    low = canonical(empty)
    migrate(empty)
    kept = canonical(empty)
    assert as_far_as(kept, low) == low
    assert as_far_as(full, low) == low
    assert kept["answer"] == full["answer"]
    assert kept["ledger"] == full["ledger"]
    with pytest.raises(DBAPIError), empty.begin() as connection:
        connection.execute(text("UPDATE ledger SET credit_seconds = 1"))


def test_migrating_twice_changes_nothing(empty: Engine) -> None:
    assert migrate(empty) == (None, head())
    assert migrate(empty) == (head(), head())


def test_a_migration_that_fails_leaves_the_schema_where_it_was(empty: Engine) -> None:
    """Somebody made a table of the same name by hand: the step is one transaction and nothing of it stays."""
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE year_total (x INTEGER)"))
    with pytest.raises(DBAPIError):
        migrate(empty)
    assert current(empty) is None
    assert set(inspect(empty).get_table_names()) - {"alembic_version"} == {"year_total"}


def test_a_schema_of_the_future_is_not_known(empty: Engine) -> None:
    migrate(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert current(empty) == "9999"
    assert "9999" not in known()
    with pytest.raises(Exception, match="9999"):
        migrate(empty)
    assert current(empty) == "9999"


def test_an_exam_that_was_answered_survives_the_older_schema_under_another_name(empty: Engine) -> None:
    migrate(empty)
    with empty.begin() as connection:
        put_good(connection)
        put(connection, "sitting", {**GOOD["sitting"], "id": 901, "kind": "exam", "scope": "7"})
        put(connection, "answer", {**GOOD["answer"], "id": 901, "sitting_id": 901})
        connection.execute(text("UPDATE focus SET kind = 'exam', ref = 901"))
    migrate(empty, "0004")
    with empty.connect() as connection:
        kept = connection.execute(text("SELECT kind, scope, state FROM sitting WHERE id = 901")).one()
        assert tuple(kept) == ("practice", "exam:7", "left")
        assert connection.execute(text("SELECT COUNT(*) FROM answer WHERE sitting_id = 901")).scalar() == 1
        assert connection.execute(text("SELECT COUNT(*) FROM focus")).scalar() == 0
    unknown = {**GOOD["sitting"], "id": 902, "kind": "exam", "scope": "8"}
    with pytest.raises(IntegrityError, match="kind_is_known"), empty.begin() as connection:
        put(connection, "sitting", unknown)
    migrate(empty)


def test_the_notebook_of_before_is_carried_over_and_back(empty: Engine) -> None:
    """Listed, half way out, left: each is a card that is due at once, and nothing is lost on the way back."""
    migrate(empty)
    with empty.begin() as connection:
        put_good(connection)
    migrate(empty, "0005")
    first, last, left = "2026-01-05T01:00:00.000000Z", "2026-02-05T01:00:00.000000Z", "2026-02-20T01:00:00.000000Z"
    before = [(900, "listed", first, 0, None), (900, "once", first, 1, None), (900, "out", first, 2, left)]
    with empty.begin() as connection:
        connection.execute(text("DELETE FROM mistake"))
        for person_id, question, entered, rights, gone in before:
            row = {"person_id": person_id, "question": question, "entered_at": entered, "right_in_a_row": rights, "left_at": gone}
            put(connection, "mistake", row)
        put(connection, "answer", {**GOOD["answer"], "id": 901, "n": 2, "question": "once", "recorded_at": last})
    migrate(empty, "0006")
    with empty.connect() as connection:
        cards = connection.execute(
            text("SELECT question, right_in_a_row, left_at, state, step, stability, difficulty, due_at, reviewed_at FROM notebook_card ORDER BY 1")
        ).all()
    assert [tuple(card) for card in cards] == [
        ("listed", 0, None, 1, 0, 0.212, 6.4133, first, first),
        ("once", 1, None, 1, 0, 0.212, 6.4133, last, last),
        ("out", 2, left, 2, None, 2.3065, 6.4133, left, left),
    ]
    migrate(empty, "0005")
    with empty.connect() as connection:
        assert [tuple(row) for row in connection.execute(text("SELECT * FROM mistake ORDER BY question"))] == before
    migrate(empty)
