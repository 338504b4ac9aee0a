"""Questions: what people type, and what it earns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.library.question import (
    KINDS,
    Fill,
    GradeRule,
    Judge,
    KeyPoint,
    Multiple,
    Question,
    Short,
    Single,
    question_body,
    question_digest,
    question_from_body,
)
from bot.domain.text.typed_answers import MAX_ANSWER_CHARS, parse_numbered

COMMON: dict[str, Any] = {
    "id": "mfd-1191-01",
    "level": 2,
    "law": "民法典",
    "version": date(2020, 5, 28),
    "article": "第一千一百九十一条",
    "point": "用人单位责任",
    "stem": "赔偿责任由谁承担？",
    "evidence": "由用人单位承担侵权责任",
    "explanation": "对外由用人单位承担侵权责任。",
}
OPTIONS = (("A", "由老陈承担"), ("B", "由单位承担"), ("C", "连带承担"), ("D", "不必赔偿"))
SINGLE = Single(**COMMON, options=OPTIONS, key="B", case=True)
MULTIPLE = Multiple(**COMMON, options=OPTIONS, key="AC")
JUDGE = Judge(**COMMON, key="错")
FILL = Fill(**COMMON, accepted=("十五日", "15天"))
SHORT = Short(
    **COMMON,
    points=(KeyPoint("单位对外承担责任", ("承担责任", "单位赔")), KeyPoint("有重大过失时可以追偿", ("追偿",)), KeyPoint("先行垫付", ("垫付",))),
)
SAMPLES: dict[str, Question] = {"single": SINGLE, "multiple": MULTIPLE, "judge": JUDGE, "fill": FILL, "short": SHORT}


def test_every_kind_has_a_label_and_a_sample() -> None:
    assert set(KINDS) == set(SAMPLES)
    assert {KINDS[name].label for name in KINDS} == {"单选题", "多选题", "判断题", "填空题", "简答题"}
    assert all(SAMPLES[name].kind == name for name in SAMPLES)


@pytest.mark.parametrize(
    "typed",
    [
        "B",
        "b",
        "Ｂ",
        "选B",
        "我选b",
        "答案B",
        "答案是：B。",
        "B.",
        "B、",
        "(b)",
        "【B】",
        " B \n",
        "2",
        "２",
        "2️⃣",
        "②",
        "B\u200b",
        "B项",
        "选项B",
        "选 B 吧",
        "Ⓑ",
    ],
)
def test_one_letter_is_heard_in_all_the_ways_people_type_it(typed: str) -> None:
    assert SINGLE.parse_answer(typed) == "B"


@pytest.mark.parametrize("typed", ["", " ", "E", "AB", "A B", "3B", "5", "0", "对", "帮助", "B因为单位", "不选B", "B" * 100, "\x00"])
def test_what_is_no_single_choice_is_not_taken_for_one(typed: str) -> None:
    assert SINGLE.parse_answer(typed) is None


@pytest.mark.parametrize(
    "typed", ["AC", "ac", "a c", "A、C", "ＡＣ", "选AC", "CA", "A,C", "A，C", "A和C", "13", "1、3", "AAC", "A.C.", "答案：A C", "A+C"]
)
def test_several_letters_are_heard_sorted(typed: str) -> None:
    assert MULTIPLE.parse_answer(typed) == "AC"


@pytest.mark.parametrize(("typed", "heard"), [("a", "A"), ("全选", "ABCD"), ("ABCDE", None), ("A对", None), ("", None), ("15", None)])
def test_only_letters_that_exist_make_a_choice(typed: str, heard: str | None) -> None:
    assert MULTIPLE.parse_answer(typed) == heard


@pytest.mark.parametrize("typed", ["对", "正确", "√", "T", "t", "Y", "yes", "是", "A", "ａ", "对。", "对的", "选对", "✅", "✔️", "没错"])
def test_a_yes_is_heard(typed: str) -> None:
    assert JUDGE.parse_answer(typed) == "对"


@pytest.mark.parametrize("typed", ["错", "错误", "×", "x", "F", "N", "no", "否", "B", "不对", "不正确", "❌", "错！", "选错"])
def test_a_no_is_heard(typed: str) -> None:
    assert JUDGE.parse_answer(typed) == "错"


@pytest.mark.parametrize("typed", ["", "C", "对错", "可能对", "1", "帮助"])
def test_what_is_neither_yes_nor_no_is_not_heard(typed: str) -> None:
    assert JUDGE.parse_answer(typed) is None


def test_written_answers_are_any_text_within_bounds() -> None:
    assert FILL.parse_answer("  十五日\u200b \x00") == "十五日"
    assert SHORT.parse_answer("先垫付\n再追偿") == "先垫付\n再追偿"
    assert SHORT.parse_answer("字" * MAX_ANSWER_CHARS) is not None
    assert SHORT.parse_answer("字" * (MAX_ANSWER_CHARS + 1)) is None
    assert FILL.parse_answer("\u200b \n") is None


@given(st.text(max_size=60))
def test_any_text_is_heard_as_a_choice_that_can_be_marked_or_not_at_all(typed: str) -> None:
    for question in SAMPLES.values():
        heard = question.parse_answer(typed)
        if heard is not None:
            assert 0 <= question.grade(heard).earned <= 1
            heard.encode()
            if question.choices:
                assert heard
                assert question.parse_answer(heard) == heard


@pytest.mark.parametrize(
    ("typed", "numbered"),
    [
        ("3B", (3, "B")),
        ("3:B", (3, "B")),
        ("3：b", (3, "b")),
        ("第3题 B", (3, "B")),
        ("第三题B", (3, "B")),
        ("3、AC", (3, "AC")),
        ("3.B", (3, "B")),
        ("3 B", (3, "B")),
        ("３Ｂ", (3, "B")),
        ("12对", (12, "对")),
        ("第十题：十五日", (10, "十五日")),
        ("3题 对", (3, "对")),
    ],
)
def test_a_question_can_be_named_by_its_number(typed: str, numbered: tuple[int, str]) -> None:
    assert parse_numbered(typed) == numbered


@pytest.mark.parametrize(
    "typed", ["", "B", "3", "15日", "12:30", "1. 先核对材料", "第3条", "第三条规定", "0B", "第B题 3", "三B", "1.5", "9999B", "第3题"]
)
def test_an_answer_that_begins_with_a_number_is_not_a_numbered_one(typed: str) -> None:
    assert parse_numbered(typed) is None


def test_a_single_choice_is_right_or_wrong() -> None:
    assert (SINGLE.grade("B").correct, SINGLE.grade("B").earned) == (True, Fraction(1))
    wrong = SINGLE.grade("A")
    assert (wrong.correct, wrong.earned, wrong.missing) == (False, Fraction(0), ("B",))


@pytest.mark.parametrize(("choice", "earned"), [("AC", "1"), ("A", "1/2"), ("C", "1/2"), ("AB", "0"), ("ABC", "0"), ("BD", "0")])
def test_a_multiple_choice_short_of_an_option_earns_half_by_rule_m1(choice: str, earned: str) -> None:
    mark = MULTIPLE.grade(choice)
    assert mark.earned == Fraction(earned)
    assert mark.correct == (choice == "AC")
    assert set(mark.found) | set(mark.missing) == {"A", "C"}


def test_another_rule_gives_nothing_for_a_part() -> None:
    assert MULTIPLE.grade("A", GradeRule("M0", half_for_subset=False)).earned == 0
    assert MULTIPLE.grade("AC", GradeRule("M0", half_for_subset=False)).earned == 1


@pytest.mark.parametrize("typed", ["十五日", "15日", "１５日", "15 日。", "“十五日”", "15天", "十五天"])
def test_a_fill_is_right_in_any_way_of_writing_it(typed: str) -> None:
    assert FILL.grade(typed).correct


@pytest.mark.parametrize("typed", ["15", "五日", "五十日", "15日内", "1.5日", "。", "1 5 工作日"])
def test_a_fill_that_says_something_else_is_wrong(typed: str) -> None:
    assert not FILL.grade(typed).correct


@pytest.mark.parametrize(
    ("accepted", "typed", "correct"),
    [
        ("50,000元", "五万元", True),
        ("百分之三十", "30％", True),
        ("三分之二", "2/3", True),
        ("三分之二", "23", False),
        ("1.5", "15", False),
        ("《立法法》", "立法法", True),
        ("VPN", "vpn", True),
    ],
)
def test_amounts_and_shares_are_compared_by_what_they_mean(accepted: str, typed: str, correct: bool) -> None:
    assert replace(FILL, accepted=(accepted,)).grade(typed).correct is correct


def pairs(text: str) -> Iterator[str]:
    """A segmenter for tests: two characters a word."""
    return (text[place : place + 2] for place in range(0, len(text), 2))


def test_a_short_answer_is_read_for_its_points_and_stays_provisional() -> None:
    mark = SHORT.grade("由单位先行垫付,再向本人追偿")
    assert mark.provisional
    assert not mark.correct
    assert mark.found == ("有重大过失时可以追偿", "先行垫付")
    assert mark.missing == ("单位对外承担责任",)
    assert mark.earned == Fraction(2, 3)


def test_words_that_stand_apart_are_found_by_the_segmenter() -> None:
    answer = "承担侵权责任"
    assert SHORT.grade(answer).found == ()
    assert SHORT.grade(answer, segment=pairs).found == ("单位对外承担责任",)


def test_repeating_the_question_earns_nothing() -> None:
    asked = replace(SHORT, stem="谁先行垫付,可以向谁追偿?")
    assert asked.grade("谁先行垫付，可以向谁追偿？").earned == 0
    assert asked.grade("谁先行垫付,可以向谁追偿? 单位垫付").found == ("先行垫付",)


def test_all_points_found_is_correct_though_a_person_still_confirms_it() -> None:
    mark = SHORT.grade("单位 赔,垫付,追偿")
    assert (mark.correct, mark.earned, mark.provisional) == (True, Fraction(1), True)


def test_a_choice_and_the_key_are_shown_in_words() -> None:
    assert SINGLE.show_key() == "B. 由单位承担"
    assert MULTIPLE.show("AC") == "A. 由老陈承担\nC. 连带承担"
    assert (JUDGE.show_key(), JUDGE.show("对")) == ("错", "对")
    assert FILL.show_key() == "十五日"
    assert SHORT.show_key().splitlines()[1] == "2. 有重大过失时可以追偿"
    assert FILL.show("三十日") == "三十日"


def test_buttons_exist_for_what_can_be_chosen() -> None:
    assert SINGLE.choices == OPTIONS
    assert [say for say, _ in JUDGE.choices] == ["对", "错"]
    assert FILL.choices == SHORT.choices == ()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_question_comes_back_from_json_as_it_was(name: str) -> None:
    question = SAMPLES[name]
    again = question_from_body(json.loads(json.dumps(question_body(question))))
    assert again == question
    assert type(again) is type(question)
    assert question_digest(again) == question_digest(question)
    assert len(question_digest(question)) == 64


def test_any_change_is_another_version_and_the_order_of_keys_is_none() -> None:
    assert question_digest(replace(SINGLE, explanation="改过")) != question_digest(SINGLE)
    assert question_digest(replace(SINGLE, case=False)) != question_digest(SINGLE)
    body = question_body(SINGLE)
    assert question_digest(question_from_body(dict(reversed(body.items())))) == question_digest(SINGLE)


def test_a_question_never_changes() -> None:
    with pytest.raises(FrozenInstanceError):
        SINGLE.key = "A"  # type: ignore[misc]


def test_a_kind_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError):
        question_from_body({**question_body(SINGLE), "kind": "essay"})
