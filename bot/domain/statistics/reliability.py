"""How much of what a paper measured would come out again: Cronbach's alpha, and the same by analysis of variance for parallel papers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from math import sqrt


def variance(values: Sequence[float]) -> float:
    """Of a whole population (divided by n): what KR-20 is written with. ZeroDivisionError for no values."""
    mean = sum(values) / len(values)
    return sum((one - mean) ** 2 for one in values) / len(values)


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's r of two equally long rows; None when one of them does not vary."""
    n = len(first)
    if n < 2:
        return None
    mean_first, mean_second = sum(first) / n, sum(second) / n
    spread_first = sum((one - mean_first) ** 2 for one in first)
    spread_second = sum((one - mean_second) ** 2 for one in second)
    # What is left of equal numbers after adding them up is not a spread.
    if spread_first < 1e-9 or spread_second < 1e-9:
        return None
    together = sum((one - mean_first) * (other - mean_second) for one, other in zip(first, second, strict=True))
    return together / sqrt(spread_first * spread_second)


def cronbach(item_variances: Sequence[float], total_variance: float) -> float | None:
    """Cronbach (1951): k/(k-1) × (1 - Σ item variances / variance of the totals). With items that are right or wrong it is KR-20.

    None for fewer than two items, or when all totals are equal.
    """
    k = len(item_variances)
    return None if k < 2 or total_variance <= 0 else k / (k - 1) * (1 - sum(item_variances) / total_variance)


def hoyt(scores: Iterable[tuple[Hashable, Hashable, float]]) -> float | None:
    """Hoyt (1941): 1 - residual mean square / mean square of persons, over (person, item, points) with each item's mean taken out.

    Equal to `cronbach` where everybody answers the same items; where papers were drawn apart it is an estimate for such a paper, because nobody
    answers all items. None when there is too little to tell.
    """
    rows = list(scores)
    items: dict[Hashable, list[float]] = {}
    for _, item, points in rows:
        items.setdefault(item, []).append(points)
    means = {item: sum(points) / len(points) for item, points in items.items()}
    persons: dict[Hashable, list[float]] = {}
    for person, item, points in rows:
        persons.setdefault(person, []).append(points - means[item])
    free = len(rows) - len(persons) - len(items) + 1
    if len(persons) < 2 or free < 1:
        return None
    of_persons = sum(sum(one) ** 2 / len(one) for one in persons.values())
    whole = sum(deviation**2 for one in persons.values() for deviation in one)
    between = of_persons / (len(persons) - 1)
    return None if between < 1e-12 else 1 - (whole - of_persons) / free / between
