"""What a rhythm is: when a campaign falls due, as a value and as JSON.

When a rhythm falls due, on the working calendar and in Asia/Shanghai.

A rhythm as a Chinese sentence, and read back from one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Any, Literal

from bot.domain.calendar import Calendar, OnHoliday, UnknownYear, last_day_of_month
from bot.domain.message import Refusal
from bot.domain.times import SHANGHAI, day_of, start_of

Kind = Literal[
    "once", "workdays", "weekly", "monthly_day", "monthly_last_workday", "monthly_nth_weekday", "quarterly", "yearly_date", "law_day", "series"
]
KINDS: tuple[Kind, ...] = (
    "once", "workdays", "weekly", "monthly_day", "monthly_last_workday", "monthly_nth_weekday", "quarterly", "yearly_date", "law_day", "series",
)  # fmt: skip

LAW_DAYS: Mapping[str, tuple[int, int]] = {
    "消费者权益日": (3, 15),
    "国家安全教育日": (4, 15),
    "知识产权日": (4, 26),
    "建党纪念日": (7, 1),
    "世界标准日": (10, 14),
    "消防宣传日": (11, 9),
    "交通安全日": (12, 2),
    "国家宪法日": (12, 4),
}
"""Days of the year that law education is tied to, by month and day."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something falls due.

    `time` is HH:MM in Asia/Shanghai. `weekdays` count from Monday = 0; `day` is a day of the month (the last one where a month is shorter);
    `nth` is 1 to 5, or -1 for the last; `month` is 1 to 12, in a quarter 1 to 3. `on_holiday` says what becomes of a day that is not worked.
    `first` and `last` bound the days, both included; `skip_dates` are left out whether they name the day itself or the day it was moved to.
    A series goes by the rhythm named in `each`, one part at a time. Raises ValueError for what makes no sense.
    """

    kind: Kind
    time: str = "09:00"
    weekdays: tuple[int, ...] = ()
    day: int = 0
    nth: int = 0
    month: int = 0
    on: date | None = None
    law_day: str = ""
    on_holiday: OnHoliday = "skip"
    skip_dates: tuple[date, ...] = ()
    first: date | None = None
    last: date | None = None
    each: Kind | Literal[""] = ""

    def __post_init__(self) -> None:
        time.fromisoformat(self.time)
        if len(self.time) != 5 or self.kind not in KINDS or self.on_holiday not in ("skip", "before", "after", "keep"):
            raise ValueError(f"not a rhythm: {self.kind} {self.time} {self.on_holiday}")
        kind = self.each if self.kind == "series" else self.kind
        if (self.each and self.kind != "series") or kind not in KINDS or kind == "series" or not _SOUND.get(kind, _always)(self):
            raise ValueError(f"not a rhythm: {self}")


def _always(_: Schedule) -> bool:
    return True


_SOUND: Mapping[str, Callable[[Schedule], bool]] = {
    "once": lambda r: r.on is not None,
    "weekly": lambda r: bool(r.weekdays) and all(0 <= one <= 6 for one in r.weekdays),
    "monthly_day": lambda r: 1 <= r.day <= 31,
    "monthly_nth_weekday": lambda r: (1 <= r.nth <= 5 or r.nth == -1) and len(r.weekdays) == 1 and 0 <= r.weekdays[0] <= 6,
    "quarterly": lambda r: 1 <= r.month <= 3 and 1 <= r.day <= 31,
    "yearly_date": lambda r: 1 <= r.month <= 12 and 1 <= r.day <= 31,
    "law_day": lambda r: r.law_day in LAW_DAYS,
}


def schedule_json(rhythm: Schedule) -> dict[str, Any]:
    """Only what was said; `from_json` gives an equal rhythm."""
    plain = Schedule("workdays")
    found: dict[str, Any] = {"kind": rhythm.kind, "time": rhythm.time}
    for key, value in asdict(rhythm).items():
        if key not in found and value != getattr(plain, key):
            found[key] = [_text(one) for one in value] if isinstance(value, tuple) else _text(value)
    return found


def schedule_from_json(kept: Mapping[str, Any]) -> Schedule:
    """The rhythm of a row. Raises ValueError or TypeError for what is none."""
    given = dict(kept)
    for key in ("on", "first", "last"):
        if given.get(key) is not None:
            given[key] = date.fromisoformat(given[key])
    given["skip_dates"] = tuple(date.fromisoformat(one) for one in given.get("skip_dates", ()))
    given["weekdays"] = tuple(given.get("weekdays", ()))
    return Schedule(**given)


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def without(rhythm: Schedule, day: date) -> Schedule:
    """The rhythm with one more day left out."""
    return replace(rhythm, skip_dates=tuple(sorted({*rhythm.skip_dates, day})))


def unrolled(rhythm: Schedule) -> Schedule:
    """A series' rhythm as that of something that is not told in parts."""
    return replace(rhythm, kind=rhythm.each or rhythm.kind, each="")


def at_once(now: datetime) -> Schedule:
    """Once, in the minute that `now` lies in, whatever the calendar says of the day."""
    local = now.astimezone(SHANGHAI)
    return Schedule("once", time=local.strftime("%H:%M"), on=local.date(), on_holiday="keep")


FARTHEST = timedelta(days=16)
"""No run of days off is longer than this, so no due day lies farther from its own day of the calendar."""


def due_between(rhythm: Schedule, since: datetime, until: datetime, calendar: Calendar) -> list[datetime]:
    """The moments in [since, until), in order, each once, in Asia/Shanghai.

    Raises `UnknownYear` when a moment within the window depends on a year that nobody has entered; a year beyond the window is not asked for.
    """
    if since >= until:
        return []
    found: set[datetime] = set()
    for nominal in _days(rhythm, day_of(since) - FARTHEST, day_of(until) + FARTHEST):
        try:
            day = _moved(rhythm, nominal, calendar)
        except UnknownYear as unknown:
            if until > start_of(date(unknown.year, 1, 1)):
                raise
            continue
        if day is None or not _is_wanted(rhythm, nominal, day):
            continue
        due = datetime.combine(day, time.fromisoformat(rhythm.time), SHANGHAI)
        if since <= due < until:
            found.add(due)
    return sorted(found)


def next_due(rhythm: Schedule, since: datetime, calendar: Calendar, count: int = 1, years: int = 4) -> tuple[list[datetime], UnknownYear | None]:
    """The first `count` moments from `since` on, and the year that stopped the search before there were so many (None when none did)."""
    found: list[datetime] = []
    last_year = day_of(since).year + years
    begin = since
    for year in range(day_of(since).year, last_year + 1):
        end = start_of(date(year + 1, 1, 1))
        try:
            found += due_between(rhythm, begin, end, calendar)
        except UnknownYear as unknown:
            return found[:count], unknown if len(found) < count else None
        if len(found) >= count:
            break
        begin = end
    return found[:count], None


def _is_wanted(rhythm: Schedule, nominal: date, day: date) -> bool:
    if rhythm.first is not None and day < rhythm.first:
        return False
    if rhythm.last is not None and day > rhythm.last:
        return False
    return nominal not in rhythm.skip_dates and day not in rhythm.skip_dates


def _moved(rhythm: Schedule, day: date, calendar: Calendar) -> date | None:
    """The working day that stands for a day, or None when it is left out."""
    kind = rhythm.each or rhythm.kind
    if kind == "monthly_last_workday":
        return calendar.workday_on_or_before(day)
    if (rhythm.on_holiday == "keep" and kind != "workdays") or calendar.is_workday(day):
        return day
    if kind == "workdays" or rhythm.on_holiday == "skip":
        return None
    return calendar.workday_on_or_before(day) if rhythm.on_holiday == "before" else calendar.workday_on_or_after(day)


def _days(rhythm: Schedule, first: date, last: date) -> Iterator[date]:
    """The rhythm's own days within [first, last], before any holiday is looked at."""
    kind = rhythm.each or rhythm.kind
    if kind == "once":
        given = [rhythm.on] if rhythm.on is not None else []
    elif kind in ("workdays", "weekly"):
        every = (first + timedelta(days=n) for n in range((last - first).days + 1))
        yield from every if kind == "workdays" else (one for one in every if one.weekday() in rhythm.weekdays)
        return
    else:
        given = list(chain.from_iterable(_of_month(rhythm, kind, year, month) for year, month in _months(first, last)))
    yield from (one for one in given if first <= one <= last)


def _months(first: date, last: date) -> Iterator[tuple[int, int]]:
    at = first.year * 12 + first.month - 1
    while at <= last.year * 12 + last.month - 1:
        yield at // 12, at % 12 + 1
        at += 1


def _of_month(rhythm: Schedule, kind: str, year: int, month: int) -> list[date]:
    last = last_day_of_month(year, month)
    match kind:
        case "monthly_last_workday":
            return [last]
        case "monthly_nth_weekday":
            fitting = [one for one in (date(year, month, n) for n in range(1, last.day + 1)) if one.weekday() == rhythm.weekdays[0]]
            place = rhythm.nth if rhythm.nth < 0 else rhythm.nth - 1
            return [fitting[place]] if place < len(fitting) else []
        case "quarterly":
            applies, day = (month - 1) % 3 + 1 == rhythm.month, rhythm.day
        case "yearly_date":
            applies, day = month == rhythm.month, rhythm.day
        case "law_day":
            of_year, day = LAW_DAYS[rhythm.law_day]
            applies = month == of_year
        case _:
            applies, day = True, rhythm.day
    return [date(year, month, min(day, last.day))] if applies else []


WEEKDAYS = "一二三四五六日"
ON_HOLIDAY = {"skip": "跳过", "before": "提前", "after": "顺延", "keep": "照常"}
_QUARTER = {1: "首月", 2: "中月", 3: "末月"}


def describe_schedule(rhythm: Schedule) -> str:
    """The rhythm as a sentence that `parse_rhythm` reads back."""
    kind = rhythm.each or rhythm.kind
    said = _said(rhythm, kind)
    parts = [f"连载 {said}" if rhythm.kind == "series" else said, rhythm.time]
    if kind not in ("workdays", "monthly_last_workday") and not (kind == "once" and rhythm.on_holiday == "keep"):
        parts.append(f"遇假日{ON_HOLIDAY[rhythm.on_holiday]}")
    if rhythm.first is not None:
        parts.append(f"自{rhythm.first.isoformat()}")
    if rhythm.last is not None:
        parts.append(f"至{rhythm.last.isoformat()}")
    if rhythm.skip_dates:
        parts.append("除" + "、".join(one.isoformat() for one in rhythm.skip_dates))
    return " ".join(parts)


def _said(rhythm: Schedule, kind: str) -> str:
    week = "、".join(f"周{WEEKDAYS[one]}" for one in rhythm.weekdays)
    match kind:
        case "once":
            return rhythm.on.isoformat() if rhythm.on else ""
        case "workdays":
            return "每个工作日"
        case "weekly":
            return f"每{week}"
        case "monthly_day":
            return f"每月{rhythm.day}日"
        case "monthly_last_workday":
            return "每月最后一个工作日"
        case "monthly_nth_weekday":
            return f"每月最后一个{week}" if rhythm.nth < 0 else f"每月第{rhythm.nth}个{week}"
        case "quarterly":
            return f"每季度{_QUARTER[rhythm.month]}{rhythm.day}日"
        case "law_day":
            return rhythm.law_day
        case _:
            return f"每年{rhythm.month}月{rhythm.day}日"


# ── Reading ──

EXAMPLES = (
    "每个工作日 09:00；每周一 09:00；每月最后一个工作日 10:00；每月第2个周三 09:00；每年12月4日 09:00 遇假日提前；国家宪法日 09:00；2026-03-05 09:00"
)
_DAY = r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
_CLOCK = re.compile(r"(上午|下午|晚上)?(\d{1,2})(?::(\d{2})|[点时](?:(半)|(\d{1,2})分?)?)")
_NUMBER = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5}
_WEEKDAY = {**{name: n for n, name in enumerate(WEEKDAYS)}, "天": 6, **{str(n + 1): n for n in range(6)}}
_MOVES: dict[str, OnHoliday] = {"跳过": "skip", "提前": "before", "顺延": "after", "照常": "keep"}
_EVERY_WEEK = re.compile(r"每(?:周|星期)([一二三四五六日天1-6](?:[、,](?:周|星期)?[一二三四五六日天1-6])*)")
_LAST_WORKDAY = re.compile(r"每月(?:最后一个|最末)工作日")
_NTH = re.compile(r"每月(第([一二三四五1-5])|最后一)个(?:周|星期)([一二三四五六日天])")
_MONTHLY = re.compile(r"每月(\d{1,2})[日号]")
_QUARTERLY = re.compile(r"每季度?(首月|中月|末月|第[一二三123]个?月)(\d{1,2})[日号]")
_YEARLY = re.compile(r"每年(\d{1,2})月(\d{1,2})[日号]")
_MONTH_OF_QUARTER = {"首月": 1, "中月": 2, "末月": 3}
_MOVE = re.compile(r"[,、]?遇(?:节?假日|放假|休息日)(跳过|提前|顺延|照常)")
_ALIASES = {
    "12·4": "国家宪法日", "宪法日": "国家宪法日", "七一": "建党纪念日", "4·15": "国家安全教育日", "全民国家安全教育日": "国家安全教育日",
    "3·15": "消费者权益日", "10·14": "世界标准日", "世界知识产权日": "知识产权日",
}  # fmt: skip


def parse_schedule(said: str) -> Schedule:
    """The rhythm that a person wrote. Raises `Refusal` with examples for what cannot be read.

    Without a word about holidays a day chosen by date is kept, a weekly one is left out, one of a month, quarter or year moves to the next
    working day, and a law day to the one before.
    """
    text = unicodedata.normalize("NFKC", said).strip()
    text = text.replace("・", "·").replace("•", "·")
    given: dict[str, Any] = {}
    text, given["skip_dates"] = _taken_days(text)
    for key, mark in (("first", "自|从"), ("last", "至|到")):
        found = re.search(rf"(?:{mark})\s*{_DAY}(?:起|止)?", text)
        if found:
            given[key] = _date(found[1], found[2], found[3])
            text = text[: found.start()] + text[found.end() :]
    move = _MOVE.search(text)
    if move:
        text = text[: move.start()] + text[move.end() :]
    series = re.match(r"\s*连载\s*", text)
    if series:
        text = text[series.end() :]
    clocks = list(_CLOCK.finditer(text))
    if len(clocks) > 1:
        raise _unread(said)
    if clocks:
        given["time"] = _clock(clocks[0], said)
        text = text[: clocks[0].start()] + text[clocks[0].end() :]
    kind, more, usual = _nominal("".join(text.split()), said)
    on_holiday = _MOVES[move[1]] if move else usual
    try:
        return Schedule(**{**given, **more, "kind": "series" if series else kind, "each": kind if series else "", "on_holiday": on_holiday})
    except ValueError:
        raise _unread(said) from None


def _nominal(text: str, said: str) -> tuple[str, dict[str, Any], OnHoliday]:
    """The kind, its numbers, and what is usual on a holiday."""
    if text in ("每个工作日", "每工作日", "每天", "每日", "工作日"):
        return "workdays", {}, "skip"
    if found := _EVERY_WEEK.fullmatch(text):
        return "weekly", {"weekdays": tuple(sorted({_WEEKDAY[one] for one in found[1] if one in _WEEKDAY}))}, "skip"
    if _LAST_WORKDAY.fullmatch(text):
        return "monthly_last_workday", {}, "skip"
    if found := _NTH.fullmatch(text):
        return "monthly_nth_weekday", {"nth": _NUMBER[found[2]] if found[2] else -1, "weekdays": (_WEEKDAY[found[3]],)}, "after"
    if found := _MONTHLY.fullmatch(text):
        return "monthly_day", {"day": int(found[1])}, "after"
    if found := _QUARTERLY.fullmatch(text):
        month = _MONTH_OF_QUARTER.get(found[1]) or _NUMBER[found[1].strip("第个月")]
        return "quarterly", {"month": month, "day": int(found[2])}, "after"
    if found := _YEARLY.fullmatch(text):
        return "yearly_date", {"month": int(found[1]), "day": int(found[2])}, "after"
    name = _ALIASES.get(text, text)
    if name in LAW_DAYS:
        return "law_day", {"law_day": name}, "before"
    if found := re.fullmatch(_DAY, text):
        return "once", {"on": _date(found[1], found[2], found[3])}, "keep"
    raise _unread(said)


def _taken_days(text: str) -> tuple[str, tuple[date, ...]]:
    found = re.search(rf"除(?:了|去)?\s*({_DAY}(?:\s*[、,]\s*{_DAY})*)", text)
    if found is None:
        return text, ()
    days = tuple(sorted({_date(*one) for one in re.findall(_DAY, found[1])}))
    return text[: found.start()] + text[found.end() :], days


def _date(year: str, month: str, day: str) -> date:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise Refusal(f"日历上没有 {year}-{month}-{day} 这一天。") from None


def _clock(found: re.Match[str], said: str) -> str:
    hour = int(found[2])
    if found[1] in ("下午", "晚上") and hour < 12:
        hour += 12
    minute = 30 if found[4] else int(found[3] or found[5] or 0)
    if hour > 23 or minute > 59:
        raise _unread(said)
    return f"{hour:02}:{minute:02}"


def _unread(said: str) -> Refusal:
    return Refusal(f"没有看懂频次「{said[:40]}」。可以写：{EXAMPLES}。")
