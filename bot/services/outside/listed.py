"""Results as another platform's file lists them: columns found by name under the words that platforms use, each row judged by itself."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, time, timedelta
from fractions import Fraction
from pathlib import Path

from bot.domain.message import Refusal
from bot.services.roster import cells
from bot.storage.limited import read_sheet
from bot.storage.sheet import Cell, Sheet

COLUMNS = ("工号", "姓名", "单位", "成绩")
ALIASES = {
    "人员编号": "工号", "编号": "工号", "员工号": "工号", "职工号": "工号", "员工编号": "工号",
    "考生姓名": "姓名", "学员姓名": "姓名", "名字": "姓名", "学员": "姓名",
    "部门": "单位", "所在单位": "单位", "所属单位": "单位", "工作单位": "单位", "处室": "单位", "所属部门": "单位", "组织": "单位",
    "分数": "成绩", "得分": "成绩", "考试成绩": "成绩", "总分": "成绩", "最终成绩": "成绩", "考试得分": "成绩", "最高分": "成绩",
}  # fmt: skip
_HEADER_WITHIN = 10
_SCORE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*分?")


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the file gives it (counted as the table program counts): the score in thousandths of a point, or what is wrong with the row."""

    row: int
    staff_no: str = ""
    name: str = ""
    unit: str = ""
    score: int = 0
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """All rows of a file, and what a reader ought to know of the reading."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def read_results(path: Path) -> Results:
    """The rows of an xlsx or csv file. Raises `Refusal` for a file that is no table of results; a bad cell spoils its own row only."""
    sheet = read_sheet(path)
    return results_of(sheet)


def results_of(sheet: Sheet) -> Results:
    at, places = _header(sheet.rows)
    lines = tuple(
        _line(number, row, places)
        for number, row in enumerate(sheet.rows[at + 1 :], start=at + 2)
        if any(not isinstance(cell, str) or cell.strip() for cell in row)
    )
    if not lines:
        raise Refusal("成绩表里除了表头没有一行。")
    return Results(lines, sheet.notes)


def _header(rows: list[list[Cell]]) -> tuple[int, dict[str, int]]:
    for at, row in enumerate(rows[:_HEADER_WITHIN]):
        titles = [re.sub(r"\s+|[(（].*?[)）]", "", unicodedata.normalize("NFKC", str(cell))).strip("*") for cell in row]
        names = [ALIASES.get(title, title) for title in titles]
        if "成绩" not in names or not {"工号", "姓名"} & set(names):
            continue
        if twice := [name for name in COLUMNS if names.count(name) > 1]:
            said = "、".join(title for title, name in zip(titles, names, strict=True) if name == twice[0])
            raise Refusal(f"表头（第 {at + 1} 行）里「{twice[0]}」有两列：{said}。请只留要用的一列。")
        return at, {name: names.index(name) for name in COLUMNS if name in names}
    raise Refusal(f"没有找到表头：前 {_HEADER_WITHIN} 行里要有 成绩（或分数、得分）一列，和 工号、姓名 至少一列；按姓名认人还要有 单位 一列。")


def _line(number: int, row: list[Cell], places: dict[str, int]) -> Line:
    def cell(column: str) -> Cell:
        place = places.get(column)
        return row[place] if place is not None and place < len(row) else ""

    staff_no = name = unit = ""
    try:
        column = "工号"
        staff_no = cells.staff_no(cell(column)) if _filled(cell(column)) else ""
        column = "姓名"
        name = cells.name(cell(column)) if _filled(cell(column)) else ""
        column = "单位"
        unit = cells.unit(cell(column)) if _filled(cell(column)) else ""
        column = "成绩"
        score = _score(cell(column))
    except cells.Bad as bad:
        return Line(number, staff_no, name, unit, wrong=f"「{column}」{bad}")
    if not staff_no and not name:
        return Line(number, unit=unit, wrong="没有工号，也没有姓名")
    return Line(number, staff_no, name, unit, score)


def _filled(cell: Cell) -> bool:
    return not isinstance(cell, str) or bool(cell.strip())


def _score(cell: Cell) -> int:
    if isinstance(cell, bool | date | time | timedelta):
        raise cells.Bad("是日期或真假值，应是分数")
    text = f"{cell:.3f}".rstrip("0").rstrip(".") if isinstance(cell, float) else unicodedata.normalize("NFKC", str(cell)).strip()
    if not text:
        raise cells.Bad("没有填（缺考的请删去这一行）")
    found = _SCORE.fullmatch(text)
    if found is None:
        raise cells.Bad(f"「{text[:20]}」不是分数")
    return int(Fraction(found[1]) * 1000)
