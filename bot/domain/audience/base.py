"""What an audience is: leaves that say something of a person, joined by and, or and not; as a value and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from typing import Any

MOST_LEAVES = 60
MOST_PEOPLE = 2000
DEEPEST = 12


@dataclass(frozen=True, slots=True)
class All:
    """Everybody in office."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Those with a post in a unit; in the units below it too when `deep`."""

    path: str
    deep: bool = True


@dataclass(frozen=True, slots=True)
class Tier:
    tier: str


@dataclass(frozen=True, slots=True)
class Role:
    """`learner` is everybody, `admin` and `supervisor` have a row."""

    role: str


@dataclass(frozen=True, slots=True)
class Tag:
    tag: str


@dataclass(frozen=True, slots=True)
class People:
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


Leaf = All | Unit | Tier | Role | Tag | People | HoursBelow | LessonNotDone | ExamNotTaken | ExamNotPassed
Audience = Leaf | And | Or | Not


_KEYS: Mapping[type[Leaf], str] = {
    Tier: "tier", Role: "role", Tag: "tag", LessonNotDone: "lesson_not_done", ExamNotTaken: "exam_not_taken", ExamNotPassed: "exam_not_passed",
}  # fmt: skip
"""Of the leaves that hold one word."""


def to_json(audience: Audience) -> dict[str, Any]:
    """One key a node: {"and": [{"unit": "某局", "deep": true}, {"tier": "公务员"}]}."""
    match audience:
        case All():
            return {"all": True}
        case Unit(path, deep):
            return {"unit": path, "deep": deep}
        case People(staff_nos):
            return {"people": list(staff_nos)}
        case HoursBelow(share):
            return {"hours_below": str(share)}
        case Tier() | Role() | Tag() | LessonNotDone() | ExamNotTaken() | ExamNotPassed():
            return {_KEYS[type(audience)]: astuple(audience)[0]}
        case Not(part):
            return {"not": to_json(part)}
        case And(parts):
            return {"and": [to_json(one) for one in parts]}
        case Or(parts):
            return {"or": [to_json(one) for one in parts]}


_READ: Mapping[str, Callable[[Any, Mapping[str, Any]], Audience]] = {
    "all": lambda _, __: All(),
    "unit": lambda value, node: Unit(str(value), bool(node.get("deep", True))),
    "tier": lambda value, _: Tier(str(value)),
    "role": lambda value, _: Role(str(value)),
    "tag": lambda value, _: Tag(str(value)),
    "people": lambda value, _: People(tuple(str(one) for one in value)),
    "hours_below": lambda value, _: HoursBelow(Fraction(str(value))),
    "lesson_not_done": lambda value, _: LessonNotDone(str(value)),
    "exam_not_taken": lambda value, _: ExamNotTaken(str(value)),
    "exam_not_passed": lambda value, _: ExamNotPassed(str(value)),
}


def from_json(node: Any, depth: int = 0) -> Audience:
    """The audience of a row or a request. Raises ValueError for what is none, or too large or deep to be meant."""
    if not isinstance(node, dict) or depth > DEEPEST:
        raise ValueError("not an audience")
    if "not" in node:
        return Not(from_json(node["not"], depth + 1))
    for key, join in (("and", And), ("or", Or)):
        if key in node:
            parts = node[key]
            if not isinstance(parts, list) or not parts or len(parts) > MOST_LEAVES:
                raise ValueError("not an audience")
            return join(tuple(from_json(one, depth + 1) for one in parts))
    for key, read in _READ.items():
        if key in node:
            return read(node[key], node)
    raise ValueError("not an audience")


def leaves(audience: Audience) -> Iterator[Leaf]:
    match audience:
        case And(parts) | Or(parts):
            for one in parts:
                yield from leaves(one)
        case Not(part):
            yield from leaves(part)
        case _:
            yield audience


def mapped(audience: Audience, change: Callable[[Leaf], Audience]) -> Audience:
    """The same expression with every leaf changed."""
    match audience:
        case And(parts):
            return And(tuple(mapped(one, change) for one in parts))
        case Or(parts):
            return Or(tuple(mapped(one, change) for one in parts))
        case Not(part):
            return Not(mapped(part, change))
        case _:
            return change(audience)


def limited(audience: Audience, roots: Sequence[str] | None) -> Audience:
    """The audience cut down to the subtrees of some units; None for no limit. An administrator reaches no further than that."""
    if roots is None or lies_within(audience, roots):
        return audience
    bounds: tuple[Audience, ...] = tuple(Unit(root) for root in roots)
    bound = bounds[0] if len(bounds) == 1 else Or(bounds)
    return bound if isinstance(audience, All) else And((bound, audience))


def lies_within(audience: Audience, roots: Sequence[str] | None) -> bool:
    """Whether the expression itself says that nobody outside the subtrees can be in it."""
    if roots is None:
        return True
    match audience:
        case Unit(path, _):
            return any(path == root or path.startswith(f"{root}/") for root in roots)
        case And(parts):
            return any(lies_within(one, roots) for one in parts)
        case Or(parts):
            return all(lies_within(one, roots) for one in parts)
        case _:
            return False
