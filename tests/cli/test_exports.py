"""Exports say exactly what is recorded: the contract's fields, oldest first, in little memory, while the service writes."""

from __future__ import annotations

import itertools
import tracemalloc
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert
from sqlmodel import Session

from bot.services.hours import chain_verification
from bot.storage.db.engine import ping
from bot.storage.db.query import table
from bot.storage.delivery import queue
from bot.storage.reports.exports import EXPORTS, bounds
from bot.storage.system import audit
from bot.storage.tables.columns import stamp
from bot.storage.tables.grading import ConfirmationRow
from bot.storage.tables.hours import EntryRow
from bot.storage.tables.library import QuestionVersionRow
from bot.storage.tables.people import AccountRow, RoleRow
from bot.storage.tables.study import AnswerRow, SittingRow
from tests.conftest import NOW
from tests.support.agency import TODAY, Agency, noon
from tests.support.queued_deliveries import add_people, queue_campaign

FIELDS = {
    "answers": "id staff_no question version session kind choice correct earned recorded_at channel message_id late",
    "ledger": "id seq staff_no category credit_seconds day source rule recorded_at recorded_by reverses algorithm hash",
    "audit": "id at actor via action target outcome detail",
    "people": "id staff_no name tier posts roles channels joined_on left_on recorded_at",
}


@pytest.fixture
def agency(engine: Engine) -> Agency:
    made = Agency(engine)
    made.person("1001", ["局/一处", ("局/二处", "2020-01-01", "2021-01-01")])
    return made


def lines(agency: Agency, what: str, since: datetime | None = None, until: datetime | None = None) -> list[dict[str, Any]]:
    def work(session: Session) -> list[dict[str, Any]]:
        ping(session)
        return list(EXPORTS[what](session, bounds(since, until)))

    return agency.database.read_now(work)


def answer(agency: Agency, day: str, *, kind: str = "single", choice: str = "A", earned: int = 1000, provisional: bool = False) -> int:
    """An answer recorded at noon of a day, in a sitting and on a question of its own."""
    number = next(agency.sources)

    def work(session: Session) -> int:
        at = noon(date.fromisoformat(day))
        version = QuestionVersionRow(question=f"q{number}", version=3, bank="b", digest="0" * 64, body=f'{{"kind":"{kind}"}}', loaded_at=at)
        sitting = SittingRow(person_id=1, kind="practice", scope=str(number), size=1, opened_at=at)
        session.add_all([version, sitting])
        session.flush()
        assert version.id is not None
        assert sitting.id is not None
        made = AnswerRow(
            person_id=1,
            sitting_id=sitting.id,
            n=1,
            question=f"q{number}",
            version_id=version.id,
            choice=choice,
            correct=earned == 1000,
            earned=earned,
            provisional=provisional,
            channel="wecom",
            message_id=f"m{number}",
            arrived_at=at,
            recorded_at=at,
        )
        session.add(made)
        session.flush()
        assert made.id is not None
        return made.id

    return agency.database.write_now(work)


def test_an_answer_has_the_fields_of_the_contract(agency: Agency) -> None:
    made = answer(agency, "2026-03-02", kind="multiple", choice="AC", earned=500)

    (line,) = lines(agency, "answers")

    assert list(line) == FIELDS["answers"].split()
    assert line == {
        "id": made,
        "staff_no": "1001",
        "question": "q1",
        "version": 3,
        "session": 1,
        "kind": "multiple",
        "choice": "AC",
        "correct": False,
        "earned": 0.5,
        "recorded_at": "2026-03-02T04:00:00.000000Z",
        "channel": "wecom",
        "message_id": "m1",
        "late": False,
    }


@pytest.mark.parametrize(("confirmed", "earned", "correct"), [(1000, 1.0, True), (400, 0.4, False), (0, 0.0, False)])
def test_a_confirmed_answer_shows_the_mark_of_the_person(agency: Agency, confirmed: int, earned: float, correct: bool) -> None:
    made = answer(agency, "2026-03-02", kind="short", earned=600, provisional=True)
    assert lines(agency, "answers")[0]["earned"] == 0.6

    agency.database.write_now(
        lambda session: session.add(ConfirmationRow(answer_id=made, earned=confirmed, confirmed_by=1, confirmed_at=noon(date(2026, 3, 3))))
    )

    (line,) = lines(agency, "answers")
    assert (line["earned"], line["correct"]) == (earned, correct)


def test_an_entry_and_its_reversal_are_both_there_with_their_seals(agency: Agency) -> None:
    entry = agency.earn(1, 1, "2026-03-01")
    agency.database.write_now(lambda session: chain_verification.seal_entries(session, noon(TODAY)))
    back = agency.take_back(entry, "2026-03-05")

    first, second = lines(agency, "ledger")

    assert list(first) == FIELDS["ledger"].split()
    assert (first["id"], first["seq"], first["credit_seconds"], first["algorithm"], len(first["hash"])) == (entry, 1, 2700, "sha256", 64)
    assert (first["source"], first["rule"]) == ("lesson:1#law=民法典&required=0", "D2@1")
    assert (second["id"], second["seq"], second["credit_seconds"], second["reverses"], second["hash"]) == (back, None, -2700, entry, None)


def test_lines_come_oldest_first_and_between_the_bounds(agency: Agency) -> None:
    for day in ("2026-03-05", "2026-03-01", "2026-03-03"):
        answer(agency, day)
        agency.earn(1, 1, day)

    for what in ("answers", "ledger"):
        assert [line["recorded_at"][:10] for line in lines(agency, what)] == ["2026-03-01", "2026-03-03", "2026-03-05"]
        some = lines(agency, what, since=noon(date(2026, 3, 3)), until=noon(date(2026, 3, 5)))
        assert [line["recorded_at"][:10] for line in some] == ["2026-03-03"]


def test_a_person_is_shown_with_posts_roles_and_channels_but_no_account(agency: Agency) -> None:
    def work(session: Session) -> None:
        session.add(AccountRow(channel="wecom", user="secret-account", person_id=1, bound_at=noon(TODAY), bound_by="roster"))
        session.add(RoleRow(person_id=1, role="supervisor", unit_id=1))

    agency.database.write_now(work)

    (line,) = lines(agency, "people")

    assert list(line) == FIELDS["people"].split()
    assert [(post["unit"], post["until"]) for post in line["posts"]] == [("局/一处", None), ("局/二处", "2021-01-01")]
    assert (line["roles"], line["channels"]) == ([{"role": "supervisor", "unit": "局"}], ["wecom"])
    assert "secret-account" not in str(line)


def test_the_audit_is_exported_as_it_stands(agency: Agency) -> None:
    agency.database.write_now(lambda session: audit.record(session, noon(TODAY), "9001", "wecom", "报表 达标率", "局", detail="x"))

    (line,) = lines(agency, "audit")

    assert list(line) == FIELDS["audit"].split()
    assert (line["actor"], line["via"], line["action"], line["target"], line["outcome"]) == ("9001", "wecom", "报表 达标率", "局", "done")


def test_deliveries_are_told_by_campaign_person_and_state(agency: Agency) -> None:
    """What is under way may have arrived: a line says so, since `sending` is no state of the contract."""

    def work(session: Session) -> None:
        queue_campaign(session, add_people(session, 3, prefix="d"))
        mine = queue.claim(session, "h", NOW, 2, 30)
        queue.begin(session, [one.id for one in mine], "h", "wecom", NOW, 60)
        queue.settle(session, [queue.SendResult(mine[0].id, "sent", platform_id="m")], "h", NOW)

    agency.database.write_now(work)
    found = lines(agency, "deliveries")
    assert list(found[0]) == ["id", "campaign", "occurrence", "staff_no", "channel", "state", "tries", "created_at", "sent_at", "error"]
    assert [(one["staff_no"], one["channel"], one["state"], one["tries"]) for one in found] == [
        ("d0000", "wecom", "sent", 1), ("d0001", "wecom", "unknown", 1), ("d0002", "", "queued", 0),
    ]  # fmt: skip
    assert found[0]["sent_at"] == stamp(NOW)
    assert lines(agency, "deliveries", since=NOW + timedelta(seconds=1)) == []


def many(agency: Agency, count: int) -> None:
    at = noon(date(2026, 3, 1))
    row = {"person_id": 1, "category": "online", "credit_seconds": 60, "day": date(2026, 3, 1), "law": "", "required": False, "source_kind": "item"}
    row |= {"rule": "D2", "rule_version": 1, "recorded_at": at, "recorded_by": "system"}
    agency.database.write_now(lambda session: session.execute(insert(table(EntryRow)), [{**row, "source_id": str(n)} for n in range(count)]))


def test_a_long_export_holds_a_few_rows_at_a_time(agency: Agency) -> None:
    many(agency, 20_000)

    def work(session: Session) -> tuple[int, int]:
        ping(session)
        tracemalloc.start()
        try:
            count = sum(1 for _ in EXPORTS["ledger"](session, bounds(None, None)))
            return count, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    count, peak = agency.database.read_now(work)
    assert count == 20_000
    # All lines as dicts would be more than 20 MB.
    assert peak < 4_000_000


def test_the_service_writes_while_an_export_runs_and_the_export_keeps_its_snapshot(agency: Agency) -> None:
    many(agency, 5_000)

    def work(session: Session) -> int:
        ping(session)
        running = EXPORTS["ledger"](session, bounds(None, None))
        seen = len(list(itertools.islice(running, 10)))
        agency.earn(1, 1, "2026-03-02")
        return seen + sum(1 for _ in running)

    assert agency.database.read_now(work) == 5_000
    assert len(lines(agency, "ledger")) == 5_001
