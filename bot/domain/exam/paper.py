"""How a person's paper is drawn from the question bank by a blueprint, and how its options are shuffled.

`build_plan` groups the questions into strata: those that the same rows want, of one level and, where cases are asked for, case or not. Each paper
takes the same number from each stratum, so that shares hold exactly and all papers are parallel. `draw_paper` then picks one paper, avoids what the
person saw in earlier papers or what was used too often, and brings the mean difficulty close to that of the plan.

A shuffle is a string of the file's letters in the order in which they are shown: with CABD, what is shown as A is the file's C. Empty: not shuffled.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import permutations

from bot.domain.exam.blueprint import Blueprint, BlueprintRow
from bot.domain.library.question import Question

MISS_RATE_BY_LEVEL = {1: 0.15, 2: 0.30, 3: 0.50}
"""How many of a hundred are expected to miss an item that nobody has answered yet, by its level."""
LEVEL_WEIGHT = 20
"""The level weighs as much as this many answers."""

Stratum = tuple[frozenset[int], int, bool | None]
"""(rows that want it, level, case or not; None where no row asks)."""


def expected_difficulty(level: int, answered: int = 0, right: int = 0) -> float:
    """The expected share of wrong answers, 0 to 1: of the level, and of first answers as far as there are any."""
    return (MISS_RATE_BY_LEVEL[level] * LEVEL_WEIGHT + (answered - right)) / (LEVEL_WEIGHT + answered)


@dataclass(frozen=True, slots=True)
class CandidateItem:
    """A question that can be drawn. `letters` are those of options that may be shuffled, else empty."""

    question: str
    version_id: int
    kind: str
    law: str
    level: int
    case: bool
    difficulty: float
    letters: str = ""


@dataclass(frozen=True, slots=True)
class PaperPlan:
    """What every paper takes: `takes` (row, items of the stratum, how many), `fixed` (item, points) beside them.

    `mean` is the expected difficulty that every paper is brought to. Made once for an exam, used for everybody.
    """

    blueprint: Blueprint
    takes: tuple[tuple[BlueprintRow, tuple[CandidateItem, ...], int], ...]
    fixed: tuple[tuple[CandidateItem, int], ...]
    mean: float


@dataclass(slots=True)
class _RemainingItems:
    """How many items of each stratum are left while the rows of a blueprint take theirs."""

    items: dict[Stratum, list[CandidateItem]]
    left: dict[Stratum, int] = field(default_factory=dict)
    shortages: dict[int, list[str]] = field(default_factory=dict)
    """What each row lacks, by its index."""

    def strata(self, row_index: int) -> list[Stratum]:
        return sorted(
            (stratum for stratum in self.items if row_index in stratum[0]), key=lambda key: (len(key[0]), sorted(key[0]), key[1], bool(key[2]))
        )


def find_shortages(blueprint: Blueprint, pool: Sequence[CandidateItem], scopes: Mapping[str, Collection[str]]) -> list[str]:
    """What the library lacks for a blueprint, one sentence each (民法典 单选题 还差 3 道); empty when papers can be drawn."""
    return _plan_or_shortages(blueprint, pool, scopes)[1]


def build_plan(blueprint: Blueprint, pool: Sequence[CandidateItem], scopes: Mapping[str, Collection[str]]) -> PaperPlan:
    """The plan of a blueprint. `scopes` maps the names of its rows to the questions they hold. Raises ValueError for what `find_shortages` names."""
    plan, faults = _plan_or_shortages(blueprint, pool, scopes)
    if plan is None:
        raise ValueError("；".join(faults))
    return plan


def _plan_or_shortages(
    blueprint: Blueprint, pool: Sequence[CandidateItem], scopes: Mapping[str, Collection[str]]
) -> tuple[PaperPlan | None, list[str]]:
    faults = [f"题库里没有「{name}」" for name in dict.fromkeys(row.scope for row in blueprint.rows) if name and name not in scopes]
    known = {item.question: item for item in pool}
    faults += [f"没有编号为 {name} 的可用题" for name, _ in blueprint.fixed if name not in known]
    if faults:
        return None, faults
    fixed = tuple((known[name], points) for name, points in blueprint.fixed)
    rows, short = _assign_cases(blueprint, [known[name] for name, _ in blueprint.fixed], pool, scopes)
    stock = _RemainingItems(_group_strata(rows, blueprint, pool, scopes))
    stock.left = {stratum: len(items) for stratum, items in stock.items.items()}
    takes: dict[int, dict[Stratum, int]] = {}
    # Who has the least to choose from chooses first: a row of one law before a row of all laws.
    for index in sorted(range(len(rows)), key=lambda index: sum(stock.left[stratum] for stratum in stock.strata(index))):
        takes[index] = _allocate_row(stock, index, rows[index])
    faults = [short] if short else [shortage for index in sorted(stock.shortages) for shortage in stock.shortages[index]]
    if faults:
        return None, faults
    plan_takes = tuple(
        (row, tuple(stock.items[stratum]), count) for index, row in enumerate(rows) for stratum, count in takes[index].items() if count
    )
    weights = [(sum(item.difficulty for item in items) / len(items), count) for _, items, count in plan_takes]
    weights += [(item.difficulty, 1) for item, _ in fixed]
    mean = sum(value * count for value, count in weights) / max(1, sum(count for _, count in weights))
    return PaperPlan(blueprint, plan_takes, fixed, mean), []


def _matches_row(row: BlueprintRow, item: CandidateItem, scopes: Mapping[str, Collection[str]]) -> bool:
    return item.kind == row.kind and (not row.scope or item.question in scopes[row.scope])


def _group_strata(
    rows: Sequence[BlueprintRow], blueprint: Blueprint, pool: Sequence[CandidateItem], scopes: Mapping[str, Collection[str]]
) -> dict[Stratum, list[CandidateItem]]:
    scope_items = {name: frozenset(questions) for name, questions in scopes.items()}
    fixed = {name for name, _ in blueprint.fixed}
    strata: dict[Stratum, list[CandidateItem]] = defaultdict(list)
    for item in sorted(pool, key=lambda item: item.question):
        wanted = frozenset(n for n, row in enumerate(rows) if _matches_row(row, item, scope_items))
        if wanted and item.question not in fixed:
            sort = item.case if any(rows[n].cases is not None for n in wanted) else None
            strata[wanted, item.level, sort].append(item)
    return dict(strata)


# ── Cases of the whole paper ──


def _assign_cases(
    blueprint: Blueprint, fixed: Sequence[CandidateItem], pool: Sequence[CandidateItem], scopes: Mapping[str, Collection[str]]
) -> tuple[tuple[BlueprintRow, ...], str]:
    """The rows with the cases that are asked of the whole paper dealt out to those that say nothing themselves, and what is short of them."""
    if blueprint.cases is None:
        return blueprint.rows, ""
    required_cases = sum(1 for item in fixed if item.case) + sum(row.cases for row in blueprint.rows if row.cases is not None)
    free = [n for n, row in enumerate(blueprint.rows) if row.cases is None]
    missing_cases = max(0, blueprint.cases - required_cases)
    fixed_names = {name for name, _ in blueprint.fixed}
    of_row = {n: [item for item in pool if item.question not in fixed_names and _matches_row(blueprint.rows[n], item, scopes)] for n in free}
    room = {n: min(blueprint.rows[n].count, sum(1 for item in of_row[n] if item.case)) for n in free}
    if sum(room.values()) < missing_cases:
        return blueprint.rows, f"案例题 还差 {missing_cases - sum(room.values())} 道"
    if required_cases > blueprint.cases and not blueprint.at_least:
        return blueprint.rows, f"案例题 多出 {required_cases - blueprint.cases} 道，固定题和各行要求的案例题超过了全卷的数目"
    shares = _distribute(missing_cases, {n: blueprint.rows[n].count for n in free}, room)
    return tuple(replace(row, cases=shares[n], at_least=blueprint.at_least) if n in shares else row for n, row in enumerate(blueprint.rows)), ""


def _distribute(total: int, weights: Mapping[int, int], room: Mapping[int, int]) -> dict[int, int]:
    """A number dealt out by weight, never beyond the room of each."""
    shares = dict.fromkeys(weights, 0)
    for _ in range(total):
        candidates = [n for n in weights if shares[n] < room[n]]
        chosen = max(candidates, key=lambda n: (Fraction(weights[n] * total, sum(weights.values())) - shares[n], -n))
        shares[chosen] += 1
    return shares


# ── One row ──


@dataclass(slots=True)
class _RowDemand:
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
            available_cases, available = 0, 0
            for (level, case), left in room.items():
                if self.groups.get(level) == group:
                    available += left
                    available_cases += left if case else 0
            short += max(0, count - available)
            fewest += max(0, count - (available - available_cases))
            most += min(count, available_cases)
        return short, fewest, most

    def fits(self, room: Mapping[tuple[int, bool | None], int]) -> bool:
        short, fewest, most = self.bounds(room)
        if short:
            return False
        return self.cases is None or (self.cases <= most and (self.at_least or fewest <= self.cases))

    def after_taking(self, level: int, case: bool | None) -> _RowDemand | None:
        """The rest after one item; None when the row has no use for it."""
        group = self.groups.get(level)
        if group is None or not self.levels[group]:
            return None
        cases = self.cases
        if cases is not None and case:
            if not cases and not self.at_least:
                return None
            cases = max(0, cases - 1)
        return _RowDemand({**self.levels, group: self.levels[group] - 1}, self.groups, cases, self.at_least)


def _allocate_row(stock: _RemainingItems, row_index: int, row: BlueprintRow) -> dict[Stratum, int]:
    """How many of each stratum a row takes: as the library has them, as levels and cases allow; what is short goes to `stock.shortages`."""
    strata = stock.strata(row_index)
    levels = dict(row.levels) or {0: row.count}
    groups = {level: level for level in levels} if row.levels else {1: 0, 2: 0, 3: 0}
    need = _RowDemand(levels, groups, row.cases, row.at_least)
    room = _count_available(stock, strata)
    if not need.fits(room):
        stock.shortages[row_index] = _row_shortages(row, need, room)
        return {}
    usable = {stratum: stock.left[stratum] for stratum in strata if stratum[1] in groups}
    group_size = {group: sum(left for stratum, left in usable.items() if groups[stratum[1]] == group) for group in levels}
    taken = dict.fromkeys(strata, 0)
    for _ in range(row.count):

        def lag(stratum: Stratum) -> float:
            group = groups[stratum[1]]
            return usable[stratum] * levels[group] / group_size[group] - taken[stratum]

        for stratum in sorted((stratum for stratum in usable if stock.left[stratum]), key=lag, reverse=True):
            remaining = need.after_taking(stratum[1], stratum[2])
            key = (stratum[1], stratum[2])
            room[key] -= 1
            if remaining is not None and remaining.fits(room):
                need = remaining
                taken[stratum] += 1
                stock.left[stratum] -= 1
                break
            room[key] += 1
    return taken


def _count_available(stock: _RemainingItems, strata: Iterable[Stratum]) -> dict[tuple[int, bool | None], int]:
    room: dict[tuple[int, bool | None], int] = defaultdict(int)
    for stratum in strata:
        room[stratum[1], stratum[2]] += stock.left[stratum]
    return room


def _row_shortages(row: BlueprintRow, need: _RowDemand, room: Mapping[tuple[int, bool | None], int]) -> list[str]:
    """What of a row the library lacks, to the item."""
    shortages: list[str] = []
    for group, count in need.levels.items():
        available = sum(left for (level, _), left in room.items() if need.groups.get(level) == group)
        if available < count:
            shortages.append(f"{row.label}{f'（难度 {group}）' if group else ''} 还差 {count - available} 道")
    if shortages or need.cases is None:
        return shortages
    _, fewest, most = need.bounds(room)
    if most < need.cases:
        return [f"{row.label}（案例） 还差 {need.cases - most} 道"]
    return [f"{row.label}（非案例） 还差 {fewest - need.cases} 道"]


SPARE_DRAWS = 8
"""How many more than needed are drawn at once, so that an item to avoid costs no second pass over the whole stratum."""
DIFFICULTY_TOLERANCE = 0.01
"""How far the mean difficulty of a paper may lie from that of all; two papers differ by twice as much at the most (bot/docs/rules.md A05: 0.03)."""
MAX_SWAPS = 400


@dataclass(frozen=True, slots=True)
class DrawnItem:
    """One item of a paper: what it is worth, in thousandths of a point, and the order of its options (empty: that of the file)."""

    item: CandidateItem
    points: int
    shuffle: str = ""


@dataclass(frozen=True, slots=True)
class Paper:
    """A drawn paper; `seen_before` and `overused` count what had to be taken because there was not enough else."""

    items: tuple[DrawnItem, ...]
    difficulty: float
    seen_before: int = 0
    overused: int = 0


def papers_within_most(plan: PaperPlan, uses: Mapping[str, int]) -> int | None:
    """How many more papers can be drawn before a question is used oftener than the blueprint wants; None where it sets no limit.

    Fixed questions are in every paper and do not count.
    """
    most = plan.blueprint.most
    if not most or not plan.takes:
        return None
    return min(sum(max(0, most - uses.get(item.question, 0)) for item in items) // count for _, items, count in plan.takes)


def draw_paper(plan: PaperPlan, seen_questions: Collection[str], uses: Mapping[str, int], rng: random.Random) -> Paper:
    """A paper of one person. `seen` are the questions of the last papers, `uses` how many papers each question was in."""
    barred = frozenset(seen_questions)
    most = plan.blueprint.most
    overused = frozenset(name for name, count in uses.items() if count >= most) if most else frozenset()
    taken: set[str] = {item.question for item, _ in plan.fixed}
    drawn: list[tuple[int, CandidateItem, int]] = []
    """(take, item, points): which take of the plan an item came by, so that it can be swapped for another of the same."""
    for n, (row, items, count) in enumerate(plan.takes):
        for item in _draw_items(items, count, taken, barred, overused, rng):
            taken.add(item.question)
            drawn.append((n, item, row.points))
    _balance_difficulty(plan, drawn, taken, barred | overused, rng)
    paper_items = [(item, points) for item, points in plan.fixed] + [(item, points) for _, item, points in drawn]
    kinds = {kind: n for n, kind in enumerate(dict.fromkeys([row.kind for row, _, _ in plan.takes] + [item.kind for item, _ in plan.fixed]))}
    paper_items.sort(key=lambda entry: kinds[entry[0].kind] + rng.random())
    drawn_items = tuple(DrawnItem(item, points, random_shuffle(item.letters, rng)) for item, points in paper_items)
    mean = sum(drawn_item.item.difficulty for drawn_item in drawn_items) / len(drawn_items)
    return Paper(
        drawn_items, mean, sum(1 for _, item, _ in drawn if item.question in barred), sum(1 for _, item, _ in drawn if item.question in overused)
    )


def _draw_items(
    items: Sequence[CandidateItem], count: int, taken: Collection[str], barred: Collection[str], overused: Collection[str], rng: random.Random
) -> list[CandidateItem]:
    """`count` items of a stratum; where fresh ones run out, overused ones come before those that this person has seen."""
    sample = rng.sample(items, min(len(items), count + SPARE_DRAWS))
    preferred = [item for item in sample if item.question not in taken and item.question not in barred and item.question not in overused]
    if len(preferred) >= count:
        return preferred[:count]
    remaining = [item for item in items if item.question not in taken]
    rng.shuffle(remaining)
    remaining.sort(key=lambda item: 2 * (item.question in barred) + (item.question in overused))
    return remaining[:count]


def _balance_difficulty(
    plan: PaperPlan, drawn: list[tuple[int, CandidateItem, int]], taken: set[str], barred: Collection[str], rng: random.Random
) -> None:
    """Swap items for others of their stratum until the mean is near enough to that of all papers."""
    size = len(drawn) + len(plan.fixed)
    deviation = sum(item.difficulty for _, item, _ in drawn) + sum(item.difficulty for item, _ in plan.fixed) - plan.mean * size
    for _ in range(MAX_SWAPS):
        if abs(deviation) <= DIFFICULTY_TOLERANCE * size:
            return
        place = rng.randrange(len(drawn))
        take_index, item, points = drawn[place]
        replacement = rng.choice(plan.takes[take_index][1])
        change = replacement.difficulty - item.difficulty
        if replacement.question in taken or replacement.question in barred or abs(deviation + change) >= abs(deviation):
            continue
        drawn[place] = (take_index, replacement, points)
        taken.discard(item.question)
        taken.add(replacement.question)
        deviation += change


ALPHABET = "ABCDEFGH"
_LETTER = re.compile(r"(?<![A-Za-z0-9])[A-H](?![A-Za-z0-9])")
_REFERS = re.compile(
    r"(?<![A-Za-z0-9])[A-H](?:\s*[、,，和与及或]\s*[A-H](?![A-Za-z0-9])|\s*(?:项|选项|都|均|对|错|正确|错误)|$)"
    r"|^[A-H]{2,}$|(?:以上|上述|前述|上面|前面)(?:各|都|均|皆|全|选项|所有|说法|答案|内容|情形|情况|[两二三四几]项)"
    r"|(?:前|后|其他|其余)[两二三四几]?(?:项|个选项|种说法)|都(?:对|错|正确|不正确|不对|是|不是)$"
)


def may_shuffle(question: Question) -> bool:
    """False for what has no options, and where an option speaks of others (以上都对, A和B): it would speak of the wrong ones."""
    return len(question.options) > 1 and not any(_REFERS.search(label.strip()) for _, label in question.options)


def random_shuffle(letters: str, rng: random.Random) -> str:
    """The letters in a random order; empty where the order is that of the file."""
    orders = _shuffles(letters)
    return orders[int(rng.random() * len(orders))]


@lru_cache
def _shuffles(letters: str) -> tuple[str, ...]:
    """Every order of some letters, the one of the file as empty: five thousand papers of fifty items are shuffled in the same second."""
    return ("", *("".join(order) for order in permutations(letters) if "".join(order) != letters))


def to_file_letters(choice: str, shuffle: str) -> str:
    """Letters as seen, in the letters of the file, in order; anything else (对, a written answer) as it is."""
    return _translate_letters(choice, shuffle, dict(zip(ALPHABET, shuffle, strict=False))) if shuffle else choice


def to_shown_letters(choice: str, shuffle: str) -> str:
    """Letters of the file as this person sees them, in order."""
    return (
        _translate_letters(choice, shuffle, {file_letter: shown_letter for shown_letter, file_letter in zip(ALPHABET, shuffle, strict=False)})
        if shuffle
        else choice
    )


def _translate_letters(choice: str, shuffle: str, to: dict[str, str]) -> str:
    return "".join(sorted(to[letter] for letter in choice)) if choice and all(letter in to for letter in choice) else choice


@lru_cache(maxsize=4096)
def shuffle_question(question: Question, shuffle: str) -> Question:
    """The question as this person sees it: options, key, and the letters that its explanation speaks of."""
    if not shuffle:
        return question
    labels = dict(question.options)
    shown_letters = {file_letter: letter for letter, file_letter in zip(ALPHABET, shuffle, strict=False)}
    options = tuple((shown_letters[file_letter], labels[file_letter]) for file_letter in shuffle)
    explanation = _LETTER.sub(lambda match: shown_letters.get(match[0], match[0]), question.explanation)
    return replace(question, options=options, key=to_shown_letters(question.key, shuffle), explanation=explanation)
