"""The hash chain of the ledger as rows: its head, the entries that are not sealed yet, and the sealed entries in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Integer, Select, Text, cast, exists, func, literal, select, type_coerce, union_all
from sqlmodel import Session

from bot.domain.hours.entry_hash import SealedEntry, rule_text, source_text
from bot.domain.reports import ChainHead
from bot.storage.db.engine import is_sqlite_session
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.hours import EntryRow, SealRow, YearTotalRow
from bot.storage.tables.people import PersonRow

_entries, _people, _seals, _years = table(EntryRow), table(PersonRow), table(SealRow), table(YearTotalRow)

# Writers on PostgreSQL commit out of order, so an entry may come to light after later ones were sealed; never after this many.
WINDOW = 100_000


@dataclass(slots=True)
class SealedLine:
    """A place in the chain as its row stands; `entry` is None when the ledger has no such entry any more."""

    seq: int
    entry_id: int
    algorithm: str
    hash: str
    sealed_at: datetime
    entry: SealedEntry | None = None


@dataclass(frozen=True, slots=True)
class _StoredEntry:
    """An entry of the ledger; its day and its moment as the text that is hashed."""

    id: int
    staff_no: str | None
    category: str
    credit_seconds: int
    day: str
    source_kind: str
    source_id: str
    law: str
    required: int
    rule: str
    rule_version: int
    recorded_at: str
    recorded_by: str
    reverses: int | None

    def exported(self) -> SealedEntry:
        return SealedEntry(
            self.id,
            self.staff_no or "",
            self.category,
            self.credit_seconds,
            self.day,
            source_text(self.source_kind, self.source_id, self.law, self.required),
            rule_text(self.rule, self.rule_version),
            self.recorded_at,
            self.recorded_by,
            self.reverses,
        )


_ENTRY = columns(
    _entries,
    _StoredEntry,
    staff_no=_people.c.staff_no,
    day=type_coerce(_entries.c.day, Text),
    required=type_coerce(_entries.c.required, Integer),
    recorded_at=type_coerce(_entries.c.recorded_at, Text),
)
_NEWEST = _seals.c.seq.desc()
_HEAD = Query(select(*columns(_seals, ChainHead)).order_by(_NEWEST).limit(1), gives=ChainHead)
_SEALED_AT = Query(select(_seals.c.sealed_at).order_by(_NEWEST).limit(1), gives=datetime)
_FIRST = Query(
    select(_entries.c.id, type_coerce(_entries.c.recorded_at, Text))
    .join_from(_seals, _entries, _entries.c.id == _seals.c.entry_id)
    .where(_seals.c.seq == 1),
    gives=tuple[int, str],
)
_IS_UNSEALED = ~exists().where(_seals.c.entry_id == _entries.c.id)
_LAST_SEALED = select(func.coalesce(func.max(_seals.c.entry_id), 0)).scalar_subquery()
_NEXT_UNSEALED = Query(
    select(*_ENTRY)
    .join_from(_entries, _people, _people.c.id == _entries.c.person_id)
    .where(_entries.c.id > _LAST_SEALED - WINDOW, _IS_UNSEALED)
    .order_by(_entries.c.id)
    .limit(bind("top")),
    gives=_StoredEntry,
)
_ADD_SEAL = Query(insert(_seals).values(binds("seq", "entry_id", "algorithm", "hash", "sealed_at")))
_LOCK = Query(select(func.pg_advisory_xact_lock(20260101)))
_CHAIN = Query(
    select(*(_seals.c[name] for name in ("seq", "entry_id", "algorithm", "hash", "sealed_at")), *_ENTRY)
    .select_from(_seals.outerjoin(_entries, _entries.c.id == _seals.c.entry_id).outerjoin(_people, _people.c.id == _entries.c.person_id))
    .order_by(_seals.c.seq),
    gives=(SealedLine, _StoredEntry | None),
)
_UNSEALED = Query(
    select(*_ENTRY).select_from(_entries.outerjoin(_people, _people.c.id == _entries.c.person_id)).where(_IS_UNSEALED).order_by(_entries.c.id),
    gives=_StoredEntry,
)


def _unequal_totals() -> Select[tuple[str, int, str, int, int]]:
    """Seconds of the ledger beside those of the running totals, a person, year and category a row, where they differ."""
    year = func.substr(_entries.c.day, 1, 4)
    sums = union_all(
        select(
            _entries.c.person_id,
            cast(year, Integer).label("year"),
            _entries.c.category,
            func.sum(_entries.c.credit_seconds).label("entries"),
            literal(0).label("total"),
        ).group_by(_entries.c.person_id, year, _entries.c.category),
        select(_years.c.person_id, _years.c.year, _years.c.category, literal(0), _years.c.seconds),
    ).subquery("sums")
    entries, total = func.sum(sums.c.entries), func.sum(sums.c.total)
    place = (_people.c.staff_no, sums.c.year, sums.c.category)
    return (
        select(*place, cast(entries, BigInteger), cast(total, BigInteger))
        .join_from(sums, _people, _people.c.id == sums.c.person_id)
        .group_by(*place)
        .having(entries != total)
        .order_by(*place)
        .limit(1)
    )


_FIRST_UNEQUAL_TOTAL = Query(_unequal_totals(), gives=tuple[str, int, str, int, int])


def head(session: Session) -> ChainHead | None:
    return _HEAD.first(session)


def sealed_at(session: Session) -> datetime | None:
    """When the last sealing took place."""
    return _SEALED_AT.first(session)


def salt(session: Session) -> str | None:
    """The salt of the chain's pseudonyms; None before anything is sealed."""
    first = _FIRST.first(session)
    return None if first is None else f"{first[0]}@{first[1]}"


def lock(session: Session) -> None:
    """One sealer at a time; on SQLite the writer's transaction is that already."""
    if not is_sqlite_session(session):
        _LOCK.first(session)


def next_unsealed(session: Session, top: int) -> list[SealedEntry]:
    """The next entries without a place, oldest first."""
    return [stored.exported() for stored in _NEXT_UNSEALED.all(session, top=top)]


def add_seal(session: Session, seq: int, entry_id: int, algorithm: str, entry_hash: str, at: datetime) -> None:
    _ADD_SEAL.run(session, seq=seq, entry_id=entry_id, algorithm=algorithm, hash=entry_hash, sealed_at=at)


def chain(session: Session) -> Iterator[SealedLine]:
    """The chain in order."""
    for line, stored in _CHAIN.stream(session):
        line.entry = None if stored is None else stored.exported()
        yield line


def unsealed_entries(session: Session) -> Iterator[SealedEntry]:
    """Every entry that has no place."""
    return (stored.exported() for stored in _UNSEALED.stream(session))


def first_unequal_total(session: Session) -> tuple[str, int, str, int, int] | None:
    """(staff_no, year, category, seconds in the ledger, seconds in the running total) of the first pair that differs."""
    return _FIRST_UNEQUAL_TOTAL.first(session)
