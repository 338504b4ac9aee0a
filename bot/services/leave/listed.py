"""Leave as a file lists it: columns found by name, every cell judged; a bad row names row, column and reason."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

from bot.domain.message import Refusal
from bot.services.roster import cells
from bot.services.roster.listed import MOST_FAULTS, Fault
from bot.storage.absence import KINDS
from bot.storage.limited import read_sheet
from bot.storage.sheet import Cell, Sheet

T = TypeVar("T")

COLUMNS = ("工号", "类别", "开始", "结束")
LONGEST = timedelta(days=3 * 366)
_CODES = {label: kind for kind, label in KINDS.items()}
_HEADER_WITHIN = 10


class BadRows(Refusal):
    """The file was readable, but these cells are not right; nothing of it may be used."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        some = f"（只列出前 {MOST_FAULTS} 处）" if len(faults) >= MOST_FAULTS else ""
        super().__init__("\n".join([f"请假表有 {len(faults)} 处不对{some}，什么都没有改动：", *map(str, faults)]))


@dataclass(frozen=True, slots=True)
class Away:
    """One absence as it was asked for, both days included; without a last day it goes on (secondment only). `row` is 0 outside a file."""

    staff_no: str
    kind: str
    since: date
    until: date | None
    row: int = 0

    def overlaps(self, since: date, until: date | None) -> bool:
        return (until is None or self.since <= until) and (self.until is None or since <= self.until)


def read_leave(path: Path) -> tuple[tuple[Away, ...], tuple[str, ...]]:
    """The absences of a file, and what a reader ought to know of the reading. Raises `Refusal`, and `BadRows` when single cells are wrong."""
    sheet = read_sheet(path)
    return leave_of(sheet), sheet.notes


def leave_of(sheet: Sheet) -> tuple[Away, ...]:
    at, places = _header(sheet.rows)
    faults: list[Fault] = []
    found: list[Away] = []
    for number, row in enumerate(sheet.rows[at + 1 :], start=at + 2):
        if any(not isinstance(cell, str) or cell.strip() for cell in row):
            away = _row(number, row, places, faults)
            if away is not None:
                found.append(away)
        if len(faults) >= MOST_FAULTS:
            raise BadRows(faults[:MOST_FAULTS])
    faults += _twice(found)
    if faults:
        raise BadRows(sorted(faults)[:MOST_FAULTS])
    if not found:
        raise Refusal("请假表里除了表头没有一行。")
    return tuple(found)


def _header(rows: list[list[Cell]]) -> tuple[int, dict[str, int]]:
    """Where the header stands (a title above it is common), and which column is where."""
    for number, row in enumerate(rows[:_HEADER_WITHIN]):
        titles = [re.sub(r"\s+", "", unicodedata.normalize("NFKC", str(cell))).strip("*") for cell in row]
        if sum(name in titles for name in COLUMNS) >= 2:
            missing = [name for name in COLUMNS if titles.count(name) != 1]
            if missing:
                raise Refusal(f"表头（第 {number + 1} 行）不对：{'、'.join(missing)} 应各有一列。应有的列：{'、'.join(COLUMNS)}；其余的列会略过。")
            return number, {name: titles.index(name) for name in COLUMNS}
    raise Refusal(f"文件开头没有表头。第一行应是列名：{'、'.join(COLUMNS)}。")


def _row(number: int, row: list[Cell], places: dict[str, int], faults: list[Fault]) -> Away | None:
    before = len(faults)

    def take(column: str, judge: Callable[[Cell], T]) -> T | None:
        index = places[column]
        try:
            return judge(row[index] if index < len(row) else "")
        except cells.Bad as bad:
            faults.append(Fault(number, column, str(bad)))
            return None

    staff_no, kind = take("工号", cells.staff_no), take("类别", _kind)
    since, until = take("开始", cells.day), take("结束", cells.day)
    if len(faults) > before or staff_no is None or kind is None:
        return None
    if since is None:
        faults.append(Fault(number, "开始", "没有填"))
        return None
    reason = unsound(kind, since, until)
    if reason:
        faults.append(Fault(number, "结束", reason))
        return None
    return Away(staff_no, kind, since, until, number)


def _kind(cell: Cell) -> str:
    text = cell.strip() if isinstance(cell, str) else ""
    if text not in _CODES:
        raise cells.Bad(f"应是 {'或'.join(_CODES)}" if text or cell == "" else f"这一格不是文字，应是 {'或'.join(_CODES)}")
    return _CODES[text]


def unsound(kind: str, since: date, until: date | None) -> str:
    """Why two days make no absence; empty when they do."""
    if until is None:
        return "" if kind == "secondment" else "请假要写结束日期（借调可以留空，表示尚未结束）"
    if until < since:
        return f"{until} 早于开始 {since}"
    if until - since > LONGEST:
        return f"从 {since} 到 {until} 超过三年，请核对"
    return ""


def _twice(found: list[Away]) -> list[Fault]:
    """Rows of one person that overlap: nobody is away twice at a time."""
    faults: list[Fault] = []
    by_person: dict[str, list[Away]] = {}
    for one in found:
        for had in by_person.setdefault(one.staff_no, []):
            if one.overlaps(had.since, had.until):
                faults.append(Fault(one.row, "开始", f"与第 {had.row} 行的日期重叠"))
                break
        by_person[one.staff_no].append(one)
    return faults
