"""Reports on paper: text is never a formula, a number is always a number, the same report is the same bytes."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import zipfile
from datetime import date
from decimal import Decimal

import pytest
from python_calamine import CalamineWorkbook

from bot.domain.reports import ChainHead, Column, Part, Table
from bot.services.reports.formats import FORMATS, formula_safe, phone
from bot.services.reports.text import PHONE_BYTES, PHONE_COLUMNS, display_width

COLUMNS = (
    Column("name", "姓名"),
    Column("n", "人数", "int"),
    Column("hours", "学时", "hours"),
    Column("rate", "达标率", "percent"),
    Column("few", "少见", "hours", phone="if any"),
)
BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "＝", "＋", "－", "＠", " =", "\u202e=", "'=", "\ufeff=")
FORMULAS = (
    "1+1",
    'HYPERLINK("http://x","y")',
    "cmd|'/C calc'!A0",
    "SUM(A1:A9)",
    "http://example.com",
    "123",
    "1e5",
    "TRUE",
    "",
    "甲",
    "<b>&",
    "]]>",
    "_x0041_",
)
NAMES = tuple(begin + rest for begin, rest in itertools.product(BEGINNINGS, FORMULAS))[:200]


def table(names: tuple[str, ...] = ("张三", "李四"), **more: object) -> Table:
    rows = [(name, 1234, Decimal("12.25"), Decimal("66.7"), Decimal(0)) for name in names]
    return Table("达标率", "学时达标率", (Part("各单位", COLUMNS, rows),), date(2026, 6, 30), 2026, "D11 第 1 版", **more)  # type: ignore[arg-type]


def written(form: str, made: Table) -> bytes:
    out = io.BytesIO()
    FORMATS[form](made, out)
    return out.getvalue()


def sheets(made: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(made)) as book:
        return {name: book.read(name).decode() for name in book.namelist()}


def test_two_hundred_names_like_formulas_are_text_in_xlsx() -> None:
    assert len(NAMES) == 200
    made = written("xlsx", table(NAMES))
    parts = sheets(made)
    sheet = parts["xl/worksheets/sheet1.xml"]

    assert "<f>" not in sheet
    assert "<hyperlink" not in sheet
    assert not [name for name in parts if "externalLink" in name or name.startswith("xl/worksheets/_rels")]
    names = re.findall(r'<c r="A(\d+)"[^>]*?(?: t="(\w+)")?>', sheet)
    assert [kind for row, kind in names if 4 <= int(row) <= 203] == ["inlineStr"] * 200
    rows = CalamineWorkbook.from_filelike(io.BytesIO(made)).get_sheet_by_name("各单位").to_python()
    assert all(isinstance(row[0], str) for row in rows[3:203])
    assert "=1+1" in [row[0] for row in rows]


def test_numbers_are_numbers_in_xlsx() -> None:
    rows = CalamineWorkbook.from_filelike(io.BytesIO(written("xlsx", table()))).get_sheet_by_name("各单位").to_python()

    assert rows[2] == ["姓名", "人数", "学时", "达标率", "少见"]
    assert rows[3] == ["张三", 1234, 12.25, 0.667, 0]


def test_an_xlsx_can_be_filtered_under_a_header_that_stays() -> None:
    sheet = sheets(written("xlsx", table()))["xl/worksheets/sheet1.xml"]

    assert '<pane ySplit="3"' in sheet
    assert 'state="frozen"' in sheet
    assert '<autoFilter ref="A3:E5"/>' in sheet


@pytest.mark.parametrize("form", list(FORMATS))
def test_the_same_report_is_the_same_bytes_and_says_what_it_rests_on(form: str) -> None:
    made = table(head=ChainHead(9, "ab" * 32, "sha256"), notes=("一条说明",))

    assert written(form, made) == written(form, made)
    said = "".join(sheets(written(form, made)).values()) if form == "xlsx" else written(form, made).decode()
    for piece in ("2026", "2026-06-30", "D11 第 1 版", "ab" * 32, "一条说明"):
        assert piece in said


@pytest.mark.parametrize("form", list(FORMATS))
def test_an_empty_report_is_still_a_report(form: str) -> None:
    assert written(form, table(()))


def test_two_hundred_names_like_formulas_are_harmless_in_csv() -> None:
    text = written("csv", table(NAMES)).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))[1:201]

    assert not [row[0] for row in rows if row[0].lstrip()[:1] in tuple("=+-@＝＋－＠")]
    assert not [row[0] for row in rows if re.search(r"[\x00-\x1f\u202a-\u202e]", row[0])]
    assert rows[0][1:] == ["1234", "12.25", "66.7", "0"]


@pytest.mark.parametrize(("name", "expected"), [("张三", "张三"), ("=1", "'=1"), (" ＝1", "' ＝1"), ("张-三", "张-三"), ("", "")])
def test_only_what_begins_like_a_formula_gets_an_apostrophe(name: str, expected: str) -> None:
    assert formula_safe(name) == expected


def test_a_csv_opens_in_a_spreadsheet_as_utf8() -> None:
    assert written("csv", table()).startswith(b"\xef\xbb\xbf\xe5\xa7\x93\xe5\x90\x8d,")


def test_json_keeps_names_as_they_are_and_numbers_as_numbers() -> None:
    made = json.loads(written("json", table(("=1+1\n甲",), head=ChainHead(3, "cd" * 32, "sm3"))))

    assert made["rows"] == [{"name": "=1+1\n甲", "n": 1234, "hours": 12.25, "rate": 66.7, "few": 0.0}]
    assert made["head"] == {"seq": 3, "hash": "cd" * 32, "algorithm": "sm3"}
    assert (made["as_of"], made["year"], made["report"]) == ("2026-06-30", 2026, "达标率")


def test_names_with_control_characters_stay_on_their_line() -> None:
    text = written("text", table(("甲\n乙\x1b[31m\u202e丙\r",))).decode()

    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text)
    assert len([line for line in text.splitlines() if "甲" in line]) == 1


def test_columns_stand_straight_though_chinese_is_wide() -> None:
    lines = [line for line in written("text", table(("张三", "Bob", "欧阳娜娜"))).decode().splitlines() if "1234" in line]

    assert len({display_width(line.partition("1234")[0]) for line in lines}) == 1


def test_a_phone_gets_what_fits_and_the_number_of_the_rest() -> None:
    made = table(tuple(f"员{n}" for n in range(300)))

    said = phone(made)

    assert len(said.encode()) <= PHONE_BYTES
    shown = len(re.findall(r"^· 员", said, re.M))
    assert f"还有 {300 - shown} 行" in said
    assert all(display_width(line) <= PHONE_COLUMNS for line in said.splitlines() if line.startswith("  "))


def units(*paths: str) -> str:
    rows = [(path, 1234, Decimal("12.25"), Decimal("66.7"), Decimal(0)) for path in paths]
    columns = (Column("unit", "单位"), *COLUMNS[1:])
    return phone(Table("达标率", "学时达标率", (Part("各单位", columns, rows),), date(2026, 6, 30), 2026, "D11 第 1 版"))


@pytest.mark.parametrize(
    ("paths", "shared", "shown"),
    [
        (("某市某局/一处", "某市某局/一处/甲科"), "某市某局", ["一处", "一处/甲科"]),
        (("合计", "某市某局", "某市某局/一处"), "某市某局", ["合计", "某市某局", "一处"]),
        (("局/一处/甲科、局/一处/乙科", "局/一处/甲科"), "局/一处", ["甲科、乙科", "甲科"]),
        (("甲局/一处", "乙局/一处"), "", ["甲局/一处", "乙局/一处"]),
        (("某局/一处",), "", ["某局/一处"]),
    ],
)
def test_a_phone_says_once_what_all_units_share(paths: tuple[str, ...], shared: str, shown: list[str]) -> None:
    said = units(*paths)

    assert re.findall(r"^· (.*)$", said, re.M) == shown
    assert (f"以下都在 {shared}）" in said) == bool(shared)


def test_a_long_list_on_a_phone_ends_with_what_a_supervisor_can_do() -> None:
    assert "请管理员用 report 命令导出 xlsx" in phone(table(tuple(f"员{n}" for n in range(300))))


def test_a_phone_leaves_out_what_is_nought_and_seldom() -> None:
    assert "少见" not in phone(table())
