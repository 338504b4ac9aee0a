"""Signs of irregular answering in an exam: pace, bursts, channel switches, identical wrong answers.

Each is a fact with other possible explanations, for a person to check, never a verdict (bot/docs/rules.md#evidence-not-verdicts).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise
from math import exp, log
from operator import attrgetter

BURST_ANSWERS = 5
"""So many answers within `BURST_WINDOW` are a burst; a page that was offline and then sends its queue looks the same."""
BURST_WINDOW = timedelta(seconds=10)
HASTE_FACTOR = 3
"""An answer given in less than a third of the time that its words take to read."""
MAX_PAIRS = 5_000
"""Pairs that are weighed one by one, those with most in common first."""
RARITY_LIMIT = 0.01
"""A pair is shown when chance alone would bring about as much in fewer than one exam of a hundred (after Bonferroni)."""
MIN_SAME_WRONG = 3


@dataclass(slots=True)
class TimedAnswer:
    """One answer as it came: place, arrival at the server, characters that had to be read for it, the channel it came by."""

    place: int
    arrived_at: datetime
    chars: int
    channel: str


_ARRIVAL = attrgetter("arrived_at")


@dataclass(frozen=True, slots=True)
class Burst:
    """Answers that arrived within `BURST_WINDOW` of each other."""

    began: datetime
    answers: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ChannelSwitch:
    """The channel changed before the answer to a place."""

    place: int
    arrived_at: datetime
    before: str
    after: str


def find_bursts(answers: Sequence[TimedAnswer]) -> list[Burst]:
    """Stretches in which more answers came than anybody reads and taps; `answers` in any order."""
    bursts_found: list[Burst] = []
    arrivals = sorted(answer.arrived_at for answer in answers)
    first = 0
    while first + BURST_ANSWERS <= len(arrivals):
        last = first + BURST_ANSWERS - 1
        if arrivals[last] - arrivals[first] > BURST_WINDOW:
            first += 1
            continue
        while last + 1 < len(arrivals) and arrivals[last + 1] - arrivals[last + 2 - BURST_ANSWERS] <= BURST_WINDOW:
            last += 1
        bursts_found.append(Burst(arrivals[first], last - first + 1, (arrivals[last] - arrivals[first]).total_seconds()))
        first = last + 1
    return bursts_found


def count_hasty(answers: Sequence[TimedAnswer], opened: datetime, chars_a_minute: int) -> int:
    """How many answers came sooner after the one before than a third of the reading time of their words."""
    ordered = sorted(answers, key=_ARRIVAL)
    times = [opened, *(answer.arrived_at for answer in ordered)]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    return sum(1 for gap, answer in zip(gaps, ordered, strict=True) if gap * HASTE_FACTOR < answer.chars * 60 / chars_a_minute)


def find_channel_switches(answers: Sequence[TimedAnswer]) -> list[ChannelSwitch]:
    """Where the channel changed, in order of time."""
    ordered = sorted(answers, key=_ARRIVAL)
    return [
        ChannelSwitch(later.place, later.arrived_at, earlier.channel, later.channel)
        for earlier, later in pairwise(ordered)
        if earlier.channel != later.channel
    ]


# ── The same wrong answers ──


@dataclass(frozen=True, slots=True)
class AnswerSheet:
    """What one person chose, question by question: (choice, whether it was right). What was left blank is not in it."""

    person: int
    chosen: Mapping[str, tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """Two people with the same wrong answers: how many, of how many both got wrong and both had; what chance would give, and how rare it is.

    `rarity` is the probability of as many or more by chance, times the number of pairs that were compared.
    """

    first: int
    second: int
    same: int
    both_wrong: int
    common: int
    expected: float
    rarity: float


def find_same_wrong(sheets: Sequence[AnswerSheet], *, rare: float = RARITY_LIMIT) -> list[AnswerPair]:
    """Pairs with more of the same wrong answers than chance explains, the rarest first.

    The statistic is the generalised binomial test of van der Linden and Sotaridona (2006) on identical wrong answers: the chance that two people
    meet in a wrong option differs from question to question (an option that everybody falls for says nothing) and from person to person (who is
    often wrong is often wrong together); their sum is a Poisson binomial, and its upper tail the probability that is compared, corrected for the
    number of pairs (Bonferroni).
    """
    wrong = [[(question, choice) for question, (choice, right) in sheet.chosen.items() if not right] for sheet in sheets]
    pairs = len(sheets) * (len(sheets) - 1) // 2
    chances = _WrongAnswerChances(sheets)
    pairs_found = [chances.compare(sheets[i], sheets[j], pairs) for i, j in most_alike(wrong, MIN_SAME_WRONG, MAX_PAIRS)]
    return sorted((pair for pair in pairs_found if pair.rarity < rare), key=lambda pair: (pair.rarity, pair.first, pair.second))


def most_alike(traits: Sequence[Collection[Hashable]], least: int, most_pairs: int) -> list[tuple[int, int]]:
    """The pairs (i, j), i < j, that share most of their traits, most first, then in order; none that shares fewer than `least`.

    Nobody is held against anybody one by one (twelve million pairs of 5,000 people): a trait is a number with a bit for each of those who have it,
    and how many traits of one person all others share is added up in binary over these numbers, a number for each binary place of the counts.
    """
    holders: dict[Hashable, int] = {}
    alike: dict[int, list[tuple[int, int]]] = {}
    found: Counter[int] = Counter()
    for i in range(len(traits) - 1, -1, -1):
        for shared, others in _shared_counts([holders.get(trait, 0) for trait in traits[i]]):
            if shared >= least:
                alike.setdefault(shared, []).append((i, others))
                found[shared] += others.bit_count()
        for trait in traits[i]:
            holders[trait] = holders.get(trait, 0) | 1 << i
        while sum(count for shared, count in found.items() if shared > least) >= most_pairs:
            alike.pop(least, None)
            found.pop(least, None)
            least += 1
    ordered = ((i, j) for shared in sorted(alike, reverse=True) for i, others in reversed(alike[shared]) for j in _set_bits(others))
    return list(islice(ordered, most_pairs))


def _shared_counts(holders: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(count, who is in exactly so many of these sets of bits), for every count above nought that there is."""
    places: list[int] = []
    anybody = 0
    for bits in holders:
        anybody |= bits
        carry = bits
        for place, digits in enumerate(places):
            places[place], carry = digits ^ carry, digits & carry
            if not carry:
                break
        if carry:
            places.append(carry)
    counts = [(0, anybody)]
    for place in range(len(places) - 1, -1, -1):
        counts = [
            (count + digit, part)
            for count, people in counts
            for digit, part in ((1 << place, people & places[place]), (0, people & ~places[place]))
            if part
        ]
    yield from counts


def _set_bits(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


class _WrongAnswerChances:
    """How often each question is got wrong, with which option, and by whom."""

    def __init__(self, sheets: Sequence[AnswerSheet]) -> None:
        self.wrong: defaultdict[str, Counter[str]] = defaultdict(Counter)
        right: Counter[str] = Counter()
        answered: Counter[str] = Counter()
        for sheet in sheets:
            for question, (choice, is_right) in sheet.chosen.items():
                answered[question] += 1
                if is_right:
                    right[question] += 1
                else:
                    self.wrong[question][choice] += 1
        self.item = {question: _logit(right[question], n) for question, n in answered.items()}
        self.level = sum(self.item[question] * n for question, n in answered.items()) / max(1, sum(answered.values()))
        self._alike: dict[tuple[str, tuple[str, ...]], float] = {}
        self._fails: dict[int, dict[str, float]] = {}
        self.person = {sheet.person: _logit(sum(is_right for _, is_right in sheet.chosen.values()), len(sheet.chosen)) for sheet in sheets}

    def compare(self, first: AnswerSheet, second: AnswerSheet, pairs: int) -> AnswerPair:
        common = [question for question in first.chosen if question in second.chosen]
        fails_first, fails_second = self._chances_wrong(first), self._chances_wrong(second)
        chances, same, both_wrong = [], 0, 0
        for question in common:
            (choice_first, right_first), (choice_second, right_second) = first.chosen[question], second.chosen[question]
            both_wrong += not right_first and not right_second
            same += not right_first and not right_second and choice_first == choice_second
            wrong_choices = (() if right_first else (choice_first,)) + (() if right_second else (choice_second,))
            chances.append(fails_first[question] * fails_second[question] * self._chance_of_same_wrong(question, wrong_choices))
        return AnswerPair(
            first.person, second.person, same, both_wrong, len(common), sum(chances), min(1.0, poisson_binomial_tail(chances, same) * pairs)
        )

    def _chances_wrong(self, sheet: AnswerSheet) -> dict[str, float]:
        """How likely somebody is to get each of their questions wrong, by the question and by how often they are."""
        fails = self._fails.get(sheet.person)
        if fails is None:
            level = self.person[sheet.person]
            fails = self._fails[sheet.person] = {question: _chance_wrong(self.item[question] - self.level + level) for question in sheet.chosen}
        return fails

    def _chance_of_same_wrong(self, question: str, wrong_choices: tuple[str, ...]) -> float:
        """The chance that two who are wrong are wrong alike, by the choices of all others (with one more each, so that nothing is impossible)."""
        chance = self._alike.get((question, wrong_choices))
        if chance is None:
            counts: Mapping[str, int] = self.wrong.get(question, {})
            others = {choice: count - wrong_choices.count(choice) + 1 for choice, count in counts.items()}
            total = sum(others.values())
            chance = self._alike[question, wrong_choices] = sum((count / total) ** 2 for count in others.values()) if others else 1.0
        return chance


def _logit(right: int, n: int) -> float:
    return log((right + 0.5) / (n - right + 0.5))


def _chance_wrong(level: float) -> float:
    """The chance to be wrong of somebody at a level (logistic)."""
    return 1 / (1 + exp(level))


def poisson_binomial_tail(chances: Sequence[float], least: int) -> float:
    """The probability that at least `least` of independent events with these chances come about (Poisson binomial, exactly)."""
    below = [1.0] + [0.0] * (least - 1) if least > 0 else []
    reached = 0.0 if least > 0 else 1.0
    for chance in chances:
        if not below:
            break
        reached += below[-1] * chance
        for index in range(len(below) - 1, 0, -1):
            below[index] = below[index] * (1 - chance) + below[index - 1] * chance
        below[0] *= 1 - chance
    return reached
