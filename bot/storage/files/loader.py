"""Loads everything that ships as files (laws, law sets, banks, lessons, calendars, packs) into one `Library`.

The folders: content/laws.yaml, content/sets.yaml, content/lessons/*.md, content/calendar/YYYY.yaml (one published year a file),
content/packs/*.yaml (one pack a file) and quiz_banks/*.yaml. Reading is strict: a file is taken whole or not at all, and every fault is listed with
file, line and a Chinese sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

from bot.domain.calendar import SATURDAY, Calendar, Holiday, Year
from bot.domain.campaign.campaign import pack_item_content
from bot.domain.campaign.schedule import LAW_DAYS
from bot.domain.library.library import Bank, Law, LawDayPack, LawSet, LawVersion, Lesson, Library, PackItem, fold_name
from bot.domain.library.question import Question
from bot.storage.files import banks, lessons
from bot.storage.files.banks import law_name_faults
from bot.storage.files.models import CalendarFile, LawEntry, LawsFile, PackFile, PackItemEntry, SetsFile, validate
from bot.storage.files.strict_yaml import FileFault, Node, UnreadableText, parse_yaml, read_text

CALENDARS_FOLDER = "calendar"
MAX_HOLIDAY_DAYS = 16
"""Days that one festival may be off at the most."""
STATUTORY_DAYS = ((1, 1), (5, 1), (10, 1), (10, 2), (10, 3))
"""Days off by the calendar of the sun in every year: a file without them is a file half written."""


def read_calendar(node: Node, file: str, stem: str, faults: list[FileFault]) -> Year | None:
    """One year; None with the faults noted. `stem` is the file's name, which has to be the year."""
    fault_count = len(faults)
    entry = validate(CalendarFile, node, file, faults)
    if entry is None:
        return None
    if stem != str(entry.year):
        faults.append(FileFault(file, node.line_at(("year",)), f"年份 {entry.year} 应与文件名 {stem} 相同"))
    days_off: set[date] = set()
    for number, holiday in enumerate(entry.holidays):
        line = node.line_at(("holidays", number))
        if not 0 <= (holiday.last - holiday.first).days < MAX_HOLIDAY_DAYS or {holiday.first.year, holiday.last.year} != {entry.year}:
            faults.append(FileFault(file, line, f"{holiday.name}：应从第一天到最后一天，都在 {entry.year} 年内，最多 {MAX_HOLIDAY_DAYS} 天"))
            continue
        days = Holiday(holiday.name, holiday.first, holiday.last).days
        if days_off.intersection(days):
            faults.append(FileFault(file, line, f"{holiday.name}：有的日子前面已经放假"))
        days_off.update(days)
    for number, day in enumerate(entry.workdays):
        line = node.line_at(("workdays", number))
        if day.year != entry.year or day.weekday() < SATURDAY or day in days_off or day in entry.workdays[:number]:
            faults.append(FileFault(file, line, f"调休上班日 {day} 应是 {entry.year} 年不放假的周六或周日，且只写一次"))
    missing = [f"{month}月{day}日" for month, day in STATUTORY_DAYS if date(entry.year, month, day) not in days_off]
    if missing:
        faults.append(FileFault(file, node.line_at(("holidays",)), f"法定放假日没有写全，缺 {'、'.join(missing)}"))
    if len(faults) > fault_count:
        return None
    return Year(
        entry.year, tuple(Holiday(holiday.name, holiday.first, holiday.last) for holiday in entry.holidays), frozenset(entry.workdays), entry.source
    )


PACKS_FOLDER = "packs"
_EMPTY = "-"


def read_pack(node: Node, file: str, library: Library, faults: list[FileFault]) -> LawDayPack | None:
    """One pack; None with the faults noted."""
    fault_count = len(faults)
    entry = validate(PackFile, node, file, faults)
    if entry is None:
        return None
    if entry.law_day not in LAW_DAYS:
        faults.append(FileFault(file, node.line_at(("law_day",)), f"没有普法日“{entry.law_day}”，可写：{'、'.join(LAW_DAYS)}"))
    items: list[PackItem] = []
    for number, item_entry in enumerate(entry.items):
        line = node.line_at(("items", number))
        if item_entry.lesson not in library.lessons and (item_entry.lesson != _EMPTY or item_entry.kind == "lesson"):
            faults.append(FileFault(file, line, f"{item_entry.name}：没有课程 {item_entry.lesson}"))
        try:
            item = _pack_item(item_entry)
            pack_item_content(item)
            items.append(item)
        except ValueError:
            needs = "notice 要 text，poll 要 text 和 2 到 6 个 options，invitation 要 target"
            faults.append(FileFault(file, line, f"{item_entry.name}：{item_entry.kind} 缺少它要的内容（{needs}）"))
    if len(faults) > fault_count:
        return None
    return LawDayPack(entry.name, entry.law_day, entry.on_holiday, entry.about, entry.clause, tuple(items))


def _pack_item(entry: PackItemEntry) -> PackItem:
    return PackItem(
        entry.name,
        entry.day,
        entry.time,
        entry.kind,
        text=entry.text.strip(),
        options=tuple(entry.options),
        receipt=entry.receipt,
        lesson=entry.lesson.removeprefix(_EMPTY),
        target=entry.target.removeprefix(_EMPTY),
    )


def read_laws(node: Node, file: str, faults: list[FileFault]) -> dict[str, Law]:
    """Laws by short title; empty with the faults noted when one name could mean two laws or anything else is wrong."""
    fault_count = len(faults)
    entries = validate(LawsFile, node, file, faults)
    if entries is None:
        return {}
    owner_by_name: dict[str, str] = {}
    for number, entry in enumerate(entries.laws):
        line = node.line_at(("laws", number))
        for name in dict.fromkeys(map(fold_name, (entry.title, entry.short, *entry.aliases, *entry.misnomers))):
            if name in owner_by_name:
                faults.append(FileFault(file, line, f"“{entry.short}”与“{owner_by_name[name]}”有相同的名称“{name}”"))
            owner_by_name.setdefault(name, entry.short)
        names = {fold_name(name) for name in (entry.title, entry.short, *entry.aliases)}
        faults.extend(FileFault(file, line, f"“{misnomer}”既是名称又是误称") for misnomer in entry.misnomers if fold_name(misnomer) in names)
        days = [version.version for version in entry.versions]
        if sorted(set(days)) != days:
            faults.append(FileFault(file, node.line_at(("laws", number, "versions")), f"“{entry.short}”的版本应按日期从旧到新各写一次"))
    return {entry.short: _law(entry) for entry in entries.laws} if len(faults) == fault_count else {}


def _law(entry: LawEntry) -> Law:
    return Law(
        title=entry.title,
        short=entry.short,
        level=entry.level,
        aliases=tuple(entry.aliases),
        misnomers=tuple(entry.misnomers),
        versions=tuple(LawVersion(version.version, version.in_force, version.valid_to) for version in entry.versions),
    )


def read_sets(node: Node, file: str, laws: Library, faults: list[FileFault]) -> dict[str, LawSet]:
    """Sets by name; empty with the faults noted when a name is taken or a law is not in the register."""
    fault_count = len(faults)
    entries = validate(SetsFile, node, file, faults)
    if entries is None:
        return {}
    used_names: set[str] = set()
    for number, entry in enumerate(entries.sets):
        for name in (entry.name, *entry.aliases):
            if fold_name(name) in used_names or laws.resolve_law(name) is not None:
                faults.append(FileFault(file, node.line_at(("sets", number, "name")), f"名称“{name}”已经用过"))
            used_names.add(fold_name(name))
        for number_in_set, law in enumerate(entry.laws):
            for place, sentence in law_name_faults(law, laws, ("sets", number, "laws", number_in_set)):
                faults.append(FileFault(file, node.line_at(place), f"法律组“{entry.name}”：{sentence}"))
    return {entry.name: LawSet(entry.name, tuple(entry.laws), tuple(entry.aliases)) for entry in entries.sets} if len(faults) == fault_count else {}


T = TypeVar("T")


def data_root() -> Path:
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
    library = Library(laws=_load_yaml(root, content / "laws.yaml", faults, lambda node, file: read_laws(node, file, faults)) or {})
    known = library
    sets = _load_yaml(root, content / "sets.yaml", faults, lambda node, file: read_sets(node, file, known, faults)) or {}
    library = replace(library, sets=sets)
    library = _with_banks(root, library, faults)
    library = _with_lessons(root, library, faults)
    library = replace(library, calendar=_load_calendar(root, faults))
    library = replace(library, packs=_load_packs(root, library, faults))
    order = {file: place for place, file in enumerate(dict.fromkeys(fault.file for fault in faults))}
    return library, sorted(faults, key=lambda fault: (order[fault.file], fault.line))


def load_calendar(root: Path) -> tuple[Calendar, list[FileFault]]:
    """The working calendars alone, for whoever needs no more of the files."""
    faults: list[FileFault] = []
    return _load_calendar(root, faults), faults


def _with_banks(root: Path, library: Library, faults: list[FileFault]) -> Library:
    loaded: dict[str, Bank] = {}
    questions: dict[str, Question] = {}
    for path in sorted((root / "quiz_banks").glob("*.yaml")):
        bank_and_questions = _load_yaml(root, path, faults, lambda node, file: banks.read_bank(node, file, library, faults))
        if bank_and_questions is None:
            continue
        bank, bank_questions = bank_and_questions
        repeated = [question.id for question in bank_questions if question.id in questions]
        faults.extend(FileFault(_relative_name(root, path), 0, f"题目 {question_id}：编号在别的题库里已经用过") for question_id in repeated)
        if bank.id in loaded:
            faults.append(FileFault(_relative_name(root, path), 1, f"题库编号 {bank.id} 已经用过"))
        elif not repeated:
            loaded[bank.id] = bank
            questions.update({question.id: question for question in bank_questions})
    return replace(library, banks=loaded, questions=questions)


def _with_lessons(root: Path, library: Library, faults: list[FileFault]) -> Library:
    loaded: dict[str, Lesson] = {}
    for path in sorted((root / "content" / "lessons").glob("*.md")):
        file = _relative_name(root, path)
        try:
            lesson = lessons.read_lesson(read_text(path, lessons.MAX_LESSON_BYTES), file, library, faults)
        except UnreadableText as error:
            faults.append(FileFault(file, error.line, error.sentence))
            continue
        if lesson is None:
            continue
        if lesson.id != path.stem:
            faults.append(FileFault(file, 2, f"编号 {lesson.id} 应与文件名 {path.stem} 相同"))
        else:
            loaded[lesson.id] = lesson
    return replace(library, lessons=loaded)


def _load_calendar(root: Path, faults: list[FileFault]) -> Calendar:
    years: dict[int, Year] = {}
    for path in sorted((root / "content" / CALENDARS_FOLDER).glob("*.yaml")):
        year = _load_yaml(root, path, faults, partial(read_calendar, stem=path.stem, faults=faults))
        if year is not None:
            years[year.year] = year
    return Calendar(years)


def _load_packs(root: Path, library: Library, faults: list[FileFault]) -> dict[str, LawDayPack]:
    packs: dict[str, LawDayPack] = {}
    for path in sorted((root / "content" / PACKS_FOLDER).glob("*.yaml")):
        pack = _load_yaml(root, path, faults, partial(read_pack, library=library, faults=faults))
        if pack is not None and pack.name in packs:
            faults.append(FileFault(_relative_name(root, path), 0, f"活动包“{pack.name}”已经有了"))
        elif pack is not None:
            packs[pack.name] = pack
    return packs


def _load_yaml(root: Path, path: Path, faults: list[FileFault], read: Callable[[Node, str], T]) -> T | None:
    file = _relative_name(root, path)
    try:
        node = parse_yaml(read_text(path))
    except UnreadableText as error:
        faults.append(FileFault(file, error.line, error.sentence))
        return None
    return read(node, file)


def _relative_name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
