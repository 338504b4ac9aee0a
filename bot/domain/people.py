"""Who somebody is to us: a person on the roll, with a tier and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a command may ask of its sender; everybody on the roll is a learner."""

    LEARNER = "learner"
    ADMIN = "admin"
    SUPERVISOR = "supervisor"

    @property
    def label(self) -> str:
        return {"learner": "学员", "admin": "管理员", "supervisor": "督学"}[self.value]


TIERS = ("局党组", "领导干部", "公务员", "事业人员", "执法人员")
EVERYBODY = "全员"


@dataclass(frozen=True, slots=True)
class Learner:
    """The person a message comes from, as the hall knows them; `id` is the row, `staff_no` the name for people."""

    id: int
    staff_no: str
    name: str
    tier: str
    roles: frozenset[Role]

    def may(self, role: Role) -> bool:
        return role in self.roles
