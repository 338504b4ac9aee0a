"""Column types and constraints that all tables share: moments, days, flags.

Only TEXT and INTEGER are used, so that SQLite's STRICT tables and PostgreSQL hold the same values, and the statements of the answer path read the
same text from both; the numbers that FSRS computes keep their 64 bits (`float_column`). Moments are UTC with microseconds, days are days in
Asia/Shanghai; both sort as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import REAL, CheckConstraint, Double, Index, Integer, Text, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field

STRICT = {"sqlite_strict": True}
KEYED = {"sqlite_strict": True, "sqlite_with_rowid": False}
"""For short rows that are found by a key of several columns: in SQLite the key's tree holds the row, and every write touches one tree less."""


@lru_cache(maxsize=4096)
def stamp(aware: datetime) -> str:
    """An aware moment as it stands in a row: 2026-03-01T01:02:03.000004Z. The moment of a message goes into several of its rows."""
    if aware.tzinfo is None:
        raise ValueError("a naive datetime reached a row")
    utc = aware if aware.tzinfo is UTC else aware.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[:26] + "Z"


def moment(stamped: str) -> datetime:
    """The aware UTC moment of a row's text."""
    return datetime.fromisoformat(stamped)


class MomentType(TypeDecorator[datetime]):
    """Aware datetime in code, UTC text in the row."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        return None if value is None else stamp(value)

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:
        return None if value is None else moment(value)


class DayType(TypeDecorator[date]):
    """A day in Asia/Shanghai as 2026-03-01."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Any) -> str | None:
        return None if value is None else value.isoformat()

    def process_result_value(self, value: str | None, dialect: Any) -> date | None:
        return None if value is None else date.fromisoformat(value)


class FlagType(TypeDecorator[bool]):
    """True or false as 1 or 0."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Any) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Any) -> bool | None:
        return None if value is None else bool(value)


class JsonType(TypeDecorator[Any]):
    """A value of ours as JSON text: `encode` makes it a thing that JSON knows, `decode` makes it a value again.

    `frozen` says that such a value cannot be changed: the same text is then decoded once and not for every row.
    """

    impl = Text
    cache_ok = True

    def __init__(self, encode: Callable[[Any], Any], decode: Callable[[Any], Any], *, frozen: bool = False) -> None:
        super().__init__()
        self.encode, self.decode, self.frozen = encode, decode, frozen
        self._value = lru_cache(maxsize=256)(self._decode_text) if frozen else self._decode_text

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        return None if value is None else json.dumps(self.encode(value), ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        return None if value is None else self._value(value)

    def _decode_text(self, text: str) -> Any:
        return self.decode(json.loads(text))


def key_column(**more: Any) -> Any:
    return Field(default=None, sa_type=Integer, primary_key=True, **more)


def text_column(**more: Any) -> Any:
    return Field(sa_type=Text, **more)


def integer_column(**more: Any) -> Any:
    return Field(sa_type=Integer, **more)


def float_column(**more: Any) -> Any:
    return Field(sa_type=Double().with_variant(REAL(), "sqlite"), **more)


def moment_column(**more: Any) -> Any:
    return Field(sa_type=MomentType, **more)


def day_column(**more: Any) -> Any:
    return Field(sa_type=DayType, **more)


def flag_column(**more: Any) -> Any:
    return Field(sa_type=FlagType, **more)


# A CHECK is paid for by every row that is written. The pattern of a moment has 27 places and matches 27 characters, so that the length need not be
# counted; and a list of words is written out, because SQLite builds an index of a list of more than two for every statement (2.8 µs).


def is_moment(column: str) -> CheckConstraint:
    """The text of a moment has one form only; anything else would sort and compare wrongly."""
    return CheckConstraint(f"{column} LIKE '____-__-__T__:__:__.______Z'", name=f"{column}_is_a_moment")


def is_day(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} LIKE '____-__-__'", name=f"{column}_is_a_day")


def one_of(column: str, *allowed: str) -> CheckConstraint:
    return CheckConstraint(" OR ".join(f"{column} = {word!r}" for word in allowed), name=f"{column}_is_known")


def is_flag(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN (0, 1)", name=f"{column}_is_a_flag")


def unique_where_present(name: str, column: str) -> Index:
    """A unique index over a column that is mostly NULL, without the rows that have none.

    With them SQLite's planner, once it has statistics, takes the index for one in which every key has most of the table, and another for the
    narrower one: a person's record read the whole ledger for each entry.
    """
    present = text(f"{column} IS NOT NULL")
    return Index(name, column, unique=True, sqlite_where=present, postgresql_where=present)
