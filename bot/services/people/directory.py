"""A platform's contacts as a roster, so that they go through the same comparison and dry run as a roster file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bot.domain.message import Refusal
from bot.domain.people.person import Department, Directory, DirectoryMember
from bot.services.people.roster_file import CHANNELS, LAYOUT, Roster, RosterLine
from bot.storage.files import cells
from bot.storage.files.table_reader import BadTableRows, RowFault
from bot.storage.people.roster import PersonRecord

T = TypeVar("T")

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
        line = _roster_line(row, entry, staff_no, paths, directory.channel, faults)
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


def _roster_line(row: int, entry: DirectoryMember, number: str, paths: dict[int, str], channel: str, faults: list[RowFault]) -> RosterLine | None:
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
