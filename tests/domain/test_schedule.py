"""Schedules on the working calendar: month ends, leap days, 调休 and law days, and the sentences they are written in."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.campaign.schedule import (
    Schedule,
    describe_schedule,
    due_between,
    next_due,
    parse_schedule,
    schedule_from_json,
    schedule_json,
    without_date,
)
from bot.domain.library.library import Library
from bot.domain.message import Refusal
from bot.domain.times import SHANGHAI


@pytest.fixture
def calendar(shipped: Library) -> Calendar:
    return shipped.calendar


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def days(said: str, since: str, until: str, calendar: Calendar) -> str:
    """The due days of a schedule in a span, as MM-DD words; every one at the schedule's hour."""
    schedule = parse_schedule(said)
    found = due_between(schedule, moment(since), moment(until), calendar)
    assert {f"{due:%H:%M}" for due in found} <= {schedule.time}
    return " ".join(f"{due:%m-%d}" for due in found)


CASES = [
    # every working day: weekends, holidays, 调休
    ("每个工作日 09:00", "2026-03-02", "2026-03-09", "03-02 03-03 03-04 03-05 03-06"),
    ("每个工作日 09:00", "2026-09-18", "2026-09-22", "09-18 09-20 09-21"),
    ("每个工作日 09:00", "2026-09-24", "2026-09-29", "09-24 09-28"),
    ("每个工作日 09:00", "2026-10-01", "2026-10-12", "10-08 10-09 10-10"),
    ("每个工作日 09:00", "2026-02-13", "2026-03-01", "02-13 02-14 02-24 02-25 02-26 02-27 02-28"),
    ("每个工作日 09:00", "2021-09-25", "2021-09-28", "09-26 09-27"),
    ("每个工作日 09:00", "2021-10-07", "2021-10-12", "10-08 10-09 10-11"),
    ("每个工作日 09:00", "2024-12-30", "2025-01-04", "12-30 12-31 01-02 01-03"),
    # weekly
    ("每周一 09:00", "2026-04-27", "2026-05-19", "04-27 05-11 05-18"),
    ("每周一 09:00 遇假日顺延", "2026-04-27", "2026-05-19", "04-27 05-06 05-11 05-18"),
    ("每周一 09:00 遇假日提前", "2026-04-27", "2026-05-19", "04-27 04-30 05-11 05-18"),
    ("每周一 09:00 遇假日照常", "2026-04-27", "2026-05-12", "04-27 05-04 05-11"),
    ("每周一、周四 09:00", "2026-03-02", "2026-03-13", "03-02 03-05 03-09 03-12"),
    ("每周六 09:00", "2026-10-03", "2026-10-18", "10-10"),
    ("每周日 09:00", "2026-09-13", "2026-10-01", "09-20"),
    # days of the month
    ("每月31日 09:00", "2026-01-01", "2026-07-01", "02-02 02-28 03-31 04-30 06-01 06-30"),
    ("每月31日 09:00 遇假日提前", "2026-01-01", "2026-07-01", "01-30 02-28 03-31 04-30 05-29 06-30"),
    ("每月1日 09:00", "2026-01-01", "2026-06-01", "01-04 02-02 03-02 04-01 05-06"),
    ("每月1日 09:00 遇假日跳过", "2026-01-01", "2026-08-01", "04-01 06-01 07-01"),
    ("每月30日 09:00", "2024-02-01", "2024-03-02", "02-29"),
    ("每月30日 09:00 遇假日照常", "2023-02-01", "2023-03-02", "02-28"),
    ("每月15日 09:00 遇假日提前", "2026-02-01", "2026-03-01", "02-14"),
    # the last working day
    ("每月最后一个工作日 10:00", "2026-01-01", "2026-07-01", "01-30 02-28 03-31 04-30 05-29 06-30"),
    ("每月最后一个工作日 10:00", "2024-02-01", "2024-03-01", "02-29"),
    ("每月最后一个工作日 10:00", "2025-01-01", "2025-02-01", "01-27"),
    ("每月最后一个工作日 10:00", "2023-09-01", "2023-10-01", "09-28"),
    ("每月最后一个工作日 10:00", "2022-12-01", "2023-01-01", "12-30"),
    # the nth weekday
    ("每月第2个周三 09:00", "2026-01-01", "2026-04-01", "01-14 02-11 03-11"),
    ("每月第三个周三 09:00", "2026-02-01", "2026-03-01", "02-24"),
    ("每月第三个周三 09:00 遇假日提前", "2026-02-01", "2026-03-01", "02-14"),
    ("每月第5个周一 09:00", "2026-01-01", "2026-07-01", "03-30 06-29"),
    ("每月最后一个周五 09:00", "2026-01-01", "2026-04-01", "01-30 02-27 03-27"),
    ("每月第一个周五 09:00", "2026-05-01", "2026-06-01", "05-06"),
    # quarters
    ("每季度首月10日 09:00", "2026-01-01", "2027-01-01", "01-12 04-10 07-10 10-10"),
    ("每季度末月31日 09:00 遇假日提前", "2026-01-01", "2026-12-01", "03-31 06-30 09-30"),
    ("每季度中月1日 09:00", "2026-01-01", "2026-12-01", "02-02 05-06 08-03 11-02"),
    # days of the year
    ("每年2月29日 09:00 遇假日照常", "2023-01-01", "2025-01-01", "02-28 02-29"),
    ("每年10月14日 09:00", "2021-01-01", "2022-01-01", "10-14"),
    ("每年7月1日 09:00", "2021-01-01", "2022-01-01", "07-01"),
    ("每年5月1日 09:00 遇假日提前", "2026-01-01", "2026-12-01", "04-30"),
    ("每年10月1日 09:00 遇假日顺延", "2026-01-01", "2026-12-01", "10-08"),
    ("每年1月1日 09:00 遇假日提前", "2022-12-01", "2023-02-01", "12-30"),
    # law days
    ("国家宪法日 09:00", "2021-11-01", "2021-12-31", "12-03"),
    ("国家宪法日 09:00 遇假日顺延", "2021-11-01", "2021-12-31", "12-06"),
    ("国家宪法日 09:00 遇假日跳过", "2021-11-01", "2021-12-31", ""),
    ("国家宪法日 09:00 遇假日照常", "2021-11-01", "2021-12-31", "12-04"),
    ("12·4 09:00", "2026-01-01", "2026-12-31", "12-04"),
    ("宪法日 09:00", "2022-01-01", "2023-12-31", "12-02 12-04"),
    ("国家安全教育日 09:00", "2023-01-01", "2023-12-31", "04-14"),
    ("世界标准日 09:00", "2023-01-01", "2023-12-31", "10-13"),
    ("七一 09:00", "2021-01-01", "2021-12-31", "07-01"),
    # once
    ("2026-03-05 09:00", "2026-01-01", "2026-12-31", "03-05"),
    ("2026-03-07 09:00", "2026-01-01", "2026-12-31", "03-07"),
    ("2026-03-07 09:00 遇假日顺延", "2026-01-01", "2026-12-31", "03-09"),
    ("2026年3月7日 9点 遇假日提前", "2026-01-01", "2026-12-31", "03-06"),
    # bounds and days left out
    ("每个工作日 09:00 自2026-03-04 至2026-03-09", "2026-03-01", "2026-04-01", "03-04 03-05 03-06 03-09"),
    ("每个工作日 09:00 除2026-03-03、2026-03-05", "2026-03-02", "2026-03-07", "03-02 03-04 03-06"),
    ("国家宪法日 09:00 除2021-12-04", "2021-11-01", "2021-12-31", ""),
    ("国家宪法日 09:00 除2021-12-03", "2021-11-01", "2021-12-31", ""),
    ("连载 每周一 09:00", "2026-03-02", "2026-03-24", "03-02 03-09 03-16 03-23"),
]


@pytest.mark.parametrize(("said", "since", "until", "expected"), CASES)
def test_a_schedule_falls_due_on_the_days_of_the_table(calendar: Calendar, said: str, since: str, until: str, expected: str) -> None:
    assert days(said, since, until, calendar) == expected


def test_the_table_is_as_long_as_it_was_promised() -> None:
    assert len(CASES) >= 60


def test_constitution_day_of_2027_is_a_saturday_and_is_asked_about(calendar: Calendar) -> None:
    assert date(2027, 12, 4).weekday() == 5
    with pytest.raises(UnknownYear, match="2027 年的放假安排还没有公布或录入，请"):
        days("国家宪法日 09:00", "2027-12-01", "2027-12-31", calendar)


def test_a_day_that_somebody_chose_needs_no_calendar(calendar: Calendar) -> None:
    assert days("2027-03-06 09:00", "2027-01-01", "2028-01-01", calendar) == "03-06"


def test_what_lies_in_the_unknown_year_does_not_stop_the_last_weeks_of_the_known_one(calendar: Calendar) -> None:
    assert days("每周一 09:00 遇假日提前", "2026-12-20", "2026-12-31", calendar) == "12-21 12-28"
    assert days("每月1日 09:00 遇假日提前", "2026-12-02", "2026-12-31", calendar) == ""
    with pytest.raises(UnknownYear):
        days("每月1日 09:00 遇假日提前", "2026-12-02", "2027-01-02", calendar)


def test_the_window_is_half_open_to_the_microsecond(calendar: Calendar) -> None:
    schedule = parse_schedule("每个工作日 09:00")
    nine = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
    tick = timedelta(microseconds=1)

    assert due_between(schedule, nine, nine, calendar) == []
    assert due_between(schedule, nine, nine + tick, calendar) == [nine]
    assert due_between(schedule, nine - tick, nine, calendar) == []
    assert due_between(schedule, nine + tick, nine + timedelta(hours=12), calendar) == []


def test_a_midnight_schedule_belongs_to_its_day_in_shanghai(calendar: Calendar) -> None:
    found = due_between(parse_schedule("每周一 00:00"), moment("2026-03-01"), moment("2026-03-03"), calendar)

    assert [due.astimezone(UTC).isoformat() for due in found] == ["2026-03-01T16:00:00+00:00"]


@given(
    cuts=st.lists(st.integers(0, 400 * 24 * 60), min_size=1, max_size=8),
    said=st.sampled_from(
        ["每个工作日 09:00", "每周一 09:00 遇假日提前", "每月1日 09:00 遇假日提前", "每月31日 23:59", "每年2月15日 00:00 遇假日顺延"]
    ),
)
def test_a_span_cut_anywhere_gives_every_moment_exactly_once(shipped: Library, cuts: list[int], said: str) -> None:
    schedule, start = parse_schedule(said), moment("2025-06-01")
    edges = sorted({start, start + timedelta(days=400), *(start + timedelta(minutes=one) for one in cuts)})
    pieces = [due for since, until in pairwise(edges) for due in due_between(schedule, since, until, shipped.calendar)]

    assert pieces == due_between(schedule, edges[0], edges[-1], shipped.calendar)
    assert pieces


def test_the_next_five_are_found_or_the_year_that_is_missing_is_named(calendar: Calendar) -> None:
    found, unknown = next_due(parse_schedule("每月最后一个工作日 10:00"), moment("2026-10-15"), calendar, 5)

    assert [f"{due:%m-%d}" for due in found] == ["10-30", "11-30", "12-31"]
    assert unknown is not None
    assert unknown.year == 2027
    found, unknown = next_due(parse_schedule("每个工作日 09:00"), moment("2026-03-02"), calendar, 5)
    assert ([f"{due:%m-%d}" for due in found], unknown) == (["03-02", "03-03", "03-04", "03-05", "03-06"], None)


def test_a_day_gone_by_has_no_next(calendar: Calendar) -> None:
    assert next_due(parse_schedule("2026-03-05 09:00"), moment("2026-03-06"), calendar, 5) == ([], None)


@pytest.mark.parametrize("said", sorted({case[0] for case in CASES}))
def test_a_schedule_survives_json_and_its_own_sentence(said: str) -> None:
    schedule = parse_schedule(said)

    assert schedule_from_json(json.loads(json.dumps(schedule_json(schedule)))) == schedule
    assert parse_schedule(describe_schedule(schedule)) == schedule


@pytest.mark.parametrize(
    ("said", "clock"),
    [
        ("每个工作日 9点", "09:00"),
        ("每个工作日 下午3点半", "15:30"),
        ("每个工作日 9：05", "09:05"),
        ("每个工作日 上午10点5分", "10:05"),
        ("每个工作日", "09:00"),
    ],
)
def test_the_hour_is_read_as_people_write_it(said: str, clock: str) -> None:
    assert parse_schedule(said).time == clock


@pytest.mark.parametrize(
    "said",
    ["", "随便", "每周八 09:00", "每月32日 09:00", "每年13月1日 09:00", "每月第6个周一 09:00", "每个工作日 25:00", "每个工作日 09:61",
     "每个工作日 09:00 10:00", "2026-02-30 09:00", "每周一 09:00 遇假日加班", "每月0日 09:00", "连载 连载 每周一 09:00", "每季度第4个月1日"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_a_sentence(said: str) -> None:
    with pytest.raises(Refusal, match=r"没有看懂频次|日历上没有"):
        parse_schedule(said)


@pytest.mark.parametrize(
    "kept",
    [{"kind": "weekly"}, {"kind": "never"}, {"kind": "once"}, {"kind": "law_day", "law_day": "儿童节"}, {"kind": "series"},
     {"kind": "workdays", "time": "9"},
     {"kind": "series", "each": "series"}, {"kind": "workdays", "on_holiday": "maybe"}],
)  # fmt: skip
def test_a_row_that_makes_no_sense_is_not_read(kept: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"not a schedule|isoformat"):
        schedule_from_json(kept)


def test_one_more_day_is_left_out_once() -> None:
    schedule = without_date(without_date(Schedule("workdays"), date(2026, 5, 6)), date(2026, 5, 6))

    assert schedule.skip_dates == (date(2026, 5, 6),)


def test_the_next_time_of_a_campaign_is_found_without_walking_through_the_year(calendar: Calendar) -> None:
    asked: list[date] = []

    class WatchedCalendar(Calendar):
        def is_workday(self, day: date) -> bool:
            asked.append(day)
            return super().is_workday(day)

    watched = WatchedCalendar(calendar.years)
    for every, most in (("每个工作日 09:00", 6), ("每周一 09:00", 10)):
        asked.clear()
        due, unknown = next_due(parse_schedule(every), moment("2026-03-02 10:00"), watched)
        assert (len(due), unknown) == (1, None)
        assert len(asked) <= most, f"{every}: {len(asked)} days"


@pytest.mark.parametrize("every", ["12月10日 09:00", "2026年12月10日 9点", "2026/12/10 上午9点", "２０２６－１２－１０ 09：00"])
def test_once_is_a_day_however_it_is_written(every: str) -> None:
    assert parse_schedule(every, date(2026, 12, 1)) == Schedule("once", time="09:00", on=date(2026, 12, 10), on_holiday="keep")


@pytest.mark.parametrize(
    ("said", "first", "last", "skipped"),
    [
        ("每周一 09:00 自3月1日 至12月31日", "2026-03-01", "2026-12-31", []),
        ("每周一 09:00 从 3.16 起 到 ２０２７/０１/１５", "2026-03-16", "2027-01-15", []),
        ("每个工作日 09:00 自11月1日 至2月1日 除12月31日、1月2日", "2026-11-01", "2027-02-01", ["2026-12-31", "2027-01-02"]),
        ("每周一 09:00 自1月10日 至2月1日", "2027-01-10", "2027-02-01", []),
        ("每个工作日 09:00 除2026年3月5日、3月6日", None, None, ["2026-03-05", "2026-03-06"]),
    ],
)
def test_the_days_of_a_schedule_need_no_year(said: str, first: str | None, last: str | None, skipped: list[str]) -> None:
    schedule = parse_schedule(said, date(2026, 3, 2))
    assert [day and day.isoformat() for day in (schedule.first, schedule.last)] == [first, last]
    assert [day.isoformat() for day in schedule.skip_dates] == skipped


def test_a_bound_that_does_not_exist_says_so_and_one_without_a_year_needs_a_today() -> None:
    with pytest.raises(Refusal, match="日历上没有 2 月 30 日"):
        parse_schedule("每周一 09:00 至2月30日", date(2026, 3, 2))
    with pytest.raises(Refusal, match="不是日期"):
        parse_schedule("每周一 09:00 至12月31日")
