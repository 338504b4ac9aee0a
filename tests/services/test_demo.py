"""The made-up bureau is whole: its people, its tree, and a ledger that adds up to the second."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.app.build import load_catalog
from bot.domain.hours.policy import quotas, total_hours
from bot.domain.message import Refusal
from bot.domain.people.person import TIERS
from bot.services.demo import bureau, past, seed
from bot.services.exam import attempt
from bot.services.library.catalog import Catalog
from bot.storage.db.database import Database
from bot.storage.files.loader import data_root
from tests.conftest import NOW, enroll

LATE = NOW.replace(month=11, day=20)


def seeded(engine: Engine) -> tuple[Database, Catalog, float]:
    database = Database(engine)
    load_catalog(database, data_root(), LATE, 400)
    began = time.monotonic()
    catalog = load_catalog(database, data_root(), LATE, 400, seed.seed)
    return database, catalog, time.monotonic() - began


def test_the_bureau_has_120_people_in_9_units_and_every_tier(engine: Engine) -> None:
    database, _, _ = seeded(engine)

    def look(session: Session) -> None:
        def one(query: str) -> int:
            return int(session.execute(text(query)).scalar_one())

        assert one("SELECT count(*) FROM person") == 120
        assert one("SELECT count(*) FROM unit") == 9
        assert one("SELECT count(*) FROM unit WHERE parent_id IS NULL") == 1
        assert one("SELECT count(*) FROM account WHERE channel = 'local'") == 120
        assert one("SELECT count(*) FROM role WHERE role = 'admin'") == one("SELECT count(*) FROM role WHERE role = 'supervisor'") == 3
        assert {row[0] for row in session.execute(text("SELECT DISTINCT tier FROM person"))} == set(TIERS)
        assert one("SELECT count(DISTINCT name) FROM person") == 120
        assert one("SELECT count(*) FROM answer a JOIN sitting s ON s.id = a.sitting_id WHERE s.state = 'open'") == 0
        assert one("SELECT count(*) FROM (SELECT person_id FROM post WHERE until IS NULL GROUP BY person_id HAVING count(*) > 1) two") == 1

    database.read_now(look)


def test_the_totals_are_the_ledger_to_the_second_and_every_rule_named_is_there(engine: Engine) -> None:
    database, _, _ = seeded(engine)

    def look(session: Session) -> None:
        def pairs(query: str) -> dict[tuple[object, ...], tuple[int, ...]]:
            return {tuple(row[:3]): tuple(int(value) for value in row[3:]) for row in session.execute(text(query))}

        assert pairs("SELECT person_id, CAST(year AS TEXT), category, seconds, items FROM year_total") == pairs(
            """SELECT person_id, substr(day, 1, 4), category, sum(credit_seconds), sum(CASE WHEN source_kind = 'item' THEN 1 ELSE 0 END)
               FROM ledger GROUP BY person_id, substr(day, 1, 4), category"""
        )
        assert pairs("SELECT person_id, day, category, seconds FROM day_total") == pairs(
            "SELECT person_id, day, category, sum(credit_seconds) FROM ledger GROUP BY person_id, day, category"
        )
        named = {tuple(row) for row in session.execute(text("SELECT DISTINCT rule, rule_version FROM ledger"))}
        kept = {tuple(row) for row in session.execute(text("SELECT line, version FROM rule"))}
        assert {"D2", "D3", "D4", "D5"} <= {line for line, _ in named}
        assert named <= kept
        # Items count once a year, ten make a quarter of an hour's 2,700 seconds.
        assert not session.execute(text("SELECT 1 FROM year_total WHERE category = 'practice' AND seconds <> items * 675 / 10")).all()
        order = [row[0] for row in session.execute(text("SELECT recorded_at FROM ledger ORDER BY id"))]
        assert order == sorted(order)
        assert order[-1] < LATE.isoformat()

    database.read_now(look)


def test_some_units_reach_the_quota_and_some_do_not(sqlite_engine: Engine) -> None:
    database, catalog, _ = seeded(sqlite_engine)
    need = quotas(catalog.policy, LATE.date())

    def look(session: Session) -> Counter[str]:
        hours: dict[int, dict[str, int]] = {}
        for person_id, category, seconds in session.execute(text("SELECT person_id, category, seconds FROM year_total WHERE year = 2025")):
            hours.setdefault(person_id, {})[category] = seconds
        reached: Counter[str] = Counter()
        for person_id, tier, unit in session.execute(
            text("SELECT p.id, p.tier, u.path FROM person p JOIN post o ON o.person_id = p.id AND o.until IS NULL JOIN unit u ON u.id = o.unit_id")
        ):
            quota = need.need(tier)
            assert quota is not None
            reached[unit] += total_hours(hours.get(person_id, {}), need.seconds_per_hour) >= quota
        return reached

    reached = database.read_now(look)
    assert 30 < sum(reached.values()) < 90
    assert reached[bureau.LEGAL] / 12 > reached[bureau.SECOND] / 16


def test_a_second_start_changes_nothing_and_real_people_are_never_joined(sqlite_engine: Engine) -> None:
    database, catalog, _ = seeded(sqlite_engine)

    def count(session: Session) -> tuple[int, ...]:
        return tuple(int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()) for table in ("person", "ledger", "answer", "rule"))

    before = database.read_now(count)
    database.write_now(lambda session: seed.seed(session, catalog, LATE + timedelta(days=30)))
    assert database.read_now(count) == before


def test_real_people_are_never_joined_by_made_up_ones(sqlite_engine: Engine) -> None:
    database = Database(sqlite_engine)
    database.write_now(lambda session: enroll(session, "real-1"))
    with pytest.raises(Refusal, match="演示模式"):
        load_catalog(database, data_root(), LATE, 400, seed.seed)
    assert database.read_now(lambda session: session.execute(text("SELECT count(*) FROM person")).scalar_one()) == 1


def test_every_character_of_the_demo_is_somebody_of_the_bureau() -> None:
    people = {one.staff_no: one.name for one in bureau.PEOPLE}
    assert all(people[one.staff_no] == one.name for one in seed.PERSONAS)
    assert {one.label for one in seed.PERSONAS} >= {"学员", "管理员", "督学"}
    roles = dict(bureau_role[:2] for bureau_role in bureau.ROLES)
    labels = {one.label: roles.get(one.staff_no) for one in seed.PERSONAS}
    assert (labels["学员"], labels["管理员"], labels["督学"]) == (None, "admin", "supervisor")


def test_the_last_exam_stands_with_papers_results_hours_and_certificates(engine: Engine) -> None:
    database, _, _ = seeded(engine)

    def look(session: Session) -> None:
        def one(query: str) -> int:
            return int(session.execute(text(query)).scalar_one())

        assert one("SELECT count(*) FROM exam WHERE state = 'closed'") == 1
        sat, passed = one("SELECT count(*) FROM attempt WHERE state = 'closed'"), one("SELECT count(*) FROM attempt WHERE passed = 1")
        assert 90 <= sat <= 118
        assert 0.6 < passed / sat < 0.97, "some fail, most pass"
        assert one("SELECT count(*) FROM answer a JOIN sitting s ON s.id = a.sitting_id WHERE s.kind = 'exam'") == 20 * sat
        exam_id = one("SELECT id FROM exam")
        assert one(f"SELECT count(*) FROM ledger WHERE source_kind = 'exam' AND source_id = '{exam_id}' AND credit_seconds = 5400") == passed
        assert one("SELECT count(*) FROM certificate WHERE state = 'valid'") == passed

    database.read_now(look)


def test_there_is_an_exam_and_a_contest_to_take_part_in_and_a_second_start_adds_none(engine: Engine) -> None:
    database, catalog, _ = seeded(engine)
    for _ in range(2):
        database.write_now(lambda session: past.create_open_events(session, catalog, LATE))
    got = database.read_now(lambda session: [tuple(row) for row in session.execute(text("SELECT name, state FROM exam ORDER BY id"))])
    assert [state for _, state in got] == ["closed", "published"]
    got = database.read_now(lambda session: [tuple(row) for row in session.execute(text("SELECT form, state FROM contest ORDER BY id"))])
    assert got == [("windowed", "open"), ("live", "draft")]
    learner = database.read_now(lambda session: session.execute(text("SELECT id FROM person WHERE staff_no = '1009'")).scalar_one())
    begun = database.write_now(lambda session: attempt.begin(session, catalog, learner, 2, LATE, random.Random(1)))
    assert begun.status.size == 20
