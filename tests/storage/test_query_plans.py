"""What the jobs and the dispatcher ask again and again is found by an index, however much has been answered in the meantime."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from bot.storage.contest import duels
from bot.storage.db.query import Query, Statement
from bot.storage.exam import attempts
from bot.storage.grading import corrections, short_answers

SMALL = {"SCAN e", "SCAN exam"}
"""There are a few dozen exams, and they are looked through."""


@pytest.mark.parametrize(
    "statement",
    [
        attempts._OVERDUE,
        attempts._UNANNOUNCED,
        attempts._AT_OPEN_EXAMS,
        attempts._HIDDEN_QUESTIONS,
        duels._DUE,
        corrections._EXAM_SECONDS,
        corrections._PASSED,
    ],
    ids=["overdue papers", "untold results", "papers watched", "keys hidden", "matches over", "hours of an exam", "who has passed"],
)
def test_nothing_is_looked_through_from_end_to_end(sqlite_engine: Engine, statement: Statement | Query[Any]) -> None:
    scans = {line for line in plan(sqlite_engine, statement) if line.startswith("SCAN")}
    assert scans <= SMALL


@pytest.mark.parametrize(
    ("statement", "index"),
    [(duels._PENDING_NEWS, "duel_player_owed"), (short_answers._WAITING, "answer_provisional")],
    ids=["news owed", "answers to mark"],
)
def test_what_waits_stands_in_an_index_of_its_own(sqlite_engine: Engine, statement: Statement | Query[Any], index: str) -> None:
    assert any(line.startswith("SCAN") and line.endswith(f"USING INDEX {index}") for line in plan(sqlite_engine, statement))


@pytest.mark.parametrize("statement", [attempts._QUESTION_USES, attempts._FIRST_ANSWER_COUNTS], ids=["uses", "first answers"])
def test_what_drawing_counts_begins_with_the_attempts(sqlite_engine: Engine, statement: Statement | Query[Any]) -> None:
    first, *others = (line for line in plan(sqlite_engine, statement) if not line.startswith("USE TEMP"))
    assert first.startswith("SCAN attempt")
    assert all(line.startswith("SEARCH") for line in others)


def plan(engine: Engine, statement: Statement | Query[Any]) -> list[str]:
    """How SQLite would go about it."""
    with engine.connect() as connection:
        raw = connection.connection.cursor()
        text = statement.sqlite if isinstance(statement, Statement) else statement.for_sqlite().text
        return [str(row[3]) for row in raw.execute(f"EXPLAIN QUERY PLAN {text}", [1] * text.count("?"))]
