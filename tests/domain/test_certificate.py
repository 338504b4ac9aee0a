"""The number of a certificate finds slips of the pen by itself; what a certificate says is fixed and fits its paper."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.certificate import (
    ALPHABET,
    CertificateFacts,
    CertificateQuery,
    body_from_json,
    certificate_number,
    check_character,
    compose_body,
    full_number,
    mask_name,
    new_code,
    parse_number,
    states_same_achievement,
)
from bot.domain.message import Refusal

FACTS = CertificateFacts("exam", "学员甲", "办公室", "年度学法考试", date(2026, 3, 1), "成绩 92 分，考试合格", "2", "某局")
NUMBER = certificate_number(2026, 123)
serials = st.integers(1, 999_999_999)


def test_the_check_character_is_the_one_of_gb_32100() -> None:
    """The example of the standard's appendix, a unified social credit code."""
    assert check_character("91350100M000100Y4") == "3"


@given(serials, st.integers(0, 15), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed_without_looking_anything_up(serial: int, place: int, wrong: str) -> None:
    number = certificate_number(2026, serial)
    place = place % len(number)
    if place < 2 or number[place] in ("-", wrong):
        return
    assert parse_number(number[:place] + wrong + number[place + 1 :]) is None


@given(serials, st.integers(3, 14))
def test_two_neighbours_exchanged_are_noticed(serial: int, place: int) -> None:
    number = certificate_number(2026, serial)
    one, other = number[place], number[place + 1]
    if "-" in (one, other) or one == other:
        return
    assert parse_number(number[:place] + other + one + number[place + 2 :]) is None


@pytest.mark.parametrize(
    "typed",
    [
        NUMBER,
        NUMBER.lower(),
        NUMBER.replace("-", ""),
        f"  {NUMBER} ",
        "ＸＦ－２０２６－０００１２３－" + NUMBER[-1],
        NUMBER.replace("0", "O"),
        NUMBER.replace("1", "I"),
        NUMBER.replace("-", " - "),
    ],
)
def test_a_number_is_understood_however_it_is_typed(typed: str) -> None:
    assert parse_number(typed) == CertificateQuery(NUMBER, "")


def test_number_and_code_are_read_from_one_text_with_or_without_hyphens() -> None:
    assert parse_number(full_number(NUMBER, "7QK39MXT2A")) == CertificateQuery(NUMBER, "7QK39MXT2A")
    assert parse_number(f"{NUMBER} 7qk39-mxt2a") == CertificateQuery(NUMBER, "7QK39MXT2A")


@pytest.mark.parametrize(
    "typed", ["", "XF", "XF-2026-123-K", f"{NUMBER}-7QK39", f"{NUMBER}-7QK39MXT2A9", "../../etc/passwd", "XF-2026-" + "9" * 500, "张三"]
)
def test_what_is_no_number_is_none(typed: str) -> None:
    assert parse_number(typed) is None


def test_a_code_is_ten_characters_that_are_not_mistaken_for_others() -> None:
    drawn = iter("0123456789")
    assert new_code(lambda alphabet: alphabet[int(next(drawn))]) == "0123456789"
    assert not set("IOSVZ") & set(ALPHABET)


@pytest.mark.parametrize(("name", "shown"), [("张三", "张*"), ("欧阳某某", "欧**"), ("阿卜杜勒·买买提", "阿**"), ("某", "*"), ("𬱖某", "𬱖*")])
def test_a_masked_name_shows_its_first_character_and_not_its_length(name: str, shown: str) -> None:
    assert mask_name(name) == shown


def test_what_a_certificate_says_is_kept_word_for_word() -> None:
    body = compose_body(FACTS, date(2026, 3, 2))
    assert body.sentence == "兹证明学员甲同志（办公室）于2026年3月1日参加“年度学法考试”，成绩 92 分，考试合格，计 2 学时。"
    assert body.heading == "合格证书"
    assert body_from_json(body.to_json()) == body


def test_who_only_took_part_has_a_sentence_without_result_hours_or_unit() -> None:
    plain = replace(FACTS, kind="contest", unit="", result="", hours="")
    assert compose_body(plain, date(2026, 3, 2)).sentence == "兹证明学员甲同志于2026年3月1日参加“年度学法考试”。"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"kind": "medal"}, "medal"), ({"name": "  "}, "缺姓名"), ({"title": "长" * 121}, "120"), ({"issuer": ""}, "缺发证单位")],
)
def test_what_does_not_fit_on_the_paper_is_refused_by_name(wrong: dict[str, str], says: str) -> None:
    with pytest.raises(Refusal, match=says):
        replace(FACTS, **wrong)  # type: ignore[arg-type]


def test_characters_that_show_nothing_do_not_make_two_names_of_one() -> None:
    assert replace(FACTS, name="张\u200b三\u202e\n").name == "张三"


def test_a_new_name_or_unit_does_not_make_another_certificate_and_a_new_score_does() -> None:
    assert states_same_achievement(FACTS, replace(FACTS, name="学员乙", unit="人事处"))
    assert not states_same_achievement(FACTS, replace(FACTS, result="成绩 93 分，考试合格"))
