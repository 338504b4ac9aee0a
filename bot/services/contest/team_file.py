"""Reading a contest's team list from a spreadsheet: a team and a staff number a row; each bad row is reported with row, column and reason."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.storage.files import cells
from bot.storage.files.sandbox import read_sheet
from bot.storage.files.table import Cell, TableSheet
from bot.storage.files.table_reader import MAX_FAULTS, RowFault
from bot.storage.people import audience

COLUMNS = ("队名", "工号")
ALIASES = {"队": "队名", "队伍": "队名", "参赛队": "队名", "代表队": "队名", "员工号": "工号", "职工号": "工号", "员工编号": "工号"}
_HEADER_WITHIN = 10


class TeamFileError(Refusal):
    """The file was readable, but these cells are not right; nothing of it may be used."""

    def __init__(self, faults: list[RowFault]) -> None:
        self.faults = faults
        super().__init__("\n".join([f"队员名单有 {len(faults)} 处不对，什么都没有改动：", *map(str, faults[:MAX_FAULTS])]))


@dataclass(frozen=True, slots=True)
class TeamFile:
    """Staff numbers by team, each with its row in the file."""

    members: Mapping[str, tuple[tuple[int, str], ...]]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(len(each) for each in self.members.values())


def read_teams(path: Path) -> TeamFile:
    """The teams in an xlsx or csv file. Raises `Refusal`, and `TeamFileError` when single cells are wrong."""
    return parse_teams(read_sheet(path))


def parse_teams(sheet: TableSheet) -> TeamFile:
    header_index, columns = _find_header(sheet.rows)
    faults: list[RowFault] = []
    members_by_team: dict[str, list[tuple[int, str]]] = {}
    first_rows: dict[str, int] = {}
    for number, row in enumerate(sheet.rows[header_index + 1 :], start=header_index + 2):
        if not any(not isinstance(cell, str) or cell.strip() for cell in row):
            continue
        column = "队名"
        try:
            name = cells.parse_team(_cell(row, columns, column))
            column = "工号"
            staff_no = cells.parse_staff_no(_cell(row, columns, column))
            if staff_no in first_rows:
                raise cells.BadCell(f"与第 {first_rows[staff_no]} 行是同一个人，一人只能在一队")
        except cells.BadCell as bad:
            faults.append(RowFault(number, column, str(bad)))
            continue
        first_rows[staff_no] = number
        members_by_team.setdefault(name, []).append((number, staff_no))
    if faults:
        raise TeamFileError(faults)
    if not members_by_team:
        raise Refusal("队员名单里除了表头没有一行。")
    return TeamFile({name: tuple(members) for name, members in members_by_team.items()}, sheet.notes)


def _find_header(rows: list[list[Cell]]) -> tuple[int, dict[str, int]]:
    for index, row in enumerate(rows[:_HEADER_WITHIN]):
        titles = [re.sub(r"\s+", "", unicodedata.normalize("NFKC", str(cell))) for cell in row]
        names = [ALIASES.get(title, title) for title in titles]
        if all(name in names for name in COLUMNS):
            return index, {name: names.index(name) for name in COLUMNS}
    raise Refusal(f"没有找到表头：前 {_HEADER_WITHIN} 行里要有 {'、'.join(COLUMNS)} 这两列。")


def _cell(row: list[Cell], columns: dict[str, int], column: str) -> Cell:
    index = columns[column]
    return row[index] if index < len(row) else ""


def find_members(session: Session, team_file: TeamFile) -> dict[str, list[int]]:
    """The people by team. Raises `TeamFileError` for staff numbers that nobody has."""
    faults: list[RowFault] = []
    members_by_team: dict[str, list[int]] = {}
    for name, members in team_file.members.items():
        for row, staff_no in members:
            person = audience.find_person_id(session, staff_no)
            if person is None:
                faults.append(RowFault(row, "工号", f"花名册里没有 {staff_no}"))
            else:
                members_by_team.setdefault(name, []).append(person)
    if faults:
        raise TeamFileError(sorted(faults))
    return members_by_team
