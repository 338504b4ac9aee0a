"""Chat accounts: the person behind an account, the locks that serialise one person's messages, and each person's preferences."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import cast

from sqlmodel import Session

from bot.domain.message import Address
from bot.domain.people.person import Learner, Preference, RoleName
from bot.storage.db.query import Statement

_LEARNER = Statement(
    """SELECT p.id, p.staff_no, p.name, p.tier,
              EXISTS (SELECT 1 FROM role r WHERE r.person_id = p.id AND r.role = 'admin'),
              EXISTS (SELECT 1 FROM role r WHERE r.person_id = p.id AND r.role = 'supervisor')
       FROM account a JOIN person p ON p.id = a.person_id
       WHERE a.channel = :channel AND a."user" = :user AND (p.left_on IS NULL OR p.left_on >= :today)"""
)
# Not `p.id = ANY(:ids) OR p.id IN (…)`: of an OR with a subquery PostgreSQL makes a filter over everybody.
_LOCK_PEOPLE = Statement(
    """SELECT p.id FROM person p WHERE p.id IN (
           SELECT unnest(CAST(:ids AS integer[])) UNION
           SELECT a.person_id FROM account a JOIN unnest(CAST(:channels AS text[]), CAST(:users AS text[])) AS w(channel, "user")
           ON a.channel = w.channel AND a."user" = w."user")
       ORDER BY p.id FOR UPDATE"""
)

_LOCK_ACCOUNT = Statement("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:account AS text), 0))")


def find_learner(session: Session, sender: Address, today: str) -> Learner | None:
    """The person bound to an account and still in office on a day (ISO text), or None."""
    row = _LEARNER.one(session, channel=sender.channel, user=sender.user, today=today)
    if row is None:
        return None
    roles = {RoleName.LEARNER}
    if row[4]:
        roles.add(RoleName.ADMIN)
    if row[5]:
        roles.add(RoleName.SUPERVISOR)
    return Learner(row[0], row[1], row[2], row[3], frozenset(roles))


def lock_unbound_account(session: Session, sender: Address) -> None:
    """PostgreSQL: one after the other for an account that nobody's row stands for yet, so that a copy at another replica sees what the first did."""
    if session.get_bind().dialect.name != "sqlite":
        _LOCK_ACCOUNT.one(session, account=f"{sender.channel}:{sender.user}")


def lock_people(session: Session, keys: Sequence[Hashable]) -> None:
    """PostgreSQL: hold the people of a batch, in order of id, so that replicas serialise one person's messages and never deadlock."""
    addresses = [key for key in keys if isinstance(key, Address)]
    ids = [key for key in keys if isinstance(key, int)]
    if addresses or ids:
        _LOCK_PEOPLE.all(session, ids=ids, channels=[a.channel for a in addresses], users=[a.user for a in addresses])


_PREFERENCE = Statement("SELECT push_at, quiet_from, quiet_to, digest, channel FROM preference WHERE person_id = :person_id")
_SAVE_PREFERENCE = Statement(
    """INSERT INTO preference (person_id, push_at, quiet_from, quiet_to, digest, channel)
       VALUES (:person_id, :push_at, :quiet_from, :quiet_to, :digest, :channel)
       ON CONFLICT (person_id) DO UPDATE SET push_at = excluded.push_at, quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to,
           digest = excluded.digest, channel = excluded.channel"""
)
_CHANNELS = Statement("SELECT channel FROM account WHERE person_id = :person_id ORDER BY channel")


def get_preference(session: Session, person_id: int) -> Preference:
    row = _PREFERENCE.one(session, person_id=person_id)
    return Preference() if row is None else Preference(row[0], row[1], row[2], bool(row[3]), row[4])


def save_preference(session: Session, person_id: int, chosen: Preference) -> None:
    _SAVE_PREFERENCE.run(
        session,
        person_id=person_id,
        push_at=chosen.push_at,
        quiet_from=chosen.quiet_from,
        quiet_to=chosen.quiet_to,
        digest=int(chosen.digest),
        channel=chosen.channel,
    )


def bound_channels(session: Session, person_id: int) -> list[str]:
    """Where a person can be reached."""
    return [row[0] for row in _CHANNELS.all(session, person_id=person_id)]


_USER = Statement('SELECT "user" FROM account WHERE channel = :channel AND person_id = :person_id')
_ANYBODY = Statement("SELECT id, name FROM person WHERE staff_no = :staff_no")


def account_of(session: Session, channel: str, person_id: int) -> str | None:
    """A person's account on a channel; None where none is bound."""
    row = _USER.one(session, channel=channel, person_id=person_id)
    return None if row is None else cast(str, row[0])


def person_by_staff_no(session: Session, staff_no: str) -> tuple[int, str] | None:
    """The id and name of whoever has or had a staff number, in office or not."""
    row = _ANYBODY.one(session, staff_no=staff_no)
    return None if row is None else (row[0], row[1])


_BY_STAFF_NO = Statement(
    """SELECT p.id, p.staff_no, p.name, p.tier FROM person p WHERE p.staff_no = :staff_no AND (p.left_on IS NULL OR p.left_on >= :today)"""
)
_ROLES = Statement("SELECT DISTINCT role FROM role WHERE person_id = :person_id")


def learner_by_staff_no(session: Session, staff_no: str, today: str) -> Learner | None:
    """The person of a staff number, still in office on a day (ISO text), with their roles; None where there is nobody."""
    row = _BY_STAFF_NO.one(session, staff_no=staff_no, today=today)
    if row is None:
        return None
    roles = {RoleName.LEARNER, *(RoleName(role) for (role,) in _ROLES.all(session, person_id=row[0]))}
    return Learner(row[0], row[1], row[2], row[3], frozenset(roles))
