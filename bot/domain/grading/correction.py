"""Corrections of wrong keys: the four ways to correct, how each regrades an answer, and the score of a paper afterwards (bot/docs/rules.md A13)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from bot.domain.library.question import Question, Segmenter
from bot.domain.message import Refusal

SCOPE_LABELS = {"exam": "考试", "contest": "竞赛"}
WAY_LABELS = {"rekey": "改标准答案", "accept": "认可多个答案", "full": "全体给分", "void": "作废"}
_WAY_OF_WORD = {
    "改": "rekey", "改为": "rekey", "改成": "rekey", "标准答案": "rekey", "答案": "rekey",
    "认": "accept", "认可": "accept", "也对": "accept", "或": "accept",
    "送分": "full", "全体给分": "full", "给分": "full",
    "作废": "void",
}  # fmt: skip
AMENDMENT_HELP = "可以写：改 B；认 A、C（都算对）；送分（卷面有此题的人都得满分）；作废（此题不计，折算）"
MAX_KEYS = 8


@dataclass(frozen=True, slots=True)
class Amendment:
    """What counts as right from now on: a way (`WAY_LABELS`), one key for `rekey`, several for `accept`, as `Question.parse_answer` gives them."""

    way: str
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return WAY_LABELS[self.way] + (f"：{'、'.join(self.keys)}" if self.keys else "")


@dataclass(frozen=True, slots=True)
class Regrade:
    """The new grade of a place: thousandths of the item, and whether the item counts at all."""

    earned: int
    counts: bool = True


def parse_amendment(raw: str, question: Question) -> Amendment:
    """An amendment as people write it, for this question. Raises `Refusal` for what the question cannot be answered with, or what changes nothing."""
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", raw)).strip(" ,;:")
    match = re.fullmatch(rf"({'|'.join(sorted(_WAY_OF_WORD, key=len, reverse=True))})[ :,]*(.*)", text, re.DOTALL)
    if match is None:
        raise Refusal(f"没有看懂「{text[:20]}」。{AMENDMENT_HELP}。")
    way, answers = _WAY_OF_WORD[match[1]], match[2].strip()
    if way in ("full", "void"):
        if answers:
            raise Refusal(f"「{WAY_LABELS[way]}」后面不用写答案；原因请写在“原因=”后面。")
        return Amendment(way)
    return build_amendment(way, [answer.strip() for answer in re.split(r"[、,;/|]", answers) if answer.strip()], question)


def build_amendment(way: str, answers: Sequence[str], question: Question) -> Amendment:
    """The same from its parts. Raises `Refusal` as `parse_amendment` does."""
    if way not in WAY_LABELS:
        raise Refusal(f"没有「{way[:20]}」这种更正。可用：{'、'.join(WAY_LABELS)}。")
    if way in ("full", "void"):
        return Amendment(way)
    if question.points:
        raise Refusal(f"简答题由人阅卷，不能{WAY_LABELS[way]}；可以送分或作废，单份请用「阅卷」。")
    keys = tuple(dict.fromkeys(_parse_key(question, answer) for answer in answers))
    if way == "rekey" and len(keys) != 1:
        raise Refusal("请写一个新的标准答案，例如「改 B」；有几个都对请写「认 A、C」。")
    if way == "accept" and not 2 <= len(keys) <= MAX_KEYS:
        raise Refusal(f"「认」要写 2 到 {MAX_KEYS} 个都算对的答案，例如「认 A、C」（含原来的答案）。")
    if way == "rekey" and keys == accepted_keys(question):
        raise Refusal("新答案与原来的标准答案相同，没有要更正的。")
    return Amendment(way, keys)


def _parse_key(question: Question, answer: str) -> str:
    key = question.parse_answer(answer)
    if key is None:
        options = "、".join(option for option, _ in question.choices)
        raise Refusal(f"这道{question.label}没有「{answer[:20]}」这个答案{'，可写：' + options if options else ''}。")
    return key


def accepted_keys(question: Question) -> tuple[str, ...]:
    """What is right by the question itself."""
    return question.accepted or (question.key,)


def regrade(question: Question, amended: Amendment, choice: str | None, words: Segmenter | None = None) -> Regrade:
    """What a place is worth by an amendment, worked out anew from what was chosen (None: left blank), never from an earlier grade."""
    if amended.way == "full":
        return Regrade(1000)
    if choice is None:
        return Regrade(0, amended.way != "void")
    if amended.way == "void":
        return Regrade(earned_share(question, choice, words), counts=False)
    return Regrade(max(earned_share(_with_key(question, key), choice, words) for key in amended.keys))


def _with_key(question: Question, key: str) -> Question:
    return replace(question, accepted=(key,)) if question.accepted else replace(question, key=key)


def earned_share(question: Question, choice: str, words: Segmenter | None = None) -> int:
    """Thousandths of the item that a choice earns; all of them only when it is right."""
    mark = question.grade(choice, segment=words)
    return 1000 if mark.correct else min(999, round(mark.earned * 1000))


# ── The score of a paper ──


@dataclass(frozen=True, slots=True)
class GradedPlace:
    """One place of a paper with the grade that counts: points of the item (thousandths), thousandths of it earned, whether it counts."""

    points: int
    earned: int
    counts: bool = True


@dataclass(frozen=True, slots=True)
class GradeSum:
    """Thousandths of a point: earned, out of how many that still count, and the total of the paper as it was drawn."""

    earned: int
    counted: int
    total: int

    def scaled(self, full: int) -> int:
        """The score out of `full`: where an item was taken out, what is left carries the whole paper (half up); all taken out is full marks."""
        if self.counted == self.total:
            return self.earned
        return full if self.counted == 0 else int(Fraction(self.earned * full, self.counted) + Fraction(1, 2))


def sum_grades(places: Iterable[GradedPlace]) -> GradeSum:
    """The sum of a paper, in whole thousandths of a point."""
    all_places = list(places)
    counted = [place for place in all_places if place.counts]
    earned = sum(place.points * place.earned for place in counted) // 1000
    return GradeSum(earned, sum(place.points for place in counted), sum(place.points for place in all_places))


def rank_by_score(scores: Mapping[int, int]) -> dict[int, int]:
    """The place of each person by score, the best first; equal scores share a place and the next ones are skipped (1, 2, 2, 4)."""
    ordered = sorted(scores.values(), reverse=True)
    rank_of_score = {score: place for place, score in reversed(list(enumerate(ordered, 1)))}
    return {person: rank_of_score[score] for person, score in scores.items()}
