"""Chat accounts: the person behind an account, the codes that bind the two, the locks that serialise one person's messages, and preferences."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Text, and_, case, cast, delete, exists, func, select, type_coerce, union, update
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session

from bot.domain.message import Address
from bot.domain.people.person import Learner, Preference, RoleName
from bot.storage.db.engine import is_sqlite_session
from bot.storage.db.query import Query, bind, binds, columns, insert, replacing, table
from bot.storage.people.roster import held_today, in_office, within
from bot.storage.tables.people import AccountRow, BindCodeRow, BindGuardRow, PersonRow, PostRow, PreferenceRow, RoleRow, UnitRow

_accounts, _codes, _guards, _people, _posts, _preferences, _roles, _units = (
    table(row) for row in (AccountRow, BindCodeRow, BindGuardRow, PersonRow, PostRow, PreferenceRow, RoleRow, UnitRow)
)


# ── Who speaks ──

_ROLE_SETS = tuple(
    frozenset({RoleName.LEARNER, *([RoleName.ADMIN] if number & 1 else []), *([RoleName.SUPERVISOR] if number & 2 else [])}) for number in range(4)
)


class _RolesType(TypeDecorator[frozenset[RoleName]]):
    """Somebody's roles as a number: one for an administrator, two for a supervisor, their sum for both."""

    impl = Integer
    cache_ok = True

    def process_result_value(self, value: int | None, dialect: Any) -> frozenset[RoleName]:
        return _ROLE_SETS[value or 0]


def _if_role(role: str, number: int) -> ColumnElement[int]:
    return case((exists().where(_roles.c.person_id == _people.c.id, _roles.c.role == role), number), else_=0)


_SELECT_LEARNER = select(*columns(_people, Learner, roles=type_coerce(_if_role("admin", 1) + _if_role("supervisor", 2), _RolesType))).where(
    in_office()
)
_LEARNER = Query(
    _SELECT_LEARNER.join_from(_accounts, _people, _people.c.id == _accounts.c.person_id).where(
        _accounts.c.channel == bind("channel"), _accounts.c.user == bind("user")
    ),
    gives=Learner,
)
_BY_STAFF_NO = Query(_SELECT_LEARNER.where(_people.c.staff_no == bind("staff_no")), gives=Learner)
_ANYBODY = Query(select(_people.c.id, _people.c.name).where(_people.c.staff_no == bind("staff_no")), gives=tuple[int, str])


def find_learner(session: Session, sender: Address, today: date) -> Learner | None:
    """The person bound to an account and still in office on a day, with their roles; or None."""
    return _LEARNER.first(session, channel=sender.channel, user=sender.user, today=today)


def learner_by_staff_no(session: Session, staff_no: str, today: date) -> Learner | None:
    """The person of a staff number, still in office on a day, with their roles; None where there is nobody."""
    return _BY_STAFF_NO.first(session, staff_no=staff_no, today=today)


def person_by_staff_no(session: Session, staff_no: str) -> tuple[int, str] | None:
    """The id and name of whoever has or had a staff number, in office or not."""
    return _ANYBODY.first(session, staff_no=staff_no)


# ── Locks, which only PostgreSQL needs ──

_numbered = _people.alias("numbered")
# Lists, of which PostgreSQL sees how long they are, and no table of them, for which it would read everybody (4.0 ms where this takes 1.0); and not
# `id IN (…) OR id IN (SELECT …)`, of which it makes a filter over everybody.
_LOCK_PEOPLE = Query(
    select(_people.c.id)
    .where(
        _people.c.id.in_(
            union(
                select(_numbered.c.id).where(_numbered.c.id.in_(bind("people"))),
                select(_accounts.c.person_id).where(
                    _accounts.c.channel.in_(bind("channels")),
                    _accounts.c.user.in_(bind("users")),
                    _accounts.c.channel.concat(":").concat(_accounts.c.user).in_(bind("addresses")),
                ),
            )
        )
    )
    .order_by(_people.c.id)
    .with_for_update(),
    gives=int,
)
_LOCK_ACCOUNT = Query(select(func.pg_advisory_xact_lock(func.hashtextextended(cast(bind("account"), Text), 0))))


def lock_unbound_account(session: Session, sender: Address) -> None:
    """PostgreSQL: one after the other for an account that nobody's row stands for yet, so that a copy at another replica sees what the first did."""
    if not is_sqlite_session(session):
        _LOCK_ACCOUNT.first(session, account=f"{sender.channel}:{sender.user}")


def lock_people(session: Session, keys: Sequence[Hashable]) -> None:
    """PostgreSQL: hold the people of a batch, in order of id, so that replicas serialise one person's messages and never deadlock."""
    senders = [key for key in keys if isinstance(key, Address)]
    people = [key for key in keys if isinstance(key, int)]
    if senders or people:
        _LOCK_PEOPLE.all(
            session,
            people=people,
            channels={sender.channel for sender in senders},
            users=[sender.user for sender in senders],
            addresses=[f"{sender.channel}:{sender.user}" for sender in senders],
        )


# ── Accounts ──


@dataclass(frozen=True, slots=True)
class AccountHolder:
    """Whose an account is, in office or not."""

    id: int
    staff_no: str
    name: str
    left_on: date | None


_IS_ACCOUNT = (_accounts.c.channel == bind("channel")) & (_accounts.c.user == bind("user"))
_HOLDER = Query(
    select(*columns(_people, AccountHolder)).join_from(_accounts, _people, _people.c.id == _accounts.c.person_id).where(_IS_ACCOUNT),
    gives=AccountHolder,
)
_ACCOUNT_OF = Query(
    select(_accounts.c.user).where(_accounts.c.channel == bind("channel"), _accounts.c.person_id == bind("person_id")),
    gives=str,
)
_CHANNELS = Query(select(_accounts.c.channel).where(_accounts.c.person_id == bind("person_id")).order_by(_accounts.c.channel), gives=str)
_BIND = Query(insert(_accounts).values(binds("channel", "user", "person_id", "bound_at", "bound_by")))
_UNBIND = Query(delete(_accounts).where(_IS_ACCOUNT))


def account_holder(session: Session, channel: str, user: str) -> AccountHolder | None:
    return _HOLDER.first(session, channel=channel, user=user)


def account_of(session: Session, channel: str, person_id: int) -> str | None:
    return _ACCOUNT_OF.first(session, channel=channel, person_id=person_id)


def bound_channels(session: Session, person_id: int) -> list[str]:
    """Where a person can be reached."""
    return _CHANNELS.all(session, person_id=person_id)


def bind_account(session: Session, channel: str, user: str, person_id: int, now: datetime, bound_by: str) -> None:
    _BIND.run(session, channel=channel, user=user, person_id=person_id, bound_at=now, bound_by=bound_by)


def unbind_account(session: Session, channel: str, user: str) -> None:
    _UNBIND.run(session, channel=channel, user=user)


# ── Binding codes ──


class PersonName(NamedTuple):
    """Somebody as lists name them."""

    id: int
    staff_no: str
    name: str


@dataclass(frozen=True, slots=True)
class CodeClaim:
    """Whom a staff number names, with the salt and hash of the code that still lives (None without one)."""

    person_id: int
    staff_no: str
    salt: str | None
    hash: str | None


_WITHOUT_WECHAT = (
    select(_people.c.id, _people.c.staff_no, _people.c.name)
    .where(in_office(), ~exists().where(_accounts.c.person_id == _people.c.id, _accounts.c.channel == "wechat"))
    .order_by(_people.c.staff_no)
)
_ALL_WITHOUT_WECHAT = Query(_WITHOUT_WECHAT, gives=PersonName)
_WITHOUT_WECHAT_IN_UNIT = Query(
    _WITHOUT_WECHAT.where(
        exists()
        .select_from(_posts.join(_units, _units.c.id == _posts.c.unit_id))
        .where(_posts.c.person_id == _people.c.id, held_today(), within(bind("path", Text)))
    ),
    gives=PersonName,
)
_SAVE_CODE = Query(
    replacing(
        insert(_codes).values(binds("person_id", "salt", "hash", "made_at", "expires_at") | {"tries": 0, "used_at": None}),
        ["person_id"], "salt", "hash", "made_at", "expires_at", "tries", "used_at",
    )
)  # fmt: skip
_CODE_CLAIM = Query(
    select(_people.c.id.label("person_id"), _people.c.staff_no, _codes.c.salt, _codes.c.hash)
    .select_from(
        _people.outerjoin(
            _codes,
            and_(_codes.c.person_id == _people.c.id, _codes.c.used_at.is_(None), _codes.c.expires_at > bind("now"), _codes.c.tries < bind("most")),
        )
    )
    .where(_people.c.staff_no.in_([bind("staff_no"), bind("upper"), bind("lower")]), in_office())
    .order_by((_people.c.staff_no == bind("staff_no")).desc())
    .limit(1),
    gives=CodeClaim,
)
_LOCK_PERSON = Query(select(_people.c.id).where(_people.c.id == bind("id")).with_for_update(), gives=int)
_IS_LIVE_CODE = (_codes.c.person_id == bind("person_id")) & _codes.c.used_at.is_(None)
_COUNT_TRY = Query(update(_codes).values(tries=_codes.c.tries + 1).where(_IS_LIVE_CODE, _codes.c.tries < bind("most")))
_USE_CODE = Query(update(_codes).values(used_at=bind("now")).where(_IS_LIVE_CODE))
_DELETE_CODE = Query(delete(_codes).where(_codes.c.person_id == bind("person_id")))


def people_without_wechat(session: Session, today: date, path: str | None = None) -> list[PersonName]:
    """Those in office who have no WeChat account bound; of a unit's whole subtree when `path` is given."""
    if path is None:
        return _ALL_WITHOUT_WECHAT.all(session, today=today)
    return _WITHOUT_WECHAT_IN_UNIT.all(session, today=today, path=path)


def save_code(session: Session, person_id: int, salt: str, digest: str, now: datetime, expires_at: datetime) -> None:
    """Keep a code's hash; the code before it is gone."""
    _SAVE_CODE.run(session, person_id=person_id, salt=salt, hash=digest, made_at=now, expires_at=expires_at)


def find_code_claim(session: Session, staff_no: str, now: datetime, today: date, most: int) -> CodeClaim | None:
    """The claim to a staff number of somebody in office on the day; codes with `most` wrong guesses are dead."""
    values = {"staff_no": staff_no, "upper": staff_no.upper(), "lower": staff_no.lower(), "now": now, "today": today, "most": most}
    claim = _CODE_CLAIM.first(session, **values)
    if claim is not None and not is_sqlite_session(session):
        # Two replicas with two accounts and one code: the second waits here, then reads what the first left.
        _LOCK_PERSON.one(session, id=claim.person_id)
        claim = _CODE_CLAIM.first(session, **values)
    return claim


def count_wrong_guess(session: Session, person_id: int, most: int) -> None:
    """One wrong guess at a person's code."""
    _COUNT_TRY.run(session, person_id=person_id, most=most)


def use_code(session: Session, person_id: int, now: datetime) -> bool:
    """True for the one caller that spent the code."""
    return _USE_CODE.run(session, person_id=person_id, now=now) == 1


def delete_code(session: Session, person_id: int) -> None:
    _DELETE_CODE.run(session, person_id=person_id)


@dataclass(frozen=True, slots=True)
class BindingGuard:
    """How often an account guessed wrong, until when it waits, and the last message that was counted."""

    fails: int = 0
    wait_until: datetime | None = None
    last_message_id: str = ""


_IS_GUARDED = (_guards.c.channel == bind("channel")) & (_guards.c.user == bind("user"))
_GUARD = Query(select(*columns(_guards, BindingGuard, last_message_id=_guards.c.heard)).where(_IS_GUARDED), gives=BindingGuard)
_SAVE_GUARD = Query(
    replacing(
        insert(_guards).values(binds("channel", "user", "fails", "wait_until") | {"heard": bind("last_message_id")}),
        ["channel", "user"], "fails", "wait_until", "heard",
    )
)  # fmt: skip
_DELETE_GUARD = Query(delete(_guards).where(_IS_GUARDED))


def get_guard(session: Session, channel: str, user: str) -> BindingGuard:
    return _GUARD.first(session, channel=channel, user=user) or BindingGuard()


def save_guard(session: Session, channel: str, user: str, guard: BindingGuard) -> None:
    _SAVE_GUARD.run(session, channel=channel, user=user, **asdict(guard))


def delete_guard(session: Session, channel: str, user: str) -> None:
    _DELETE_GUARD.run(session, channel=channel, user=user)


# ── Preferences ──

_CHOICES = tuple(field.name for field in fields(Preference))
_PREFERENCE = Query(select(*columns(_preferences, Preference)).where(_preferences.c.person_id == bind("person_id")), gives=Preference)
_SAVE_PREFERENCE = Query(replacing(insert(_preferences).values(binds("person_id", *_CHOICES)), ["person_id"], *_CHOICES))


def get_preference(session: Session, person_id: int) -> Preference:
    return _PREFERENCE.first(session, person_id=person_id) or Preference()


def save_preference(session: Session, person_id: int, chosen: Preference) -> None:
    _SAVE_PREFERENCE.run(session, person_id=person_id, **asdict(chosen))
