"""A contest as an administrator plans it: its audience, question sources, window and scoring rules, and their texts for users.

Points are whole thousandths of a point, times whole milliseconds on the server's clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from bot.domain.message import Refusal
from bot.domain.people.audience import Audience
from bot.domain.text.numbers import points_text
from bot.domain.times import SHANGHAI, chinese_day, day_of

FORM_LABELS = {"windowed": "限时竞赛", "live": "现场竞赛", "onsite": "现场分轮竞赛"}
STATE_LABELS = {"draft": "草稿", "open": "进行中", "closed": "已结束", "cancelled": "已取消"}


@dataclass(frozen=True, slots=True)
class ContestPlan:
    """What an administrator decides. `names` are the laws, sets or banks that questions come from; moments are aware, None where a host opens."""

    name: str
    form: str
    rules: ContestRules
    names: tuple[str, ...]
    audience: Audience
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    clause: str = ""


@dataclass(frozen=True, slots=True)
class Contest:
    """A stored contest: the plan, its state, and the frozen board (empty before it is closed)."""

    id: int
    plan: ContestPlan
    state: str
    version: int
    created_by: str
    closed_at: datetime | None
    board: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def rules(self) -> ContestRules:
        return self.plan.rules

    def is_open_at(self, moment: datetime) -> bool:
        """True when an answer that arrives at this moment counts."""
        opens, closes = self.plan.opens_at, self.plan.closes_at
        return self.state == "open" and (opens is None or opens <= moment) and (closes is None or moment < closes)


def span_text(plan: ContestPlan) -> str:
    """7月1日 09:00—7月8日 18:00, in Shanghai; empty where a host opens and closes."""
    moments = [moment for moment in (plan.opens_at, plan.closes_at) if moment is not None]
    return "—".join(f"{chinese_day(day_of(moment))} {moment.astimezone(SHANGHAI):%H:%M}" for moment in moments)


# ── The command of an invitation ──

_TARGET = re.compile(r"竞赛 (\d{1,9})")


def invitation_target(contest_id: int) -> str:
    """The chat command that takes part in a contest; invitations carry it as the target of their button."""
    return f"竞赛 {contest_id}"


def contest_of_target(target: str) -> int | None:
    """The id of the contest that an invitation leads to; None for an invitation to anything else."""
    match = _TARGET.fullmatch(target)
    return None if match is None else int(match[1])


BOARD_LABELS = {"off": "不公布", "bands": "只公布档次", "upper": "公布中位以上", "all": "全部公布"}
TAKE_LABELS = {"sum": "各天之和", "best": "最好一套"}
TEAM_LABELS = {"none": "不组队", "unit": "按单位", "listed": "按名单"}
MAX_SPEED_PERCENT = 50
"""Percent: a right answer at the last second keeps half of its points at the least (bot/docs/rules.md G7)."""
FULL_SPEED_MILLIS = 500
"""Milliseconds within which an answer is as fast as can be."""


@dataclass(frozen=True, slots=True)
class ContestRules:
    """The rules of one contest; the defaults are small stakes: a set is worth 8 points for being done and 2 for being right.

    `base` is what a right answer is worth, `finish` what a finished set is; `speed` the percentage of `base` that is lost evenly over `seconds`;
    `streak` what each right answer after the first of a row adds, 0 to leave it off. `size` questions a set, `sets_a_day` sets a day of which the
    best `counted_a_day` count; `take` sums the days or takes the best set alone. `teams` says how people come into teams, `best` of how many a
    team's score is the mean (0: of all members). `board` says who is named (BOARDS); `league` the size of groups among equals, 0 for none.
    """

    size: int = 5
    sets_a_day: int = 1
    counted_a_day: int = 1
    take: str = "sum"
    finish: int = 8000
    base: int = 400
    speed: int = 0
    seconds: int = 30
    streak: int = 0
    teams: str = "none"
    best: int = 0
    board: str = "off"
    league: int = 0

    def __post_init__(self) -> None:
        if wrong := _rules_error(self):
            raise Refusal(wrong)


_BOUNDS = {
    "size": (1, 100, "每套题数"),
    "sets_a_day": (1, 20, "每天套数"),
    "counted_a_day": (1, 20, "每天计分套数"),
    "finish": (0, 1_000_000, "完成一套的得分（千分之一分）"),
    "base": (0, 1_000_000, "每题得分（千分之一分）"),
    "speed": (0, MAX_SPEED_PERCENT, "速度权重（百分比）"),
    "seconds": (1, 3600, "每题秒数"),
    "streak": (0, 1_000_000, "连对加分（千分之一分）"),
    "best": (0, 1000, "团队取前几名"),
    "league": (0, 1000, "分组人数"),
}
_CHOICES = {"take": (TAKE_LABELS, "取分办法"), "teams": (TEAM_LABELS, "组队办法"), "board": (BOARD_LABELS, "排行")}


def _rules_error(rules: ContestRules) -> str:
    for key, (minimum, maximum, label) in _BOUNDS.items():
        value = getattr(rules, key)
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            return f"竞赛规则「{label}」应是 {minimum} 到 {maximum} 的整数。"
    for key, (choices, label) in _CHOICES.items():
        if getattr(rules, key) not in choices:
            return f"竞赛规则「{label}」只能是 {'、'.join(choices)}。"
    if rules.counted_a_day > rules.sets_a_day:
        return f"竞赛规则「每天计分套数」（{rules.counted_a_day}）不能多于「每天套数」（{rules.sets_a_day}）。"
    if not rules.base and not rules.finish:
        return "竞赛规则里「每题得分」和「完成一套的得分」不能都是 0。"
    if rules.league and rules.board == "all":
        return "竞赛规则分了组（league）时，排行只能公布中位以上（upper）或档次（bands）。"
    if rules.league and rules.league < 10:
        return "竞赛规则「分组人数」太小：写 0 不分组，或写 10 以上（一般 30）。"
    return ""


def rules_json(rules: ContestRules) -> dict[str, Any]:
    return asdict(rules)


DEFAULT_RULES: Mapping[str, Mapping[str, Any]] = {"windowed": {}, "live": {"finish": 0, "base": 1000}, "onsite": {"finish": 0, "base": 1000}}
"""The rules of each form of contest where a file states none: live forms give one point a question."""


def rules_from_json(values: Mapping[str, Any]) -> ContestRules:
    """The rules of a row or a file; what is not stated takes its default. Raises `Refusal` for an unknown rule or a value out of bounds."""
    known = {field.name for field in fields(ContestRules)}
    if unknown := [str(key) for key in values if key not in known]:
        raise Refusal(f"竞赛规则里没有「{unknown[0][:30]}」，可以写：{'、'.join(sorted(known))}。")
    return ContestRules(**dict(values))


# ── In words ──


def describe_rules(rules: ContestRules, *, windowed: bool = True) -> list[str]:
    """The rules in sentences, shown before anybody starts; `windowed` adds what concerns sets and days."""
    lines = []
    if windowed:
        counted = "都计分" if rules.counted_a_day == rules.sets_a_day else f"计分最高的 {rules.counted_a_day} 套"
        lines.append(f"每天 {rules.sets_a_day} 套、每套 {rules.size} 题，{counted}；总分取{TAKE_LABELS[rules.take]}。")
    worth = f"每题 {points_text(rules.base)} 分"
    if windowed and rules.finish:
        full = points_text(rules.finish + rules.base * rules.size)
        worth = f"做完一套得 {points_text(rules.finish)} 分，{worth}，一套最高 {full} 分"
    lines.append(
        f"{worth}；{speed_text(rules)}{f'连对从第二题起每题加 {points_text(rules.streak)} 分；' if rules.streak else ''}第一次提交的答案有效。"
    )
    lines.append(TIE_RULE)
    if rules.teams != "none":
        lines.append(f"团队{TEAM_LABELS[rules.teams]}：{team_score_text(rules)}。")
    lines.append(f"排行：{BOARD_LABELS[rules.board]}{f'，水平相近的约 {rules.league} 人一组' if rules.league else ''}。")
    return lines


def speed_text(rules: ContestRules) -> str:
    if not rules.speed:
        return "答得快慢不影响得分；"
    return f"答对按快慢计分，{rules.seconds} 秒内由满分匀降到 {100 - rules.speed}%；"


TIE_RULE = "同分时依次比：答对题数多的在前，用时（以服务器收到为准）短的在前，先完成的在前；仍相同则并列。"


def team_score_text(rules: ContestRules) -> str:
    """How a team's score is computed; shown in the heading of the team board (bot/docs/rules.md S17)."""
    if rules.best:
        return f"团队得分为本队最高 {rules.best} 人的平均分（不足 {rules.best} 人的队按实有人数，未参加的按 0 分）"
    return "团队得分为全队人均分（未参加的按 0 分）"
