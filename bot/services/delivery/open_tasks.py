"""The tasks that are open, by person: what reminders, digests and 催学 all read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date

from sqlmodel import Session

from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.delivery.reminders import GIVEN_UP, KNOWN, ReminderTask, deadline_of, offset
from bot.domain.times import start_of
from bot.storage.delivery import reminders
from bot.storage.system import switches


def with_deadline(session: Session, calendar: Calendar, today: date) -> list[ReminderTask]:
    """What has a deadline that is not long over, with the working days from it to today."""
    found: list[ReminderTask] = []
    held = switches.spans(session)
    for task, rule in reminders.sent_with_deadline(session, start_of(today) - KNOWN):
        try:
            deadline = deadline_of(rule, task.fired, calendar, held)
            passed = 0 if deadline is None else offset(deadline, today, calendar)
        except UnknownYear:
            # Nobody knows how many working days lie between; it is reminded of once the year has been entered.
            continue
        if deadline is not None and passed <= GIVEN_UP:
            found.append(replace(task, deadline=deadline, offset=passed))
    return found


def of_campaign(session: Session, calendar: Calendar, campaign_id: int, today: date) -> ReminderTask | None:
    """The last time a campaign fell due, whether it has a deadline or not."""
    last = reminders.last_of(session, campaign_id)
    if last is None:
        return None
    return next((one for one in with_deadline(session, calendar, today) if one.occurrence_id == last[0].occurrence_id), last[0])


def by_person(session: Session, tasks: Iterable[ReminderTask], today: date, only: Collection[int] | None = None) -> dict[int, list[ReminderTask]]:
    """Who has which of the tasks still to do."""
    found: dict[int, list[ReminderTask]] = defaultdict(list)
    for task in tasks:
        for person_id in reminders.open_people(session, task, today, only):
            found[person_id].append(task)
    return found
