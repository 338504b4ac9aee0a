"""A certificate is issued once, stays as it was, and is only taken back or replaced before everybody's eyes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as other
from datetime import timedelta
from typing import TypeVar

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from bot.domain.certificate import CertificateFacts, full_number
from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.services.certificate import certificates
from bot.storage import certificate
from bot.storage.certificate import IssuedCertificate
from bot.storage.db.database import Database
from tests.conftest import NOW, enroll

T = TypeVar("T")
SOURCE = ("sitting", "7")
LATER = NOW + timedelta(days=30)


class Office:
    """Somebody who has passed, and an office that issues."""

    def __init__(self, engine: Engine) -> None:
        self.database = Database(engine)
        self.person = self.do(lambda session: enroll(session, "1001", "张䶮㛃", unit="某局/办公室/文秘科"))

    def do(self, work: Callable[[Session], T]) -> T:
        return self.database.write_now(work)

    def facts(self, result: str = "成绩 92 分，考试合格") -> CertificateFacts:
        return self.do(lambda session: certificates.build_facts(session, self.person, "exam", "年度学法考试", day_of(NOW), result=result, hours="2"))

    def issue(self, by: str = "system") -> IssuedCertificate:
        facts = self.facts()
        return self.do(lambda session: certificates.issue(session, self.person, SOURCE, facts, NOW, by=by, via="cli"))

    def settle(self, facts: CertificateFacts | None, reason: str = "第 3 题标准答案更正") -> certificates.CertificateChange:
        return self.do(lambda session: certificates.apply_change(session, self.person, SOURCE, facts, reason, LATER, by="9001", via="cli"))

    def audit(self) -> list[tuple[str, str, str]]:
        return self.do(lambda session: [tuple(row) for row in session.execute(text("SELECT actor, action, target FROM audit ORDER BY id"))])

    def count(self) -> int:
        return int(self.do(lambda session: session.execute(text("SELECT count(*) FROM certificate")).scalar_one()))


@pytest.fixture
def office(engine: Engine) -> Office:
    return Office(engine)


def test_one_source_gives_one_certificate_however_often_it_is_asked_for(office: Office) -> None:
    first, again = office.issue(), office.issue()
    assert first == again
    assert office.count() == 1
    assert first.number == "XF-2026-000001-" + first.number[-1]
    assert first.body.facts.unit == "办公室/文秘科"
    assert first.body.facts.issuer == "某局"
    assert office.audit() == [], "the clock is not somebody with power"


def test_what_an_administrator_issues_stands_in_the_audit(office: Office) -> None:
    made = office.issue(by="9001")
    assert office.audit() == [("9001", "签发证书", f"1001 {made.number}")]


def test_codes_of_certificates_are_different_and_numbers_follow_each_other(office: Office) -> None:
    facts = office.facts()
    made = office.do(lambda session: [certificates.issue(session, office.person, ("sitting", str(n)), facts, NOW) for n in range(20)])
    assert len({one.code for one in made}) == 20
    assert [int(one.number[8:14]) for one in made] == list(range(1, 21))


def test_a_certificate_says_what_it_said_when_its_holder_moves_and_marries(office: Office) -> None:
    made = office.issue()
    office.do(lambda session: session.execute(text("UPDATE person SET name = '改名' WHERE staff_no = '1001'")))
    found = office.do(lambda session: certificates.require_certificate(session, made.number))
    assert found.body == made.body
    assert office.settle(office.facts()).act == "none", "a new name is no correction"


def test_one_that_was_taken_back_stays_so_and_says_why(office: Office) -> None:
    made = office.issue()
    gone = office.do(lambda session: certificates.revoke(session, made, "替考，经查属实", LATER, by="9001", via="cli"))
    assert (gone.state, gone.reason, gone.changed_by, gone.cause) == ("revoked", "替考，经查属实", "9001", "decision")
    assert gone.body == made.body
    assert office.audit() == [("9001", "撤销证书", f"1001 {made.number}")]
    assert office.issue() == gone, "asking again does not bring it back"
    assert office.settle(office.facts()).act == "none", "nor does a corrected key: a person decided"
    with pytest.raises(Refusal, match="已是「已撤销」"):
        office.do(lambda session: certificates.revoke(session, gone, "再来一次", LATER, by="9001", via="cli"))


@pytest.mark.parametrize("reason", ["", "   ", "长" * 201])
def test_nothing_is_taken_back_without_a_reason_that_fits(office: Office, reason: str) -> None:
    made = office.issue()
    with pytest.raises(Refusal, match="没有改动"):
        office.do(lambda session: certificates.revoke(session, made, reason, LATER, by="9001", via="cli"))
    assert office.do(lambda session: certificates.require_certificate(session, made.number)).is_valid
    assert office.audit() == []


def test_the_number_of_one_that_was_replaced_leads_to_the_new_one(office: Office) -> None:
    made = office.issue()
    facts = other(made.body.facts, name="张龑")
    new = office.do(lambda session: certificates.replace(session, made, facts, "姓名有误", LATER, by="9001", via="cli"))
    old = office.do(lambda session: certificates.require_certificate(session, made.number))
    assert (old.state, old.replaced_by, old.body) == ("replaced", new.number, made.body)
    assert (new.replaces, new.is_valid, new.body.facts.name, new.body.issued_on) == (made.id, True, "张龑", day_of(LATER))
    assert [action for _, action, _ in office.audit()] == ["换发证书", "签发证书"]
    with pytest.raises(Refusal, match=new.number):
        office.do(lambda session: certificates.replace(session, old, facts, "再换", LATER, by="9001", via="cli"))


def test_a_corrected_key_issues_replaces_takes_back_and_gives_again(office: Office) -> None:
    assert office.settle(None).act == "none"
    first = office.settle(office.facts("成绩 60 分，考试合格"))
    second = office.settle(office.facts("成绩 62 分，考试合格"))
    third = office.settle(None)
    fourth = office.settle(office.facts("成绩 61 分，考试合格"))
    assert [one.act for one in (first, second, third, fourth)] == ["issue", "replace", "revoke", "replace"]
    kept = office.do(lambda session: certificate.of_source(session, SOURCE))
    assert [one.state for one in kept] == ["replaced", "replaced", "valid"]
    assert third.after is not None
    assert third.after.state == "revoked"
    assert kept[-1].body.facts.result == "成绩 61 分，考试合格"


@pytest.mark.parametrize("passed", [True, False])
def test_settling_twice_changes_nothing_and_foreseeing_never_does(office: Office, passed: bool) -> None:
    office.issue()
    facts = office.facts("成绩 70 分，考试合格") if passed else None
    seen = office.do(lambda session: certificates.plan_change(session, office.person, SOURCE, facts))
    assert office.count() == 1
    assert office.settle(facts).act == seen.act == ("replace" if passed else "revoke")
    count, lines = office.count(), office.audit()
    assert office.settle(facts).act == "none"
    assert (office.count(), office.audit()) == (count, lines)


def test_two_who_take_back_the_same_certificate_are_told_apart(office: Office) -> None:
    made = office.issue()
    office.do(lambda session: certificates.revoke(session, made, "一", LATER, by="9001", via="cli"))
    with pytest.raises(Refusal, match="刚刚被别人改动过"):
        office.do(lambda session: certificates.revoke(session, made, "二", LATER, by="9002", via="cli"))
    assert [actor for actor, _, _ in office.audit()] == ["9001"]


def test_the_number_alone_shows_a_masked_name_and_the_code_shows_all(office: Office) -> None:
    made = office.issue()
    short = office.do(lambda session: certificates.look_up(session, made.number))
    full = office.do(lambda session: certificates.look_up(session, full_number(made.number, made.code)))
    assert short is not None
    assert full is not None
    assert (short.name, short.held, short.state) == ("张**", None, "valid")
    assert (full.name, full.held) == ("张䶮㛃", made)


def test_a_wrong_code_is_answered_like_a_number_nobody_has(office: Office) -> None:
    made = office.issue()
    wrong = "0" * 10 if made.code != "0" * 10 else "1" * 10
    for typed in (full_number(made.number, wrong), "XF-2026-000999-" + made.number[-1], "nothing"):
        assert office.do(lambda session, typed=typed: certificates.look_up(session, typed)) is None  # type: ignore[misc]


@pytest.mark.parametrize(
    "act",
    [
        "UPDATE certificate SET body = '{}'",
        "UPDATE certificate SET code = '0000000000'",
        "UPDATE certificate SET person_id = person_id",
        "UPDATE certificate SET state = 'valid', changed_at = NULL, cause = NULL",
        "DELETE FROM certificate",
    ],
)
def test_the_database_itself_keeps_a_certificates_words_and_never_makes_one_valid_again(office: Office, act: str) -> None:
    made = office.issue()
    gone = office.do(lambda session: certificates.revoke(session, made, "撤销", LATER, by="9001", via="cli"))
    with pytest.raises(DBAPIError, match=r"keeps its words|never made valid|stays"):
        office.do(lambda session: session.execute(text(act)))
    assert office.do(lambda session: certificates.require_certificate(session, made.number)) == gone


@pytest.mark.parametrize(("typed", "says"), [("XF-2026-1", "不是证书编号"), ("XF-2026-000777-F", "没有编号为|不是证书编号")])
def test_a_number_that_is_none_is_told_to_staff_with_what_is_wrong(office: Office, typed: str, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        office.do(lambda session: certificates.require_certificate(session, typed))
