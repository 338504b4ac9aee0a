"""Chinese is written with Chinese punctuation wherever somebody reads it: sentences in the code, pages, content, question banks, documents."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
HOLE = "\ufffc"
"""Stands for what is filled in: a placeholder of a template, a code span of a document."""

HAN = "一-鿿"
AFTER = f"[{HAN}》」”）]"
WRONG = re.compile(
    rf"{AFTER}[,;:?!()]|{AFTER} \("  # after Chinese
    rf"|{AFTER}\.(?=\s|$)"  # the end of a sentence
    rf"|[,;:?!(] ?(?=[{HAN}《「“（])"  # before Chinese
    rf"|{HOLE}[,;?!]|{HOLE}:(?=\s|$)"  # after what is filled in
)
SENTENCE = re.compile(f"[{HAN}]")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What is written to be read by a program, or quotes it; everything else is mended, not listed here.
EXCEPTIONS = {
    "键: 值": "quotes the syntax of YAML",
    "项目: 内容": "quotes the syntax of YAML",
    "{题型: 单选, 范围: 民法典, 题数: 10, 分值: 2}": "quotes the syntax of YAML",
    "source: 国务院办公厅": "a line of a YAML file",
    "地址:端口": "the form in which BOT_LISTEN is read",
    "民法典(2020-05-28).md": "the name of a file",
    "filteredStaffId: 被平台过滤": "a platform's refusal as every channel keeps it: kind, code, colon, message",
    "(含下级)": "a mark of an audience, looked for after the text is folded to half width",
    "(仅本级)": "a mark of an audience, looked for after the text is folded to half width",
    "系统繁忙: nothing": "an English sentence of the metrics that names a Chinese one",
}


def faults(text: str) -> list[str]:
    """What is wrong in one text, each with what stands around it."""
    if not SENTENCE.search(text):
        return []
    for said in EXCEPTIONS:
        text = text.replace(said, "·" * len(said))
    places = {(one.start(), one.end()) for one in WRONG.finditer(text)}
    opened: list[int] = []
    for place, mark in enumerate(text):
        if mark in "(（":
            opened.append(place)
        elif mark in ")）" and opened:
            begin = opened.pop()
            unlike = (text[begin] == "(") != (mark == ")")
            if unlike or (mark == ")" and re.search(f"[{HAN}{HOLE}]", text[begin:place])):
                places.add((begin, place + 1))
    return [text[max(0, begin - 12) : end + 12].replace("\n", "⏎") for begin, end in sorted(places)]


# ── What is read ──


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """The strings of a Python file, with their lines. Left out: patterns (raw strings), SQL, and docstrings that are in English."""
    lines = source.splitlines()
    tree = ast.parse(source)
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values if isinstance(part, ast.Constant)}
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            text = re.sub(r"\{[a-z_0-9]*(?:[.:!\[][^{}]*)?\}", HOLE, node.value)
        else:
            continue
        opening = lines[node.lineno - 1].encode()[node.col_offset :].decode()
        raw = re.match(r"[A-Za-z]*[rR]", opening) is not None
        english = id(node) in notes and len(SENTENCE.findall(text)) * 2 < len(text)
        if not raw and not english and not re.search(r"\b(?:SELECT|UPDATE|INSERT|DELETE)\b", text):
            yield node.lineno, text


def page(source: str) -> Iterator[tuple[int, str]]:
    """The lines of a page, a script or a Typst template without their comments and patterns: next to Chinese stands only what is shown."""
    source = re.sub(r"/\*.*?\*/|<!--.*?-->|\{#.*?#\}", lambda found: "\n" * found[0].count("\n"), source, flags=re.DOTALL)
    for number, line in enumerate(source.splitlines(), 1):
        shown = re.sub(r"(?<![:\w])//.*|(?:(?<=[=(!|] )|(?<=[=(!]))/(?:\\.|[^/\\])+/[a-z]*", "", line)
        yield number, re.sub(rf"(?<!{AFTER})[()](?![{HAN}《「“])", " ", shown)


def _values(found: object) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for key, value in found.items():
            yield from (*_values(key), *_values(value))
    elif isinstance(found, list):
        for value in found:
            yield from _values(value)


def data(source: str) -> Iterator[tuple[int, str]]:
    """The texts that a YAML file holds, and its comments."""
    yield from ((0, value) for value in _values(yaml.load(source, Loader=LOADER)))
    for number, line in enumerate(source.splitlines(), 1):
        if note := re.search(r"(?:^|\s)#\s(.*)", line):
            yield number, note[1]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """The lines of a document. Code stays as it is, but not the notes beside it."""
    fenced = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif fenced:
            code, mark, note = line.partition("# ")
            yield number, note if mark else re.sub(r"\{.*\}|^[a-z_]+: ", "", code)
        else:
            yield number, re.sub(r"`[^`]*`|https?://\S+", lambda span: HOLE, line).replace("**", "")


def lesson(source: str) -> Iterator[tuple[int, str]]:
    _, head, body = source.split("---\n", 2)
    yield from data(head)
    begin = head.count("\n") + 2
    yield from ((begin + number, line) for number, line in prose(body))


KINDS: dict[str, tuple[tuple[str, ...], Callable[[str], Iterator[tuple[int, str]]]]] = {
    "code": (("bot/**/*.py", "deploy/*.py"), sentences),
    "pages": (("bot/**/*.html", "bot/**/*.js", "bot/**/*.typ"), page),
    "content": (("content/**/*.yaml",), data),
    "lessons": (("content/lessons/*.md",), lesson),
    "banks": (("quiz_banks/*.yaml",), data),
    "documents": (("*.md", "deploy/*.md"), prose),
}


def read(kind: str) -> list[tuple[str, int, str]]:
    patterns, texts = KINDS[kind]
    files = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    return [(path.relative_to(ROOT).as_posix(), line, text) for path in files for line, text in texts(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("kind", KINDS)
def test_chinese_is_written_with_chinese_punctuation(kind: str) -> None:
    texts = read(kind)

    assert any(SENTENCE.search(text) for _, _, text in texts), f"nothing was read of {KINDS[kind][0]}"
    assert [f"{file}:{line}: {fault}" for file, line, text in texts for fault in faults(text)] == []


def test_no_exception_outlives_what_it_was_made_for() -> None:
    said = [text for _, _, text in read("code")]

    assert [one for one in EXCEPTIONS if not any(one in text for text in said)] == []


@pytest.mark.parametrize(
    "text",
    [
        "没有这个单位,请核对", "请稍后再试;谢谢", "用法:", "是不是这个?", "好!", "已撤回)", "依赖(首次约需一分钟)", "花名册 (预演)", "已写入.",
        "《民法典》,第一条", "ledger,请核对", "DTD, 不予读取", "web: 本地", "（约 3 分钟)", "(约 3 分钟）", "学时（截至今天)",
        f"第 {HOLE} 页,共几页", f"还差 {HOLE},共几页", f"还差 {HOLE}: ", f"{HOLE}(工号 {HOLE})", f"链头 ({HOLE})",
    ],
)  # fmt: skip
def test_half_width_beside_chinese_is_found(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "没有这个单位，请核对。", "依赖（首次约需 1,000 秒）", "例如 每周一 09:00", "请用 .xlsx 或 .csv。", "staff_no, name",
        "端口，例如 127.0.0.1:8080", f"不能在 {HOLE}:{HOLE} 上监听", "难度1:3/2:5", "请看 https://example.cn/x", "缺少 花名册.xlsx", "应写成“键: 值”",
    ],
)  # fmt: skip
def test_what_is_right_is_let_through(text: str) -> None:
    assert not faults(text)


def test_patterns_sql_and_english_notes_are_no_sentences() -> None:
    source = "\n".join(
        [
            '"""Opens 学时: the hours."""',
            'A = r"回复[:,]?"',
            'B = "SELECT a FROM b WHERE c IN (改分,犯规)"',
            'C = f"共 {n},好"',
            "def f():",
            '    """看报表:全部。"""',
        ]
    )

    assert [(line, text) for line, text in sentences(source) if faults(text)] == [(4, f"共 {HOLE},好"), (6, "看报表:全部。")]
