"""Evidence: bursts, haste, changes of channel, and the same wrong answers, with chance given its due."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import combinations, product
from math import exp, prod

import pytest

from bot.domain.grading.evidence import (
    AnswerSheet,
    TimedAnswer,
    count_hasty,
    find_bursts,
    find_channel_switches,
    find_same_wrong,
    most_alike,
    poisson_binomial_tail,
)
from tests.conftest import NOW


def taps(*seconds: float, chars: int = 60, channels: str = "") -> list[TimedAnswer]:
    of = channels or "w" * len(seconds)
    return [TimedAnswer(n, NOW + timedelta(seconds=at), chars, channel) for n, (at, channel) in enumerate(zip(seconds, of, strict=True), 1)]


def test_fifty_answers_in_one_second_are_one_burst() -> None:
    found = find_bursts(taps(*(n / 50 for n in range(50))))

    assert [(one.answers, round(one.seconds, 2)) for one in found] == [(50, 0.98)]


def test_steady_answers_are_no_burst_and_two_bursts_are_two() -> None:
    assert find_bursts(taps(*range(0, 300, 12))) == []
    twice = taps(0, 1, 2, 3, 4, 100, 200, 201, 202, 203, 204, 205)
    assert [one.answers for one in find_bursts(twice)] == [5, 6]


def test_haste_is_less_than_a_third_of_the_time_that_the_words_take() -> None:
    """60 characters at 400 a minute take 9 seconds; 3 are enough not to be counted."""
    assert count_hasty(taps(2, 5, 9, 20), NOW, 400) == 1


def test_each_change_of_channel_is_told_with_its_place() -> None:
    found = find_channel_switches(taps(10, 20, 30, 40, channels="wwdw"))

    assert [(one.place, one.before, one.after) for one in found] == [(3, "w", "d"), (4, "d", "w")]


@pytest.mark.parametrize("least", range(5))
def test_the_tail_is_the_sum_over_everything_that_can_happen(least: int) -> None:
    chances = [0.1, 0.35, 0.5, 0.8]
    every = sum(
        prod(chance if came else 1 - chance for chance, came in zip(chances, outcome, strict=True))
        for outcome in product((0, 1), repeat=4)
        if sum(outcome) >= least
    )

    assert poisson_binomial_tail(chances, least) == pytest.approx(every)


def an_exam(seed: int, people: int = 120, items: int = 40) -> list[AnswerSheet]:
    """People who answer by themselves: able or less, on easy and hard questions, with one wrong option more tempting than the others."""
    rng = random.Random(seed)
    hard = [rng.gauss(-0.8, 0.8) for _ in range(items)]
    found = []
    for person in range(people):
        skill = rng.gauss(0, 1)
        chosen = {}
        for n in range(items):
            right = rng.random() < 1 / (1 + exp(hard[n] - skill))
            chosen[f"q{n}"] = ("A", True) if right else (rng.choices("BCD", (6, 2, 2))[0], False)
        found.append(AnswerSheet(person, chosen))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_people_who_answer_by_themselves_are_not_named(seed: int) -> None:
    """7,140 pairs each time, though many share the wrong option that tempts most."""
    assert find_same_wrong(an_exam(seed)) == []


def test_who_copied_is_named_with_whom_and_how_unlikely_it_is() -> None:
    sheets = an_exam(3)
    weak = min(sheets, key=lambda sheet: sum(right for _, right in sheet.chosen.values()))
    copied = AnswerSheet(999, dict(weak.chosen))

    found = find_same_wrong([*sheets, copied])

    assert (found[0].first, found[0].second) == (weak.person, 999)
    assert found[0].same == found[0].both_wrong > 15
    assert found[0].rarity < 0.001
    assert found[0].expected < found[0].same
    assert len(found) == 1


def test_a_wrong_answer_that_everybody_gives_says_nothing() -> None:
    """A wrong key looks like this: all choose the same, and no pair stands out."""
    sheets = [AnswerSheet(n, {f"q{i}": ("B", False) if i < 10 else ("A", True) for i in range(20)}) for n in range(30)]

    assert find_same_wrong(sheets) == []


@pytest.mark.parametrize("most_pairs", [1, 7, 40, 10_000])
@pytest.mark.parametrize("least", [1, 3])
def test_who_shares_most_is_found_without_holding_everybody_against_everybody(least: int, most_pairs: int) -> None:
    rng = random.Random(most_pairs * 10 + least)
    traits = [{(n, rng.choice("AB")) for n in range(12) if rng.random() < 0.6} for _ in range(60)]
    shared = [(len(traits[i] & traits[j]), i, j) for i, j in combinations(range(len(traits)), 2)]
    expected = sorted((entry for entry in shared if entry[0] >= least), key=lambda entry: (-entry[0], entry[1], entry[2]))

    assert most_alike(traits, least, most_pairs) == [(i, j) for _, i, j in expected[:most_pairs]]


def test_nobody_shares_anything_with_nobody() -> None:
    assert most_alike([], 1, 5) == most_alike([set()], 1, 5) == most_alike([{"a"}, set(), {"b"}], 1, 5) == []
