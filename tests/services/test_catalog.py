"""Files become rows in versions: a changed question or rule is a new one, an unchanged one changes nothing, and no rule reaches backwards."""

from __future__ import annotations

import dataclasses
import json
from datetime import date, timedelta

from sqlalchemy import text

from bot.domain.library.library import Library
from bot.services.library.catalog import load_catalog
from bot.storage.db.database import Database
from bot.storage.files.policies import PolicyFile, load_policy
from tests.conftest import NOW, ROOT


def shipped_policy() -> PolicyFile:
    policy, faults = load_policy(ROOT)
    assert policy is not None, faults
    return policy


def counted(database: Database, query: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in database.read_now(lambda session: session.connection().execute(text(query)).all())]


async def test_loading_twice_changes_nothing(database: Database, shipped: Library) -> None:
    policy = shipped_policy()
    for _ in range(2):
        database.write_now(lambda session: load_catalog(session, shipped, policy, NOW))
    assert counted(database, "SELECT COUNT(*), MAX(version) FROM question_version") == [(len(shipped.questions), 1)]
    assert counted(database, "SELECT COUNT(*), MAX(version) FROM rule") == [(len(policy.rules), 1)]


async def test_a_changed_rule_is_a_new_version_from_the_day_it_is_loaded_on(database: Database, shipped: Library) -> None:
    policy = shipped_policy()
    database.write_now(lambda session: load_catalog(session, shipped, policy, NOW))
    body = json.loads(policy.rules["D2"][0]) | {"day_cap": "3"}
    changed = dataclasses.replace(policy, rules={**policy.rules, "D2": (json.dumps(body, ensure_ascii=False), "another")})
    later = NOW + timedelta(days=30)
    catalog = database.write_now(lambda session: load_catalog(session, shipped, changed, later))

    assert catalog.policy.at("D2", date(2026, 4, 1)).version == 2
    assert catalog.policy.at("D2", date(2026, 4, 1)).number("day_cap") == 3
    assert catalog.policy.at("D2", date(2026, 3, 31)).version == 1, "what was earned before stands by the rule of its day"
    assert catalog.policy.at("D3", date(2026, 4, 1)).version == 1


async def test_a_changed_question_is_a_new_version_and_a_removed_one_is_drawn_no_more(database: Database, shipped: Library) -> None:
    policy = shipped_policy()
    first = database.write_now(lambda session: load_catalog(session, shipped, policy, NOW))
    one, other, *_ = shipped.questions
    questions = dict(shipped.questions)
    questions[one] = dataclasses.replace(questions[one], explanation="改过的解析。")
    del questions[other]
    banks = {name: dataclasses.replace(bank, questions=tuple(q for q in bank.questions if q != other)) for name, bank in shipped.banks.items()}
    library = dataclasses.replace(shipped, questions=questions, banks=banks)
    second = database.write_now(lambda session: load_catalog(session, library, policy, NOW))

    assert second.drawn[one] != first.drawn[one]
    assert other not in second.drawn
    kept = database.read_now(lambda session: second.question(session, first.drawn[one]))
    assert kept.explanation == shipped.questions[one].explanation, "an old answer still shows the old text"
