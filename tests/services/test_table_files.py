"""The five tables that people bring (roster, leave, duty list, outside results, teams): one reader, the same names, every fault in one answer."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from sqlalchemy import Engine
from sqlmodel import Session

from bot.cli.context import context
from bot.commands.actions import ACTIONS
from bot.dispatch import Dispatcher
from bot.domain.message import Refusal
from bot.services import activity
from bot.services.contest import team_file
from bot.services.grading import outside_results
from bot.services.grading.outside_results import TargetExam
from bot.services.people import leave, roster, roster_file
from bot.storage.db.database import Database
from bot.storage.files.table import SpoiledCell, TableSheet, parse_table
from bot.storage.files.table_reader import STAFF_NO_TITLES, UNIT_TITLES, BadTableRows, TableLayout, read_table
from tests.conftest import NOW, enroll
from tests.support.shell import ReportShell

HELD = date(2026, 2, 27)
Row = Sequence[Any]


@dataclass(frozen=True)
class Kind:
    """One of the five: its columns, a row of it that is right, and one with wrong cells, each with the column and a part of the reason."""

    layout: TableLayout
    titles: tuple[str, ...]
    right: Row
    wrong: Row
    faults: tuple[tuple[str, str], ...]
    judge: Callable[[Session, TableSheet], tuple[list[tuple[int, str, str]], tuple[str, ...]]]
    """The faults (row, column, reason) and the notes."""


@dataclass
class Office:
    """People, a library, and the five kinds of table."""

    database: Database
    kinds: dict[str, Kind]
    folder: Path

    def judge(self, kind: Kind, sheet: TableSheet) -> tuple[list[tuple[int, str, str]], str]:
        faults, notes = self.database.read_now(lambda session: kind.judge(session, sheet))
        return faults, "\n".join(notes)

    def write(self, *sheets: Sequence[Row], change: Callable[[Any, Any], None] | None = None, names: Sequence[str] = ()) -> Path:
        """An xlsx with a sheet for each list of rows; `change` has the first sheet and the book."""
        path = self.folder / "表.xlsx"
        with xlsxwriter.Workbook(path) as book:
            for place, rows in enumerate(sheets):
                page = book.add_worksheet(names[place] if names else None)
                for number, row in enumerate(rows):
                    page.write_row(number, 0, row)
                if place == 0 and change is not None:
                    change(page, book)
        return path

    def table(self, *sheets: Sequence[Row], change: Callable[[Any, Any], None] | None = None) -> TableSheet:
        return parse_table(self.write(*sheets, change=change))


@pytest.fixture
def office(dispatcher: Dispatcher, tmp_path: Path) -> Office:
    database, catalog = dispatcher.database, dispatcher.catalog()

    def people(session: Session) -> None:
        enroll(session, "1001", "学员甲", unit="某局/办公室")
        enroll(session, "00121", "学员乙", unit="某局/财务处")

    database.write_now(people)

    def caught(work: Callable[[], tuple[str, ...]]) -> tuple[list[tuple[int, str, str]], tuple[str, ...]]:
        try:
            return [], work()
        except BadTableRows as bad:
            return [(fault.row, fault.column, fault.reason) for fault in bad.faults], ()

    def of_roster(session: Session, sheet: TableSheet) -> tuple[str, ...]:
        listed = roster_file.parse_roster(sheet)
        return (*roster.compare(session, listed, NOW).notes, *(person.staff_no for person in listed.people))

    def of_leave(session: Session, sheet: TableSheet) -> tuple[str, ...]:
        lines, notes = leave.lines_of(session, sheet, NOW)
        return (*notes, *(line.staff_no for line in lines))

    duties = activity.layout(2026, catalog.library)

    def of_duties(session: Session, sheet: TableSheet) -> tuple[str, ...]:
        return activity.read_duty_list(session, sheet, duties, catalog.library, NOW)[1]

    def of_teams(session: Session, sheet: TableSheet) -> tuple[str, ...]:
        teams = team_file.read_teams(session, sheet)
        return (*teams.notes, *teams.members)

    def of_results(session: Session, sheet: TableSheet) -> tuple[list[tuple[int, str, str]], tuple[str, ...]]:
        results = outside_results.read_results(sheet)
        plan = outside_results.plan_import(session, results, TargetExam("外部考试", HELD, 60_000, 100_000), NOW)
        return [(conflict.row, "", conflict.reason) for conflict in plan.conflicts], (
            *plan.notes,
            *(result.person.staff_no for result in plan.matched),
        )

    return Office(
        database,
        {
            "roster": Kind(
                roster_file.LAYOUT,
                ("工号", "姓名", "单位", "入职日期"),
                ("1001", "学员甲", "某局/办公室", "2015-07-01"),
                ("10 01", "", "某局/办公室", "2026-02-30"),
                (("入职日期", "没有 2026 年 2 月 30 日"), ("姓名", "没有填"), ("工号", "不含空格")),
                lambda session, sheet: caught(lambda: of_roster(session, sheet)),
            ),
            "leave": Kind(
                leave.LAYOUT,
                ("工号", "类别", "开始", "结束"),
                ("1001", "请假", "2026-03-04", "2026-03-05"),
                ("7777", "出差", "2026-02-30", "2026-03-05"),
                (("工号", "花名册里没有 7777"), ("开始", "没有 2026 年 2 月 30 日"), ("类别", "请假或借调")),
                lambda session, sheet: caught(lambda: of_leave(session, sheet)),
            ),
            "duties": Kind(
                duties,
                ("法律", "责任处室", "形式", "次数", "期限", "联络员"),
                ("民法典", "办公室", "宣讲", 2, "2026-11-30", "1001"),
                ("民法典", "没有的处", "唱歌", 0, "2026-02-30", "1001"),
                (
                    ("形式", "没有「唱歌」"),
                    ("期限", "没有 2026 年 2 月 30 日"),
                    ("次数", "1 到 60"),
                    ("责任处室", "没有「没有的处」"),
                ),
                lambda session, sheet: caught(lambda: of_duties(session, sheet)),
            ),
            "results": Kind(
                outside_results.LAYOUT,
                ("工号", "姓名", "单位", "成绩"),
                ("1001", "学员甲", "办公室", 86),
                ("7777", "学员甲", "办公室", "缺考"),
                (("", "「成绩」「缺考」不是分数；花名册里没有工号 7777"),),
                of_results,
            ),
            "teams": Kind(
                team_file.LAYOUT,
                ("队名", "工号"),
                ("红队", "1001"),
                ("", "7777"),
                (("工号", "花名册里没有 7777"), ("队名", "没有填")),
                lambda session, sheet: caught(lambda: of_teams(session, sheet)),
            ),
        },
        tmp_path,
    )


def test_a_column_has_the_same_names_in_every_file(office: Office) -> None:
    spelt = {"工号": ("工 号", "＊工号", "工号（必填）", "工号:", *STAFF_NO_TITLES), "单位": UNIT_TITLES, "责任处室": ("单位", "部门", "责任单位")}
    for name, kind in office.kinds.items():
        places = [(place, column) for place, column in enumerate(kind.titles) if column in spelt]
        assert places, name
        for place, column in places:
            for title in spelt[column]:
                titles: list[Any] = [*kind.titles[:place], title, *kind.titles[place + 1 :]]
                assert office.judge(kind, TableSheet([titles, list(kind.right)]))[0] == [], (name, title)


def test_titles_totals_signatures_and_a_second_header_are_named_and_not_read(office: Office) -> None:
    for name, kind in office.kinds.items():
        rows: list[Row] = [
            ["某局２０２６年一览表"],
            [],
            kind.titles,
            kind.right,
            [],
            kind.titles,
            ["合 计：1 人"],
            ["共１人"],
            ["", "总计", 1],
            ["制表人：张三"],
        ]
        faults, notes = office.judge(kind, office.table(rows))
        assert faults == [], name
        assert (
            f"不是{kind.layout.title}的内容，没有读：第 1 行「某局２０２６年一览表」、第 6 行「{kind.titles[0]}」、第 7 行「合 计：1 人」" in notes
        ), name
        assert "第 8 行「共１人」、第 9 行「总计」、第 10 行「制表人：张三」" in notes, name


def test_columns_that_are_not_used_are_named_and_left_alone(office: Office) -> None:
    for name, kind in office.kinds.items():
        faults, notes = office.judge(kind, office.table([[*kind.titles, "性别", "手机号"], [*kind.right, "男", "138", "边上"]]))
        assert faults == [], name
        letters = "ABCDEFGHI"[len(kind.titles) + 2]
        assert f"没有用到的列：性别、手机号、{letters} 列（没有列名）" in notes, name


def test_a_table_without_a_column_says_what_it_saw(office: Office) -> None:
    for name, kind in office.kinds.items():
        missing = "成绩" if name == "results" else kind.titles[1]
        titles = ["备忘" if title == missing else title for title in kind.titles]
        with pytest.raises(Refusal) as refused:
            office.judge(kind, office.table([titles, kind.right]))
        assert f"缺少列：{missing}；那里看到的是：{'、'.join(titles)}" in str(refused.value), name
        assert "\n" not in str(refused.value)


def test_what_a_cell_says_and_what_it_means_is_all_wrong_in_one_answer(office: Office) -> None:
    for name, kind in office.kinds.items():
        faults, _ = office.judge(kind, office.table([kind.titles, kind.right, kind.wrong]))
        assert [(row, column) for row, column, _ in faults] == [(3, column) for column, _ in kind.faults], (name, faults)
        for (_, _, reason), (_, part) in zip(faults, kind.faults, strict=True):
            assert part in reason, name


def without_values(path: Path) -> Path:
    """The same xlsx as a program writes it that computes nothing: formulas without their values."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            new.writestr(member, content.replace(b"</f><v>0</v>", b"</f><v/>") if "sheet1" in member else content)
    path.write_bytes(out.getvalue())
    return path


def test_a_formula_is_its_value_and_without_one_a_fault_that_says_so(office: Office) -> None:
    for name, kind in office.kinds.items():
        column = "成绩" if name == "results" else "责任处室" if name == "duties" else "工号"
        place = kind.titles.index(column)
        value = kind.right[place]

        def write(page: Any, _: Any, place: int = place, value: Any = value) -> None:
            page.write_formula(1, place, "=Z99", None, value)

        assert office.judge(kind, office.table([kind.titles, kind.right], change=write))[0] == [], name

        def forget(page: Any, _: Any, place: int = place) -> None:
            page.write_formula(1, place, "=Z99", None, 0)

        faults, _ = office.judge(kind, parse_table(without_values(office.write([kind.titles, kind.right], change=forget))))
        assert len(faults) == 1, name
        assert "公式，文件里没有存它算出的值" in faults[0][2], name


def test_a_formula_that_failed_is_no_empty_cell(office: Office) -> None:
    def fail(page: Any, _: Any) -> None:
        page.write_formula(1, 0, "=1/0", None, "#DIV/0!")

    kind = office.kinds["roster"]
    faults, _ = office.judge(kind, office.table([kind.titles, kind.right], change=fail))
    assert [(row, column) for row, column, _ in faults] == [(2, "工号")]
    assert "算不出值" in faults[0][2]


def test_the_sheet_that_fits_is_taken_and_another_can_be_named(office: Office) -> None:
    for name, kind in office.kinds.items():
        path = office.write([["填表说明"]], [kind.titles, kind.right], [kind.titles, kind.right, kind.right], names=("填表说明", "在职", "退休"))
        taken = read_table(path, kind.layout)
        assert len(taken.rows) == 2, name
        assert taken.notes == ("只读了工作表「在职」，没有读「退休」（表头也合适，要读它请加 --sheet 名称或序号）；没有读「填表说明」",), name
        for wanted in ("退休", "3", "３"):
            assert len(read_table(path, kind.layout, wanted).rows) == 3, name
        with pytest.raises(Refusal, match=r"没有「离休」这张工作表，--sheet 可写名称或 1 到 3 的序号：「填表说明」「在职」「退休」"):
            read_table(path, kind.layout, "离休")


def test_hidden_rows_and_columns_are_read_and_said(office: Office) -> None:
    for name, kind in office.kinds.items():

        def hide(page: Any, _: Any) -> None:
            page.set_row(1, None, None, {"hidden": True})
            page.set_column(1, 1, None, None, {"hidden": True})

        faults, notes = office.judge(kind, office.table([kind.titles, kind.right], change=hide))
        assert faults == [], name
        assert "第 2 行是隐藏的（或被筛选掉了），也读了" in notes, name
        assert f"{kind.titles[1]}（B 列）是隐藏的，也读了" in notes, name


@pytest.mark.parametrize("form", ["00000", "[$-804]00000", "00000;-00000"])
def test_a_staff_number_keeps_the_zeros_that_its_format_shows(office: Office, form: str) -> None:
    for name in ("roster", "leave", "results", "teams"):
        kind = office.kinds[name]
        place = kind.titles.index("工号")

        def pad(page: Any, book: Any, place: int = place) -> None:
            page.write_number(1, place, 121, book.add_format({"num_format": form}))

        right = ["学员乙" if cell == "学员甲" else cell for cell in kind.right]
        faults, notes = office.judge(kind, office.table([kind.titles, right], change=pad))
        assert faults == [], name
        if name != "teams":
            assert "00121" in notes, name


def test_a_number_without_such_a_format_is_a_number(office: Office) -> None:
    sheet = office.table([["工号", "姓名", "单位"], [121.0, "学员乙", "某局"], [122, "学员丙", "某局"]])
    assert [person.staff_no for person in roster_file.parse_roster(sheet).people] == ["121", "122"]


def test_a_joiner_and_a_leaver_of_one_name_are_a_likely_mix_up(office: Office) -> None:
    listed = roster_file.parse_roster(
        TableSheet([["工号", "姓名", "单位"], ["121", "学员乙", "某局/财务处"], ["2002", "学员甲", "某局/办公室"], ["2003", "新人", "某局"]])
    )
    plan = office.database.read_now(lambda session: roster.compare(session, listed, NOW))
    assert [str(mix_up) for mix_up in plan.mix_ups] == ["学员乙：00121 离开，121 新进，只差前面的 0", "学员甲：1001 离开，2002 新进"]
    assert "疑似同一个人（2 处" in "\n".join(plan.as_text())
    assert plan.as_json()["mix_ups"][0] == {"name": "学员乙", "joiner": "121", "leaver": "00121"}


def test_conflicts_with_the_roster_that_is_kept_come_with_the_bad_cells(office: Office) -> None:
    office.database.write_now(
        lambda session: roster.apply(
            session,
            roster_file.parse_roster(TableSheet([["工号", "姓名", "单位", "钉钉账号"], ["1001", "学员甲", "某局/办公室", "jia"]])),
            NOW - timedelta(days=1),
            actor="cli:test",
            via="cli",
            leavers_ok=True,
        )
    )
    listed: list[list[Any]] = [["工号", "姓名", "单位", "入职日期"], ["1001", "学员甲", "某局/办公室", "尽快"], ["00121", "别人", "某局/财务处", ""]]
    with pytest.raises(BadTableRows) as bad:
        office.database.read_now(lambda session: roster.compare(session, roster_file.parse_roster(TableSheet(listed)), NOW))
    assert [(fault.row, fault.column) for fault in bad.value.faults] == [(2, "入职日期"), (3, "工号")]


def test_every_import_at_the_shell_lets_the_sheet_be_chosen(
    office: Office, engine: Engine, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = [declared for declared in ACTIONS if declared.cli in ("roster import", "leave import", "duty import", "exam results", "contest teams")]
    assert [declared.parameters()["sheet"][1].option for declared in imports] == ["--sheet"] * 5

    monkeypatch.setenv("BOT_DATABASE_URL", engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://"))
    monkeypatch.setattr(context, "clock", lambda: NOW)
    shell = ReportShell(None, capsysbinary, monkeypatch)  # type: ignore[arg-type]
    kind = office.kinds["leave"]
    path = office.write([kind.titles, kind.right], [kind.titles, kind.wrong], names=("三月", "四月"))
    assert "只读了工作表「三月」，没有读「四月」" in shell.json("leave", "import", str(path), "--json")["notes"][0]
    status, out, _ = shell("leave", "import", str(path), "--sheet", "四月", "--json")
    assert (status, [(fault["row"], fault["column"]) for fault in json.loads(out)["faults"]]) == (1, [(2, "工号"), (2, "开始"), (2, "类别")])


def test_a_spoiled_cell_comes_through_the_child(office: Office) -> None:
    kind = office.kinds["teams"]

    def write(page: Any, _: Any) -> None:
        page.write_formula(1, 1, "=Z99", None, 0)

    sheet = read_table(without_values(office.write([kind.titles, kind.right], change=write)), kind.layout)
    assert isinstance(sheet.rows[1][1], SpoiledCell)
