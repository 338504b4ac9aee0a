"""A blueprint against the library: what is missing, to the item; or how many of which strata every paper takes, the same for everybody.

Strata are items that the same rows want, of one level and (where cases are asked for) of one sort. Because each paper takes the same number of
each stratum, shares hold exactly and papers are parallel by construction; `draw` evens out what is left within a stratum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from bot.domain.paper.blueprint import Blueprint, Row

BY_LEVEL = {1: 0.15, 2: 0.30, 3: 0.50}
"""How many of a hundred are expected to miss an item that nobody has answered yet, by its level."""
TRUST = 20
"""So many answers count as much as the level does."""

Stratum = tuple[frozenset[int], int, bool | None]
"""(rows that want it, level, case or not; None where no row asks)."""


def difficulty(level: int, answered: int = 0, right: int = 0) -> float:
    """The expected share of wrong answers, 0 to 1: of the level, and of first answers as far as there are any."""
    return (BY_LEVEL[level] * TRUST + (answered - right)) / (TRUST + answered)


@dataclass(frozen=True, slots=True)
class Item:
    """A question as the drawing sees it. `letters` are those of options that may be shuffled, else empty."""

    question: str
    version_id: int
    kind: str
    law: str
    level: int
    case: bool
    difficulty: float
    letters: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What every paper takes: `takes` (row, items of the stratum, how many), `fixed` (item, points) beside them.

    `mean` is the expected difficulty that every paper is brought to. Made once for an exam, used for everybody.
    """

    blueprint: Blueprint
    takes: tuple[tuple[Row, tuple[Item, ...], int], ...]
    fixed: tuple[tuple[Item, int], ...]
    mean: float


@dataclass(slots=True)
class _Board:
    """What is still there of each stratum while the rows take theirs."""

    of: dict[Stratum, list[Item]]
    left: dict[Stratum, int] = field(default_factory=dict)
    short: dict[int, list[str]] = field(default_factory=dict)
    """What each row lacks."""

    def strata(self, n: int) -> list[Stratum]:
        return sorted((one for one in self.of if n in one[0]), key=lambda one: (len(one[0]), sorted(one[0]), one[1], bool(one[2])))


def missing(blueprint: Blueprint, pool: Sequence[Item], scopes: Mapping[str, Collection[str]]) -> list[str]:
    """What the library lacks for a blueprint, one sentence each (民法典 单选题 还差 3 道); empty when papers can be drawn."""
    return _laid_out(blueprint, pool, scopes)[1]


def prepare(blueprint: Blueprint, pool: Sequence[Item], scopes: Mapping[str, Collection[str]]) -> Plan:
    """The plan of a blueprint. `scopes` maps the names of its rows to the questions they hold. Raises ValueError for what `missing` names."""
    plan, wrong = _laid_out(blueprint, pool, scopes)
    if plan is None:
        raise ValueError("；".join(wrong))
    return plan


def _laid_out(blueprint: Blueprint, pool: Sequence[Item], scopes: Mapping[str, Collection[str]]) -> tuple[Plan | None, list[str]]:
    wrong = [f"题库里没有「{name}」" for name in dict.fromkeys(row.scope for row in blueprint.rows) if name and name not in scopes]
    known = {item.question: item for item in pool}
    wrong += [f"没有编号为 {name} 的可用题" for name, _ in blueprint.fixed if name not in known]
    if wrong:
        return None, wrong
    fixed = tuple((known[name], points) for name, points in blueprint.fixed)
    rows, short = _with_cases(blueprint, [known[name] for name, _ in blueprint.fixed], pool, scopes)
    board = _Board(_strata(rows, blueprint, pool, scopes))
    board.left = {one: len(items) for one, items in board.of.items()}
    takes: dict[int, dict[Stratum, int]] = {}
    # Who has the least to choose from chooses first: a row of one law before a row of all laws.
    for n in sorted(range(len(rows)), key=lambda n: sum(board.left[one] for one in board.strata(n))):
        takes[n] = _taken(board, n, rows[n])
    wrong = [short] if short else [said for n in sorted(board.short) for said in board.short[n]]
    if wrong:
        return None, wrong
    made = tuple((rows[n], tuple(board.of[one]), count) for n in range(len(rows)) for one, count in takes[n].items() if count)
    weights = [(sum(item.difficulty for item in items) / len(items), count) for _, items, count in made]
    weights += [(item.difficulty, 1) for item, _ in fixed]
    mean = sum(value * count for value, count in weights) / max(1, sum(count for _, count in weights))
    return Plan(blueprint, made, fixed, mean), []


def _fits(row: Row, item: Item, scopes: Mapping[str, Collection[str]]) -> bool:
    return item.kind == row.kind and (not row.scope or item.question in scopes[row.scope])


def _strata(rows: Sequence[Row], blueprint: Blueprint, pool: Sequence[Item], scopes: Mapping[str, Collection[str]]) -> dict[Stratum, list[Item]]:
    held = {name: frozenset(questions) for name, questions in scopes.items()}
    fixed = {name for name, _ in blueprint.fixed}
    found: dict[Stratum, list[Item]] = defaultdict(list)
    for item in sorted(pool, key=lambda one: one.question):
        wanted = frozenset(n for n, row in enumerate(rows) if _fits(row, item, held))
        if wanted and item.question not in fixed:
            sort = item.case if any(rows[n].cases is not None for n in wanted) else None
            found[wanted, item.level, sort].append(item)
    return dict(found)


# ── Cases of the whole paper ──


def _with_cases(
    blueprint: Blueprint, fixed: Sequence[Item], pool: Sequence[Item], scopes: Mapping[str, Collection[str]]
) -> tuple[tuple[Row, ...], str]:
    """The rows with the cases that are asked of the whole paper dealt out to those that say nothing themselves, and what is short of them."""
    if blueprint.cases is None:
        return blueprint.rows, ""
    had = sum(1 for item in fixed if item.case) + sum(row.cases for row in blueprint.rows if row.cases is not None)
    free = [n for n, row in enumerate(blueprint.rows) if row.cases is None]
    need = max(0, blueprint.cases - had)
    named = {name for name, _ in blueprint.fixed}
    of_row = {n: [item for item in pool if item.question not in named and _fits(blueprint.rows[n], item, scopes)] for n in free}
    room = {n: min(blueprint.rows[n].count, sum(1 for item in of_row[n] if item.case)) for n in free}
    if sum(room.values()) < need:
        return blueprint.rows, f"案例题 还差 {need - sum(room.values())} 道"
    if had > blueprint.cases and not blueprint.at_least:
        return blueprint.rows, f"案例题 多出 {had - blueprint.cases} 道，固定题和各行要求的案例题超过了全卷的数目"
    shares = _dealt(need, {n: blueprint.rows[n].count for n in free}, room)
    return tuple(replace(row, cases=shares[n], at_least=blueprint.at_least) if n in shares else row for n, row in enumerate(blueprint.rows)), ""


def _dealt(whole: int, weights: Mapping[int, int], room: Mapping[int, int]) -> dict[int, int]:
    """A number dealt out by weight, never beyond the room of each."""
    dealt = dict.fromkeys(weights, 0)
    for _ in range(whole):
        open_ones = [n for n in weights if dealt[n] < room[n]]
        best = max(open_ones, key=lambda n: (Fraction(weights[n] * whole, sum(weights.values())) - dealt[n], -n))
        dealt[best] += 1
    return dealt


# ── One row ──


@dataclass(slots=True)
class _Need:
    """What a row still has to take: by group of levels, and of cases."""

    levels: dict[int, int]
    groups: dict[int, int]
    """The group of each level: itself where levels are asked for, else 0 for all."""
    cases: int | None
    at_least: bool

    def bounds(self, room: Mapping[tuple[int, bool | None], int]) -> tuple[int, int, int]:
        """(items short, fewest cases, most cases) with so much room by (level, case)."""
        short = fewest = most = 0
        for group, count in self.levels.items():
            of_case, whole = 0, 0
            for (level, case), left in room.items():
                if self.groups.get(level) == group:
                    whole += left
                    of_case += left if case else 0
            short += max(0, count - whole)
            fewest += max(0, count - (whole - of_case))
            most += min(count, of_case)
        return short, fewest, most

    def fits(self, room: Mapping[tuple[int, bool | None], int]) -> bool:
        short, fewest, most = self.bounds(room)
        if short:
            return False
        return self.cases is None or (self.cases <= most and (self.at_least or fewest <= self.cases))

    def less(self, level: int, case: bool | None) -> _Need | None:
        """The rest after one item; None when the row has no use for it."""
        group = self.groups.get(level)
        if group is None or not self.levels[group]:
            return None
        cases = self.cases
        if cases is not None and case:
            if not cases and not self.at_least:
                return None
            cases = max(0, cases - 1)
        return _Need({**self.levels, group: self.levels[group] - 1}, self.groups, cases, self.at_least)


def _taken(board: _Board, n: int, row: Row) -> dict[Stratum, int]:
    """How many of each stratum a row takes: as the library has them, as far as levels and cases allow. What is short is noted on the board."""
    strata = board.strata(n)
    levels = dict(row.levels) or {0: row.count}
    groups = {level: level for level in levels} if row.levels else {1: 0, 2: 0, 3: 0}
    need = _Need(levels, groups, row.cases, row.at_least)
    room = _room(board, strata)
    if not need.fits(room):
        board.short[n] = _short(row, need, room)
        return {}
    usable = {one: board.left[one] for one in strata if one[1] in groups}
    whole = {group: sum(left for one, left in usable.items() if groups[one[1]] == group) for group in levels}
    taken = dict.fromkeys(strata, 0)
    for _ in range(row.count):

        def lag(one: Stratum) -> float:
            group = groups[one[1]]
            return usable[one] * levels[group] / whole[group] - taken[one]

        for one in sorted((one for one in usable if board.left[one]), key=lag, reverse=True):
            rest = need.less(one[1], one[2])
            key = (one[1], one[2])
            room[key] -= 1
            if rest is not None and rest.fits(room):
                need = rest
                taken[one] += 1
                board.left[one] -= 1
                break
            room[key] += 1
    return taken


def _room(board: _Board, strata: Iterable[Stratum]) -> dict[tuple[int, bool | None], int]:
    room: dict[tuple[int, bool | None], int] = defaultdict(int)
    for one in strata:
        room[one[1], one[2]] += board.left[one]
    return room


def _short(row: Row, need: _Need, room: Mapping[tuple[int, bool | None], int]) -> list[str]:
    """What of a row the library lacks, to the item."""
    found: list[str] = []
    for group, count in need.levels.items():
        there = sum(left for (level, _), left in room.items() if need.groups.get(level) == group)
        if there < count:
            found.append(f"{row.label}{f'（难度 {group}）' if group else ''} 还差 {count - there} 道")
    if found or need.cases is None:
        return found
    _, fewest, most = need.bounds(room)
    if most < need.cases:
        return [f"{row.label}（案例） 还差 {need.cases - most} 道"]
    return [f"{row.label}（非案例） 还差 {fewest - need.cases} 道"]
