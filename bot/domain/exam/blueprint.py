"""An exam's blueprint: how many questions of which kind, law, level and worth a paper has, its pass line and its time limit.

Administrators write one as a line of Chinese (民法典 单选 10×2、判断 10×1；案例≥30%；60 分钟；及格 60%) or as a YAML or JSON file; both are
read here, and the line can be written back from the value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

from bot.domain.library.question import KINDS
from bot.domain.message import Refusal
from bot.domain.text.numbers import find_points

LEVELS = (1, 2, 3)
MAX_ROWS = 60
MAX_ITEMS = 200
MAX_MINUTES = 24 * 60
MAX_POINTS = 1_000_000
"""Thousandths of a point that one item can be worth."""


@dataclass(frozen=True, slots=True)
class BlueprintRow:
    """A number of items of one kind. `scope` is a law, a set or a bank by name, empty for the whole library.

    `points` is what each is worth, in thousandths of a point; `levels` (level, count) pairs that add up to `count`, empty for whatever comes;
    `cases` how many are case items, exactly or `at_least`, None for whatever comes.
    """

    kind: str
    count: int
    scope: str = ""
    points: int = 1000
    levels: tuple[tuple[int, int], ...] = ()
    cases: int | None = None
    at_least: bool = False

    @property
    def label(self) -> str:
        """民法典 单选题。"""
        return f"{self.scope} {KINDS[self.kind].label}".strip()


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A whole paper. `fixed` are (question, points) that everybody gets beside the rows; `cases` is asked of the whole paper.

    `pass_line` in thousandths of a point, `minutes` on the server's clock; nothing that a person saw in the last `avoid` papers is drawn again, and
    nothing `most` papers have had already (0: no limit), as long as there is enough else.
    """

    rows: tuple[BlueprintRow, ...]
    pass_line: int
    minutes: int
    fixed: tuple[tuple[str, int], ...] = ()
    cases: int | None = None
    at_least: bool = False
    avoid: int = 2
    most: int = 0

    @property
    def size(self) -> int:
        return sum(row.count for row in self.rows) + len(self.fixed)

    @property
    def total(self) -> int:
        """What the paper is worth, in thousandths of a point."""
        return sum(row.count * row.points for row in self.rows) + sum(points for _, points in self.fixed)


def validate_blueprint(blueprint: Blueprint) -> Blueprint:
    """The blueprint itself when its numbers agree with each other. Raises `Refusal` with the reason when it does not."""
    for row in blueprint.rows:
        if row.kind not in KINDS:
            raise Refusal(f"没有「{row.kind[:10]}」这种题型，可写：{'、'.join(kind.label for kind in KINDS.values())}。")
        if row.count < 1 or not 0 < row.points <= MAX_POINTS:
            raise Refusal(f"{row.label} 的题数和每题分值都应大于 0。")
        if row.levels and (
            sum(count for _, count in row.levels) != row.count or any(level not in LEVELS or count < 0 for level, count in row.levels)
        ):
            raise Refusal(f"{row.label} 各难度的题数相加应等于 {row.count}，难度只有 1、2、3。")
        if row.cases is not None and not 0 <= row.cases <= row.count:
            raise Refusal(f"{row.label} 的案例题应在 0 到 {row.count} 之间。")
    if not 1 <= blueprint.size <= MAX_ITEMS or len(blueprint.rows) > MAX_ROWS:
        raise Refusal(f"一份卷应有 1 到 {MAX_ITEMS} 道题，蓝图最多 {MAX_ROWS} 行，现在是 {blueprint.size} 道、{len(blueprint.rows)} 行。")
    if len({name for name, _ in blueprint.fixed}) < len(blueprint.fixed) or any(not 0 < points <= MAX_POINTS for _, points in blueprint.fixed):
        raise Refusal("固定题的编号有重复，或分值不大于 0。")
    if not 1 <= blueprint.minutes <= MAX_MINUTES:
        raise Refusal(f"考试时长应在 1 到 {MAX_MINUTES} 分钟之间。")
    if not 0 < blueprint.pass_line <= blueprint.total:
        raise Refusal(f"及格线应在 0 到满分 {blueprint.total / 1000:g} 分之间。")
    if blueprint.cases is not None and not 0 <= blueprint.cases <= blueprint.size:
        raise Refusal(f"案例题应在 0 到 {blueprint.size} 道之间。")
    if blueprint.avoid < 0 or blueprint.most < 0:
        raise Refusal("“近几份卷不重复”和“每题最多用几次”不能小于 0。")
    return blueprint


def blueprint_json(blueprint: Blueprint) -> dict[str, Any]:
    """The JSON object that an exam row stores; what is at its default of "not asked" is left out."""
    data: dict[str, Any] = {"rows": [], "pass_line": blueprint.pass_line, "minutes": blueprint.minutes}
    for row in blueprint.rows:
        row_data: dict[str, Any] = {"kind": row.kind, "count": row.count, "points": row.points}
        row_data |= {"scope": row.scope} if row.scope else {}
        row_data |= {"levels": [list(pair) for pair in row.levels]} if row.levels else {}
        row_data |= {"cases": row.cases, "at_least": row.at_least} if row.cases is not None else {}
        data["rows"].append(row_data)
    data |= {"fixed": [list(pair) for pair in blueprint.fixed]} if blueprint.fixed else {}
    data |= {"cases": blueprint.cases, "at_least": blueprint.at_least} if blueprint.cases is not None else {}
    return data | {"avoid": blueprint.avoid, "most": blueprint.most}


def blueprint_from_json(data: Mapping[str, Any]) -> Blueprint:
    """The inverse of `blueprint_json`."""
    rows = tuple(BlueprintRow(**{**row, "levels": tuple((level, count) for level, count in row.get("levels", ()))}) for row in data["rows"])
    return Blueprint(**{**data, "rows": rows, "fixed": tuple((name, points) for name, points in data.get("fixed", ()))})


EXAMPLE = "民法典 单选 10×2、监察法 单选 10×2、多选 10×3、判断 10×1；案例≥30%；60 分钟；及格 60%"
KIND_BY_NAME = {
    name: kind for kind, spec in KINDS.items() for name in (kind, spec.label, spec.label.removesuffix("题"), spec.label.removesuffix("择题"))
}
_MAX_LENGTH = 4000
_KINDS = "|".join(sorted(KIND_BY_NAME, key=len, reverse=True))
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
_FIXED_ITEM = re.compile(r"([a-z0-9][a-z0-9-]{0,47})(?:\s*[×x*]\s*(\d{1,4}(?:\.\d{1,3})?)\s*分?)?")


def exact_points_text(thousandths: int) -> str:
    """Points without trailing zeros (2, 1.5), from thousandths."""
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")


def describe_blueprint(blueprint: Blueprint) -> str:
    """The line that `parse_blueprint` reads back to an equal blueprint."""
    parts = ["、".join(_describe_row(row) for row in blueprint.rows)] if blueprint.rows else []
    if blueprint.fixed:
        parts.append("固定 " + "、".join(f"{name}×{exact_points_text(points)}" for name, points in blueprint.fixed))
    if blueprint.cases is not None:
        parts.append(f"案例{'≥' if blueprint.at_least else '='}{blueprint.cases} 题")
    parts += [f"{blueprint.minutes} 分钟", f"及格 {exact_points_text(blueprint.pass_line)} 分", f"近 {blueprint.avoid} 份卷不重复"]
    return "；".join([*parts, *([f"每题最多用 {blueprint.most} 次"] if blueprint.most else [])])


def _describe_row(row: BlueprintRow) -> str:
    levels = " 难度" + "/".join(f"{level}:{count}" for level, count in row.levels) if row.levels else ""
    cases = f" 案例{'≥' if row.at_least else '='}{row.cases}" if row.cases is not None else ""
    return f"{row.scope} {KINDS[row.kind].label.removesuffix('题')} {row.count}×{exact_points_text(row.points)}{levels}{cases}".strip()


# ── A line ──


def parse_blueprint(line: str) -> Blueprint:
    """The blueprint that an administrator typed. Raises `Refusal` with an example for what cannot be read."""
    text = unicodedata.normalize("NFKC", line).strip()
    if not text or len(text) > _MAX_LENGTH:
        raise Refusal(f"请写明考什么，例如：{EXAMPLE}。")
    reader = _BlueprintReader()
    for piece in (part.strip() for part in re.split(r"[;\n,。]", text)):
        if piece:
            reader.read(piece)
    return reader.build()


class _BlueprintReader:
    """Collects the pieces of a blueprint line; shares become numbers in `build`, when the size of the paper is known."""

    def __init__(self) -> None:
        self.rows: list[BlueprintRow] = []
        self.fixed: list[tuple[str, int]] = []
        self.cases: tuple[str, int, bool] | None = None
        self.passing: tuple[Fraction, bool] = (Fraction(60), True)
        self.minutes = 60
        self.avoid, self.most = 2, 0

    def read(self, piece: str) -> None:
        readers: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], None]], ...] = (
            (_MINUTES, self._time), (_PASS, self._pass), (_AVOID, self._avoid), (_MOST, self._most), (_CASES, self._cases), (_FIXED, self._fixed),
        )  # fmt: skip
        for pattern, handle in readers:
            if (match := pattern.fullmatch(piece)) is not None:
                handle(match)
                return
        self.rows += [_parse_row(part.strip()) for part in piece.split("、") if part.strip()]

    def _time(self, match: re.Match[str]) -> None:
        self.minutes = int(match[1])

    def _pass(self, match: re.Match[str]) -> None:
        number, unit = Fraction(match[1] or match[3]), match[2] or match[4]
        # No paper is passed with less than a point: 0.8 is a share.
        self.passing = (number * 100, True) if unit is None and number < 1 else (number, unit == "%")

    def _avoid(self, match: re.Match[str]) -> None:
        self.avoid = int(match[1])

    def _most(self, match: re.Match[str]) -> None:
        self.most = int(match[1])

    def _cases(self, match: re.Match[str]) -> None:
        self.cases = (match["rule"] or "", int(match["many"]), bool(match["share"]))

    def _fixed(self, match: re.Match[str]) -> None:
        for part in match[1].split("、"):
            item = _FIXED_ITEM.fullmatch(part.strip())
            if item is None:
                raise Refusal(f"没有看懂固定题「{part[:30]}」，请写题目编号，例如 固定 mfd-1191-01×2。")
            self.fixed.append((item[1], _to_thousandths(item[2] or "1")))

    def build(self) -> Blueprint:
        blueprint = Blueprint(tuple(self.rows), 1, self.minutes, tuple(self.fixed), avoid=self.avoid, most=self.most)
        if self.cases is not None:
            rule, many, is_share = self.cases
            at_least = _is_minimum(rule)
            blueprint = replace(blueprint, cases=_case_count(many, is_share, blueprint.size, at_least=at_least), at_least=at_least)
        line, is_share = self.passing
        return validate_blueprint(replace(blueprint, pass_line=ceil(blueprint.total * line / 100) if is_share else int(line * 1000)))


def _parse_row(text: str) -> BlueprintRow:
    match = _ROW.fullmatch(text)
    if match is None:
        raise Refusal(f"没有看懂「{text[:40]}」。可以写：{EXAMPLE}。")
    count = int(match["count"])
    levels = _LEVELS.search(match["more"])
    cases = _CASES.search(match["more"])
    row = BlueprintRow(KIND_BY_NAME[match["kind"]], count, (match["scope"] or "").strip(), _to_thousandths(match["points"] or "1"))
    if levels is not None:
        row = replace(row, levels=_level_counts(dict(_parse_level_count(pair, text) for pair in levels[1].split("/")), count))
    if cases is not None:
        at_least = _is_minimum(cases["rule"] or "")
        row = replace(row, cases=_case_count(int(cases["many"]), bool(cases["share"]), count, at_least=at_least), at_least=at_least)
    return row


def _parse_level_count(text: str, row: str) -> tuple[int, str]:
    level, _, count = text.partition(":")
    if level not in ("1", "2", "3") or not re.fullmatch(r"\d{1,3}%?", count):
        raise Refusal(f"「{row[:40]}」的难度请写成 难度1:3/2:5/3:2（难度：题数，也可写百分比）。")
    return int(level), count


def _is_minimum(rule: str) -> bool:
    return rule in ("≥", ">=", "不少于", "至少")


def _case_count(many: int, is_share: bool, size: int, *, at_least: bool) -> int:
    """A number or a share of items as a number: up to the next whole item where it is the least, else to the nearest."""
    if not is_share:
        return many
    exact = Fraction(many * size, 100)
    return ceil(exact) if at_least else floor(exact + Fraction(1, 2))


def _level_counts(wanted: Mapping[int, str], count: int) -> tuple[tuple[int, int], ...]:
    """(level, count) pairs; percentages are rounded by the largest remainder, so that they add up to `count`."""
    if not any(text.endswith("%") for text in wanted.values()):
        return tuple(sorted((level, int(text)) for level, text in wanted.items()))
    exact = {level: Fraction(int(text.rstrip("%")) * count, 100) for level, text in wanted.items()}
    counts = {level: floor(share) for level, share in exact.items()}
    spare = count - sum(counts.values()) if sum(exact.values()) == count else 0
    for level in sorted(exact, key=lambda level: (counts[level] - exact[level], level))[:spare]:
        counts[level] += 1
    return tuple(sorted(counts.items()))


def _to_thousandths(text: str) -> int:
    return int(Fraction(text) * 1000)


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
    fields = _rename_keys(data, _KEYS, "蓝图")
    rows = fields.get("rows")
    if not isinstance(rows, list) or len(rows) > MAX_ITEMS or (not rows and not fields.get("fixed")):
        raise Refusal("蓝图里要有 rows（组成）：一行一种题，例如 {题型: 单选, 范围: 民法典, 题数: 10, 分值: 2}。")
    reader = _BlueprintReader()
    kind_points = {
        KIND_BY_NAME.get(str(name), str(name)): _points_from_file(value, "分值")
        for name, value in _require_mapping(fields.get("points") or {}, "分值").items()
    }
    reader.rows = [_row_from_file(_rename_keys(row, _ROW_KEYS, "rows 的一行"), kind_points) for row in rows]
    for item in _as_list(fields.get("fixed")):
        reader._fixed(_require_match(_FIXED, f"固定 {item}", "fixed"))
    for key, pattern, form in (("minutes", _MINUTES, "{} 分钟"), ("avoid", _AVOID, "近 {} 份卷不重复"), ("most", _MOST, "每题最多用 {} 次")):
        if fields.get(key) is not None:
            reader.read(_require_match(pattern, form.format(fields[key]), key)[0])
    if fields.get("pass") is not None:
        reader.read(_require_match(_PASS, f"及格 {fields['pass']}", "pass")[0])
    if fields.get("cases") is not None:
        reader.read(_require_match(_CASES, f"案例{_normalized(fields['cases'])}", "cases")[0])
    return reader.build()


def _row_from_file(fields: Mapping[str, Any], kind_points: Mapping[str, int]) -> BlueprintRow:
    kind = KIND_BY_NAME.get(str(fields.get("kind", "")))
    count = fields.get("count")
    if kind is None or not isinstance(count, int) or isinstance(count, bool):
        raise Refusal(f"rows 的每一行都要有 kind（题型：{'、'.join(question_kind.label for question_kind in KINDS.values())}）和 count（题数）。")
    row = BlueprintRow(kind, count, str(fields.get("scope") or "").strip("《》 "), kind_points.get(kind, 1000))
    if fields.get("points") is not None:
        row = replace(row, points=_points_from_file(fields["points"], "points"))
    if fields.get("levels") is not None:
        row = replace(
            row,
            levels=_level_counts(
                dict(
                    _parse_level_count(f"{level}:{level_size}", row.label)
                    for level, level_size in _require_mapping(fields["levels"], "levels").items()
                ),
                count,
            ),
        )
    if fields.get("cases") is not None:
        match = _require_match(_CASES, f"案例{_normalized(fields['cases'])}", "cases")
        at_least = _is_minimum(match["rule"] or "")
        row = replace(row, cases=_case_count(int(match["many"]), bool(match["share"]), count, at_least=at_least), at_least=at_least)
    return row


def _rename_keys(data: Any, keys: Mapping[str, str], label: str) -> dict[str, Any]:
    mapping = _require_mapping(data, label)
    if unknown := [str(key)[:20] for key in mapping if key not in keys]:
        raise Refusal(f"{label}里没有 {'、'.join(unknown[:5])} 这一项，可写：{'、'.join(dict.fromkeys(keys))}。")
    return {keys[name]: value for name, value in mapping.items()}


def _require_mapping(data: Any, label: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise Refusal(f"{label}应写成“项目: 内容”的样子。")
    return data


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _normalized(value: Any) -> str:
    return unicodedata.normalize("NFKC", str(value)).replace(" ", "")


def _require_match(pattern: re.Pattern[str], text: str, key: str) -> re.Match[str]:
    match = pattern.fullmatch(unicodedata.normalize("NFKC", text))
    if match is None:
        raise Refusal(f"蓝图的 {key} 没有看懂：「{text[:40]}」。")
    return match


def _points_from_file(value: Any, key: str) -> int:
    points = find_points(str(value))
    if points is None or not 0 <= points < 10**7:
        raise Refusal(f"蓝图的 {key} 应是分数，例如 2 或 1.5，现为「{str(value)[:20]}」。")
    return points
