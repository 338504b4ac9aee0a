"""The hash chain of the ledger as rows: its head, the entries that are not sealed yet, and the sealed entries in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.hours.entry_hash import SealedEntry, rule_text, source_text
from bot.domain.reports import ChainHead
from bot.storage.db.query import Statement, stream
from bot.storage.tables.columns import moment, stamp

# Writers on PostgreSQL commit out of order, so an entry may come to light after later ones were sealed; never after this many.
WINDOW = 100_000
_ENTRY = """l.id, p.staff_no, l.category, l.credit_seconds, l.day, l.source_kind, l.source_id, l.law, l.required, l.rule, l.rule_version,
            l.recorded_at, l.recorded_by, l.reverses"""
_HEAD = Statement("SELECT seq, hash, algorithm FROM seal ORDER BY seq DESC LIMIT 1")
_SEALED_AT = Statement("SELECT sealed_at FROM seal ORDER BY seq DESC LIMIT 1")
_FIRST = Statement("SELECT l.id, l.recorded_at FROM seal s JOIN ledger l ON l.id = s.entry_id WHERE s.seq = 1")
_NEXT_UNSEALED = Statement(
    f"""SELECT {_ENTRY} FROM ledger l JOIN person p ON p.id = l.person_id
        WHERE l.id > (SELECT COALESCE(MAX(entry_id), 0) - {WINDOW} FROM seal) AND NOT EXISTS (SELECT 1 FROM seal s WHERE s.entry_id = l.id)
        ORDER BY l.id LIMIT :top"""  # noqa: S608
)
_ADD_SEAL = Statement("INSERT INTO seal (seq, entry_id, algorithm, hash, sealed_at) VALUES (:seq, :entry_id, :algorithm, :hash, :at)")
_LOCK = Statement("SELECT pg_advisory_xact_lock(20260101)")
_CHAIN = f"""SELECT s.seq, s.entry_id, s.algorithm, s.hash, s.sealed_at, {_ENTRY}
             FROM seal s LEFT JOIN ledger l ON l.id = s.entry_id LEFT JOIN person p ON p.id = l.person_id ORDER BY s.seq"""  # noqa: S608
_UNSEALED = f"""SELECT {_ENTRY} FROM ledger l LEFT JOIN person p ON p.id = l.person_id
             WHERE NOT EXISTS (SELECT 1 FROM seal s WHERE s.entry_id = l.id) ORDER BY l.id"""  # noqa: S608
_FIRST_UNEQUAL_TOTAL = Statement(
    """SELECT p.staff_no, x.year, x.category, CAST(SUM(x.entries) AS BIGINT), CAST(SUM(x.total) AS BIGINT) FROM (
                  SELECT person_id, CAST(substr(day, 1, 4) AS INTEGER) AS year, category, SUM(credit_seconds) AS entries, 0 AS total
                  FROM ledger GROUP BY person_id, substr(day, 1, 4), category
                  UNION ALL SELECT person_id, year, category, 0, seconds FROM year_total) x
              JOIN person p ON p.id = x.person_id
              GROUP BY p.staff_no, x.year, x.category HAVING SUM(x.entries) <> SUM(x.total) ORDER BY p.staff_no, x.year, x.category LIMIT 1"""
)


@dataclass(frozen=True, slots=True)
class SealedLine:
    """A place in the chain as its row stands; `entry` is None when the ledger has no such entry any more."""

    seq: int
    entry_id: int
    algorithm: str
    hash: str
    sealed_at: datetime
    entry: SealedEntry | None


def entry_from_row(row: Any) -> SealedEntry:
    """The exported form of a row selected with the columns above."""
    entry_id, staff_no, category, seconds, day, kind, source_id, law, required, line, version, recorded_at, recorded_by, reverses = row
    source, rule = source_text(kind, source_id, law, required), rule_text(line, version)
    return SealedEntry(entry_id, staff_no or "", category, seconds, day, source, rule, recorded_at, recorded_by, reverses)


def head(session: Session) -> ChainHead | None:
    row = _HEAD.one(session)
    return None if row is None else ChainHead(*row)


def sealed_at(session: Session) -> datetime | None:
    """When the last sealing took place."""
    row = _SEALED_AT.one(session)
    return None if row is None else moment(row[0])


def salt(session: Session) -> str | None:
    """The salt of the chain's pseudonyms; None before anything is sealed."""
    row = _FIRST.one(session)
    return None if row is None else f"{row[0]}@{row[1]}"


def lock(session: Session) -> None:
    """One sealer at a time; on SQLite the writer's transaction is that already."""
    if not isinstance(session.info["raw"], sqlite3.Connection):
        _LOCK.all(session)


def next_unsealed(session: Session, top: int) -> list[SealedEntry]:
    """The next entries without a place, oldest first."""
    return [entry_from_row(row) for row in _NEXT_UNSEALED.all(session, top=top)]


def add_seal(session: Session, seq: int, entry_id: int, algorithm: str, entry_hash: str, at: datetime) -> None:
    _ADD_SEAL.run(session, seq=seq, entry_id=entry_id, algorithm=algorithm, hash=entry_hash, at=stamp(at))


def chain(session: Session) -> Iterator[SealedLine]:
    """The chain in order."""
    for seq, entry_id, algorithm, entry_hash, sealed_at, *row in stream(session, _CHAIN, {}):
        yield SealedLine(seq, entry_id, algorithm, entry_hash, moment(sealed_at), None if row[0] is None else entry_from_row(row))


def unsealed_entries(session: Session) -> Iterator[SealedEntry]:
    """Every entry that has no place."""
    for row in stream(session, _UNSEALED, {}):
        yield entry_from_row(row)


def first_unequal_total(session: Session) -> tuple[str, int, str, int, int] | None:
    """(staff_no, year, category, seconds in the ledger, seconds in the running total) of the first pair that differs."""
    row = _FIRST_UNEQUAL_TOTAL.one(session)
    return None if row is None else tuple(row)
