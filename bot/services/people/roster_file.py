"""The roster as a table file lists it: columns found by name, one person for each staff number.

Every wrong cell is listed with its row, its column and the reason.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TypeVar

from bot.domain.message import Refusal
from bot.domain.people.person import RoleName
from bot.storage.files import cells
from bot.storage.files.sandbox import read_sheet
from bot.storage.files.table import Cell, TableSheet, column_letters

T = TypeVar("T")

REQUIRED = ("工号", "姓名", "单位")
CHANNELS = {"钉钉账号": "dingtalk", "企业微信账号": "wecom"}
OPTIONAL = ("层级", "角色", *CHANNELS, "入职日期", "离职日期")
COLUMNS = (*REQUIRED, *OPTIONAL)
IGNORED = ("序号", "备注")
"""Columns that rosters have everywhere and that say nothing to us."""

MAX_FAULTS = 1_000
_MAX_HEADER_ROW = 10


@dataclass(frozen=True, slots=True, order=True)
class RowFault:
    """A row from 1 on, as the table program counts; the column's name; a Chinese reason."""

    row: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"第 {self.row} 行「{self.column}」：{self.reason}"


class BadRosterRows(Refusal):
    """The file was readable, but these cells are not right; nothing of it may be used."""

    def __init__(self, faults: list[RowFault]) -> None:
        self.faults = faults
        some = f"（只列出前 {MAX_FAULTS} 处）" if len(faults) >= MAX_FAULTS else ""
        super().__init__("\n".join([f"花名册有 {len(faults)} 处不对{some}，什么都没有改动：", *map(str, faults)]))


@dataclass(frozen=True, slots=True)
class RosterLine:
    """A person as the file lists them. What a column did not say is None; an account that is an empty cell is "" (the roster knows none)."""

    row: int
    staff_no: str
    name: str
    units: tuple[str, ...]
    tier: str | None = None
    roles: frozenset[RoleName] | None = None
    accounts: dict[str, str] = field(default_factory=dict)
    joined_on: date | None = None
    left_on: date | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody a file lists, in its order; `columns` says which columns it had."""

    people: tuple[RosterLine, ...]
    columns: frozenset[str]
    notes: tuple[str, ...] = ()


def read_roster(path: Path) -> Roster:
    """The roster in a file. Needs nothing but the file, so it can run in any thread or process.

    Raises `Refusal` for a file that cannot be read as a roster and `BadRosterRows` (a `Refusal`) when single cells are wrong.
    """
    return parse_roster(read_sheet(path))


def parse_roster(sheet: TableSheet) -> Roster:
    header_index, columns, ignored = _find_header(sheet.rows)
    faults: list[RowFault] = []
    lines: list[RosterLine] = []
    for number, row in enumerate(sheet.rows[header_index + 1 :], start=header_index + 2):
        if any(_is_filled(cell) for cell in row):
            line = _parse_row(number, row, columns, faults)
            if line is not None:
                lines.append(line)
        if len(faults) >= MAX_FAULTS:
            raise BadRosterRows(faults[:MAX_FAULTS])
    people = _merge_lines(lines, faults)
    _check_accounts_unique(people, faults)
    if faults:
        raise BadRosterRows(sorted(faults)[:MAX_FAULTS])
    if not people:
        raise Refusal("花名册里除了表头没有一个人。")
    notes = (f"没有用到的列：{'、'.join(ignored)}",) if ignored else ()
    return Roster(people, frozenset(columns), sheet.notes + notes)


def _is_filled(cell: Cell) -> bool:
    return not isinstance(cell, str) or bool(cell.strip())


def _find_header(rows: list[list[Cell]]) -> tuple[int, dict[str, int], list[str]]:
    """Where the header stands (a title above it is common), and which column is where."""
    filled = [number for number, row in enumerate(rows[:_MAX_HEADER_ROW]) if any(_is_filled(cell) for cell in row)]
    if not filled:
        raise Refusal("文件开头没有表头。第一行应是列名：" + "、".join(COLUMNS) + "。")
    header_index = next((number for number in filled if sum(_title(cell) in REQUIRED for cell in rows[number]) >= 2), filled[0])
    titles = [_title(cell) for cell in rows[header_index]]
    used_columns = {index for row in rows[header_index + 1 :] for index, cell in enumerate(row) if _is_filled(cell)}
    nameless = [column_letters(index) for index in sorted(used_columns) if index >= len(titles) or not titles[index]]
    missing = [name for name in REQUIRED if name not in titles]
    repeated = [name for name in COLUMNS if titles.count(name) > 1]
    unknown = [name for name in titles if name and name not in COLUMNS and name not in IGNORED]
    problems = []
    if missing:
        problems.append(f"缺少列：{'、'.join(missing)}")
    if repeated:
        problems.append(f"重复的列：{'、'.join(repeated)}")
    if unknown:
        problems.append(f"不认识的列：{'、'.join(_suggestion(name) for name in unknown)}")
    if nameless:
        problems.append(f"没有列名却有内容的列：{'、'.join(nameless[:10])}")
    if problems:
        raise Refusal(f"表头（第 {header_index + 1} 行）不对：{'；'.join(problems)}。可用的列：{'、'.join(COLUMNS)}，前三列必填；序号、备注会略过。")
    return header_index, {name: titles.index(name) for name in COLUMNS if name in titles}, [name for name in titles if name in IGNORED]


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=0.6)
    return f"「{name[:20]}」（是不是「{near[0]}」？）" if near else f"「{name[:20]}」"


def _title(cell: Cell) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", str(cell))).strip("*")


def _parse_row(number: int, row: list[Cell], columns: dict[str, int], faults: list[RowFault]) -> RosterLine | None:
    fault_count = len(faults)

    def take(column: str, parse: Callable[[Cell], T], otherwise: T) -> T:
        if column not in columns:
            return otherwise
        index = columns[column]
        try:
            return parse(row[index] if index < len(row) else "")
        except cells.BadCell as bad:
            faults.append(RowFault(number, column, str(bad)))
            return otherwise

    line = RosterLine(
        row=number,
        staff_no=take("工号", cells.parse_staff_no, ""),
        name=take("姓名", cells.parse_name, ""),
        units=(take("单位", cells.parse_unit, ""),),
        tier=take("层级", cells.parse_tier, None),
        roles=take("角色", cells.parse_roles, None),
        accounts={channel: take(column, cells.parse_account, "") for column, channel in CHANNELS.items() if column in columns},
        joined_on=take("入职日期", cells.parse_day, None),
        left_on=take("离职日期", cells.parse_day, None),
    )
    if line.joined_on and line.left_on and line.left_on < line.joined_on:
        faults.append(RowFault(number, "离职日期", f"{line.left_on} 早于入职日期 {line.joined_on}"))
    return line if len(faults) == fault_count else None


def _merge_lines(lines: list[RosterLine], faults: list[RowFault]) -> tuple[RosterLine, ...]:
    """One person a staff number: a second row is a second post, and says nothing else that differs."""
    people: dict[str, RosterLine] = {}
    for line in lines:
        first = people.get(line.staff_no.casefold())
        people[line.staff_no.casefold()] = line if first is None else _add_second_post(first, line, faults)
    return tuple(people.values())


def _add_second_post(first: RosterLine, second: RosterLine, faults: list[RowFault]) -> RosterLine:
    if first.staff_no != second.staff_no or first.name != second.name:
        faults.append(RowFault(second.row, "工号", f"{second.staff_no} 与第 {first.row} 行的工号相同，姓名或写法却不同"))
        return first
    if second.units[0] in first.units:
        faults.append(RowFault(second.row, "工号", f"{second.staff_no} 与第 {first.row} 行重复，工号和单位都相同"))
        return first
    for column, first_value, second_value in (
        ("层级", first.tier, second.tier),
        ("入职日期", first.joined_on, second.joined_on),
        ("离职日期", first.left_on, second.left_on),
        *((column, first.accounts.get(channel), second.accounts.get(channel)) for column, channel in CHANNELS.items()),
    ):
        if first_value and second_value and first_value != second_value:
            faults.append(RowFault(second.row, column, f"同一个人（第 {first.row} 行）填的是 {first_value}"))
    return replace(
        first,
        units=(*first.units, second.units[0]),
        tier=first.tier or second.tier,
        roles=None if first.roles is None or second.roles is None else first.roles | second.roles,
        accounts={channel: user or second.accounts[channel] for channel, user in first.accounts.items()},
        joined_on=first.joined_on or second.joined_on,
        left_on=first.left_on or second.left_on,
    )


def _check_accounts_unique(people: tuple[RosterLine, ...], faults: list[RowFault]) -> None:
    for column, channel in CHANNELS.items():
        first_by_user: dict[str, RosterLine] = {}
        for person in people:
            if user := person.accounts.get(channel):
                first = first_by_user.setdefault(user, person)
                if first is not person:
                    faults.append(RowFault(person.row, column, f"账号与第 {first.row} 行（工号 {first.staff_no}）相同，一个账号只能属于一个人"))
