"""Item analysis of an exam: figures of each question and of the paper, from first attempts only (bot/docs/rules.md V12).

The reliability of a paper is Cronbach's alpha, or Hoyt's analysis of variance where people had parallel papers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import atanh, sqrt
from statistics import median

MIN_GROUP = 5
"""Figures of fewer people than this are not shown (bot/docs/rules.md V13): they would be figures of somebody."""
TAIL_SHARE = 0.27
"""Kelley (1939): the upper and lower 27 % tell most."""
EASY_FACILITY, HARD_FACILITY = 0.70, 0.30
MIN_DISCRIMINATION = 0.20
IDLE_SHARE = 0.05
CONFIDENCE_Z = 1.645
"""One-sided 95 %: what a question is suspected of by its correlation must not be what chance does to a few people (Fisher's z)."""
MIN_PEOPLE_FOR_IDLE = 10
"""Fewer people than this leave an option untouched by chance."""
MIN_UPPER_LEAD = 0.05
"""How much larger the share of the upper group must be before a wrong option counts as preferred by the strong."""


class ItemFlag(StrEnum):
    """What somebody ought to look at; the first four speak against the question, the rest are hints."""

    AGAINST = "区分度为负，先核对标准答案"
    WEAK = "区分度低于 0.20"
    STRONG_DISTRACTOR = "高分组更多选错误项"
    KEY_MISSED = "多数人选了同一个错误项"
    TOO_EASY = "偏易（难度高于 0.70）"
    TOO_HARD = "偏难（难度低于 0.30）"
    IDLE_DISTRACTOR = "有选项几乎无人选"


DOUBTFUL_FLAGS = (ItemFlag.AGAINST, ItemFlag.WEAK, ItemFlag.STRONG_DISTRACTOR, ItemFlag.KEY_MISSED)


@dataclass(slots=True)
class Response:
    """One place of one paper. `earned` and `points` in thousandths of a point, `choice` empty when it was left blank, `seconds` where known."""

    paper: int
    question: str
    choice: str
    earned: int
    points: int
    seconds: float | None = None

    @property
    def share(self) -> float:
        return self.earned / self.points


@dataclass(frozen=True, slots=True)
class OptionFigures:
    """One option: the share of all, of the upper and of the lower group that chose it (in a multiple choice: among others)."""

    choice: str
    is_key: bool
    share: float
    upper: float | None
    lower: float | None


@dataclass(frozen=True, slots=True)
class ItemFigures:
    """One question. `facility` is the mean share of its points; `rest_correlation` that of its points with the rest of the paper;
    `tail_difference` the facility of the upper group less that of the lower, `group_size` how many people the smaller group has here;
    `seconds` the median."""

    question: str
    n: int
    facility: float
    rest_correlation: float | None
    tail_difference: float | None
    group_size: float
    seconds: float | None
    blank: int
    options: tuple[OptionFigures, ...]
    flags: tuple[ItemFlag, ...]


@dataclass(frozen=True, slots=True)
class PaperFigures:
    """The whole. Means and deviations as shares of a paper's points; `alpha` is KR-20 when `dichotomous`; `sem` the standard error of a score."""

    n: int
    items: float
    mean: float | None
    deviation: float | None
    alpha: float | None
    sem: float | None
    dichotomous: bool
    parallel: bool


@dataclass(frozen=True, slots=True)
class ItemAnalysis:
    items: tuple[ItemFigures, ...]
    paper: PaperFigures


def analyse_responses(responses: Iterable[Response], keys: Mapping[str, tuple[Sequence[str], str]], tail: float = TAIL_SHARE) -> ItemAnalysis:
    """Figures of every question and of the paper.

    `keys` holds for a question its (options, key): what can be chosen, and the letters (or the word) that are right; without options for what is
    answered in writing. Everybody is in the paper once. `tail` is the share of people in the upper and in the lower group.
    """
    papers: dict[int, list[Response]] = {}
    questions: dict[str, list[Response]] = {}
    for response in responses:
        papers.setdefault(response.paper, []).append(response)
        questions.setdefault(response.question, []).append(response)
    earned = {paper: sum([response.earned for response in places]) for paper, places in papers.items()}
    points = {paper: sum([response.points for response in places]) for paper, places in papers.items()}
    scores = {paper: earned[paper] / points[paper] for paper in papers}
    upper, lower = _tail_weights(scores, tail, best=True), _tail_weights(scores, tail, best=False)
    items = []
    for question, places in questions.items():
        with_others = [response for response in places if points[response.paper] > response.points]
        rest_shares = [(earned[response.paper] - response.earned) / (points[response.paper] - response.points) for response in with_others]
        shares = [response.earned / response.points for response in with_others]
        options, key = keys.get(question, ((), ""))
        items.append(_item_figures(question, places, correlation(shares, rest_shares), upper, lower, options, key))
    return ItemAnalysis(tuple(items), _paper_figures(papers, scores))


def _tail_weights(scores: Mapping[int, float], share: float, *, best: bool) -> dict[int, float]:
    """The weight of each paper in a tail; papers that tie at its border share the places that are left, so that no order decides."""
    if not scores:
        return {}
    places_left = max(1.0, float(round(len(scores) * share)))
    weights: dict[int, float] = {}
    for value in sorted(set(scores.values()), reverse=best):
        if places_left <= 0:
            break
        tied = [paper for paper, score in scores.items() if score == value]
        weights |= dict.fromkeys(tied, min(1.0, places_left / len(tied)))
        places_left -= len(tied)
    return weights


@dataclass(frozen=True, slots=True)
class _Tail:
    """Those of a group (the upper, the lower, or everybody) who answered one question: their weight, their mean share of its points, the share
    that made each choice. Means are None where the group has nobody here."""

    weight: float
    facility: float | None
    choices: Mapping[str, float]

    @classmethod
    def of(cls, places: Sequence[Response], weights: Mapping[int, float]) -> _Tail:
        total = earned = 0.0
        choices: dict[str, float] = {}
        for response in places:
            weight = weights.get(response.paper)
            if weight is not None:
                total += weight
                earned += weight * response.earned / response.points
                choices[response.choice] = choices.get(response.choice, 0.0) + weight
        return cls(total, earned / total if total else None, choices)

    def share_with(self, option: str) -> float | None:
        """The share that chose an option, alone or among others."""
        return sum(weight for choice, weight in self.choices.items() if option in choice) / self.weight if self.weight else None


def _item_figures(
    question: str,
    places: Sequence[Response],
    rest_correlation: float | None,
    upper: Mapping[int, float],
    lower: Mapping[int, float],
    options: Sequence[str],
    key: str,
) -> ItemFigures:
    facility = sum([response.earned / response.points for response in places]) / len(places)
    best, worst = _Tail.of(places, upper), _Tail.of(places, lower)
    tail_difference = None if best.facility is None or worst.facility is None else best.facility - worst.facility
    chosen = Counter(response.choice for response in places)
    option_figures = tuple(
        OptionFigures(
            option,
            option in key,
            sum(count for choice, count in chosen.items() if option in choice) / len(places),
            best.share_with(option),
            worst.share_with(option),
        )
        for option in options
    )
    seconds = [response.seconds for response in places if response.seconds is not None and response.choice]
    return ItemFigures(
        question,
        len(places),
        facility,
        rest_correlation,
        tail_difference,
        min(best.weight, worst.weight),
        median(seconds) if seconds else None,
        chosen[""],
        option_figures,
        _item_flags(len(places), facility, rest_correlation, option_figures),
    )


def _surely_below(r: float, threshold: float, n: int) -> bool:
    """Whether a correlation seen in n people lies below a line by more than chance does."""
    if n <= 3 or r >= threshold:
        return False
    return r <= -1 or atanh(r) + CONFIDENCE_Z / sqrt(n - 3) < atanh(threshold)


def _item_flags(n: int, facility: float, rest_correlation: float | None, options: Sequence[OptionFigures]) -> tuple[ItemFlag, ...]:
    flags = []
    # What all get right, or all wrong, tells nobody apart; that it is too easy or too hard says so already.
    if rest_correlation is not None and _surely_below(rest_correlation, 0.0, n):
        flags.append(ItemFlag.AGAINST)
    elif rest_correlation is not None and _surely_below(rest_correlation, MIN_DISCRIMINATION, n):
        flags.append(ItemFlag.WEAK)
    distractors = [option for option in options if not option.is_key]
    if any(option.upper is not None and option.lower is not None and option.upper - option.lower > MIN_UPPER_LEAD for option in distractors):
        flags.append(ItemFlag.STRONG_DISTRACTOR)
    if any(option.share > 0.5 for option in distractors):
        flags.append(ItemFlag.KEY_MISSED)
    if facility > EASY_FACILITY:
        flags.append(ItemFlag.TOO_EASY)
    elif facility < HARD_FACILITY:
        flags.append(ItemFlag.TOO_HARD)
    if n >= MIN_PEOPLE_FOR_IDLE and any(option.share < IDLE_SHARE for option in distractors):
        flags.append(ItemFlag.IDLE_DISTRACTOR)
    return tuple(flags)


def _paper_figures(papers: Mapping[int, Sequence[Response]], scores: Mapping[int, float]) -> PaperFigures:
    responses = [response for places in papers.values() for response in places]
    forms = {frozenset(response.question for response in places) for places in papers.values()}
    dichotomous = all(response.earned in (0, response.points) for response in responses)
    n = len(papers)
    if n < 2:
        return PaperFigures(n, float(len(responses)), None, None, None, None, dichotomous, False)
    spread = variance(list(scores.values()))
    if len(forms) == 1:
        by_item: dict[str, list[float]] = {}
        for response in responses:
            by_item.setdefault(response.question, []).append(float(response.earned))
        alpha = cronbach_alpha(
            [variance(points) for points in by_item.values()],
            variance([float(sum([response.earned for response in responses_of_paper])) for responses_of_paper in papers.values()]),
        )
    else:
        alpha = hoyt_reliability((response.paper, response.question, float(response.earned)) for response in responses)
    # A paper of chance can come out below nought; what is left is all error then.
    sem = None if alpha is None else sqrt(spread * n / (n - 1)) * sqrt(1 - min(1.0, max(0.0, alpha)))
    return PaperFigures(n, len(responses) / n, sum(scores.values()) / n, sqrt(spread * n / (n - 1)), alpha, sem, dichotomous, len(forms) > 1)


def variance(values: Sequence[float]) -> float:
    """Of a whole population (divided by n): what KR-20 is written with. ZeroDivisionError for no values."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's r of two equally long rows; None when one of them does not vary."""
    n = len(first)
    if n < 2:
        return None
    mean_first, mean_second = sum(first) / n, sum(second) / n
    spread_first = sum((value - mean_first) ** 2 for value in first)
    spread_second = sum((value - mean_second) ** 2 for value in second)
    # What is left of equal numbers after adding them up is not a spread.
    if spread_first < 1e-9 or spread_second < 1e-9:
        return None
    covariance_sum = sum((value - mean_first) * (other - mean_second) for value, other in zip(first, second, strict=True))
    return covariance_sum / sqrt(spread_first * spread_second)


def cronbach_alpha(item_variances: Sequence[float], total_variance: float) -> float | None:
    """Cronbach (1951): k/(k-1) × (1 - Σ item variances / variance of the totals). With items that are right or wrong it is KR-20.

    None for fewer than two items, or when all totals are equal.
    """
    k = len(item_variances)
    return None if k < 2 or total_variance <= 0 else k / (k - 1) * (1 - sum(item_variances) / total_variance)


def hoyt_reliability(scores: Iterable[tuple[Hashable, Hashable, float]]) -> float | None:
    """Hoyt (1941): 1 - residual mean square / mean square of persons, over (person, item, points) with each item's mean taken out.

    Equal to `cronbach_alpha` where everybody answers the same items; where papers were drawn apart it is an estimate for such a paper,
    because nobody answers all items. None when there is too little to tell.
    """
    responses = list(scores)
    items: dict[Hashable, list[float]] = {}
    for _, item, points in responses:
        items.setdefault(item, []).append(points)
    means = {item: sum(points) / len(points) for item, points in items.items()}
    persons: dict[Hashable, list[float]] = {}
    for person, item, points in responses:
        persons.setdefault(person, []).append(points - means[item])
    degrees_of_freedom = len(responses) - len(persons) - len(items) + 1
    if len(persons) < 2 or degrees_of_freedom < 1:
        return None
    person_squares = sum(sum(deviations) ** 2 / len(deviations) for deviations in persons.values())
    total_squares = sum(deviation**2 for deviations in persons.values() for deviation in deviations)
    person_mean_square = person_squares / (len(persons) - 1)
    return None if person_mean_square < 1e-12 else 1 - (total_squares - person_squares) / degrees_of_freedom / person_mean_square
