"""Moments and days in Asia/Shanghai, whatever the time zone of the host, and their Chinese forms."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def day_of(moment: datetime) -> date:
    """The day in Asia/Shanghai on which a moment lies."""
    return moment.astimezone(SHANGHAI).date()


def clock_of(moment: datetime) -> str:
    """08:05 in Asia/Shanghai."""
    return moment.astimezone(SHANGHAI).strftime("%H:%M")


def chinese_day(day: date) -> str:
    """11月20日."""
    return f"{day.month}月{day.day}日"


def chinese_date(day: date) -> str:
    """2026年11月20日."""
    return f"{day.year}年{chinese_day(day)}"


def duration_text(seconds: int) -> str:
    """A length of time in words: 6 分 5 秒, 40 秒."""
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{rest} 秒"
    return f"{minutes} 分 {rest} 秒" if rest else f"{minutes} 分钟"


def start_of(day: date) -> datetime:
    """The first moment of a day in Asia/Shanghai."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)


def end_of(day: date) -> datetime:
    return start_of(day + timedelta(days=1))
