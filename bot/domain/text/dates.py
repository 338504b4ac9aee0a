"""Days, clocks, moments and spans as people type them, in chat, in files and on the command line: one reader, one way to say no.

`find_…` gives None for a text that is nothing of the kind; `read_…` refuses it. A day that the calendar does not have is refused by both.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, time, timedelta
from typing import Literal

from bot.domain.message import Refusal
from bot.domain.times import SHANGHAI

Year = Literal["past", "next", "nearest"]
"""Which year is meant where none is written: the last such day up to today, the next from today on, or the one nearest to today."""

DAY_EXAMPLE = "2026-03-10 或 3月10日"
MOMENT_EXAMPLE = "2026-03-10 09:00 或 3月10日 9:00"
_DAY = r"(?:(?:(\d{4})\s*[-/.年·]\s*)?(\d{1,2})\s*[-/.月·]\s*(\d{1,2})\s*[日号]?|(\d{4})(\d{2})(\d{2})|(今天|今日|明天|明日|后天|昨天|昨日|前天))"
_CLOCK = r"(?:(凌晨|早上|上午|中午|下午|晚上)\s*)?(\d{1,2})(?:[:.](\d{2})(?::\d{2})?|\s*[点时]\s*(?:(半)|(\d{1,2})\s*分?)?\s*整?)"
DAY_PATTERN = re.sub(r"\((?!\?)", "(?:", _DAY)
"""A day as `read_day` knows it, without groups: for whoever looks for one inside a sentence (folded as by `fold`)."""
_ONE_DAY = re.compile(_DAY)
_ONE_CLOCK = re.compile(_CLOCK)
_ONE_MOMENT = re.compile(rf"{_DAY}[\sT,]*{_CLOCK}")
_TO = re.compile(r"\s*(?:至|到|—+|~|--|(?<=:\d\d)\s*-\s*(?=\d)|(?<=[点时分半])\s*-\s*(?=\d))\s*")
_RELATIVE = {"今天": 0, "今日": 0, "明天": 1, "明日": 1, "后天": 2, "昨天": -1, "昨日": -1, "前天": -2}
_TYPED_DIFFERENTLY = str.maketrans({"：": ":", "～": "~", "〜": "~", "–": "-", "－": "-", "．": ".", "・": "·", "•": "·"})


def fold(text: str) -> str:
    """Full-width letters and digits narrowed, spaces single, none at the ends."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text.translate(_TYPED_DIFFERENTLY))).strip()


def find_day(text: str, today: date | None = None, year: Year = "next") -> date | None:
    """2026-11-01, 2026/11/1, 2026.11.1, 2026年11月1日, 20261101; with `today` also 11月1日 and 明天. None for what is no day."""
    match = _ONE_DAY.fullmatch(fold(text))
    return None if match is None else _day(match.groups(), today, year)


def read_day(text: str, today: date | None = None, year: Year = "next") -> date:
    """As `find_day`; raises `Refusal` for what is no day."""
    day = find_day(text, today, year)
    if day is None:
        raise Refusal(f"「{text.strip()[:20]}」不是日期，请写成 {DAY_EXAMPLE if today else '2026-03-10'}。")
    return day


def find_clock(text: str) -> time | None:
    """9:00, 09:00, 9点, 9点半, 下午3点, 上午9点30分. None for what is no time of the day."""
    match = _ONE_CLOCK.fullmatch(fold(text))
    return None if match is None else _clock(match.groups())


def read_moment(text: str, today: date | None = None, year: Year = "next") -> datetime:
    """A day with a clock, in Beijing time. Raises `Refusal`."""
    match = _ONE_MOMENT.fullmatch(fold(text))
    day = None if match is None else _day(match.groups()[:7], today, year)
    clock = None if match is None else _clock(match.groups()[7:])
    if day is None or clock is None:
        raise Refusal(f"没有看懂时间「{text.strip()[:30]}」，请写成 {MOMENT_EXAMPLE if today else '2026-03-10 09:00'}（北京时间）。")
    return datetime.combine(day, clock, SHANGHAI)


def read_span(text: str, today: date | None = None, year: Year = "next") -> tuple[datetime, datetime]:
    """2026-03-10 09:00 至 11:00, or 至 2026-03-12 18:00. Raises `Refusal`."""
    parts = _TO.split(fold(text))
    if len(parts) != 2:
        raise Refusal("请写明从什么时候到什么时候，例如 2026-03-10 09:00 至 2026-03-12 18:00，或 2026-03-10 09:00 至 11:00。")
    begin = read_moment(parts[0], today, year)
    clock = find_clock(parts[1])
    end = datetime.combine(begin.date(), clock, SHANGHAI) if clock is not None else read_moment(parts[1], begin.date(), "next")
    if end <= begin:
        raise Refusal("截止时间应晚于开始时间。")
    return begin, end


def _day(parts: tuple[str | None, ...], today: date | None, year: Year) -> date | None:
    """The day of the groups of `_DAY`; None where the year or today would have to be known. Raises `Refusal` for a day that does not exist."""
    written_year, month, day, whole_year, whole_month, whole_day, relative = parts
    if relative:
        return None if today is None else today + timedelta(days=_RELATIVE[relative])
    if whole_year:
        written_year, month, day = whole_year, whole_month, whole_day
    numbers = (int(month or 0), int(day or 0))
    if written_year:
        return _existing(int(written_year), *numbers)
    if today is None:
        return None
    years = {"past": (today.year, today.year - 1), "next": (today.year, today.year + 1), "nearest": (today.year, today.year - 1, today.year + 1)}[
        year
    ]
    # 29 February is looked for in the years around, too.
    candidates = [
        _existing(candidate, *numbers)
        for candidate in sorted({*years, *_leap_years(today.year)} if numbers == (2, 29) else years)
        if _exists(candidate, *numbers)
    ]
    if not candidates:
        raise _no_such_day(None, *numbers)
    if year == "past":
        return max((candidate for candidate in candidates if candidate <= today), default=None)
    if year == "next":
        return min((candidate for candidate in candidates if candidate >= today), default=None)
    return min(candidates, key=lambda candidate: (abs(candidate - today), candidate))


def _leap_years(around: int) -> range:
    return range(around - 8, around + 9)


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _existing(year: int, month: int, day: int) -> date:
    if not _exists(year, month, day):
        raise _no_such_day(year, month, day)
    return date(year, month, day)


def _no_such_day(year: int | None, month: int, day: int) -> Refusal:
    return Refusal(f"日历上没有 {f'{year} 年 ' if year else ''}{month} 月 {day} 日这一天，请核对。")


def _clock(parts: tuple[str | None, ...]) -> time | None:
    """The time of the groups of `_CLOCK`; None for 25:00."""
    part_of_day, hour_text, colon_minutes, half, minutes = parts
    hour, minute = int(hour_text or 0), 30 if half else int(colon_minutes or minutes or 0)
    if part_of_day in ("下午", "晚上") and hour < 12:
        hour += 12
    return time(hour, minute) if hour < 24 and minute < 60 else None
