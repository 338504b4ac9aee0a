"""The roster as a table file lists it: columns found by name, one person for each staff number.

Every wrong cell is listed with its row, its column and the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from bot.domain.people.person import RoleName
from bot.storage.files import cells
from bot.storage.files.table import TableSheet
from bot.storage.files.table_reader import (
    BadTableRows,
    RowFault,
    TableColumn,
    TableLayout,
    TableRow,
    name_column,
    read_rows,
    read_table,
    staff_no_column,
    unit_column,
)

CHANNELS = {"钉钉账号": "dingtalk", "企业微信账号": "wecom"}
LAYOUT = TableLayout(
    "花名册",
    (
        staff_no_column(),
        name_column(),
        unit_column(),
        TableColumn("层级", cells.parse_tier, ("人员层级", "人员类别")),
        TableColumn("角色", cells.parse_roles),
        TableColumn("钉钉账号", cells.parse_account, ("钉钉帐号", "钉钉", "钉钉userid")),
        TableColumn("企业微信账号", cells.parse_account, ("企业微信帐号", "企微账号", "企微帐号", "企业微信")),
        TableColumn("入职日期", cells.parse_day, ("入职时间", "到岗日期")),
        TableColumn("离职日期", cells.parse_day, ("离职时间", "离岗日期")),
    ),
    each="一个人",
)


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
    """Everybody a file lists, in its order; `columns` says which columns it had, `faults` which cells are not right (those people are left out)."""

    people: tuple[RosterLine, ...]
    columns: frozenset[str]
    notes: tuple[str, ...] = ()
    faults: tuple[RowFault, ...] = ()

    def require_faultless(self, further: Iterable[RowFault] = ()) -> None:
        """Raises `BadTableRows` where a cell is not right, and says with it what else stands against the file."""
        if self.faults:
            raise BadTableRows(LAYOUT.title, [*self.faults, *further])


def read_roster(path: Path, sheet: str = "") -> Roster:
    """The roster in a file. Needs nothing but the file, so it can run in any thread or process. Raises `Refusal` for a file that is no roster."""
    return parse_roster(read_table(path, LAYOUT, sheet))


def parse_roster(sheet: TableSheet) -> Roster:
    reading = read_rows(sheet, LAYOUT)
    lines: list[RosterLine] = []
    for row in reading.rows:
        joined_on, left_on = row.get("入职日期"), row.get("离职日期")
        if joined_on and left_on and left_on < joined_on:
            row.add_fault("离职日期", f"{left_on} 早于入职日期 {joined_on}")
        if row.is_whole:
            lines.append(_roster_line(row))
    faults = reading.faults
    people = _merge_lines(lines, faults)
    _check_accounts_unique(people, faults)
    return Roster(people, reading.columns, reading.notes, tuple(sorted(faults)))


def _roster_line(row: TableRow) -> RosterLine:
    return RosterLine(
        row=row.number,
        staff_no=row.get("工号"),
        name=row.get("姓名"),
        units=(row.get("单位"),),
        tier=row.get("层级"),
        roles=row.get("角色"),
        accounts={channel: row.get(column) for column, channel in CHANNELS.items() if column in row.values},
        joined_on=row.get("入职日期"),
        left_on=row.get("离职日期"),
    )


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
