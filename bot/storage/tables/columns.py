"""Column types and constraints that all tables share: moments, days, flags.

Only TEXT and INTEGER are used, so that SQLite's STRICT tables and PostgreSQL hold the same values, and the statements of the answer path read the
same text from both; the numbers that FSRS computes keep their 64 bits (`float_column`). Moments are UTC with microseconds, days are days in
Asia/Shanghai; both sort as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Any, Self, cast

from sqlalchemy import REAL, BigInteger, CheckConstraint, Column, Double, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel
from sqlmodel.main import SQLModelMetaclass

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


def _stamp_or_none(aware: datetime | None) -> str | None:
    return None if aware is None else stamp(aware)


def _moment_or_none(stamped: str | None) -> datetime | None:
    return None if stamped is None else datetime.fromisoformat(stamped)


class MomentType(TypeDecorator[datetime]):
    """Aware datetime in code, UTC text in the row."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        return _stamp_or_none(value)

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:
        return None if value is None else moment(value)

    def bind_processor(self, dialect: Any) -> Callable[[Any], str | None]:
        """Past SQLAlchemy's wrappers, which cost more than the work (0.1 s in 300,000 values)."""
        return _stamp_or_none

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], datetime | None]:
        return _moment_or_none


def _day_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


class DayType(TypeDecorator[date]):
    """A day in Asia/Shanghai as 2026-03-01."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Any) -> str | None:
        return _day_text(value)

    def process_result_value(self, value: str | None, dialect: Any) -> date | None:
        return None if value is None else date.fromisoformat(value)

    def bind_processor(self, dialect: Any) -> Callable[[Any], str | None]:
        return _day_text


_FLAGS = {None: None, 0: False, 1: True}
_NUMBERS = {None: None, False: 0, True: 1}


class FlagType(TypeDecorator[bool]):
    """True or false as 1 or 0."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Any) -> int | None:
        return _NUMBERS[value]

    def process_result_value(self, value: int | None, dialect: Any) -> bool | None:
        return _FLAGS[value]

    def bind_processor(self, dialect: Any) -> Callable[[Any], int | None]:
        return _NUMBERS.__getitem__

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], bool | None]:
        return _FLAGS.__getitem__


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


class RowMeta(type):
    """Makes the table of a row class from its columns, and its SQLModel class, for objects, when somebody first wants one.

    The service runs statements over the tables and maps no object; seventy pydantic models and mappers would be a third of a command's start.
    """

    __table__: Table

    def __new__(cls, name: str, bases: tuple[type, ...], declared: dict[str, Any]) -> RowMeta:
        columns: dict[str, Column[Any]] = {column: declared.pop(column) for column in declared.get("__annotations__", ())}
        row = super().__new__(cls, name, bases, declared)
        for column_name, column in columns.items():
            column.key = column.name = column_name
            column.nullable = not column.primary_key and declared["__annotations__"][column_name].endswith(" | None")
        if columns:
            *rules, options = declared["__table_args__"]
            row.__table__ = Table(declared["__tablename__"], SQLModel.metadata, *columns.values(), *rules, **options)
        return row

    @property
    def model(cls) -> Any:
        """The SQLModel class over this very table."""
        return _model(cls)


@cache
def _model(row: RowMeta) -> Any:
    fields = {column.key: Field(default=_default_of(column), sa_column=column) for column in row.__table__.c}
    annotations = dict.fromkeys(fields, Any)
    declared = {"__module__": row.__module__, "__doc__": row.__doc__, "__table__": row.__table__, "__annotations__": annotations, **fields}
    return SQLModelMetaclass(row.__name__, (SQLModel,), declared, table=True)


def _default_of(column: Column[Any]) -> Any:
    if column.default is not None:
        return cast(Any, column.default).arg
    return None if column.nullable or column.primary_key else ...


class Row(metaclass=RowMeta):
    """The base of row classes: annotated columns, `__tablename__`, and in `__table_args__` the constraints and, last, the table's options."""

    def __new__(cls, **values: Any) -> Self:
        """An object of the row's SQLModel class, for a session."""
        return cast(Self, cls.model(**values))


def _column(kind: Any, *, foreign_key: str = "", **more: Any) -> Any:
    return Column(kind, *([ForeignKey(foreign_key)] if foreign_key else []), **more)


def key_column(**more: Any) -> Any:
    return _column(Integer, primary_key=True, **more)


def text_column(**more: Any) -> Any:
    return _column(Text, **more)


def integer_column(**more: Any) -> Any:
    return _column(Integer, **more)


def big_integer_column(**more: Any) -> Any:
    return _column(BigInteger().with_variant(Integer(), "sqlite"), **more)


def float_column(**more: Any) -> Any:
    return _column(Double().with_variant(REAL(), "sqlite"), **more)


def moment_column(**more: Any) -> Any:
    return _column(MomentType, **more)


def day_column(**more: Any) -> Any:
    return _column(DayType, **more)


def flag_column(**more: Any) -> Any:
    return _column(FlagType, **more)


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
    return Index(name, column, unique=True, sqlite_where=present)
