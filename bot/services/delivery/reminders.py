"""Reminders of the house: before, on and after a deadline, one message a person and day over all campaigns; who is told when it stays undone.

Each kind is a standing campaign of the house with one occurrence a day, so the unique row decides that it happens once and delivery sends it like
anything else. What is said is made when it is sent (`told`): what was done meanwhile is not said.

The tasks that are open, by person: what reminders, digests and 催学 all read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from sqlmodel import Session

from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.campaign.content import CampaignContent
from bot.domain.delivery.reminders import (
    DUE,
    GIVEN_UP,
    HEAD,
    KNOWN,
    LADDER,
    LATEST,
    LIAISON,
    REMIND_AT,
    STEPS,
    WEEK,
    WEEK_AT,
    ReminderTask,
    deadline_of,
    first_workday_of_week,
    offset,
)
from bot.domain.times import SHANGHAI, day_of, start_of
from bot.services.delivery.reminder_messages import overdue, told_of
from bot.services.library.catalog import Catalog
from bot.storage.delivery import reminders
from bot.storage.system import switches


def with_deadline(session: Session, calendar: Calendar, today: date) -> list[ReminderTask]:
    """What has a deadline that is not long over, with the working days from it to today."""
    found: list[ReminderTask] = []
    held = switches.pause_spans(session)
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


_KINDS = {
    DUE: CampaignContent("reminder", target=DUE),
    LADDER: CampaignContent("digest", target=LADDER),
    WEEK: CampaignContent("digest", target=WEEK),
}


def tick(session: Session, catalog: Catalog, now: datetime) -> int:
    """Owe what the house itself has to say today, once, whoever ticks first; how many deliveries were queued.

    Nothing on a day off, in a year nobody has entered, while all pushes are paused, or late in the evening.
    """
    today, calendar = day_of(now), catalog.library.calendar
    clock = now.astimezone(SHANGHAI).time()
    if not WEEK_AT <= clock < LATEST or not calendar.knows(today.year) or not calendar.is_workday(today):
        return 0
    if switches.is_on(session, switches.PAUSED):
        return 0
    queued = 0
    monday = today - timedelta(days=today.weekday())
    if calendar.knows(monday.year) and first_workday_of_week(today, calendar):
        queued += _once(session, catalog, WEEK, WEEK_AT, now)
    if clock >= REMIND_AT:
        queued += _once(session, catalog, DUE, REMIND_AT, now) + _once(session, catalog, LADDER, REMIND_AT, now)
    return queued


def _once(session: Session, catalog: Catalog, what: str, at: time, now: datetime) -> int:
    content, due = _KINDS[what], datetime.combine(day_of(now), at, SHANGHAI)
    if reminders.ran(session, content.kind, what, due):
        return 0
    people = _people(session, catalog, what, now)
    made = reminders.owe(session, reminders.standing(session, content, now), due, people, now)
    return len(people) if made is not None else 0


def _people(session: Session, catalog: Catalog, what: str, now: datetime) -> list[int]:
    today, calendar = day_of(now), catalog.library.calendar
    if what == WEEK:
        return reminders.digest_readers(session, today)
    if what == DUE:
        stepping = [one for one in with_deadline(session, calendar, today) if one.offset in STEPS]
        return sorted(by_person(session, stepping, today))
    late = overdue(session, catalog, today)
    told_now = told_of(session, [one for one in late if one[0].offset in (LIAISON, HEAD)], today)
    return sorted(told_now)
