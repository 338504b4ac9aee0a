"""The roster as a table file lists it, or as the contacts of a platform do: one person for each staff number.

Every wrong cell is listed with its row, its column and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TypeVar

from bot.domain.message import Refusal
from bot.domain.people.person import Department, Directory, DirectoryMember, RoleName
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
from bot.storage.people.roster import PersonRecord

T = TypeVar("T")
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


# ── A platform's contacts as a roster, so that they go through the same comparison and dry run ──

MAX_SHOWN = 10
MAX_DEPTH = 20
_COLUMN_OF = {channel: column for column, channel in CHANNELS.items()}


def roster_of_directory(directory: Directory, known: Sequence[PersonRecord], *, under: str = "") -> Roster:
    """Everybody in the contacts, and everybody on the roster of whom these contacts can say nothing.

    A member is who the account is bound to, else who has the staff number that the contacts give; a member without either is left out and named.
    Whoever is on the roster without an account on this channel stays as they are: an app sees only a part of its corporation. `under` is a path
    put before every department. Raises `BadTableRows` when what the contacts say cannot be taken, and `Refusal` when they are empty.
    """
    column = _COLUMN_OF[directory.channel]
    paths = _department_paths(directory.departments, under)
    bound = {person.accounts[directory.channel][0]: person for person in known if directory.channel in person.accounts}
    faults: list[RowFault] = []
    people: dict[str, RosterLine] = {}
    nameless: list[str] = []
    for row, entry in enumerate(directory.entries, start=1):
        holder = bound.get(entry.user)
        staff_no = holder.staff_no if holder is not None else entry.staff_no
        if not staff_no:
            nameless.append(entry.name)
            continue
        line = _member_line(row, entry, staff_no, paths, directory.channel, faults)
        if line is None:
            continue
        if (twin := people.get(line.staff_no.casefold())) is not None:
            other = twin.accounts[directory.channel]
            faults.append(RowFault(row, "工号", f"{entry.name}（账号 {entry.user}）与账号 {other} 的工号都是 {line.staff_no}"))
            continue
        people[line.staff_no.casefold()] = line
    if faults:
        raise BadTableRows(LAYOUT.title, faults)
    if not people:
        raise Refusal("通讯录里没有一个有工号的人，什么都没有改动。请检查应用的可见范围，以及工号填在哪个字段（--staff-no）。")
    unchanged = [
        _unchanged_line(row, person)
        for row, person in enumerate(_unlisted_people(known, people, directory.channel), start=len(directory.entries) + 1)
    ]
    notes = []
    if nameless:
        more = f"等 {len(nameless)} 人" if len(nameless) > MAX_SHOWN else f" {len(nameless)} 人"
        notes.append(f"通讯录里没有工号、也没有绑定过的，没有导入：{'、'.join(nameless[:MAX_SHOWN])}{more}")
    if unchanged:
        notes.append(f"没有绑定{column.removesuffix('账号')}、通讯录里也没有的 {len(unchanged)} 人保持不变")
    return Roster((*people.values(), *unchanged), frozenset(("工号", "姓名", "单位", column)), tuple(notes))


def _member_line(row: int, entry: DirectoryMember, number: str, paths: dict[int, str], channel: str, faults: list[RowFault]) -> RosterLine | None:
    fault_count = len(faults)

    def take(column: str, parse: Callable[[str], T], value: str, otherwise: T) -> T:
        try:
            return parse(value)
        except cells.BadCell as bad:
            faults.append(RowFault(row, column, f"{entry.name[:20]}（账号 {entry.user[:40]}）{bad}"))
            return otherwise

    units = tuple(dict.fromkeys(take("单位", cells.parse_unit, paths.get(department_id, ""), "") for department_id in entry.departments))
    if not units:
        faults.append(RowFault(row, "单位", f"{entry.name[:20]}（账号 {entry.user[:40]}）不在应用能看到的任何部门里"))
    line = RosterLine(
        row=row,
        staff_no=take("工号", cells.parse_staff_no, number, ""),
        name=take("姓名", cells.parse_name, entry.name, ""),
        units=units,
        accounts={channel: take(_COLUMN_OF[channel], cells.parse_account, entry.user, "")},
    )
    return line if len(faults) == fault_count else None


def _department_paths(departments: Sequence[Department], under: str) -> dict[int, str]:
    """Each department's path from the top; a slash in a name is no step in a path. Raises `Refusal` for a tree with a cycle."""
    by_id = {department.id: department for department in departments}
    paths: dict[int, str] = {}
    for department in departments:
        names: list[str] = []
        ancestor: Department | None = department
        while ancestor is not None:
            names.append(ancestor.name.replace("/", "∕").replace("／", "∕").strip())
            if len(names) > MAX_DEPTH:
                raise Refusal(f"通讯录的部门「{department.name[:40]}」绕成了圈或超过 {MAX_DEPTH} 级，什么都没有改动。")
            ancestor = by_id.get(ancestor.parent)
        paths[department.id] = "/".join([*([under.strip("/")] if under.strip("/") else []), *reversed(names)])
    return paths


def _unlisted_people(known: Sequence[PersonRecord], people: dict[str, RosterLine], channel: str) -> list[PersonRecord]:
    return [person for person in known if person.left_on is None and channel not in person.accounts and person.staff_no.casefold() not in people]


def _unchanged_line(row: int, person: PersonRecord) -> RosterLine:
    return RosterLine(row=row, staff_no=person.staff_no, name=person.name, units=tuple(post.path for post in person.posts if post.until is None))
