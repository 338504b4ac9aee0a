"""Statements over the tables, written in SQLAlchemy Core and run on the driver's own connection; and plain SQL where a benchmark pays for it.

A `Query` is compiled once for each database, at its first use, and then costs little more than its text would: the constants are part of the text,
`bind()` marks what a call gives, the columns' types turn values into what a row holds and back, and a row comes back as what `gives` names. How
much that costs and why stands in bot/docs/decisions/0002-raw-drivers-under-sqlalchemy.md, how to write one in CONTRIBUTING.md.
"""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, partial
from operator import itemgetter
from types import UnionType
from typing import Any, Generic, NamedTuple, TypeVar, cast, get_args, get_origin, overload

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    Column,
    Dialect,
    FromClause,
    Join,
    Label,
    Subquery,
    Table,
    Text,
    TextClause,
    bindparam,
    true,
)
from sqlalchemy import column as named_column
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.dialects.sqlite.dml import Insert, insert
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ValuesBase
from sqlalchemy.types import Integer, TypeDecorator, TypeEngine
from sqlmodel import Session

__all__ = ["Query", "Statement", "bind", "binds", "columns", "cross_join", "given", "insert", "replacing", "stream", "table"]

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

ROWS_PER_FETCH = 2_000
_stream_numbers = itertools.count(1)


# ── Writing a statement ──


def table(row: Any) -> Table:
    """The table of a row class; a column that `.c` does not have fails at import."""
    return cast(Table, row.__table__)


def bind(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]] | None = None) -> BindParameter[Any]:
    """A value that a call gives by this name. Beside a column it has the column's type; elsewhere `kind` says which."""
    return bindparam(name, type_=kind)


def binds(*names: str) -> dict[str, BindParameter[Any]]:
    """Columns whose values a call gives under their own names: `insert(readings).values(binds("person_id", "lesson"), ...)`."""
    return {name: bindparam(name) for name in names}


def columns(source: Any, kind: Any, **others: Any) -> list[Any]:
    """The columns of a table that make a dataclass, by the names of its fields; `others` gives those that come from elsewhere."""
    names = [field.name for field in fields(kind) if field.init]
    return [others[name].label(name) if name in others else source.c[name] for name in names]


class _RowsType(TypeDecorator[Any]):
    """Rows of values as one JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str:
        return _encode(value)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class _GivenRows(TextClause):
    """The rows that a call gives, as a SELECT of them; `kinds` are the types of its columns by name."""

    __visit_name__ = "given_rows"
    inherit_cache = False
    kinds: dict[str, type[TypeEngine[Any]]]


def given(name: str, **kinds: type[TypeEngine[Any]]) -> Subquery:
    """A table that a call gives under this name, as a list of rows: whole numbers and texts, None for NULL."""
    rows = _GivenRows(f":{name}").bindparams(bindparam(name, type_=_RowsType()))
    rows.kinds = kinds
    return rows.columns(*(named_column(title, kind) for title, kind in kinds.items())).subquery(name)


class _CrossJoin(Join):
    """A join without a condition of its own."""

    inherit_cache = True


def cross_join(left: FromClause, right: FromClause) -> Join:
    """Both, joined by the conditions of the WHERE: SQLite then begins with the left one, where by itself it would begin with the wrong one."""
    return _CrossJoin(left, right, true())


def replacing(statement: Insert, key: Sequence[str], *names: str) -> Insert:
    """The insert, which takes over the named columns where a row with this key stands already."""
    return statement.on_conflict_do_update(index_elements=key, set_={name: statement.excluded[name] for name in names})


# ── Compiling it ──

_LIST = re.compile(r"__\[POSTCOMPILE_(\w+)\]")


class _TextCompiler(SQLCompiler):
    """Writes constants into the text, so that partial indexes are found, and takes a list as one value, so that there is one text."""

    def visit_bindparam(self, bindparam: Any, within_columns_clause: Any = False, literal_binds: Any = False, *given: Any, **more: Any) -> Any:
        """A value of the call as its place, a constant as itself."""
        return super().visit_bindparam(bindparam, within_columns_clause, literal_binds or not bindparam.required, *given, **more)  # type: ignore[no-untyped-call]

    def visit_given_rows(self, rows: Any, **more: Any) -> str:
        """The SELECT that unpacks them."""
        (place,) = (self.process(parameter, **more) for parameter in rows._bindparams.values())
        cells = ", ".join(f"{self.cell(n, kind)} AS {name}" for n, (name, kind) in enumerate(rows.kinds.items()))
        return f"SELECT {cells} FROM {self.unpack(place)}"  # noqa: S608 - names of ours and a place

    def cell(self, n: int, kind: type[TypeEngine[Any]]) -> str:
        """The n-th value of a given row."""
        raise NotImplementedError

    def unpack(self, place: str) -> str:
        """The given rows as a table with the one column `value`."""
        raise NotImplementedError

    def visit_join(self, join: Any, asfrom: Any = False, from_linter: Any = None, **more: Any) -> Any:
        """As the database has it, but for `cross_join`."""
        if isinstance(join, _CrossJoin):
            left, right = (part._compiler_dispatch(self, asfrom=True, from_linter=from_linter, **more) for part in (join.left, join.right))
            return f"{left} CROSS JOIN {right}"
        return super().visit_join(join, asfrom, from_linter, **more)  # type: ignore[no-untyped-call]

    def visit_binary(self, binary: Any, override_operator: Any = None, *given: Any, **more: Any) -> Any:
        """As the database has it, but for a list that a call gives."""
        if isinstance(listed := binary.right, BindParameter) and listed.expanding and listed.required:
            column, place = self.process(binary.left, **more), self.process(listed, **more)[1:-1]
            return self.in_list(column, place, listed.type, is_in=(override_operator or binary.operator) is operators.in_op)
        return super().visit_binary(binary, override_operator, *given, **more)  # type: ignore[no-untyped-call]

    def in_list(self, column: str, place: str, kind: TypeEngine[Any], *, is_in: bool) -> str:
        """Whether a column is in a list that is one value."""
        raise NotImplementedError


class _SqliteTextCompiler(_TextCompiler, SQLiteCompiler):
    def in_list(self, column: str, place: str, kind: TypeEngine[Any], *, is_in: bool) -> str:
        return f"{column} {'IN' if is_in else 'NOT IN'} (SELECT value FROM json_each({place}))"  # noqa: S608 - a place, not a value

    def cell(self, n: int, kind: type[TypeEngine[Any]]) -> str:
        return f"json_extract(value, '$[{n}]')"

    def unpack(self, place: str) -> str:
        return f"json_each({place})"


@cache
def _sqlite_dialect() -> Dialect:
    dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
    dialect.statement_compiler = _SqliteTextCompiler
    return dialect


@cache
def _postgres_dialect() -> Dialect:
    # Imported where it is used: it brings every driver of PostgreSQL with it, which no command on SQLite waits for.
    from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect

    class PostgresTextCompiler(_TextCompiler, PGCompiler):
        def in_list(self, column: str, place: str, kind: TypeEngine[Any], *, is_in: bool) -> str:
            # As a list of a known kind: the text, and with it what the server has prepared, stays the same for every length.
            return f"{column} {'= ANY' if is_in else '<> ALL'} (CAST({place} AS {'BIGINT' if _is_whole(kind) else 'TEXT'}[]))"

        def cell(self, n: int, kind: type[TypeEngine[Any]]) -> str:
            return f"CAST(value ->> {n} AS {'BIGINT' if _is_whole(kind()) else 'TEXT'})"

        def unpack(self, place: str) -> str:
            return f"jsonb_array_elements(CAST({place} AS JSONB))"

        def _on_conflict_target(self, clause: Any, **more: Any) -> Any:
            # `insert` is SQLite's own, so that a statement is written once; PostgreSQL's would ask its clause for the name of a constraint.
            return SQLiteCompiler._on_conflict_target(self, clause, **more)  # type: ignore[no-untyped-call, arg-type]

    dialect: Dialect = PGDialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
    dialect.statement_compiler = PostgresTextCompiler
    return dialect


def _is_whole(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind.impl if isinstance(kind, TypeDecorator) else kind, Integer)


class _Plan(NamedTuple):
    """A statement as one driver takes it: its text, the function from a call's values to the driver's, and the one from a row to what is given."""

    text: str
    values: Callable[..., Any]
    row: Callable[[Any], Any] | None


def _compile(statement: ClauseElement, gives: Any, dialect: Dialect) -> _Plan:
    if isinstance(statement, Insert) and not statement._returning:
        # Otherwise SQLAlchemy would have the new key given back to it.
        statement = statement.inline()
    compiled = cast(SQLCompiler, statement.compile(dialect=dialect))
    if isinstance(statement, ValuesBase) and compiled.prefetch:
        raise TypeError(f"{compiled} leaves a default to Python")
    is_positional = compiled.positional
    text = _LIST.sub("?" if is_positional else r"%(\1)s", compiled.string)
    return _Plan(text, _value_function(compiled, dialect, is_positional=is_positional), _row_function(compiled, dialect, gives))


def _value_function(compiled: SQLCompiler, dialect: Dialect, *, is_positional: bool) -> Callable[..., Any]:
    """A function of keywords that gives what the driver wants: a tuple in the order of the places, or a mapping."""
    names = list(dict.fromkeys(compiled.positiontup or () if is_positional else compiled.binds))
    processors: dict[str, Any] = {}
    for name in names:
        parameter = compiled.binds[name]
        processor = parameter.type.bind_processor(dialect)
        if parameter.expanding:
            processor = partial(_list_value, processor, dumps=json.dumps if is_positional else list)
        if processor is not None:
            processors[f"_{name}"] = processor
    places = {name: f"_{name}({name})" if f"_{name}" in processors else name for name in names}
    signature = f"*, {', '.join(names)}" if names else ""
    if is_positional:
        given = "".join(f"{places[name]}, " for name in compiled.positiontup or ())
        return cast("Callable[..., Any]", eval(f"lambda {signature}: ({given})", processors))  # noqa: S307 - names of our own statements
    if not processors:
        return cast("Callable[..., Any]", eval(f"lambda {signature}: locals()"))  # noqa: S307
    given = ", ".join(f"{name!r}: {place}" for name, place in places.items())
    return cast("Callable[..., Any]", eval(f"lambda {signature}: {{{given}}}", processors))  # noqa: S307


def _list_value(processor: Any, values: Iterable[Any], *, dumps: Callable[[list[Any]], Any]) -> Any:
    return dumps([value if processor is None else processor(value) for value in values])


def _row_function(compiled: SQLCompiler, dialect: Dialect, gives: Any) -> Callable[[Any], Any] | None:
    """What makes a driver's row into what the statement gives; None where that is the row as it is. TypeError where they do not fit."""
    names: list[str | None] = []
    cells: list[str] = []
    scope: dict[str, Any] = {}
    for place, column in enumerate(compiled._result_columns):
        names.append(_column_name(column.objects))
        processor = column.type.result_processor(dialect, None)
        cells.append(f"row[{place}]" if processor is None else f"_{place}(row[{place}])")
        if processor is not None:
            scope[f"_{place}"] = processor
    parts = gives if isinstance(gives, tuple) else (gives,)
    if any(is_dataclass(_present(part)) for part in parts):
        made, start = [], 0
        for number, part in enumerate(parts):
            if not is_dataclass(_present(part)):
                made.append(cells[start])
                start += 1
                continue
            scope[f"Part{number}"] = kind = _present(part)
            stop = len(cells) if number == len(parts) - 1 else start + _columns_of(kind, names[start:])
            expression = f"Part{number}({_arguments(kind, names[start:stop], cells[start:stop])})"
            made.append(expression if kind is part else f"(None if row[{start}] is None else {expression})")
            start = stop
        if start != len(cells):
            raise TypeError(f"{len(cells)} columns do not make {gives}")
        return cast("Callable[[Any], Any]", eval(f"lambda row: {made[0] if len(parts) == 1 else '(' + ', '.join(made) + ')'}", scope))  # noqa: S307
    kind = get_origin(gives) or gives
    if kind is dict:
        named = ", ".join(f"{name!r}: {cell}" for name, cell in zip(names, cells, strict=True))
        return cast("Callable[[Any], Any]", eval(f"lambda row: {{{named}}}", scope))  # noqa: S307
    if not (isinstance(kind, type) and issubclass(kind, tuple)):
        if len(cells) != 1:
            raise TypeError(f"{len(cells)} columns do not make one {gives}")
        return itemgetter(0) if not scope else cast("Callable[[Any], Any]", eval(f"lambda row: {cells[0]}", scope))  # noqa: S307
    expected = getattr(kind, "_fields", get_args(gives))
    if expected and Ellipsis not in expected and len(expected) != len(cells):
        raise TypeError(f"{len(cells)} columns do not make {gives}")
    if kind is not tuple:
        scope["make"] = kind
        return cast("Callable[[Any], Any]", eval(f"lambda row: make({', '.join(cells)})", scope))  # noqa: S307
    return cast("Callable[[Any], Any]", eval(f"lambda row: ({', '.join(cells)},)", scope)) if scope else None  # noqa: S307


def _present(part: Any) -> Any:
    """The class itself of `Row | None`."""
    return next(kind for kind in get_args(part) if kind is not type(None)) if isinstance(part, UnionType) else part


def _column_name(objects: Sequence[Any]) -> str | None:
    """What a column is called in its statement: its label, or its name in the table."""
    label = next((element for element in objects if isinstance(element, Label)), None)
    column = next((element for element in objects if isinstance(element, Column)), None)
    return label.name if label is not None else None if column is None else column.key


def _columns_of(kind: Any, names: Sequence[str | None]) -> int:
    """How many columns a dataclass takes of those that follow: all that are its fields, until one comes again."""
    wanted = {field.name for field in fields(kind) if field.init}
    return next((count for count, name in enumerate(names) if name not in wanted or name in names[:count]), len(names))


def _arguments(kind: Any, names: Sequence[str | None], cells: Sequence[str]) -> str:
    """The cells as keywords of a dataclass."""
    wanted = {field.name: field for field in fields(kind) if field.init}
    missing = [name for name, field in wanted.items() if name not in names and field.default is MISSING and field.default_factory is MISSING]
    unknown = [name for name in names if name not in wanted]
    if missing or unknown or len(set(names)) != len(names):
        raise TypeError(f"{kind.__name__} is not made of the columns {names}: without {missing}, with {unknown}")
    return ", ".join(f"{name}={cell}" for name, cell in zip(names, cells, strict=True))


# ── Running it ──


class Query(Generic[T]):
    """One statement over the tables, and what its rows come back as.

    `gives` is a dataclass (by the names of the columns), several in a tuple (each takes the columns that follow, as far as they are its fields;
    `Row | None` is None where its first column is; another type takes one column), a tuple or named tuple, `dict` (by the names of the columns),
    or the type of the one column. The values of a call go by the names of its `bind()`s; TypeError for one that is missing or unknown.
    """

    __slots__ = ("_postgres", "_sqlite", "gives", "statement")

    @overload
    def __init__(self, statement: ClauseElement, gives: type[T]) -> None: ...
    @overload
    def __init__(self: Query[tuple[A, B]], statement: ClauseElement, gives: tuple[type[A], type[B]]) -> None: ...
    @overload
    def __init__(self: Query[tuple[Any, ...]], statement: ClauseElement, gives: Any = tuple) -> None: ...
    def __init__(self, statement: ClauseElement, gives: Any = tuple) -> None:
        self.statement = statement
        self.gives = gives
        self._sqlite: _Plan | None = None
        self._postgres: _Plan | None = None

    def for_sqlite(self) -> _Plan:
        """The statement as SQLite's driver takes it; compiled at the first call."""
        if self._sqlite is None:
            self._sqlite = _compile(self.statement, self.gives, _sqlite_dialect())
        return self._sqlite

    def for_postgres(self) -> _Plan:
        """The statement as psycopg takes it; compiled at the first call."""
        if self._postgres is None:
            self._postgres = _compile(self.statement, self.gives, _postgres_dialect())
        return self._postgres

    def _plan(self, raw: Any) -> _Plan:
        return self._sqlite or self.for_sqlite() if isinstance(raw, sqlite3.Connection) else self._postgres or self.for_postgres()

    def first(self, session: Session, **values: Any) -> T | None:
        """The first row, or None."""
        raw = session.info["raw"]
        text, bound, make = self._plan(raw)
        row = raw.execute(text, bound(**values)).fetchone()
        return cast("T | None", row if row is None or make is None else make(row))

    def one(self, session: Session, **values: Any) -> T:
        """The row that is there: what a sum or RETURNING gives. LookupError where none is."""
        raw = session.info["raw"]
        text, bound, make = self._plan(raw)
        row = raw.execute(text, bound(**values)).fetchone()
        if row is None:
            raise LookupError(text)
        return cast(T, row if make is None else make(row))

    def all(self, session: Session, **values: Any) -> list[T]:
        """Every row."""
        raw = session.info["raw"]
        text, bound, make = self._plan(raw)
        rows = raw.execute(text, bound(**values)).fetchall()
        return rows if make is None else list(map(make, rows))

    def run(self, session: Session, **values: Any) -> int:
        """The number of rows that were touched."""
        raw = session.info["raw"]
        text, bound, _ = self._plan(raw)
        return cast(int, raw.execute(text, bound(**values)).rowcount)

    def many(self, session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run the statement once for each row of values, in one call of the driver."""
        raw = session.info["raw"]
        text, bound, _ = self._plan(raw)
        if isinstance(raw, sqlite3.Connection):
            raw.executemany(text, [bound(**row) for row in rows])
        elif bound_rows := [bound(**row) for row in rows]:
            with raw.cursor() as cursor:
                cursor.executemany(text, bound_rows)

    def stream(self, session: Session, **values: Any) -> Iterator[T]:
        """The rows, fetched a few at a time: for results of any size."""
        raw = session.info["raw"]
        text, bound, make = self._plan(raw)
        rows = _stream_rows(raw, text, bound(**values))
        yield from rows if make is None else map(make, rows)


def _stream_rows(raw: Any, text: str, values: Any) -> Iterator[Any]:
    """Rows as the driver gives them; on PostgreSQL by a server-side cursor in the caller's transaction."""
    if isinstance(raw, sqlite3.Connection):
        yield from raw.execute(text, values)
        return
    with raw.cursor(name=f"stream{next(_stream_numbers)}") as cursor:
        cursor.itersize = ROWS_PER_FETCH
        cursor.execute(text, values)
        yield from cursor


# ── Plain SQL ──

_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


def _value_getter(names: list[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """A function that takes the values of the names, in their order, out of a mapping."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return lambda values: ()
    # An itemgetter of one name gives the value itself.
    name = names[0]
    return lambda values: (values[name],)


class Statement:
    """One statement: `one` row or None, `all` rows, or `run` for the number of rows touched. KeyError for a value that is not given."""

    __slots__ = ("in_order", "postgres", "sqlite")

    def __init__(self, text: str) -> None:
        statement = " ".join(text.split())
        self.sqlite = _PARAMETER.sub("?", statement)
        self.postgres = _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%"))
        self.in_order = _value_getter(_PARAMETER.findall(statement))

    def _cursor(self, session: Session, values: dict[str, Any]) -> Any:
        raw = session.info["raw"]
        if isinstance(raw, sqlite3.Connection):
            return raw.execute(self.sqlite, self.in_order(values))
        return raw.execute(self.postgres, values)

    def one(self, session: Session, **values: Any) -> Any:
        return self._cursor(session, values).fetchone()

    def all(self, session: Session, **values: Any) -> list[Any]:
        return self._cursor(session, values).fetchall()  # type: ignore[no-any-return]

    def run(self, session: Session, **values: Any) -> int:
        return self._cursor(session, values).rowcount  # type: ignore[no-any-return]

    def many(self, session: Session, rows: Sequence[dict[str, Any]]) -> None:
        """Run the statement once for each row, in one call of the driver."""
        raw = session.info["raw"]
        if isinstance(raw, sqlite3.Connection):
            raw.executemany(self.sqlite, map(self.in_order, rows))
        elif rows:
            with raw.cursor() as cursor:
                cursor.executemany(self.postgres, rows)


def stream(session: Session, text: str, values: Mapping[str, Any]) -> Iterator[Any]:
    """The rows of a plain statement, fetched a few at a time."""
    statement = Statement(text)
    raw = session.info["raw"]
    is_sqlite = isinstance(raw, sqlite3.Connection)
    yield from _stream_rows(raw, statement.sqlite if is_sqlite else statement.postgres, statement.in_order(values) if is_sqlite else values)
