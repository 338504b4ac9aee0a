"""Binding chat accounts to people: one-time codes are issued to people on the roster, and the account that presents a code is bound.

See bot/docs/rules.md S01 and S02.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum

from sqlmodel import Session

from bot.domain.message import Address, Refusal
from bot.domain.times import day_of
from bot.storage.people import accounts, roster
from bot.storage.people.accounts import AccountHolder, BindingGuard, CodeClaim
from bot.storage.system import audit

CODE_DIGITS = 8
CODE_LIFETIME = timedelta(minutes=10)
MAX_TRIES = 5
FIRST_WAIT = timedelta(minutes=10)
MAX_WAIT = timedelta(days=1)
BY_CODE = "code"
"""`bound_by` of an account that its owner bound in chat."""


@dataclass(frozen=True, slots=True)
class BindingCode:
    """A code as it is handed out, once; only its hash stays."""

    staff_no: str
    name: str
    code: str
    expires_at: datetime


class BindingOutcome(Enum):
    """What came of an attempt to bind. Everything that a guesser could learn from is one and the same WRONG."""

    BOUND = "bound"
    ALREADY = "already"
    WRONG = "wrong"
    WAITING = "waiting"
    ACCOUNT_TAKEN = "account taken"
    PERSON_TAKEN = "person taken"


@dataclass(frozen=True, slots=True)
class BindingAttempt:
    """An attempt's outcome; the person where the sender has proved to know them; until when to wait after too many wrong ones."""

    outcome: BindingOutcome
    staff_no: str = ""
    name: str = ""
    units: tuple[str, ...] = ()
    wait_until: datetime | None = None


def issue_codes(session: Session, now: datetime, *, actor: str, via: str, unit: str = "", lifetime: timedelta = CODE_LIFETIME) -> list[BindingCode]:
    """A fresh code for everybody in office without a WeChat account (of a unit's subtree, when named); their old codes are dead.

    Raises `Refusal` when no unit, or more than one, has the name.
    """
    today = day_of(now)
    path = _unit_path(session, unit) if unit else None
    codes: list[BindingCode] = []
    for person_id, staff_no, name in accounts.people_without_wechat(session, today, path):
        code, salt = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}", secrets.token_hex(16)
        accounts.save_code(session, person_id, salt, _digest(salt, code), now, now + lifetime)
        codes.append(BindingCode(staff_no, name, code, now + lifetime))
        audit.record(session, now, actor, via, "发放验证码", staff_no)
    return codes


def _unit_path(session: Session, unit: str) -> str:
    paths = roster.find_unit_paths(session, unit.strip().strip("/"))
    if not paths:
        raise Refusal(f"没有「{unit[:80]}」这个单位，请写全路径，例如 某局/办公室。")
    exact = [path for path in paths if path == unit.strip().strip("/")]
    if len(paths) > 1 and not exact:
        raise Refusal(f"叫「{unit[:80]}」的单位有 {len(paths)} 个，请写全路径：{'、'.join(paths[:10])}")
    return (exact or paths)[0]


def _digest(salt: str, code: str) -> str:
    # Fast on purpose: it runs on the one writer, where a slow hash would let strangers stop the service. Eight digits fall to anyone who holds
    # the table whatever the hash; what protects them is that they are worthless after a while (ten minutes, or what the operator has set).
    return hashlib.sha256(f"{salt}:{code}".encode()).hexdigest()


def bind_account(session: Session, sender: Address, staff_no: str, code: str, message_id: str, now: datetime) -> BindingAttempt:
    """Try to bind an account. Never raises for a wrong guess: the guess must be counted, so the transaction has to commit.

    `staff_no` and `code` are tidied text. A copy of the message counted last is not counted again.
    """
    today = day_of(now)
    holder = accounts.account_holder(session, sender.channel, sender.user)
    if holder is not None and (holder.left_on is None or holder.left_on >= today):
        return _answer_bound_account(session, sender, holder, staff_no, now)
    guard = accounts.get_guard(session, sender.channel, sender.user)
    is_waiting = guard.wait_until is not None and now < guard.wait_until
    if guard.last_message_id == message_id:
        return BindingAttempt(BindingOutcome.WRONG, wait_until=guard.wait_until if is_waiting else None)
    if is_waiting:
        return BindingAttempt(BindingOutcome.WAITING, wait_until=guard.wait_until)
    claim = accounts.find_code_claim(session, staff_no, now, today, MAX_TRIES)
    if not _code_matches(claim, code) or claim is None:
        return _count_wrong_guess(session, sender, guard, None if claim is None else claim.person_id, message_id, now)
    person_id, staff_no = claim.person_id, claim.staff_no
    if accounts.account_of(session, sender.channel, person_id) is not None:
        audit.record(session, now, staff_no, sender.channel, "绑定账号", staff_no, outcome="refused", detail="此人在该渠道已绑定另一个账号")
        return BindingAttempt(BindingOutcome.PERSON_TAKEN, staff_no)
    if holder is not None:
        accounts.unbind_account(session, sender.channel, sender.user)
        audit.record(session, now, "system", sender.channel, "解绑账号", holder.staff_no, detail="原持有人已离职，账号改绑他人")
    accounts.use_code(session, person_id, now)
    accounts.bind_account(session, sender.channel, sender.user, person_id, now, BY_CODE)
    accounts.delete_guard(session, sender.channel, sender.user)
    audit.record(session, now, staff_no, sender.channel, "绑定账号", staff_no)
    return _attempt_with_person(session, BindingOutcome.BOUND, person_id, staff_no, today)


def _code_matches(claim: CodeClaim | None, code: str) -> bool:
    """Constant time, and the same work whether or not there is such a person or such a code."""
    salt, digest = (claim.salt, claim.hash) if claim is not None else (None, None)
    same = hmac.compare_digest(_digest(salt or "0" * 32, code), digest or "0" * 64)
    return same and digest is not None


def _answer_bound_account(session: Session, sender: Address, holder: AccountHolder, staff_no: str, now: datetime) -> BindingAttempt:
    """The account speaks for somebody in office: friendly to the same person, a no to another, whatever the code."""
    if staff_no.casefold() == holder.staff_no.casefold():
        return _attempt_with_person(session, BindingOutcome.ALREADY, holder.id, holder.staff_no, day_of(now))
    audit.record(session, now, holder.staff_no, sender.channel, "绑定账号", staff_no[:40], outcome="refused", detail="账号已绑定本人，不能再绑他人")
    return BindingAttempt(BindingOutcome.ACCOUNT_TAKEN, holder.staff_no, holder.name)


def _count_wrong_guess(
    session: Session, sender: Address, guard: BindingGuard, person_id: int | None, message_id: str, now: datetime
) -> BindingAttempt:
    if guard.wait_until is not None and now - guard.wait_until > MAX_WAIT:
        guard = BindingGuard()
    fails = guard.fails + 1
    # The guesser is counted first: a stranger who has used up their own tries has used one of the code's, so that nobody burns a colleague's alone.
    if person_id is not None and fails % MAX_TRIES == 0:
        accounts.count_wrong_guess(session, person_id, MAX_TRIES)
    wait_until = guard.wait_until
    if fails % MAX_TRIES == 0:
        wait_until = now + min(FIRST_WAIT * 2 ** min(fails // MAX_TRIES - 1, 10), MAX_WAIT)
        audit.record(
            session, now, "system", sender.channel, "绑定账号", outcome="refused", detail=f"同一账号连续 {fails} 次不对，暂停到 {wait_until:%H:%M}Z"
        )
    accounts.save_guard(session, sender.channel, sender.user, BindingGuard(fails, wait_until, message_id[:300]))
    return BindingAttempt(BindingOutcome.WRONG, wait_until=wait_until if fails % MAX_TRIES == 0 else None)


def _attempt_with_person(session: Session, outcome: BindingOutcome, person_id: int, staff_no: str, today: date) -> BindingAttempt:
    holder_name = roster.name_of(session, person_id)
    return BindingAttempt(outcome, staff_no, holder_name, tuple(roster.unit_paths_of(session, person_id, today)))
