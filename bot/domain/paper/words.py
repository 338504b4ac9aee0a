"""A blueprint as a Chinese line and as a file, both read back: 民法典 单选 10×2、判断 10×1；案例≥30%；60 分钟；及格 60%."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

from bot.domain.message import Refusal
from bot.domain.paper.blueprint import MOST_ITEMS, Blueprint, Row, whole
from bot.domain.question import KINDS

EXAMPLE = "民法典 单选 10×2、监察法 单选 10×2、多选 10×3、判断 10×1；案例≥30%；60 分钟；及格 60%"
KIND_OF = {name: kind for kind, made in KINDS.items() for name in (kind, made.label, made.label.removesuffix("题"), made.label.removesuffix("择题"))}
_LONGEST = 4000
_KINDS = "|".join(sorted(KIND_OF, key=len, reverse=True))
_ROW = re.compile(
    rf"(?:《?(?P<scope>[^《》×*]{{1,40}}?)》?\s*)?(?P<kind>{_KINDS})题?\s*(?P<count>\d{{1,6}})\s*[题道]?"
    r"(?:\s*(?:[×x*]|每[题道])\s*(?P<points>\d{1,4}(?:\.\d{1,3})?)\s*分?)?"
    r"(?P<more>(?:\s*(?:难度\s*[\d:/%]+|案例\s*[^\s]+))*)"
)
_LEVELS = re.compile(r"难度\s*([\d:/%]+)")
_CASES = re.compile(r"案例\s*(?P<rule>≥|>=|不少于|至少|=|恰好)?\s*(?P<many>\d{1,3})\s*(?P<share>%)?[题道]?")
_MINUTES = re.compile(r"(?:限时|时长|时间)?\s*(\d{1,4})\s*分钟")
_PASS = re.compile(r"(?:及格|合格)线?\s*(\d{1,4}(?:\.\d{1,3})?)\s*(%|分)?|(\d{1,4}(?:\.\d{1,3})?)\s*(%|分)\s*(?:及格|合格)")
_AVOID = re.compile(r"近\s*(\d{1,2})\s*[份张次][卷考]?[卷试]?不重[复出]")
_MOST = re.compile(r"每[题道]最多(?:用|出)?\s*(\d{1,6})\s*次")
_FIXED = re.compile(r"固定题?\s*[:=]?\s*(.+)")
_ONE_FIXED = re.compile(r"([a-z0-9][a-z0-9-]{0,47})(?:\s*[×x*]\s*(\d{1,4}(?:\.\d{1,3})?)\s*分?)?")


def points_text(thousandths: int) -> str:
    """2, 1.5: points without zeros that say nothing."""
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")


def describe(blueprint: Blueprint) -> str:
    """The line that `parse_blueprint` reads back to an equal blueprint."""
    parts = ["、".join(_row_line(row) for row in blueprint.rows)] if blueprint.rows else []
    if blueprint.fixed:
        parts.append("固定 " + "、".join(f"{name}×{points_text(points)}" for name, points in blueprint.fixed))
    if blueprint.cases is not None:
        parts.append(f"案例{'≥' if blueprint.at_least else '='}{blueprint.cases} 题")
    parts += [f"{blueprint.minutes} 分钟", f"及格 {points_text(blueprint.pass_line)} 分", f"近 {blueprint.avoid} 份卷不重复"]
    return "；".join([*parts, *([f"每题最多用 {blueprint.most} 次"] if blueprint.most else [])])


def _row_line(row: Row) -> str:
    levels = " 难度" + "/".join(f"{level}:{count}" for level, count in row.levels) if row.levels else ""
    cases = f" 案例{'≥' if row.at_least else '='}{row.cases}" if row.cases is not None else ""
    return f"{row.scope} {KINDS[row.kind].label.removesuffix('题')} {row.count}×{points_text(row.points)}{levels}{cases}".strip()


# ── A line ──


def parse_blueprint(said: str) -> Blueprint:
    """The blueprint that a person wrote. Raises `Refusal` with an example for what cannot be read."""
    text = unicodedata.normalize("NFKC", said).strip()
    if not text or len(text) > _LONGEST:
        raise Refusal(f"请写明考什么，例如：{EXAMPLE}。")
    reading = _Reading()
    for piece in (one.strip() for one in re.split(r"[;\n,。]", text)):
        if piece:
            reading.take(piece)
    return reading.made()


class _Reading:
    """The pieces of a line, one after the other; shares are counted when all of them are known."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.fixed: list[tuple[str, int]] = []
        self.cases: tuple[str, int, bool] | None = None
        self.passing: tuple[Fraction, bool] = (Fraction(60), True)
        self.minutes = 60
        self.avoid, self.most = 2, 0

    def take(self, piece: str) -> None:
        readers: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], None]], ...] = (
            (_MINUTES, self._time), (_PASS, self._pass), (_AVOID, self._avoid), (_MOST, self._most), (_CASES, self._cases), (_FIXED, self._fixed),
        )  # fmt: skip
        for pattern, read in readers:
            if (found := pattern.fullmatch(piece)) is not None:
                read(found)
                return
        self.rows += [_row(one.strip()) for one in piece.split("、") if one.strip()]

    def _time(self, found: re.Match[str]) -> None:
        self.minutes = int(found[1])

    def _pass(self, found: re.Match[str]) -> None:
        self.passing = (Fraction(found[1] or found[3]), (found[2] or found[4]) == "%")

    def _avoid(self, found: re.Match[str]) -> None:
        self.avoid = int(found[1])

    def _most(self, found: re.Match[str]) -> None:
        self.most = int(found[1])

    def _cases(self, found: re.Match[str]) -> None:
        self.cases = (found["rule"] or "", int(found["many"]), bool(found["share"]))

    def _fixed(self, found: re.Match[str]) -> None:
        for one in found[1].split("、"):
            named = _ONE_FIXED.fullmatch(one.strip())
            if named is None:
                raise Refusal(f"没有看懂固定题「{one[:30]}」，请写题目编号，例如 固定 mfd-1191-01×2。")
            self.fixed.append((named[1], _thousandths(named[2] or "1")))

    def made(self) -> Blueprint:
        blueprint = Blueprint(tuple(self.rows), 1, self.minutes, tuple(self.fixed), avoid=self.avoid, most=self.most)
        if self.cases is not None:
            rule, many, is_share = self.cases
            at_least = _at_least(rule)
            blueprint = replace(blueprint, cases=_counted(many, is_share, blueprint.size, at_least=at_least), at_least=at_least)
        line, is_share = self.passing
        return whole(replace(blueprint, pass_line=ceil(blueprint.total * line / 100) if is_share else int(line * 1000)))


def _row(said: str) -> Row:
    found = _ROW.fullmatch(said)
    if found is None:
        raise Refusal(f"没有看懂「{said[:40]}」。可以写：{EXAMPLE}。")
    count = int(found["count"])
    levels = _LEVELS.search(found["more"])
    cases = _CASES.search(found["more"])
    made = Row(KIND_OF[found["kind"]], count, (found["scope"] or "").strip(), _thousandths(found["points"] or "1"))
    if levels is not None:
        made = replace(made, levels=_levels(dict(_pair(one, said) for one in levels[1].split("/")), count))
    if cases is not None:
        at_least = _at_least(cases["rule"] or "")
        made = replace(made, cases=_counted(int(cases["many"]), bool(cases["share"]), count, at_least=at_least), at_least=at_least)
    return made


def _pair(said: str, row: str) -> tuple[int, str]:
    level, _, count = said.partition(":")
    if level not in ("1", "2", "3") or not re.fullmatch(r"\d{1,3}%?", count):
        raise Refusal(f"「{row[:40]}」的难度请写成 难度1:3/2:5/3:2（难度：题数，也可写百分比）。")
    return int(level), count


def _at_least(rule: str) -> bool:
    return rule in ("≥", ">=", "不少于", "至少")


def _counted(many: int, is_share: bool, size: int, *, at_least: bool) -> int:
    """A number or a share of items as a number: up to the next whole item where it is the least, else to the nearest."""
    if not is_share:
        return many
    exact = Fraction(many * size, 100)
    return ceil(exact) if at_least else floor(exact + Fraction(1, 2))


def _levels(said: Mapping[int, str], count: int) -> tuple[tuple[int, int], ...]:
    """Counts of levels; shares are counted out by the largest remainder, so that they add up."""
    if not any(one.endswith("%") for one in said.values()):
        return tuple(sorted((level, int(one)) for level, one in said.items()))
    exact = {level: Fraction(int(one.rstrip("%")) * count, 100) for level, one in said.items()}
    dealt = {level: floor(one) for level, one in exact.items()}
    spare = count - sum(dealt.values()) if sum(exact.values()) == count else 0
    for level in sorted(exact, key=lambda level: (dealt[level] - exact[level], level))[:spare]:
        dealt[level] += 1
    return tuple(sorted(dealt.items()))


def _thousandths(said: str) -> int:
    return int(Fraction(said) * 1000)


# ── A file ──

_KEYS = {
    "行": "rows", "组成": "rows", "rows": "rows", "固定题": "fixed", "固定": "fixed", "fixed": "fixed", "案例": "cases", "cases": "cases",
    "时长": "minutes", "分钟": "minutes", "minutes": "minutes", "及格": "pass", "及格线": "pass", "pass": "pass",
    "近几份卷不重复": "avoid", "avoid": "avoid", "每题最多用": "most", "most": "most", "分值": "points", "points": "points",
}  # fmt: skip
_ROW_KEYS = {
    "题型": "kind", "kind": "kind", "题数": "count", "count": "count", "范围": "scope", "法律": "scope", "law": "scope", "scope": "scope",
    "分值": "points", "points": "points", "难度": "levels", "levels": "levels", "案例": "cases", "cases": "cases",
}  # fmt: skip


def read_blueprint(data: Any) -> Blueprint:
    """The blueprint of a YAML or JSON file, keys in Chinese or English. Raises `Refusal` for what is none, with the key that is wrong."""
    kept = _named(data, _KEYS, "蓝图")
    rows = kept.get("rows")
    if not isinstance(rows, list) or len(rows) > MOST_ITEMS or (not rows and not kept.get("fixed")):
        raise Refusal("蓝图里要有 rows（组成）：一行一种题，例如 {题型: 单选, 范围: 民法典, 题数: 10, 分值: 2}。")
    reading = _Reading()
    worth = {KIND_OF.get(str(name), str(name)): _number(value, "分值") for name, value in _mapping(kept.get("points") or {}, "分值").items()}
    reading.rows = [_file_row(_named(one, _ROW_KEYS, "rows 的一行"), worth) for one in rows]
    for one in _listed(kept.get("fixed")):
        reading._fixed(_match(_FIXED, f"固定 {one}", "fixed"))
    for key, pattern, form in (("minutes", _MINUTES, "{} 分钟"), ("avoid", _AVOID, "近 {} 份卷不重复"), ("most", _MOST, "每题最多用 {} 次")):
        if kept.get(key) is not None:
            reading.take(_match(pattern, form.format(kept[key]), key)[0])
    if kept.get("pass") is not None:
        reading.take(_match(_PASS, f"及格 {kept['pass']}", "pass")[0])
    if kept.get("cases") is not None:
        reading.take(_match(_CASES, f"案例{_folded(kept['cases'])}", "cases")[0])
    return reading.made()


def _file_row(kept: Mapping[str, Any], worth: Mapping[str, int]) -> Row:
    kind = KIND_OF.get(str(kept.get("kind", "")))
    count = kept.get("count")
    if kind is None or not isinstance(count, int) or isinstance(count, bool):
        raise Refusal(f"rows 的每一行都要有 kind（题型：{'、'.join(one.label for one in KINDS.values())}）和 count（题数）。")
    row = Row(kind, count, str(kept.get("scope") or "").strip("《》 "), worth.get(kind, 1000))
    if kept.get("points") is not None:
        row = replace(row, points=_number(kept["points"], "points"))
    if kept.get("levels") is not None:
        row = replace(row, levels=_levels(dict(_pair(f"{level}:{n}", row.label) for level, n in _mapping(kept["levels"], "levels").items()), count))
    if kept.get("cases") is not None:
        found = _match(_CASES, f"案例{_folded(kept['cases'])}", "cases")
        at_least = _at_least(found["rule"] or "")
        row = replace(row, cases=_counted(int(found["many"]), bool(found["share"]), count, at_least=at_least), at_least=at_least)
    return row


def _named(data: Any, keys: Mapping[str, str], what: str) -> dict[str, Any]:
    kept = _mapping(data, what)
    if unknown := [str(one)[:20] for one in kept if one not in keys]:
        raise Refusal(f"{what}里没有 {'、'.join(unknown[:5])} 这一项，可写：{'、'.join(dict.fromkeys(keys))}。")
    return {keys[name]: value for name, value in kept.items()}


def _mapping(data: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise Refusal(f"{what}应写成“项目: 内容”的样子。")
    return data


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _folded(value: Any) -> str:
    return unicodedata.normalize("NFKC", str(value)).replace(" ", "")


def _match(pattern: re.Pattern[str], text: str, key: str) -> re.Match[str]:
    found = pattern.fullmatch(unicodedata.normalize("NFKC", text))
    if found is None:
        raise Refusal(f"蓝图的 {key} 没有看懂：「{text[:40]}」。")
    return found


def _number(value: Any, key: str) -> int:
    if not re.fullmatch(r"\d{1,4}(?:\.\d{1,3})?", str(value)):
        raise Refusal(f"蓝图的 {key} 应是分数，例如 2 或 1.5，现为「{str(value)[:20]}」。")
    return _thousandths(str(value))
