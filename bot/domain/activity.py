"""The duty list (普法责任清单): which office teaches which law, in which form, how often and until when, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from bot.domain.calendar import Calendar, UnknownYear

ONLINE = ("在线学习", "公众号推送")
"""Forms that the bot carries out by itself, lesson by lesson."""
FORMS = (
    *ONLINE, "专题培训", "集中学习", "专题讲座", "宣讲", "现场宣传", "发放资料", "知识竞赛", "考试", "参观学习", "旁听庭审", "交流座谈",
)  # fmt: skip
FORM_NAMES = {
    "讲座": "专题讲座", "法治讲座": "专题讲座", "培训": "专题培训", "集中学法": "集中学习", "集体学习": "集中学习", "参观": "参观学习",
    "旁听": "旁听庭审", "竞赛": "知识竞赛", "座谈": "交流座谈", "发放宣传资料": "发放资料", "网上学习": "在线学习",
    "线上学习": "在线学习",
}  # fmt: skip
"""What agencies call some of the forms in their own lists."""
DUTY_STATES = ("已完成", "进行中", "未开展", "已逾期")
HALF_YEAR = (6, 30)


@dataclass(frozen=True, slots=True)
class DutyLine:
    """One row of the list as it was asked for: `unit` by path, `liaison` a staff number or empty."""

    row: int
    law: str
    unit: str
    form: str
    count: int
    deadline: date
    liaison: str
    clause: str


def duty_state(done: int, count: int, deadline: date, today: date) -> str:
    """How a row stands on a day."""
    if done >= count:
        return "已完成"
    if today > deadline:
        return "已逾期"
    return "进行中" if done else "未开展"


def spread_days(count: int, first: date, deadline: date, calendar: Calendar) -> list[date]:
    """Days for `count` activities, evenly up to the deadline, the last on it; on the working day before where the year is known."""
    span = max(0, (deadline - first).days)
    days = []
    for number in range(1, count + 1):
        day = first + timedelta(days=span * number // count)
        try:
            days.append(max(first, calendar.workday_on_or_before(day)))
        except UnknownYear:
            # A plan may reach into a year that is not published yet; the campaign for that day will ask.
            days.append(day)
    return days
