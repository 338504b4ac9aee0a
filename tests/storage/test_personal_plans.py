"""What a person asks for is found by their key, however large the agency is and whether or not the database has statistics (ANALYZE).

The statements are those that the person's commands really send: they are written down by the driver while somebody learns, answers, sits an exam and
looks at their record, and then explained on an agency of some thousand rows.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, text

from bot.dispatch import Dispatcher
from bot.domain.library.library import Library
from bot.services.library.catalog import load_catalog
from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite
from bot.storage.files.policies import load_policy
from bot.storage.people import accounts
from tests.conftest import NOW, ROOT, Chat, Clock, enroll
from tests.support.exams import ExamHarness

GROWING = {
    "absence", "account", "answer", "appeal", "attempt", "audit", "certificate", "confirmation", "contest_set", "day_total", "delivery", "duel",
    "duel_player", "exam_goal", "focus", "inbox", "ledger", "link", "notebook_card", "outside_result", "page_view", "participation", "person", "post",
    "preference", "reading", "remark", "report", "ripple", "role", "seal", "sitting", "sitting_item", "tag", "team_member", "uncredited", "visit",
    "vote", "year_total",
}  # fmt: skip
"""Tables that grow with the people of the agency or with their work; what administrators make (exams, campaigns, units …) is looked through."""
COMMANDS = (
    "帮助", "学习", "学习 目录", "下一页", "下一页", "退出", "每日", "A", "B", "继续", "跳过", "退出", "练习", "A", "B", "错题", "A", "退出",
    "挑战", "A", "退出", "我的学时", "为什么", "为什么 1", "纠错 题干有误", "考试", "考试 1", "考试 开始 1", "A", "上一题", "答题卡", "交卷",
    "确认交卷", "竞赛", "排行",
    "证书", "设置", "报表 个人 1001", "报表",
)  # fmt: skip
LOOKED_THROUGH = {
    "FROM seal ORDER BY seal.seq DESC LIMIT 1": "the head of the chain: one row from the end of its key",
    "FROM attempt CROSS JOIN": "how often a question was drawn and answered first: an exam's paper is drawn from it, over the attempts there are",
}
"""What is gone through on purpose."""
PEOPLE = 600
AT = "2026-02-02T01:00:00.000000Z"


def fill(engine: Engine) -> None:
    """An agency of PEOPLE beside the one who asks, each with a sitting, answers, hours, a reading, cards and messages."""
    people = range(10_001, 10_001 + PEOPLE)
    each = ", ".join(f"({n})" for n in range(1, 6))
    with engine.begin() as connection:
        version = connection.execute(text("SELECT MIN(id) FROM question_version")).scalar_one()
        unit = connection.execute(text("SELECT MIN(id) FROM unit")).scalar_one()
        rows = [{"id": n, "no": f"N{n}", "at": AT, "unit": unit, "version": version, "until": "2026-01-06"} for n in people]
        for statement in (
            "INSERT INTO person (id, staff_no, name, tier, recorded_at) VALUES (:id, :no, :no, '公务员', :at)",
            "INSERT INTO post (person_id, unit_id, since) VALUES (:id, :unit, '2020-01-01')",
            """INSERT INTO account (channel, "user", person_id, bound_at, bound_by) VALUES ('local', :no, :id, :at, 't')""",
            """INSERT INTO sitting (id, person_id, kind, scope, size, next, state, opened_at, closed_at)
               VALUES (:id, :id, 'practice', '随机', 5, 6, 'done', :at, :at)""",
            "INSERT INTO focus (person_id, kind, ref, since) VALUES (:id, 'sitting', :id, :at)",
            "INSERT INTO reading (id, person_id, lesson, digest, page, state, opened_at, closed_at) VALUES (:id, :id, 'l', 'd', 1, 'done', :at, :at)",
            "INSERT INTO page_view (reading_id, page, sent_at, reason) VALUES (:id, 1, :at, '')",
            "INSERT INTO year_total (person_id, year, category, seconds, items) VALUES (:id, 2026, 'practice', 300, 5)",
            """INSERT INTO report (person_id, version_id, said, reported_at, answered) VALUES (:id, :version, '', :at, '')""",
            "INSERT INTO absence (person_id, kind, since, until, recorded_by, recorded_at) VALUES (:id, 'leave', :until, :until, '', :at)",
            "INSERT INTO preference (person_id, digest, channel) VALUES (:id, 1, '')",
            "INSERT INTO exam_goal (person_id, minutes, target) VALUES (:id, 5, 90)",
            "INSERT INTO tag (person_id, tag) VALUES (:id, '党员')",
            "INSERT INTO day_total (person_id, day, category, seconds) VALUES (:id, '2026-02-02', 'practice', 300)",
        ):
            connection.execute(text(statement), rows)
        who = {"first": people[0], "version": version, "at": AT}
        for statement in (
            "INSERT INTO sitting_item (sitting_id, n, question, version_id) SELECT p.id, k.n, 'q' || k.n, :version {each}",
            """INSERT INTO answer (person_id, sitting_id, n, question, version_id, choice, correct, earned, provisional, channel, message_id,
                                   arrived_at, recorded_at, late)
               SELECT p.id, p.id, k.n, 'q' || k.n, :version, 'A', 1, 1000, 0, 'local', 'm' || k.n, :at, :at, 0 {each}""",
            """INSERT INTO notebook_card (person_id, question, entered_at, right_in_a_row, state, stability, difficulty, due_at, reviewed_at)
               SELECT p.id, 'q' || k.n, :at, 0, 2, 2.3, 6.4, :at, :at {each}""",
            """INSERT INTO ledger (person_id, category, credit_seconds, day, law, required, source_kind, source_id, rule, rule_version, recorded_at,
                                   recorded_by)
               SELECT p.id, 'practice', 60, '2026-02-02', '', 0, 'item', '2026:q' || k.n, 'D3', 1, :at, 'system' {each}""",
            """INSERT INTO uncredited (person_id, source_kind, source_id, seconds, day, rule, rule_version, reason, at)
               SELECT p.id, 'item', 'x' || k.n, 1, '2026-02-02', 'D3', 1, '', :at {each}""",
            """INSERT INTO inbox (channel, app, sender, message_id, person_id, arrived_at, reply)
               SELECT 'local', 'test', p.staff_no, 'm' || k.n, p.id, :at, '{{}}' {each}""",
        ):
            connection.execute(
                text(statement.format(each=f"FROM person p CROSS JOIN (SELECT column1 AS n FROM (VALUES {each}) v) k WHERE p.id >= :first")), who
            )
        for statement in (
            "INSERT INTO seal (seq, entry_id, algorithm, hash, sealed_at) SELECT id, id, 'sha256', 'h', :at FROM ledger",
            "INSERT INTO confirmation (answer_id, earned, confirmed_by, confirmed_at) SELECT id, 1000, person_id, :at FROM answer",
            """INSERT INTO correction (id, scope, ref, question, version_id, way, keys, reason, state, proposed_by, proposed_at,
                                       decided_by, decided_at)
               VALUES (1, 'exam', 999, 'q1', :version, 'full', '', 'r', 'applied', '1', :at, '2', :at)""",
            """INSERT INTO remark (correction_id, sitting_id, n, answer_id, earned, counts, marked_at)
               SELECT 1, sitting_id, n, id, 1000, 1, :at FROM answer""",
        ):
            connection.execute(text(statement), who)
        if not is_sqlite(engine):
            for table in ("person", "sitting", "reading"):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 20000)"))


def fill_attempts(engine: Engine, exam_id: int) -> None:
    """Everybody but the one who asks has sat the exam, has a certificate, has appealed, and has played a match."""
    rows = [{"id": n, "exam": exam_id, "at": AT, "number": f"XF-2026-{n:06}-K"} for n in range(10_001, 10_001 + PEOPLE)]
    with engine.begin() as connection:
        for statement in (
            """INSERT INTO attempt (sitting_id, exam_id, person_id, n, started_at, deadline, state, closed_at, closed_by, score, passed, difficulty)
               VALUES (:id, :exam, :id, 1, :at, '2026-02-02T02:00:00.000000Z', 'closed', :at, 'self', 1000, 0, 0)""",
            """INSERT INTO certificate (number, code, person_id, kind, source_kind, source_id, body, issued_at, issued_by, state, reason, changed_by)
               VALUES (:number, '7QK39MXT2A', :id, 'exam', 'sitting', CAST(:id AS TEXT), '{}', :at, 't', 'valid', '', '')""",
            """INSERT INTO duel (id, size, invited, state, made_by, made_at, until, started_at, over_at)
               VALUES (:id, 2, 0, 'over', :id, :at, :at, :at, :at)""",
            "INSERT INTO duel_player (duel_id, person_id, state, correct, millis) VALUES (:id, :id, 'done', 0, 0)",
            """INSERT INTO appeal (person_id, sitting_id, said, appealed_at, due_on, answered) VALUES (:id, :id, 's', :at, '2026-02-09', '')""",
        ):
            connection.execute(text(statement), rows)


class WrittenDown(psycopg.Cursor[Any]):
    """A cursor that keeps what it is asked."""

    asked: list[tuple[Any, Any]]

    def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
        self.asked.append((query, params))
        return super().execute(query, params, **more)


@pytest.fixture
async def asked(engine: Engine, shipped: Library) -> list[tuple[Any, Any]]:
    """Every statement that a person's commands sent, with its values, on a filled agency."""
    written: list[tuple[Any, Any]] = []

    def write_down(raw: Any, _record: object) -> None:
        if isinstance(raw, sqlite3.Connection):
            raw.set_trace_callback(lambda statement: written.append((statement, ())))
        else:
            raw.cursor_factory = type("Cursor", (WrittenDown,), {"asked": written})

    policy, _ = load_policy(ROOT)
    assert policy is not None
    database = Database(engine, prelock=accounts.lock_people)
    catalog = database.write_now(lambda session: load_catalog(session, shipped, policy, NOW - timedelta(days=60)))
    database.write_now(lambda session: enroll(session, "1001", "学员甲", roles=("supervisor",)))
    dispatcher = Dispatcher(database, lambda: catalog, rng=random.Random(3))
    fill(engine)
    exam_id = ExamHarness(dispatcher).publish()
    fill_attempts(engine, exam_id)
    event.listen(engine, "connect", write_down)
    database.start()
    try:
        chat = Chat(dispatcher, Clock(), "1001")
        for words in COMMANDS:
            assert await chat.say(words)
    finally:
        database.stop()
        event.remove(engine, "connect", write_down)
    return list({repr(query): (query, values) for query, values in written}.values())


@pytest.mark.parametrize("statistics", [False, True], ids=["as shipped", "after ANALYZE"])
def test_what_a_person_asks_for_is_found_by_a_key(engine: Engine, asked: list[tuple[Any, Any]], statistics: bool) -> None:
    raw = engine.raw_connection()
    cursor = raw.cursor()
    if is_sqlite(engine):
        # With them on, the plan of an INSERT names the scans that SQLite makes only where a deferred key is broken.
        cursor.execute("PRAGMA foreign_keys=OFF")
    else:
        # A table of some thousand rows may well be read whole; what is asked is whether the rows can be found by a key at all.
        cursor.execute("SET enable_seqscan = off; SET enable_mergejoin = off; SET enable_hashjoin = off")
    if statistics:
        cursor.execute("ANALYZE")
    explain = sqlite_faults if is_sqlite(engine) else postgres_faults
    statements = [(query, values) for query, values in asked if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", spelled(query))]
    assert len(statements) > 50, "the commands were answered"
    faults = {
        fault: spelled(query)
        for query, values in statements
        for fault in explain(cursor, query, values)
        if not any(reason in " ".join(spelled(query).split()) for reason in LOOKED_THROUGH)
    }
    raw.close()
    assert faults == {}


_SOURCES = re.compile(r"(?:\b(?:FROM|JOIN|INTO|UPDATE)|,)\s+(\w+)(?:\s+(?:AS\s+)?(?!(?:ON|WHERE|SET|JOIN|LEFT|ORDER|GROUP)\b)(\w+))?")


def spelled(query: Any) -> str:
    return query.decode() if isinstance(query, bytes) else str(query)


def sqlite_faults(cursor: Any, query: str, _values: Any) -> Iterator[str]:
    """The lines of SQLite's plan that go through a growing table, or through a stretch of one that no key bounds."""
    tables = {
        alias or table: table
        for table, alias in re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE|,)\s+(\w+)(?:\s+(?:AS\s+)?(?!ON\b|WHERE\b|SET\b)(\w+))?", query)
    }
    for *_, line in cursor.execute(f"EXPLAIN QUERY PLAN {query}").fetchall():
        step = re.match(r"(SCAN|SEARCH) (\w+)(.*)", line)
        if step is None or tables.get(step[2], step[2]) not in GROWING:
            continue
        if step[1] == "SCAN" or not re.search(r"=\?|\(rowid=|LIST", step[3]):
            yield line


STAY_SMALL = {
    "answer_provisional",
    "attempt_open",
    "attempt_untold",
    "duel_player_at_one",
    "duel_player_owed",
    "reading_open_once",
    "sitting_open_once",
}
"""Indexes of what is open, waiting or owed, which may be gone through."""


def postgres_faults(cursor: Any, query: Any, values: Any) -> Iterator[str]:
    """The nodes of PostgreSQL's plan that go through a growing table although a key was wanted (`enable_seqscan` is off)."""
    cursor.execute(f"EXPLAIN (FORMAT JSON) {spelled(query)}", values)
    nodes = [cursor.fetchone()[0][0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        table, index = node.get("Relation Name"), node.get("Index Name", "")
        reads_by_itself = "Scan" in node["Node Type"] and node["Node Type"] != "Bitmap Heap Scan"
        if table in GROWING and reads_by_itself and "Index Cond" not in node and index not in STAY_SMALL:
            yield f"{node['Node Type']} of {table} {index}"


REVERSED = "SELECT l.id, r.id FROM ledger l LEFT JOIN ledger r ON r.reverses = l.id AND r.recorded_at < '2026-12-31' WHERE l.person_id = 10001"


@pytest.mark.parametrize("whole", [False, True], ids=["where present", "whole"])
def test_an_index_that_is_nearly_all_empty_is_not_taken_for_a_bad_one(sqlite_engine: Engine, shipped: Library, whole: bool) -> None:
    """With the empty rows in it, statistics say that each key of it has the whole table, and each entry went through the ledger by its moment."""
    database = Database(sqlite_engine)
    policy, _ = load_policy(ROOT)
    assert policy is not None
    database.write_now(lambda session: load_catalog(session, shipped, policy, NOW))
    database.write_now(lambda session: enroll(session, "1001"))
    fill(sqlite_engine)
    raw = sqlite_engine.raw_connection()
    cursor = raw.cursor()
    if whole:
        cursor.execute("DROP INDEX ledger_reversed_once")
        cursor.execute("CREATE UNIQUE INDEX ledger_reversed_once ON ledger (reverses)")
    cursor.execute("ANALYZE")
    plan = [line[3] for line in cursor.execute(f"EXPLAIN QUERY PLAN {REVERSED}").fetchall()]
    raw.close()
    assert any("ledger_in_time" in line for line in plan) == whole
    assert any(line.startswith("SEARCH r USING INDEX ledger_reversed_once (reverses=?)") for line in plan) != whole
