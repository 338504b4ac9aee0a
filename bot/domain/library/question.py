"""The kinds of question: how a typed answer is understood, what it earns, and how a question is written to and read from JSON.

Each version of a question is stored once; the SHA-256 of its canonical JSON tells versions apart.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

from bot.domain.text.typed_answers import (
    ALL_OPTIONS,
    JUDGEMENTS,
    RIGHT,
    WRONG,
    fold_text,
    normalise_answer,
    parse_free_text,
    parse_letters,
    strip_answer,
)

BLANK = "____"

Segmenter = Callable[[str], Iterable[str]]
"""A segmenter: a text in, its words out."""


@dataclass(frozen=True, slots=True)
class GradeRule:
    """A numbered rule of grading. M1 (bot/docs/rules.md): a multiple choice that lacks an option and has no wrong one earns half."""

    number: str = "M1"
    half_for_subset: bool = True


M1 = GradeRule()


@dataclass(frozen=True, slots=True)
class KeyPoint:
    """One point of a short answer: the sentence it stands for, and the words any one of which shows that it was said."""

    say: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grade:
    """What an answer earned, as a share of the question's points from 0 to 1, and why.

    `found` and `missing` are option letters of the key, or the key points of a short answer. A provisional mark waits for a person.
    """

    correct: bool
    earned: Fraction
    provisional: bool = False
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Question(ABC):
    """What all kinds of question have in common. `key` holds letters or 对/错, `accepted` the forms of a fill, `points` those of a short answer."""

    kind: ClassVar[str]
    label: ClassVar[str]

    id: str
    level: int
    case: bool = False
    law: str
    version: date
    article: str
    point: str
    stem: str
    options: tuple[tuple[str, str], ...] = ()
    key: str = ""
    accepted: tuple[str, ...] = ()
    points: tuple[KeyPoint, ...] = ()
    evidence: str = ""
    source: str = ""
    explanation: str

    @property
    def letters(self) -> str:
        """The letters of the options, in their order."""
        return "".join(letter for letter, _ in self.options)

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """What can be chosen, as (the answer it stands for, its text); empty where an answer is written."""
        return self.options

    @property
    def citation(self) -> str:
        """Where the key stands: law, version, article, and the words it rests on; or the public document."""
        if self.source:
            named = self.article and self.article not in self.source
            return f"依据：{self.source}" + (f"（{self.article}）" if named else "")
        quoted = f"：“{self.evidence}”" if self.evidence and self.evidence != "none" else ""
        return f"依据：《{self.law}》{self.article}（{self.version} 版）{quoted}"

    @abstractmethod
    def parse_answer(self, text: str) -> str | None:
        """The choice a typed text stands for, in one canonical form; None when it is no answer to this kind of question."""

    @abstractmethod
    def grade(self, choice: str, rule: GradeRule = M1, segment: Segmenter | None = None) -> Grade:
        """What a choice earns, as `parse_answer` gave it. `segment` is the segmenter that short answers are read with."""

    def show(self, choice: str) -> str:
        """A choice as a person reads it: the option's letter and its words."""
        texts = dict(self.options)
        return "\n".join(f"{letter}. {texts[letter]}" for letter in choice if letter in texts) or choice

    def show_key(self) -> str:
        """The right answer as a person reads it."""
        return self.show(self.key)


KINDS: dict[str, type[Question]] = {}

_Q = TypeVar("_Q", bound=type[Question])


def register_kind(name: str) -> Callable[[_Q], _Q]:
    """Registers a class as a kind of question under the name that files use."""

    def register(cls: _Q) -> _Q:
        cls.kind = name
        KINDS[name] = cls
        return cls

    return register


@register_kind("single")
class Single(Question):
    """One option is right."""

    label = "单选题"

    def parse_answer(self, text: str) -> str | None:
        letters = parse_letters(text, self.letters)
        return letters if letters is not None and len(letters) == 1 else None

    def grade(self, choice: str, rule: GradeRule = M1, segment: Segmenter | None = None) -> Grade:
        return _all_or_nothing(choice == self.key, self.key)


@register_kind("multiple")
class Multiple(Question):
    """Two or more options are right."""

    label = "多选题"

    def parse_answer(self, text: str) -> str | None:
        if strip_answer(text) in ALL_OPTIONS:
            return self.letters
        return parse_letters(text, self.letters)

    def grade(self, choice: str, rule: GradeRule = M1, segment: Segmenter | None = None) -> Grade:
        chosen, right = set(choice), set(self.key)
        found = tuple(letter for letter in self.key if letter in chosen)
        missing = tuple(letter for letter in self.key if letter not in chosen)
        if chosen == right:
            return Grade(True, Fraction(1), found=found)
        half = rule.half_for_subset and chosen and chosen < right
        return Grade(False, Fraction(1, 2) if half else Fraction(0), found=found, missing=missing)


@register_kind("judge")
class Judge(Question):
    """A sentence that holds or does not."""

    label = "判断题"

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        return ((RIGHT, RIGHT), (WRONG, WRONG))

    def parse_answer(self, text: str) -> str | None:
        return JUDGEMENTS.get(strip_answer(text))

    def grade(self, choice: str, rule: GradeRule = M1, segment: Segmenter | None = None) -> Grade:
        return _all_or_nothing(choice == self.key, self.key)


@register_kind("fill")
class Fill(Question):
    """A word or a number is missing from the sentence; several forms of it may be accepted."""

    label = "填空题"

    def parse_answer(self, text: str) -> str | None:
        return parse_free_text(text)

    def grade(self, choice: str, rule: GradeRule = M1, segment: Segmenter | None = None) -> Grade:
        answer = normalise_answer(choice)
        return _all_or_nothing(bool(answer) and any(answer == normalise_answer(form) for form in self.accepted), self.show_key())

    def show_key(self) -> str:
        return self.accepted[0]


@register_kind("short")
class Short(Question):
    """An answer in sentences, read for its key points; what the machine finds is provisional until a person confirms it."""

    label = "简答题"

    def parse_answer(self, text: str) -> str | None:
        return parse_free_text(text)

    def grade(self, choice: str, rule: GradeRule = M1, segment: Segmenter | None = None) -> Grade:
        # Repeating the question is no answer, though its words may be those of a point.
        answer = fold_text(choice).replace(fold_text(self.stem), "")
        answer_words = frozenset(segment(answer)) if segment else frozenset()
        is_covered = {point.say: any(_mentions(fold_text(word), answer, answer_words, segment) for word in point.words) for point in self.points}
        found = tuple(sentence for sentence, covered in is_covered.items() if covered)
        missing = tuple(sentence for sentence, covered in is_covered.items() if not covered)
        return Grade(not missing, Fraction(len(found), len(self.points)), provisional=True, found=found, missing=missing)

    def show_key(self) -> str:
        return "\n".join(f"{number}. {point.say}" for number, point in enumerate(self.points, 1))


def _all_or_nothing(correct: bool, key: str) -> Grade:
    return Grade(True, Fraction(1), found=(key,)) if correct else Grade(False, Fraction(0), missing=(key,))


def _mentions(word: str, text: str, text_words: frozenset[str], segment: Segmenter | None) -> bool:
    """True when the word is among the words of the text, or all its parts are (承担责任 in 承担侵权责任), or it stands in the text as written."""
    if not word:
        return False
    if word in text_words:
        return True
    if segment is not None:
        parts = [part for part in segment(word) if part.strip()]
        # A part of one character (不, 应) says too little to find a point by.
        if len(parts) > 1 and all(len(part) > 1 and part in text_words for part in parts):
            return True
    return word in text


def question_body(question: Question) -> dict[str, Any]:
    """The question as JSON keeps it: every field that is not at its default, with its kind."""
    body: dict[str, Any] = {"kind": question.kind}
    for field in fields(question):
        value = getattr(question, field.name)
        if value != field.default:
            body[field.name] = _json_value(value)
    return body


def _json_value(value: Any) -> Any:
    if isinstance(value, KeyPoint):
        return {"say": value.say, "words": list(value.words)}
    if isinstance(value, tuple):
        return [_json_value(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def question_from_body(body: Mapping[str, Any]) -> Question:
    """The question again, equal to the one that was kept. Raises KeyError for a kind nobody registered, TypeError for a missing field."""
    values = dict(body)
    cls = KINDS[values.pop("kind")]
    values["version"] = date.fromisoformat(values["version"])
    values["options"] = tuple((letter, text) for letter, text in values.get("options", ()))
    values["accepted"] = tuple(values.get("accepted", ()))
    values["points"] = tuple(KeyPoint(point["say"], tuple(point["words"])) for point in values.get("points", ()))
    return cls(**values)


def canonical_question(body: Mapping[str, Any]) -> str:
    """One text for one content, whatever the order of its keys."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def question_digest(question: Question) -> str:
    """SHA-256 of the canonical JSON, in hex: another digest is another version."""
    return hashlib.sha256(canonical_question(question_body(question)).encode()).hexdigest()
