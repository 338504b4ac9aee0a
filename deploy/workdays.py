"""Writes content/calendar/YYYY.yaml from the chinesecalendar package: `python3 deploy/workdays.py 2021 2026`. Needs the dev dependencies.

Only a year that the package knows from the notice itself is written; for any other it stops with a sentence. A file may also be written by hand.
"""

import datetime
import sys
from pathlib import Path

import chinese_calendar

FOLDER = Path(__file__).resolve().parent.parent / "content" / "calendar"
NAMES = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "Mid-autumn Festival": "中秋节",
    "National Day": "国庆节",
}
DAY = datetime.timedelta(days=1)


def of_year(year: int) -> str:
    """The file of a year. Raises KeyError for a festival that has no Chinese name here, ValueError for a year that nobody has published."""
    days = {day: name for day, name in chinese_calendar.constants.holidays.items() if day.year == year}
    if not days:
        raise ValueError(year)
    runs: list[tuple[str, datetime.date, datetime.date]] = []
    for day in sorted(days):
        name = NAMES[days[day]]
        if runs and runs[-1][0] == name and runs[-1][2] == day - DAY:
            runs[-1] = (name, runs[-1][1], day)
        else:
            runs.append((name, day, day))
    worked = sorted(day for day in chinese_calendar.constants.workdays if day.year == year)
    lines = [
        f"# {year} 年的放假与调休。放假的日子逐段写明首尾，周末上班的日子写在 workdays；其余周一到周五上班、周六周日休息。",
        f"year: {year}",
        f"source: 国务院办公厅关于{year}年部分节假日安排的通知",
        "holidays:",
        *(f"  - {{name: {name}, first: {first}, last: {last}}}" for name, first, last in runs),
        "workdays:",
        *(f"  - {day}" for day in worked),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or not all(one.isdigit() for one in arguments):
        sys.stderr.write("用法：python3 deploy/workdays.py 起始年 截止年\n")
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    for year in range(int(arguments[0]), int(arguments[1]) + 1):
        try:
            text = of_year(year)
        except ValueError:
            sys.stderr.write(f"chinesecalendar 里还没有 {year} 年，请先升级它，或照上一年的文件手写。\n")
            return 1
        (FOLDER / f"{year}.yaml").write_text(text, encoding="utf-8")
        print(f"已写 content/calendar/{year}.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
