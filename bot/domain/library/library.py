"""The library of what can be studied: laws, law sets, lessons, question banks, the working calendar and the packs for law days.

A pack is what an agency sends around one law day of the year (bot/docs/rules.md A25). Lesson pages are Markdown; this module also turns them into
chat text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from bot.domain.calendar import Calendar, OnHoliday
from bot.domain.library.question import Question
from bot.domain.people.person import EVERYBODY, TIERS


@dataclass(frozen=True, slots=True)
class PackItem:
    """One message of a pack, `day` working days after its law day (before it when negative), at HH:MM.

    What it sends is said in plain values; bot/domain/campaign/campaign.py makes the content of a campaign of them.
    """

    name: str
    day: int
    time: str
    kind: str
    text: str = ""
    options: tuple[str, ...] = ()
    receipt: bool = False
    lesson: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class LawDayPack:
    """Everything for one law day; `on_holiday` says where the day itself goes when nobody works on it."""

    name: str
    law_day: str
    on_holiday: OnHoliday
    about: str
    clause: str
    items: tuple[PackItem, ...]


LESSON_TIERS = (EVERYBODY, *TIERS)
SYLLABUS_SET = "起步必学"
COUNTRY = "中华人民共和国"


@dataclass(frozen=True, slots=True)
class LawVersion:
    """A text as adopted or published on `version`, in force from `valid_from` up to but not including `valid_to`.

    Where the register does not know the first day in force, the day of the version stands for it; where no last day is given, the version ends
    when a newer one begins (`Law.in_force`).
    """

    version: date
    valid_from: date | None = None
    valid_to: date | None = None

    def in_force(self, day: date) -> bool:
        return (self.valid_from or self.version) <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class Law:
    """A law, or another document that is studied, under its one canonical name; a misnomer is a name that is never used for it here."""

    title: str
    short: str
    level: str
    aliases: tuple[str, ...] = ()
    misnomers: tuple[str, ...] = ()
    versions: tuple[LawVersion, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.title, self.short, *self.aliases)

    def in_force(self, day: date) -> LawVersion | None:
        """The newest version in force on a day."""
        return max((version for version in self.versions if version.in_force(day)), key=lambda version: version.version, default=None)

    def version_of(self, version: date) -> LawVersion | None:
        return next((known for known in self.versions if known.version == version), None)


@dataclass(frozen=True, slots=True)
class LawSet:
    """Laws that are studied together, by their short titles, in the order of study."""

    name: str
    laws: tuple[str, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson in pages of Markdown. `digest` tells its versions apart."""

    id: str
    title: str
    law: str
    version: date
    articles: tuple[str, ...]
    tiers: tuple[str, ...]
    minutes: int
    valid_from: date
    questions: tuple[str, ...]
    pages: tuple[str, ...]
    digest: str
    source: str = ""
    valid_to: date | None = None

    def is_for(self, tier: str) -> bool:
        return EVERYBODY in self.tiers or tier in self.tiers

    def in_force(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class Bank:
    """A file of questions, by their ids in the order of the file."""

    id: str
    title: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Library:
    """Everything that can be studied, as loaded, with the working calendar and the packs for law days.

    Lessons and questions by id, laws by short title, sets and packs by name.
    """

    lessons: Mapping[str, Lesson] = field(default_factory=dict)
    banks: Mapping[str, Bank] = field(default_factory=dict)
    questions: Mapping[str, Question] = field(default_factory=dict)
    laws: Mapping[str, Law] = field(default_factory=dict)
    sets: Mapping[str, LawSet] = field(default_factory=dict)
    calendar: Calendar = field(default_factory=Calendar)
    packs: Mapping[str, LawDayPack] = field(default_factory=dict)

    def resolve_law(self, name: str) -> Law | None:
        """The law that goes by a name: title, short title or alias, with or without 《》 and 中华人民共和国. A misnomer resolves to nothing."""
        return self._law_names.get(fold_name(name))

    def misnomer(self, name: str) -> Law | None:
        """The law that a wrong name is taken to mean; None when the name is not a known misnomer."""
        return self._misnomers.get(fold_name(name))

    def misnomer_fault(self, *texts: str) -> str:
        """A sentence on the first misnomer that stands in texts which are about to be shown to people; empty where none does."""
        folded = "\n".join(map(fold_name, texts))
        return next((f"名称不对：没有《{wrong}》，应为《{law.title}》。" for wrong, law in self._misnomers.items() if wrong in folded), "")

    def resolve_set(self, name: str) -> LawSet | None:
        return self._set_names.get(fold_name(name))

    def resolve_bank(self, name: str) -> Bank | None:
        """A bank by id or title, with or without 题库 at its end."""
        return self._bank_names.get(fold_name(name))

    def questions_of(self, name: str) -> tuple[Question, ...] | None:
        """The questions of a law, a set or a bank, in the order of the files; None when nothing goes by that name."""
        if (law := self.resolve_law(name)) is not None:
            return self._by_law.get(law.short, ())
        if (law_set := self.resolve_set(name)) is not None:
            return tuple(question for short in law_set.laws for question in self._by_law.get(short, ()))
        if (bank := self.resolve_bank(name)) is not None:
            return tuple(self.questions[question_id] for question_id in bank.questions)
        return None

    def lessons_for(self, tier: str, day: date) -> tuple[Lesson, ...]:
        """The lessons for a tier that are in force on a day, in the order of the syllabus: laws as 起步必学 lists them, then by id."""
        return tuple(lesson for lesson in self._in_order if lesson.is_for(tier) and lesson.in_force(day))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name of something that has questions, canonical form: for help and for suggesting the nearest."""
        laws = [law.short for law in self.laws.values() if self._by_law.get(law.short)]
        sets = [law_set.name for law_set in self.sets.values() if any(self._by_law.get(short) for short in law_set.laws)]
        return tuple(dict.fromkeys(laws + sets + [bank.title for bank in self.banks.values()]))

    @cached_property
    def _law_names(self) -> dict[str, Law]:
        return {fold_name(name): law for law in self.laws.values() for name in law.names}

    @cached_property
    def _misnomers(self) -> dict[str, Law]:
        return {fold_name(name): law for law in self.laws.values() for name in law.misnomers}

    @cached_property
    def _set_names(self) -> dict[str, LawSet]:
        return {fold_name(name): law_set for law_set in self.sets.values() for name in (law_set.name, *law_set.aliases)}

    @cached_property
    def _bank_names(self) -> dict[str, Bank]:
        return {fold_name(name): bank for bank in self.banks.values() for name in (bank.title.removesuffix("题库"), bank.title, bank.id)}

    @cached_property
    def _by_law(self) -> dict[str, tuple[Question, ...]]:
        by_law: dict[str, list[Question]] = {}
        for question in self.questions.values():
            by_law.setdefault(question.law, []).append(question)
        return {law: tuple(questions) for law, questions in by_law.items()}

    @cached_property
    def _in_order(self) -> tuple[Lesson, ...]:
        syllabus = self.sets.get(SYLLABUS_SET)
        laws = syllabus.laws if syllabus else tuple(self.laws)
        rank = {short: number for number, short in enumerate(laws)}
        return tuple(sorted(self.lessons.values(), key=lambda lesson: (rank.get(lesson.law, len(rank)), lesson.id)))


def fold_name(name: str) -> str:
    """A name as names are compared: width and case folded, without punctuation, spaces and the country's name in front."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    plain = "".join(char for char in folded if unicodedata.category(char)[0] not in "PSZ" and not char.isspace())
    return plain.removeprefix(COUNTRY) or plain


# ── Pages ──

_BLOCK = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+|\d{1,3}[.)、][ \t]+)?(?P<text>.*)$")
_EMPHASIS = re.compile(r"(\*\*|__)(?=\S)(.{1,300}?)(?<=\S)\1")
_LINK = re.compile(r"!?\[([^\[\]]{0,200})\]\([^()\s]{0,500}\)")


def page_to_chat_text(page: str) -> str:
    """A page as chat text: headings in 【】, lists with dots, quotes in 「」, no marks of emphasis; paragraphs apart, lines of one joined."""
    blocks: list[tuple[str, str]] = []
    quoted = False
    for line in page.splitlines():
        match = _BLOCK.match(line)
        mark, text = ((match["mark"] or "").strip(), _strip_inline_marks(match["text"].strip())) if match else ("", "")
        if not text:
            blocks.append(("", ""))
        elif mark.startswith("#"):
            blocks.append(("heading", f"【{text}】"))
        elif mark == ">":
            if quoted and blocks:
                blocks[-1] = ("quote", blocks[-1][1].removesuffix("」") + text + "」")
            else:
                blocks.append(("quote", f"「{text}」"))
        elif mark in ("-", "*", "+"):
            blocks.append(("item", f"· {text}"))
        elif mark:
            blocks.append(("item", f"{mark.rstrip('.)、')}. {text}"))
        elif blocks and blocks[-1][0] in ("text", "item", "quote"):
            blocks[-1] = (blocks[-1][0], _join_lines(blocks[-1][1], text))
        else:
            blocks.append(("text", text))
        quoted = bool(blocks) and blocks[-1][0] == "quote"
    return _join_blocks(blocks)


def _strip_inline_marks(text: str) -> str:
    text = _LINK.sub(r"\1", text)
    text = _EMPHASIS.sub(r"\2", text)
    return text.replace("`", "").replace("\\*", "*").replace("\\_", "_")


def _join_lines(before: str, after: str) -> str:
    """Two lines of a paragraph: a space between them only where both sides are Latin."""
    return f"{before} {after}" if before[-1:].isascii() and after[:1].isascii() else before + after


def _join_blocks(blocks: list[tuple[str, str]]) -> str:
    lines: list[str] = []
    before = ""
    for kind, text in blocks:
        if not kind:
            before = before if before in ("", "heading") else "gap"
            continue
        tight = before == "heading" or (kind == "item" and before == "item")
        if lines and not tight:
            lines.append("")
        lines.append(text)
        before = kind
    return "\n".join(lines)


def expected_reading_seconds(page: str, chars_a_minute: int = 400) -> int:
    """How long a page takes to read, in whole seconds, at least one: its characters as shown, spaces not counted."""
    letters = sum(1 for char in page_to_chat_text(page) if not char.isspace())
    return max(1, round(letters * 60 / chars_a_minute))
