"""Answers typed in chat, reduced to option letters, right-or-wrong judgements or comparable words."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from bot.domain.text import numbers

RIGHT, WRONG = "对", "错"

MAX_ANSWER_CHARS = 2000

_HESITATION = r"(?:[嗯呃额啊哦唉哎]+[\s,、.…]*)?(?:这个?|那个?|这道?题|本题)?\s*(?:我|俺|本人)?(?:觉得|认为|感觉|想|猜)?\s*(?:应该|应当|就|还是)?\s*"
_PREFIX = re.compile(rf"^{_HESITATION}(?:(?:的?答案(?:是|为|选)?|选项|选择?|回答|答|是(?=\s*(?:[A-H对错正不第选]|\d)))[::\s]*)?")
"""What people say before an answer: 我觉得是C, 应该是错的, 呃 A, 答案是D. Only doubt is no answer (可能对)."""
_EDGES = " \t\r\n.。,,、;;:::!!??()()[]【】「」“”\"'‘’<>《》"
_SUFFIX = re.compile(r"(?:选项|项|[吧的了啊呀呢哦哈嘛啦])+$")
_ORDINAL = re.compile(r"第\s*([一二三四五六七八1-8])\s*(?:个|项|条)(?:选项|答案)?")
_NUMERALS = re.compile(r"[一二三四五六七八](?:\s*[、,和与及跟]?\s*[一二三四五六七八])+")
_ALL_RIGHT = re.compile(r"(?<=[A-H\d])\s*(?:都|全)(?:对|选|是|正确)$")
_PLACES = {char: str(place) for place, char in enumerate("一二三四五六七八", 1)}
_SQUARED = str.maketrans({"🅰": "A", "🅱": "B"})
_SEPARATORS = re.compile(r"[\s,、;/+&|.和与及-]")
ALL_OPTIONS = frozenset({"全选", "都选", "全部", "全对", "都对", "选全部"})

JUDGEMENTS = dict.fromkeys(("对", "正确", "是", "T", "TRUE", "Y", "YES", "√", "✓", "✔", "☑", "✅", "⭕", "A", "没错", "OK"), RIGHT) | dict.fromkeys(
    ("错", "错误", "否", "F", "FALSE", "N", "NO", "×", "✗", "✘", "✕", "✖", "❌", "X", "B", "不对", "不正确", "不是"), WRONG
)


def _strip_invisible(text: str) -> str:
    """The text without what nobody sees: control and format characters (zero width, direction, variation), and halves of surrogate pairs."""
    return "".join(
        char for char in text if char in "\n\t" or (unicodedata.category(char) not in ("Cc", "Cf", "Cs") and char not in "\ufe0e\ufe0f\u20e3")
    )


def strip_answer(text: str) -> str:
    """A short answer down to what counts in it: full width folded, capitals, no prefix (选, 答案), no punctuation around it."""
    return _strip_answer(text) if len(text) <= 40 else ""


@lru_cache(maxsize=4096)
def _strip_answer(text: str) -> str:
    # Most people say the same few things: B, 对, AC.
    answer = unicodedata.normalize("NFKC", _strip_invisible(text).translate(_SQUARED)).upper().strip(_EDGES)
    answer = _PREFIX.sub("", answer).strip(_EDGES) or answer
    return (_SUFFIX.sub("", answer).strip(_EDGES) or answer) if len(answer) > 1 else answer


def parse_letters(text: str, known: str) -> str | None:
    """The options named in the text, sorted, each once; numbers and places (第一个, 一和三) count from 1 = A.

    None when anything else is said, an option does not exist, or one is said several times and no other (BBBB: the answers to four questions?).
    """
    answer = _ALL_RIGHT.sub("", strip_answer(text))
    if "第" in answer or _NUMERALS.fullmatch(answer):
        answer = "".join(_PLACES.get(char, char) for char in _ORDINAL.sub(r"\1", answer))
    letters = _SEPARATORS.sub("", answer)
    if letters.isascii() and letters.isdigit():
        if not all(0 < int(digit) <= len(known) for digit in letters):
            return None
        letters = "".join(known[int(digit) - 1] for digit in letters)
    if not letters or any(letter not in known for letter in letters) or (len(letters) > 1 and len(set(letters)) == 1):
        return None
    return "".join(sorted(set(letters)))


_ONLY_LETTERS = re.compile(r"[A-H]{2,}")


def several_answers(text: str) -> str:
    """The letters of a text that holds nothing but several (BBBB, B C A), as they stand: perhaps the answers to several questions."""
    letters = _SEPARATORS.sub("", strip_answer(text))
    return letters if _ONLY_LETTERS.fullmatch(letters) else ""


_SAID_TO_BE_ANSWER = re.compile(r"我?的?答案(?:[是为][:：]?|[:：])\s*(?=\S)")


def parse_free_text(text: str) -> str | None:
    answer = _strip_invisible(text).strip()
    answer = answer[match.end() :] if (match := _SAID_TO_BE_ANSWER.match(answer)) is not None else answer
    return answer if answer and len(answer) <= MAX_ANSWER_CHARS else None


_NUMBERED = re.compile(r"第?\s*([0-9零〇一二三四五六七八九十百]{1,5})\s*(?:题\s*[::,,、.]?|[::、,.)]|\s)?\s*(\S.*)", re.DOTALL)
_SHORT_ANSWER = re.compile(r"[A-Ha-h][A-Ha-h,、\s]*|[√×✓✗TFYNtfyn]|对|错|正确|错误|是|否")


def parse_numbered(text: str) -> tuple[int, str] | None:
    """(3, "B") for 3B, 3:B, 第3题 B, 3、AC: a question's number and what is answered to it; None when the text is nothing of the kind.

    Without 题 only letters and judgements count, so that 15日 and “1. 先核对…” stay answers and do not become those of questions 15 and 1.
    """
    typed = unicodedata.normalize("NFKC", _strip_invisible(text)).strip()
    match = _NUMBERED.fullmatch(typed) if len(typed) <= MAX_ANSWER_CHARS else None
    if match is None:
        return None
    number, answer = numbers.to_int(match.group(1)), match.group(2).strip()
    separator = typed[match.end(1) : match.start(2)]
    if not number or number > 999 or (typed.startswith("第") and "题" not in separator):
        return None
    return (number, answer) if "题" in separator or (typed[0].isdigit() and _SHORT_ANSWER.fullmatch(answer)) else None


_MEANINGFUL_PUNCTUATION = re.compile(r"(?<=\d)[./](?=\d)|%")


def normalise_answer(text: str) -> str:
    """A filled-in word as it is compared: width and case folded, numerals in digits (十五日 as 15日), no spaces, no punctuation."""
    answer = numbers.to_arabic(re.sub(r"(?<=\d),(?=\d{3})", "", fold_text(text)))
    kept_places = {match.start() for match in _MEANINGFUL_PUNCTUATION.finditer(answer)}
    return "".join(char for place, char in enumerate(answer) if place in kept_places or unicodedata.category(char)[0] not in "PSZ")


def fold_text(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", _strip_invisible(text)).casefold())
