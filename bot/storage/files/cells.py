"""Cells of a people table (roster, leave, teams) parsed into values; `BadCell` says in Chinese why a cell cannot be used."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, timedelta

from bot.domain.message import Refusal
from bot.domain.people.person import TIERS, RoleName
from bot.domain.text.dates import find_day
from bot.domain.text.numbers import find_points
from bot.storage.files.table import Cell

_ROLES = {role.label: role for role in RoleName}
_BETWEEN_HAN = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")
_STAFF_NO = re.compile(r"[^\s,、;/\\|<>\"'「」]{1,40}")
_ACCOUNT = re.compile(r"[^\s,、;]{1,64}")
_MIDNIGHT = re.compile(r" 0{1,2}:00(?::00)?$")
_FIRST_SERIAL, _SERIAL_DAYS = date(1899, 12, 30), (14_611, 73_415)
"""A day that a table program holds as the number of days since the end of 1899, from 1940 to 2100."""


class BadCell(ValueError):
    """What is wrong with one cell."""


def _clean_text(cell: Cell, expected: str) -> str:
    """The text of a cell, clean; a number written by a table program loses its `.0`."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        raise BadCell(f"这一格是日期或真假值，应是{expected}（把该列设为“文本”格式）")
    if isinstance(cell, float) and not cell.is_integer():
        raise BadCell(f"{cell:g} 带小数，应是{expected}（把该列设为“文本”格式）")
    if isinstance(cell, int | float):
        if abs(cell) >= 10**15:
            raise BadCell("数字过长，表格软件已丢掉末几位，请把该列设为“文本”格式后重填")
        return str(int(cell))
    text = unicodedata.normalize("NFC", cell).strip().strip("\ufeff\u200b\u200c\u200d").strip()
    for char in text:
        # Cc, Co, Cs, Cn: what no keyboard types. Cf hides in text. U+FFFD is a character that was lost before it came to us.
        if (unicodedata.category(char) in ("Cc", "Co", "Cs", "Cn", "Cf") and char not in "\t\r\n") or char == "\ufffd":
            raise BadCell(f"有看不见或损坏的字符（U+{ord(char):04X}）")
    return re.sub(r"\s+", " ", text)


def _normalised_text(cell: Cell, expected: str) -> str:
    return unicodedata.normalize("NFKC", _clean_text(cell, expected)).strip()


def parse_text(cell: Cell) -> str:
    """Any text, on one line; a number that a table program wrote loses its `.0`."""
    return _normalised_text(cell, "文字")


def parse_staff_no(cell: Cell) -> str:
    text = _normalised_text(cell, "工号")
    if not text:
        raise BadCell("没有填")
    if not _STAFF_NO.fullmatch(text):
        raise BadCell("工号应为 1 到 40 个字符，不含空格、逗号、顿号、斜杠和引号")
    return text


def parse_name(cell: Cell) -> str:
    if not isinstance(cell, str):
        raise BadCell("这一格是数字、日期或算不出文字的公式，应是姓名（公式请先“粘贴为值”）")
    text = _BETWEEN_HAN.sub("", _clean_text(cell, "姓名"))
    if not text:
        raise BadCell("没有填")
    if len(text) > 60:
        raise BadCell("超过 60 个字")
    return text


def parse_unit(cell: Cell) -> str:
    text = _clean_text(cell, "单位").replace("\uff0f", "/")
    if not text:
        raise BadCell("没有填")
    parts = [part.strip() for part in text.split("/")]
    if not all(parts):
        raise BadCell("“/”的前后不能为空，应写作 某局/办公室")
    if any(len(part) > 80 for part in parts) or len(text) > 400 or len(parts) > 12:
        raise BadCell("每一级不超过 80 字，最多 12 级，全长不超过 400 字")
    return "/".join(parts)


def parse_team(cell: Cell) -> str:
    text = _clean_text(cell, "队名")
    if not text:
        raise BadCell("没有填")
    if len(text) > 80:
        raise BadCell("超过 80 个字")
    return text


def parse_tier(cell: Cell) -> str:
    text = _normalised_text(cell, "层级")
    if text and text not in TIERS:
        raise BadCell(f"没有「{text[:20]}」这个层级，可填：{'、'.join(TIERS)}，或留空")
    return text


def parse_roles(cell: Cell) -> frozenset[RoleName]:
    """The roles beside learner, which everybody is."""
    words = [word.strip() for word in re.split(r"[、,;]", _normalised_text(cell, "角色"))]
    unknown = [word for word in words if word and word not in _ROLES]
    if unknown:
        raise BadCell(f"没有「{unknown[0][:20]}」这个角色，可填：{'、'.join(_ROLES)}，多个用顿号隔开")
    return frozenset(_ROLES[word] for word in words if word) - {RoleName.LEARNER}


def parse_account(cell: Cell) -> str:
    text = _normalised_text(cell, "账号").lower()
    if text and not _ACCOUNT.fullmatch(text):
        raise BadCell("账号应为 1 到 64 个字符，不含空格、逗号和顿号（一格只填一个账号）")
    return text


def parse_points(cell: Cell) -> int:
    """Points in thousandths."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        raise BadCell("是日期或真假值，应是分数")
    typed = cell.strip() if isinstance(cell, str) else f"{cell:.3f}"
    if not typed:
        raise BadCell("没有填")
    points = find_points(typed)
    if points is None or not 0 <= points < 10**9:
        raise BadCell(f"「{typed.removesuffix('.000')[:20]}」不是分数")
    return points


def parse_day(cell: Cell, today: date | None = None) -> date | None:
    """A day, None for an empty cell; with `today`, 3月10日 is the next such day."""
    if isinstance(cell, datetime):
        return _check_year(cell.date())
    if isinstance(cell, date):
        return _check_year(cell)
    text = _normalised_text(cell, "日期") if isinstance(cell, str | int | float) else ""
    if not text and isinstance(cell, str):
        return None
    if isinstance(cell, int | float) and not isinstance(cell, bool) and _SERIAL_DAYS[0] <= cell <= _SERIAL_DAYS[1]:
        return _check_year(_FIRST_SERIAL + timedelta(days=int(cell)))
    try:
        day = find_day(_MIDNIGHT.sub("", text), today)
    except Refusal as refusal:
        raise BadCell(str(refusal).removesuffix("，请核对。")) from None
    if day is not None:
        return _check_year(day)
    raise BadCell(f"「{text[:20]}」不是完整的日期，应写作 2020-07-01（或把该列设为“日期”格式）")


def _check_year(day: date) -> date:
    if not 1940 <= day.year <= 2100:
        raise BadCell(f"{day} 不像是真的，年份应在 1940 到 2100 之间")
    return day
