"""Item statistics against worked examples that others have published, and against the same figures by another road."""

from __future__ import annotations

import random
from itertools import combinations
from math import exp
from statistics import correlation, pvariance, stdev

import pytest

from bot.domain.grading.item_statistics import ItemFlag, Response, analyse_responses, cronbach_alpha, hoyt_reliability

WUENSCH = [
    "1111110110", "1011011101", "1111011001", "0010001000", "0000010010",
    "1110111111", "1101110111", "1111111101", "0101111101", "1101101110",
]  # fmt: skip
"""Ten students, ten items: K. L. Wuensch, "The Kuder-Richardson 20", East Carolina University (core.ecu.edu/wuenschk/StatHelp/KR20.txt)."""

WORKSHEET = [
    "1111111111", "1111111101", "1101111100", "0111110101", "1110111001",
    "1110110100", "0110110101", "0111001010", "1110100001", "0100010010",
]  # fmt: skip
"""Ten students from the best to the weakest, ten questions: "Item Analysis Worksheet" with its answers (studylib.net/doc/25270846)."""


def matrix(rows: list[str], points: int = 1000) -> list[Response]:
    return [
        Response(paper, f"q{n}", "A" if mark == "1" else "B", points * int(mark), points)
        for paper, row in enumerate(rows)
        for n, mark in enumerate(row, 1)
    ]


def test_kr20_of_a_published_example() -> None:
    """Printed there: every p, every pq, and 5.84 as the variance of the totals; the formula over them gives 10/9 × (1 - 2.18/5.84)."""
    found = analyse_responses(matrix(WUENSCH), {})

    assert [round(item.facility, 2) for item in found.items] == [0.7, 0.7, 0.6, 0.7, 0.6, 0.8, 0.7, 0.7, 0.5, 0.6]
    assert found.paper.alpha == pytest.approx(10 / 9 * (1 - 2.18 / 5.84))
    assert found.paper.dichotomous
    assert (found.paper.n, found.paper.items, found.paper.parallel) == (10, 10, False)


def test_alpha_of_a_published_example_and_with_each_item_dropped() -> None:
    """StatsBase.jl, `cronbachalpha`: variances 10, 11, 12, 13 and covariances of 6 give 0.8136, and 0.7500 … 0.7826 without one item."""
    variances = [10.0, 11.0, 12.0, 13.0]

    assert cronbach_alpha(variances, sum(variances) + 12 * 6) == pytest.approx(0.8136, abs=5e-5)
    dropped = [cronbach_alpha(variances[:n] + variances[n + 1 :], sum(variances) - variances[n] + 6 * 6) for n in range(4)]
    assert dropped == pytest.approx([0.7500, 0.7606, 0.7714, 0.7826], abs=5e-5)


def test_upper_and_lower_groups_of_a_published_worksheet() -> None:
    """The worksheet compares the upper with the lower half; its difficulty and discrimination for all ten questions."""
    found = analyse_responses(matrix(WORKSHEET), {}, tail=0.5)

    assert [item.tail_difference for item in found.items] == pytest.approx([0.4, 0.0, 0.0, 0.6, 0.4, 0.4, 0.6, 0.4, -0.2, 0.4])
    assert [round(item.facility, 2) for item in found.items] == [0.6, 1.0, 0.8, 0.5, 0.8, 0.8, 0.5, 0.6, 0.3, 0.6]


@pytest.fixture
def class_of_forty() -> list[list[int]]:
    """Forty people, twelve items worth 1 to 3 points, half points possible."""
    rng = random.Random(7)
    return [[rng.choice((0, 500, 1000)) * (n % 3 + 1) if rng.random() < 0.3 + skill / 60 else 0 for n in range(12)] for skill in range(40)]


def given(scores: list[list[int]]) -> list[Response]:
    return [Response(paper, f"q{n}", "A", earned, 1000 * (n % 3 + 1)) for paper, row in enumerate(scores) for n, earned in enumerate(row)]


def test_discrimination_is_the_correlation_with_the_rest_of_the_paper(class_of_forty: list[list[int]]) -> None:
    found = analyse_responses(given(class_of_forty), {})

    for n, item in enumerate(found.items):
        rest = [sum(row) - row[n] for row in class_of_forty]
        assert item.rest_correlation == pytest.approx(correlation([row[n] for row in class_of_forty], rest))


def test_alpha_by_three_roads_is_one_number(class_of_forty: list[list[int]]) -> None:
    """By Cronbach's formula, by Hoyt's analysis of variance, and as the mean of what any two items share (k·c̄ / (v̄ + (k-1)·c̄))."""
    found = analyse_responses(given(class_of_forty), {})
    columns = [[row[n] for row in class_of_forty] for n in range(12)]
    shared = [
        sum((a - sum(x) / 40) * (b - sum(y) / 40) for a, b in zip(x, y, strict=True)) / 40 for x, y in combinations(columns, 2)
    ]  # fmt: skip
    covariance, own = sum(shared) / len(shared), sum(pvariance(column) for column in columns) / 12

    assert found.paper.alpha == pytest.approx(12 * covariance / (own + 11 * covariance))
    assert hoyt_reliability((paper, n, float(earned)) for paper, row in enumerate(class_of_forty) for n, earned in enumerate(row)) == pytest.approx(
        found.paper.alpha
    )
    assert not found.paper.dichotomous


def test_the_standard_error_is_what_reliability_leaves_of_the_spread(class_of_forty: list[list[int]]) -> None:
    found = analyse_responses(given(class_of_forty), {}).paper
    shares = [sum(row) / 24_000 for row in class_of_forty]

    assert found.deviation == pytest.approx(stdev(shares))
    assert found.alpha is not None
    assert found.sem == pytest.approx(stdev(shares) * (1 - found.alpha) ** 0.5)


def test_parallel_papers_come_near_the_reliability_of_one_paper() -> None:
    """600 people, each with 30 of 90 equally hard items: near what all of them answering the same 30 gives."""
    rng = random.Random(11)
    skills = [rng.gauss(0, 1) for _ in range(600)]

    def mark(skill: float) -> int:
        return 1000 * (rng.random() < 1 / (1 + exp(-(skill + 0.5))))

    same = [Response(paper, f"q{n}", "A", mark(skill), 1000) for paper, skill in enumerate(skills) for n in range(30)]
    drawn = [Response(paper, f"q{n}", "A", mark(skill), 1000) for paper, skill in enumerate(skills) for n in rng.sample(range(90), 30)]
    one, many = analyse_responses(same, {}).paper, analyse_responses(drawn, {}).paper

    assert many.parallel
    assert one.alpha is not None
    assert many.alpha == pytest.approx(one.alpha, abs=0.03)


def test_people_who_tie_at_the_border_share_its_places() -> None:
    """Nine of ten tie: whichever order they stand in, the groups come out the same."""
    rows = ["111", *(["110", "101", "011"] * 3)]
    forward, backward = analyse_responses(matrix(rows), {}), analyse_responses(matrix(rows[::-1]), {})

    assert {item.question: item.tail_difference for item in forward.items} == pytest.approx(
        {item.question: item.tail_difference for item in backward.items}
    )


def letters(chosen: list[str], key: str, skills: list[int]) -> list[Response]:
    """A question q beside thirty points that say how strong each person is."""
    found = [Response(paper, "q", choice, 1000 * (choice == key), 1000) for paper, choice in enumerate(chosen)]
    return found + [Response(paper, "rest", "A", skill * 1000, 30_000) for paper, skill in enumerate(skills)]


def flags(chosen: str, key: str = "A") -> tuple[ItemFlag, ...]:
    """The flags of a question answered by ten people, the strongest first."""
    found = analyse_responses(letters(list(chosen), key, list(range(30, 20, -1))), {"q": (("A", "B", "C"), key)})
    return found.items[0].flags


def test_a_question_whose_wrong_option_draws_the_strong_is_named() -> None:
    said = flags("BBBCACACAA")

    assert ItemFlag.AGAINST in said
    assert ItemFlag.STRONG_DISTRACTOR in said


def test_what_chance_does_to_a_few_people_is_not_held_against_a_question() -> None:
    """The second best and the third from the end were wrong: a little below nought, and nothing that ten people could prove."""
    found = analyse_responses(letters(list("ABAAAAABAA"), "A", list(range(30, 20, -1))), {"q": (("A", "B", "C"), "A")}).items[0]

    assert found.rest_correlation is not None
    assert found.rest_correlation < 0
    assert ItemFlag.AGAINST not in found.flags
    assert ItemFlag.WEAK not in found.flags


def test_a_key_that_most_people_miss_for_one_option_is_named() -> None:
    assert ItemFlag.KEY_MISSED in flags("BABBCBBBBA")


@pytest.mark.parametrize(
    ("chosen", "flag"), [("AAAAAAAABC", ItemFlag.TOO_EASY), ("AABCBCBCBC", ItemFlag.TOO_HARD), ("AAABBBABBB", ItemFlag.IDLE_DISTRACTOR)]
)
def test_hints_for_the_easy_the_hard_and_the_option_nobody_takes(chosen: str, flag: ItemFlag) -> None:
    assert flag in flags(chosen)


def test_a_question_that_tells_the_strong_from_the_weak_has_nothing_said_against_it() -> None:
    assert flags("AAAAABCBCB") == ()


def test_options_of_a_multiple_choice_count_whoever_took_them_among_others() -> None:
    found = analyse_responses(letters(["AC", "AC", "A", "BC", ""], "AC", [9, 8, 7, 6, 5]), {"q": (("A", "B", "C"), "AC")}).items[0]

    assert [(one.choice, one.is_key, round(one.share, 2)) for one in found.options] == [("A", True, 0.6), ("B", False, 0.2), ("C", True, 0.6)]
    assert found.blank == 1


def test_time_is_the_median_of_those_who_answered() -> None:
    places = [Response(paper, "q", "A" if paper else "", 0, 1000, float(seconds)) for paper, seconds in enumerate((500, 10, 12, 40))]

    assert analyse_responses(places, {}).items[0].seconds == 12


def test_nobody_and_one_person_give_no_figures_and_no_error() -> None:
    assert analyse_responses([], {}).items == ()
    alone = analyse_responses(matrix(["10"]), {})
    assert (alone.paper.n, alone.paper.alpha, alone.paper.sem) == (1, None, None)
    assert [item.rest_correlation for item in alone.items] == [None, None]
