"""Hours of an exam (rule D4): once, whichever way it was passed; taken back by reversal only, and earned again as a further entry."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.domain.hours.policy import HoursPolicy, RuleVersion
from bot.services.hours import credit
from bot.storage.db.database import Database
from bot.storage.hours import ledger
from tests.conftest import NOW, enroll

POLICY = HoursPolicy((RuleVersion("D1", 1, date(2025, 1, 1), {"seconds_per_hour": 2700}), RuleVersion("D4", 1, date(2025, 1, 1), {"pass": "2"})))
DAY = date(2026, 3, 2)


class Book:
    """The ledger of one person."""

    def __init__(self, engine: Engine) -> None:
        self.database = Database(engine)
        self.person = self.database.write_now(lambda session: enroll(session, "1001"))

    def earn(self, exam: int | str, makeup: bool = False) -> bool:
        def work(session: Session) -> bool:
            return credit.earn_exam(session, POLICY, self.person, exam, DAY, NOW, makeup=makeup) is not None

        return self.database.write_now(work)

    def lose(self, exam: str) -> int:
        return self.database.write_now(lambda session: credit.reverse_exam(session, self.person, exam, NOW, "9001"))

    def stands(self, exam: str) -> int:
        return self.database.read_now(lambda session: credit.exam_seconds(session, self.person, exam))

    def entries(self) -> list[tuple[Any, ...]]:
        query = "SELECT credit_seconds, source_kind, source_id, reverses FROM ledger ORDER BY id"
        return self.database.read_now(lambda session: [tuple(row) for row in session.execute(text(query))])

    def year(self) -> int:
        return self.database.read_now(lambda session: ledger.year_seconds(session, self.person, 2026).get("exam", 0))


@pytest.fixture
def book(engine: Engine) -> Book:
    return Book(engine)


def test_a_pass_earns_two_hours_once_and_a_make_up_of_it_nothing_more(book: Book) -> None:
    assert book.earn(3)
    assert not book.earn(3)
    assert not book.earn(3, makeup=True)
    assert book.earn(30), "another exam whose number begins alike"

    assert book.entries() == [(5400, "exam", "3", None), (5400, "exam", "30", None)]
    assert book.year() == 10_800


def test_a_make_up_earns_for_the_exam_it_makes_up_for_and_is_marked(book: Book) -> None:
    assert book.earn(3, makeup=True)

    assert book.entries() == [(5400, "makeup", "3", None)]
    assert not book.earn(3)
    assert book.stands("3") == 5400


def test_what_is_taken_back_leaves_both_entries_and_can_be_earned_again(book: Book) -> None:
    book.earn(3)

    assert book.lose("3") == 5400
    assert book.lose("3") == 0
    assert (book.stands("3"), book.year()) == (0, 0)
    assert book.earn(3)
    assert not book.earn(3)
    assert book.lose("3") == 5400
    assert book.earn(3)

    assert [row[2:] for row in book.entries()] == [("3", None), ("3", 1), ("3#2", None), ("3#2", 3), ("3#3", None)]
    assert [row[0] for row in book.entries()] == [5400, -5400, 5400, -5400, 5400]
    assert (book.stands("3"), book.year()) == (5400, 5400)


def test_an_exam_elsewhere_is_a_source_of_its_own(book: Book) -> None:
    assert book.earn("outside:2")
    assert not book.earn("outside:2")
    assert book.earn(2)
