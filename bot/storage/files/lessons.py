"""Lessons from Markdown files: YAML front matter between two lines of ---, then pages separated by further such lines."""

from __future__ import annotations

import hashlib
import re

from bot.domain.library.library import Lesson, Library
from bot.storage.files.banks import law_name_faults
from bot.storage.files.models import LessonFront, validate
from bot.storage.files.strict_yaml import FileFault, Node, UnreadableText, parse_yaml

MAX_LESSON_BYTES = 100_000
MIN_PAGES, MAX_PAGES = 2, 5
# A page and its heading go out as one chat message, and WeChat takes 2,048 bytes.
MAX_PAGE_CHARS = 600

_FORBIDDEN = (
    (re.compile(r"<[A-Za-z/!][^>]{0,200}>?"), "不能写 HTML"),
    (re.compile(r"!\["), "不能放图片"),
    (re.compile(r"^\s*\|"), "不能写表格"),
    (re.compile(r"^\s*(```|~~~)"), "不能写代码块"),
    (re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"), "含有不能使用的控制字符"),
)


def read_lesson(text: str, file: str, library: Library, faults: list[FileFault]) -> Lesson | None:
    """The lesson, or None with every fault noted. `library` holds the register and the questions that it may name."""
    fault_count = len(faults)
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), 0)
    if lines[0].rstrip() != "---" or not end:
        faults.append(FileFault(file, 1, "文件应以两行 --- 之间的说明开头"))
        return None
    pages = _read_pages(lines, end + 1, file, faults)
    try:
        node = parse_yaml("\n".join(lines[1:end]), first_line=2)
    except UnreadableText as refused:
        faults.append(FileFault(file, refused.line, refused.sentence))
        return None
    front = validate(LessonFront, node, file, faults)
    if front is None:
        return None
    _check(front, node, file, library, faults)
    if len(faults) > fault_count:
        return None
    return Lesson(
        id=front.id,
        title=front.title,
        law=front.law,
        version=front.version,
        articles=tuple(front.articles),
        tiers=tuple(front.tiers),
        minutes=front.minutes,
        valid_from=front.valid_from,
        valid_to=front.valid_to,
        questions=tuple(front.questions),
        pages=pages,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        source=front.source or "",
    )


def _read_pages(lines: list[str], start: int, file: str, faults: list[FileFault]) -> tuple[str, ...]:
    pages: list[str] = []
    page: list[str] = []
    first = start + 1
    for number, line in enumerate([*lines[start:], "---"], start + 1):
        if line.rstrip() == "---":
            _add_page("\n".join(page).strip(), first, file, pages, faults)
            page, first = [], number + 1
            continue
        faults.extend(FileFault(file, number, sentence) for pattern, sentence in _FORBIDDEN if pattern.search(line))
        page.append(line)
    if not MIN_PAGES <= len(pages) <= MAX_PAGES:
        faults.append(FileFault(file, start, f"一课应有 {MIN_PAGES} 至 {MAX_PAGES} 页（以单独一行 --- 分隔），现有 {len(pages)} 页"))
    return tuple(pages)


def _add_page(page: str, line: int, file: str, pages: list[str], faults: list[FileFault]) -> None:
    pages.append(page)
    if not page:
        faults.append(FileFault(file, line, f"第 {len(pages)} 页是空的"))
    elif len(page) > MAX_PAGE_CHARS:
        faults.append(FileFault(file, line, f"第 {len(pages)} 页有 {len(page)} 个字，最多 {MAX_PAGE_CHARS} 个，请分页"))


def _check(front: LessonFront, node: Node, file: str, library: Library, faults: list[FileFault]) -> None:
    def note(place: tuple[str | int, ...], sentence: str) -> None:
        faults.append(FileFault(file, node.line_at(place), sentence))

    for place, sentence in law_name_faults(front.law, library):
        note(place, sentence)
    law = library.laws.get(front.law)
    if law is not None and law.version_of(front.version) is None:
        note(("version",), f"法律登记里没有《{front.law}》{front.version} 的版本")
    if front.valid_to is not None and front.valid_to <= front.valid_from:
        note(("valid_to",), "失效日应晚于生效日")
    for number, question_id in enumerate(front.questions):
        if question_id not in library.questions:
            note(("questions", number), f"题库里没有题目 {question_id}")
    if len(set(front.questions)) < len(front.questions):
        note(("questions",), "题目有重复")
