"""When a campaign falls due: a schedule as a value, as JSON and as a Chinese sentence, and its due times on the working calendar.

All times are those of Asia/Shanghai.
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
from bot.domain.text.dates import DAY_PATTERN, find_day, read_day
from bot.domain.times import SHANGHAI, day_of, start_of

ScheduleKind = Literal[
    "once", "workdays", "weekly", "monthly_day", "monthly_last_workday", "monthly_nth_weekday", "quarterly", "yearly_date", "law_day", "series"
]
SCHEDULE_KINDS: tuple[ScheduleKind, ...] = (
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
    A series goes by the schedule named in `each`, one part at a time. Raises ValueError for what makes no sense.
    """

    kind: ScheduleKind
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
    each: ScheduleKind | Literal[""] = ""

    def __post_init__(self) -> None:
        time.fromisoformat(self.time)
        if len(self.time) != 5 or self.kind not in SCHEDULE_KINDS or self.on_holiday not in ("skip", "before", "after", "keep"):
            raise ValueError(f"not a schedule: {self.kind} {self.time} {self.on_holiday}")
        kind = self.each if self.kind == "series" else self.kind
        if (self.each and self.kind != "series") or kind not in SCHEDULE_KINDS or kind == "series" or not _VALID_FIELDS.get(kind, _accept_any)(self):
            raise ValueError(f"not a schedule: {self}")


def _accept_any(_: Schedule) -> bool:
    return True


_VALID_FIELDS: Mapping[str, Callable[[Schedule], bool]] = {
    "once": lambda r: r.on is not None,
    "weekly": lambda r: bool(r.weekdays) and all(0 <= weekday <= 6 for weekday in r.weekdays),
    "monthly_day": lambda r: 1 <= r.day <= 31,
    "monthly_nth_weekday": lambda r: (1 <= r.nth <= 5 or r.nth == -1) and len(r.weekdays) == 1 and 0 <= r.weekdays[0] <= 6,
    "quarterly": lambda r: 1 <= r.month <= 3 and 1 <= r.day <= 31,
    "yearly_date": lambda r: 1 <= r.month <= 12 and 1 <= r.day <= 31,
    "law_day": lambda r: r.law_day in LAW_DAYS,
}


def schedule_json(schedule: Schedule) -> dict[str, Any]:
    """Its fields without those that have their default; `schedule_from_json` gives an equal schedule."""
    defaults = Schedule("workdays")
    fields: dict[str, Any] = {"kind": schedule.kind, "time": schedule.time}
    for key, value in asdict(schedule).items():
        if key not in fields and value != getattr(defaults, key):
            fields[key] = [_json_value(item) for item in value] if isinstance(value, tuple) else _json_value(value)
    return fields


def schedule_from_json(stored: Mapping[str, Any]) -> Schedule:
    """The schedule of a row. Raises ValueError or TypeError for what is none."""
    fields = dict(stored)
    for key in ("on", "first", "last"):
        if fields.get(key) is not None:
            fields[key] = date.fromisoformat(fields[key])
    fields["skip_dates"] = tuple(date.fromisoformat(day) for day in fields.get("skip_dates", ()))
    fields["weekdays"] = tuple(fields.get("weekdays", ()))
    return Schedule(**fields)


def _json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def without_date(schedule: Schedule, day: date) -> Schedule:
    """The schedule with one more day left out."""
    return replace(schedule, skip_dates=tuple(sorted({*schedule.skip_dates, day})))


def without_series(schedule: Schedule) -> Schedule:
    """The schedule of a series as that of a campaign without parts."""
    return replace(schedule, kind=schedule.each or schedule.kind, each="")


def immediate_schedule(now: datetime) -> Schedule:
    """Once, in the minute that `now` lies in, whatever the calendar says of the day."""
    local = now.astimezone(SHANGHAI)
    return Schedule("once", time=local.strftime("%H:%M"), on=local.date(), on_holiday="keep")


MAX_HOLIDAY_SHIFT = timedelta(days=16)
"""No run of days off is longer than this, so no due day lies farther from its own day of the calendar."""
FIRST_LOOK = timedelta(days=4)
"""How far the next due time is looked for at first; then twice as far, and so on."""


def due_between(schedule: Schedule, since: datetime, until: datetime, calendar: Calendar) -> list[datetime]:
    """The moments in [since, until), in order, each once, in Asia/Shanghai.

    Raises `UnknownYear` when a moment within the window depends on a year that nobody has entered; a year beyond the window is not asked for.
    """
    if since >= until:
        return []
    due_times: set[datetime] = set()
    shift = MAX_HOLIDAY_SHIFT if _may_shift(schedule) else timedelta(0)
    for nominal in _nominal_days(schedule, day_of(since) - shift, day_of(until) + shift):
        try:
            day = _shift_for_holiday(schedule, nominal, calendar)
        except UnknownYear as unknown:
            if until > start_of(date(unknown.year, 1, 1)):
                raise
            continue
        if day is None or not _is_within_bounds(schedule, nominal, day):
            continue
        due = datetime.combine(day, time.fromisoformat(schedule.time), SHANGHAI)
        if since <= due < until:
            due_times.add(due)
    return sorted(due_times)


def next_due(schedule: Schedule, since: datetime, calendar: Calendar, count: int = 1, years: int = 4) -> tuple[list[datetime], UnknownYear | None]:
    """The first `count` moments from `since` on, and the year that stopped the search before there were so many (None when none did)."""
    due_times: list[datetime] = []
    last_year = day_of(since).year + years
    start, width = since, FIRST_LOOK
    # A campaign of every working day is found in the first look; only what is rare is looked for farther and farther away.
    while len(due_times) < count and (year := day_of(start).year) <= last_year:
        end = min(start + width, start_of(date(year + 1, 1, 1)))
        try:
            due_times += due_between(schedule, start, end, calendar)
        except UnknownYear as unknown:
            return due_times[:count], unknown
        start, width = end, width * 2
    return due_times[:count], None


def _may_shift(schedule: Schedule) -> bool:
    """Whether a day of the calendar may fall due on another one."""
    kind = schedule.each or schedule.kind
    return kind == "monthly_last_workday" or (kind != "workdays" and schedule.on_holiday in ("before", "after"))


def _is_within_bounds(schedule: Schedule, nominal: date, day: date) -> bool:
    if schedule.first is not None and day < schedule.first:
        return False
    if schedule.last is not None and day > schedule.last:
        return False
    return nominal not in schedule.skip_dates and day not in schedule.skip_dates


def _shift_for_holiday(schedule: Schedule, day: date, calendar: Calendar) -> date | None:
    """The working day that stands for a day, or None when it is left out."""
    kind = schedule.each or schedule.kind
    if kind == "monthly_last_workday":
        return calendar.workday_on_or_before(day)
    if (schedule.on_holiday == "keep" and kind != "workdays") or calendar.is_workday(day):
        return day
    if kind == "workdays" or schedule.on_holiday == "skip":
        return None
    return calendar.workday_on_or_before(day) if schedule.on_holiday == "before" else calendar.workday_on_or_after(day)


def _nominal_days(schedule: Schedule, first: date, last: date) -> Iterator[date]:
    """The schedule's own days within [first, last], before any holiday is looked at."""
    kind = schedule.each or schedule.kind
    if kind == "once":
        candidates = [schedule.on] if schedule.on is not None else []
    elif kind in ("workdays", "weekly"):
        every_day = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
        yield from every_day if kind == "workdays" else (day for day in every_day if day.weekday() in schedule.weekdays)
        return
    else:
        candidates = list(chain.from_iterable(_nominal_days_of_month(schedule, kind, year, month) for year, month in _months(first, last)))
    yield from (day for day in candidates if first <= day <= last)


def _months(first: date, last: date) -> Iterator[tuple[int, int]]:
    month_number = first.year * 12 + first.month - 1
    while month_number <= last.year * 12 + last.month - 1:
        yield month_number // 12, month_number % 12 + 1
        month_number += 1


def _nominal_days_of_month(schedule: Schedule, kind: str, year: int, month: int) -> list[date]:
    last = last_day_of_month(year, month)
    match kind:
        case "monthly_last_workday":
            return [last]
        case "monthly_nth_weekday":
            matching = [
                candidate
                for candidate in (date(year, month, number) for number in range(1, last.day + 1))
                if candidate.weekday() == schedule.weekdays[0]
            ]
            index = schedule.nth if schedule.nth < 0 else schedule.nth - 1
            return [matching[index]] if index < len(matching) else []
        case "quarterly":
            applies, day = (month - 1) % 3 + 1 == schedule.month, schedule.day
        case "yearly_date":
            applies, day = month == schedule.month, schedule.day
        case "law_day":
            of_year, day = LAW_DAYS[schedule.law_day]
            applies = month == of_year
        case _:
            applies, day = True, schedule.day
    return [date(year, month, min(day, last.day))] if applies else []


WEEKDAYS = "一二三四五六日"
ON_HOLIDAY = {"skip": "跳过", "before": "提前", "after": "顺延", "keep": "照常"}
_QUARTER = {1: "首月", 2: "中月", 3: "末月"}


def describe_schedule(schedule: Schedule) -> str:
    """The schedule as a sentence that `parse_schedule` reads back."""
    kind = schedule.each or schedule.kind
    rule = _describe_rule(schedule, kind)
    parts = [f"连载 {rule}" if schedule.kind == "series" else rule, schedule.time]
    if kind not in ("workdays", "monthly_last_workday") and not (kind == "once" and schedule.on_holiday == "keep"):
        parts.append(f"遇假日{ON_HOLIDAY[schedule.on_holiday]}")
    if schedule.first is not None:
        parts.append(f"自{schedule.first.isoformat()}")
    if schedule.last is not None:
        parts.append(f"至{schedule.last.isoformat()}")
    if schedule.skip_dates:
        parts.append("除" + "、".join(day.isoformat() for day in schedule.skip_dates))
    return " ".join(parts)


def _describe_rule(schedule: Schedule, kind: str) -> str:
    weekdays = "、".join(f"周{WEEKDAYS[weekday]}" for weekday in schedule.weekdays)
    match kind:
        case "once":
            return schedule.on.isoformat() if schedule.on else ""
        case "workdays":
            return "每个工作日"
        case "weekly":
            return f"每{weekdays}"
        case "monthly_day":
            return f"每月{schedule.day}日"
        case "monthly_last_workday":
            return "每月最后一个工作日"
        case "monthly_nth_weekday":
            return f"每月最后一个{weekdays}" if schedule.nth < 0 else f"每月第{schedule.nth}个{weekdays}"
        case "quarterly":
            return f"每季度{_QUARTER[schedule.month]}{schedule.day}日"
        case "law_day":
            return schedule.law_day
        case _:
            return f"每年{schedule.month}月{schedule.day}日"


# ── Reading ──

SCHEDULE_EXAMPLES = (
    "每个工作日 09:00；每周一 09:00；每月最后一个工作日 10:00；每月第2个周三 09:00；每年12月4日 09:00 遇假日提前；国家宪法日 09:00；2026-03-05 09:00"
)
_TIME = re.compile(r"(上午|下午|晚上)?(\d{1,2})(?::(\d{2})|[点时](?:(半)|(\d{1,2})分?)?)")
_NUMBER = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5}
_WEEKDAY = {**{name: n for n, name in enumerate(WEEKDAYS)}, "天": 6, **{str(n + 1): n for n in range(6)}}
_HOLIDAY_WORDS: dict[str, OnHoliday] = {"跳过": "skip", "提前": "before", "顺延": "after", "照常": "keep"}
_EVERY_WEEK = re.compile(r"每(?:周|星期)([一二三四五六日天1-6](?:[、,](?:周|星期)?[一二三四五六日天1-6])*)")
_LAST_WORKDAY = re.compile(r"每月(?:最后一个|最末)工作日")
_NTH_WEEKDAY = re.compile(r"每月(第([一二三四五1-5])|最后一)个(?:周|星期)([一二三四五六日天])")
_MONTHLY = re.compile(r"每月(\d{1,2})[日号]")
_QUARTERLY = re.compile(r"每季度?(首月|中月|末月|第[一二三123]个?月)(\d{1,2})[日号]")
_YEARLY = re.compile(r"每年(\d{1,2})月(\d{1,2})[日号]")
_MONTH_OF_QUARTER = {"首月": 1, "中月": 2, "末月": 3}
_HOLIDAY_CLAUSE = re.compile(r"[,、]?遇(?:节?假日|放假|休息日)(跳过|提前|顺延|照常)")
_ALIASES = {
    "12·4": "国家宪法日", "宪法日": "国家宪法日", "七一": "建党纪念日", "4·15": "国家安全教育日", "全民国家安全教育日": "国家安全教育日",
    "3·15": "消费者权益日", "10·14": "世界标准日", "世界知识产权日": "知识产权日",
}  # fmt: skip


def parse_schedule(typed: str, today: date | None = None) -> Schedule:
    """The schedule that a person wrote; with `today`, 12月10日 is the next one. Raises `Refusal` with examples for what cannot be read.

    Without a word about holidays a day chosen by date is kept, a weekly one is left out, one of a month, quarter or year moves to the next
    working day, and a law day to the one before.
    """
    text = unicodedata.normalize("NFKC", typed).strip()
    text = text.replace("・", "·").replace("•", "·")
    fields: dict[str, Any] = {}
    # The last day and those left out come after the first.
    if bound := re.search(rf"(?:自|从)\s*({DAY_PATTERN})起?", text):
        fields["first"] = _read_first_day(bound[1], today)
        text = text[: bound.start()] + text[bound.end() :]
    begin = fields.get("first", today)
    text, fields["skip_dates"] = _take_skip_dates(text, begin)
    if bound := re.search(rf"(?:至|到)\s*({DAY_PATTERN})止?", text):
        fields["last"] = read_day(bound[1], begin)
        text = text[: bound.start()] + text[bound.end() :]
    holiday_clause = _HOLIDAY_CLAUSE.search(text)
    if holiday_clause:
        text = text[: holiday_clause.start()] + text[holiday_clause.end() :]
    series = re.match(r"\s*连载\s*", text)
    if series:
        text = text[series.end() :]
    clocks = list(_TIME.finditer(text))
    if len(clocks) > 1:
        raise _unreadable(typed)
    if clocks:
        fields["time"] = _parse_time(clocks[0], typed)
        text = text[: clocks[0].start()] + text[clocks[0].end() :]
    kind, rule_fields, usual_on_holiday = _parse_rule("".join(text.split()), typed, today)
    on_holiday = _HOLIDAY_WORDS[holiday_clause[1]] if holiday_clause else usual_on_holiday
    try:
        return Schedule(**{**fields, **rule_fields, "kind": "series" if series else kind, "each": kind if series else "", "on_holiday": on_holiday})
    except ValueError:
        raise _unreadable(typed) from None


def _parse_rule(text: str, typed: str, today: date | None) -> tuple[str, dict[str, Any], OnHoliday]:
    """The kind, its numbers, and what is usual on a holiday."""
    if text in ("每个工作日", "每工作日", "每天", "每日", "工作日"):
        return "workdays", {}, "skip"
    if parsed := _EVERY_WEEK.fullmatch(text):
        return "weekly", {"weekdays": tuple(sorted({_WEEKDAY[weekday] for weekday in parsed[1] if weekday in _WEEKDAY}))}, "skip"
    if _LAST_WORKDAY.fullmatch(text):
        return "monthly_last_workday", {}, "skip"
    if parsed := _NTH_WEEKDAY.fullmatch(text):
        return "monthly_nth_weekday", {"nth": _NUMBER[parsed[2]] if parsed[2] else -1, "weekdays": (_WEEKDAY[parsed[3]],)}, "after"
    if parsed := _MONTHLY.fullmatch(text):
        return "monthly_day", {"day": int(parsed[1])}, "after"
    if parsed := _QUARTERLY.fullmatch(text):
        month = _MONTH_OF_QUARTER.get(parsed[1]) or _NUMBER[parsed[1].strip("第个月")]
        return "quarterly", {"month": month, "day": int(parsed[2])}, "after"
    if parsed := _YEARLY.fullmatch(text):
        return "yearly_date", {"month": int(parsed[1]), "day": int(parsed[2])}, "after"
    name = _ALIASES.get(text, text)
    if name in LAW_DAYS:
        return "law_day", {"law_day": name}, "before"
    if (day := find_day(text, today)) is not None:
        return "once", {"on": day}, "keep"
    raise _unreadable(typed)


JUST_BEGUN = timedelta(days=31)
"""How long ago a first day without a year may be; after that the next year's is meant."""


def _read_first_day(text: str, today: date | None) -> date:
    past = None if today is None else find_day(text, today, "past")
    return past if today is not None and past is not None and today - past <= JUST_BEGUN else read_day(text, today)


def _take_skip_dates(text: str, begin: date | None) -> tuple[str, tuple[date, ...]]:
    parsed = re.search(rf"除(?:了|去)?\s*({DAY_PATTERN}(?:\s*[、,]\s*{DAY_PATTERN})*)", text)
    if parsed is None:
        return text, ()
    days = tuple(sorted({read_day(day, begin) for day in re.findall(DAY_PATTERN, parsed[1])}))
    return text[: parsed.start()] + text[parsed.end() :], days


def _parse_time(parsed: re.Match[str], typed: str) -> str:
    hour = int(parsed[2])
    if parsed[1] in ("下午", "晚上") and hour < 12:
        hour += 12
    minute = 30 if parsed[4] else int(parsed[3] or parsed[5] or 0)
    if hour > 23 or minute > 59:
        raise _unreadable(typed)
    return f"{hour:02}:{minute:02}"


def _unreadable(typed: str) -> Refusal:
    return Refusal(f"没有看懂频次「{typed[:40]}」。可以写：{SCHEDULE_EXAMPLES}。")
