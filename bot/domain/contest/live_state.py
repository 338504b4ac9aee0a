"""The state machine of a live contest: which act may follow which phase, and in which time window an answer counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from bot.domain.message import Refusal

Pauses = tuple[tuple[datetime, datetime | None], ...]
"""When a clock stood: (from, to) in order, the last one without an end while it stands."""
Phase = Literal["lobby", "reading", "open", "closed", "board", "finished"]
Act = Literal["next", "buzz", "close", "board", "pause", "resume", "finish", "void", "adjust", "judge", "stake"]

PHASE_LABELS: Mapping[Phase, str] = {
    "lobby": "等待开始",
    "reading": "读题",
    "open": "答题中",
    "closed": "已收题",
    "board": "排行",
    "finished": "已结束",
}
ACT_LABELS: Mapping[Act, str] = {
    "next": "下一题",
    "buzz": "开抢",
    "close": "收题",
    "board": "排行",
    "pause": "暂停",
    "resume": "恢复",
    "finish": "结束",
    "void": "作废",
    "adjust": "改分",
    "judge": "判分",
    "stake": "选分",
}
_ALLOWED_PHASES: Mapping[Act, tuple[Phase, ...]] = {
    "next": ("lobby", "closed", "board"),
    "buzz": ("reading",),
    "close": ("reading", "open"),
    "board": ("closed",),
    "pause": ("reading", "open"),
    "resume": ("reading", "open"),
    "finish": ("lobby", "closed", "board"),
    "void": ("reading", "open", "closed", "board"),
    "adjust": ("lobby", "reading", "open", "closed", "board"),
    "judge": ("open", "closed"),
    "stake": ("lobby", "closed", "board", "reading"),
}
_PHASE_HINTS: Mapping[Phase, str] = {
    "lobby": "竞赛还没有开始，先出第一题",
    "reading": "正在读题，可以开抢或收题",
    "open": "这一题还在答，先收题",
    "closed": "这一题已经收了，可以看排行、出下一题或结束",
    "board": "正在看排行，可以出下一题或结束",
    "finished": "这场竞赛已经结束，结果不再改动",
}


@dataclass(frozen=True, slots=True)
class ContestCourse:
    """Where a contest stands: its phase, the place of the item in hand (0 before the first), whether its clock is stopped."""

    phase: Phase = "lobby"
    item: int = 0
    paused: bool = False

    def check(self, act: Act) -> None:
        """Raises `Refusal` for an act that is not allowed now."""
        if self.phase not in _ALLOWED_PHASES[act]:
            raise Refusal(f"现在不能{ACT_LABELS[act]}：{_PHASE_HINTS[self.phase]}。")
        if act == "pause" and self.paused:
            raise Refusal("已经暂停了，恢复请点「恢复」。")
        if act == "resume" and not self.paused:
            raise Refusal("现在没有暂停。")

    def next(self, item: int, *, read_first: bool) -> ContestCourse:
        """The item comes on; with `read_first` it is read before anybody may press (抢答)."""
        self.check("next")
        return ContestCourse("reading" if read_first else "open", item)

    def after(self, act: Act) -> ContestCourse:
        """The course after an act that has only one outcome. Raises `Refusal` for an act that is not allowed now."""
        self.check(act)
        match act:
            case "buzz":
                return ContestCourse("open", self.item)
            case "close":
                return ContestCourse("closed", self.item)
            case "board":
                return ContestCourse("board", self.item)
            case "finish":
                return ContestCourse("finished", self.item)
            case "pause" | "resume":
                return replace(self, paused=act == "pause")
            case "void":
                # A void question takes no further answers.
                return ContestCourse("closed", self.item) if self.phase in ("reading", "open") else self
        return self


@dataclass(frozen=True, slots=True)
class AnswerWindow:
    """When an item took answers: from its opening to its end, without the pauses; aware UTC, the server's clock at the edge.

    `ends_at` is None where only the host ends it. `pauses` are (from, to) in order, the last one without an end while the clock stands; `ends_at` is
    moved by each pause when it is over.
    """

    opened_at: datetime
    ends_at: datetime | None
    closed_at: datetime | None = None
    pauses: Pauses = ()

    @property
    def paused(self) -> bool:
        return bool(self.pauses) and self.pauses[-1][1] is None

    @property
    def deadline(self) -> datetime | None:
        """From this moment on an answer is late; None while nothing ends it: no limit, or a clock that stands."""
        running = None if self.paused else self.ends_at
        candidates = [moment for moment in (running, self.closed_at) if moment is not None]
        return min(candidates) if candidates else None

    def accepts(self, arrived: datetime) -> bool:
        """True for what arrived while the item was open, whenever it is looked at: the arrival at the edge decides (bot/docs/rules.md S12)."""
        stood = any(since <= arrived and (until is None or arrived < until) for since, until in self.pauses)
        return not stood and self.opened_at <= arrived and (self.deadline is None or arrived < self.deadline)

    def elapsed(self, arrived: datetime) -> timedelta:
        """How long the item had been open, pauses taken out."""
        stood = sum((min(until or arrived, arrived) - since for since, until in self.pauses if since < arrived), timedelta(0))
        return max(timedelta(0), arrived - self.opened_at - stood)

    def left(self, now: datetime) -> timedelta | None:
        """What is left of the clock; while it stands, what was left when it stopped. None without a limit."""
        if self.ends_at is None:
            return None
        return max(timedelta(0), self.ends_at - (self.pauses[-1][0] if self.paused else now))

    def is_over(self, now: datetime) -> bool:
        """True when the clock has run out and nobody has closed the item yet."""
        return self.closed_at is None and self.deadline is not None and now >= self.deadline

    def stopped(self, now: datetime) -> AnswerWindow:
        return replace(self, pauses=(*self.pauses, (now, None)))

    def resumed(self, now: datetime) -> AnswerWindow:
        """The clock goes on with what was left of it."""
        since = self.pauses[-1][0]
        extended = None if self.ends_at is None else self.ends_at + (now - since)
        return replace(self, ends_at=extended, pauses=(*self.pauses[:-1], (since, now)))

    def closed(self, now: datetime) -> AnswerWindow:
        """Closed by the host, or by the clock, which closes at its end and not when somebody notices it."""
        if self.paused:
            return replace(self, pauses=(*self.pauses[:-1], (self.pauses[-1][0], now)), closed_at=self.pauses[-1][0])
        return replace(self, closed_at=now if self.ends_at is None else min(now, self.ends_at))
