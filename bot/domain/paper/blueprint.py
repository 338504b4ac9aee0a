"""What an exam asks for, as a value: rows of law, kind, count, levels and cases, items that everybody gets, points, pass line and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.domain.message import Refusal
from bot.domain.question import KINDS

LEVELS = (1, 2, 3)
MOST_ROWS = 60
MOST_ITEMS = 200
MOST_MINUTES = 24 * 60
MOST_POINTS = 1_000_000
"""Thousandths of a point that one item can be worth."""


@dataclass(frozen=True, slots=True)
class Row:
    """So many items of one kind. `scope` is a law, a set or a bank by name, empty for the whole library.

    `points` is what each is worth, in thousandths of a point; `levels` (level, count) pairs that add up to `count`, empty for whatever comes;
    `cases` how many are case items, exactly or `at_least`, None for whatever comes.
    """

    kind: str
    count: int
    scope: str = ""
    points: int = 1000
    levels: tuple[tuple[int, int], ...] = ()
    cases: int | None = None
    at_least: bool = False

    @property
    def label(self) -> str:
        """民法典 单选题。"""
        return f"{self.scope} {KINDS[self.kind].label}".strip()


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A whole paper. `fixed` are (question, points) that everybody gets beside the rows; `cases` is asked of the whole paper.

    `pass_line` in thousandths of a point, `minutes` on the server's clock; nothing that a person saw in the last `avoid` papers is drawn again, and
    nothing `most` papers have had already (0: no limit), as long as there is enough else.
    """

    rows: tuple[Row, ...]
    pass_line: int
    minutes: int
    fixed: tuple[tuple[str, int], ...] = ()
    cases: int | None = None
    at_least: bool = False
    avoid: int = 2
    most: int = 0

    @property
    def size(self) -> int:
        return sum(row.count for row in self.rows) + len(self.fixed)

    @property
    def total(self) -> int:
        """What the paper is worth, in thousandths of a point."""
        return sum(row.count * row.points for row in self.rows) + sum(points for _, points in self.fixed)


def whole(blueprint: Blueprint) -> Blueprint:
    """The blueprint, when it makes sense by itself. Raises `Refusal` with the reason when it does not."""
    for row in blueprint.rows:
        if row.kind not in KINDS:
            raise Refusal(f"没有「{row.kind[:10]}」这种题型，可写：{'、'.join(one.label for one in KINDS.values())}。")
        if row.count < 1 or not 0 < row.points <= MOST_POINTS:
            raise Refusal(f"{row.label} 的题数和每题分值都应大于 0。")
        if row.levels and (sum(count for _, count in row.levels) != row.count or any(level not in LEVELS or n < 0 for level, n in row.levels)):
            raise Refusal(f"{row.label} 各难度的题数相加应等于 {row.count}，难度只有 1、2、3。")
        if row.cases is not None and not 0 <= row.cases <= row.count:
            raise Refusal(f"{row.label} 的案例题应在 0 到 {row.count} 之间。")
    if not 1 <= blueprint.size <= MOST_ITEMS or len(blueprint.rows) > MOST_ROWS:
        raise Refusal(f"一份卷应有 1 到 {MOST_ITEMS} 道题，蓝图最多 {MOST_ROWS} 行，现在是 {blueprint.size} 道、{len(blueprint.rows)} 行。")
    if len({name for name, _ in blueprint.fixed}) < len(blueprint.fixed) or any(not 0 < points <= MOST_POINTS for _, points in blueprint.fixed):
        raise Refusal("固定题的编号有重复，或分值不大于 0。")
    if not 1 <= blueprint.minutes <= MOST_MINUTES:
        raise Refusal(f"考试时长应在 1 到 {MOST_MINUTES} 分钟之间。")
    if not 0 < blueprint.pass_line <= blueprint.total:
        raise Refusal(f"及格线应在 0 到满分 {blueprint.total / 1000:g} 分之间。")
    if blueprint.cases is not None and not 0 <= blueprint.cases <= blueprint.size:
        raise Refusal(f"案例题应在 0 到 {blueprint.size} 道之间。")
    if blueprint.avoid < 0 or blueprint.most < 0:
        raise Refusal("“近几份卷不重复”和“每题最多用几次”不能小于 0。")
    return blueprint


def to_json(blueprint: Blueprint) -> dict[str, Any]:
    """As a row keeps it: only what was said."""
    made: dict[str, Any] = {"rows": [], "pass_line": blueprint.pass_line, "minutes": blueprint.minutes}
    for row in blueprint.rows:
        kept: dict[str, Any] = {"kind": row.kind, "count": row.count, "points": row.points}
        kept |= {"scope": row.scope} if row.scope else {}
        kept |= {"levels": [list(pair) for pair in row.levels]} if row.levels else {}
        kept |= {"cases": row.cases, "at_least": row.at_least} if row.cases is not None else {}
        made["rows"].append(kept)
    made |= {"fixed": [list(pair) for pair in blueprint.fixed]} if blueprint.fixed else {}
    made |= {"cases": blueprint.cases, "at_least": blueprint.at_least} if blueprint.cases is not None else {}
    return made | {"avoid": blueprint.avoid, "most": blueprint.most}


def from_json(kept: Mapping[str, Any]) -> Blueprint:
    """The blueprint of a row, equal to the one that was kept."""
    rows = tuple(Row(**{**row, "levels": tuple((level, count) for level, count in row.get("levels", ()))}) for row in kept["rows"])
    return Blueprint(**{**kept, "rows": rows, "fixed": tuple((name, points) for name, points in kept.get("fixed", ()))})
