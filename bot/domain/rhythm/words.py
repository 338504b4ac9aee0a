"""A rhythm as a Chinese sentence, and read back from one."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Any

from bot.domain.calendar import OnHoliday
from bot.domain.message import Refusal
from bot.domain.rhythm.base import LAW_DAYS, Rhythm

WEEKDAYS = "一二三四五六日"
ON_HOLIDAY = {"skip": "跳过", "before": "提前", "after": "顺延", "keep": "照常"}
_QUARTER = {1: "首月", 2: "中月", 3: "末月"}


def describe(rhythm: Rhythm) -> str:
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


def _said(rhythm: Rhythm, kind: str) -> str:
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


def parse_rhythm(said: str) -> Rhythm:
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
        return Rhythm(**{**given, **more, "kind": "series" if series else kind, "each": kind if series else "", "on_holiday": on_holiday})
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
