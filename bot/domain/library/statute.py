"""Statutes: a published text is split into articles, and a question's evidence is looked up in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from bot.domain.library.question import Fill, Question
from bot.domain.text import numbers
from bot.domain.text.typed_answers import normalise_answer


@dataclass(frozen=True, slots=True)
class StatuteArticle:
    """An article by its label (第一百二十条之一), its paragraphs a line each, and the headings above it (第二编 物权 · 第一章 一般规定)."""

    label: str
    text: str
    chapter: str = ""


Articles = Mapping[str, StatuteArticle]


@dataclass(frozen=True, slots=True)
class StatuteEdition:
    """A law's text as adopted or published on `version`; without a known first day in force that date stands for it."""

    version: date
    articles: Articles
    valid_from: date | None = None

    def begins(self) -> date:
        return self.valid_from or self.version


class CitationFinding(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    STALE = "stale"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class CitationVerdict:
    """What the texts say about a question, and why, in a Chinese sentence."""

    finding: CitationFinding
    reason: str


# ── Reading ──

_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LABEL = re.compile(r"(?:\*\*)?(第[零〇一二两三四五六七八九十百千]+条(?:之[一二三四五六七八九十]+)?)(?:\*\*)?(?:[\s\u3000]+(.*))?", re.DOTALL)
_HEADING = re.compile(r"第[零〇一二三四五六七八九十百]+(编|分编|章|节)(.*)")
_BARE_HEADINGS = ("序言", "附则", "总则")
_RANKS = {"编": 0, "分编": 1, "章": 2, "节": 3}


def read_statute(text: str) -> dict[str, StatuteArticle]:
    """The articles of a statute by label, from Markdown or plain text as the official database and its mirrors publish it.

    An article begins a line with its label and a space; lines without a label belong to the article above. A label that does not count on from
    the one before (a line that happens to begin with a citation) begins nothing. What stands before the first article is left out.
    """
    text = _COMMENT.sub("", _FRONT.sub("", text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")))
    articles: dict[str, StatuteArticle] = {}
    headings: dict[int, str] = {}
    last, lines, label = (0, 0), [""], ""
    for raw in text.split("\n"):
        line = raw.strip()
        if not line:
            continue
        if _take_heading(line, headings):
            _finish_article(articles, label, lines)
            label = ""
        elif (begun := _match_article_start(line, last)) is not None:
            _finish_article(articles, label, lines)
            last, lines = begun
            label = numbers.article_label(*last)
            articles[label] = StatuteArticle(label, "", " · ".join(headings[rank] for rank in sorted(headings)))
        elif label:
            lines.append(line)
    _finish_article(articles, label, lines)
    return articles


def _finish_article(articles: dict[str, StatuteArticle], label: str, lines: list[str]) -> None:
    if label:
        articles[label] = StatuteArticle(label, "\n".join(line for line in lines if line), articles[label].chapter)


def _match_article_start(line: str, last: tuple[int, int]) -> tuple[tuple[int, int], list[str]] | None:
    match = _LABEL.fullmatch(line)
    number = numbers.article_number(match.group(1)) if match else None
    if match is None or number is None or number <= last:
        return None
    return number, [(match.group(2) or "").strip()]


def _take_heading(line: str, headings: dict[int, str]) -> bool:
    """True for a heading, which then replaces those of its rank and clears those below. Its rank is in its words, not in the number of #."""
    marked = line.startswith("#")
    heading = re.sub(r"[#\s\u3000*]", "", line)
    match = _HEADING.fullmatch(heading)
    # Without # a heading is a short line, else it is a sentence that cites a chapter.
    if match and (marked or (len(heading) <= 30 and not re.search("[,,。;;、]", heading))):
        rank, name = _RANKS[match.group(1)], f"{heading[: match.start(2)]} {match.group(2)}".strip()
    elif heading in _BARE_HEADINGS:
        headings.clear()
        rank, name = _RANKS["章"], heading
    else:
        return marked
    for lower in [other for other in headings if other >= rank]:
        del headings[lower]
    headings[rank] = name
    return True


# ── Proving ──


def fold_statute_text(text: str) -> str:
    """A text as texts are compared: editions of one law differ in width, quotation marks and spaces where nobody changed a word."""
    plain = unicodedata.normalize("NFKC", text)
    for marks, mark in (("“”„‟「」『』", '"'), ("‘’", "'"), ("〈", "<"), ("〉", ">"), ("—–―-", "-"), ("·•・", "·")):
        plain = re.sub(f"[{marks}]", mark, plain)
    return re.sub(r"[\s*]", "", plain)


def verify_citation(question: Question, texts: Mapping[str, Sequence[StatuteEdition]], day: date, newest: date | None = None) -> CitationVerdict:
    """Whether the question's evidence stands where it says, in the version it cites, and still holds on a day.

    `texts` are the editions at hand by the law's short title; `newest` is the version in force by the register, whether or not its text is at hand.
    """
    if not question.evidence:
        return CitationVerdict(CitationFinding.UNVERIFIABLE, f"没有条文可核对，依据为：{question.source}")
    editions = {edition.version: edition for edition in texts.get(question.law, ())}
    cited = editions.get(question.version)
    if cited is None:
        return CitationVerdict(CitationFinding.UNVERIFIABLE, f"手头没有《{question.law}》{question.version}版的文本")
    if (fault := _citation_fault(question, cited)) is not None:
        return CitationVerdict(CitationFinding.WRONG, fault)
    later = max(
        (other for other in editions.values() if other.version > cited.version and other.begins() <= day),
        key=lambda other: other.version,
        default=None,
    )
    if newest is not None and newest > (later or cited).version:
        return CitationVerdict(CitationFinding.UNVERIFIABLE, f"{question.version}版相符，但{newest}版已施行，手头没有其文本")
    return CitationVerdict(CitationFinding.RIGHT, "与条文相符") if later is None else _verdict_by_later_edition(question, later)


def _citation_fault(question: Question, cited: StatuteEdition) -> str | None:
    where = f"《{question.law}》（{question.version}）"
    label = _article_label(question)
    article = cited.articles.get(label)
    if article is None:
        return f"{where}没有{question.article}"
    if fold_statute_text(question.evidence) not in fold_statute_text(article.text):
        elsewhere = _articles_containing(question.evidence, cited)
        return f"依据“{question.evidence}”不在{where}{label}中" + (f"，而在{elsewhere}" if elsewhere else "")
    if isinstance(question, Fill) and not any(normalise_answer(form) in normalise_answer(article.text) for form in question.accepted):
        return f"答案“{question.show_key()}”不在{where}{label}中"
    return None


def _verdict_by_later_edition(question: Question, later: StatuteEdition) -> CitationVerdict:
    label = _article_label(question)
    article = later.articles.get(label)
    if article is not None and fold_statute_text(question.evidence) in fold_statute_text(article.text):
        return CitationVerdict(CitationFinding.RIGHT, f"与条文相符，{later.version}版未改")
    elsewhere = _articles_containing(question.evidence, later)
    if elsewhere:
        return CitationVerdict(CitationFinding.STALE, f"{later.version}版已施行，依据移到了{elsewhere}")
    return CitationVerdict(CitationFinding.STALE, f"{later.version}版已施行，其中没有“{question.evidence}”的原话")


def _article_label(question: Question) -> str:
    number = numbers.article_number(question.article)
    return question.article if number is None else numbers.article_label(*number)


def _articles_containing(evidence: str, edition: StatuteEdition) -> str:
    """Where else the words stand, at most three places."""
    words = fold_statute_text(evidence)
    return "、".join([label for label, article in edition.articles.items() if words in fold_statute_text(article.text)][:3])
