"""Question banks from YAML files: each question is read whole, or its faults are listed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any, cast

from bot.domain.library.library import Bank, Library
from bot.domain.library.question import BLANK, KINDS, KeyPoint, Question
from bot.domain.text import numbers
from bot.domain.text.typed_answers import normalise_answer
from bot.storage.files.models import ENTRIES, BankFile, FillEntry, MultipleEntry, QuestionEntry, ShortEntry, SingleEntry, validate
from bot.storage.files.strict_yaml import FileFault, Node

NO_EVIDENCE = "none"


def read_bank(node: Node, file: str, laws: Library, faults: list[FileFault]) -> tuple[Bank, list[Question]] | None:
    """The bank and its questions, or None with every fault noted. `laws` holds the register that names are checked against."""
    fault_count = len(faults)
    bank_file = validate(BankFile, node, file, faults)
    questions_node = node.value.get("questions") if isinstance(node.value, dict) else None
    questions: list[Question] = []
    lines: dict[str, int] = {}
    for number, entry in enumerate(questions_node.value if questions_node is not None and isinstance(questions_node.value, list) else [], 1):
        question = _read_question(entry, number, file, laws, faults)
        if question is None:
            continue
        if question.id in lines:
            faults.append(FileFault(file, entry.line_at(("id",)), f"题目 {question.id}：编号重复，第 {lines[question.id]} 行已经用过"))
        lines.setdefault(question.id, entry.line_at(("id",)))
        questions.append(question)
    if bank_file is None or len(faults) > fault_count:
        return None
    return Bank(bank_file.bank, bank_file.title, tuple(question.id for question in questions)), questions


def _read_question(node: Node, number: int, file: str, laws: Library, faults: list[FileFault]) -> Question | None:
    fields = node.value if isinstance(node.value, dict) else {}
    name = f"题目 {fields['id'].value}" if "id" in fields and isinstance(fields["id"].value, str) else f"第 {number} 题"
    kind = fields["kind"].value if "kind" in fields else None
    model = ENTRIES.get(kind) if isinstance(kind, str) else None
    if model is None:
        sentence = f"kind（题型）应为 {'、'.join(ENTRIES)} 之一" if "kind" in fields else "缺少 kind（题型）"
        faults.append(FileFault(file, node.line_at(("kind",)), f"{name}：{sentence}"))
        return None
    entry = validate(model, node, file, faults, name)
    if entry is None:
        return None
    entry_faults = [
        FileFault(file, node.line_at(place), f"{name}：{sentence}") for place, sentence in (*_source_faults(entry, laws), *_key_faults(entry))
    ]
    faults.extend(entry_faults)
    return None if entry_faults else _build_question(entry)


PlacedFaults = Iterator[tuple[tuple[str | int, ...], str]]


def _source_faults(entry: QuestionEntry, laws: Library) -> PlacedFaults:
    yield from law_name_faults(entry.law, laws)
    law = laws.laws.get(entry.law)
    if law is not None and law.version_of(entry.version) is None:
        yield ("version",), f"法律登记里没有《{entry.law}》{entry.version} 的版本"
    if entry.evidence == NO_EVIDENCE:
        if entry.source is None:
            yield ("evidence",), "依据写 none 时，要写明 source（出处）：公开文件的名称"
        return
    if entry.source is not None:
        yield ("source",), "有条文依据就不写 source（出处）；没有条文可核对时依据写 none"
    if numbers.article_number(entry.article) is None:
        yield ("article",), f"“{entry.article}”不是一条条文，应写作 第一百二十三条"


def law_name_faults(name: str, laws: Library, place: tuple[str | int, ...] = ("law",)) -> PlacedFaults:
    """A name must be the canonical short title; a misnomer and an alias are told what to write."""
    if name in laws.laws:
        return
    if (meant := laws.misnomer(name)) is not None:
        yield place, f"“{name}”是误称，应写作“{meant.short}”"
    elif (known := laws.resolve_law(name)) is not None:
        yield place, f"“{name}”请写简称“{known.short}”"
    else:
        yield place, f"法律登记里没有“{name}”"


def _key_faults(entry: QuestionEntry) -> PlacedFaults:
    if isinstance(entry, (SingleEntry, MultipleEntry)):
        yield from _choice_faults(entry)
    if isinstance(entry, FillEntry):
        if entry.stem.count(BLANK) != 1 or "_" in entry.stem.replace(BLANK, "", 1):
            yield ("stem",), f"填空题的题干要有且只有一个空，写作 {BLANK}（四个下划线）"
        for number, form in enumerate(entry.key):
            if not normalise_answer(form):
                yield ("key", number), "答案里没有文字"
    if isinstance(entry, ShortEntry) and len({point.say for point in entry.points}) < len(entry.points):
        yield ("points",), "要点有重复"


def _choice_faults(entry: SingleEntry | MultipleEntry) -> PlacedFaults:
    letters = "".join(entry.options)
    if letters != "ABCDEFGH"[: len(letters)]:
        yield ("options",), f"选项字母应从 A 起连续，现为 {'、'.join(entry.options)}"
    missing = [letter for letter in entry.key if letter not in entry.options]
    if missing:
        yield ("key",), f"答案 {'、'.join(missing)} 不在选项里"
    if "".join(sorted(set(entry.key))) != entry.key:
        yield ("key",), "答案字母应按顺序各写一次"
    letter_by_text: dict[str, str] = {}
    for letter, option in entry.options.items():
        first_letter = letter_by_text.setdefault(unicodedata.normalize("NFKC", option).strip(), letter)
        if first_letter != letter:
            yield ("options", letter), f"选项 {first_letter} 和 {letter} 相同"


def _build_question(entry: QuestionEntry) -> Question:
    values: dict[str, Any] = {
        name: getattr(entry, name) for name in ("id", "level", "case", "law", "version", "article", "point", "stem", "explanation")
    }
    values["evidence"] = "" if entry.evidence == NO_EVIDENCE else entry.evidence
    values["source"] = entry.source or ""
    if isinstance(entry, (SingleEntry, MultipleEntry)):
        values["options"] = tuple(entry.options.items())
    if isinstance(entry, FillEntry):
        values["accepted"] = tuple(entry.key)
    elif isinstance(entry, ShortEntry):
        values["points"] = tuple(KeyPoint(point.say, tuple(point.words)) for point in entry.points)
    else:
        values["key"] = cast(Any, entry).key
    return KINDS[entry.kind](**values)
