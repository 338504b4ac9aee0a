"""Blueprints and the papers drawn by them: shares exact, papers parallel, nothing seen again, what is missing said to the item."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from typing import Any

import pytest

from bot.domain.exam.blueprint import MAX_ITEMS, Blueprint, blueprint_from_json, blueprint_json, describe_blueprint, parse_blueprint, read_blueprint
from bot.domain.exam.paper import (
    CandidateItem,
    PaperPlan,
    build_plan,
    draw_paper,
    expected_difficulty,
    find_shortages,
    may_shuffle,
    shuffle_question,
    to_file_letters,
    to_shown_letters,
)
from bot.domain.library.library import Library
from bot.domain.library.question import Judge, Multiple, Question, Single
from bot.domain.message import Refusal

LINE = "民法典 单选 10×2 难度1:3/2:5/3:2、监察法 单选 5×2、多选 8×3 案例≥30%、判断 8×1；案例≥50%；60 分钟；及格 60%；固定 mfd-1191-01×2"
LAWS = ("民法典", "监察法")


def pool_of(library: Library, rng: random.Random | None = None) -> list[CandidateItem]:
    """The shipped questions; with an rng they have been answered before, more or less often, more or less well."""
    found = []
    for n, one in enumerate(library.questions.values(), 1):
        answered = rng.randrange(0, 80) if rng else 0
        right = rng.randrange(0, answered + 1) if rng else 0
        letters = one.letters if may_shuffle(one) else ""
        found.append(CandidateItem(one.id, n, one.kind, one.law, one.level, one.case, expected_difficulty(one.level, answered, right), letters))
    return found


def scopes_of(library: Library) -> dict[str, frozenset[str]]:
    return {name: frozenset(one.id for one in library.questions_of(name) or ()) for name in LAWS}


def plan_of(library: Library, line: str, rng: random.Random | None = None) -> PaperPlan:
    return build_plan(parse_blueprint(line), pool_of(library, rng), scopes_of(library))


def test_a_thousand_papers_hold_the_shares_exactly_and_are_equally_hard(shipped: Library, rng: random.Random) -> None:
    plan = plan_of(shipped, LINE, rng)
    means, different = [], set()
    for _ in range(1000):
        paper = draw_paper(plan, (), {}, rng)
        items = [one.item for one in paper.items]
        names = [item.question for item in items]
        assert len(set(names)) == len(names) == 32
        assert "mfd-1191-01" in names
        kinds = Counter(item.kind for item in items)
        assert kinds == {"single": 16, "multiple": 8, "judge": 8}
        drawn = [item for item in items if item.question != "mfd-1191-01"]
        singles = [item for item in drawn if item.kind == "single" and item.law == "民法典"]
        assert Counter(item.level for item in singles) == {1: 3, 2: 5, 3: 2}
        assert sum(1 for item in drawn if item.kind == "single" and item.law == "监察法") == 5
        assert sum(item.case for item in items if item.kind == "multiple") >= 3
        assert sum(item.case for item in items) >= 16
        assert sum(one.points for one in paper.items) == plan.blueprint.total == 64_000
        means.append(paper.difficulty)
        different.add(frozenset(names))
    assert max(means) - min(means) <= 0.03
    assert len(different) > 990, "papers are parallel, not the same"


def test_an_exact_share_of_cases_is_neither_less_nor_more(shipped: Library, rng: random.Random) -> None:
    plan = plan_of(shipped, "判断 20×1 案例=30%；60 分钟；及格 60%")
    for _ in range(200):
        assert sum(one.item.case for one in draw_paper(plan, (), {}, rng).items) == 6


def test_nothing_seen_lately_and_nothing_worn_comes_again_while_there_is_enough_else(shipped: Library, rng: random.Random) -> None:
    plan = plan_of(shipped, "判断 10×1；60 分钟；及格 60%；近 2 份卷不重复；每题最多用 3 次")
    uses: Counter[str] = Counter()
    seen: list[frozenset[str]] = []
    for _ in range(15):
        paper = draw_paper(plan, [name for one in seen[-2:] for name in one], uses, rng)
        names = frozenset(one.item.question for one in paper.items)
        assert paper.seen_before == 0
        assert not any(names & before for before in seen[-2:])
        seen.append(names)
        uses.update(names)
    assert max(uses.values()) <= 4, "51 items carry 15 papers of ten with three uses each, but for the last of a stratum"
    everything = draw_paper(plan, [item.question for item in pool_of(shipped)], {}, rng)
    assert (len(everything.items), everything.seen_before) == (10, 10), "a paper is drawn whatever has been seen, and says so"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("民法典 单选 71×1", ["民法典 单选题 还差 3 道"]),
        ("民法典 单选 30×1 难度1:15/2:15", ["民法典 单选题（难度 1） 还差 3 道"]),
        ("判断 51×1 案例=30", ["判断题（案例） 还差 3 道"]),
        ("监察法 单选 24×1 案例=20", ["监察法 单选题（非案例） 还差 3 道"]),
        ("民法典 单选 67×1、单选 92×1", ["单选题 还差 1 道"]),
        ("填空 31×1；案例≥2", ["案例题 还差 2 道"]),
        ("民法典 单选 71×1、监察法 判断 9×1", ["民法典 单选题 还差 3 道", "监察法 判断题 还差 2 道"]),
        ("海商法 单选 5×1", ["题库里没有「海商法」"]),
        ("固定 zz-01", ["没有编号为 zz-01 的可用题"]),
    ],
)
def test_an_impossible_blueprint_says_exactly_what_is_missing(shipped: Library, line: str, said: list[str]) -> None:
    blueprint = parse_blueprint(f"{line}；60 分钟；及格 1 分")
    assert find_shortages(blueprint, pool_of(shipped), scopes_of(shipped)) == said
    with pytest.raises(ValueError, match=said[0].partition("（")[0]):
        build_plan(blueprint, pool_of(shipped), scopes_of(shipped))


def test_a_blueprint_that_just_fits_is_drawn(shipped: Library, rng: random.Random) -> None:
    for line in ("民法典 单选 67×1、单选 91×1", "判断 51×1", "监察法 单选 24×1 案例=23"):
        plan = plan_of(shipped, f"{line}；60 分钟；及格 60%")
        assert len(draw_paper(plan, (), {}, rng).items) == plan.blueprint.size


@pytest.mark.parametrize(
    "line", [LINE, "判断 20×1 案例=30%；30 分钟；及格 12 分；每题最多用 50 次", "固定 a-01×2、b-02；10 分钟；及格 60%", "两法一条例 多选 3×1.5"]
)
def test_a_line_is_read_back_as_it_was_said_and_kept(line: str) -> None:
    blueprint = parse_blueprint(line)
    assert parse_blueprint(describe_blueprint(blueprint)) == blueprint
    assert blueprint_from_json(blueprint_json(blueprint)) == blueprint


def test_a_file_says_the_same_as_a_line(shipped: Library) -> None:
    file = {
        "组成": [
            {"题型": "单选题", "法律": "民法典", "题数": 10, "难度": {1: 3, 2: 5, 3: 2}},
            {"kind": "single", "law": "监察法", "count": 5},
            {"kind": "multiple", "count": 8, "points": 3, "cases": ">= 30%"},
            {"kind": "judge", "count": 8, "points": 1},
        ],
        "分值": {"单选": 2},
        "案例": "≥50%",
        "及格": "60%",
        "分钟": 60,
        "固定题": ["mfd-1191-01×2"],
    }
    assert read_blueprint(file) == parse_blueprint(LINE)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "蓝图应写成"),
        ({"rows": []}, "蓝图里要有 rows"),
        ({"rows": [{"kind": "single", "count": 5}], "colour": 1}, "没有 colour 这一项"),
        ({"rows": [{"kind": "essay", "count": 5}]}, "每一行都要有 kind"),
        ({"rows": [{"kind": "single", "count": True}]}, "每一行都要有 kind"),
        ({"rows": [{"kind": "single", "count": 5, "levels": {1: 2, 2: 2}}]}, "相加应等于 5"),
        ({"rows": [{"kind": "single", "count": 5, "cases": "many"}]}, "cases 没有看懂"),
        ({"rows": [{"kind": "single", "count": 5}], "pass": 6}, "及格线应在 0 到满分 5 分之间"),
        ({"rows": [{"kind": "single", "count": 5, "points": "-1"}]}, "应是分数"),
        ({"rows": [{"kind": "single", "count": 201}]}, "1 到 200 道题"),
        ({"rows": [{"kind": "single", "count": 5}], "minutes": 0}, "考试时长"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_reason(data: Any, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        read_blueprint(data)


def test_more_items_than_a_paper_holds_are_refused_with_the_limit() -> None:
    with pytest.raises(Refusal, match=f"一份卷应有 1 到 {MAX_ITEMS} 道题"):
        parse_blueprint("单选 1000×2；60 分钟；及格 60%")


@pytest.mark.parametrize("line", ["", "考点什么", "单选 10×2 难度1:3/4:7", "单选 10 案例≥20", "单选 5；及格 200 分", "固定 一道题"])
def test_a_line_that_cannot_be_meant_is_refused(line: str) -> None:
    with pytest.raises(Refusal):
        parse_blueprint(line)


# ── Options ──


def single(*options: str, key: str = "B", explanation: str = "B 对，A 混同了责任，WTO 不在其中。") -> Question:
    letters = "ABCDE"
    return Single(
        id="q-01", level=1, law="民法典", version=date(2020, 5, 28), article="第一条", point="要点", stem="哪一项对？",
        options=tuple(zip(letters, options, strict=False)), key=key, explanation=explanation,
    )  # fmt: skip


@pytest.mark.parametrize("option", ["以上都对", "以上各项", "上述情形均可", "A和B", "A、C", "AB", "A 项正确", "前两项", "其他三项", "都不对", "B或C"])
def test_options_that_speak_of_others_stay_where_they_are(option: str) -> None:
    assert not may_shuffle(single("甲", "乙", "丙", option))


@pytest.mark.parametrize("option", ["三分之二以上的多数通过", "前来办事的人", "以上一级机关的名义", "都由单位承担", "WTO 规则", "其他人员"])
def test_options_that_only_look_so_are_shuffled(option: str) -> None:
    assert may_shuffle(single("甲", "乙", "丙", option))


def test_judgements_are_never_shuffled() -> None:
    judge = Judge(id="q", level=1, law="l", version=date(2020, 5, 28), article="a", point="p", stem="s", key="对", explanation="e")
    assert not may_shuffle(judge)


def test_a_shuffled_question_keeps_its_key_and_its_explanation_speaks_of_the_letters_seen() -> None:
    question = single("甲", "乙", "丙", "丁")
    seen = shuffle_question(question, "CABD")
    assert seen.options == (("A", "丙"), ("B", "甲"), ("C", "乙"), ("D", "丁"))
    assert seen.key == "C"
    assert seen.explanation == "C 对，B 混同了责任，WTO 不在其中。"
    assert shuffle_question(question, "") is question


def test_what_is_chosen_on_a_shuffled_question_is_kept_in_the_letters_of_its_file(shipped: Library, rng: random.Random) -> None:
    checked = 0
    for question in shipped.questions.values():
        if not may_shuffle(question):
            continue
        order = list(question.letters)
        rng.shuffle(order)
        shuffle = "".join(order)
        seen = shuffle_question(question, shuffle)
        assert to_file_letters(seen.key, shuffle) == question.key
        assert to_shown_letters(question.key, shuffle) == seen.key
        assert seen.grade(seen.key).correct
        assert question.grade(to_file_letters(seen.key, shuffle)).correct
        assert {said for _, said in seen.options} == {said for _, said in question.options}
        checked += 1
    assert checked > 200
    assert to_file_letters("对", "CABD") == "对"
    assert isinstance(next(one for one in shipped.questions.values() if one.kind == "multiple"), Multiple)


def test_the_expected_difficulty_moves_from_the_level_to_what_was_observed() -> None:
    assert expected_difficulty(1) < expected_difficulty(2) < expected_difficulty(3)
    assert expected_difficulty(1, 10, 0) > expected_difficulty(1)
    assert abs(expected_difficulty(3, 10_000, 9_000) - 0.1) < 0.01


def test_a_blueprint_knows_its_size_and_what_it_is_worth() -> None:
    blueprint: Blueprint = parse_blueprint(LINE)
    assert (blueprint.size, blueprint.total, blueprint.pass_line, blueprint.minutes) == (32, 64_000, 38_400, 60)
