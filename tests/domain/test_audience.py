"""Audiences as administrators write them."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from bot.domain.message import Refusal
from bot.domain.people.audience import (
    All,
    And,
    Audience,
    ExamNotPassed,
    ExamNotTaken,
    HoursBelow,
    LessonNotDone,
    Not,
    Or,
    PeopleAre,
    RoleIs,
    TagIs,
    TierIs,
    UnitIs,
    audience_from_json,
    audience_json,
    describe_audience,
    leaves,
    lies_within_units,
    limit_to_units,
    parse_audience,
)

OFFICE = UnitIs("某局/办公室")
LINES: list[tuple[str, Audience]] = [
    ("全员", All()),
    ("单位=某局/办公室（含下级）", OFFICE),
    ("单位=某局/办公室", OFFICE),
    ("单位=某局（仅本级）", UnitIs("某局", deep=False)),
    ("单位=「某局/机关(本级)」(含下级)", UnitIs("某局/机关(本级)")),
    ("单位=某局/办公室、某局/财务处", Or((OFFICE, UnitIs("某局/财务处")))),
    ("层级=公务员", TierIs("公务员")),
    ("层级=全员", All()),
    ("角色=管理员", RoleIs("admin")),
    ("标签=借调", TagIs("借调")),
    ("工号=1001、1002,1001", PeopleAre(("1001", "1002"))),
    ("学时低于=50%", HoursBelow(Fraction(1, 2))),
    ("学时低于=应达12.5%", HoursBelow(Fraction(1, 8))),
    ("未学=mfd-1191", LessonNotDone("mfd-1191")),
    ("未考=2026-q4", ExamNotTaken("2026-q4")),
    ("未合格=12", ExamNotPassed("12")),
    ("单位=某局/办公室（含下级） 且 层级=公务员 且 非 标签=借调", And((OFFICE, TierIs("公务员"), Not(TagIs("借调"))))),
    ("单位=某局/办公室 层级=公务员", And((OFFICE, TierIs("公务员")))),
    ("层级=公务员 或 层级=领导干部 且 标签=新任", Or((TierIs("公务员"), And((TierIs("领导干部"), TagIs("新任")))))),
    ("（层级=公务员 或 层级=领导干部） 且 标签=新任", And((Or((TierIs("公务员"), TierIs("领导干部"))), TagIs("新任")))),
    ("非（标签=借调 或 标签=挂职）", Not(Or((TagIs("借调"), TagIs("挂职"))))),
    ("全员 除 工号=1001", And((All(), Not(PeopleAre(("1001",)))))),
]


@pytest.mark.parametrize(("said", "meant"), LINES)
def test_a_line_means_one_audience_and_the_audience_reads_as_a_line(said: str, meant: Audience) -> None:
    assert parse_audience(said) == meant
    assert parse_audience(describe_audience(meant)) == meant
    assert audience_from_json(json.loads(json.dumps(audience_json(meant)))) == meant


@pytest.mark.parametrize(
    "said",
    ["", "层级", "层级=", "层级=国王", "角色=老板", "单位=甲 且", "且 单位=甲", "(单位=甲", "单位=甲)", "学时低于=0%", "学时低于=150%",
     "学时低于=一半", "颜色=红", "层级=公务员（含下级）", "或 或", "非", "=甲", "(" * 40 + "全员" + ")" * 40, "全员 " * 3000],
)  # fmt: skip
def test_what_is_no_audience_is_refused_in_a_sentence(said: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_audience(said)

    assert str(refused.value).endswith("。")
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("node", [None, [], {}, {"and": []}, {"or": "x"}, {"colour": "red"}, {"and": [{"not": None}]}])
def test_json_that_is_no_audience_is_not_read(node: object) -> None:
    with pytest.raises(ValueError, match="not an audience"):
        audience_from_json(node)


def test_json_too_deep_to_be_meant_is_not_read() -> None:
    node: object = {"all": True}
    for _ in range(40):
        node = {"not": node}

    with pytest.raises(ValueError, match="not an audience"):
        audience_from_json(node)


@pytest.mark.parametrize(
    ("said", "inside"),
    [
        ("单位=某局/办公室", True),
        ("单位=某局/办公室/文书科", True),
        ("单位=某局", False),
        ("单位=某局/办公室二", False),
        ("全员", False),
        ("工号=1001", False),
        ("单位=某局/办公室 且 层级=公务员", True),
        ("单位=某局/办公室 或 层级=公务员", False),
        ("单位=某局/办公室 或 单位=某局/办公室/文书科", True),
        ("非 单位=某局/办公室", False),
    ],
)
def test_an_administrator_of_one_office_reaches_no_further(said: str, inside: bool) -> None:
    roots = ("某局/办公室",)
    audience = parse_audience(said)

    assert lies_within_units(audience, roots) is inside
    assert lies_within_units(limit_to_units(audience, roots), roots)
    assert (limit_to_units(audience, roots) == audience) is inside
    assert limit_to_units(audience, None) == audience


def test_everybody_of_an_administrator_of_two_offices_is_both_offices() -> None:
    assert limit_to_units(All(), ("甲", "乙")) == Or((UnitIs("甲"), UnitIs("乙")))


def test_leaves_come_in_the_order_they_were_written() -> None:
    assert list(leaves(parse_audience("非（标签=甲 或 标签=乙） 且 全员"))) == [TagIs("甲"), TagIs("乙"), All()]
