"""Rows of the backups that were taken, and the counts by which a restored database is compared with its backup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_RECORD = Statement("INSERT INTO backup (taken_at, folder, size, sha256, taken_by) VALUES (:taken_at, :folder, :size, :sha256, :by)")
_LATEST = Statement("SELECT taken_at, folder, size FROM backup ORDER BY taken_at DESC LIMIT 1")
_COUNTS = Statement(
    """SELECT (SELECT COUNT(*) FROM person), (SELECT COUNT(*) FROM answer), (SELECT COUNT(*) FROM ledger), (SELECT COUNT(*) FROM attempt),
              (SELECT COUNT(*) FROM certificate), (SELECT COUNT(*) FROM audit),
              (SELECT MAX(arrived_at) FROM (SELECT MAX(recorded_at) AS arrived_at FROM answer UNION ALL SELECT MAX(recorded_at) FROM ledger) m)"""
)


@dataclass(frozen=True, slots=True)
class RecordCounts:
    """How many rows there are of what must not be lost, and when the last answer or ledger entry was recorded."""

    people: int
    answers: int
    entries: int
    attempts: int
    certificates: int
    audit: int
    last_recorded_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecordedBackup:
    """A backup that was taken: when, where, how large in bytes."""

    taken_at: datetime
    folder: str
    size: int


def record(session: Session, taken_at: datetime, folder: str, size: int, sha256: str, by: str) -> None:
    _RECORD.run(session, taken_at=stamp(taken_at), folder=folder, size=size, sha256=sha256, by=by)


def latest(session: Session) -> RecordedBackup | None:
    """The newest backup of this database; None when none was ever taken."""
    row = _LATEST.one(session)
    return None if row is None else RecordedBackup(moment(row[0]), row[1], row[2])


def count_records(session: Session) -> RecordCounts:
    people, answers, entries, attempts, certificates, audit, last = _COUNTS.one(session)
    return RecordCounts(people, answers, entries, attempts, certificates, audit, None if last is None else moment(last))
