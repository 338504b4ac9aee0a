"""Reports count what the ledger holds: each person once a level, as of any day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from bot.domain.message import Refusal
from bot.domain.reports import Row, Scope, Table, mean_hours, percentage
from bot.storage.hours import ledger
from tests.support.agency import POLICY, Agency, by_unit, figures, noon


@pytest.fixture
def agency(engine: Engine) -> Agency:
    return Agency(engine)


def rows(table: Table) -> list[Row]:
    return list(table.parts[0].rows)


def test_a_person_in_two_posts_counts_once_at_each_level(agency: Agency) -> None:
    both = agency.person("1", ["局/一处", "局/二处"])
    agency.earn(both, 40, "2026-03-01")
    agency.person("2", ["局/一处"])

    table = agency.look("达标率")

    assert figures(table, "局/一处") == (2, 1, Decimal(40))
    assert figures(table, "局/二处") == (1, 1, Decimal(40))
    assert figures(table, "局") == (2, 1, Decimal(40))
    assert by_unit(table)["局"]["rate"] == Decimal("50.0")
    assert any("1 人在两个以上单位任职" in note for note in table.notes)


def test_a_person_with_two_posts_below_one_division_counts_once_there_too(agency: Agency) -> None:
    agency.person("1", ["局/一处/甲科", "局/一处/乙科", "局/二处"])

    table = agency.look("达标率")

    assert {unit: row["counted"] for unit, row in by_unit(table).items()} == {
        "局": 1, "局/一处": 1, "局/一处/乙科": 1, "局/一处/甲科": 1, "局/二处": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("as_of", "first", "second"),
    [("2026-05-31", (1, 1, Decimal(40)), (0, 0, Decimal(0))), ("2026-06-01", (0, 0, Decimal(0)), (1, 1, Decimal(40)))],
)
def test_a_mover_keeps_the_hours_and_counts_where_the_post_is_on_the_day(
    agency: Agency, as_of: str, first: tuple[Any, ...], second: tuple[Any, ...]
) -> None:
    mover = agency.person("1", [("局/一处", "2020-01-01", "2026-05-31"), ("局/二处", "2026-06-01", None)])
    agency.earn(mover, 40, "2026-03-01")

    table = agency.look("达标率", as_of=as_of)

    assert figures(table, "局/一处") == first
    assert figures(table, "局/二处") == second
    assert figures(table, "局") == (1, 1, Decimal(40))


@pytest.mark.parametrize(("as_of", "counted"), [("2026-06-30", 1), ("2026-07-01", 0)])
def test_a_leaver_counts_until_the_last_day(agency: Agency, as_of: str, counted: int) -> None:
    agency.person("1", left_on="2026-06-30")

    table = agency.look("达标率", as_of=as_of)

    assert by_unit(table)["局/办公室"]["counted"] == counted
    assert len(agency.look("名单", as_of=as_of).parts[0].rows) == counted


@pytest.mark.parametrize("tier", ["", "外聘专家"])
def test_somebody_without_a_quota_stands_apart(agency: Agency, tier: str) -> None:
    apart = agency.person("1", tier=tier)
    agency.earn(apart, 50, "2026-03-01")
    agency.person("2")

    table = agency.look("达标率")

    assert figures(table, "局") == (1, 0, Decimal(0))
    assert by_unit(table)["局"]["apart"] == 1
    assert rows(agency.look("名单"))[0][-4:] == (None, None, None, "无应达")
    assert any("无应达" in note for note in agency.look("个人", "1").notes)


def test_an_empty_unit_has_no_rate(agency: Agency) -> None:
    agency.unit("局/新设处")

    row = by_unit(agency.look("达标率"))["局/新设处"]

    assert (row["counted"], row["rate"], row["mean"], row["total"]) == (0, None, None, Decimal(0))


def test_a_reversal_counts_from_the_day_it_was_recorded(agency: Agency) -> None:
    one = agency.person("1")
    entry = agency.earn(one, 40, "2026-03-01")
    back = agency.take_back(entry, "2026-05-10")

    assert figures(agency.look("达标率", as_of="2026-05-09"), "局") == (1, 1, Decimal(40))
    assert figures(agency.look("达标率", as_of="2026-05-10"), "局") == (1, 0, Decimal(0))
    assert figures(agency.look("达标率"), "局") == (1, 0, Decimal(0))
    before, after = agency.look("个人", "1", as_of="2026-05-09").parts[1], agency.look("个人", "1").parts[1]
    assert [(row[5], row[6]) for row in before.rows] == [(entry, "")]
    assert [(row[5], row[6]) for row in after.rows] == [(back, f"冲销 #{entry}"), (entry, f"已被 #{back} 冲销")]


def test_what_was_recorded_after_the_day_is_not_in_the_report_of_the_day(agency: Agency) -> None:
    agency.earn(agency.person("1"), 3, "2026-03-01", recorded="2026-03-03")

    assert figures(agency.look("达标率", as_of="2026-03-02"), "局")[2] == 0
    assert figures(agency.look("达标率", as_of="2026-03-03"), "局")[2] == 3


def test_last_year_is_closed_by_its_own_days_and_shows_what_was_recorded_later(agency: Agency) -> None:
    late = agency.person("1")
    agency.earn(late, 40, "2025-12-30", recorded="2026-01-10")
    agency.earn(late, 5, "2026-01-05")
    agency.person("2", [("局/办公室", "2026-01-02", None)])

    assert figures(agency.look("达标率", year=2025), "局") == (1, 1, Decimal(40))
    assert figures(agency.look("达标率", as_of="2026-01-09", year=2025), "局") == (1, 0, Decimal(0))
    assert figures(agency.look("达标率"), "局") == (2, 0, Decimal(5))


@pytest.mark.parametrize(
    ("tier", "online", "collective", "reached"),
    [
        ("公务员", 40, 0, True),
        ("公务员", 39.75, 0, False),
        ("事业人员", 24, 0, True),
        ("事业人员、公务员", 24, 0, False),
        ("领导干部", 40, 0, False),
        ("领导干部", 28, 12, True),
        ("领导干部", 28.25, 11.75, False),
        ("公务员、领导干部", 28, 12, True),
    ],
)
def test_reaching_the_quota_takes_the_total_and_the_collective_floor(
    agency: Agency, tier: str, online: float, collective: float, reached: bool
) -> None:
    one = agency.person("1", tier=tier)
    agency.earn(one, online, "2026-03-01")
    if collective:
        agency.earn(one, collective, "2026-03-02", "collective")

    assert by_unit(agency.look("达标率"))["局"]["reached"] == int(reached)
    assert rows(agency.look("名单"))[0][-1] == ("是" if reached else "否")
    assert ("已达标" in agency.look("个人", "1").notes[1]) is reached


def test_hours_round_down_once_for_each_person_and_category(agency: Agency) -> None:
    one = agency.person("1")
    for day in ("2026-03-01", "2026-03-02"):
        agency.earn(one, 0, day, "online", seconds=674)
        agency.earn(one, 0, day, "practice", seconds=675)

    assert figures(agency.look("达标率"), "局")[2] == Decimal("0.25") + Decimal("0.5")


@pytest.mark.parametrize(
    ("reached", "counted", "expected"),
    [(0, 0, None), (0, 7, "0.0"), (1, 3, "33.3"), (2, 3, "66.7"), (1999, 2000, "99.9"), (99_999, 100_000, "99.9"), (5, 5, "100.0")],
)
def test_a_rate_says_a_hundred_only_when_everybody_is_there(reached: int, counted: int, expected: str | None) -> None:
    assert percentage(reached, counted) == (None if expected is None else Decimal(expected))


def test_a_mean_is_never_more_than_was_earned() -> None:
    assert mean_hours(Decimal("79.99"), 2) == Decimal("39.99")
    assert mean_hours(Decimal(0), 0) is None


# ── What stands on a report ──


def test_a_report_names_its_day_its_rules_and_that_nothing_is_sealed(agency: Agency) -> None:
    agency.person("1")

    table = agency.look("达标率", as_of="2026-06-30")

    assert table.basis == ("2026 年度，截至 2026-06-30", "规则 D1 第 1 版、D11 第 1 版", "流水封存 未封存")


def test_the_record_of_a_person_shows_refused_seconds_with_the_reason(agency: Agency) -> None:
    one = agency.person("1")
    at = noon(date(2026, 3, 1))
    agency.database.write_now(
        lambda session: ledger.refuse(session, one, ("lesson", "2026:x"), 720, date(2026, 3, 1), ("D2", 1), "今日在线学习 2 学时已满", at)
    )

    assert agency.look("个人", "1").parts[2].rows == [("2026-03-01", "课程 2026:x", 720, "D2@1", "今日在线学习 2 学时已满")]
    assert agency.look("个人", "1", as_of="2026-02-28").parts[2].rows == []


def test_without_rules_a_report_says_what_to_do(agency: Agency) -> None:
    from dataclasses import replace

    from bot.storage.reports.registry import REPORTS

    empty = replace(agency.ask(), policy=replace(POLICY, versions=()))
    with pytest.raises(Refusal, match="还没有学时规则"):
        agency.database.read_now(lambda session: REPORTS["达标率"].run(session, Scope(), empty))
