"""The kinds of question: how an answer to each is heard, and what it earns."""

from __future__ import annotations

from fractions import Fraction

from bot.domain.question.base import M1, RIGHT, WRONG, Mark, MarkRule, Question, Words, kind
from bot.domain.question.hearing import EVERYTHING, VERDICTS, bare, folded, letters_of, normalised, written


@kind("single")
class Single(Question):
    """One option is right."""

    label = "单选题"

    def hear(self, text: str) -> str | None:
        said = letters_of(text, self.letters)
        return said if said is not None and len(said) == 1 else None

    def mark(self, choice: str, rule: MarkRule = M1, words: Words | None = None) -> Mark:
        return _all_or_nothing(choice == self.key, self.key)


@kind("multiple")
class Multiple(Question):
    """Two or more options are right."""

    label = "多选题"

    def hear(self, text: str) -> str | None:
        if bare(text) in EVERYTHING:
            return self.letters
        return letters_of(text, self.letters)

    def mark(self, choice: str, rule: MarkRule = M1, words: Words | None = None) -> Mark:
        chosen, right = set(choice), set(self.key)
        found = tuple(letter for letter in self.key if letter in chosen)
        missing = tuple(letter for letter in self.key if letter not in chosen)
        if chosen == right:
            return Mark(True, Fraction(1), found=found)
        half = rule.half_for_subset and chosen and chosen < right
        return Mark(False, Fraction(1, 2) if half else Fraction(0), found=found, missing=missing)


@kind("judge")
class Judge(Question):
    """A sentence that holds or does not."""

    label = "判断题"

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        return ((RIGHT, RIGHT), (WRONG, WRONG))

    def hear(self, text: str) -> str | None:
        return VERDICTS.get(bare(text))

    def mark(self, choice: str, rule: MarkRule = M1, words: Words | None = None) -> Mark:
        return _all_or_nothing(choice == self.key, self.key)


@kind("fill")
class Fill(Question):
    """A word or a number is missing from the sentence; several forms of it may be accepted."""

    label = "填空题"

    def hear(self, text: str) -> str | None:
        return written(text)

    def mark(self, choice: str, rule: MarkRule = M1, words: Words | None = None) -> Mark:
        said = normalised(choice)
        return _all_or_nothing(bool(said) and any(said == normalised(form) for form in self.accepted), self.show_key())

    def show_key(self) -> str:
        return self.accepted[0]


@kind("short")
class Short(Question):
    """An answer in sentences, read for its key points; what the machine finds is provisional until a person confirms it."""

    label = "简答题"

    def hear(self, text: str) -> str | None:
        return written(text)

    def mark(self, choice: str, rule: MarkRule = M1, words: Words | None = None) -> Mark:
        # Repeating the question is no answer, though its words may be those of a point.
        answer = folded(choice).replace(folded(self.stem), "")
        heard = frozenset(words(answer)) if words else frozenset()
        said = {point.say: any(_stands(folded(word), answer, heard, words) for word in point.words) for point in self.points}
        found = tuple(say for say, is_found in said.items() if is_found)
        missing = tuple(say for say, is_found in said.items() if not is_found)
        return Mark(not missing, Fraction(len(found), len(self.points)), provisional=True, found=found, missing=missing)

    def show_key(self) -> str:
        return "\n".join(f"{number}. {point.say}" for number, point in enumerate(self.points, 1))


def _all_or_nothing(correct: bool, key: str) -> Mark:
    return Mark(True, Fraction(1), found=(key,)) if correct else Mark(False, Fraction(0), missing=(key,))


def _stands(word: str, text: str, heard: frozenset[str], words: Words | None) -> bool:
    """True when the word is among the words of the text, or all its parts are (承担责任 in 承担侵权责任), or it stands in the text as written."""
    if not word:
        return False
    if word in heard:
        return True
    if words is not None:
        parts = [part for part in words(word) if part.strip()]
        # A part of one character (不, 应) says too little to find a point by.
        if len(parts) > 1 and all(len(part) > 1 and part in heard for part in parts):
            return True
    return word in text
