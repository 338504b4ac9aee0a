"""What a campaign sends, as it is written and as it is seen."""

from __future__ import annotations

import json

import pytest

from bot.domain.campaign.content import (
    MAX_TEXT_LENGTH,
    CampaignContent,
    clean_content,
    content_faults,
    content_from_json,
    content_json,
    content_of_part,
    describe_content,
    parse_content,
    render_content,
)
from bot.domain.library.library import Library
from bot.domain.message import Refusal, Reply, plain_text
from bot.domain.people.person import Learner

PERSON = Learner(1, "1001", "学员甲", "公务员", frozenset())


class Shelf:
    """Something that holds a library."""

    def __init__(self, library: Library) -> None:
        self.library = library


def seen(content: CampaignContent, library: Library, occurrence: int = 12) -> Reply:
    return render_content(content, Shelf(library), PERSON, occurrence)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("每日", CampaignContent("daily")),
        ("每日一练", CampaignContent("daily")),
        ("课 mfd-1191", CampaignContent("lesson", lesson="mfd-1191")),
        ("学习 《办公务时伤了人，谁来赔》", CampaignContent("lesson", lesson="mfd-1191")),
        ("通知 周五开会。", CampaignContent("notice", text="周五开会。")),
        ("通知（回执）：周五开会。", CampaignContent("notice", text="周五开会。", receipt=True)),
        ("投票 去哪儿？/法院/检察院", CampaignContent("poll", text="去哪儿？", options=("法院", "检察院"))),
        ("邀请 每日 一起来答题", CampaignContent("invitation", target="每日", text="一起来答题")),
        ("连载 mfd-1191、xf-04", CampaignContent("series", lessons=("mfd-1191", "xf-04"))),
    ],
)
def test_a_content_is_read_as_it_was_meant_and_survives_json(shipped: Library, said: str, meant: CampaignContent) -> None:
    assert parse_content(said, shipped) == meant
    assert content_from_json(json.loads(json.dumps(content_json(meant)))) == meant
    assert content_faults(meant, shipped) == ""
    assert describe_content(meant)


def test_a_series_of_a_law_set_goes_law_by_law(shipped: Library) -> None:
    series = parse_content("连载 两法一条例", shipped)

    laws = [shipped.lessons[one].law for one in series.lessons]
    assert laws == sorted(laws, key=["监察法", "公职人员政务处分法", "监察法实施条例"].index)
    assert len(laws) == 9


@pytest.mark.parametrize(
    "said",
    [
        "",
        "随便",
        "课",
        "课 没有",
        "通知",
        "投票 问",
        "投票 问/甲",
        "投票 问/甲/甲",
        "投票 问/1/2/3/4/5/6/7",
        "连载 没有的法",
        "通知 " + "长" * (MAX_TEXT_LENGTH + 1),
    ],
)
def test_what_is_no_content_is_refused(shipped: Library, said: str) -> None:
    with pytest.raises(Refusal):
        parse_content(said, shipped)


@pytest.mark.parametrize(
    "kept", [{"kind": "lesson"}, {"kind": "song"}, {"kind": "poll", "text": "问", "options": ["甲"]}, {"kind": "notice"}, {"kind": "series"}]
)
def test_a_row_that_makes_no_sense_is_not_read(kept: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a content"):
        content_from_json(kept)


def test_every_kind_can_be_answered_by_typing(shipped: Library) -> None:
    assert plain_text(seen(parse_content("课 mfd-1191", shipped), shipped)) == (
        "📖 今天学一课：《办公务时伤了人，谁来赔》（民法典，约 3 分钟）\n\n（回复「学习 mfd-1191」）"
    )
    poll = seen(parse_content("投票 去哪儿？/法院/检察院", shipped), shipped)
    assert poll.text == "🗳 去哪儿？\nA. 法院\nB. 检察院"
    assert [(one.say, one.label) for one in poll.buttons] == [("投票 12 A", "A. 法院"), ("投票 12 B", "B. 检察院")]
    assert "「已阅 12」" in plain_text(seen(CampaignContent("notice", title="通知", text="正文", receipt=True), shipped))
    assert seen(CampaignContent("notice", title="通知", text="正文"), shipped) == Reply("📢 通知\n正文")
    assert seen(CampaignContent("invitation", target="每日"), shipped).buttons[0].say == "每日"
    for kind in ("daily", "reminder", "digest"):
        assert seen(CampaignContent(kind), shipped).text
        assert seen(CampaignContent(kind), shipped).buttons


def test_a_part_of_a_series_says_where_it_stands(shipped: Library) -> None:
    part = content_of_part(CampaignContent("series", title="民法典", lessons=("mfd-1191", "mfd-1198")), 2)

    assert seen(part, shipped).text == "📖 民法典 第 2/2 讲：《大厅的地、外墙的砖和院里的树》（民法典，约 3 分钟）"


def test_a_lesson_taken_off_the_shelf_is_still_named(shipped: Library) -> None:
    assert content_faults(CampaignContent("lesson", lesson="gone-1"), shipped).startswith("没有课程 gone-1")
    assert "gone-1" in seen(CampaignContent("lesson", lesson="gone-1"), shipped).text


@pytest.mark.parametrize(
    ("said", "kept"), [("a\r\nb\rc", "a\nb\nc"), ("@all", "＠all"), ("甲\u202e乙\u200b丙\x00\x1b[2J", "甲乙丙[2J"), ("  空 格 ", "空 格")]
)
def test_what_others_will_read_holds_nothing_hidden(said: str, kept: str) -> None:
    assert clean_content(said) == kept
