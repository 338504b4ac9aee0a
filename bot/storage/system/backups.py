"""Rows of the backups that were taken, and the counts by which a restored database is compared with its backup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, union_all
from sqlmodel import Session

from bot.storage.db.query import Query, binds, columns, insert, table
from bot.storage.tables.certificate import CertificateRow
from bot.storage.tables.columns import Row
from bot.storage.tables.exam import AttemptRow
from bot.storage.tables.hours import EntryRow
from bot.storage.tables.people import PersonRow
from bot.storage.tables.study import AnswerRow
from bot.storage.tables.system import AuditRow, BackupRow

_answers, _backups, _entries = table(AnswerRow), table(BackupRow), table(EntryRow)


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


_COUNTED: dict[str, type[Row]] = {
    "people": PersonRow,
    "answers": AnswerRow,
    "entries": EntryRow,
    "attempts": AttemptRow,
    "certificates": CertificateRow,
    "audit": AuditRow,
}
_newest = union_all(
    select(func.max(_answers.c.recorded_at, type_=_answers.c.recorded_at.type).label("recorded_at")), select(func.max(_entries.c.recorded_at))
).subquery("newest")
_RECORD = Query(insert(_backups).values(binds("taken_at", "folder", "size", "sha256", "taken_by")))
_LATEST = Query(select(*columns(_backups, RecordedBackup)).order_by(_backups.c.taken_at.desc()).limit(1), gives=RecordedBackup)
_COUNTS = Query(
    select(
        *(select(func.count()).select_from(table(row)).scalar_subquery().label(name) for name, row in _COUNTED.items()),
        select(func.max(_newest.c.recorded_at)).scalar_subquery().label("last_recorded_at"),
    ),
    gives=RecordCounts,
)


def record(session: Session, taken_at: datetime, folder: str, size: int, sha256: str, by: str) -> None:
    _RECORD.run(session, taken_at=taken_at, folder=folder, size=size, sha256=sha256, taken_by=by)


def latest(session: Session) -> RecordedBackup | None:
    """The newest backup of this database; None when none was ever taken."""
    return _LATEST.first(session)


def count_records(session: Session) -> RecordCounts:
    return _COUNTS.one(session)
