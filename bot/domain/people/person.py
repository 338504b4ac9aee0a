"""People as the agency knows them (tier, roles, absences, what each has chosen about messages), and as a platform's contacts list them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum

from bot.domain.message import Refusal


@dataclass(frozen=True, slots=True)
class Absence:
    """Days of leave or secondment, both included; without a last day it goes on."""

    since: date
    until: date | None = None

    def __contains__(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day <= self.until)


class RoleName(StrEnum):
    """What a command may ask of its sender; everybody on the roster is a learner."""

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
    """The person a message comes from; `id` is the key of the row, `staff_no` what people call it."""

    id: int
    staff_no: str
    name: str
    tier: str
    roles: frozenset[RoleName]

    def may(self, role: RoleName) -> bool:
        return role in self.roles


DEFAULT_QUIET_HOURS = ("20:00", "08:00")
"""When nothing is sent unless somebody chose otherwise (bot/docs/rules.md S28)."""
MIN_OPEN_MINUTES = 4 * 60
"""Minutes of a day that have to stay open: duties still arrive."""
CHANNELS = {"wecom": "企业微信", "dingtalk": "钉钉", "wechat": "微信", "zwding": "专有钉钉", "local": "网页"}
_CHANNEL_NAMES = {"企业微信": "wecom", "企微": "wecom", "钉钉": "dingtalk", "微信": "wechat", "公众号": "wechat", "微信公众号": "wechat"} | {
    "专有钉钉": "zwding", "浙政钉": "zwding", "网页": "local", "本地": "local",
}  # fmt: skip
_CLOCK = re.compile(r"(\d{1,2})[:.点](\d{2})?分?")
_SPAN = re.compile(r"\s*(.+?)\s*(?:-|–|—|~|到|至)\s*(.+?)\s*")


@dataclass(frozen=True, slots=True)
class Preference:
    """One person's choices; None and "" stand for the default. Times are HH:MM in Asia/Shanghai; quiet hours may pass midnight."""

    push_at: str | None = None
    quiet_from: str | None = None
    quiet_to: str | None = None
    digest: bool = True
    channel: str = ""

    @property
    def quiet(self) -> tuple[str, str]:
        return self.quiet_from or DEFAULT_QUIET_HOURS[0], self.quiet_to or DEFAULT_QUIET_HOURS[1]

    def is_quiet(self, clock: str) -> bool:
        """Whether HH:MM lies in the quiet hours; their end does not."""
        return clock_within(clock, *self.quiet)


def clock_within(clock: str, first: str, last: str) -> bool:
    """Whether HH:MM lies in [first, last), over midnight when `last` is the earlier."""
    return first <= clock < last if first <= last else clock >= first or clock < last


def parse_clock(text: str) -> str:
    """8:30, 8点30, 08：30 as 08:30. Raises `Refusal`."""
    match = _CLOCK.fullmatch(text.strip().replace("：", ":"))
    try:
        if match is None:
            raise ValueError(text)
        return time(int(match[1]), int(match[2] or 0)).strftime("%H:%M")
    except ValueError:
        raise Refusal(f"「{text[:20]}」不是时间，应写作 08:30。") from None


def parse_clock_span(text: str) -> tuple[str, str]:
    """20:00-08:00. Raises `Refusal` for what is no span, or leaves less than four hours of a day."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise Refusal(f"「{text[:20]}」不是时段，应写作 20:00-08:00。")
    first, last = parse_clock(match[1]), parse_clock(match[2])
    if first == last or 24 * 60 - _minutes_between(first, last) < MIN_OPEN_MINUTES:
        raise Refusal(f"免打扰最长 {24 - MIN_OPEN_MINUTES // 60} 小时，每天至少留出 {MIN_OPEN_MINUTES // 60} 小时接收通知。")
    return first, last


def _minutes_between(first: str, last: str) -> int:
    begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (first, last))
    return (end - begin) % (24 * 60)


def parse_channel(text: str) -> str:
    """企业微信 as wecom. Raises `Refusal`."""
    channel = _CHANNEL_NAMES.get(text.strip())
    if channel is None:
        raise Refusal(f"没有「{text[:20]}」这个渠道，可选：{'、'.join(CHANNELS.values())}、默认。")
    return channel


# ── A platform's contacts, from which bot/services/people/roster_file.py makes a roster ──


@dataclass(frozen=True, slots=True)
class Department:
    """`parent` is 0, or no department that was listed, for one that stands at the top of what the app may see."""

    id: int
    parent: int
    name: str


@dataclass(frozen=True, slots=True)
class DirectoryMember:
    """A member as the contacts list them; `staff_no` is empty where the contacts do not know it. The first department is the main one."""

    user: str
    name: str
    departments: tuple[int, ...]
    staff_no: str = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """A complete reading: when a page is missing, the reader raises instead of returning a part."""

    channel: str
    departments: tuple[Department, ...]
    entries: tuple[DirectoryMember, ...]
