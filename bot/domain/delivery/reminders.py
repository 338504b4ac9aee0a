"""Deadlines and reminders: by when a campaign is to be done, on which days a person is reminded, and when the case is escalated.

See bot/docs/rules.md A19 and A20.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

from bot.domain.calendar import ONE_DAY, Calendar
from bot.domain.campaign.content import LETTERS, CampaignContent
from bot.domain.message import Option, Refusal
from bot.domain.text.dates import find_day
from bot.domain.text.numbers import find_whole
from bot.domain.times import chinese_day

DUE_REMINDER, ESCALATION, WEEKLY_DIGEST = "到期提醒", "督办", "周报"
"""What a content's `target` says of the personal text that is made when it is sent."""
REMIND_AT, DIGEST_AT, LATEST_AT = time(9, 30), time(8, 30), time(20)
"""When reminders begin, when the weekly digest goes out, and after which nothing new begins that day (Shanghai)."""
REMINDER_OFFSETS = (-2, 0, 1, 3, 5)
"""Working days from the deadline on which a person is reminded: before it, on it, after it."""
LIAISON_OFFSET, HEAD_OFFSET = 3, 5
"""Working days after the deadline on which the liaison, then the head of the unit, gets one digest."""
LAST_OFFSET = 15
"""Working days after the deadline from which on nothing is said any more."""
LOOKBACK = timedelta(days=120)
"""How long ago a task may have been sent to be still looked at."""
MAX_DEADLINE_DAYS = 60
NAMES_SHOWN = 15


@dataclass(frozen=True, slots=True)
class ReminderTask:
    """Something that was sent and can be done; `deadline` is None where the campaign names none, `offset` the working days from it to today."""

    campaign_id: int
    occurrence_id: int
    name: str
    content: CampaignContent
    fired_on: date
    deadline: date | None = None
    offset: int = 0

    @property
    def is_near_deadline(self) -> bool:
        """Near enough to its deadline, on either side, to be named in a reminder."""
        return self.deadline is not None and REMINDER_OFFSETS[0] <= self.offset <= LAST_OFFSET

    @property
    def buttons(self) -> tuple[Option, ...]:
        """The commands that do it."""
        match self.content.kind:
            case "lesson" | "series":
                return (Option(f"学习 {self.content.lesson}", f"学习《{self.name}》"[:20]),)
            case "notice":
                return (Option(f"已阅 {self.occurrence_id}", "已阅"),)
            case "poll":
                lettered_options = zip(LETTERS, self.content.options, strict=False)
                return tuple(Option(f"投票 {self.occurrence_id} {letter}", f"{letter}. {option}") for letter, option in lettered_options)
            case "invitation" if self.content.target != "每日":
                return (Option(self.content.target, "现在参加"),)
        return (Option("每日", "每日一练"),)


def deadline_of(rule: Mapping[str, Any], fired: date, calendar: Calendar, pauses: Sequence[tuple[date, date]] = ()) -> date | None:
    """By when something sent on a day is to be done, by its campaign's `delivery`: `by` a day, or `within` so many working days. `UnknownYear`.

    A pause of all pushes that lay before it, from its first day to the day on which they went on, moves it by its working days.
    """
    if rule.get("by"):
        deadline = date.fromisoformat(str(rule["by"]))
    elif rule.get("within"):
        deadline = calendar.workday_after(fired, int(rule["within"]))
    else:
        return None
    for first, resumed in pauses:
        if first <= deadline and fired < resumed:
            deadline = calendar.workday_after(deadline, calendar.workdays_between(max(first, fired), resumed))
    return deadline


def parse_deadline(typed: str, today: date) -> dict[str, Any]:
    """5, 5个工作日, 2026-03-20 or 取消 as the part of a campaign's `delivery`. Raises `Refusal`."""
    words = typed.strip()
    if words in ("取消", "无", "没有"):
        return {}
    days = find_whole(words.removesuffix("内"), "个工作日", "工作日", "天", "个")
    if days is not None and 0 <= days < 1000:
        if 1 <= days <= MAX_DEADLINE_DAYS:
            return {"within": days}
        raise Refusal(f"期限应为 1 到 {MAX_DEADLINE_DAYS} 个工作日。")
    day = find_day(words, today)
    if day is None:
        raise Refusal(f"「{words[:20]}」不是期限，应写作 5个工作日 或 2026-03-20，取消期限写 取消。")
    if day < today:
        raise Refusal(f"{day} 已经过去，不能作期限。")
    return {"by": day.isoformat()}


def deadline_text(rule: Mapping[str, Any]) -> str:
    if rule.get("by"):
        return f"{chinese_day(date.fromisoformat(str(rule['by'])))}前完成"
    return f"发出后 {rule['within']} 个工作日内完成" if rule.get("within") else "没有期限"


def workday_offset(deadline: date, today: date, calendar: Calendar) -> int:
    """Working days from a deadline to today, negative before it; the last working day before a deadline on a day off is 0. Raises `UnknownYear`."""
    if today <= deadline:
        return -calendar.workdays_between(today + ONE_DAY, deadline + ONE_DAY)
    return calendar.workdays_between(deadline + ONE_DAY, today + ONE_DAY)


def task_line(task: ReminderTask) -> str:
    """· 民法典第一课，还有 2 个工作日（3月6日截止）。"""
    if task.deadline is None:
        return f"· {task.name}"
    day = chinese_day(task.deadline)
    if task.offset > 0:
        return f"· {task.name}，已过期 {task.offset} 个工作日（{day}截止）"
    return f"· {task.name}，" + (f"还有 {-task.offset} 个工作日（{day}截止）" if task.offset else f"今天是最后一个工作日（{day}截止）")


def by_urgency(tasks: Sequence[ReminderTask]) -> list[ReminderTask]:
    """The most overdue first; what has no deadline last."""
    return sorted(tasks, key=lambda task: (task.deadline is None, -task.offset, task.occurrence_id))


def names_text(names: Sequence[str]) -> str:
    shown = "、".join(names[:NAMES_SHOWN])
    return f"{shown} 等 {len(names)} 人" if len(names) > NAMES_SHOWN else shown


def is_first_workday_of_week(day: date, calendar: Calendar) -> bool:
    """Monday, or the first day after it that is worked when Monday is not. Raises `UnknownYear`."""
    monday = day - timedelta(days=day.weekday())
    return calendar.is_workday(day) and not any(calendar.is_workday(monday + timedelta(days=days)) for days in range(day.weekday()))
