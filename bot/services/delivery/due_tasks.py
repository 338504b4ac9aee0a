"""The tasks that are still open, by person: what reminders, digests and 催学 all read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date

from sqlmodel import Session

from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.delivery.reminders import LAST_OFFSET, LOOKBACK, ReminderTask, deadline_of, workday_offset
from bot.domain.times import start_of
from bot.storage.delivery import completion, reminders
from bot.storage.system import switches


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
