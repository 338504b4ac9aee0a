"""One person's paper: drawn by a plan, spared what this person saw lately and what was used too often, brought to the mean difficulty of all."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bot.domain.paper.plan import Item, Plan
from bot.domain.paper.shuffle import shuffled

SPARE = 8
"""So many more than needed are drawn at once, so that one that is barred costs no second look at the whole stratum."""
TOLERANCE = 0.01
"""How far the mean difficulty of a paper may lie from that of all; two papers differ by twice as much at the most (A05: 0.03)."""
SWAPS = 400


@dataclass(frozen=True, slots=True)
class Drawn:
    """One item of a paper: what it is worth, in thousandths of a point, and the order of its options (shuffle.py)."""

    item: Item
    points: int
    shuffle: str = ""


@dataclass(frozen=True, slots=True)
class Paper:
    """A drawn paper; `seen_before` and `overused` count what had to be taken because there was not enough else."""

    items: tuple[Drawn, ...]
    difficulty: float
    seen_before: int = 0
    overused: int = 0


def assemble(plan: Plan, seen: Collection[str], uses: Mapping[str, int], rng: random.Random) -> Paper:
    """A paper of one person. `seen` are the questions of the last papers, `uses` how many papers each question was in."""
    barred = frozenset(seen)
    most = plan.blueprint.most
    worn = frozenset(name for name, count in uses.items() if count >= most) if most else frozenset()
    taken: set[str] = {item.question for item, _ in plan.fixed}
    drawn: list[tuple[int, Item, int]] = []
    """(take, item, points): which take of the plan an item came by, so that it can be swapped for another of the same."""
    for n, (row, items, count) in enumerate(plan.takes):
        for item in _pick(items, count, taken, barred, worn, rng):
            taken.add(item.question)
            drawn.append((n, item, row.points))
    _even_out(plan, drawn, taken, barred | worn, rng)
    everything = [(item, points) for item, points in plan.fixed] + [(item, points) for _, item, points in drawn]
    kinds = {kind: n for n, kind in enumerate(dict.fromkeys([row.kind for row, _, _ in plan.takes] + [item.kind for item, _ in plan.fixed]))}
    everything.sort(key=lambda one: kinds[one[0].kind] + rng.random())
    made = tuple(Drawn(item, points, shuffled(item.letters, rng)) for item, points in everything)
    mean = sum(one.item.difficulty for one in made) / len(made)
    return Paper(made, mean, sum(1 for _, one, _ in drawn if one.question in barred), sum(1 for _, one, _ in drawn if one.question in worn))


def _pick(
    items: Sequence[Item], count: int, taken: Collection[str], barred: Collection[str], worn: Collection[str], rng: random.Random
) -> list[Item]:
    """So many of a stratum; those worn before those this person has seen where nothing else is left."""
    some = rng.sample(items, min(len(items), count + SPARE))
    good = [item for item in some if item.question not in taken and item.question not in barred and item.question not in worn]
    if len(good) >= count:
        return good[:count]
    rest = [item for item in items if item.question not in taken]
    rng.shuffle(rest)
    rest.sort(key=lambda item: 2 * (item.question in barred) + (item.question in worn))
    return rest[:count]


def _even_out(plan: Plan, drawn: list[tuple[int, Item, int]], taken: set[str], barred: Collection[str], rng: random.Random) -> None:
    """Swap items for others of their stratum until the mean is near enough to that of all papers."""
    size = len(drawn) + len(plan.fixed)
    off = sum(item.difficulty for _, item, _ in drawn) + sum(item.difficulty for item, _ in plan.fixed) - plan.mean * size
    for _ in range(SWAPS):
        if abs(off) <= TOLERANCE * size:
            return
        place = rng.randrange(len(drawn))
        n, item, points = drawn[place]
        other = rng.choice(plan.takes[n][1])
        change = other.difficulty - item.difficulty
        if other.question in taken or other.question in barred or abs(off + change) >= abs(off):
            continue
        drawn[place] = (n, other, points)
        taken.discard(item.question)
        taken.add(other.question)
        off += change
