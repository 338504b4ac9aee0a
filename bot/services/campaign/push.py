"""A one-off notice: drafted, looked at, confirmed, and gone.

Trying a campaign out: exactly what will be seen, here and now, and on every channel that somebody is bound on (bot/docs/rules.md A24).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.calendar import Calendar
from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.campaign import STATE_LABELS, SYSTEM, Author, FiredCampaign
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import at_once
from bot.domain.message import Refusal, Reply
from bot.domain.people.audience import All, Audience
from bot.domain.people.person import Learner
from bot.services.campaign import manage
from bot.services.campaign.fire import fire
from bot.services.library.catalog import Catalog
from bot.storage import campaign as campaign_rows
from bot.storage.delivery import reminders
from bot.storage.people import accounts
from bot.storage.people import audience as people_audience
from bot.storage.system import audit, switches

GOOD_FOR = timedelta(hours=2)
"""How long a draft waits for its word; after that people, hours and minds may have changed."""
ONE_OFF = {"one_off": True}


def draft_push(
    session: Session, catalog: Catalog, author: Author, content: CampaignContent, audience: Audience, now: datetime, clause: str = ""
) -> int:
    """The draft of a one-off push; `confirm_push` sends it."""
    name = (content.title or content.text or "推送").split("\n")[0][:30]
    return manage.create(session, catalog, author, name, content, at_once(now), audience, now, clause=clause, delivery=dict(ONE_OFF))


def confirm_push(session: Session, catalog: Catalog, calendar: Calendar, author: Author, campaign_id: int, now: datetime) -> FiredCampaign:
    """Send a drafted push, once: a second word finds it sent. Raises `Refusal` for what is no draft of a push, too old, or paused."""
    campaign = manage.own(session, author, campaign_id, hold=True)
    if not campaign.delivery.get("one_off"):
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」不是一次性推送，请用：活动 启动 {campaign_id}")
    if campaign.state != "draft":
        raise Refusal(f"推送 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，不会再发一次。")
    if now - campaign.changed_at > GOOD_FOR:
        raise Refusal(f"推送 {campaign_id} 是两小时以前起草的，请重新发一次「推送」，看过名单再确认。")
    if switches.is_on(session, switches.PAUSED):
        raise Refusal("全部推送已被暂停，现在不能发。恢复请发：恢复 全部")
    manage.affordable(session, catalog, campaign, now)
    rhythm = at_once(now)
    manage.change(session, catalog, author, campaign_id, now, rhythm=rhythm)
    campaign_rows.set_state(session, campaign_id, "draft", "running", now)
    minute = now.replace(second=0, microsecond=0)
    campaign_rows.plan_from(session, campaign_id, minute)
    held = manage.own(session, author, campaign_id, hold=True)
    fired = fire(session, catalog, calendar, held, now)
    if not fired:
        raise Refusal(f"推送 {campaign_id} 已经发过了。")
    audit.record(session, now, author.actor, author.via, "确认推送", f"campaign:{campaign_id}", detail=f"{fired[0].invited} 人")
    return fired[0]


RULE = {"fallback": False, "quiet": False, "trial": True}


def test_send(session: Session, catalog: Catalog, campaign_id: int, person_id: int) -> Reply:
    """Exactly what a person would see of a campaign now; its buttons answer to nothing. Of a series: the part that comes next."""
    _, content, who = _next_time(session, campaign_id, person_id)
    return campaign_content.render_content(content, catalog, who, 0)


def try_out(session: Session, author: Author, campaign_id: int, person_id: int, now: datetime, besides: str = "") -> list[str]:
    """Send it to one person as everybody would get it, once on each channel where they are bound but `besides`; the channels.

    It goes by the courier and within the budgets like anything else, at once, and answers to an occurrence of its own.
    """
    name, content, _ = _next_time(session, campaign_id, person_id)
    channels = [one for one in accounts.bound_channels(session, person_id) if one != besides]
    for channel in channels:
        rule = {**RULE, "channels": [channel]}
        title = f"试发：{name}"[:80]
        made = campaign_rows.add(session, title, content, at_once(now), All(), by=SYSTEM, at=now, state="done", missed="mark", delivery=rule)
        reminders.owe(session, made, now, [person_id], now)
    audit.record(session, now, author.actor, author.via, "试发活动", f"campaign:{campaign_id}", detail="、".join(channels))
    return channels


def _next_time(session: Session, campaign_id: int, person_id: int) -> tuple[str, CampaignContent, Learner]:
    campaign = campaign_rows.get(session, campaign_id)
    who = people_audience.get_person(session, person_id)
    if campaign is None or who is None:
        raise Refusal(f"没有编号为 {campaign_id} 的活动，或没有这个人。")
    content = campaign.content
    if content.kind == "series":
        content = campaign_content.at_part(content, min(campaign_rows.last_part(session, campaign_id) + 1, len(content.lessons)))
    return campaign.name, content, Learner(*who, frozenset())
