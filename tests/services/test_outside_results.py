"""Results from another platform: matched by number, or by name within the unit; conflicts listed by row, none guessed; credited once."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import Author
from bot.domain.message import Refusal
from bot.services.grading import outside_results
from bot.services.grading.outside_results import OutsideImportPlan, TargetExam
from bot.services.hours import credit
from bot.storage.files.table_reader import read_table
from tests.conftest import NOW, enroll
from tests.support import rows as rows_module
from tests.support.rows import put

CHIEF = Author("9001", "cli")
HELD = date(2026, 2, 27)
EXAM = TargetExam("西湖先锋 2026 年度学法考试", HELD, 60_000, 100_000)
HEADER = ("序号", "姓名", "工号", "所在单位", "得分")
Row = tuple[Any, ...]


class Office:
    """Two offices; 王芳 is there twice in one of them and once in the other, 李雷 left before the exam."""

    def __init__(self, dispatcher: Dispatcher, folder: Path) -> None:
        self.database, self.policy, self.folder = dispatcher.database, dispatcher.catalog().policy, folder

        def work(session: Session) -> None:
            for staff_no, name, unit in (
                ("1001", "赵一", "某局/办公室"),
                ("1002", "钱二", "某局/办公室"),
                ("1003", "王芳", "某局/办公室"),
                ("1004", "王芳", "某局/办公室"),
                ("2001", "王芳", "某局/财务处"),
                ("2002", "李雷", "某局/财务处"),
            ):
                enroll(session, staff_no, name, unit=unit)
            session.execute(text("UPDATE person SET left_on = '2026-02-01' WHERE staff_no = '2002'"))
            session.execute(text("UPDATE post SET until = '2026-02-01' WHERE person_id = (SELECT id FROM person WHERE staff_no = '2002')"))

        self.database.write_now(work)

    def file(self, rows: list[Row], header: Row = HEADER) -> Path:
        path = self.folder / "成绩.xlsx"
        with xlsxwriter.Workbook(path) as book:
            sheet = book.add_worksheet()
            for at, row in enumerate([("年度学法考试成绩",), header, *rows]):
                for column, cell in enumerate(row):
                    sheet.write(at, column, cell)
        return path

    def compare(self, rows: list[Row], meant: TargetExam = EXAM, header: Row = HEADER) -> OutsideImportPlan:
        read = outside_results.read_results(read_table(self.file(rows, header), outside_results.LAYOUT))
        return self.database.read_now(lambda session: outside_results.plan_import(session, read, meant, NOW))

    def apply(self, rows: list[Row], meant: TargetExam = EXAM) -> OutsideImportPlan:
        read = outside_results.read_results(read_table(self.file(rows), outside_results.LAYOUT))
        return self.database.write_now(lambda session: outside_results.import_results(session, self.policy, read, meant, CHIEF, "成绩.xlsx", NOW))

    def look(self, statement: str) -> list[tuple[Any, ...]]:
        return self.database.read_now(lambda session: [tuple(row) for row in session.execute(text(statement))])


@pytest.fixture
def office(dispatcher: Dispatcher, tmp_path: Path) -> Office:
    return Office(dispatcher, tmp_path)


GOOD: list[Row] = [(1, "赵一", "1001", "某局/办公室", 86), (2, "钱二", "", "办公室", 59.5), (3, "王芳", 2001, "", "60分")]


def reasons(plan: OutsideImportPlan) -> dict[int, str]:
    return {one.row: one.reason for one in plan.conflicts}


def test_a_row_means_somebody_by_number_or_by_name_within_the_unit(office: Office) -> None:
    plan = office.compare(GOOD)

    assert [(one.row, one.person.staff_no, one.score, one.passed) for one in plan.matched] == [
        (3, "1001", 86_000, True),
        (4, "1002", 59_500, False),
        (5, "2001", 60_000, True),
    ]
    assert plan.conflicts == ()
    assert office.look("SELECT COUNT(*) FROM outside_result") == [(0,)], "a dry run writes nothing"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((1, "王芳", "", "办公室", 90), "办公室 有 2 个 王芳（工号 1003、1004），请填工号"),
        ((1, "王芳", "", "", 90), "没有工号也没有单位，不能只按姓名认人"),
        ((1, "赵一", "", "财务处", 90), "财务处 没有 赵一 这个人；花名册里别的单位有同名的人，请核对"),
        ((1, "孙七", "", "财务处", 90), "财务处 没有 孙七 这个人"),
        ((1, "赵一", "9999", "办公室", 90), "花名册里没有工号 9999"),
        ((1, "钱二", "1001", "办公室", 90), "工号 1001 在花名册里是 赵一，表里写的是 钱二"),
        ((1, "李雷", "2002", "财务处", 90), "李雷 在 2026-02-27 不在职"),
        ((1, "赵一", "1001", "办公室", 101), "成绩 101 超过满分 100"),
        ((1, "赵一", "1001", "办公室", -5), "「成绩」「-5」不是分数"),
        ((1, "赵一", "1001", "办公室", "缺考"), "「成绩」「缺考」不是分数"),
        ((1, "赵一", "1001", "办公室", ""), "「成绩」没有填（缺考的请删去这一行）"),
        ((1, "", "", "办公室", 90), "没有工号，也没有姓名"),
    ],
)
def test_a_row_that_would_have_to_be_guessed_is_listed_with_its_reason(office: Office, row: Row, reason: str) -> None:
    plan = office.apply([row, (2, "钱二", "1002", "", 70)])

    assert reasons(plan) == {3: reason}
    assert office.look("SELECT p.staff_no FROM outside_result r JOIN person p ON p.id = r.person_id") == [("1002",)]


def test_somebody_who_is_there_twice_is_taken_from_neither_row(office: Office) -> None:
    plan = office.apply([(1, "赵一", "1001", "", 90), (2, "赵一", "", "办公室", "许多"), (3, "钱二", "1002", "", 70)])

    assert reasons(plan)[3] == "与第 4 行是同一个人（工号 1001），一人只能有一行"
    assert [one.person.staff_no for one in plan.matched] == ["1002"]


def test_who_passed_earns_two_hours_once_and_a_second_import_changes_nothing(office: Office) -> None:
    office.apply(GOOD)
    before = office.look("SELECT credit_seconds, day, source_kind, source_id, rule, recorded_by FROM ledger ORDER BY id")
    assert before == [(5400, "2026-02-27", "exam", "outside:1", "D4", "9001")] * 2
    again = office.apply(GOOD)

    assert again.fresh == []
    assert office.look("SELECT credit_seconds, day, source_kind, source_id, rule, recorded_by FROM ledger ORDER BY id") == before
    assert office.look("SELECT COUNT(*), SUM(passed) FROM outside_result") == [(3, 2)]
    assert len(office.look("SELECT 1 FROM audit WHERE action = '导入外部成绩'")) == 1


def test_a_longer_list_adds_who_is_new_and_a_changed_score_is_a_conflict(office: Office) -> None:
    office.apply(GOOD)
    plan = office.apply([(1, "赵一", "1001", "", 55), (2, "钱二", "1002", "", 59.5), (3, "王芳", "1003", "", 88)])

    assert reasons(plan) == {3: "以前导入的成绩是 86，这次是 55，没有改动"}
    assert [(one.person.staff_no, one.is_new) for one in plan.matched] == [("1002", False), ("1003", True)]
    assert office.look("SELECT SUM(credit_seconds) FROM ledger") == [(3 * 5400,)]


def test_the_same_exam_sat_here_and_elsewhere_is_credited_once(office: Office) -> None:
    """An exam of the roll, tracked here: 赵一 passed it in the chat already."""

    def work(session: Session) -> None:
        put(session.connection(), "exam", {**rows_module.GOOD["exam"], "id": 7, "makeup_of": None, "campaign_id": None})
        found = session.execute(text("SELECT id FROM person WHERE staff_no = '1001'")).scalar_one()
        credit.earn_exam(session, office.policy, int(found), "7", HELD, NOW)

    office.database.write_now(work)
    plan = office.apply(GOOD, TargetExam("年度学法考试", HELD, 60_000, 100_000, exam=7))

    assert [(one.person.staff_no, one.credits) for one in plan.matched] == [("1001", False), ("1002", False), ("2001", True)]
    assert office.look("SELECT source_id, COUNT(*) FROM ledger GROUP BY source_id") == [("7", 2)]


def test_one_name_is_one_exam_with_one_pass_line(office: Office) -> None:
    office.apply(GOOD)
    with pytest.raises(Refusal, match="合格线 60，与这次写的不同"):
        office.compare(GOOD, TargetExam(EXAM.name, HELD, 80_000, 100_000))
    with pytest.raises(Refusal, match="还没有到"):
        office.compare(GOOD, TargetExam("明年的考试", date(2027, 1, 1), 60_000, 100_000))


def test_the_columns_may_be_called_as_platforms_call_them(office: Office) -> None:
    plan = office.compare([("赵一", "1001", 70)], header=("考生姓名", "员工号", "最终成绩(分)"))

    assert [one.person.staff_no for one in plan.matched] == ["1001"]


@pytest.mark.parametrize(
    ("header", "sentence"),
    [(("姓名", "单位", "时间"), "没有找到表头"), (("姓名", "得分", "总分"), "「成绩」有两列：得分、总分"), (("单位", "成绩"), "没有找到表头")],
)
def test_a_table_without_the_columns_is_refused(office: Office, header: Row, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        office.compare([("x", "y", 1)], header=header)


def test_text_that_looks_like_a_formula_is_a_name_and_nothing_runs(office: Office) -> None:
    plan = office.compare([(1, "'=HYPERLINK(1)", "", "办公室", 90)])

    assert list(reasons(plan)) == [3]
