"""Content and banks from disk: read strictly, every fault with file, line and a Chinese sentence, each file whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from bot.domain.calendar import Calendar, Year
from bot.domain.library.library import Bank, Lesson, Library
from bot.domain.library.pack import LawDayPack
from bot.domain.library.question import Question
from bot.storage.files import banks, calendars, laws, lessons, packs
from bot.storage.files.strict_yaml import FileFault, Node, UnreadableText, parse, text_of

T = TypeVar("T")


def home() -> Path:
    """Where content/ and quiz_banks/ stand: the source tree when there is one, else what the installed package brought along."""
    package = Path(__file__).resolve().parents[2]
    return package.parent if (package.parent / "content").is_dir() else package / "_data"


def load_library(root: Path) -> tuple[Library, list[FileFault]]:
    """Everything under `root`/content and `root`/quiz_banks that is sound, and what is wrong with the rest.

    A file with a fault gives nothing, so no bank is ever half there; what names something in it is a fault in turn. Faults come in the
    order in which files build on each other, then by line: a cause before what follows from it. Nothing is raised for what a file says.
    """
    faults: list[FileFault] = []
    content = root / "content"
    library = Library(laws=_yaml(root, content / "laws.yaml", faults, lambda node, file: laws.read_laws(node, file, faults)) or {})
    known = library
    sets = _yaml(root, content / "sets.yaml", faults, lambda node, file: laws.read_sets(node, file, known, faults)) or {}
    library = replace(library, sets=sets)
    library = _with_banks(root, library, faults)
    library = _with_lessons(root, library, faults)
    library = replace(library, calendar=_calendar(root, faults))
    library = replace(library, packs=_packs(root, library, faults))
    order = {file: place for place, file in enumerate(dict.fromkeys(fault.file for fault in faults))}
    return library, sorted(faults, key=lambda fault: (order[fault.file], fault.line))


def load_calendar(root: Path) -> tuple[Calendar, list[FileFault]]:
    """The working calendars alone, for whoever needs no more of the files."""
    faults: list[FileFault] = []
    return _calendar(root, faults), faults


def _with_banks(root: Path, library: Library, faults: list[FileFault]) -> Library:
    found: dict[str, Bank] = {}
    questions: dict[str, Question] = {}
    for path in sorted((root / "quiz_banks").glob("*.yaml")):
        read = _yaml(root, path, faults, lambda node, file: banks.read_bank(node, file, library, faults))
        if read is None:
            continue
        bank, asked = read
        twice = [question.id for question in asked if question.id in questions]
        faults.extend(FileFault(_name(root, path), 0, f"题目 {one}：编号在别的题库里已经用过") for one in twice)
        if bank.id in found:
            faults.append(FileFault(_name(root, path), 1, f"题库编号 {bank.id} 已经用过"))
        elif not twice:
            found[bank.id] = bank
            questions.update({question.id: question for question in asked})
    return replace(library, banks=found, questions=questions)


def _with_lessons(root: Path, library: Library, faults: list[FileFault]) -> Library:
    found: dict[str, Lesson] = {}
    for path in sorted((root / "content" / "lessons").glob("*.md")):
        file = _name(root, path)
        try:
            lesson = lessons.read_lesson(text_of(path, lessons.LARGEST), file, library, faults)
        except UnreadableText as refused:
            faults.append(FileFault(file, refused.line, refused.sentence))
            continue
        if lesson is None:
            continue
        if lesson.id != path.stem:
            faults.append(FileFault(file, 2, f"编号 {lesson.id} 应与文件名 {path.stem} 相同"))
        else:
            found[lesson.id] = lesson
    return replace(library, lessons=found)


def _calendar(root: Path, faults: list[FileFault]) -> Calendar:
    years: dict[int, Year] = {}
    for path in sorted((root / "content" / calendars.FOLDER).glob("*.yaml")):
        year = _yaml(root, path, faults, partial(calendars.read_calendar, stem=path.stem, faults=faults))
        if year is not None:
            years[year.year] = year
    return Calendar(years)


def _packs(root: Path, library: Library, faults: list[FileFault]) -> dict[str, LawDayPack]:
    found: dict[str, LawDayPack] = {}
    for path in sorted((root / "content" / packs.FOLDER).glob("*.yaml")):
        pack = _yaml(root, path, faults, partial(packs.read_pack, library=library, faults=faults))
        if pack is not None and pack.name in found:
            faults.append(FileFault(_name(root, path), 0, f"活动包“{pack.name}”已经有了"))
        elif pack is not None:
            found[pack.name] = pack
    return found


def _yaml(root: Path, path: Path, faults: list[FileFault], read: Callable[[Node, str], T]) -> T | None:
    file = _name(root, path)
    try:
        node = parse(text_of(path))
    except UnreadableText as refused:
        faults.append(FileFault(file, refused.line, refused.sentence))
        return None
    return read(node, file)


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
