"""The tables of every noun, imported once; migrations are checked against `metadata`."""

from __future__ import annotations

from sqlmodel import SQLModel

from bot.storage.tables import activity, campaign, certificate, contest, delivery, exam, grading, hours, library, people, study, system

MODULES = (people, library, study, exam, contest, grading, hours, campaign, delivery, activity, certificate, system)
metadata = SQLModel.metadata

# PostgreSQL's partial indexes have the same conditions. They are said here, for who makes or compares tables, since they load PostgreSQL's dialect
# with all its drivers, which no command on SQLite waits for.
for _table in metadata.tables.values():
    for _index in _table.indexes:
        if (condition := _index.dialect_options["sqlite"]["where"]) is not None:
            _index.dialect_options["postgresql"]["where"] = condition
