"""Trying a campaign out: exactly what will be seen, here and now, and on every channel that somebody is bound on (features.md A24)."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.domain import content as contents
from bot.domain.audience import All
from bot.domain.campaign import SYSTEM, Author
from bot.domain.content import Content
from bot.domain.message import Refusal, Reply
from bot.domain.people import Learner
from bot.domain.rhythm import at_once
from bot.services.shelf import Shelf
from bot.storage import audience as people
from bot.storage import audit, preference, reminders
from bot.storage import campaign as rows

RULE = {"fallback": False, "quiet": False, "trial": True}


def test_send(session: Session, shelf: Shelf, campaign_id: int, person_id: int) -> Reply:
    """Exactly what a person would see of a campaign now; its buttons answer to nothing. Of a series: the part that comes next."""
    _, content, who = _next_time(session, campaign_id, person_id)
    return contents.render(content, shelf, who, 0)


def try_out(session: Session, author: Author, campaign_id: int, person_id: int, now: datetime, besides: str = "") -> list[str]:
    """Send it to one person as everybody would get it, once on each channel where they are bound but `besides`; the channels.

    It goes by the courier and within the budgets like anything else, at once, and answers to an occurrence of its own.
    """
    name, content, _ = _next_time(session, campaign_id, person_id)
    channels = [one for one in preference.channels(session, person_id) if one != besides]
    for channel in channels:
        rule = {**RULE, "channels": [channel]}
        title = f"试发：{name}"[:80]
        made = rows.add(session, title, content, at_once(now), All(), by=SYSTEM, at=now, state="done", missed="mark", delivery=rule)
        reminders.owe(session, made, now, [person_id], now)
    audit.record(session, now, author.actor, author.via, "试发活动", f"campaign:{campaign_id}", detail="、".join(channels))
    return channels


def _next_time(session: Session, campaign_id: int, person_id: int) -> tuple[str, Content, Learner]:
    campaign = rows.get(session, campaign_id)
    who = people.person(session, person_id)
    if campaign is None or who is None:
        raise Refusal(f"没有编号为 {campaign_id} 的活动，或没有这个人。")
    content = campaign.content
    if content.kind == "series":
        content = contents.at_part(content, min(rows.last_part(session, campaign_id) + 1, len(content.lessons)))
    return campaign.name, content, Learner(*who, frozenset())
