"""Reminders of the house: before, on and after a deadline, one message a person and day over all campaigns; who is told when it stays undone.

Each kind is a standing campaign of the house with one occurrence a day, so the unique row decides that it happens once and delivery sends it like
anything else. What is said is made when it is sent (`told`): what was done meanwhile is not said.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent
from bot.domain.delivery.reminders import DUE, HEAD, LADDER, LATEST, LIAISON, REMIND_AT, STEPS, WEEK, WEEK_AT, first_workday_of_week
from bot.domain.times import SHANGHAI, day_of
from bot.services.delivery import open_tasks
from bot.services.delivery.reminder_messages import overdue, told_of
from bot.services.library.catalog import Catalog
from bot.storage.delivery import reminders
from bot.storage.system import switches

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
        stepping = [one for one in open_tasks.with_deadline(session, calendar, today) if one.offset in STEPS]
        return sorted(open_tasks.by_person(session, stepping, today))
    late = overdue(session, catalog, today)
    told_now = told_of(session, [one for one in late if one[0].offset in (LIAISON, HEAD)], today)
    return sorted(told_now)
