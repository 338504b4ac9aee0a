"""Days and moments as people type them: one table for chat, files and the command line."""

from __future__ import annotations

from datetime import date, time

import pytest

from bot.domain.message import Refusal
from bot.domain.text.dates import find_clock, find_day, read_day, read_moment, read_span

TODAY = date(2026, 12, 1)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-01", date(2026, 11, 1)),
        ("2026-11-1", date(2026, 11, 1)),
        ("2026/11/01", date(2026, 11, 1)),
        ("2026.11.1", date(2026, 11, 1)),
        ("2024.3.1", date(2024, 3, 1)),
        ("2026年11月1日", date(2026, 11, 1)),
        ("2026 年 11 月 1 号", date(2026, 11, 1)),
        ("２０２６年１１月１日", date(2026, 11, 1)),
        ("２０２６－１１－０１", date(2026, 11, 1)),
        ("20261101", date(2026, 11, 1)),
        (" 2026-11-01 ", date(2026, 11, 1)),
        ("今天", TODAY),
        ("明天", date(2026, 12, 2)),
        ("后天", date(2026, 12, 3)),
        ("昨天", date(2026, 11, 30)),
    ],
)
def test_a_day_is_read_however_it_is_written(text: str, day: date) -> None:
    assert find_day(text, TODAY) == day


@pytest.mark.parametrize(
    ("text", "past", "nearest", "following"),
    [
        ("11月1日", date(2026, 11, 1), date(2026, 11, 1), date(2027, 11, 1)),
        ("12月10日", date(2025, 12, 10), date(2026, 12, 10), date(2026, 12, 10)),
        ("1月3日", date(2026, 1, 3), date(2027, 1, 3), date(2027, 1, 3)),
        ("12·1", TODAY, TODAY, TODAY),
        ("2月29日", date(2024, 2, 29), date(2028, 2, 29), date(2028, 2, 29)),
    ],
)
def test_without_a_year_the_use_says_which_one_is_meant(text: str, past: date, nearest: date, following: date) -> None:
    assert find_day(text, TODAY, "past") == past
    assert find_day(text, TODAY, "nearest") == nearest
    assert find_day(text, TODAY, "next") == following
    assert find_day(text) is None, "in a file nobody knows which year is meant"


@pytest.mark.parametrize("text", ["2026-02-30", "2026年2月29日", "2月30日", "13月1日", "2026-00-10", "20261301"])
def test_a_day_that_does_not_exist_is_said(text: str) -> None:
    with pytest.raises(Refusal, match="日历上没有"):
        find_day(text, TODAY)


@pytest.mark.parametrize("text", ["", "财务处", "某局/1处", "12", "1001", "2026", "3.14.15.9", "11月", "每月1日", "26-11-01x"])
def test_what_is_no_day_is_none(text: str) -> None:
    assert find_day(text, TODAY) is None
    with pytest.raises(Refusal, match=r"不是日期，请写成 2026-03-10 或 3月10日"):
        read_day(text, TODAY)


@pytest.mark.parametrize(
    ("text", "clock"),
    [("9:00", time(9)), ("09:30", time(9, 30)), ("９：３０", time(9, 30)), ("上午9点", time(9)), ("下午3点半", time(15, 30)),
     ("晚上8点15分", time(20, 15)),
     ("9时", time(9)), ("23:59", time(23, 59)), ("25:00", None), ("9:75", None), ("九点", None), ("9", None)],
)  # fmt: skip
def test_a_clock_is_read(text: str, clock: time | None) -> None:
    assert find_clock(text) == clock


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-10 09:00", "2026-03-10T09:00"),
        ("2026-03-10T9:00", "2026-03-10T09:00"),
        ("2026年3月10日 上午9点", "2026-03-10T09:00"),
        ("2026/3/10 9:00", "2026-03-10T09:00"),
        ("12月10日 09:00", "2026-12-10T09:00"),
        ("12月10日9点半", "2026-12-10T09:30"),
        ("明天 下午2点", "2026-12-02T14:00"),
    ],
)
def test_a_moment_is_a_day_with_a_clock(text: str, moment: str) -> None:
    assert read_moment(text, TODAY).isoformat(timespec="minutes") == f"{moment}+08:00"


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2026-03-10 09:00 至 11:00", "2026-03-10T09:00", "2026-03-10T11:00"),
        ("2026-03-10 09:00 至 2026-03-12 18:00", "2026-03-10T09:00", "2026-03-12T18:00"),
        ("2026-03-10 09:00-11:00", "2026-03-10T09:00", "2026-03-10T11:00"),
        ("2026-03-10 09:00～2026-03-12 18:00", "2026-03-10T09:00", "2026-03-12T18:00"),
        ("12月30日 9:00 到 1月4日 18:00", "2026-12-30T09:00", "2027-01-04T18:00"),
    ],
)
def test_a_span_goes_from_a_moment_to_a_moment_or_a_clock(text: str, begin: str, end: str) -> None:
    assert [moment.isoformat(timespec="minutes") for moment in read_span(text, TODAY)] == [f"{begin}+08:00", f"{end}+08:00"]


@pytest.mark.parametrize("text", ["2026-03-10 09:00", "2026-03-10 至 2026-03-12", "2026-03-10 11:00 至 09:00", "从早到晚", ""])
def test_what_is_no_span_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(Refusal, match=r"。$"):
        read_span(text, TODAY)
