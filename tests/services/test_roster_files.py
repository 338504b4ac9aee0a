"""Roster files as departments have them, and as attackers would like us to have them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from bot.domain.message import Refusal
from bot.domain.people.person import RoleName
from bot.services.people.roster_file import Roster, parse_roster, read_roster
from bot.storage.files import table as files_table
from bot.storage.files.table_reader import BadTableRows

HEAD = "工号,姓名,单位,层级,角色,钉钉账号,企业微信账号,入职日期,离职日期\n"
ROW = "1001,张三,某局/办公室,公务员,管理员、督学,ZhangSan,zs,2015-07-01,\n"


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes | str], Path]:
    def write(content: bytes | str) -> Path:
        path = tmp_path / "roster.bin"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Put = Callable[[bytes | str], Path]


def workbook(rows: list[list[Any]], *, sheets_after: tuple[str, ...] = ()) -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    page = book.add_worksheet("人员")
    for n, row in enumerate(rows):
        for m, cell in enumerate(row):
            if isinstance(cell, date):
                page.write_datetime(n, m, cell, day)
            else:
                page.write(n, m, cell)
    for name in sheets_after:
        book.add_worksheet(name).write(0, 0, "工号")
    book.close()
    return out.getvalue()


def rezipped(data: bytes, change: Callable[[dict[str, bytes]], object]) -> bytes:
    """The same xlsx with its members changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in members.items():
            new.writestr(name, content)
    return out.getvalue()


def at_the_edge(members: dict[str, bytes], content: bytes) -> None:
    """Put a cell into the last row and column that a sheet can have; a library that writes one fills gigabytes on the way there."""
    part, cell = members["xl/worksheets/sheet1.xml"], b'<row r="1048576"><c r="XFD1048576">' + content + b"</c></row>"
    members["xl/worksheets/sheet1.xml"] = part.replace(b"</sheetData>", cell + b"</sheetData>")


SMALL = workbook([["工号", "姓名", "单位"], ["1001", "张三", "某局"]])


def faults(path: Path) -> list[tuple[int, str]]:
    with pytest.raises(BadTableRows) as caught:
        read_roster(path).require_faultless()
    return [(one.row, one.column) for one in caught.value.faults]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_a_csv_is_read_in_every_encoding_that_offices_write(put: Put, encoding: str) -> None:
    (person,) = read_roster(put((HEAD + ROW).encode(encoding))).people
    assert (person.staff_no, person.name, person.units, person.tier) == ("1001", "张三", ("某局/办公室",), "公务员")
    assert person.roles == frozenset({RoleName.ADMIN, RoleName.SUPERVISOR})
    assert person.accounts == {"dingtalk": "zhangsan", "wecom": "zs"}
    assert (person.joined_on, person.left_on) == (date(2015, 7, 1), None)


def test_an_xlsx_keeps_numbers_whole_and_dates_days_whatever_its_name(put: Put) -> None:
    rows: list[list[Any]] = [
        ["某局干部花名册"],
        [],
        ["序号", "工号", "姓 名", "单位", "入职日期"],
        [1, 1001, "张 三", "某局/ 办公室 ", date(2015, 7, 1)],
        [2, "1002", "欧阳娜娜", "某局", "2016年3月2日"],
        [],
        [3, "1003", "Anna Li", "某局", 20170405],
    ]
    read = read_roster(put(workbook(rows)))
    assert [(one.row, one.staff_no, one.name, one.units, one.joined_on) for one in read.people] == [
        (4, "1001", "张三", ("某局/办公室",), date(2015, 7, 1)),
        (5, "1002", "欧阳娜娜", ("某局",), date(2016, 3, 2)),
        (7, "1003", "Anna Li", ("某局",), date(2017, 4, 5)),
    ]
    assert read.people[0].tier is None, "a column that is not there says nothing"
    assert read.people[0].roles is None
    assert "没有用到的列：序号" in "".join(read.notes)


def test_other_sheets_are_named_and_not_read(put: Put) -> None:
    read = read_roster(put(workbook([["工号", "姓名", "单位"], ["1", "甲", "某局"]], sheets_after=("退休",))))
    assert "没有读「退休」" in "".join(read.notes)


def test_two_posts_are_two_rows_of_one_person(put: Put) -> None:
    read = read_roster(put(HEAD + ROW + "1001,张三,某局/法规处,,,,,,\n"))
    assert [one.units for one in read.people] == [("某局/办公室", "某局/法规处")]
    assert read.people[0].accounts["wecom"] == "zs"


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (",张三,某局,,,,,,", "工号"),
        ("10 01,张三,某局,,,,,,", "工号"),
        ("1001,,某局,,,,,,", "姓名"),
        ("1001,张\x07三,某局,,,,,,", "姓名"),
        ("1001,张\ufffd,某局,,,,,,", "姓名"),
        ("1001," + "长" * 61 + ",某局,,,,,,", "姓名"),
        ("1001,张三,,,,,,,", "单位"),
        ("1001,张三,某局//办公室,,,,,,", "单位"),
        ("1001,张三,/某局,,,,,,", "单位"),
        ("1001,张三,某局,处级,,,,,", "层级"),
        ("1001,张三,某局,,学员、组长,,,,", "角色"),
        ("1001,张三,某局,,,zhang san,,,", "钉钉账号"),
        ("1001,张三,某局,,,,,2020-02-30,", "入职日期"),
        ("1001,张三,某局,,,,,2020年7月,", "入职日期"),
        ("1001,张三,某局,,,,,43831,", "入职日期"),
        ("1001,张三,某局,,,,,0015-07-01,", "入职日期"),
        ("1001,张三,某局,,,,,2020-07-01,2019-07-01", "离职日期"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(put: Put, row: str, column: str) -> None:
    assert faults(put(HEAD + "1000,好人,某局,,,,,,\n" + row + "\n")) == [(3, column)]


def test_a_formula_is_called_what_it_is(put: Put) -> None:
    with pytest.raises(BadTableRows, match=r"第 2 行「姓名」：这一格是.*公式"):
        read_roster(put(workbook([["工号", "姓名", "单位"], ["1001", "=B9", "某局"]]))).require_faultless()


def test_all_bad_rows_are_listed_with_their_reasons(put: Put) -> None:
    path = put(HEAD + ",甲,某局,,,,,,\n1002,乙,,,,,,,\n1003,丙,某局,科员,,,,,\n")
    with pytest.raises(BadTableRows) as caught:
        read_roster(path).require_faultless()
    said = str(caught.value)
    assert "第 2 行「工号」：没有填" in said
    assert "第 3 行「单位」：没有填" in said
    assert "第 4 行「层级」：没有「科员」这个层级" in said


@pytest.mark.parametrize(
    ("second", "column"),
    [
        ("1001,张三,某局/办公室,,,,,,", "工号"),
        ("1001,李四,某局/法规处,,,,,,", "工号"),
        ("1001,张三,某局/法规处,领导干部,,,,,", "层级"),
        ("1001,张三,某局/法规处,,,other,,,", "钉钉账号"),
        ("1002,李四,某局/法规处,,,zhangsan,,,", "钉钉账号"),
        ("1002,李四,某局/法规处,,,,ZS,,", "企业微信账号"),
    ],
)
def test_rows_that_contradict_each_other_are_named(put: Put, second: str, column: str) -> None:
    assert faults(put(HEAD + ROW + second + "\n")) == [(3, column)]


@pytest.mark.parametrize(
    ("cell", "reason"), [(1001.5, "带小数"), (123456789012345678, "数字过长"), (True, "真假值"), (date(2020, 1, 1), "日期")], ids=str
)
def test_a_staff_number_that_a_table_program_spoiled_is_refused(put: Put, cell: Any, reason: str) -> None:
    path = put(workbook([["工号", "姓名", "单位"], [cell, "张三", "某局"]]))
    with pytest.raises(BadTableRows, match=reason):
        read_roster(path).require_faultless()


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("工号,姓名\n1,甲\n", "缺少列：单位"),
        ("工号,姓名,单位,姓名\n1,甲,某局,乙\n", "重复的列：姓名"),
        ("工号,姓名,单位\n", "没有一个人"),
        ("\n\n\n", "文件是空的"),
        ("", "文件是空的"),
        ("hello\n", "缺少列：工号、姓名、单位"),
        ('工号,姓名,单位\n1,"甲,某局\n', "引号不成对"),
        ("<html><table><tr><td>工号</td></tr></table></html>", "网页"),
    ],
)
def test_a_file_that_is_no_roster_is_refused_in_one_sentence(put: Put, head: str, said: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_roster(put(head))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("工号,姓名,单位,性别,手机号\n1,甲,某局,男,\n", "没有用到的列：性别、手机号"),
        ("工号,姓名,单位,钉钉帐户\n1,甲,某局,a\n", "没有用到的列：「钉钉帐户」（是不是「钉钉账号」？）"),
        ("工号,姓名,单位,\n1,甲,某局,a\n", "没有用到的列：D 列（没有列名）"),
        ("工号,姓名,单位\n1,甲,某局,a\n", "没有用到的列：D 列（没有列名）"),
    ],
)
def test_columns_that_are_not_used_are_named_and_left_alone(put: Put, head: str, said: str) -> None:
    read = read_roster(put(head))
    assert (len(read.people), read.faults) == (1, ())
    assert said in read.notes


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: OLE, "旧版 Office"),
        (lambda: OLE + "EncryptedPackage".encode("utf-16-le"), "加了密码"),
        (lambda: b"%PDF-1.7 ...", "PDF"),
        (lambda: b"\x89PNG\r\n\x1a\n", "图片"),
        (lambda: bytes(range(256)), "不是 xlsx"),
        (lambda: (HEAD + ROW).encode("utf-16"), "UTF-16"),
        (lambda: HEAD.encode() + "1001,张三".encode("gbk") + b"\xff\xff\n", "第 2 行"),
        (lambda: b"PK\x03\x04" + b"junk" * 100, "这个 zip 压缩包已损坏，也不是 xlsx"),
        (lambda: rezipped(SMALL, lambda m: [m.update({f"word/{n}": m.pop(name)}) for n, name in enumerate(list(m))])[:-200], "这个 Word 文档已损坏"),
        (lambda: SMALL[: len(SMALL) // 2], "这个 xlsx 文件已损坏"),
        (lambda: b"1" * (files_table.MAX_BYTES + 1), "超过 20 MB"),
        (lambda: rezipped(SMALL, lambda m: m.pop("xl/workbook.xml")), "压缩包"),
        (lambda: rezipped(SMALL, lambda m: m.update({"word/document.xml": m.pop("xl/workbook.xml")})), "Word 文档"),
        (lambda: rezipped(SMALL, lambda m: m.update({"xl/vbaProject.bin": b"x"})), "带宏"),
        (lambda: rezipped(SMALL, lambda m: m.update({"../../etc/passwd": b"x"})), "指向外面"),
        (lambda: rezipped(SMALL, lambda m: m.update({f"x/{n}": b"" for n in range(10_000)})), "部件过多"),
        (lambda: rezipped(SMALL, lambda m: m.update({"xl/media/bomb": b"\0" * 30_000_000})), "超过 20 MB"),
        (lambda: rezipped(SMALL, lambda m: m.update({"xl/a.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'})), "DTD"),
        (lambda: rezipped(SMALL, lambda m: m.update({"xl/worksheets/sheet1.xml": b"<worksheet>"})), "已损坏"),
        (lambda: rezipped(SMALL, lambda m: at_the_edge(m, b"<v>1</v>")), "范围过大"),
        (lambda: workbook([]), "是空的"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_what_is_hostile_or_of_another_kind_is_refused_by_its_content(put: Put, make: Callable[[], bytes], said: str) -> None:
    # Made when it is asked for: the largest of them would stay in every worker of the suite from its collection on.
    with pytest.raises(Refusal) as caught:
        read_roster(put(make()))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_member_that_lies_about_its_size_is_refused(put: Put) -> None:
    bomb = rezipped(SMALL, lambda m: m.update({"xl/media/bomb": b"\0" * 25_000_000}))
    lie = bomb.replace((25_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lie != bomb
    with pytest.raises(Refusal, match="已损坏"):
        read_roster(put(lie))


def test_cells_far_apart_without_references_are_counted_too(put: Put) -> None:
    def far(members: dict[str, bytes]) -> None:
        cells = b"<row r='1048576'>" + b"<c/>" * 5_000 + b"<c><v>1</v></c></row>"
        members["xl/worksheets/sheet1.xml"] = members["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", cells + b"</sheetData>")

    with pytest.raises(Refusal, match="范围过大"):
        read_roster(put(rezipped(SMALL, far)))


def test_a_long_text_that_every_cell_repeats_is_refused(put: Put) -> None:
    book = workbook([["工号", "姓名", "单位"], *([str(n), "长" * 30_000, "某局"] for n in range(2_000))])
    with pytest.raises(Refusal, match="文字过长"):
        read_roster(put(book))


def test_formatted_but_empty_cells_at_the_edge_of_the_sheet_do_no_harm(put: Put) -> None:
    assert len(read_roster(put(rezipped(SMALL, lambda m: at_the_edge(m, b"")))).people) == 1


def test_rows_beyond_the_cap_are_refused(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_table, "MAX_ROWS", 3)
    rows = "".join(f"{n},甲,某局\n" for n in range(4))
    with pytest.raises(Refusal, match="超过 3 行"):
        parse_roster(files_table.parse_table(put("工号,姓名,单位\n" + rows)))
    table = workbook([["工号", "姓名", "单位"], *([str(n), "甲", "某局"] for n in range(4))])
    with pytest.raises(Refusal, match="超过 3 行"):
        parse_roster(files_table.parse_table(put(table)))
    assert len(parse_roster(files_table.parse_table(put("工号,姓名,单位\n" + rows.removesuffix("3,甲,某局\n")))).people) == 3


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(Refusal, match="找不到文件"):
            read_roster(path)


@pytest.mark.parametrize("name", ["=1+1", "+86", "-张", "@甲", "=乙"])
def test_a_name_that_looks_like_a_formula_stays_a_name(put: Put, name: str) -> None:
    read: Roster = read_roster(put(workbook([["工号", "姓名", "单位"], ["1001", "x", "某局"]])))
    assert read.people[0].name == "x"
    assert read_roster(put(f"工号,姓名,单位\n1001,{name},某局\n")).people[0].name == name
