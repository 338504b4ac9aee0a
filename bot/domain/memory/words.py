"""What somebody writes when they set the day that counts, the minutes of a day and the aim."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from bot.domain.memory.goal import MOST_MINUTES
from bot.domain.message import Refusal

LAW_DAY = (12, 4)
TARGETS = (50, 99)
YEARS_AHEAD = 2
_DAY = re.compile(r"(?:(\d{4})[-/.年])?(\d{1,2})[-/.·月](\d{1,2})日?")


def read_day(said: str, today: date) -> date:
    """2026-12-04, 12月4日, 12·4 or 宪法日 as a day from today on; without a year the next one. Raises `Refusal`."""
    words = unicodedata.normalize("NFKC", said).strip()
    found = _DAY.fullmatch(words)
    try:
        if words in ("宪法日", "国家宪法日"):
            year, (month, day) = 0, LAW_DAY
        elif found is not None:
            year, month, day = int(found[1] or 0), int(found[2]), int(found[3])
        else:
            raise ValueError(said)
        made = date(year or today.year, month, day)
        if not year and made < today:
            made = date(today.year + 1, month, day)
    except ValueError:
        raise Refusal(f"「{said[:20]}」不是日期，应写作 2026-12-04 或 12月4日。") from None
    if made < today:
        raise Refusal(f"{made} 已经过去，请写今天或以后的日期。")
    if made > date(today.year + YEARS_AHEAD, 12, 31):
        raise Refusal(f"{made} 太远，考试日期最多设到 {today.year + YEARS_AHEAD} 年底。")
    return made


def read_minutes(said: str) -> int:
    """6 or 6分钟. Raises `Refusal`."""
    return _number(said, r"分钟?", 1, MOST_MINUTES, "每日复习", "分钟")


def read_target(said: str) -> int:
    """90 or 90%. Raises `Refusal`."""
    return _number(said, r"%|分", *TARGETS, "考试目标", "%")


def _number(said: str, unit: str, least: int, most: int, what: str, shown: str) -> int:
    found = re.fullmatch(rf"(\d{{1,4}})\s*(?:{unit})?", unicodedata.normalize("NFKC", said).strip())
    if found is None or not least <= int(found[1]) <= most:
        raise Refusal(f"{what}应在 {least} 到 {most} {shown}之间，例如「设置 {what} {min(most, max(least, 6 if shown == '分钟' else 90))}」。")
    return int(found[1])
