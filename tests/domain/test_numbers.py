"""Numbers as statutes write them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.text import numbers
from bot.domain.text.numbers import find_number, find_points, find_row_number, find_share, find_whole


@given(st.integers(0, numbers.UPPER_BOUND - 1))
def test_every_number_written_in_chinese_is_read_again(number: int) -> None:
    assert numbers.to_int(numbers.to_chinese(number)) == number


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "零"),
        (10, "十"),
        (15, "十五"),
        (20, "二十"),
        (101, "一百零一"),
        (110, "一百一十"),
        (1001, "一千零一"),
        (1010, "一千零一十"),
        (1260, "一千二百六十"),
        (10000, "一万"),
        (10010, "一万零一十"),
        (100500, "十万零五百"),
        (100000000, "一亿"),
        (100010000, "一亿零一万"),
    ],
)
def test_numbers_are_written_as_statutes_write_them(number: int, written: str) -> None:
    assert numbers.to_chinese(number) == written


@pytest.mark.parametrize("number", [-1, numbers.UPPER_BOUND])
def test_a_number_without_a_numeral_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="no numeral"):
        numbers.to_chinese(number)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("廿三", 23),
        ("卅", 30),
        ("两百", 200),
        ("两", 2),
        ("一十二", 12),
        ("一百十", 110),
        ("二〇二一", 2021),
        ("二○二一", 2021),
        ("一百〇五", 105),
        ("１５", 15),
        ("007", 7),
        ("十万", 100000),
    ],
)
def test_old_and_short_forms_are_read(written: str, number: int) -> None:
    assert numbers.to_int(written) == number


@pytest.mark.parametrize("written", ["", "百", "万", "第", "一百二", "十十", "一二百", "百一", "一亿万", "12条", "九" * 13, "1" * 13, "-3"])
def test_what_is_no_number_or_could_be_two_is_none(written: str) -> None:
    assert numbers.to_int(written) is None


@pytest.mark.parametrize(
    ("label", "number"),
    [
        ("第一百二十三条", (123, 0)),
        ("第123条", (123, 0)),
        ("第１２３条", (123, 0)),
        ("第 一 条", (1, 0)),
        ("第一百二十条之一", (120, 1)),
        ("第120条之2", (120, 2)),
    ],
)
def test_an_article_is_known_by_its_label(label: str, number: tuple[int, int]) -> None:
    assert numbers.article_number(label) == number


@pytest.mark.parametrize("label", ["", "第零条", "第条", "一百条", "第一百二条", "第五条第二款", "总论", "第十条之零"])
def test_what_is_not_one_article_has_no_number(label: str) -> None:
    assert numbers.article_number(label) is None


def test_a_label_is_written_with_its_branch() -> None:
    assert numbers.article_label(1191) == "第一千一百九十一条"
    assert numbers.article_label(120, 1) == "第一百二十条之一"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("十五日", "15日"),
        ("五万元", "50000元"),
        ("5万元", "50000元"),
        ("1.5万元", "15000元"),
        ("百分之三十", "30%"),
        ("三分之二", "2/3"),
        ("两年", "2年"),
        ("没有数字", "没有数字"),
        ("一百二", "一百二"),
        ("0.12345万", "0.12345万"),
        ("百分之几", "百分之几"),
    ],
)
def test_numerals_in_a_sentence_become_digits(said: str, written: str) -> None:
    assert numbers.to_arabic(said) == written


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("12", 12),
        ("１２", 12),
        (" 30 ", 30),
        ("-3", -3),
        ("1,000", 1000),
        ("１，２３４，５６７", 1234567),
        ("59.5", Fraction(119, 2)),
        ("1.5万", 15000),
        ("三千", 3000),
        ("十二", 12),
        ("两百", 200),
        ("", None),
        ("1,00", None),
        ("1e5", None),
        ("3个", None),
        ("1.2.3", None),
        ("9" * 13, None),
    ],
)
def test_a_typed_number_is_read_exactly(typed: str, number: Fraction | int | None) -> None:
    assert find_number(typed) == number
    assert find_whole(typed) == (None if number is None or Fraction(number).denominator != 1 else number)


def test_a_whole_number_may_carry_its_unit_and_a_row_its_sign() -> None:
    assert [find_whole(typed, "分钟", "分") for typed in ("30分钟", "３０ 分", "三十分钟", "30秒", "1.5分")] == [30, 30, 30, None, None]
    assert [find_row_number(typed) for typed in ("12", "#12", "＃１２", "十二", "-1", "1234567890", "²")] == [12, 12, 12, None, None, None, 2]


@pytest.mark.parametrize(
    ("typed", "share"),
    [
        ("80%", "4/5"),
        ("８０％", "4/5"),
        ("95 %", "19/20"),
        ("0.8", "4/5"),
        ("80", "4/5"),
        ("百分之八十", "4/5"),
        ("八成半", "17/20"),
        ("三分之二", "2/3"),
        ("0", "0"),
        ("12.5%", "1/8"),
        ("1", None),
        ("-80", None),
        ("许多", None),
        ("1/0", None),
    ],
)
def test_a_typed_share_is_a_part_of_one(typed: str, share: str | None) -> None:
    assert find_share(typed) == (None if share is None else Fraction(share))


@pytest.mark.parametrize(
    ("typed", "thousandths"),
    [
        ("60", 60000),
        ("５９.５", 59500),
        ("60 分", 60000),
        ("1,000分", 1000000),
        ("半分", 500),
        ("一分半", 1500),
        ("0.125", 125),
        ("0.0005", None),
        ("分", None),
        ("缺考", None),
        ("60分钟", None),
    ],
)
def test_typed_points_are_thousandths(typed: str, thousandths: int | None) -> None:
    assert find_points(typed) == thousandths
