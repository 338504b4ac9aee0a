"""The data of a report: typed columns and rows, with the day, the rules and the head of the hash chain it was made from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Literal, Protocol

from bot.domain.hours.policy import HoursPolicy
from bot.domain.library.library import Library
from bot.domain.times import end_of

CellKind = Literal["text", "int", "hours", "percent", "figure"]
PhoneVisibility = Literal["always", "if any", "never"]
Cell = str | int | Decimal | None
Row = tuple[Cell, ...]

NOT_SEALED = "未封存"
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key for scripts, its title for people, its kind, and whether it stands on a phone's screen too."""

    key: str
    title: str
    kind: CellKind = "text"
    phone: PhoneVisibility = "always"


class RowStream(Protocol):
    """Rows that can be counted and gone through: a list, or a long result read as it is written out."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Row]: ...


@dataclass(frozen=True, slots=True)
class Part:
    """Rows under one set of columns; cells are text, whole numbers, hours or percentages, None where there is nothing to say.

    `leads` puts it before all others on a phone, where what comes last may find no room.
    """

    title: str
    columns: tuple[Column, ...]
    rows: RowStream
    leads: bool = False


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of the seal chain: how many entries it holds, the last hash, and the algorithm that made it."""

    seq: int
    hash: str
    algorithm: str

    def __str__(self) -> str:
        return f"第 {self.seq} 号 {self.algorithm}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Table:
    """A report: its parts (the first is the main one) and everything that lets somebody make it again and get the same figures."""

    name: str
    title: str
    parts: tuple[Part, ...]
    as_of: date
    year: int
    rules: str
    head: ChainHead | None = None
    notes: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    """What the columns mean; a phone does without."""

    def in_memory(self) -> Table:
        """The same with every row in memory: for whoever keeps a report beyond the transaction it was made in."""
        return replace(self, parts=tuple(replace(part, rows=list(part.rows)) for part in self.parts))

    @property
    def basis(self) -> tuple[str, ...]:
        """The year and the day, the rules, the seal: what stands on every form of every report."""
        return (f"{self.year} 年度，截至 {self.as_of.isoformat()}", f"规则 {self.rules}", f"流水封存 {self.head or NOT_SEALED}")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which units the asker may see: the subtrees of `roots`, or everything when it is None. No roots, nothing to see."""

    roots: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """What is asked of a report: a year as it stood at the end of a day (Asia/Shanghai), and whom or what it is about."""

    year: int
    as_of: date
    today: date
    policy: HoursPolicy
    about: str = ""
    library: Library = field(default_factory=Library)
    """The working calendar, and what there is to learn."""

    @property
    def last(self) -> date:
        """The last day that can count: the day asked for, but never after the year."""
        return min(self.as_of, date(self.year, 12, 31))

    @property
    def first(self) -> date:
        return date(self.year, 1, 1)

    @property
    def until(self) -> datetime:
        """Recorded before this moment is recorded on the day asked for or earlier."""
        return end_of(self.as_of)

    @property
    def is_now(self) -> bool:
        return self.as_of >= self.today


def plain_text(text: str) -> str:
    """A name as one line of plain text: characters that move the cursor, hide or reorder others become a space."""
    return _HIDDEN.sub(" ", text)


def percentage(reached: int, counted: int) -> Decimal | None:
    """A percentage with one decimal, half up, but never 100.0 while one is short; None when nobody is counted."""
    if not counted:
        return None
    percent = (Decimal(reached) * 100 / counted).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return min(percent, Decimal("99.9")) if reached < counted else percent


def mean_hours(hours: Decimal, people: int) -> Decimal | None:
    """Hours a head, to the hundredth, rounded down so that the mean never promises more than was earned."""
    return (hours / people).quantize(Decimal("0.01"), ROUND_DOWN) if people else None
