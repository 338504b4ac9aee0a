"""The table that a benchmark prints: what was measured, how it varied, and what the budget asks (bot/docs/performance.md)."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEAD = ("what", "measured", "spread", "first release", "goal", "then", "reached", "beside it")


@dataclass(frozen=True, slots=True)
class Row:
    """One line: the figure of each round, and the bounds for what `judge` makes of them. Rows without a first release's bound cannot fail.

    `shape` is a format with the unit, as in "{:.1f} ms". `kept` is False where something that was promised is not there.
    """

    what: str
    figures: tuple[float, ...]
    shape: str = "{:.2f}"
    least: float | None = None
    goal: float | None = None
    then: float | None = None
    more_is_better: bool = False
    judge: Callable[[Sequence[float]], float] = statistics.median
    beside: str = ""
    kept: bool = True

    @property
    def figure(self) -> float:
        return self.judge(self.figures)

    @property
    def good(self) -> bool:
        """True when the first release's bound is reached, or there is none, and everything promised was kept."""
        return self.kept and (self.least is None or self.reaches(self.least))

    def reaches(self, bound: float) -> bool:
        return self.figure >= bound if self.more_is_better else self.figure <= bound

    @property
    def reached(self) -> str:
        if not self.kept:
            return "NOT KEPT"
        for name, bound in (("then", self.then), ("goal", self.goal), ("first release", self.least)):
            if bound is not None and self.reaches(bound):
                return name
        return "" if (self.least, self.goal, self.then) == (None, None, None) else "no"

    def cells(self) -> tuple[str, ...]:
        bounds = ("" if bound is None else self.shape.format(bound) for bound in (self.least, self.goal, self.then))
        spread = f"{self.shape.format(min(self.figures))}–{self.shape.format(max(self.figures))}" if len(self.figures) > 1 else ""
        return (self.what, self.shape.format(self.figure), spread, *bounds, self.reached, self.beside)


def table(rows: Sequence[Row]) -> str:
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def note(words: str) -> None:
    """What is going on, for whoever waits; not part of the table."""
    print(words, file=sys.stderr, flush=True)
