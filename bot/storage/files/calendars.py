"""The working calendars: content/calendar/YYYY.yaml, one published year a file."""

from __future__ import annotations

from datetime import date

from bot.domain.calendar import SATURDAY, Holiday, Year
from bot.storage.files.models import CalendarFile, validated
from bot.storage.files.strict_yaml import FileFault, Node

FOLDER = "calendar"
LONGEST = 16
"""Days that one festival may be off at the most."""
STATUTORY = ((1, 1), (5, 1), (10, 1), (10, 2), (10, 3))
"""Days off by the calendar of the sun in every year: a file without them is a file half written."""


def read_calendar(node: Node, file: str, stem: str, faults: list[FileFault]) -> Year | None:
    """One year; None with the faults noted. `stem` is the file's name, which has to be the year."""
    before = len(faults)
    entry = validated(CalendarFile, node, file, faults)
    if entry is None:
        return None
    if stem != str(entry.year):
        faults.append(FileFault(file, node.line_at(("year",)), f"年份 {entry.year} 应与文件名 {stem} 相同"))
    off: set[date] = set()
    for n, one in enumerate(entry.holidays):
        line = node.line_at(("holidays", n))
        if not 0 <= (one.last - one.first).days < LONGEST or {one.first.year, one.last.year} != {entry.year}:
            faults.append(FileFault(file, line, f"{one.name}：应从第一天到最后一天，都在 {entry.year} 年内，最多 {LONGEST} 天"))
            continue
        days = Holiday(one.name, one.first, one.last).days
        if off.intersection(days):
            faults.append(FileFault(file, line, f"{one.name}：有的日子前面已经放假"))
        off.update(days)
    for n, day in enumerate(entry.workdays):
        line = node.line_at(("workdays", n))
        if day.year != entry.year or day.weekday() < SATURDAY or day in off or day in entry.workdays[:n]:
            faults.append(FileFault(file, line, f"调休上班日 {day} 应是 {entry.year} 年不放假的周六或周日，且只写一次"))
    missing = [f"{month}月{day}日" for month, day in STATUTORY if date(entry.year, month, day) not in off]
    if missing:
        faults.append(FileFault(file, node.line_at(("holidays",)), f"法定放假日没有写全，缺 {'、'.join(missing)}"))
    if len(faults) > before:
        return None
    return Year(entry.year, tuple(Holiday(one.name, one.first, one.last) for one in entry.holidays), frozenset(entry.workdays), entry.source)
