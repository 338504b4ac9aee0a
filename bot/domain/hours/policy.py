"""学时: what a piece of study is worth, by numbered and versioned rules (bot/docs/rules.md#hour-rules).

The ledger holds whole credit seconds; 学时 appear in sentences and reports only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from bot.domain.times import duration_text

CATEGORY_LABELS = {
    "online": "在线学习",
    "practice": "练习与每日一练",
    "exam": "考试",
    "contest": "竞赛",
    "collective": "集体学法",
    "external": "外部培训",
}
SOURCE_LABELS = {"lesson": "课程", "item": "题目", "exam": "考试", "makeup": "补考", "contest": "竞赛", "activity": "活动"}


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One line of the policy in one version, in force from a day on."""

    line: str
    version: int
    valid_from: date
    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.line} 第 {self.version} 版"

    @property
    def title(self) -> str:
        return str(self.body.get("title", ""))

    def number(self, key: str) -> Fraction:
        return _fraction(str(self.body[key]))

    def number_text(self, key: str) -> str:
        """The same as people write it: 0.5, 2."""
        return _figure(str(self.body[key]))


@lru_cache(maxsize=1024)
def _fraction(text: str) -> Fraction:
    return Fraction(text)


@lru_cache(maxsize=1024)
def _figure(text: str) -> str:
    return f"{float(Fraction(text)):g}"


@dataclass(frozen=True, slots=True)
class PracticeTerms:
    """Rule D3 on one day: `whole` credit seconds for every `parts` counted items, at most so many seconds a day and a year, and their names."""

    rule: RuleVersion
    whole: int
    parts: int
    day_limit: int
    year_limit: int
    day_name: str
    year_name: str

    def item_seconds(self, counted: int) -> int:
        """Credit of the next counted item when `counted` were counted this year: whole seconds that add up to the rule exactly after every ten."""
        return self.whole * (counted + 1) // self.parts - self.whole * counted // self.parts


@dataclass(frozen=True, slots=True)
class HoursPolicy:
    """All versions of all rules. A rule is always asked for with the day it is to hold on, so that none reaches backwards."""

    versions: tuple[RuleVersion, ...] = ()
    _in_force: dict[tuple[str, date], RuleVersion] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was asked before: every answer asks for the same few lines on the same day."""
    _practice: dict[date, PracticeTerms] = field(default_factory=dict, init=False, repr=False, compare=False)

    def at(self, line: str, day: date) -> RuleVersion:
        """The version of a line in force on a day; before the first version, the first. KeyError for a line nobody wrote."""
        in_force = self._in_force.get((line, day))
        if in_force is None:
            versions = [version for version in self.versions if version.line == line]
            if not versions:
                raise KeyError(line)
            begun = [version for version in versions if version.valid_from <= day]
            in_force = max(begun, key=lambda version: version.version) if begun else min(versions, key=lambda version: version.version)
            self._in_force[line, day] = in_force
        return in_force

    def practice(self, day: date) -> PracticeTerms:
        """Rule D3 as it is on a day."""
        terms = self._practice.get(day)
        if terms is None:
            rule = self.at("D3", day)
            caps = (self.seconds(rule.number("day_cap"), day), self.seconds(rule.number("year_cap"), day))
            names = (f"今日练习 {rule.number_text('day_cap')} 学时", f"本年练习 {rule.number_text('year_cap')} 学时")
            worth = rule.number("hours")
            ten = (worth.numerator * self.seconds_per_hour(day), worth.denominator * int(rule.body["items"]))
            terms = self._practice[day] = PracticeTerms(rule, *ten, *caps, *names)
        return terms

    def seconds(self, hours: Fraction, day: date) -> int:
        """Hours of 学时 in credit seconds."""
        return hours.numerator * self.seconds_per_hour(day) // hours.denominator

    def seconds_per_hour(self, day: date) -> int:
        return int(self.at("D1", day).body["seconds_per_hour"])


def shown_hours(seconds: int, seconds_per_hour: int, step: Decimal = Decimal("0.25")) -> Decimal:
    """Credit seconds of one person and category as 学时, rounded down to a quarter (rule D1); the only place where seconds become hours."""
    return (Decimal(seconds) / seconds_per_hour / step).to_integral_value(ROUND_DOWN) * step


def hours_text(hours: Decimal) -> str:
    """2, 2.5, 0.25: no zeros that say nothing."""
    text = f"{hours:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# ── Rule D2: reading ──


@dataclass(frozen=True, slots=True)
class PageCredit:
    """What a page's reading time is worth, and why not more."""

    seen: int
    credited: int
    reason: str = ""


def page_credit(seen: int, expected: int, rule: RuleVersion, already: int = 0) -> PageCredit:
    """Seconds credited for one page: nothing below the floor, at most the ceiling (rule D2). `seen` and `expected` in whole seconds.

    `already` is what the page was credited before in the same reading: read again, it is credited up to the same ceiling.
    """
    floor, ceiling = rule.number("page_floor") * expected, int(rule.number("page_ceiling") * expected)
    if seen < floor:
        reason = "" if already else f"停留 {duration_text(seen)}，不足应读 {duration_text(expected)}的三分之一，不计"
        return PageCredit(seen, 0, reason)
    if seen > ceiling - already:
        again = f"，先前已计 {duration_text(already)}" if already else ""
        reason = f"停留 {duration_text(seen)}，按应读 {duration_text(expected)}的 {rule.number_text('page_ceiling')} 倍封顶{again}"
        return PageCredit(seen, ceiling - already, reason)
    return PageCredit(seen, seen)


# ── Caps ──


@dataclass(frozen=True, slots=True)
class CreditCap:
    """A limit of a rule: how much is used, how much there is (both in seconds), and how to name it."""

    used: int
    limit: int
    name: str


@dataclass(frozen=True, slots=True)
class CreditGrant:
    """What passes the caps, and what does not with the reason."""

    credited: int
    refused: int = 0
    reason: str = ""


def grant(wanted: int, caps: Sequence[CreditCap]) -> CreditGrant:
    """The part of `wanted` seconds that every cap lets through; the tightest cap gives the reason."""
    if not caps:
        return CreditGrant(wanted)
    tightest = min(caps, key=lambda cap: cap.limit - cap.used)
    room = max(0, tightest.limit - tightest.used)
    if wanted <= room:
        return CreditGrant(wanted)
    return CreditGrant(room, wanted - room, f"{tightest.name}已满，本次多出的 {duration_text(wanted - room)}不计")


# ── Rule D11: quotas ──


@dataclass(frozen=True, slots=True)
class YearQuotas:
    """What a year asks of each tier, in 学时, and how seconds become hours."""

    seconds_per_hour: int
    by_tier: Mapping[str, Decimal]
    collective_floor: Mapping[str, Decimal] = field(default_factory=dict)
    rule: str = ""

    def need(self, tier: str) -> Decimal | None:
        """The quota of a tier; None when the rule names none. Several tiers (、) take the highest, never the sum."""
        hours = [self.by_tier[name] for name in tier.split("、") if name in self.by_tier]
        return max(hours) if hours else None

    def floor(self, tier: str) -> Decimal:
        return max((self.collective_floor.get(name, Decimal(0)) for name in tier.split("、")), default=Decimal(0))


def quotas(policy: HoursPolicy, on: date) -> YearQuotas:
    """The quotas in force on a day."""
    rule = policy.at("D11", on)
    return YearQuotas(
        policy.seconds_per_hour(on),
        {tier: Decimal(str(hours)) for tier, hours in rule.body["quota"].items()},
        {tier: Decimal(str(hours)) for tier, hours in rule.body.get("collective", {}).items()},
        rule.name,
    )


def total_hours(seconds: Mapping[str, int], seconds_per_hour: int) -> Decimal:
    """All categories together: each rounded down by itself, then added (rule D1: once per person and category)."""
    return sum((shown_hours(amount, seconds_per_hour) for amount in seconds.values()), Decimal(0))


def category_label(name: str) -> str:
    return CATEGORY_LABELS.get(name, name)
