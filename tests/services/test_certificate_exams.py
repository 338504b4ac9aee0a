"""Whoever passes an exam has a certificate as soon as the result may be told, and it follows the marks that count."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.dispatch import Dispatcher
from bot.services.certificate import certificates
from bot.services.certificate.certificates import CertificateChange
from bot.services.exam import manage
from bot.storage import certificate
from bot.storage.certificate import IssuedCertificate
from tests.conftest import NOW, enroll
from tests.support.exams import ADMIN, ExamHarness

MINUTE = timedelta(minutes=1)
OVER = NOW + timedelta(hours=2, minutes=1)


@pytest.fixture
def hall(dispatcher: Dispatcher) -> ExamHarness:
    return ExamHarness(dispatcher)


@pytest.fixture
def person(hall: ExamHarness) -> int:
    return int(hall.run(lambda session: enroll(session, "1001", "学员甲", unit="某局/办公室")))


def sit(hall: ExamHarness, person: int, exam_id: int, right: int, at: Any = NOW) -> int:
    """Take an exam from the first item to the last, so many of them right; the sitting."""
    sitting_id = int(hall.begin(person, exam_id, at).status.attempt.sitting_id)
    hall.answer_all(person, sitting_id, at, right=right)
    hall.hand_in(person, sitting_id, at + MINUTE)
    return sitting_id


def mine(hall: ExamHarness, person: int) -> list[IssuedCertificate]:
    found: list[IssuedCertificate] = hall.dispatcher.database.read_now(lambda session: certificate.of_person(session, person))
    return found


def settled(hall: ExamHarness, person: int, exam_id: int, reason: str = "第 1 题标准答案更正") -> CertificateChange:
    exam = hall.exam(exam_id)
    made: CertificateChange = hall.run(
        lambda session: certificates.update_certificate(session, hall.catalog, exam, person, reason, OVER, by="9001", via="cli")
    )
    return made


def test_a_pass_that_is_told_at_once_brings_its_certificate_at_once(hall: ExamHarness, person: int) -> None:
    sit(hall, person, hall.publish(results="at_once"), 6)
    [made] = mine(hall, person)
    assert made.body.heading == "合格证书"
    assert made.body.sentence == (
        "兹证明学员甲同志（办公室）于2026年3月2日参加“年度学法考试”，成绩 10 分（满分 10 分，合格线 6 分），考试合格，计 2 学时。"
    )
    assert (made.issued_by, made.body.facts.issuer) == ("system", "某局")


def test_before_the_result_may_be_told_no_certificate_tells_it(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(results="after_release")
    sit(hall, person, exam_id, 6)
    hall.tick(OVER)
    assert mine(hall, person) == []
    hall.run(lambda session: manage.release(session, ADMIN, exam_id, OVER + MINUTE))
    hall.tick(OVER + 2 * MINUTE)
    assert [one.is_valid for one in mine(hall, person)] == [True]
    hall.tick(OVER + 3 * MINUTE)
    assert len(mine(hall, person)) == 1


def test_who_has_not_passed_has_none(hall: ExamHarness, person: int) -> None:
    sit(hall, person, hall.publish(results="at_once"), 1)
    hall.tick(OVER)
    assert mine(hall, person) == []


def test_two_passes_of_one_exam_are_one_certificate_and_the_better_counts(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(results="at_once", attempts=3)
    sit(hall, person, exam_id, 4)
    sit(hall, person, exam_id, 6, NOW + 5 * MINUTE)
    sit(hall, person, exam_id, 5, NOW + 10 * MINUTE)
    hall.tick(OVER)
    assert [(one.state, "成绩 10 分" in one.body.facts.result) for one in mine(hall, person)] == [("valid", True), ("replaced", False)]


def test_a_corrected_mark_takes_it_back_and_gives_it_again(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(results="after_close")
    sitting_id = sit(hall, person, exam_id, 6)
    hall.tick(OVER)
    [first] = mine(hall, person)
    assert settled(hall, person, exam_id).act == "none"

    hall.run(lambda session: session.execute(text("UPDATE attempt SET score = 5000, passed = 0 WHERE sitting_id = :id"), {"id": sitting_id}))
    assert [settled(hall, person, exam_id).act for _ in range(2)] == ["revoke", "none"]
    assert [(one.state, one.reason) for one in mine(hall, person)] == [("revoked", "第 1 题标准答案更正")]

    hall.run(lambda session: session.execute(text("UPDATE attempt SET score = 7000, passed = 1 WHERE sitting_id = :id"), {"id": sitting_id}))
    assert [settled(hall, person, exam_id).act for _ in range(2)] == ["replace", "none"]
    new, old = mine(hall, person)
    assert (old.number, old.state, old.replaced_by) == (first.number, "replaced", new.number)
    assert "成绩 7 分" in new.body.facts.result


def test_an_exam_that_is_frozen_takes_no_certificate_away(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(results="after_close")
    sit(hall, person, exam_id, 6)
    hall.tick(OVER)
    hall.run(lambda session: session.execute(text("UPDATE exam SET frozen_at = closed_at WHERE id = :id"), {"id": exam_id}))
    assert settled(hall, person, exam_id).act == "none"
    assert [one.is_valid for one in mine(hall, person)] == [True]


def test_a_make_up_that_was_passed_brings_the_certificate_of_the_exam(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(results="after_close")
    sit(hall, person, exam_id, 1)
    hall.tick(OVER)
    made = int(hall.run(lambda session: manage.create_makeup(session, hall.catalog, ADMIN, exam_id, OVER, OVER + 60 * MINUTE, OVER)))
    hall.run(lambda session: manage.publish(session, hall.catalog, ADMIN, made, OVER))
    sit(hall, person, made, 6, OVER + MINUTE)
    hall.tick(OVER + 62 * MINUTE)
    [held] = mine(hall, person)
    assert held.source == ("exam", str(exam_id))
    assert "成绩 6 分（满分 10 分，合格线 6 分），补考合格" in held.body.facts.result


def test_somebody_without_a_unit_is_certified_by_the_head_of_the_house(hall: ExamHarness, person: int) -> None:
    hall.run(lambda session: session.execute(text("UPDATE post SET until = '2026-01-31'")))
    sit(hall, person, hall.publish(results="at_once"), 6)
    [made] = mine(hall, person)
    assert (made.body.facts.unit, made.body.facts.issuer) == ("", "某局")


def test_a_certificate_that_cannot_be_written_holds_up_no_exam(hall: ExamHarness, person: int) -> None:
    hall.run(lambda session: session.execute(text("UPDATE person SET name = :name"), {"name": "\u200b"}))
    sitting_id = sit(hall, person, hall.publish(results="at_once"), 6)
    assert hall.attempt(sitting_id).passed
    assert mine(hall, person) == []


def test_everybody_of_an_exam_can_be_given_theirs_by_hand_and_nobody_twice(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(results="after_close")
    other = int(hall.run(lambda session: enroll(session, "1002", "学员乙", unit="某局/办公室")))
    for one in (person, other):
        sit(hall, one, exam_id, 6)
    hall.tick(OVER)
    hall.run(lambda session: certificates.revoke(session, mine(hall, person)[0], "替考", OVER, by="9001", via="cli"))
    exam = hall.exam(exam_id)

    def hand_out(session: Any) -> list[tuple[str, CertificateChange]]:
        wanted = certificates.list_wanted(session, hall.catalog, exam)
        return certificates.issue_many(session, wanted, OVER, by="9001", via="cli", apply=True)

    assert [(staff_no, step.act) for staff_no, step in hall.run(hand_out)] == [("1001", "none"), ("1002", "none")]
    assert [one.state for one in mine(hall, person)] == ["revoked"]
