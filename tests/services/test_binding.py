"""One-time codes: who gets one, how long it lives, what a guesser learns (nothing) and how often they may guess."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.domain.message import Address, Refusal
from bot.services.people import binding
from bot.services.people.binding import BindingAttempt, BindingCode, BindingOutcome
from bot.storage.db.database import Database
from bot.storage.people import roster
from tests.conftest import NOW, enroll

_ids = itertools.count(1)


@dataclass
class Office:
    """An office of three; `codes` hands codes out, `bind` is somebody typing one."""

    database: Database
    now: datetime = NOW

    def codes(self, unit: str = "") -> dict[str, str]:
        def issue(session: Session) -> list[BindingCode]:
            return binding.issue_codes(session, self.now, actor="cli:test", via="cli", unit=unit)

        return {one.staff_no: one.code for one in self.database.write_now(issue)}

    def bind(self, user: str, staff_no: str, code: str, channel: str = "wechat", message: str = "") -> BindingAttempt:
        message = message or f"b{next(_ids)}"
        sender = Address(channel, "app", user)
        return self.database.write_now(lambda session: binding.bind_account(session, sender, staff_no, code, message, self.now))

    def wrong(self, user: str, times: int, staff_no: str = "1001") -> list[BindingOutcome]:
        return [self.bind(user, staff_no, "00000000").outcome for _ in range(times)]

    def all(self, statement: str) -> list[tuple[object, ...]]:
        def read(session: Session) -> list[tuple[object, ...]]:
            return [tuple(row) for row in session.connection().execute(text(statement))]

        return self.database.read_now(read)


@pytest.fixture
def office(engine: Engine) -> Office:
    made = Office(Database(engine))

    def fill(session: Session) -> None:
        enroll(session, "1001", "张三", unit="某局/办公室", channel="wecom")
        enroll(session, "1002", "李四", unit="某局/法规处", channel="wecom")
        enroll(session, "1003", "王五", unit="某局/法规处/审查科", channel="wechat")

    made.database.write_now(fill)
    return made


@pytest.fixture(autouse=True)
def _never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """A code drawn at random is 00000000 once in a hundred million runs; these tests guess that one."""
    drawn = secrets.randbelow
    monkeypatch.setattr(secrets, "randbelow", lambda limit: 1 + drawn(limit - 1))


def test_codes_go_to_those_without_wechat_and_only_their_hash_stays(office: Office) -> None:
    codes = office.codes()
    assert sorted(codes) == ["1001", "1002"]
    assert all(len(code) == 8 and code.isdigit() for code in codes.values())
    kept = str(office.all("SELECT salt, hash FROM bind_code")) + str(office.all("SELECT target, detail FROM audit"))
    assert not [code for code in codes.values() if code in kept]
    assert office.all("SELECT action, target FROM audit ORDER BY id") == [("发放验证码", "1001"), ("发放验证码", "1002")]


@pytest.mark.parametrize(("unit", "got"), [("某局", ["1001", "1002"]), ("法规处", ["1002"]), ("某局/办公室/", ["1001"]), ("审查科", [])])
def test_codes_of_a_unit_go_to_its_whole_subtree(office: Office, unit: str, got: list[str]) -> None:
    assert sorted(office.codes(unit)) == got


def test_an_unknown_or_ambiguous_unit_is_refused(office: Office) -> None:
    with pytest.raises(Refusal, match="没有「外局」"):
        office.codes("外局")
    office.database.write_now(lambda session: enroll(session, "1009", unit="某局/财务处/审查科", channel="wecom"))
    with pytest.raises(Refusal, match="请写全路径"):
        office.codes("审查科")


def test_the_right_code_binds_and_names_person_and_unit(office: Office) -> None:
    done = office.bind("o-1", "1001", office.codes()["1001"])
    assert (done.outcome, done.staff_no, done.name, done.units) == (BindingOutcome.BOUND, "1001", "张三", ("某局/办公室",))
    assert office.all("""SELECT channel, "user", bound_by FROM account WHERE person_id = 1 ORDER BY id""") == [
        ("wecom", "1001", "test"),
        ("wechat", "o-1", "code"),
    ]


def test_a_code_is_good_once_and_for_ten_minutes(office: Office) -> None:
    codes = office.codes()
    office.now += timedelta(minutes=9, seconds=59)
    assert office.bind("o-1", "1001", codes["1001"]).outcome is BindingOutcome.BOUND
    assert office.bind("o-9", "1001", codes["1001"]).outcome is BindingOutcome.WRONG
    office.now += timedelta(seconds=1)
    assert office.bind("o-2", "1002", codes["1002"]).outcome is BindingOutcome.WRONG


def test_a_new_code_kills_the_old_one(office: Office) -> None:
    old, new = office.codes()["1001"], office.codes()["1001"]
    assert old != new
    assert office.bind("o-1", "1001", old).outcome is BindingOutcome.WRONG
    assert office.bind("o-1", "1001", new).outcome is BindingOutcome.BOUND


def test_a_guesser_learns_nothing_from_the_answer(office: Office) -> None:
    codes = office.codes()
    office.database.write_now(lambda session: roster.update_person(session, 2, "李四", "", None, date(2026, 3, 1)))
    guesses = [("1001", "00000000"), ("8888", "00000000"), ("1003", "00000000"), ("1002", codes["1002"])]
    said = [office.bind(f"o-{n}", staff_no, code) for n, (staff_no, code) in enumerate(guesses)]
    assert said == [BindingAttempt(BindingOutcome.WRONG)] * 4, "wrong code, no such number, no code, left yesterday with a code that lives"


def test_a_code_dies_when_five_accounts_have_used_up_their_tries_on_it(office: Office) -> None:
    code = office.codes()["1001"]
    for n in range(4):
        assert office.wrong(f"o-{n}", 5) == [BindingOutcome.WRONG] * 5
    assert office.all("SELECT tries FROM bind_code WHERE person_id = 1") == [(4,)]
    assert office.wrong("o-5", 5) == [BindingOutcome.WRONG] * 5
    assert office.bind("o-me", "1001", code).outcome is BindingOutcome.WRONG
    office.wrong("o-6", 5)
    assert office.all("SELECT tries FROM bind_code WHERE person_id = 1") == [(5,)]


def test_nobody_burns_a_colleagues_code_alone(office: Office) -> None:
    code = office.codes()["1001"]
    assert office.wrong("stranger", 5) == [BindingOutcome.WRONG] * 5
    assert office.bind("stranger", "1001", code).outcome is BindingOutcome.WAITING
    assert office.bind("o-me", "1001", code).outcome is BindingOutcome.BOUND


def test_after_five_wrong_tries_the_account_waits_even_with_the_right_code(office: Office) -> None:
    office.wrong("o-1", 4)
    assert office.bind("o-1", "8888", "00000000").wait_until == NOW + timedelta(minutes=10)
    code = office.codes()["1001"]
    waiting = office.bind("o-1", "1001", code)
    assert (waiting.outcome, waiting.wait_until) == (BindingOutcome.WAITING, NOW + timedelta(minutes=10))
    assert office.bind("o-2", "1002", "00000000").outcome is BindingOutcome.WRONG, "others need not wait"
    office.now += timedelta(minutes=10)
    assert office.bind("o-1", "1001", office.codes()["1001"]).outcome is BindingOutcome.BOUND
    assert office.all("SELECT * FROM bind_guard WHERE fails >= 5") == []


def test_the_wait_doubles_up_to_a_day_and_a_quiet_day_forgives(office: Office) -> None:
    waits = []
    for _ in range(10):
        office.wrong("o-1", 4)
        until = office.bind("o-1", "1001", "00000000").wait_until
        assert until is not None
        waits.append(int((until - office.now).total_seconds() // 60))
        office.now = until
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]
    office.now += timedelta(days=1, seconds=1)
    office.wrong("o-1", 4)
    until = office.bind("o-1", "1001", "00000000").wait_until
    assert until == office.now + timedelta(minutes=10)


def test_copies_of_a_wrong_message_count_once_and_say_the_same(office: Office) -> None:
    office.codes()
    copies = [office.bind("o-1", "1001", "00000000", message="m-1") for _ in range(4)]
    assert copies == [BindingAttempt(BindingOutcome.WRONG)] * 4
    assert office.all("SELECT fails FROM bind_guard WHERE \"user\" = 'o-1'") == [(1,)]
    office.wrong("o-1", 3)
    last = [office.bind("o-1", "1001", "00000000", message="m-5") for _ in range(4)]
    assert last == [BindingAttempt(BindingOutcome.WRONG, wait_until=NOW + timedelta(minutes=10))] * 4
    assert office.all("SELECT tries FROM bind_code WHERE person_id = 1") == [(1,)]


def test_a_second_account_for_a_person_is_refused_and_audited(office: Office) -> None:
    code = office.codes()["1001"]
    assert office.bind("other", "1001", code, channel="wecom") == BindingAttempt(BindingOutcome.PERSON_TAKEN, "1001")
    assert office.bind("o-1", "1001", code).outcome is BindingOutcome.BOUND, "the code is still good where it was meant for"
    assert ("绑定账号", "1001", "refused") in office.all("SELECT action, target, outcome FROM audit")
    assert office.all("""SELECT COUNT(*) FROM account WHERE "user" = 'other'""") == [(0,)]


def test_a_second_person_for_an_account_is_refused_whatever_the_code(office: Office) -> None:
    codes = office.codes()
    office.bind("o-1", "1001", codes["1001"])
    for code in (codes["1002"], "00000000"):
        taken = office.bind("o-1", "1002", code)
        assert (taken.outcome, taken.staff_no) == (BindingOutcome.ACCOUNT_TAKEN, "1001")
    assert office.all("SELECT actor, target FROM audit WHERE outcome = 'refused'") == [("1001", "1002")] * 2
    assert office.bind("o-2", "1002", codes["1002"]).outcome is BindingOutcome.BOUND


def test_binding_again_to_oneself_is_friendly(office: Office) -> None:
    office.bind("o-1", "1001", office.codes()["1001"])
    again = office.bind("o-1", "1001", "00000000")
    assert (again.outcome, again.name) == (BindingOutcome.ALREADY, "张三")
    assert office.all("SELECT * FROM bind_guard") == []


def test_the_account_of_somebody_who_left_passes_to_the_next(office: Office) -> None:
    office.database.write_now(lambda session: roster.update_person(session, 3, "王五", "", None, date(2026, 3, 1)))
    assert office.bind("1003", "1001", office.codes()["1001"]).outcome is BindingOutcome.BOUND
    assert office.all("""SELECT person_id FROM account WHERE channel = 'wechat' AND "user" = '1003'""") == [(1,)]


def test_a_staff_number_is_found_whatever_its_case(office: Office) -> None:
    office.database.write_now(lambda session: enroll(session, "A7", channel="wecom"))
    assert office.bind("o-7", "a7", office.codes()["A7"]).staff_no == "A7"
