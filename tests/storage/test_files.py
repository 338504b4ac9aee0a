"""Content and banks on disk: what is read, what is refused, and how the refusal reads."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bot.domain.library.question import Fill, Judge, Multiple, Short, Single
from bot.storage.files.loader import data_root, load_library
from bot.storage.files.strict_yaml import FileFault

REPOSITORY = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 23)

LAWS = """laws:
  - title: 中华人民共和国某法
    short: 某法
    level: 法律
    aliases: [某某法]
    misnomers: [某错法]
    versions:
      - {version: 2018-03-20, in_force: 2018-03-20}
      - {version: 2024-12-25, in_force: 2025-06-01}
  - title: 某规定
    short: 某规定
    level: 党内法规
    versions:
      - {version: 2020-01-01, in_force: null}
"""
SETS = """sets:
  - name: 起步必学
    laws: [某法, 某规定]
"""
COMMON = """    level: 1
    law: 某法
    version: 2024-12-25
    article: 第一条
    point: 知识点
    evidence: 为了规范某事
    explanation: 因为第一条这样写。
"""
SINGLE = f"""  - id: m-01
    kind: single
    case: true
    stem: 哪一项对?
    options:
      A: no
      B: 010
      C: 12:30
      D: 15
    key: B
{COMMON}"""
MULTIPLE = f"""  - id: m-02
    kind: multiple
    stem: 哪几项对?
    options: {{A: 甲, B: 乙, C: 丙, D: 丁}}
    key: ACD
{COMMON}"""
JUDGE = f"""  - id: m-03
    kind: judge
    stem: 这句话对吗?
    key: 错
{COMMON}"""
FILL = f"""  - id: m-04
    kind: fill
    stem: 应当在____内答复。
    key: ['15日', 十五日, 15]
{COMMON}"""
SHORT = f"""  - id: m-05
    kind: short
    stem: 简述理由。
    points:
      - {{say: 先行垫付, words: [垫付, 先付]}}
      - {{say: 再行追偿, words: [追偿]}}
{COMMON}"""
FRAME = "bank: m\ntitle: 某题库\nquestions:\n"
BANK = FRAME + SINGLE + MULTIPLE + JUDGE + FILL + SHORT
LESSON = """---
id: m-1
title: 某事怎么办
law: 某法
version: 2024-12-25
articles: [第一条]
tiers: [全员]
minutes: 3
valid_from: 2025-06-01
questions: [m-01, m-02]
---
## 场景

第一页。

---

第二页，有**重点**。
"""


def lay(root: Path, laws: str = LAWS, sets: str = SETS, bank: str = BANK, lesson: str = LESSON) -> Path:
    """A small library on disk."""
    (root / "content" / "lessons").mkdir(parents=True)
    (root / "quiz_banks").mkdir()
    for name, text in (("content/laws.yaml", laws), ("content/sets.yaml", sets), ("quiz_banks/m.yaml", bank), ("content/lessons/m-1.md", lesson)):
        (root / name).write_text(text, encoding="utf-8")
    return root


def said(root: Path) -> list[str]:
    return [str(fault) for fault in load_library(root)[1]]


def test_a_whole_library_loads_as_written(tmp_path: Path) -> None:
    library, faults = load_library(lay(tmp_path))
    assert faults == []
    assert [type(one) for one in library.questions.values()] == [Single, Multiple, Judge, Fill, Short]
    assert library.questions["m-01"].case
    assert library.questions["m-01"].version == date(2024, 12, 25)
    assert library.questions["m-02"].key == "ACD"
    assert library.questions["m-04"].accepted == ("15日", "十五日", "15")
    assert library.questions["m-05"].points[0].words == ("垫付", "先付")
    assert library.banks["m"].questions == ("m-01", "m-02", "m-03", "m-04", "m-05")
    assert library.lessons["m-1"].pages == ("## 场景\n\n第一页。", "第二页，有**重点**。")
    law = library.resolve_law("某某法")
    assert law is not None
    assert [one.valid_from for one in law.versions] == [date(2018, 3, 20), date(2025, 6, 1)]


def test_options_are_read_as_they_are_written(tmp_path: Path) -> None:
    library, _ = load_library(lay(tmp_path))
    assert library.questions["m-01"].options == (("A", "no"), ("B", "010"), ("C", "12:30"), ("D", "15"))


def test_none_as_evidence_asks_for_a_source(tmp_path: Path) -> None:
    bank = FRAME + JUDGE.replace("evidence: 为了规范某事", "evidence: none\n    source: 公开报道").replace("article: 第一条", "article: 总论")
    library, faults = load_library(lay(tmp_path, bank=bank, lesson=LESSON.replace("m-01, m-02", "m-03")))
    assert faults == []
    assert (library.questions["m-03"].evidence, library.questions["m-03"].source) == ("", "公开报道")


@pytest.mark.parametrize(
    ("change", "to", "fault"),
    [
        ("key: B", "key: E", "quiz_banks/m.yaml:13: 题目 m-01：答案 E 不在选项里"),
        (
            "key: B",
            "key: b",
            "quiz_banks/m.yaml:13: 题目 m-01：key（答案） 的写法不对（应为单选写一个字母，多选写两个以上字母如 ACD，判断写 对 或 错）",
        ),
        ("key: ACD", "key: CAD", "题目 m-02：答案字母应按顺序各写一次"),
        ("key: 错", "key: 否", "题目 m-03：key（答案） 的写法不对"),
        ("      C: 12:30\n", "", "quiz_banks/m.yaml:9: 题目 m-01：选项字母应从 A 起连续，现为 A、B、D"),
        ("B: 乙", "B: 甲", "题目 m-02：选项 A 和 B 相同"),
        ("应当在____内", "应当在内", "题目 m-04：填空题的题干要有且只有一个空"),
        ("应当在____内", "____应当在____内", "题目 m-04：填空题的题干要有且只有一个空"),
        ("    stem: 哪一项对?\n", "", "quiz_banks/m.yaml:4: 题目 m-01：缺少 stem（题干）"),
        ("    stem: 哪一项对?", "    stam: 哪一项对?", "quiz_banks/m.yaml:7: 题目 m-01：不认识 “stam”，请检查拼写或删去"),
        ("kind: judge", "kind: essay", "题目 m-03：kind（题型）应为 single、multiple、judge、fill、short 之一"),
        ("    kind: judge\n", "", "题目 m-03：缺少 kind（题型）"),
        ("id: m-02", "id: m-01", "quiz_banks/m.yaml:21: 题目 m-01：编号重复，第 4 行已经用过"),
        ("case: true", "case: yes", "题目 m-01：case（案例） 只能写 true 或 false"),
        ("level: 1", "level: 4", "题目 m-01：level（级别） 不能大于 3"),
        ("level: 1", "level: 高", "题目 m-01：level（级别） 应为整数"),
        ("version: 2024-12-25", "version: 2024-13-25", "题目 m-01：version（版本日期） 应为日期，写作 2021-01-01"),
        ("version: 2024-12-25", "version: 20241225", "题目 m-01：version（版本日期） 应为日期"),
        ("version: 2024-12-25", "version: 2019-01-01", "题目 m-01：法律登记里没有《某法》2019-01-01 的版本"),
        ("law: 某法", "law: 某错法", "题目 m-01：“某错法”是误称，应写作“某法”"),
        ("law: 某法", "law: 某某法", "题目 m-01：“某某法”请写简称“某法”"),
        ("law: 某法", "law: 无此法", "题目 m-01：法律登记里没有“无此法”"),
        ("article: 第一条", "article: 总论", "题目 m-01：“总论”不是一条条文"),
        ("evidence: 为了规范某事", "evidence: 为了", "题目 m-01：evidence（依据） 太短，至少 4 个字"),
        ("evidence: 为了规范某事", f"evidence: {'长' * 41}", "题目 m-01：evidence（依据） 太长，最多 40 个字"),
        ("evidence: 为了规范某事", "evidence: none", "题目 m-01：依据写 none 时，要写明 source（出处）"),
        ("evidence: 为了规范某事", "evidence: 为了规范某事\n    source: 报道", "题目 m-01：有条文依据就不写 source（出处）"),
        ("    key: 错", "    key: 错\n    key: 对", "quiz_banks/m.yaml:37: 键“key”重复了，第 36 行已经写过"),
        ("words: [追偿]", "words: [追]", "题目 m-05：points（要点） 第 2 项 words（关键词） 第 1 项 太短，至少 2 个字"),
        ("stem: 简述理由。", "stem: '    '", "题目 m-05：stem（题干） 太短，至少 4 个字"),
        ("title: 某题库", "title: 某题库\nextra: 1", "quiz_banks/m.yaml:3: 不认识 “extra”"),
        ("bank: m", "bank: 某", "quiz_banks/m.yaml:1: bank（题库编号） 的写法不对（应为小写字母、数字和短横"),
        ("stem: 哪一项对?", "stem: 哪一项: 对?", "quiz_banks/m.yaml:7: YAML 写法有误：冒号后有空格的文字要加引号"),
    ],
)
def test_a_fault_in_a_bank_is_named_with_its_place_and_the_bank_is_left_out(tmp_path: Path, change: str, to: str, fault: str) -> None:
    assert change in BANK
    library, faults = load_library(lay(tmp_path, bank=BANK.replace(change, to, 1)))
    assert any(fault in str(one) for one in faults), faults
    assert (len(library.banks), len(library.questions), len(library.lessons)) == (0, 0, 0)


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    bank = BANK.replace("key: B", "key: E").replace("key: 错", "key: 否").replace("应当在____内", "应当在内")
    faults = [one for one in load_library(lay(tmp_path, bank=bank))[1] if one.file == "quiz_banks/m.yaml"]
    assert [one.line for one in faults] == sorted(one.line for one in faults)
    assert [one.sentence.split("：")[0] for one in faults] == ["题目 m-01", "题目 m-03", "题目 m-04"]


def test_the_cause_is_told_before_what_follows_from_it(tmp_path: Path) -> None:
    root = lay(tmp_path)
    bank = root / "quiz_banks/m.yaml"
    bank.write_text(bank.read_text(encoding="utf-8") + "  : [\n", encoding="utf-8")
    faults = load_library(root)[1]
    assert faults[0].file == "quiz_banks/m.yaml"
    assert {one.file for one in faults[1:]} == {"content/lessons/m-1.md"}


def test_an_id_used_in_two_banks_is_refused(tmp_path: Path) -> None:
    root = lay(tmp_path)
    (root / "quiz_banks" / "n.yaml").write_text(BANK.replace("bank: m", "bank: n"), encoding="utf-8")
    library, faults = load_library(root)
    assert set(library.banks) == {"m"}
    assert len(faults) == 5
    assert "quiz_banks/n.yaml: 题目 m-01：编号在别的题库里已经用过" in map(str, faults)


@pytest.mark.parametrize(
    ("change", "to", "fault"),
    [
        ("questions: [m-01, m-02]", "questions: [m-01, m-99]", "content/lessons/m-1.md:10: 题库里没有题目 m-99"),
        ("questions: [m-01, m-02]", "questions: [m-01, m-01]", "content/lessons/m-1.md:10: 题目有重复"),
        ("law: 某法", "law: 某错法", "content/lessons/m-1.md:4: “某错法”是误称，应写作“某法”"),
        ("version: 2024-12-25", "version: 2019-01-01", "content/lessons/m-1.md:5: 法律登记里没有《某法》2019-01-01 的版本"),
        ("tiers: [全员]", "tiers: [全体]", "content/lessons/m-1.md:7: tiers（对象） 第 1 项 的写法不对（应为全员、局党组"),
        ("minutes: 3", "minutes: 0", "content/lessons/m-1.md:8: minutes（时长） 不能小于 1"),
        ("minutes: 3", "minutes: 三", "content/lessons/m-1.md:8: minutes（时长） 应为整数"),
        ("valid_from: 2025-06-01", "valid_from: 2025-06-01\nvalid_to: 2025-06-01", "content/lessons/m-1.md:10: 失效日应晚于生效日"),
        ("title: 某事怎么办\n", "", "content/lessons/m-1.md:2: 缺少 title（名称）"),
        ("id: m-1", "id: m-2", "content/lessons/m-1.md:2: 编号 m-2 应与文件名 m-1 相同"),
        ("---\nid", "id", "content/lessons/m-1.md:1: 文件应以两行 --- 之间的说明开头"),
        ("\n---\n\n第二页", "\n第二页", "一课应有 2 至 5 页（以单独一行 --- 分隔），现有 1 页"),
        ("第一页。", "<script>", "content/lessons/m-1.md:14: 不能写 HTML"),
        ("第一页。", "![图](a.png)", "content/lessons/m-1.md:14: 不能放图片"),
        ("第一页。", "| 表 |", "content/lessons/m-1.md:14: 不能写表格"),
        ("第一页。", "\x07", "content/lessons/m-1.md:14: 含有不能使用的控制字符"),
        ("第一页。", "字" * 601, "content/lessons/m-1.md:12: 第 1 页有 608 个字，最多 600 个，请分页"),
        ("第二页，有**重点**。", "", "content/lessons/m-1.md:17: 第 2 页是空的"),
        ("title: 某事怎么办", "title: '某事", "YAML 写法有误：引号没有配对"),
    ],
)
def test_a_fault_in_a_lesson_is_named_with_its_place_and_the_lesson_is_left_out(tmp_path: Path, change: str, to: str, fault: str) -> None:
    assert change in LESSON
    library, faults = load_library(lay(tmp_path, lesson=LESSON.replace(change, to, 1)))
    assert any(fault in str(one) for one in faults), faults
    assert library.lessons == {}
    assert len(library.questions) == 5


@pytest.mark.parametrize(
    ("change", "to", "fault"),
    [
        ("short: 某规定", "short: 某某法", "content/laws.yaml:10: “某某法”与“某法”有相同的名称“某某法”"),
        ("misnomers: [某错法]", "misnomers: [某某法]", "content/laws.yaml:2: “某某法”既是名称又是误称"),
        ("{version: 2024-12-25, in_force: 2025-06-01}", "{version: 2018-03-20}", "content/laws.yaml:8: “某法”的版本应按日期从旧到新各写一次"),
        ("in_force: 2025-06-01", "in_force: 明年", "content/laws.yaml:9: laws（法律） 第 1 项 versions（版本） 第 2 项 in_force（施行日） 应为日期"),
        ("    level: 法律\n", "", "content/laws.yaml:2: 缺少 laws（法律） 第 1 项 level（级别）"),
    ],
)
def test_a_fault_in_the_register_is_named_with_its_place(tmp_path: Path, change: str, to: str, fault: str) -> None:
    assert change in LAWS
    faults = said(lay(tmp_path, laws=LAWS.replace(change, to, 1)))
    assert any(one.startswith(fault) for one in faults), faults


def test_sets_name_laws_of_the_register_once(tmp_path: Path) -> None:
    sets = SETS + "  - name: 起步必学\n    laws: [某错法, 无此法]\n  - name: 某规定\n    laws: [某法]\n"
    assert said(lay(tmp_path, sets=sets)) == [
        "content/sets.yaml:4: 名称“起步必学”已经用过",
        "content/sets.yaml:5: 法律组“起步必学”：“某错法”是误称，应写作“某法”",
        "content/sets.yaml:5: 法律组“起步必学”：法律登记里没有“无此法”",
        "content/sets.yaml:6: 名称“某规定”已经用过",
    ]


def test_missing_files_are_said_not_raised(tmp_path: Path) -> None:
    library, faults = load_library(tmp_path)
    assert library.questions == {}
    assert [one.file for one in faults] == ["content/laws.yaml", "content/sets.yaml"]
    assert all("读不了这个文件" in one.sentence for one in faults)


def test_a_mark_at_the_beginning_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    root = lay(tmp_path)
    for name in ("quiz_banks/m.yaml", "content/lessons/m-1.md"):
        path = root / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_library(root)[1] == []


def test_a_fault_reads_as_file_line_sentence() -> None:
    assert str(FileFault("a.yaml", 3, "不对")) == "a.yaml:3: 不对"
    assert str(FileFault("a.yaml", 0, "不对")) == "a.yaml: 不对"


def test_what_we_ship_loads_without_a_fault() -> None:
    library, faults = load_library(data_root())
    assert [str(fault) for fault in faults] == []
    assert data_root() == REPOSITORY
    assert library.lessons
    assert library.questions_of("两法一条例")
    assert library.lessons_for("公务员", TODAY)[0].law == "习近平法治思想"
