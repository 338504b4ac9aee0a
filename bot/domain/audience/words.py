"""An audience as a Chinese line, and read from one: 单位=某局/办公室(含下级) 且 层级=公务员 且 非 标签=借调."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import astuple
from fractions import Fraction

from bot.domain.audience.base import (
    DEEPEST,
    MOST_LEAVES,
    MOST_PEOPLE,
    All,
    And,
    Audience,
    ExamNotPassed,
    ExamNotTaken,
    HoursBelow,
    Leaf,
    LessonNotDone,
    Not,
    Or,
    People,
    Role,
    Tag,
    Tier,
    Unit,
)
from bot.domain.message import Refusal
from bot.domain.people import EVERYBODY, TIERS
from bot.domain.people import Role as PersonRole

EXAMPLE = "全员；单位=某局/办公室（含下级） 且 层级=公务员 且 非 标签=借调；工号=1001、1002；学时低于=50%；未学=mfd-1191"
_ROLES = {role.label: role.value for role in PersonRole}
_ROLE_LABELS = {role.value: role.label for role in PersonRole}
_WORDS = {"且": "and", "并且": "and", "和": "and", "或": "or", "或者": "or", "非": "not", "不是": "not", "除": "not"}
_LABELS: Mapping[type[Leaf], str] = {Tier: "层级", Tag: "标签", LessonNotDone: "未学", ExamNotTaken: "未考", ExamNotPassed: "未合格"}
_TOKEN = re.compile(r"\s*(?:(?P<mark>[()])|(?P<leaf>[^\s()=]+\s*=\s*(?:「[^」]*」|[^\s()「」]+)(?:\((?:含下级|仅本级)\))?)|(?P<word>[^\s()=]+))")
_LONGEST = 8000


def describe(audience: Audience) -> str:
    """The line that `parse_audience` reads back."""
    match audience:
        case And(parts):
            return " 且 ".join(_bracketed(one, (Or,)) for one in parts)
        case Or(parts):
            return " 或 ".join(_bracketed(one, (And, Or)) for one in parts)
        case Not(part):
            return f"非 {_bracketed(part, (And, Or, Not))}"
        case All():
            return EVERYBODY
        case Unit(path, deep):
            return f"单位={_quoted(path)}（{'含下级' if deep else '仅本级'}）"
        case People(staff_nos):
            return f"工号={'、'.join(staff_nos)}"
        case HoursBelow(share):
            return f"学时低于={_percent(share)}"
        case Role(role):
            return f"角色={_ROLE_LABELS.get(role, role)}"
        case Tier() | Tag() | LessonNotDone() | ExamNotTaken() | ExamNotPassed():
            return f"{_LABELS[type(audience)]}={_quoted(astuple(audience)[0])}"


def _bracketed(audience: Audience, kinds: tuple[type, ...]) -> str:
    return f"（{describe(audience)}）" if isinstance(audience, kinds) else describe(audience)


def _quoted(value: str) -> str:
    return f"「{value}」" if re.search(r"[\s()=、,]", value) else value


def _percent(share: Fraction) -> str:
    percent = share * 100
    return f"{percent.numerator}%" if percent.denominator == 1 else f"{float(percent):g}%"


def parse_audience(said: str) -> Audience:
    """The audience that a person wrote. Raises `Refusal` with an example for what cannot be read; names are looked up later, by rows."""
    text = unicodedata.normalize("NFKC", said).strip()
    if not text or len(text) > _LONGEST:
        raise Refusal(f"请写明对象，例如：{EXAMPLE}。")
    reader = _Reader(_tokens(text, said), said)
    made = reader.either(0)
    if reader.left:
        raise _unread(said)
    return made


def _tokens(text: str, said: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _unread(said)
        place = match.end()
        kind = str(match.lastgroup)
        value = match[kind]
        found.append((_WORDS.get(value, "leaf") if kind == "word" else value if kind == "mark" else "leaf", value))
        if len(found) > MOST_LEAVES * 4:
            raise Refusal("对象的条件太多了，请改用单位或标签。")
    return found


class _Reader:
    """Tokens from left to right: 或 binds loosest, then 且, then 非."""

    def __init__(self, tokens: list[tuple[str, str]], said: str) -> None:
        self.left = tokens[::-1]
        self.said = said

    def _next_is(self, kind: str) -> bool:
        if self.left and self.left[-1][0] == kind:
            self.left.pop()
            return True
        return False

    def either(self, depth: int) -> Audience:
        parts = [self.both(depth)]
        while self._next_is("or"):
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def both(self, depth: int) -> Audience:
        parts = [self.one(depth)]
        # Two conditions side by side mean both: 层级=公务员 非 标签=借调.
        while self.left and (self._next_is("and") or self.left[-1][0] in ("leaf", "not", "(")):
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def one(self, depth: int) -> Audience:
        if not self.left or depth > DEEPEST:
            raise _unread(self.said)
        kind, value = self.left.pop()
        if kind == "not":
            return Not(self.one(depth + 1))
        if kind == "(":
            inner = self.either(depth + 1)
            if not self._next_is(")"):
                raise _unread(self.said)
            return inner
        if kind != "leaf":
            raise _unread(self.said)
        return _leaf(value, self.said)


def _leaf(text: str, said: str) -> Audience:
    if text in (EVERYBODY, "所有人", "全体"):
        return All()
    key, equals, value = text.partition("=")
    deep = True
    for mark, means in (("(含下级)", True), ("(仅本级)", False)):
        if value.endswith(mark):
            value, deep = value.removesuffix(mark), means
            if key.strip() != "单位":
                raise _unread(said)
    value = value.strip()
    quoted = value.startswith("「")
    values = [value.strip("「」")] if quoted else [one for one in re.split(r"[、,]", value) if one]
    make = _LEAVES.get(key.strip())
    if not equals or not values or not all(values):
        raise _unread(said)
    if key.strip() == "工号":
        if len(values) > MOST_PEOPLE:
            raise Refusal(f"一次最多写 {MOST_PEOPLE} 个工号，请改用单位或标签。")
        return People(tuple(dict.fromkeys(values)))
    if key.strip() == "单位":
        made: list[Audience] = [Unit(one.strip("/"), deep) for one in values]
    elif make is not None:
        made = [make(one) for one in values]
    else:
        raise _unread(said)
    return made[0] if len(made) == 1 else Or(tuple(made))


def _tier(value: str) -> Audience:
    if value == EVERYBODY:
        return All()
    if value not in TIERS:
        raise Refusal(f"没有「{value[:20]}」这个层级，可写：{'、'.join(TIERS)}。")
    return Tier(value)


def _role(value: str) -> Audience:
    if value not in _ROLES:
        raise Refusal(f"没有「{value[:20]}」这个角色，可写：{'、'.join(_ROLES)}。")
    return Role(_ROLES[value])


def _below(value: str) -> Audience:
    found = re.fullmatch(r"(?:应达)?(\d{1,3}(?:\.\d)?)%?", value)
    if found is None or not 0 < Fraction(found[1]) <= 100:
        raise Refusal("学时低于 应写成应达学时的百分比，例如 学时低于=50%。")
    return HoursBelow(Fraction(found[1]) / 100)


_LEAVES: Mapping[str, Callable[[str], Audience]] = {
    "层级": _tier,
    "角色": _role,
    "标签": Tag,
    "学时低于": _below,
    "未学": LessonNotDone,
    "未考": ExamNotTaken,
    "未合格": ExamNotPassed,
}


def _unread(said: str) -> Refusal:
    return Refusal(f"没有看懂对象「{said[:60]}」。可以写：{EXAMPLE}。")
