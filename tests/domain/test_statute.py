"""Statutes: read into articles, and asked whether a question rests on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from bot.domain.library import statute
from bot.domain.library.question import Fill, Judge, Question
from bot.domain.library.statute import CitationFinding, StatuteEdition

OLD = """# 中华人民共和国某法

2018年3月20日 某次会议通过

<!-- INFO END -->

## 第一编 总 则
### 第一章　一般 规定

第一条 为了规范某事，制定本法。

本法所称某事，是指：

（一）甲事；
（二）乙事。

第二条 申请人应当自知道之日起六十日内提出:“申请”。
第一条规定的某事除外。

#### 第一节 期限

第三条 机关应当在十五日内答复。

## 附 则

第四条 本法自公布之日起施行。"""

NEW = """---
sidebar: auto
---

# 中华人民共和国某法

## 第一章　总则

**第一条**　为了规范某事，制定本法。

**第一条之一**　新增一条。

**第二条**　机关应当在二十日内答复。

**第三条**　申请人应当自知道之日起六十日内提出：“申请”。
"""

CITED, LATER = date(2018, 3, 20), date(2024, 12, 25)
TODAY = date(2026, 11, 23)
EDITIONS = {"某法": [StatuteEdition(CITED, statute.read_statute(OLD)), StatuteEdition(LATER, statute.read_statute(NEW), date(2025, 6, 1))]}
ASKED = Judge(
    id="q",
    level=1,
    law="某法",
    version=CITED,
    article="第一条",
    point="点",
    stem="题干",
    key="对",
    evidence="为了规范某事,制定本法",
    explanation="解析",
)


def find(question: Question, on: date = TODAY, newest: date | None = LATER) -> tuple[CitationFinding, str]:
    verdict = statute.verify_citation(question, EDITIONS, on, newest)
    return verdict.finding, verdict.reason


def test_a_text_is_read_into_its_articles() -> None:
    articles = statute.read_statute(OLD)
    assert list(articles) == ["第一条", "第二条", "第三条", "第四条"]
    assert articles["第一条"].text.splitlines() == ["为了规范某事，制定本法。", "本法所称某事，是指：", "（一）甲事；", "（二）乙事。"]


def test_a_line_that_begins_with_a_citation_begins_no_article() -> None:
    assert statute.read_statute(OLD)["第二条"].text.endswith("第一条规定的某事除外。")
    backwards = statute.read_statute("第一条 甲。\n第二条 乙。\n第一条 不在此列。")
    assert backwards["第二条"].text == "乙。\n第一条 不在此列。"


def test_headings_are_known_by_their_words() -> None:
    articles = statute.read_statute(OLD)
    assert articles["第一条"].chapter == "第一编 总则 · 第一章 一般规定"
    assert articles["第三条"].chapter == "第一编 总则 · 第一章 一般规定 · 第一节 期限"
    assert articles["第四条"].chapter == "附则"


def test_the_other_dialect_and_plain_text_are_read_too() -> None:
    assert list(statute.read_statute(NEW)) == ["第一条", "第一条之一", "第二条", "第三条"]
    text = "\ufeff某法\r\n目录\r\n第一章 总则\r\n第二章 分则\r\n\r\n第一章　总则\r\n第一条　甲。\r\n第二章　分则\r\n第二条　乙。\r\n"
    assert [(one.label, one.text, one.chapter) for one in statute.read_statute(text).values()] == [
        ("第一条", "甲。", "第一章 总则"),
        ("第二条", "乙。", "第二章 分则"),
    ]


@pytest.mark.parametrize("text", ["", "没有条文", "# 第一章", "\x00" * 100, "第条 x", "---\n---\n"])
def test_what_is_no_statute_has_no_articles(text: str) -> None:
    assert statute.read_statute(text) == {}


def test_words_that_stand_where_they_are_cited_are_right() -> None:
    assert find(ASKED) == (CitationFinding.RIGHT, "与条文相符，2024-12-25版未改")
    assert find(ASKED, on=date(2025, 5, 31), newest=CITED) == (CitationFinding.RIGHT, "与条文相符")


def test_width_quotes_and_spaces_do_not_matter() -> None:
    assert find(replace(ASKED, article="第二条", evidence="内提出：“申请”"), on=date(2025, 5, 31), newest=CITED)[0] == CitationFinding.RIGHT


def test_words_of_another_article_are_wrong_and_their_place_is_named() -> None:
    finding, reason = find(replace(ASKED, evidence="应当在十五日内答复"))
    assert finding == CitationFinding.WRONG
    assert "第三条" in reason


def test_words_that_stand_nowhere_and_articles_that_do_not_exist_are_wrong() -> None:
    assert find(replace(ASKED, evidence="三十日内"))[0] == CitationFinding.WRONG
    assert find(replace(ASKED, article="第九十条")) == (CitationFinding.WRONG, "《某法》（2018-03-20）没有第九十条")


def test_words_that_moved_are_stale_from_the_day_the_new_version_is_in_force() -> None:
    moved = replace(ASKED, article="第二条", evidence="自知道之日起六十日内提出")
    assert find(moved, on=date(2025, 5, 31), newest=CITED)[0] == CitationFinding.RIGHT
    finding, reason = find(moved, on=date(2025, 6, 1))
    assert finding == CitationFinding.STALE
    assert "移到了第三条" in reason


def test_words_that_changed_are_stale() -> None:
    finding, reason = find(replace(ASKED, article="第三条", evidence="应当在十五日内答复"))
    assert finding == CitationFinding.STALE
    assert "没有“应当在十五日内答复”的原话" in reason


def test_without_a_text_nothing_is_proven() -> None:
    assert find(replace(ASKED, evidence="", source="公开报道")) == (CitationFinding.UNVERIFIABLE, "没有条文可核对，依据为：公开报道")
    assert find(replace(ASKED, law="别的法"))[0] == CitationFinding.UNVERIFIABLE
    assert find(replace(ASKED, version=date(2010, 1, 1)))[0] == CitationFinding.UNVERIFIABLE


def test_a_newer_version_in_force_whose_text_is_missing_leaves_it_open() -> None:
    finding, reason = find(ASKED, newest=date(2026, 1, 1))
    assert finding == CitationFinding.UNVERIFIABLE
    assert "2026-01-01版已施行" in reason


def test_what_is_filled_in_must_stand_in_the_article() -> None:
    fill = Fill(
        id="f",
        level=1,
        law="某法",
        version=CITED,
        article="第三条",
        point="点",
        stem="____",
        accepted=("15日",),
        evidence="应当在十五日内答复",
        explanation="解析",
    )
    before = date(2025, 5, 31)
    assert find(fill, before, CITED)[0] == CitationFinding.RIGHT
    assert find(replace(fill, accepted=("20日",)), before, CITED) == (CitationFinding.WRONG, "答案“20日”不在《某法》（2018-03-20）第三条中")
