"""What a roster would change, as a value: steps for each person, conflicts, and how it is shown to a person and to a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

KINDS = {"joiner": "新进", "rejoiner": "回来", "leaver": "离开", "mover": "调动", "change": "变更"}


@dataclass(slots=True)
class Step:
    """All that changes for one person. `person_id` is None for a joiner; `what` says it in Chinese, `private` leaves names and accounts out."""

    kind: str
    person_id: int | None
    staff_no: str
    name: str
    tier: str
    joined_on: date | None
    left_on: date | None
    row_changes: bool = False
    units: list[str] = field(default_factory=list)
    new_posts: list[tuple[str, date, date | None]] = field(default_factory=list)
    end_posts: list[tuple[int, date | None]] = field(default_factory=list)
    drop_posts: list[int] = field(default_factory=list)
    add_roles: list[str] = field(default_factory=list)
    drop_roles: list[str] = field(default_factory=list)
    bind: list[tuple[str, str]] = field(default_factory=list)
    unbind: list[tuple[str, str]] = field(default_factory=list)
    what: list[str] = field(default_factory=list)
    private: list[str] = field(default_factory=list)

    def say(self, what: str, private: str = "") -> None:
        self.what.append(what)
        self.private.append(private or what)

    @property
    def is_empty(self) -> bool:
        return not (
            self.person_id is None
            or self.row_changes
            or self.new_posts
            or self.end_posts
            or self.drop_posts
            or self.add_roles
            or self.drop_roles
            or self.bind
            or self.unbind
        )


@dataclass(frozen=True, slots=True)
class Conflict:
    """What a roster asks for and nobody may decide by guessing."""

    row: int
    staff_no: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole import. `absent` are those who would leave only because the file does not list them, `in_office` all who are on the roll now."""

    steps: tuple[Step, ...]
    conflicts: tuple[Conflict, ...]
    new_units: tuple[str, ...]
    listed: int
    absent: int
    in_office: int
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.steps or self.conflicts)

    @property
    def loses_most(self) -> bool:
        """More than half of the roll would leave by not being listed: more likely a part of a file than a farewell."""
        return self.absent * 2 > self.in_office

    def of(self, kind: str) -> list[Step]:
        return [step for step in self.steps if step.kind == kind]

    def as_json(self) -> dict[str, Any]:
        def step(one: Step) -> dict[str, Any]:
            return {"staff_no": one.staff_no, "name": one.name, "units": one.units, "what": one.what}

        return {
            "listed": self.listed,
            **{f"{kind}s": [step(one) for one in self.of(kind)] for kind in KINDS},
            "conflicts": [{"row": one.row, "staff_no": one.staff_no, "reason": one.reason} for one in self.conflicts],
            "new_units": list(self.new_units),
            "notes": list(self.notes),
        }

    def as_text(self) -> list[str]:
        lines = list(self.notes)
        lines.append(
            f"花名册 {self.listed} 人："
            + "，".join(f"{label} {len(self.of(kind))}" for kind, label in KINDS.items())
            + f"，冲突 {len(self.conflicts)}"
        )
        if self.new_units:
            lines.append(f"新建单位 {len(self.new_units)} 个：{'、'.join(self.new_units)}")
        for kind, label in KINDS.items():
            steps = self.of(kind)
            if steps:
                lines.append(f"{label}（{len(steps)} 人）：")
                lines += [f"  {one.staff_no} {one.name} {'、'.join(one.units)}" + (f"：{'；'.join(one.what)}" if one.what else "") for one in steps]
        if self.conflicts:
            lines.append(f"冲突（{len(self.conflicts)} 处）：")
            lines += [f"  第 {one.row} 行 {one.staff_no}：{one.reason}" for one in self.conflicts]
        return lines
