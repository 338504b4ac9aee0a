"""Queues the reminders of the day: before, on and after a deadline, the weekly digest, and the escalation to liaisons and heads of units.

A latch a kind and day decides that it happens once. The texts are made when they are sent (bot/services/delivery/reminder_messages.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent
from bot.domain.delivery.reminders import (
    DIGEST_AT,
    DUE_REMINDER,
    ESCALATION,
    HEAD_OFFSET,
    LATEST_AT,
    LIAISON_OFFSET,
    REMIND_AT,
    REMINDER_OFFSETS,
    WEEKLY_DIGEST,
    is_first_workday_of_week,
)
from bot.domain.times import SHANGHAI, day_of
from bot.services.campaign.notifications import notify
from bot.services.delivery.reminder_messages import escalation_recipients, open_tasks_by_person, overdue_tasks, tasks_with_deadline
from bot.services.library.catalog import Catalog
from bot.storage.delivery import reminders
from bot.storage.system import switches

_CONTENTS = {
    DUE_REMINDER: CampaignContent("reminder", target=DUE_REMINDER),
    ESCALATION: CampaignContent("digest", target=ESCALATION),
    WEEKLY_DIGEST: CampaignContent("digest", target=WEEKLY_DIGEST),
}


def queue_due(session: Session, catalog: Catalog, now: datetime) -> int:
    """Queue the reminders and digests of today, once, whichever replica is first; how many deliveries were queued.

    Nothing on a day off, in a year nobody has entered, while all pushes are paused, or late in the evening.
    """
    today, calendar = day_of(now), catalog.library.calendar
    clock = now.astimezone(SHANGHAI).time()
    if not DIGEST_AT <= clock < LATEST_AT or not calendar.knows(today.year) or not calendar.is_workday(today):
        return 0
    if switches.is_on(session, switches.PAUSED):
        return 0
    queued = 0
    monday = today - timedelta(days=today.weekday())
    if calendar.knows(monday.year) and is_first_workday_of_week(today, calendar):
        queued += _queue_once(session, catalog, WEEKLY_DIGEST, now)
    if clock >= REMIND_AT:
        queued += _queue_once(session, catalog, DUE_REMINDER, now) + _queue_once(session, catalog, ESCALATION, now)
    return queued


def _queue_once(session: Session, catalog: Catalog, kind: str, now: datetime) -> int:
    once = f"{kind}:{day_of(now)}"
    if switches.is_on(session, once) or not switches.claim_latch(session, once, now):
        return 0
    return notify(session, _recipients(session, catalog, kind, now), _CONTENTS[kind], once=once, now=now)


def _recipients(session: Session, catalog: Catalog, kind: str, now: datetime) -> list[int]:
    today, calendar = day_of(now), catalog.library.calendar
    if kind == WEEKLY_DIGEST:
        return reminders.digest_readers(session, today)
    if kind == DUE_REMINDER:
        due_for_reminder = [task for task in tasks_with_deadline(session, calendar, today) if task.offset in REMINDER_OFFSETS]
        return sorted(open_tasks_by_person(session, due_for_reminder, today))
    late = overdue_tasks(session, catalog, today)
    recipients = escalation_recipients(session, [task for task in late if task[0].offset in (LIAISON_OFFSET, HEAD_OFFSET)], today)
    return sorted(recipients)
