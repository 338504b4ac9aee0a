"""Packs for law days: what ships is sound, and each item lands on its working day."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.domain.calendar import UnknownYear
from bot.domain.campaign.campaign import dated_items, pack_item_content
from bot.domain.campaign.content import render_content
from bot.domain.library.library import Library
from bot.domain.people.person import Learner
from bot.storage.files.loader import load_library


def test_the_law_days_of_a_year_have_their_packs(shipped: Library) -> None:
    assert {"国家宪法日", "建党纪念日", "世界标准日", "国家安全教育日"} <= {one.law_day for one in shipped.packs.values()}


def test_constitution_week_of_2021_moves_to_the_working_days_around_the_friday(shipped: Library) -> None:
    days = [(item.day, schedule.on) for item, schedule in dated_items(shipped.packs["国家宪法日"], 2021, shipped.calendar)]

    assert {n: f"{on:%m-%d}" for n, on in days if on is not None} == {-3: "11-30", -2: "12-01", -1: "12-02", 0: "12-03", 1: "12-06", 2: "12-07"}
    assert [on for _, on in days] == sorted(on for _, on in days if on is not None)


def test_a_pack_for_a_year_nobody_entered_asks(shipped: Library) -> None:
    with pytest.raises(UnknownYear, match="2027"):
        dated_items(shipped.packs["国家宪法日"], 2027, shipped.calendar)


def test_every_item_that_ships_can_be_shown_to_everybody(shipped: Library) -> None:
    person = Learner(1, "1001", "学员甲", "公务员", frozenset())

    class Shelf:
        library = shipped

    for pack in shipped.packs.values():
        for item in pack.items:
            seen = render_content(pack_item_content(item), Shelf(), person, 7)
            assert seen.text
            assert item.kind == "notice" or seen.buttons
            assert "{" not in seen.text


@pytest.mark.parametrize(
    ("was", "wrong", "sentence"),
    [
        ("law_day: 消防宣传日", "law_day: 儿童节", "没有普法日"),
        ("lesson: mfd-1198", "lesson: mfd-9999", "没有课程 mfd-9999"),
        ("kind: lesson, lesson: mfd-1198", "kind: poll, text: 问", "缺少它要的内容"),
        ("kind: lesson, lesson: mfd-1198", "kind: lesson", "没有课程"),
        ("time: '09:00'", "time: '25:00'", "写法不对"),
        ("day: 1", "day: 40", "不能大于 15"),
    ],
)
def test_a_pack_with_a_fault_is_named_and_left_out(tmp_path: Path, was: str, wrong: str, sentence: str) -> None:
    root = Path(__file__).parents[2]
    (tmp_path / "quiz_banks").symlink_to(root / "quiz_banks")
    content = tmp_path / "content"
    content.mkdir()
    for one in (root / "content").iterdir():
        if one.name != "packs":
            (content / one.name).symlink_to(one)
    (content / "packs").mkdir()
    text = (root / "content" / "packs" / "1109.yaml").read_text(encoding="utf-8")
    (content / "packs" / "1109.yaml").write_text(text.replace(was, wrong), encoding="utf-8")

    library, faults = load_library(tmp_path)

    assert library.packs == {}
    assert any("content/packs/1109.yaml:" in str(fault) and sentence in fault.sentence for fault in faults), faults
