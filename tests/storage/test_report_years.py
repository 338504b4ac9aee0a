"""Random years, reported day by day, against the same figures counted slowly and by hand."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from bot.domain.hours.policy import CATEGORY_LABELS, shown_hours, total_hours
from bot.storage.hours import ledger
from tests.support.agency import PER_HOUR, TODAY, Agency, by_unit, figures, noon


@pytest.fixture
def agency(engine: Engine) -> Agency:
    return Agency(engine)


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
                at = noon(recorded)
                made = ledger.add(session, person, category, amount, on, ("lesson", str(next(agency.sources))), ("D2", 1), at)
                entries.append((person, category, amount, on.isoformat(), recorded.isoformat()))
                if rng.random() < 0.15:
                    assert made is not None
                    back = min(recorded + timedelta(20), TODAY)
                    ledger.reverse(session, made, noon(back), "9001")
                    entries.append((person, category, -amount, on.isoformat(), back.isoformat()))

    agency.database.write_now(work)
    return people, entries


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
