"""The texts of reminders and digests for one person, made at the moment of sending from the tasks that are still open: who has done all gets none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.campaign.content import CORRECTION, NUDGE, CampaignContent
from bot.domain.delivery.reminders import (
    DUE_REMINDER,
    ESCALATION,
    HEAD_OFFSET,
    LAST_OFFSET,
    LIAISON_OFFSET,
    LOOKBACK,
    WEEKLY_DIGEST,
    ReminderTask,
    by_urgency,
    deadline_of,
    names_text,
    task_line,
    workday_offset,
)
from bot.domain.hours.policy import hours_text, quotas, shown_hours, total_hours
from bot.domain.message import Option, Reply
from bot.domain.times import chinese_day, day_of, start_of
from bot.services.delivery import correction_messages
from bot.services.hours import forecast
from bot.services.library.catalog import Catalog
from bot.services.study import streak as study_streak
from bot.storage.delivery import completion, reminders
from bot.storage.hours import ledger
from bot.storage.people import accounts
from bot.storage.system import switches

PERSONAL_TARGETS = (DUE_REMINDER, ESCALATION, WEEKLY_DIGEST, NUDGE)
HOURS_BUTTON = Option("我的学时", "我的学时")
_MAX_BUTTONS = 3


def is_personal(content: CampaignContent) -> bool:
    """Whether the text is made for each person when it is sent."""
    if content.kind == "notice":
        return content.target == CORRECTION
    return content.kind in ("reminder", "digest") and content.target in PERSONAL_TARGETS


def personal_replies(session: Session, catalog: Catalog, wanted: Mapping[int, tuple[int, CampaignContent]], now: datetime) -> dict[int, Reply | None]:
    """The replies of deliveries, given as delivery -> (person, content); None for what need not be said any more. Reads only."""
    by_target: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
    for delivery_id, (person_id, content) in wanted.items():
        by_target[content.target, content.about][delivery_id] = person_id
    replies: dict[int, Reply | None] = {}
    for (target, about), people in by_target.items():
        by_person = _replies_for_target(session, catalog, target, about, set(people.values()), now)
        replies |= {delivery_id: by_person.get(person_id) for delivery_id, person_id in people.items()}
    return replies


def _replies_for_target(session: Session, catalog: Catalog, target: str, about: int, people: Collection[int], now: datetime) -> dict[int, Reply]:
    if target == CORRECTION:
        return correction_messages.notices_for(session, catalog, about, people)
    today, calendar = day_of(now), catalog.library.calendar
    if target == ESCALATION:
        return _escalations(session, catalog, people, today)
    tasks = [task for task in tasks_with_deadline(session, calendar, today) if task.is_near_deadline]
    if target == DUE_REMINDER:
        return {person_id: reminder_reply(own_tasks) for person_id, own_tasks in open_tasks_by_person(session, tasks, today, people).items()}
    open_tasks = open_tasks_by_person(session, tasks, today, people)
    if target == WEEKLY_DIGEST:
        return _weekly_digests(session, catalog, people, open_tasks, now)
    if not about:
        return _hours_reminders(session, catalog, people, open_tasks, now)
    asked_task = last_task_of(session, calendar, about, today)
    if asked_task is None:
        return {}
    others = {
        person_id: [task for task in own_tasks if task.occurrence_id != asked_task.occurrence_id] for person_id, own_tasks in open_tasks.items()
    }
    return {
        person_id: reminder_reply([asked_task, *others.get(person_id, [])])
        for person_id in completion.open_people(session, asked_task, today, people)
    }


def reminder_reply(tasks: Sequence[ReminderTask]) -> Reply:
    """One message for all that is open."""
    listed = by_urgency(tasks)
    lines = [f"⏰ 您有 {len(listed)} 项学法任务还没有完成：", *map(task_line, listed)]
    if len(listed) == 1:
        return Reply("\n".join(lines), buttons=listed[0].buttons)
    # Of several, each by its one command; a vote needs the whole question, which is asked when nothing else is.
    single = dict.fromkeys(task.buttons[0] for task in listed if len(task.buttons) == 1)
    return Reply("\n".join(lines), buttons=(*single, HOURS_BUTTON)[:_MAX_BUTTONS])


def _hours_reminders(
    session: Session, catalog: Catalog, people: Collection[int], open_tasks: Mapping[int, Sequence[ReminderTask]], now: datetime
) -> dict[int, Reply]:
    replies: dict[int, Reply] = {}
    for person_id, (name, _, tier) in reminders.names_by_id(session, people).items():
        person_forecast = forecast.outlook_of(session, catalog, person_id, tier, now)
        if person_forecast is None or not person_forecast.outlook.will_miss:
            continue
        outlook = person_forecast.outlook
        lines = [f"⏰ {name}，今年学时 {hours_text(outlook.total)}/{hours_text(outlook.quota.need)}。", forecast.outlook_sentence(person_forecast)]
        tasks = by_urgency(open_tasks.get(person_id, ()))
        lines += ["还没有完成的任务：", *map(task_line, tasks)] if tasks else []
        replies[person_id] = Reply("\n".join(lines), buttons=(Option("学习", "学习"), Option("每日", "每日一练"), HOURS_BUTTON))
    return replies


# ── The weekly digest ──


def _weekly_digests(
    session: Session, catalog: Catalog, people: Collection[int], open_tasks: Mapping[int, Sequence[ReminderTask]], now: datetime
) -> dict[int, Reply]:
    return {
        person_id: _weekly_digest(session, catalog, person_id, name, tier, open_tasks.get(person_id, ()), now)
        for person_id, (name, _, tier) in reminders.names_by_id(session, people).items()
        if accounts.get_preference(session, person_id).digest
    }


def _weekly_digest(session: Session, catalog: Catalog, person_id: int, name: str, tier: str, tasks: Sequence[ReminderTask], now: datetime) -> Reply:
    today, calendar = day_of(now), catalog.library.calendar
    first = today - timedelta(days=today.weekday() + 7)
    last = first + timedelta(days=6)
    sets, seconds = reminders.week_totals(session, person_id, first, last)
    workdays = calendar.workdays_between(first, last + timedelta(days=1)) if calendar.knows(first.year) and calendar.knows(last.year) else 0
    year_quotas = quotas(catalog.policy, today)
    total = total_hours(ledger.year_seconds(session, person_id, today.year), year_quotas.seconds_per_hour)
    required = year_quotas.need(tier)
    streak = study_streak.streak_of(session, calendar, person_id, now)
    lines = [
        f"🗂 {name}，上周学法小结（{chinese_day(first)}—{chinese_day(last)}）",
        f"每日一练 {sets}{f'/{workdays}' if workdays else ''} 天，学时 +{hours_text(shown_hours(seconds, year_quotas.seconds_per_hour))}"
        + (f"，连续学法 {streak.days} 个工作日" if streak.days else ""),
        f"今年合计 {hours_text(total)}{f'/{hours_text(required)}' if required is not None else ''} 学时",
    ]
    forecast_line = forecast.outlook_sentence(forecast.outlook_of(session, catalog, person_id, tier, now))
    lines += [forecast_line] if forecast_line else []
    lines += ["待完成：", *map(task_line, by_urgency(tasks))] if tasks else []
    return Reply("\n".join([*lines, "不想收周报，回复「设置 周报 关」。"]), buttons=(Option("每日", "每日一练"), HOURS_BUTTON))


# ── The ladder ──


def overdue_tasks(session: Session, catalog: Catalog, today: date) -> list[tuple[ReminderTask, list[int]]]:
    """What is late enough for others to be told, with those who have not done it."""
    late = [task for task in tasks_with_deadline(session, catalog.library.calendar, today) if task.offset >= LIAISON_OFFSET]
    return [(task, completion.open_people(session, task, today)) for task in late]


def escalation_recipients(
    session: Session, late: Sequence[tuple[ReminderTask, list[int]]], today: date
) -> dict[int, list[tuple[ReminderTask, list[int]]]]:
    """Who is told of whom: liaisons of everybody in their campaigns, from the fifth day on heads of those in their unit."""
    by_recipient: dict[int, dict[int, tuple[ReminderTask, set[int]]]] = defaultdict(dict)
    liaisons = reminders.liaisons(session)
    heads = reminders.heads(session, {person_id for task, people in late if task.offset >= HEAD_OFFSET for person_id in people}, today)
    for task, people in late:
        for person_id in people:
            recipients = [recipient for recipient in liaisons.get(task.campaign_id, ()) if recipient != person_id]
            if task.offset >= HEAD_OFFSET and person_id in heads:
                recipients.append(heads[person_id])
            for recipient in recipients:
                by_recipient[recipient].setdefault(task.occurrence_id, (task, set()))[1].add(person_id)
    return {recipient: [(task, sorted(people)) for task, people in by_occurrence.values()] for recipient, by_occurrence in by_recipient.items()}


def _escalations(session: Session, catalog: Catalog, people: Collection[int], today: date) -> dict[int, Reply]:
    late = escalation_recipients(session, overdue_tasks(session, catalog, today), today)
    late = {recipient: tasks for recipient, tasks in late.items() if recipient in people}
    names = reminders.names_by_id(session, {recipient for tasks in late.values() for _, behind in tasks for recipient in behind})
    replies: dict[int, Reply] = {}
    for recipient, tasks in late.items():
        lines = [f"📋 督办提醒：{len({person_id for _, behind in tasks for person_id in behind})} 人有学法任务过期未完成，请您过问。"]
        for task, behind in sorted(tasks, key=lambda person_id: -person_id[0].offset):
            lines.append(f"{task_line(task)}：{names_text([names[person_id][0] for person_id in behind])}")
        replies[recipient] = Reply("\n".join(lines))
    return replies


# ── The tasks that are still open, which reminders, digests and 催学 all read ──


def tasks_with_deadline(session: Session, calendar: Calendar, today: date) -> list[ReminderTask]:
    """What has a deadline that is not long over, with the working days from it to today."""
    tasks: list[ReminderTask] = []
    pauses = switches.pause_spans(session)
    for task, rule in reminders.sent_with_deadline(session, start_of(today) - LOOKBACK):
        try:
            deadline = deadline_of(rule, task.fired_on, calendar, pauses)
            passed = 0 if deadline is None else workday_offset(deadline, today, calendar)
        except UnknownYear:
            # Nobody knows how many working days lie between; it is reminded of once the year has been entered.
            continue
        if deadline is not None and passed <= LAST_OFFSET:
            tasks.append(replace(task, deadline=deadline, offset=passed))
    return tasks


def last_task_of(session: Session, calendar: Calendar, campaign_id: int, today: date) -> ReminderTask | None:
    """The last time a campaign fell due, whether it has a deadline or not."""
    last = reminders.last_task(session, campaign_id)
    if last is None:
        return None
    return next((task for task in tasks_with_deadline(session, calendar, today) if task.occurrence_id == last[0].occurrence_id), last[0])


def open_tasks_by_person(
    session: Session, tasks: Iterable[ReminderTask], today: date, only: Collection[int] | None = None
) -> dict[int, list[ReminderTask]]:
    """Who has which of the tasks still to do."""
    open_tasks: dict[int, list[ReminderTask]] = defaultdict(list)
    for task in tasks:
        for person_id in completion.open_people(session, task, today, only):
            open_tasks[person_id].append(task)
    return open_tasks
