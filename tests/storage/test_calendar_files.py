"""A calendar file is whole or it is not read: what an agency may write into content/calendar, and what it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.storage.files.loader import load_library

SOUND = """year: 2027
source: 某通知
holidays:
  - {name: 元旦, first: 2027-01-01, last: 2027-01-03}
  - {name: 劳动节, first: 2027-05-01, last: 2027-05-05}
  - {name: 国庆节, first: 2027-10-01, last: 2027-10-07}
workdays: [2027-05-08]
"""


def faults_of(folder: Path, text: str, name: str = "2027.yaml") -> list[str]:
    place = folder / "content" / "calendar"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text, encoding="utf-8")
    library, faults = load_library(folder)
    found = [str(fault) for fault in faults if "calendar" in fault.file]
    assert library.calendar.knows(2027) is not bool(found)
    return found


def test_a_year_written_by_hand_is_known_from_then_on(tmp_path: Path) -> None:
    assert faults_of(tmp_path, SOUND) == []


@pytest.mark.parametrize(
    ("was", "wrong", "line", "sentence"),
    [
        ("year: 2027", "year: 2026", 1, "应与文件名 2027 相同"),
        ("2027-05-08", "2027-05-07", 7, "周六或周日"),
        ("2027-05-08", "2027-05-02", 7, "周六或周日"),
        ("[2027-05-08]", "[2027-05-08, 2027-05-08]", 7, "只写一次"),
        ("last: 2027-10-07", "last: 2027-09-07", 6, "第一天到最后一天"),
        ("last: 2027-10-07", "last: 2027-10-27", 6, "最多 16 天"),
        ("first: 2027-05-01", "first: 2027-05-02", 4, "缺 5月1日"),
        ("劳动节, first: 2027-05-01", "劳动节, first: 2027-01-03", 5, "最多 16 天"),
        ("workdays: [2027-05-08]", "workdays: []\nmakeup: []", 8, "不认识"),
        ("2027-05-08", "5月8日", 7, "应为日期"),
    ],
)
def test_a_fault_is_named_with_its_line_and_the_year_stays_unknown(tmp_path: Path, was: str, wrong: str, line: int, sentence: str) -> None:
    found = faults_of(tmp_path, SOUND.replace(was, wrong))

    assert any(one.startswith(f"content/calendar/2027.yaml:{line}:") and sentence in one for one in found), found


def test_two_festivals_do_not_share_a_day(tmp_path: Path) -> None:
    twice = SOUND.replace("workdays", "  - {name: 中秋节, first: 2027-10-07, last: 2027-10-08}\nworkdays")

    assert any("前面已经放假" in one for one in faults_of(tmp_path, twice))
