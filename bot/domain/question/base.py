"""What all kinds of question have in common, what an answer earns, and the register of the kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import ClassVar, TypeVar

BLANK = "____"
RIGHT, WRONG = "对", "错"

Words = Callable[[str], Iterable[str]]
"""A segmenter: a text in, its words out."""


@dataclass(frozen=True, slots=True)
class MarkRule:
    """A numbered rule of marking. M1: a multiple choice short of an option and without a wrong one earns half."""

    number: str = "M1"
    half_for_subset: bool = True


M1 = MarkRule()


@dataclass(frozen=True, slots=True)
class KeyPoint:
    """One point of a short answer: the sentence it stands for, and the words any one of which shows that it was said."""

    say: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
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
    """What all kinds have in common. `key` holds letters or 对/错, `accepted` the forms of a fill, `points` those of a short answer."""

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
        """What can be chosen, as (what it is heard as, what it says); empty where an answer is written."""
        return self.options

    @property
    def cited(self) -> str:
        """Where the key stands: law, version, article, and the words it rests on; or the public document."""
        if self.source:
            named = self.article and self.article not in self.source
            return f"依据：{self.source}" + (f"（{self.article}）" if named else "")
        quoted = f"：“{self.evidence}”" if self.evidence and self.evidence != "none" else ""
        return f"依据：《{self.law}》{self.article}（{self.version} 版）{quoted}"

    @abstractmethod
    def hear(self, text: str) -> str | None:
        """The choice a typed text stands for, in one canonical form; None when it is no answer to this kind of question."""

    @abstractmethod
    def mark(self, choice: str, rule: MarkRule = M1, words: Words | None = None) -> Mark:
        """What a choice earns, as `hear` gave it. `words` is the segmenter that short answers are read with."""

    def show(self, choice: str) -> str:
        """A choice as a person reads it: the option's letter and its words."""
        said = dict(self.options)
        return "\n".join(f"{letter}. {said[letter]}" for letter in choice if letter in said) or choice

    def show_key(self) -> str:
        """The right answer as a person reads it."""
        return self.show(self.key)


KINDS: dict[str, type[Question]] = {}

_Q = TypeVar("_Q", bound=type[Question])


def kind(name: str) -> Callable[[_Q], _Q]:
    """Registers a class as a kind of question under the name that files use."""

    def register(cls: _Q) -> _Q:
        cls.kind = name
        KINDS[name] = cls
        return cls

    return register
