"""The library: names, the order of study, pages as chat text; and words, cut with jieba."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest

from bot.domain.library.library import SYLLABUS_SET, Bank, Law, LawSet, LawVersion, Lesson, Library, expected_reading_seconds, page_to_chat_text
from bot.domain.library.question import Judge
from bot.domain.text import segmentation

JCF = Law(
    title="中华人民共和国监察法",
    short="监察法",
    level="法律",
    aliases=("国家监察法",),
    versions=(LawVersion(date(2018, 3, 20), date(2018, 3, 20)), LawVersion(date(2024, 12, 25), date(2025, 6, 1))),
)
ZWCF = Law("中华人民共和国公职人员政务处分法", "公职人员政务处分法", "法律", ("政务处分法",), ("职务处分法",), (LawVersion(date(2020, 6, 20)),))
XFF = Law("中华人民共和国消防法", "消防法", "法律", versions=(LawVersion(date(2021, 4, 29), date(2021, 4, 29), date(2027, 1, 1)),))


def question(name: str, law: str) -> Judge:
    return Judge(id=name, level=1, law=law, version=date(2020, 6, 20), article="第一条", point="点", stem="题干", key="对", explanation="解析")


def lesson(name: str, law: str, *tiers: str, start: date = date(2020, 1, 1), end: date | None = None) -> Lesson:
    return Lesson(name, "课", law, date(2020, 6, 20), ("第一条",), tiers or ("全员",), 3, start, ("q1",), ("一", "二"), "d", valid_to=end)


QUESTIONS = {one.id: one for one in (question("q1", "监察法"), question("q2", "公职人员政务处分法"), question("q3", "监察法"))}
LIBRARY = Library(
    lessons={
        one.id: one
        for one in (
            lesson("b-02", "公职人员政务处分法"),
            lesson("b-01", "公职人员政务处分法", "领导干部"),
            lesson("z-01", "监察法"),
            lesson("a-01", "消防法"),
            lesson("z-00", "监察法", end=date(2025, 6, 1)),
            lesson("z-09", "监察法", start=date(2030, 1, 1)),
        )
    },
    banks={"jc": Bank("jc", "监察题库", ("q3", "q2"))},
    questions=QUESTIONS,
    laws={law.short: law for law in (JCF, ZWCF, XFF)},
    sets={
        "两法": LawSet("两法", ("公职人员政务处分法", "监察法"), ("两部法",)),
        SYLLABUS_SET: LawSet(SYLLABUS_SET, ("监察法", "公职人员政务处分法")),
    },
)


def test_a_law_answers_to_all_its_names() -> None:
    for name in ("监察法", "中华人民共和国监察法", "《监察法》", " 《中华人民共和国监察法》 ", "国家监察法"):
        assert LIBRARY.resolve_law(name) is JCF
    assert LIBRARY.resolve_law("刑法") is None
    assert LIBRARY.resolve_law("") is None


def test_a_misnomer_names_what_was_meant_and_resolves_to_nothing() -> None:
    assert LIBRARY.misnomer("《职务处分法》") is ZWCF
    assert LIBRARY.resolve_law("职务处分法") is None
    assert LIBRARY.questions_of("职务处分法") is None
    assert LIBRARY.misnomer("监察法") is None


def ids(name: str) -> list[str] | None:
    found = LIBRARY.questions_of(name)
    return None if found is None else [one.id for one in found]


def test_questions_are_found_by_law_set_and_bank() -> None:
    assert ids("监察法") == ids("《国家监察法》") == ["q1", "q3"]
    assert ids("两法") == ids("两部法") == ["q2", "q1", "q3"]
    assert ids("监察题库") == ids("监察") == ids("jc") == ids("JC") == ["q3", "q2"]
    assert ids("消防法") == []
    assert ids("没有这个") is None


def test_the_names_on_offer_are_those_that_have_questions() -> None:
    assert LIBRARY.names == ("监察法", "公职人员政务处分法", "两法", SYLLABUS_SET, "监察题库")


def test_lessons_come_in_the_order_of_the_syllabus() -> None:
    on = date(2026, 11, 23)
    assert [one.id for one in LIBRARY.lessons_for("领导干部", on)] == ["z-01", "b-01", "b-02", "a-01"]
    assert [one.id for one in LIBRARY.lessons_for("公务员", on)] == ["z-01", "b-02", "a-01"]


def test_a_lesson_is_taught_from_its_first_day_until_the_day_before_its_last() -> None:
    assert "z-00" in [one.id for one in LIBRARY.lessons_for("公务员", date(2025, 5, 31))]
    assert "z-00" not in [one.id for one in LIBRARY.lessons_for("公务员", date(2025, 6, 1))]


def test_the_version_in_force_changes_on_the_day_the_new_one_begins() -> None:
    before, after = JCF.in_force(date(2025, 5, 31)), JCF.in_force(date(2025, 6, 1))
    assert before is not None and before.version == date(2018, 3, 20)  # noqa: PT018
    assert after is not None and after.version == date(2024, 12, 25)  # noqa: PT018
    assert JCF.in_force(date(2018, 3, 19)) is None
    assert ZWCF.in_force(date(2020, 6, 20)) is not None
    assert XFF.in_force(date(2027, 1, 1)) is None


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("## 场景\n\n某局**甲**说**“乙”**。\n续行", "【场景】\n某局甲说“乙”。续行"),
        ("前言:\n\n- 一\n- 二\n\n后话", "前言:\n\n· 一\n· 二\n\n后话"),
        ("1. 甲\n2. 乙", "1. 甲\n2. 乙"),
        ("> 由用人单位\n> 承担责任", "「由用人单位承担责任」"),
        ("见[条文](https://example.com/a)与`代码`", "见条文与代码"),
        ("USB\ndisk 与U盘", "USB disk 与U盘"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("- 谁:\n  办公室", "· 谁:办公室"),
        ("", ""),
    ],
)
def test_a_page_reads_as_plain_chat_text(page: str, said: str) -> None:
    assert page_to_chat_text(page) == said


@pytest.mark.parametrize("page", ["[" * 200_000, "**" * 100_000, "[a](" * 50_000, "> " * 100_000, "** a" * 50_000])
@pytest.mark.timeout(60)
def test_a_hostile_page_is_read_in_linear_time(page: str) -> None:
    assert isinstance(page_to_chat_text(page), str)


def test_the_time_of_a_page_is_that_of_its_characters() -> None:
    assert expected_reading_seconds("字" * 400) == 60
    assert expected_reading_seconds("**字**" * 200, chars_a_minute=200) == 60
    assert expected_reading_seconds("") == 1


def test_text_is_cut_into_words_without_punctuation() -> None:
    assert segmentation.cut_words("由用人单位承担侵权责任。") == ["由", "用人单位", "承担", "侵权", "责任"]
    assert segmentation.cut_words("") == []


def test_many_threads_may_warm_the_dictionary_at_once() -> None:
    threads = [threading.Thread(target=segmentation.load_dictionary) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert segmentation.cut_words("法治") == ["法治"]


def test_the_dictionary_loads_without_warnings_and_leaves_nothing_in_the_shared_folder(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    # A planted cache must not be read: were it, the words would be other ones or the load would fail.
    (shared / "jieba.cache").write_bytes(b"planted")
    environ = {**os.environ, "TMPDIR": str(shared), "PYTHONPYCACHEPREFIX": str(tmp_path / "uncompiled")}
    code = "from bot.domain.text import segmentation; segmentation.load_dictionary(); print(segmentation.cut_words('用人单位'))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['用人单位']\n", "")
    assert [path.name for path in shared.iterdir()] == ["jieba.cache"]
    assert (shared / "jieba.cache").read_bytes() == b"planted"


def test_a_stem_that_names_an_article_names_its_law(shipped: Library) -> None:
    """A question stands in exams, on big screens and in stage cards, where no header says which law is meant."""
    article = re.compile(r"第[一二三四五六七八九十百零\d]+条")
    unnamed = [
        question.id
        for question in shipped.questions.values()
        if article.search(question.stem)
        and not re.search(r"[法典例定则》]\s*$", question.stem[: article.search(question.stem).start()])  # type: ignore[union-attr]
        and not any(name in question.stem for law in shipped.laws.values() for name in law.names)
    ]
    assert unnamed == []
