"""The schema: the same from the migrations and from the tables, up and down with people in it, and every rule kept by the database itself."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import CheckConstraint, Engine, Table, UniqueConstraint, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bot.domain.library.library import Library
from bot.domain.message import Refusal
from bot.services.library.catalog import load_catalog
from bot.services.study import quiz
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.files.policies import load_policy
from bot.storage.migrations.migrate import HEAD, HERE, REVISIONS, current, migrate
from bot.storage.tables.schema import metadata
from tests.conftest import NOW, ROOT, enroll
from tests.support.rows import GOOD, SECOND, bad_rows, put, put_good, rules

Rows = dict[str, list[dict[str, Any]]]


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


def in_order(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return sorted(rows, key=repr)


def as_far_as(full: Rows, stands: Rows) -> Rows:
    """The rows of `full` in the tables and columns that still stand."""
    return {name: in_order({column: row[column] for column in (rows[0] if rows else row)} for row in full[name]) for name, rows in stands.items()}


def described(engine: Engine) -> dict[str, Any]:
    """Every word of the schema, as far as it says anything: columns, keys, rules, indexes."""
    with engine.connect() as connection:
        schema = inspect(connection)
        return {
            name: {
                "columns": [{**column, "type": str(column["type"])} for column in schema.get_columns(name)],
                "key": schema.get_pk_constraint(name)["constrained_columns"],
                "foreign keys": in_order(schema.get_foreign_keys(name)),
                "unique": in_order(schema.get_unique_constraints(name)),
                "rules": in_order(schema.get_check_constraints(name)),
                "indexes": in_order(
                    {**index, "dialect_options": {option: str(value) for option, value in index.get("dialect_options", {}).items()}}
                    for index in schema.get_indexes(name)
                ),
                "options": {option: str(value) for option, value in schema.get_table_options(name).items()},
            }
            for name in schema.get_table_names()
            if name != "alembic_version"
        }


def checks(table: Table) -> list[CheckConstraint]:
    return [constraint for constraint in table.constraints if isinstance(constraint, CheckConstraint)]


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


def test_the_schema_is_the_one_that_the_tables_would_make(empty: Engine) -> None:
    """Alembic compares neither CHECK constraints nor the conditions of indexes; here every word of the schema is compared."""
    metadata.create_all(empty)
    wanted = described(empty)
    metadata.drop_all(empty)
    migrate(empty)
    assert described(empty) == wanted


def test_the_revisions_that_are_known_are_those_that_alembic_finds() -> None:
    assert [script.revision for script in reversed(list(ScriptDirectory(str(HERE)).walk_revisions()))] == list(REVISIONS)


@pytest.mark.parametrize("revision", ["0001", "0011"])
def test_a_schema_from_before_the_baseline_is_refused_with_the_way_out(empty: Engine, revision: str) -> None:
    migrate(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    for to in ("head", "base", "0012"):
        with pytest.raises(Refusal, match=rf"停在版本 {revision}.*0\.2\.0 版.*migrate"):
            migrate(empty, to)
    assert current(empty) == revision


def test_cheaper_rules_and_partial_indexes_keep_rows_and_guards_up_and_down(empty: Engine, shipped: Library) -> None:
    """The step is run over filled tables in both directions; rows, triggers, indexes and rules are the same on the way back."""
    migrate(empty, "0012")
    before = described(empty)
    migrate(empty)
    fill_tables(empty, shipped)
    migrate(empty, "0014")
    full, after = canonical(empty), described(empty)
    migrate(empty, "0012")
    assert (canonical(empty), described(empty)) == (full, before)
    migrate(empty, "0014")
    assert (canonical(empty), described(empty)) == (full, after)
    for table in ("ledger", "certificate", "answer"):
        with pytest.raises(DBAPIError, match=r"only|stays|stands"), empty.begin() as connection:
            connection.execute(text(f"DELETE FROM {table}"))
    back = {**GOOD["ledger"], "id": 902, "credit_seconds": -60, "reverses": 900}
    with empty.begin() as connection:
        put(connection, "ledger", back)
    with pytest.raises(IntegrityError, match=r"(?i)unique"), empty.begin() as connection:
        put(connection, "ledger", {**back, "id": 903})
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), empty.begin() as connection:
        put(connection, "ledger", {**back, "id": 904, "reverses": 999})


def test_a_step_that_leaves_a_row_pointing_nowhere_is_undone(sqlite_engine: Engine) -> None:
    """On SQLite the foreign keys are off while steps run, so that they are checked before a step is committed."""
    raw = sqlite_engine.raw_connection()
    raw.cursor().executescript("PRAGMA foreign_keys=OFF; INSERT INTO tag (person_id, tag) VALUES (999999, '党员')")
    raw.close()
    with pytest.raises(RuntimeError, match="tag"):
        migrate(sqlite_engine, REVISIONS[-2])
    assert current(sqlite_engine) == HEAD


STAMPS = st.one_of(
    st.text(alphabet="0123456789-T:.Zzt _%/甲\n\u00e9\U0001f600", max_size=29),
    st.datetimes().map(lambda naive: naive.isoformat(timespec="microseconds") + "Z"),
    st.dates().map(str),
    st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=30),
)


@st.composite
def broken_stamps(draw: st.DrawFn) -> str:
    """A lawful moment or day with one place changed, left out or doubled."""
    stamp = draw(st.sampled_from(["2026-03-02T01:00:00.000000Z", "2026-03-02"]))
    place = draw(st.integers(0, len(stamp) - 1))
    return stamp[:place] + draw(st.sampled_from(["", "x", "甲", "%", "_", "-", "T", "t", stamp[place] * 2])) + stamp[place + 1 :]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stamps=st.lists(st.one_of(st.none(), STAMPS, broken_stamps()), min_size=20, max_size=40))
def test_the_cheaper_rules_refuse_what_the_dearer_ones_refused(engine: Engine, stamps: list[str | None]) -> None:
    step = import_module("bot.storage.migrations.versions.0014_cheaper_writes")
    rules_of = [
        (step.dearer("t", name, condition), step.cheaper("t", name, condition))
        for name, condition in {"x_is_a_moment": "", "x_is_a_day": "", "x_is_known": "x = '2026-03-02' OR x = 't' OR x = '0' OR x = '甲'"}.items()
    ]
    with engine.connect() as connection:
        for before, after in rules_of:
            assert before != after
            both = text(f"SELECT ({before}), ({after}) FROM (SELECT CAST(:stamp AS TEXT) AS x) given")
            for stamp in stamps:
                old, new = connection.execute(both, {"stamp": stamp}).one()
                assert old == new, (stamp, before, after)


def test_no_rule_holds_a_list_for_which_sqlite_builds_an_index_at_every_statement() -> None:
    """`IN` with more than two values costs 2.8 µs a row; the same written as comparisons 0.04 µs."""
    long = re.compile(r"\bIN \([^),]*,[^),]*,")
    assert [(table.name, rule.name) for table in metadata.sorted_tables for rule in checks(table) if long.search(str(rule.sqltext))] == []


WHOLE: dict[str, str] = {}
"""Unique indexes over a column that may be NULL and that hold every row all the same, with the reason."""


def test_a_unique_index_over_a_column_that_may_be_empty_leaves_the_empty_ones_out() -> None:
    """Nearly all NULL, it would lead SQLite's planner to another index once it has statistics."""
    found = {}
    for table in metadata.sorted_tables:
        uniques = [(constraint.name, constraint.columns, None) for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
        indexes = [(index.name, index.columns, index.dialect_options["sqlite"]["where"]) for index in table.indexes if index.unique]
        for name, columns, where in [*uniques, *indexes]:
            for column in columns:
                if column.nullable and f"{column.name} IS NOT NULL" not in str(where):
                    found[f"{table.name}.{column.name}"] = name
    assert set(found) == set(WHOLE)


def test_whether_the_schema_fits_is_found_without_alembic(sqlite_engine: Engine) -> None:
    """It takes a tenth of a second to import, and there is a step to run once in a release."""
    script = (
        "import sys\nimport bot.cli.main\nfrom bot.storage.migrations.migrate import HEAD, current, migrate\n"
        f"from bot.storage.db.engine import open_engine\nengine = open_engine({str(sqlite_engine.url)!r})\n"
        "assert migrate(engine) == (HEAD, HEAD) and current(engine) == HEAD\nprint([name for name in sys.modules if name.startswith('alembic')])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_schema_goes_down_and_up_again_with_people_in_it(empty: Engine, shipped: Library) -> None:
    """Step by step down to nothing and up again; a table that stands keeps every row it had."""
    assert migrate(empty) == (None, HEAD)
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
    assert current(empty) == HEAD
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
    assert migrate(empty) == (None, HEAD)
    assert migrate(empty) == (HEAD, HEAD)


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
    with pytest.raises(Refusal, match=r"9999.*请升级程序"):
        migrate(empty)
    assert current(empty) == "9999"
