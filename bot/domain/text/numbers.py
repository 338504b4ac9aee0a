"""Numbers as people and statutes write them: typed quantities, shares, points and row numbers, and Chinese numerals converted both ways.

Whatever asks for a number, in chat, in files and on the command line, asks here: full-width digits, 1,000, 1.5万 and 十二 are numbers everywhere.
`find_…` gives None for a text that is nothing of the kind.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

DIGITS = "零一二三四五六七八九"
UPPER_BOUND = 10**12

_VALUES = {char: value for value, char in enumerate(DIGITS)} | {"〇": 0, "○": 0, "两": 2}
_WRITTEN = "零〇○一二三四五六七八九两十百千万亿廿卅"
_RUN = re.compile(f"[{_WRITTEN}]+")
_MIXED = re.compile(r"(?<![\d.])(\d{1,15}(?:\.\d{1,15})?)(万|亿)")
_SECTION = re.compile(r"(?:([一二三四五六七八九])千)?零?(?:([一二三四五六七八九])百)?零?(?:([一二三四五六七八九]?)(十))?零?([一二三四五六七八九])?")
_PART = rf"(?:[{_WRITTEN}]+|\d+)"
_ARTICLE = re.compile(rf"第({_PART})条(?:之({_PART}))?")


def to_chinese(number: int) -> str:
    """123 as 一百二十三, 15 as 十五, 1001 as 一千零一. Raises ValueError below 0 and from 10^12 on."""
    if not 0 <= number < UPPER_BOUND:
        raise ValueError(f"no numeral for {number}")
    if number == 0:
        return DIGITS[0]
    numeral, rest = "", number
    for unit, size in (("亿", 10**8), ("万", 10**4), ("", 1)):
        section, rest = divmod(rest, size)
        if section:
            numeral += ("零" if numeral and section < 1000 else "") + _section_to_chinese(section) + unit
    return numeral.removeprefix("一") if numeral.startswith("一十") else numeral


def _section_to_chinese(number: int) -> str:
    """1 to 9999, with 一十 written out."""
    numeral, gap = "", False
    for unit, size in (("千", 1000), ("百", 100), ("十", 10), ("", 1)):
        digit = number // size % 10
        if digit:
            numeral += ("零" if gap and numeral else "") + DIGITS[digit] + unit
        gap = digit == 0
    return numeral


def to_int(text: str) -> int | None:
    """123 for 一百二十三, 廿三 as 23, 两百 as 200, 二〇二一 (digit by digit) as 2021, 42 for 42; None for what is no number."""
    folded = unicodedata.normalize("NFKC", text).strip()
    if folded.isascii() and folded.isdigit():
        return int(folded) if len(folded) <= 12 else None
    if not _RUN.fullmatch(folded):
        return None
    if all(char in _VALUES for char in folded):
        return int("".join(str(_VALUES[char]) for char in folded)) if len(folded) <= 12 else None
    plain = _canonical_numerals(folded)
    total = _numeral_to_int(plain)
    if total is None or total >= UPPER_BOUND:
        return None
    # Only what would be written this way counts: 一百二 may mean 120 or 102, so it means nothing here.
    return total if to_chinese(total) == (plain.removeprefix("一") if plain.startswith("一十") else plain) else None


def _canonical_numerals(text: str) -> str:
    for written, meant in (("廿", "二十"), ("卅", "三十"), ("两", "二"), ("〇", "零"), ("○", "零"), ("百十", "百一十")):
        text = text.replace(written, meant)
    return text


def _numeral_to_int(text: str) -> int | None:
    total = 0
    for unit, size in (("亿", 10**8), ("万", 10**4)):
        head, separator, tail = text.partition(unit)
        if separator:
            section = _section_to_int(head)
            if section is None:
                return None
            total, text = total + section * size, tail
    if not text:
        return total or None
    section = _section_to_int(text)
    return None if section is None else total + section


def _section_to_int(text: str) -> int | None:
    match = _SECTION.fullmatch(text)
    if match is None or not text:
        return None
    thousands, hundreds, tens, ten, ones = match.groups()
    tens_value = (_VALUES[tens] if tens else 1) if ten else 0
    return sum(_VALUES[digit] * size for digit, size in ((thousands, 1000), (hundreds, 100), (ones, 1)) if digit) + tens_value * 10 or None


def to_arabic(text: str) -> str:
    """The text with its Chinese numerals in digits: 十五日 as 15日, 五万元 and 5万元 as 50000元, 百分之三十 as 30%, 三分之二 as 2/3."""
    text = _RUN.sub(lambda run: _run_to_digits(run.group()), re.sub("百分之", "%之", text))
    text = _MIXED.sub(_expand_multiplier, text)
    text = re.sub(r"%之(\d{1,15}(?:\.\d{1,15})?)", r"\1%", text).replace("%之", "百分之")
    return re.sub(r"(?<!\d)(\d{1,15})分之(\d{1,15})", r"\2/\1", text)


def _run_to_digits(run: str) -> str:
    value = to_int(run)
    return run if value is None else str(value)


def _expand_multiplier(match: re.Match[str]) -> str:
    whole, _, part = match.group(1).partition(".")
    zeros = {"万": 4, "亿": 8}[match.group(2)]
    return str(int(whole + part.ljust(zeros, "0"))) if len(part) <= zeros and len(whole) <= 12 else match.group()


def article_number(label: str) -> tuple[int, int] | None:
    """(123, 0) for 第一百二十三条 or 第123条, (120, 1) for 第一百二十条之一; None when the text is not an article's label and nothing else."""
    match = _ARTICLE.fullmatch(re.sub(r"\s", "", unicodedata.normalize("NFKC", label)))
    if match is None:
        return None
    number, branch = to_int(match.group(1)), 0 if match.group(2) is None else to_int(match.group(2))
    return None if not number or branch is None or (match.group(2) and not branch) else (number, branch)


def article_label(number: int, branch: int = 0) -> str:
    """第一百二十条之一 for (120, 1)."""
    return f"第{to_chinese(number)}条" + (f"之{to_chinese(branch)}" if branch else "")


# ── What people type ──

_TYPED = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3}){1,4}|\d{1,12})(?:\.(\d{1,9}))?\s*([百千万亿]?)")
_SIZES = {"": 1, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_SHARE = re.compile(r"(.+?)\s*%")
_TENTHS = re.compile(r"(.+?)\s*成(半)?")
_POINTS = re.compile(r"(.+?)\s*(?:分\s*(半)?)?")


def find_number(text: str) -> Fraction | None:
    """12, １２, -3, 1,000, 59.5, 1.5万, 十二, exactly; None for what is no number, or longer than a number of this house can be."""
    typed = _narrow(text)
    match = _TYPED.fullmatch(typed)
    if match is None:
        written = to_int(typed)
        return None if written is None else Fraction(written)
    sign, whole, part, size = match.groups()
    value = Fraction(f"{whole.replace(',', '')}.{part or 0}") * _SIZES[size]
    return None if value >= UPPER_BOUND else -value if sign == "-" else value


def find_whole(text: str, *units: str) -> int | None:
    """A whole number, with or without one of the units behind it (30分钟); None for anything else. 12.0 and 1.5万 are whole."""
    typed = _narrow(text)
    for unit in sorted(units, key=len, reverse=True):
        if typed.endswith(unit):
            typed = typed.removesuffix(unit)
            break
    number = find_number(typed)
    return int(number) if number is not None and number.denominator == 1 else None


def find_row_number(text: str) -> int | None:
    """The number by which people call an exam, a contest, an answer: 12, #12, １２; None for what could be no row's."""
    typed = _narrow(text).removeprefix("#").strip()
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else None


def find_share(text: str) -> Fraction | None:
    """80%, ８０％, 百分之八十, 八成, 三分之二, 0.8 and 80 as parts of one.

    A bare number below one is a ratio, one above it is of a hundred; 1 may be either and is neither.
    """
    typed = to_arabic(_narrow(text).replace("个百分点", "%"))
    if (match := _SHARE.fullmatch(typed)) is not None:
        number = find_number(match[1])
        return None if number is None else number / 100
    if (match := _TENTHS.fullmatch(typed)) is not None:
        number = find_number(match[1])
        return None if number is None else (number + (Fraction(1, 2) if match[2] else 0)) / 10
    over, slash, under = typed.partition("/")
    if slash:
        parts = (find_number(over), find_number(under))
        return parts[0] / parts[1] if parts[0] is not None and parts[1] else None
    number = find_number(typed)
    if number is None or number < 0 or number == 1:
        return None
    return number if number < 1 else number / 100


def find_points(text: str) -> int | None:
    """Points in thousandths: 60, 59.5, 60分, 1分半, 半分; None for what is none, or finer than a thousandth."""
    typed = _narrow(text)
    if typed in ("半分", "半"):
        return 500
    match = _POINTS.fullmatch(typed)
    number = None if match is None else find_number(match[1])
    if match is None or number is None:
        return None
    points = (number + (Fraction(1, 2) if match[2] else 0)) * 1000
    return int(points) if points.denominator == 1 else None


def _narrow(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().replace("，", ",").replace("−", "-")


def points_text(thousandths: int) -> str:
    """86, 59.18, 0.5: points as people write them, to two decimals."""
    return f"{Fraction(round(Fraction(thousandths, 10)), 100).__float__():.2f}".rstrip("0").rstrip(".")
