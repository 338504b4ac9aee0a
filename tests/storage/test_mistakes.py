"""Cards of the notebook in rows: what FSRS computes comes back from the database bit for bit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial

import fsrs
import pytest
from sqlmodel import Session

from bot.domain.study.spaced_repetition import Rating, update_mistake
from bot.storage.db.database import Database
from bot.storage.study import mistakes
from bot.storage.study.mistakes import ReviewSettings
from tests.conftest import enroll

# Grades with the days (and hours) between them: the package's own vectors (test_basic of py-fsrs 6.3) from a first wrong answer on, an
# overdue card, several reviews in a day, and a card that is forgotten again and again.
SEQUENCES: dict[str, list[tuple[int, float]]] = {
    "the package's memory state": [(1, 0), (3, 0), (3, 1), (3, 3), (3, 8), (3, 21)],
    "the package's ratings after a miss": [(1, 0), (3, 2), (3, 11), (3, 46), (3, 163), (3, 498), (1, 0), (1, 0), (3, 2), (3, 4), (3, 7)],
    "slow and overdue": [(1, 0), (2, 0.01), (2, 0.2), (3, 1), (2, 40), (3, 200)],
    "a day of practice": [(1, 0), (1, 0.01), (3, 0.02), (3, 0.03), (1, 0.04), (3, 0.05), (3, 0.3)],
    "never kept for long": [(1, 0), (3, 1), (1, 1), (3, 1), (1, 3), (3, 2), (1, 9), (2, 1), (3, 400)],
}


def review(person_id: int, grade: Rating, at: datetime, session: Session) -> None:
    kept = update_mistake(mistakes.entry(session, person_id, "q1"), "q1", grade, at)
    assert kept is not None
    mistakes.save_entries(session, [(person_id, kept)])


@pytest.mark.parametrize("name", SEQUENCES)
def test_what_fsrs_computes_is_read_back_from_rows_unchanged(database: Database, name: str) -> None:
    """Every review starts from the row alone; beside it the package goes its own way without a database."""
    person_id = database.write_now(lambda session: enroll(session, "1001"))
    scheduler, card = fsrs.Scheduler(enable_fuzzing=False), fsrs.Card(card_id=0)
    at = datetime(2022, 11, 29, 0, 30, 0, 123456, tzinfo=UTC)
    for rating, days in SEQUENCES[name]:
        at += timedelta(days=days)
        card, _ = scheduler.review_card(card, Rating(rating), at)
        database.write_now(partial(review, person_id, Rating(rating), at))
        kept = database.read_now(lambda session: mistakes.entry(session, person_id, "q1"))
        assert kept is not None
        read = kept.card
        assert (read.stability, read.difficulty) == (card.stability, card.difficulty)
        assert (read.due, read.reviewed_at) == (card.due, card.last_review)
        assert (read.state, read.step) == (card.state, card.step)


def test_a_notebook_is_read_with_the_longest_due_first(database: Database) -> None:
    person_id = database.write_now(lambda session: enroll(session, "1001"))
    at = datetime(2026, 3, 2, 1, tzinfo=UTC)

    def write(session: Session) -> None:
        for n, name in enumerate(("b", "a", "c")):
            kept = update_mistake(None, name, Rating.Again, at - timedelta(hours=n))
            assert kept is not None
            mistakes.save_entries(session, [(person_id, kept)])

    database.write_now(write)
    assert [one.question for one in database.read_now(lambda session: mistakes.entries(session, person_id))] == ["c", "a", "b"]


def test_who_set_nothing_has_the_defaults_and_who_did_keeps_them(database: Database) -> None:
    person_id = database.write_now(lambda session: enroll(session, "1001"))
    assert database.read_now(lambda session: mistakes.review_settings(session, person_id)) == ReviewSettings(None, 4, 90)
    for chosen in (ReviewSettings(date(2026, 12, 4), 6, 95), ReviewSettings(None, 6, 95)):
        database.write_now(partial(mistakes.save_review_settings, person_id=person_id, settings=chosen))
        assert database.read_now(lambda session: mistakes.review_settings(session, person_id)) == chosen
