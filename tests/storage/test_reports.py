"""Reports count what the ledger holds: each person once a level, as of any day, within the asker's units and nowhere else."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from bot.domain.hours import CATEGORY_LABELS, shown_hours, total_hours
from bot.domain.message import Refusal
from bot.domain.report import Row, Scope, Table, mean, rate
from bot.storage import ledger
from bot.storage.reports import scope_of
from bot.storage.tables import Role
from tests.agency import PER_HOUR, POLICY, TODAY, Agency, by_unit


@pytest.fixture
def agency(engine: Engine) -> Agency:
    return Agency(engine)


def figures(table: Table, unit: str) -> tuple[Any, ...]:
    row = by_unit(table)[unit]
    return row["counted"], row["reached"], row["total"]


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


def naive(agency: Agency, people: dict[int, tuple[str, list[tuple[str, str, str | None]]]], entries: list[Any], day: date) -> dict[str, tuple[int, int, Decimal]]:  # fmt: skip  # noqa: E501
    """The same figures, slowly: person by person, unit by unit, with the functions that the chat uses."""
    units: dict[str, tuple[int, int, Decimal]] = {}
    for person, (tier, posts) in people.items():
        seconds: dict[str, int] = {}
        for who, category, amount, on, recorded in entries:
            if who == person and on <= day.isoformat() and recorded <= day.isoformat() and on[:4] == str(day.year):
                seconds[category] = seconds.get(category, 0) + amount
        touched = set()
        for path, since, until in posts:
            if since <= day.isoformat() and (until is None or until >= day.isoformat()):
                parts = path.split("/")
                touched |= {"/".join(parts[:n]) for n in range(1, len(parts) + 1)}
        need = {"公务员": 40, "事业人员": 24, "领导干部": 40}.get(tier)
        if need is None:
            continue
        total = total_hours(seconds, PER_HOUR)
        floor = 12 if tier == "领导干部" else 0
        reached = total >= need and shown_hours(seconds.get("collective", 0), PER_HOUR) >= floor
        for unit in touched:
            had = units.get(unit, (0, 0, Decimal(0)))
            units[unit] = (had[0] + 1, had[1] + reached, had[2] + total)
    return units


def random_agency(agency: Agency, rng: random.Random) -> tuple[dict[int, Any], list[Any]]:
    paths = [f"局/{a}处/{b}科" for a in "一二三" for b in "甲乙"] + ["局/一处", "局/办公室"]
    people: dict[int, Any] = {}
    entries: list[Any] = []
    for n in range(30):
        posts: list[tuple[str, str, str | None]] = [(rng.choice(paths), "2020-01-01", None)]
        if n % 5 == 0:
            posts.append((rng.choice([path for path in paths if path != posts[0][0]]), "2026-04-01", None))
        if n % 7 == 0:
            posts[0] = (posts[0][0], "2020-01-01", "2026-06-30")
            posts.append((rng.choice(paths), "2026-07-01", None))
        tier = rng.choice(["公务员", "事业人员", "领导干部", ""])
        person = agency.person(f"{n:03}", posts, tier)
        people[person] = (tier, posts)

    def work(session: Session) -> None:
        for person in people:
            for _ in range(8):
                on = date(2025, 12, 1) + timedelta(rng.randrange(350))
                recorded = min(on + timedelta(rng.choice([0, 0, 0, 9])), TODAY)
                category, amount = rng.choice(list(CATEGORY_LABELS)), rng.randrange(1, 40_000)
                at = agency_noon(recorded)
                made = ledger.add(session, person, category, amount, on, ("lesson", str(next(agency.sources))), ("D2", 1), at)
                entries.append((person, category, amount, on.isoformat(), recorded.isoformat()))
                if rng.random() < 0.15:
                    assert made is not None
                    back = min(recorded + timedelta(20), TODAY)
                    ledger.reverse(session, made, agency_noon(back), "9001")
                    entries.append((person, category, -amount, on.isoformat(), back.isoformat()))

    agency.desk.write_now(work)
    return people, entries


def agency_noon(day: date) -> Any:
    from tests.agency import noon

    return noon(day)


def test_every_day_of_a_random_year_equals_the_ledger_counted_by_hand(agency: Agency) -> None:
    rng = random.Random(5)
    people, entries = random_agency(agency, rng)

    for day in [TODAY, *(date(2026, 1, 1) + timedelta(rng.randrange(320)) for _ in range(12))]:
        table = agency.look("达标率", as_of=day.isoformat())
        expected = naive(agency, people, entries, day)
        found = {unit: figures(table, unit) for unit in by_unit(table) if figures(table, unit)[0]}
        assert found == {unit: one for unit, one in expected.items() if one[0]}


def test_the_running_totals_of_today_equal_the_ledger(agency: Agency) -> None:
    random_agency(agency, random.Random(6))

    for name, about in (("达标率", ""), ("达标率", "局/一处"), ("名单", ""), ("名单", "局/二处"), ("个人", "003")):
        assert agency.look(name, about).parts == agency.look(name, about, from_ledger=True).parts


def test_levels_add_up_and_all_reports_tell_the_same_total(agency: Agency) -> None:
    random_agency(agency, random.Random(8))
    units = by_unit(agency.look("达标率", as_of="2026-03-31"))
    listed = agency.look("名单", as_of="2026-03-31").parts[0]
    assert units["局"]["total"] == sum(Decimal(str(row[10])) for row in listed.rows if row[11] is not None)
    assert units["局"]["counted"] == sum(row[11] is not None for row in listed.rows)
    assert units["局"]["reached"] == sum(row[14] == "是" for row in listed.rows)

    for unit, row in units.items():
        children = [one for path, one in units.items() if path.rpartition("/")[0] == unit]
        # On 31 March nobody has a second post yet, so no level counts anybody twice.
        assert row["counted"] == row["own"] + sum(child["counted"] for child in children)

    for cells in list(listed.rows)[:5]:
        alone = agency.look("个人", str(cells[0]), as_of="2026-03-31").parts[0].rows
        assert [one[1] for one in alone] == list(cells[4:11])


@pytest.mark.parametrize(
    ("reached", "counted", "expected"),
    [(0, 0, None), (0, 7, "0.0"), (1, 3, "33.3"), (2, 3, "66.7"), (1999, 2000, "99.9"), (99_999, 100_000, "99.9"), (5, 5, "100.0")],
)
def test_a_rate_says_a_hundred_only_when_everybody_is_there(reached: int, counted: int, expected: str | None) -> None:
    assert rate(reached, counted) == (None if expected is None else Decimal(expected))


def test_a_mean_is_never_more_than_was_earned() -> None:
    assert mean(Decimal("79.99"), 2) == Decimal("39.99")
    assert mean(Decimal(0), 0) is None


# ── Who sees what ──


def supervisor(agency: Agency, staff_no: str, posts: list[str], unit: str | None = None) -> Scope:
    person = agency.person(staff_no, posts)
    unit_id = agency.unit(unit) if unit else None
    agency.desk.write_now(lambda session: session.add(Role(person_id=person, role="supervisor", unit_id=unit_id)))
    return agency.desk.read_now(lambda session: scope_of(session, person, TODAY))


def refusal(agency: Agency, name: str, about: str, scope: Scope) -> str:
    with pytest.raises(Refusal) as refused:
        agency.look(name, about, scope=scope)
    return str(refused.value)


def test_a_supervisor_sees_the_subtree_of_the_role_or_of_the_own_posts(agency: Agency) -> None:
    agency.unit("局/二处/甲科")
    own = supervisor(agency, "1", ["局/一处"])
    given = supervisor(agency, "2", ["局/一处"], "局/二处")

    assert list(by_unit(agency.look("达标率", scope=own))) == ["局/一处"]
    assert list(by_unit(agency.look("达标率", scope=given))) == ["局/二处", "局/二处/甲科"]


def test_two_units_of_one_supervisor_come_with_a_sum_that_counts_people_once(agency: Agency) -> None:
    agency.person("5", ["局/一处", "局/三处"])
    both = supervisor(agency, "1", ["局/一处", "局/三处"])

    found = by_unit(agency.look("达标率", scope=both))

    assert {unit: row["counted"] for unit, row in found.items()} == {"合计": 2, "局/一处": 2, "局/三处": 2}


def test_another_unit_is_answered_like_one_that_does_not_exist(agency: Agency) -> None:
    agency.person("7", ["局/二处"])
    own = supervisor(agency, "1", ["局/一处"])

    for name in ("达标率", "名单"):
        assert len({refusal(agency, name, about, own) for about in ("局/二处", "二处", "局", "没有的处", "%", "局/一处/..")}) == 1
    assert refusal(agency, "个人", "7", own) == refusal(agency, "个人", "不存在", own)


def test_somebody_without_the_role_sees_nothing(agency: Agency) -> None:
    person = agency.person("1")
    none = agency.desk.read_now(lambda session: scope_of(session, person, TODAY))

    assert none == Scope(())
    assert agency.look("达标率", scope=none).parts[0].rows == []
    assert agency.look("名单", scope=none).parts[0].rows == []
    assert refusal(agency, "个人", "1", none)


def test_a_name_that_two_units_share_is_asked_back_and_only_within_the_scope(agency: Agency) -> None:
    for path in ("局/一处/综合科", "局/二处/综合科"):
        agency.unit(path)
    own = supervisor(agency, "1", ["局/一处"])

    assert "2 个" in refusal(agency, "达标率", "综合科", Scope())
    assert list(by_unit(agency.look("达标率", "综合科", scope=own))) == ["局/一处/综合科"]


def test_a_leaver_is_seen_by_the_last_unit_and_by_no_other(agency: Agency) -> None:
    agency.person("7", [("局/一处", "2020-01-01", "2026-03-01"), ("局/二处", "2026-03-02", "2026-06-30")], left_on="2026-06-30")
    first, second = supervisor(agency, "1", ["局/一处"]), supervisor(agency, "2", ["局/二处"])

    assert agency.look("个人", "7", scope=second).parts
    assert refusal(agency, "个人", "7", first) == refusal(agency, "个人", "8", first)


# ── What stands on a report ──


def test_a_report_names_its_day_its_rules_and_that_nothing_is_sealed(agency: Agency) -> None:
    agency.person("1")

    table = agency.look("达标率", as_of="2026-06-30")

    assert table.basis == ("2026 年度,截至 2026-06-30", "规则 D1 第 1 版、D11 第 1 版", "流水封存 未封存")


def test_the_record_of_a_person_shows_refused_seconds_with_the_reason(agency: Agency) -> None:
    one = agency.person("1")
    at = agency_noon(date(2026, 3, 1))
    agency.desk.write_now(
        lambda session: ledger.refuse(session, one, ("lesson", "2026:x"), 720, date(2026, 3, 1), ("D2", 1), "今日在线学习 2 学时已满", at)
    )

    assert agency.look("个人", "1").parts[2].rows == [("2026-03-01", "课程 2026:x", 720, "D2@1", "今日在线学习 2 学时已满")]
    assert agency.look("个人", "1", as_of="2026-02-28").parts[2].rows == []


def test_without_rules_a_report_says_what_to_do(agency: Agency) -> None:
    from dataclasses import replace

    from bot.storage.reports import REPORTS

    empty = replace(agency.ask(), policy=replace(POLICY, versions=()))
    with pytest.raises(Refusal, match="还没有学时规则"):
        agency.desk.read_now(lambda session: REPORTS["达标率"].run(session, Scope(), empty))
