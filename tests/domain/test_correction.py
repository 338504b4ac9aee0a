"""A wrong key put right: what each way makes of an answer, what a paper comes to, and what cannot be asked for."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bot.domain.grading.correction import Amendment, GradedPlace, parse_amendment, rank_by_score, regrade, sum_grades
from bot.domain.library.question import KINDS, KeyPoint, Question
from bot.domain.message import Refusal
from bot.domain.text.numbers import points_text

COMMON: dict[str, Any] = {"level": 1, "law": "民法典", "version": date(2020, 5, 28), "article": "第一条", "point": "p", "explanation": "e"}
FOUR = (("A", "甲"), ("B", "乙"), ("C", "丙"), ("D", "丁"))


KEYED: dict[str, dict[str, Any]] = {
    "single": {"options": FOUR, "key": "A"},
    "multiple": {"options": FOUR, "key": "AB"},
    "judge": {"key": "对"},
    "fill": {"accepted": ("三年", "3年")},
    "short": {"points": (KeyPoint("要点", ("词",)),)},
}


def a(kind: str) -> Question:
    return KINDS[kind](id="q", stem="s", **COMMON, **KEYED[kind])


@pytest.mark.parametrize(
    ("kind", "said", "way", "keys"),
    [
        ("single", "改 B", "rekey", ("B",)),
        ("single", "改为：ｂ", "rekey", ("B",)),
        ("single", "认 A、C", "accept", ("A", "C")),
        ("single", "送分", "full", ()),
        ("single", "作废", "void", ()),
        ("multiple", "改 CA", "rekey", ("AC",)),
        ("multiple", "认可 AB、ABC", "accept", ("AB", "ABC")),
        ("judge", "改 错误", "rekey", ("错",)),
        ("fill", "认 三年、五年", "accept", ("三年", "五年")),
        ("short", "送分", "full", ()),
    ],
)
def test_an_amendment_is_read_as_people_write_it(kind: str, said: str, way: str, keys: tuple[str, ...]) -> None:
    assert parse_amendment(said, a(kind)) == Amendment(way, keys)


@pytest.mark.parametrize(
    ("kind", "said", "why"),
    [
        ("single", "改 E", "没有「E」这个答案"),
        ("single", "改 A", "与原来的标准答案相同"),
        ("single", "改 A、B", "一个新的标准答案"),
        ("single", "认 B", "2 到 8 个"),
        ("single", "删了它", "没有看懂"),
        ("single", "作废 B", "不用写答案"),
        ("short", "改 词", "由人阅卷"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_way_to_ask(kind: str, said: str, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        parse_amendment(said, a(kind))


@pytest.mark.parametrize(
    ("kind", "said", "choice", "earned", "counts"),
    [
        ("single", "改 B", "B", 1000, True),
        ("single", "改 B", "A", 0, True),
        ("single", "改 B", None, 0, True),
        ("single", "认 A、C", "A", 1000, True),
        ("single", "认 A、C", "C", 1000, True),
        ("single", "认 A、C", "D", 0, True),
        ("single", "送分", "D", 1000, True),
        ("single", "送分", None, 1000, True),
        ("single", "作废", "A", 1000, False),
        ("single", "作废", "B", 0, False),
        ("single", "作废", None, 0, False),
        ("multiple", "改 ABC", "AB", 500, True),
        ("multiple", "认 AB、ABC", "A", 500, True),
        ("multiple", "认 AB、CD", "ABC", 0, True),
        ("fill", "认 三年、五年", "５年", 1000, True),
        ("fill", "认 三年、五年", "七年", 0, True),
        ("fill", "认 三年、五年", "五年", 1000, True),
    ],
)
def test_what_an_answer_is_worth_afterwards(kind: str, said: str, choice: str | None, earned: int, counts: bool) -> None:
    found = regrade(a(kind), parse_amendment(said, a(kind)), choice)

    assert (found.earned, found.counts) == (earned, counts)


def test_an_item_taken_out_leaves_a_smaller_paper_that_is_scaled_to_the_whole() -> None:
    paper = [GradedPlace(2000, 1000), GradedPlace(2000, 500), GradedPlace(1000, 0), GradedPlace(5000, 1000, counts=False)]

    found = sum_grades(paper)

    assert (found.earned, found.counted, found.total) == (3000, 5000, 10_000)
    assert found.scaled(10_000) == 6000
    assert sum_grades([GradedPlace(2000, 0, counts=False)]).scaled(2000) == 2000, "with nothing left to answer nobody loses"


def test_scaling_decides_passing_to_the_thousandth_of_a_point() -> None:
    """58 of 98 is 59.184 of 100; 58.8 of 98 is 60 exactly."""

    def score(right: int) -> int:
        return sum_grades([GradedPlace(right, 1000), GradedPlace(98_000 - right, 0), GradedPlace(2000, 1000, counts=False)]).scaled(100_000)

    assert (score(58_000), score(58_800), score(98_000)) == (59_184, 60_000, 100_000)


def test_equal_scores_share_a_place() -> None:
    assert rank_by_score({1: 90, 2: 80, 3: 80, 4: 70}) == {1: 1, 2: 2, 3: 2, 4: 4}
    assert rank_by_score({}) == {}


@pytest.mark.parametrize(("thousandths", "said"), [(86_000, "86"), (59_184, "59.18"), (500, "0.5"), (0, "0"), (100_000, "100"), (-2_500, "-2.5")])
def test_points_are_written_as_people_write_them(thousandths: int, said: str) -> None:
    assert points_text(thousandths) == said
