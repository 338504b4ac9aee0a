"""The mark that counts: the answer, then a person's word on it, then the newest correction; and the answer stays as it was."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlmodel import Session

from bot.domain.grading.correction import sum_grades
from bot.storage.db.database import Database
from bot.storage.db.query import bind, table
from bot.storage.reports.exports import EXPORTS, bounds
from bot.storage.study import grades
from bot.storage.study.grades import CountingGrade
from bot.storage.tables.study import SittingRow
from tests.support.rows import AT, GOOD, put

ORDER = ("unit", "person", "question_version", "sitting", "sitting_item", "answer")


class Paper:
    """One sitting with three places worth 2, 2 and 1 points: the first right, the second half right and provisional, the third left blank."""

    def __init__(self, engine: Engine) -> None:
        self.database = Database(engine)
        body = '{"kind":"single","id":"q","level":1,"law":"l","version":"2020-01-01","article":"a","point":"p","stem":"s","explanation":"e"}'
        with engine.begin() as connection:
            for table in ORDER:
                row = {**GOOD[table], **({"body": body} if table == "question_version" else {}), **({"size": 3} if table == "sitting" else {})}
                put(connection, table, {**row, **({"points": 2000} if table == "sitting_item" else {})})
            for n, points in ((2, 2000), (3, 1000)):
                put(connection, "sitting_item", {**GOOD["sitting_item"], "n": n, "points": points})
            put(connection, "answer", {**GOOD["answer"], "id": 901, "n": 2, "correct": 0, "earned": 500, "provisional": 1})

    def put(self, table: str, **row: Any) -> None:
        self.database.write_now(lambda session: put(session.connection(), table, {**GOOD[table], **row}))

    def correct(self, number: int, n: int, earned: int, counts: int = 1, answer_id: int | None = None) -> None:
        self.put("correction", id=number, ref=number, state="applied", decided_by="t", decided_at=AT)
        self.put("remark", correction_id=number, n=n, earned=earned, counts=counts, answer_id=answer_id)

    def marks(self) -> list[CountingGrade]:
        return self.database.read_now(lambda session: grades.grades_of_sitting(session, 900))

    def total(self) -> tuple[int, int]:
        found = self.database.read_now(lambda session: sum_grades(one.place for one in grades.grades_of_sitting(session, 900)))
        return found.earned, found.counted

    def exported(self) -> list[tuple[bool, float]]:
        lines: list[Any] = self.database.read_now(lambda session: list(EXPORTS["answers"](session, bounds(None, None))))
        return [(line["correct"], line["earned"]) for line in lines]


@pytest.fixture
def paper(engine: Engine) -> Paper:
    return Paper(engine)


def test_an_answer_counts_as_it_was_marked_until_somebody_says_otherwise(paper: Paper) -> None:
    assert [(one.earned, one.counts, one.waits, one.answer_id) for one in paper.marks()] == [
        (1000, True, False, 900),
        (500, True, True, 901),
        (0, True, False, None),
    ]
    assert paper.total() == (3000, 5000)
    assert paper.exported() == [(True, 1.0), (False, 0.5)]


def test_a_persons_word_counts_before_the_machines(paper: Paper) -> None:
    paper.put("confirmation", answer_id=901, earned=1000)

    assert [(one.earned, one.waits) for one in paper.marks()][1] == (1000, False)
    assert paper.total() == (4000, 5000)
    assert paper.exported() == [(True, 1.0), (True, 1.0)]


def test_the_newest_correction_counts_before_everything_and_the_answer_stays(paper: Paper) -> None:
    paper.put("confirmation", answer_id=901, earned=1000)
    paper.correct(7, n=2, earned=0, answer_id=901)
    paper.correct(8, n=1, earned=0, answer_id=900)
    paper.correct(9, n=1, earned=500, answer_id=900)

    assert [(one.earned, one.correction) for one in paper.marks()] == [(500, 9), (0, 7), (0, None)]
    assert paper.total() == (1000, 5000)
    assert paper.exported() == [(False, 0.5), (False, 0.0)]
    kept = paper.database.read_now(lambda session: session.execute(text("SELECT earned FROM answer ORDER BY id")).all())
    assert [row[0] for row in kept] == [1000, 500]


def test_a_place_that_was_left_blank_can_be_given_and_one_taken_out_counts_nowhere(paper: Paper) -> None:
    paper.correct(7, n=3, earned=1000)
    paper.correct(8, n=1, earned=1000, counts=0, answer_id=900)

    assert paper.total() == (2000, 3000)


def test_many_papers_come_in_one_look(paper: Paper) -> None:
    def look(session: Session) -> list[CountingGrade]:
        sittings = table(SittingRow)
        return grades.grades_of_sittings(select(sittings.c.id).where(sittings.c.kind == bind("kind"))).all(session, kind="practice")

    assert paper.database.read_now(look) == paper.marks()
