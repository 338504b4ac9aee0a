"""How typed text is heard: the letters, judgements and words in what people really write on a phone."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from bot.domain.text import numbers

RIGHT, WRONG = "对", "错"

LONGEST_ANSWER = 2000

_PREFIX = re.compile(r"^(?:我|就)?(?:的?答案是?|选项|选择?|回答|答)[::\s]*")
_EDGES = " \t\r\n.。,,、;;:::!!??()()[]【】「」“”\"'‘’<>《》"
_SUFFIX = re.compile(r"(?:选项|项|吧|的)$")
_BETWEEN = re.compile(r"[\s,、;/+&|.和与及-]")
EVERYTHING = frozenset({"全选", "都选", "全部", "全对", "都对", "选全部"})

VERDICTS = dict.fromkeys(("对", "正确", "是", "T", "TRUE", "Y", "YES", "√", "✓", "✔", "☑", "✅", "⭕", "A", "没错", "OK"), RIGHT) | dict.fromkeys(
    ("错", "错误", "否", "F", "FALSE", "N", "NO", "×", "✗", "✘", "✕", "✖", "❌", "X", "B", "不对", "不正确", "不是"), WRONG
)


def _visible(text: str) -> str:
    """The text without what nobody sees: control and format characters (zero width, direction, variation), and halves of surrogate pairs."""
    return "".join(
        char for char in text if char in "\n\t" or (unicodedata.category(char) not in ("Cc", "Cf", "Cs") and char not in "\ufe0e\ufe0f\u20e3")
    )


def bare(text: str) -> str:
    """A short answer down to what counts in it: full width folded, capitals, no prefix (选, 答案), no punctuation around it."""
    return _bare(text) if len(text) <= 40 else ""


@lru_cache(maxsize=4096)
def _bare(text: str) -> str:
    # Most people say the same few things: B, 对, AC.
    said = unicodedata.normalize("NFKC", _visible(text)).upper().strip(_EDGES)
    said = _PREFIX.sub("", said).strip(_EDGES)
    return _SUFFIX.sub("", said).strip(_EDGES) if len(said) > 1 else said


def letters_of(text: str, known: str) -> str | None:
    """The options named in the text, sorted, each once; numbers count from 1 = A. None when anything else is said or an option does not exist."""
    said = _BETWEEN.sub("", bare(text))
    if said.isascii() and said.isdigit():
        if not all(0 < int(digit) <= len(known) for digit in said):
            return None
        said = "".join(known[int(digit) - 1] for digit in said)
    if not said or any(letter not in known for letter in said):
        return None
    return "".join(sorted(set(said)))


def written(text: str) -> str | None:
    said = _visible(text).strip()
    return said if said and len(said) <= LONGEST_ANSWER else None


_NUMBERED = re.compile(r"第?\s*([0-9零〇一二三四五六七八九十百]{1,5})\s*(?:题\s*[::,,、.]?|[::、,.)]|\s)?\s*(\S.*)", re.DOTALL)
_SHORT_ANSWER = re.compile(r"[A-Ha-h][A-Ha-h,、\s]*|[√×✓✗TFYNtfyn]|对|错|正确|错误|是|否")


def parse_numbered(text: str) -> tuple[int, str] | None:
    """(3, "B") for 3B, 3:B, 第3题 B, 3、AC: a question's number and what is answered to it; None when the text is nothing of the kind.

    Without 题 only letters and judgements count, so that 15日 and “1. 先核对…” stay answers and do not become those of questions 15 and 1.
    """
    said = unicodedata.normalize("NFKC", _visible(text)).strip()
    found = _NUMBERED.fullmatch(said) if len(said) <= LONGEST_ANSWER else None
    if found is None:
        return None
    number, answer = numbers.to_int(found.group(1)), found.group(2).strip()
    between = said[found.end(1) : found.start(2)]
    if not number or number > 999 or (said.startswith("第") and "题" not in between):
        return None
    return (number, answer) if "题" in between or (said[0].isdigit() and _SHORT_ANSWER.fullmatch(answer)) else None


_KEPT = re.compile(r"(?<=\d)[./](?=\d)|%")


def normalised(text: str) -> str:
    """A filled-in word as it is compared: width and case folded, numerals in digits (十五日 as 15日), no spaces, no punctuation."""
    said = numbers.arabic(re.sub(r"(?<=\d),(?=\d{3})", "", folded(text)))
    kept = {found.start() for found in _KEPT.finditer(said)}
    return "".join(char for place, char in enumerate(said) if place in kept or unicodedata.category(char)[0] not in "PSZ")


def folded(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", _visible(text)).casefold())
