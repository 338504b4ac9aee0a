"""Options in another order for each person: which may be shuffled, how an item looks then, and what is chosen on it in the letters of its file.

A shuffle is the letters of the file in the order in which they are seen: CABD means that what is seen as A is the file's C; empty, nothing moves.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import lru_cache
from itertools import permutations

from bot.domain.question import Question

ALPHABET = "ABCDEFGH"
_LETTER = re.compile(r"(?<![A-Za-z0-9])[A-H](?![A-Za-z0-9])")
_REFERS = re.compile(
    r"(?<![A-Za-z0-9])[A-H](?:\s*[、,，和与及或]\s*[A-H](?![A-Za-z0-9])|\s*(?:项|选项|都|均|对|错|正确|错误)|$)"
    r"|^[A-H]{2,}$|(?:以上|上述|前述|上面|前面)(?:各|都|均|皆|全|选项|所有|说法|答案|内容|情形|情况|[两二三四几]项)"
    r"|(?:前|后|其他|其余)[两二三四几]?(?:项|个选项|种说法)|都(?:对|错|正确|不正确|不对|是|不是)$"
)


def may_shuffle(question: Question) -> bool:
    """False for what has no options, and where an option speaks of others (以上都对, A和B): it would speak of the wrong ones."""
    return len(question.options) > 1 and not any(_REFERS.search(said.strip()) for _, said in question.options)


def shuffled(letters: str, rng: random.Random) -> str:
    """The letters in a random order; empty where the order is that of the file."""
    orders = _orders(letters)
    return orders[int(rng.random() * len(orders))]


@lru_cache
def _orders(letters: str) -> tuple[str, ...]:
    """Every order of some letters, the one of the file as empty: five thousand papers of fifty items are shuffled in the same second."""
    return ("", *("".join(one) for one in permutations(letters) if "".join(one) != letters))


def as_file(choice: str, shuffle: str) -> str:
    """Letters as seen, in the letters of the file, in order; anything else (对, a written answer) as it is."""
    return _moved(choice, shuffle, dict(zip(ALPHABET, shuffle, strict=False))) if shuffle else choice


def shown_as(choice: str, shuffle: str) -> str:
    """Letters of the file as this person sees them, in order."""
    return _moved(choice, shuffle, {kept: seen for seen, kept in zip(ALPHABET, shuffle, strict=False)}) if shuffle else choice


def _moved(choice: str, shuffle: str, to: dict[str, str]) -> str:
    return "".join(sorted(to[letter] for letter in choice)) if choice and all(letter in to for letter in choice) else choice


@lru_cache(maxsize=4096)
def as_shown(question: Question, shuffle: str) -> Question:
    """The question as this person sees it: options, key, and the letters that its explanation speaks of."""
    if not shuffle:
        return question
    said = dict(question.options)
    seen = {kept: letter for letter, kept in zip(ALPHABET, shuffle, strict=False)}
    options = tuple((seen[kept], said[kept]) for kept in shuffle)
    explanation = _LETTER.sub(lambda found: seen.get(found[0], found[0]), question.explanation)
    return replace(question, options=options, key=shown_as(question.key, shuffle), explanation=explanation)
