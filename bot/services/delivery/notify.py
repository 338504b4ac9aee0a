"""Notifies people of something, once: whoever has heard of the matter before is left out, whichever replica says it and how often.

A notification goes the way of every delivery: within the quotas, held back in quiet hours, on the channel that the person uses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.campaign.campaign import SYSTEM
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import immediate_schedule
from bot.domain.people.audience import PeopleAre
from bot.storage import campaign
from bot.storage.delivery import notifications

NOBODY = PeopleAre(())
"""The audience of the campaign behind a notification: whom it reaches, its rows say."""


def notify(
    session: Session,
    people: Collection[int],
    message: CampaignContent,
    *,
    once: str,
    now: datetime,
    quiet: bool = True,
    name: str = "",
    rule: Mapping[str, Any] | None = None,
) -> int:
    """Queue a message to each of some people who has had none of this matter (`once`); how many.

    `quiet` keeps the quiet hours; without it somebody waits for the message. `name` is what it is called in lists, its title if nothing is said;
    `rule` says more about its delivery (bot/domain/delivery/quiet_hours.py).
    """
    fresh = sorted(set(people) - notifications.notified_people(session, once))
    if not fresh:
        return 0
    delivery = {**(rule or {}), **({} if quiet else {"quiet": False})}
    title = (name or message.title or message.target)[:80]
    campaign_id = campaign.add(
        session, title, message, immediate_schedule(now), NOBODY, by=SYSTEM, at=now, state="done", missed="mark", delivery=delivery
    )
    return notifications.add(session, campaign_id, fresh, once, now) or 0
