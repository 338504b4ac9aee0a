"""报表 考试: invited, sat and passed up the tree, the absent by name, results of one's own units, as they stood on a day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.message import Refusal
from bot.domain.people.audience import All
from bot.domain.reports import ReportQuery, Scope, Table
from bot.services.reports.formats import FORMATS
from bot.storage.reports.registry import REPORTS
from bot.storage.tables.people import AbsenceRow, PostRow
from tests.conftest import NOW, enroll
from tests.support.exams import ExamHarness

OVER = NOW + timedelta(hours=3)
TODAY = NOW.date()
OFFICES = {"1001": "某局/办公室", "1002": "某局/办公室", "1003": "某局/财务处", "1004": "某局/财务处", "1005": "某局/财务处"}


class Bureau(ExamHarness):
    """Five people in two offices, one on leave; three sat, two passed."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(dispatcher)
        self.people = {no: int(self.run(lambda session, no=no: enroll(session, no, unit=OFFICES[no]))) for no in OFFICES}
        leave = AbsenceRow(person_id=self.people["1005"], kind="leave", since=TODAY, recorded_by="t", recorded_at=NOW)
        self.run(lambda session: session.add(leave))
        self.exam_id = self.publish(audience=All(), clause="年度要点第三条")
        for no, right in (("1001", 6), ("1003", 6), ("1004", 0)):
            sitting_id = self.begin(self.people[no], self.exam_id).status.sitting_id
            self.answer_all(self.people[no], sitting_id, right=right)
            self.hand_in(self.people[no], sitting_id)

    def look(self, about: str = "", scope: Scope | None = None, day: date = TODAY) -> Table:
        ask = ReportQuery(day.year, day, TODAY + timedelta(days=30), self.catalog.policy, about, self.catalog.library)
        return self.dispatcher.database.read_now(lambda session: REPORTS["考试"].run(session, scope or Scope(), ask).in_memory())


@pytest.fixture
def bureau(dispatcher: Dispatcher) -> Bureau:
    return Bureau(dispatcher)


def unit_of(session: Session, path: str) -> int:
    return int(session.execute(text("SELECT id FROM unit WHERE path = :path"), {"path": path}).scalar_one())


def rows(table: Table, part: int = 0) -> list[tuple[Any, ...]]:
    return [tuple(str(cell) if cell is not None else "" for cell in row) for row in table.parts[part].rows]


def test_every_exam_of_the_year_stands_in_one_line(bureau: Bureau) -> None:
    (row,) = rows(bureau.look())
    assert row == (
        "年度学法考试", "1", "已发布", "3月2日 09:00—3月2日 11:00", "4", "3", "75.0", "2", "66.7", "年度要点第三条",
    )  # fmt: skip


def test_one_exam_is_told_by_unit_with_the_absent_and_after_its_end_the_results(bureau: Bureau) -> None:
    running = bureau.look("1")
    assert [part.title for part in running.parts] == ["各单位", "还没有考"], "no score before the end"
    bureau.tick(OVER)
    table = bureau.look("1")
    assert rows(table) == [
        ("某局", "4", "3", "75.0", "2", "66.7"),
        ("某局/办公室", "2", "1", "50.0", "1", "100.0"),
        ("某局/财务处", "2", "2", "100.0", "1", "50.0"),
    ]
    assert rows(table, 1) == [("1002", "学员1002", "某局/办公室")]
    assert [(row[0], row[3], row[4], row[7]) for row in rows(table, 2)] == [
        ("1001", "10", "合格", "本人交卷"),
        ("1003", "10", "合格", "本人交卷"),
        ("1004", "0", "不合格", "本人交卷"),
    ]
    assert "1 人请假或借调，不计应考。" in table.notes


def test_a_supervisor_sees_only_what_lies_below_their_unit(bureau: Bureau) -> None:
    bureau.tick(OVER)
    unit_id = bureau.run(lambda session: unit_of(session, "某局/办公室"))
    table = bureau.look("1", Scope((unit_id,)))
    assert [row[0] for row in rows(table)] == ["某局/办公室"]
    assert [row[0] for row in rows(table, 2)] == ["1001"]
    assert rows(bureau.look("1 财务处")) == [("某局/财务处", "2", "2", "100.0", "1", "50.0")]
    with pytest.raises(Refusal, match="没有这个单位"):
        bureau.look("1 财务处", Scope((unit_id,)))
    with pytest.raises(Refusal, match="没有编号为「9」的考试"):
        bureau.look("9")


def test_somebody_in_two_units_counts_once_on_each_level(bureau: Bureau) -> None:
    def also(session: Session) -> None:
        session.add(PostRow(person_id=bureau.people["1001"], unit_id=unit_of(session, "某局/财务处"), since=date(2020, 1, 1)))

    bureau.run(also)
    assert [row[:3] for row in rows(bureau.look("1"))] == [("某局", "4", "3"), ("某局/办公室", "2", "1"), ("某局/财务处", "3", "3")]


def test_a_later_look_at_an_earlier_day_shows_what_stood_then(bureau: Bureau) -> None:
    before = bureau.look("", day=TODAY - timedelta(days=1))
    assert rows(before)[0][4:8] == ("5", "0", "0.0", "0"), "1005 was not on leave yet, nobody had begun"


@pytest.mark.parametrize("form", ["text", "json", "csv", "xlsx"])
def test_the_report_is_written_in_every_form(bureau: Bureau, form: str, tmp_path: Any) -> None:
    bureau.tick(OVER)
    target = tmp_path / f"report.{form}"
    with target.open("wb") as file:
        FORMATS[form](bureau.look("1"), file)
    assert target.stat().st_size > 100
