"""The seal finds what somebody with the database in hand did to the ledger, and names the first place."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.domain.hours import entry_hash
from bot.domain.message import Refusal
from bot.services.hours import chain_verification
from bot.services.hours.chain_verification import ChainCheck
from bot.storage.db.engine import ping
from bot.storage.reports.exports import bounds, ledger
from tests.support.agency import TODAY, Agency, noon, tamper

SEALED = noon(TODAY)


@pytest.fixture
def agency(engine: Engine) -> Agency:
    """Two people with twelve entries, one of them taken back, all sealed at noon today."""
    made = Agency(engine)
    one, two = made.person("1001"), made.person("1002")
    for n in range(1, 6):
        made.earn(one, n, f"2026-03-{n:02}")
        made.earn(two, n, f"2026-04-{n:02}", "collective")
    made.take_back(made.earn(one, 9, "2026-05-01"), "2026-05-02")
    close(made)
    return made


def close(agency: Agency, at: datetime = SEALED, algorithm: str = "sha256") -> int:
    return agency.database.write_now(lambda session: chain_verification.seal_entries(session, at, algorithm))


def verified(agency: Agency, head: str = "") -> ChainCheck:
    def work(session: Session) -> ChainCheck:
        ping(session)
        return chain_verification.verify(session, head)

    return agency.database.read_now(work)


def fault(agency: Agency, head: str = "") -> tuple[str, int | None, int | None]:
    found = verified(agency, head).fault
    assert found is not None, "nothing was found"
    return found.kind, found.seq, found.entry_id


def test_an_untouched_ledger_verifies_and_shows_its_head(agency: Agency) -> None:
    found = verified(agency)

    assert (found.sealed, found.loose, found.fault) == (12, 0, None)
    assert found.head is not None
    assert found.head.seq == 12


def test_sealing_again_seals_nothing_and_later_entries_join_the_chain(agency: Agency) -> None:
    head = verified(agency).head
    assert head is not None
    assert close(agency) == 0

    agency.earn(1, 1, TODAY.isoformat())
    assert verified(agency).loose == 1
    assert close(agency, SEALED + timedelta(hours=1)) == 1

    later = verified(agency, head.hash)
    assert (later.sealed, later.fault) == (13, None)
    assert "又有新的封存" in later.note


def test_a_chain_is_the_same_however_many_are_sealed_at_a_time(agency: Agency) -> None:
    whole = verified(agency).head
    tamper(agency, "DELETE FROM seal")

    while agency.database.write_now(lambda session: chain_verification.seal_entries(session, SEALED, top=5)):
        pass

    assert verified(agency).head == whole


@pytest.mark.parametrize(
    "change",
    [
        "credit_seconds = credit_seconds + 1",
        "category = 'external'",
        "day = '2026-03-09'",
        "law = '宪法'",
        "required = 1 - required",
        "source_kind = 'exam'",
        "source_id = '99'",
        "rule = 'D6'",
        "rule_version = 2",
        "recorded_at = '2026-04-02T04:00:00.000001Z'",
        "recorded_by = '1001'",
        "person_id = 3 - person_id",
        "reverses = 1, credit_seconds = -credit_seconds",
    ],
)
def test_any_field_that_changes_is_found_in_its_place(agency: Agency, change: str) -> None:
    tamper(agency, f"UPDATE ledger SET {change} WHERE id = 4")

    assert fault(agency) == ("changed", 4, 4)


def test_swapping_the_staff_numbers_of_two_people_is_found(agency: Agency) -> None:
    tamper(
        agency,
        "UPDATE person SET staff_no = 'x' WHERE id = 1",
        "UPDATE person SET staff_no = '1001' WHERE id = 2",
        "UPDATE person SET staff_no = '1002' WHERE id = 1",
    )

    assert fault(agency) == ("changed", 1, 1)


def test_a_changed_name_is_no_business_of_the_chain(agency: Agency) -> None:
    agency.run("UPDATE person SET name = '改名' WHERE id = 1")

    assert verified(agency).fault is None


@pytest.mark.parametrize(
    ("deeds", "expected"),
    [
        (["DELETE FROM ledger WHERE id = 5"], ("missing", 5, 5)),
        (["DELETE FROM seal WHERE seq = 5"], ("missing", 5, None)),
        (["DELETE FROM seal WHERE seq = 1"], ("missing", 1, None)),
        (["DELETE FROM ledger WHERE id = 5", "DELETE FROM seal WHERE seq = 5"], ("missing", 5, None)),
        (["UPDATE seal SET hash = 'x' WHERE seq = 7"], ("changed", 7, 7)),
        (["UPDATE seal SET algorithm = 'none' WHERE seq = 7"], ("changed", 7, 7)),
    ],
)
def test_what_was_taken_out_is_missed(agency: Agency, deeds: list[str], expected: tuple[str, int, int | None]) -> None:
    tamper(agency, *deeds)

    assert fault(agency) == expected


@pytest.mark.parametrize(("one", "other"), [(3, 8), (3, 4), (1, 2), (11, 12), (1, 12)])
@pytest.mark.parametrize("with_hash", [False, True])
def test_two_entries_that_changed_places_are_called_reordered(agency: Agency, one: int, other: int, with_hash: bool) -> None:
    hashes = dict(agency.database.read_now(lambda session: [(row[0], row[1]) for row in session.execute(text("SELECT seq, hash FROM seal"))]))
    deeds = [
        f"UPDATE seal SET entry_id = -1 WHERE seq = {one}",
        f"UPDATE seal SET entry_id = {one} WHERE seq = {other}",
        f"UPDATE seal SET entry_id = {other} WHERE seq = {one}",
    ]
    if with_hash:
        deeds += [f"UPDATE seal SET hash = '{hashes[other]}' WHERE seq = {one}", f"UPDATE seal SET hash = '{hashes[one]}' WHERE seq = {other}"]
    tamper(agency, *deeds)

    assert fault(agency) == ("reordered", one, other)


_FORGED = """INSERT INTO ledger (id, person_id, category, credit_seconds, day, law, required, source_kind, source_id, rule, rule_version, recorded_at,
                                 recorded_by) VALUES (99, 1, 'online', 2700, '2026-03-07', '', 0, 'lesson', 'forged', 'D2', 1, '{at}', 'system')"""


def test_an_entry_slipped_into_the_chain_is_called_inserted(agency: Agency) -> None:
    tamper(
        agency,
        _FORGED.format(at="2026-03-07T04:00:00.000000Z"),
        "UPDATE seal SET seq = seq + 100 WHERE seq >= 5",
        "UPDATE seal SET seq = seq - 99 WHERE seq > 100",
        f"INSERT INTO seal (seq, entry_id, algorithm, hash, sealed_at) VALUES (5, 99, 'sha256', '{'0' * 64}', '2026-11-20T04:00:00.000000Z')",
    )

    assert fault(agency) == ("inserted", 5, 99)


def test_an_entry_with_an_old_date_beside_the_chain_is_called_inserted(agency: Agency) -> None:
    agency.run(_FORGED.format(at="2026-03-07T04:00:00.000000Z"))

    assert fault(agency) == ("inserted", None, 99)


def test_an_inserted_entry_stays_found_after_the_next_sealing(agency: Agency) -> None:
    agency.run(_FORGED.format(at="2026-03-07T04:00:00.000000Z"))
    close(agency, SEALED + timedelta(hours=1))

    assert fault(agency) == ("inserted", 13, 99)


def test_an_entry_that_never_passed_through_the_program_does_not_match_the_totals(agency: Agency) -> None:
    agency.run(_FORGED.format(at="2026-11-20T04:30:00.000000Z"))

    assert fault(agency) == ("inserted", None, 99)
    assert "累计数" in str(verified(agency).fault)


def test_a_head_kept_outside_shows_a_chain_that_was_computed_anew(agency: Agency) -> None:
    head = verified(agency).head
    assert head is not None
    tamper(agency, "UPDATE ledger SET recorded_by = '1001' WHERE id = 4", "DELETE FROM seal")
    close(agency)

    assert verified(agency).fault is None
    assert fault(agency, head.hash) == ("head", None, None)


def test_a_head_is_known_again_as_reports_print_it(agency: Agency) -> None:
    head = verified(agency).head
    assert head is not None

    for printed in (head.hash, head.hash.upper(), f"sha256:{head.hash}", str(head), head.hash[:16]):
        assert verified(agency, printed).fault is None
    with pytest.raises(Refusal, match="16"):
        verified(agency, head.hash[:15])


def test_a_head_kept_outside_shows_a_tail_cut_off(agency: Agency) -> None:
    head = verified(agency).head
    assert head is not None
    tamper(
        agency, "DELETE FROM seal WHERE seq > 10", "DELETE FROM ledger WHERE id > 10", "UPDATE year_total SET seconds = seconds WHERE person_id = 1"
    )

    assert verified(agency).fault is None
    assert fault(agency, head.hash) == ("head", None, None)


def value(agency: Agency, column: str, entry: int) -> str:
    return agency.database.read_now(lambda session: str(session.execute(text(f"SELECT {column} FROM ledger WHERE id = {entry}")).scalar_one()))


def test_fifty_random_deeds_are_all_found(agency: Agency) -> None:
    """Each deed is undone before the next; the place named is the first one touched."""
    rng = random.Random(3)
    columns: dict[str, Callable[[str], str]] = {
        "credit_seconds": lambda old: str(int(old) + 1),
        "day": lambda old: "2026-12-31",
        "law": lambda old: old + "x",
        "source_id": lambda old: old + "0",
        "rule_version": lambda old: str(int(old) + 1),
        "recorded_by": lambda old: old + "x",
    }
    for _ in range(50):
        entry, column = rng.randrange(1, 11), rng.choice(list(columns))
        old = value(agency, column, entry)
        new = columns[column](old)
        tamper(agency, f"UPDATE ledger SET {column} = '{new}' WHERE id = {entry}")
        assert fault(agency) == ("changed", entry, entry)
        tamper(agency, f"UPDATE ledger SET {column} = '{old}' WHERE id = {entry}")
    assert verified(agency).fault is None


def test_the_export_alone_is_enough_to_verify(agency: Agency) -> None:
    """Hashes made again from the exported lines, by nothing but the written form: json, sorted keys, the salt of the first link."""
    lines = agency.database.read_now(lambda session: list(ledger(session, bounds(None, None))))
    lines.sort(key=lambda line: int(line["seq"]))

    previous, salt = entry_hash.GENESIS, f"{lines[0]['id']}@{lines[0]['recorded_at']}"
    for line in json.loads(json.dumps(lines)):
        entry = entry_hash.SealedEntry(**{key: line[key] for key in entry_hash.SealedEntry.__dataclass_fields__})
        assert entry_hash.chain_hash(entry, line["seq"], previous, salt, line["algorithm"]) == line["hash"]
        previous = line["hash"]


@pytest.mark.skipif(not entry_hash.is_available("sm3"), reason="this Python's OpenSSL was built without SM3")
def test_a_chain_may_go_on_in_another_algorithm(agency: Agency) -> None:
    agency.earn(1, 1, TODAY.isoformat())
    close(agency, SEALED + timedelta(hours=1), "sm3")

    found = verified(agency)
    assert found.fault is None
    assert found.head is not None
    assert (found.head.algorithm, len(found.head.hash)) == ("sm3", 64)


def test_an_algorithm_that_nobody_knows_is_refused(agency: Agency) -> None:
    with pytest.raises(Refusal, match="sha256"):
        close(agency, algorithm="md5")


def test_reports_carry_the_head(agency: Agency) -> None:
    head = verified(agency).head
    assert head is not None
    assert f"第 12 号 sha256:{head.hash}" in agency.look("达标率").basis[2]
