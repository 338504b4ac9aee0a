"""Banks against the texts of the laws: a folder of our own, and the real texts where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.storage.files.bank_check import check_banks
from bot.storage.files.loader import data_root, load_library
from tests.storage.test_files import FRAME, JUDGE, MULTIPLE, REPOSITORY, SINGLE, TODAY, lay

LAW_TEXTS = REPOSITORY.parent / "shared" / "laws"
TEXT = "# 某法\n\n第一条 为了规范某事，制定本法。\n\n第二条 机关应当在15日内答复。\n"


def test_banks_are_checked_against_the_texts_in_a_folder(tmp_path: Path) -> None:
    stale = JUDGE.replace("2024-12-25", "2018-03-20").replace("为了规范某事", "为了旧的某事")
    wrong = SINGLE.replace("为了规范某事", "机关应当在15日内答复")
    open_ = JUDGE.replace("m-03", "m-06").replace("evidence: 为了规范某事", "evidence: none\n    source: 公开报道")
    bank = FRAME + wrong + MULTIPLE + stale + open_
    library, faults = load_library(lay(tmp_path, bank=bank))
    assert faults == []
    laws = tmp_path / "laws"
    laws.mkdir()
    (laws / "某法(2024-12-25).md").write_text(TEXT, encoding="utf-8")
    (laws / "中华人民共和国某法(2018-03-20).txt").write_text("第一条　为了旧的某事，制定本法。\n", encoding="utf-8")
    (laws / "某法(2017-99-99).md").write_text(TEXT, encoding="utf-8")
    (laws / "某法(2016-01-01).md").write_text("没有条文", encoding="utf-8")
    (laws / "无此法(2020-01-01).md").write_text(TEXT, encoding="utf-8")
    (laws / "README.md").write_text("说明", encoding="utf-8")
    report = check_banks(library, laws, TODAY)
    assert {row.question: row.finding.value for row in report.rows} == {"m-01": "wrong", "m-02": "right", "m-03": "stale", "m-06": "unverifiable"}
    assert report.counts() == report.counts("m") == {"right": 1, "wrong": 1, "stale": 1, "unverifiable": 1}
    assert not report.is_sound
    assert len(report.unread) == 2
    lines = report.lines()
    assert lines[:2] == ["m：相符 1，不符 1，过时 1，无法核对 1", "合计：相符 1，不符 1，过时 1，无法核对 1"]
    assert [line.split(" ")[0] for line in lines[4:]] == ["[不符]", "[过时]", "[无法核对]"]
    kept = json.loads(json.dumps(report.as_dict()))
    assert kept["banks"]["m"]["wrong"] == 1
    assert kept["rows"][0]["verdict"] == "wrong"
    assert "第二条" in kept["rows"][0]["reason"]


def test_the_total_stands_below_the_details_too_where_they_fill_the_screen() -> None:
    library, _ = load_library(data_root())
    lines = check_banks(library, None, TODAY).lines()
    assert len(lines) > 20
    assert lines[-1] == lines[len(library.banks)]
    assert lines[-1].startswith("合计：")


def test_without_a_folder_of_texts_nothing_is_wrong_and_nothing_is_proven(tmp_path: Path) -> None:
    library, _ = load_library(lay(tmp_path))
    report = check_banks(library, None, TODAY)
    assert report.is_sound
    assert report.counts()["unverifiable"] == len(library.questions) == 5


@pytest.mark.skipif(not LAW_TEXTS.is_dir(), reason="the texts of the laws are not part of the repository; they stand beside it where it is developed")
def test_what_we_ship_is_neither_wrong_nor_stale() -> None:
    library, _ = load_library(data_root())
    report = check_banks(library, LAW_TEXTS, TODAY)
    assert [row for row in report.rows if row.finding in ("wrong", "stale")] == []
    assert report.unread == ()
    assert report.counts()["right"] > report.counts()["unverifiable"]
