"""Audiences: conditions on people joined by and, or and not, with their JSON form and their Chinese form.

The Chinese form is what administrators write and what is shown to them: 单位=某局/办公室（含下级） 且 层级=公务员 且 非 标签=借调.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from typing import Any

from bot.domain.message import Refusal
from bot.domain.people.person import EVERYBODY, TIERS, RoleName
from bot.domain.text.numbers import find_share

MAX_LEAVES = 60
MAX_PEOPLE = 2000
MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class All:
    """Everybody in office."""


@dataclass(frozen=True, slots=True)
class UnitIs:
    """Those with a post in a unit; in the units below it too when `deep`."""

    path: str
    deep: bool = True


@dataclass(frozen=True, slots=True)
class TierIs:
    tier: str


@dataclass(frozen=True, slots=True)
class RoleIs:
    """`learner` is everybody, `admin` and `supervisor` have a row."""

    role: str


@dataclass(frozen=True, slots=True)
class TagIs:
    tag: str


@dataclass(frozen=True, slots=True)
class PeopleAre:
    """Single people by staff number."""

    staff_nos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HoursBelow:
    """Those whose hours of the year are below a share of their quota; people without a quota are never among them."""

    share: Fraction


@dataclass(frozen=True, slots=True)
class LessonNotDone:
    """Those who have not finished a lesson this year."""

    lesson: str


@dataclass(frozen=True, slots=True)
class ExamNotTaken:
    """Those who have not begun an exam, by its number or name."""

    exam: str


@dataclass(frozen=True, slots=True)
class ExamNotPassed:
    """Those who have no passed attempt at an exam, whether they sat it or not."""

    exam: str


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Audience, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Audience, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Audience


Leaf = All | UnitIs | TierIs | RoleIs | TagIs | PeopleAre | HoursBelow | LessonNotDone | ExamNotTaken | ExamNotPassed
Audience = Leaf | And | Or | Not


_KEYS: Mapping[type[Leaf], str] = {
    TierIs: "tier", RoleIs: "role", TagIs: "tag", LessonNotDone: "lesson_not_done", ExamNotTaken: "exam_not_taken", ExamNotPassed: "exam_not_passed",
}  # fmt: skip
"""JSON keys of the leaves that hold one word."""


def audience_json(audience: Audience) -> dict[str, Any]:
    """One key a node: {"and": [{"unit": "某局", "deep": true}, {"tier": "公务员"}]}."""
    match audience:
        case All():
            return {"all": True}
        case UnitIs(path, deep):
            return {"unit": path, "deep": deep}
        case PeopleAre(staff_nos):
            return {"people": list(staff_nos)}
        case HoursBelow(share):
            return {"hours_below": str(share)}
        case TierIs() | RoleIs() | TagIs() | LessonNotDone() | ExamNotTaken() | ExamNotPassed():
            return {_KEYS[type(audience)]: astuple(audience)[0]}
        case Not(part):
            return {"not": audience_json(part)}
        case And(parts):
            return {"and": [audience_json(part) for part in parts]}
        case Or(parts):
            return {"or": [audience_json(part) for part in parts]}


_READERS: Mapping[str, Callable[[Any, Mapping[str, Any]], Audience]] = {
    "all": lambda _, __: All(),
    "unit": lambda value, node: UnitIs(str(value), bool(node.get("deep", True))),
    "tier": lambda value, _: TierIs(str(value)),
    "role": lambda value, _: RoleIs(str(value)),
    "tag": lambda value, _: TagIs(str(value)),
    "people": lambda value, _: PeopleAre(tuple(str(staff_no) for staff_no in value)),
    "hours_below": lambda value, _: HoursBelow(Fraction(str(value))),
    "lesson_not_done": lambda value, _: LessonNotDone(str(value)),
    "exam_not_taken": lambda value, _: ExamNotTaken(str(value)),
    "exam_not_passed": lambda value, _: ExamNotPassed(str(value)),
}


def audience_from_json(node: Any, depth: int = 0) -> Audience:
    """The audience of a row or a request. Raises ValueError for what is none, or too large or deep to be meant."""
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        raise ValueError("not an audience")
    if "not" in node:
        return Not(audience_from_json(node["not"], depth + 1))
    for key, join in (("and", And), ("or", Or)):
        if key in node:
            parts = node[key]
            if not isinstance(parts, list) or not parts or len(parts) > MAX_LEAVES:
                raise ValueError("not an audience")
            return join(tuple(audience_from_json(part, depth + 1) for part in parts))
    for key, read in _READERS.items():
        if key in node:
            return read(node[key], node)
    raise ValueError("not an audience")


def leaves(audience: Audience) -> Iterator[Leaf]:
    match audience:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield audience


def map_leaves(audience: Audience, change: Callable[[Leaf], Audience]) -> Audience:
    """The same expression with every leaf changed."""
    match audience:
        case And(parts):
            return And(tuple(map_leaves(part, change) for part in parts))
        case Or(parts):
            return Or(tuple(map_leaves(part, change) for part in parts))
        case Not(part):
            return Not(map_leaves(part, change))
        case _:
            return change(audience)


def limit_to_units(audience: Audience, roots: Sequence[str] | None) -> Audience:
    """The audience cut down to the subtrees of some units; None for no limit. An administrator reaches no further than that."""
    if roots is None or lies_within_units(audience, roots):
        return audience
    bounds: tuple[Audience, ...] = tuple(UnitIs(root) for root in roots)
    bound = bounds[0] if len(bounds) == 1 else Or(bounds)
    return bound if isinstance(audience, All) else And((bound, audience))


def lies_within_units(audience: Audience, roots: Sequence[str] | None) -> bool:
    """Whether the expression itself says that nobody outside the subtrees can be in it."""
    if roots is None:
        return True
    match audience:
        case UnitIs(path, _):
            return any(path == root or path.startswith(f"{root}/") for root in roots)
        case And(parts):
            return any(lies_within_units(part, roots) for part in parts)
        case Or(parts):
            return all(lies_within_units(part, roots) for part in parts)
        case _:
            return False


EXAMPLE = "全员；单位=某局/办公室（含下级） 且 层级=公务员 且 非 标签=借调；工号=1001、1002；学时低于=50%；未学=mfd-1191"
_ROLES = {role.label: role.value for role in RoleName}
_ROLE_LABELS = {role.value: role.label for role in RoleName}
_OPERATORS = {"且": "and", "并且": "and", "和": "and", "或": "or", "或者": "or", "非": "not", "不是": "not", "除": "not"}
_LABELS: Mapping[type[Leaf], str] = {TierIs: "层级", TagIs: "标签", LessonNotDone: "未学", ExamNotTaken: "未考", ExamNotPassed: "未合格"}
_TOKEN = re.compile(r"\s*(?:(?P<mark>[()])|(?P<leaf>[^\s()=]+\s*=\s*(?:「[^」]*」|[^\s()「」]+)(?:\((?:含下级|仅本级)\))?)|(?P<word>[^\s()=]+))")
_MAX_CHARS = 8000


def describe_audience(audience: Audience) -> str:
    """The line that `parse_audience` reads back."""
    match audience:
        case And(parts):
            return " 且 ".join(_bracketed(part, (Or,)) for part in parts)
        case Or(parts):
            return " 或 ".join(_bracketed(part, (And, Or)) for part in parts)
        case Not(part):
            return f"非 {_bracketed(part, (And, Or, Not))}"
        case All():
            return EVERYBODY
        case UnitIs(path, deep):
            return f"单位={_quoted(path)}（{'含下级' if deep else '仅本级'}）"
        case PeopleAre(staff_nos):
            return f"工号={'、'.join(staff_nos)}"
        case HoursBelow(share):
            return f"学时低于={_percent(share)}"
        case RoleIs(role):
            return f"角色={_ROLE_LABELS.get(role, role)}"
        case TierIs() | TagIs() | LessonNotDone() | ExamNotTaken() | ExamNotPassed():
            return f"{_LABELS[type(audience)]}={_quoted(astuple(audience)[0])}"


def _bracketed(audience: Audience, kinds: tuple[type, ...]) -> str:
    return f"（{describe_audience(audience)}）" if isinstance(audience, kinds) else describe_audience(audience)


def _quoted(value: str) -> str:
    return f"「{value}」" if re.search(r"[\s()=、,]", value) else value


def _percent(share: Fraction) -> str:
    percent = share * 100
    return f"{percent.numerator}%" if percent.denominator == 1 else f"{float(percent):g}%"


def parse_audience(line: str) -> Audience:
    """The audience that a person wrote. Raises `Refusal` with an example for what cannot be read; names are looked up later, by rows."""
    text = unicodedata.normalize("NFKC", line).strip()
    if not text or len(text) > _MAX_CHARS:
        raise Refusal(f"请写明对象，例如：{EXAMPLE}。")
    reader = _Reader(_tokenize(text, line), line)
    audience = reader.parse_or(0)
    if reader.left:
        raise _unreadable(line)
    return audience


def _tokenize(text: str, line: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(line)
        position = match.end()
        kind = str(match.lastgroup)
        value = match[kind]
        tokens.append((_OPERATORS.get(value, "leaf") if kind == "word" else value if kind == "mark" else "leaf", value))
        if len(tokens) > MAX_LEAVES * 4:
            raise Refusal("对象的条件太多了，请改用单位或标签。")
    return tokens


class _Reader:
    """Tokens from left to right: 或 binds loosest, then 且, then 非."""

    def __init__(self, tokens: list[tuple[str, str]], line: str) -> None:
        self.left = tokens[::-1]
        self.line = line

    def _next_is(self, kind: str) -> bool:
        if self.left and self.left[-1][0] == kind:
            self.left.pop()
            return True
        return False

    def parse_or(self, depth: int) -> Audience:
        parts = [self.parse_and(depth)]
        while self._next_is("or"):
            parts.append(self.parse_and(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def parse_and(self, depth: int) -> Audience:
        parts = [self.parse_term(depth)]
        # Two conditions side by side mean both: 层级=公务员 非 标签=借调.
        while self.left and (self._next_is("and") or self.left[-1][0] in ("leaf", "not", "(")):
            parts.append(self.parse_term(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def parse_term(self, depth: int) -> Audience:
        if not self.left or depth > MAX_DEPTH:
            raise _unreadable(self.line)
        kind, value = self.left.pop()
        if kind == "not":
            return Not(self.parse_term(depth + 1))
        if kind == "(":
            inner = self.parse_or(depth + 1)
            if not self._next_is(")"):
                raise _unreadable(self.line)
            return inner
        if kind != "leaf":
            raise _unreadable(self.line)
        return _parse_leaf(value, self.line)


def _parse_leaf(text: str, line: str) -> Audience:
    if text in (EVERYBODY, "所有人", "全体"):
        return All()
    key, equals, value = text.partition("=")
    deep = True
    for mark, means in (("(含下级)", True), ("(仅本级)", False)):
        if value.endswith(mark):
            value, deep = value.removesuffix(mark), means
            if key.strip() != "单位":
                raise _unreadable(line)
    value = value.strip()
    quoted = value.startswith("「")
    values = [value.strip("「」")] if quoted else [item for item in re.split(r"[、,]", value) if item]
    make = _LEAF_PARSERS.get(key.strip())
    if not equals or not values or not all(values):
        raise _unreadable(line)
    if key.strip() == "工号":
        if len(values) > MAX_PEOPLE:
            raise Refusal(f"一次最多写 {MAX_PEOPLE} 个工号，请改用单位或标签。")
        return PeopleAre(tuple(dict.fromkeys(values)))
    if key.strip() == "单位":
        alternatives: list[Audience] = [UnitIs(item.strip("/"), deep) for item in values]
    elif make is not None:
        alternatives = [make(item) for item in values]
    else:
        raise _unreadable(line)
    return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))


def _parse_tier(value: str) -> Audience:
    if value == EVERYBODY:
        return All()
    if value not in TIERS:
        raise Refusal(f"没有「{value[:20]}」这个层级，可写：{'、'.join(TIERS)}。")
    return TierIs(value)


def _parse_role(value: str) -> Audience:
    if value not in _ROLES:
        raise Refusal(f"没有「{value[:20]}」这个角色，可写：{'、'.join(_ROLES)}。")
    return RoleIs(_ROLES[value])


def _parse_hours_below(value: str) -> Audience:
    share = find_share(value.removeprefix("应达"))
    if share is None or not 0 < share <= 1 or (share * 1000).denominator != 1:
        raise Refusal("学时低于 应写成应达学时的百分比，例如 学时低于=50%。")
    return HoursBelow(share)


_LEAF_PARSERS: Mapping[str, Callable[[str], Audience]] = {
    "层级": _parse_tier,
    "角色": _parse_role,
    "标签": TagIs,
    "学时低于": _parse_hours_below,
    "未学": LessonNotDone,
    "未考": ExamNotTaken,
    "未合格": ExamNotPassed,
}


def _unreadable(line: str) -> Refusal:
    return Refusal(f"没有看懂对象「{line[:60]}」。可以写：{EXAMPLE}。")
