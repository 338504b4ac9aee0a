"""A contest's team list from a table: a team and a staff number a row; all bad rows are said with row, column and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from bot.storage.files import cells
from bot.storage.files.table import TableSheet
from bot.storage.files.table_reader import TableColumn, TableLayout, read_rows, staff_no_column
from bot.storage.people import audience

LAYOUT = TableLayout(
    "队员名单",
    (TableColumn("队名", cells.parse_team, ("队", "队伍", "参赛队", "代表队", "队伍名称", "参赛队伍"), required=True), staff_no_column()),
)


@dataclass(frozen=True, slots=True)
class TeamFile:
    """The people by team, as a file lists them."""

    members: Mapping[str, list[int]]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(map(len, self.members.values()))


def read_teams(session: Session, sheet: TableSheet) -> TeamFile:
    """The teams of a table. Raises `Refusal`, and `BadTableRows` with all that is wrong: cells, people that nobody knows or who are there twice."""

    def known_person(staff_no: str) -> tuple[str, int]:
        person_id = audience.find_person_id(session, staff_no)
        if person_id is None:
            raise cells.BadCell(f"花名册里没有 {staff_no}")
        return staff_no, person_id

    reading = read_rows(sheet, LAYOUT, {"工号": known_person})
    members: dict[str, list[int]] = {}
    first_rows: dict[str, int] = {}
    for row in reading.rows:
        if "工号" not in row.values:
            continue
        staff_no, person_id = row.get("工号")
        if first_rows.setdefault(staff_no, row.number) != row.number:
            row.add_fault("工号", f"与第 {first_rows[staff_no]} 行是同一个人，一人只能在一队")
        if row.is_whole:
            members.setdefault(row.get("队名"), []).append(person_id)
    reading.require_faultless()
    return TeamFile(members, reading.notes)
