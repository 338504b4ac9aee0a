"""What the command `doctor` asks of the database: who is there, what was heard last, what is not sealed, what was not delivered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, exists, func, inspect, or_, select, text
from sqlmodel import Session

from bot.storage.db.engine import is_sqlite
from bot.storage.db.query import Query, bind, table
from bot.storage.tables.columns import moment
from bot.storage.tables.delivery import DeliveryRow
from bot.storage.tables.hours import EntryRow, SealRow
from bot.storage.tables.people import AccountRow, PersonRow, RoleRow
from bot.storage.tables.system import InboxRow

_people, _roles, _accounts, _inbox = table(PersonRow), table(RoleRow), table(AccountRow), table(InboxRow)
_entries, _seals, _deliveries = table(EntryRow), table(SealRow), table(DeliveryRow)

_IN_SERVICE = or_(_people.c.left_on.is_(None), _people.c.left_on >= bind("today"))
_PEOPLE = Query(select(func.count()).select_from(_people).where(_IN_SERVICE), gives=int)
_ADMINISTRATORS = Query(
    select(func.count()).select_from(_people).where(_IN_SERVICE, exists().where(_roles.c.person_id == _people.c.id, _roles.c.role == "admin")),
    gives=int,
)
_BOUND = Query(select(func.count(_accounts.c.person_id.distinct())).where(_accounts.c.channel != "local"), gives=int)
_HEARD = Query(select(func.max(_inbox.c.arrived_at)), gives=datetime)
_UNSEALED = Query(
    select(func.count().label("entries"), func.min(_entries.c.recorded_at).label("since")).where(~exists().where(_seals.c.entry_id == _entries.c.id)),
    gives=tuple,
)
_UNDELIVERED = Query(
    select(func.count()).select_from(_deliveries).where(_deliveries.c.state.in_(("failed", "unknown")), _deliveries.c.created_at >= bind("since")),
    gives=int,
)


@dataclass(frozen=True, slots=True)
class Headcount:
    """How many people are in service, how many of them administrate, and how many have bound an account of a platform."""

    people: int
    administrators: int
    bound: int


def headcount(session: Session, today: date) -> Headcount:
    return Headcount(_PEOPLE.one(session, today=today), _ADMINISTRATORS.one(session, today=today), _BOUND.one(session))


def last_heard(session: Session) -> datetime | None:
    """When the last message arrived that is still in the inbox."""
    return _HEARD.one(session)


def unsealed(session: Session) -> tuple[int, datetime | None]:
    """How many ledger entries stand outside the hash chain, and since when the oldest of them does."""
    entries, since = _UNSEALED.one(session)
    return entries, since if since is None or isinstance(since, datetime) else moment(since)


def undelivered(session: Session, since: datetime) -> int:
    """How many deliveries made since then failed or may have failed."""
    return _UNDELIVERED.one(session, since=since)


# ── The database itself ──


def server_clock(session: Session) -> datetime | None:
    """PostgreSQL's clock; None on SQLite, which has none of its own."""
    return None if is_sqlite(session.get_bind().engine) else session.execute(text("SELECT clock_timestamp()")).scalar_one()


def durability_fault(session: Session) -> str:
    """The setting of the database by which a committed row could be lost, with its value; empty when there is none."""
    if is_sqlite(session.get_bind().engine):
        journal = str(session.execute(text("PRAGMA journal_mode")).scalar_one())
        return "" if journal == "wal" else f"journal_mode={journal}"
    for name, good in (("fsync", ("on",)), ("synchronous_commit", ("on", "remote_apply", "remote_write", "local")), ("full_page_writes", ("on",))):
        value = str(session.execute(text(f"SHOW {name}")).scalar_one())
        if value not in good:
            return f"{name}={value}"
    return ""


def free_connections(session: Session) -> int | None:
    """How many more connections PostgreSQL takes; None on SQLite."""
    if is_sqlite(session.get_bind().engine):
        return None
    return int(
        session.execute(
            text("SELECT current_setting('max_connections')::int - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')")
        ).scalar_one()
    )


def guarded_tables(connection: Connection) -> set[str]:
    """The tables that have a trigger: what is recorded in them can be neither changed nor deleted."""
    if is_sqlite(connection.engine):
        statement = "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'trigger'"
    else:
        statement = "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'"
    return {row[0] for row in connection.execute(text(statement))} & set(inspect(connection).get_table_names())
