"""A contest as a value: who may take part, out of which questions, from when until when, by which rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.domain.audience import Audience
from bot.domain.contest.rules import Rules
from bot.domain.times import SHANGHAI, chinese_day, day_of

FORM_LABELS = {"windowed": "限时竞赛", "live": "现场竞赛", "onsite": "现场分轮竞赛"}
STATE_LABELS = {"draft": "草稿", "open": "进行中", "closed": "已结束", "cancelled": "已取消"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What an administrator decides. `names` are the laws, sets or banks that questions come from; moments are aware, None where a host opens."""

    name: str
    form: str
    rules: Rules
    names: tuple[str, ...]
    audience: Audience
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    clause: str = ""


@dataclass(frozen=True, slots=True)
class Contest:
    """A row read: the plan, how it stands, and the board as it was frozen (empty before)."""

    id: int
    plan: Plan
    state: str
    version: int
    created_by: str
    closed_at: datetime | None
    board: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def rules(self) -> Rules:
        return self.plan.rules

    def runs(self, at: datetime) -> bool:
        """Whether what arrives at a moment counts."""
        opens, closes = self.plan.opens_at, self.plan.closes_at
        return self.state == "open" and (opens is None or opens <= at) and (closes is None or at < closes)


def span_text(plan: Plan) -> str:
    """7月1日 09:00—7月8日 18:00, in Shanghai; empty where a host opens and closes."""
    moments = [one for one in (plan.opens_at, plan.closes_at) if one is not None]
    return "—".join(f"{chinese_day(day_of(one))} {one.astimezone(SHANGHAI):%H:%M}" for one in moments)


# ── The command of an invitation ──

_TARGET = re.compile(r"竞赛 (\d{1,9})")


def target_of(contest_id: int) -> str:
    """What somebody says to take part, and an invitation offers as its button."""
    return f"竞赛 {contest_id}"


def contest_of(target: str) -> int | None:
    """The contest that an invitation is to; None for an invitation to anything else."""
    found = _TARGET.fullmatch(target)
    return None if found is None else int(found[1])
