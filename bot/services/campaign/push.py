"""One-off pushes, drafted, looked at and confirmed; and trials of a campaign, sent to one person on each of their channels.

See bot/docs/rules.md A24.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.calendar import Calendar
from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.campaign import STATE_LABELS, Author, FiredCampaign
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import immediate_schedule
from bot.domain.message import Refusal, Reply
from bot.domain.people.audience import Audience
from bot.domain.people.person import Learner
from bot.services.campaign import manage
from bot.services.campaign.fire import fire
from bot.services.campaign.notifications import notify
from bot.services.library.catalog import Catalog
from bot.storage import campaign as campaign_rows
from bot.storage.people import accounts
from bot.storage.people import audience as people_audience
from bot.storage.system import audit, switches

DRAFT_VALID_FOR = timedelta(hours=2)
"""How long a draft waits for its word; after that people, hours and minds may have changed."""
ONE_OFF = {"one_off": True}


def draft_push(
    session: Session, catalog: Catalog, author: Author, content: CampaignContent, audience: Audience, now: datetime, clause: str = ""
) -> int:
    """The draft of a one-off push; `confirm_push` sends it."""
    name = (content.title or content.text or "推送").split("\n")[0][:30]
    return manage.create(session, catalog, author, name, content, immediate_schedule(now), audience, now, clause=clause, delivery=dict(ONE_OFF))


def confirm_push(session: Session, catalog: Catalog, calendar: Calendar, author: Author, campaign_id: int, now: datetime) -> FiredCampaign:
    """Send a drafted push, once: a second word finds it sent. Raises `Refusal` for what is no draft of a push, too old, or paused."""
    campaign = manage.require_campaign(session, author, campaign_id, hold=True)
    if not campaign.delivery.get("one_off"):
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」不是一次性推送，请用：活动 启动 {campaign_id}")
    if campaign.state != "draft":
        raise Refusal(f"推送 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，不会再发一次。")
    if now - campaign.changed_at > DRAFT_VALID_FOR:
        raise Refusal(f"推送 {campaign_id} 是两小时以前起草的，请重新发一次「推送」，看过名单再确认。")
    if switches.is_on(session, switches.PAUSED):
        raise Refusal("全部推送已被暂停，现在不能发。恢复请发：恢复 全部")
    manage.require_quota(session, catalog, campaign, now)
    schedule = immediate_schedule(now)
    manage.change(session, catalog, author, campaign_id, now, schedule=schedule)
    campaign_rows.set_state(session, campaign_id, "draft", "running", now)
    minute = now.replace(second=0, microsecond=0)
    campaign_rows.set_planned_until(session, campaign_id, minute)
    locked = manage.require_campaign(session, author, campaign_id, hold=True)
    fired = fire(session, catalog, calendar, locked, now)
    if not fired:
        raise Refusal(f"推送 {campaign_id} 已经发过了。")
    audit.record(session, now, author.actor, author.via, "确认推送", f"campaign:{campaign_id}", detail=f"{fired[0].invited} 人")
    return fired[0]


TRIAL_RULE = {"fallback": False, "quiet": False, "trial": True}


def render_trial(session: Session, catalog: Catalog, campaign_id: int, person_id: int) -> Reply:
    """Exactly what a person would see of a campaign now; its buttons answer to nothing. Of a series: the part that comes next."""
    _, content, learner = _next_content(session, campaign_id, person_id)
    return campaign_content.render_content(content, catalog, learner, 0)


def send_trial(session: Session, author: Author, campaign_id: int, person_id: int, now: datetime, besides: str = "") -> list[str]:
    """Send it to one person as everybody would get it, once on each channel where they are bound but `besides`; the channels.

    It is sent at once by the delivery worker, within the quotas like anything else, and answers to an occurrence of its own.
    """
    name, content, _ = _next_content(session, campaign_id, person_id)
    channels = [channel_name for channel_name in accounts.bound_channels(session, person_id) if channel_name != besides]
    for channel in channels:
        once = f"trial:{campaign_id}:{channel}:{now.isoformat()}"
        notify(session, [person_id], content, once=once, now=now, name=f"试发：{name}", rule={**TRIAL_RULE, "channels": [channel]})
    audit.record(session, now, author.actor, author.via, "试发活动", f"campaign:{campaign_id}", detail="、".join(channels))
    return channels


def _next_content(session: Session, campaign_id: int, person_id: int) -> tuple[str, CampaignContent, Learner]:
    campaign = campaign_rows.get(session, campaign_id)
    person = people_audience.get_person(session, person_id)
    if campaign is None or person is None:
        raise Refusal(f"没有编号为 {campaign_id} 的活动，或没有这个人。")
    content = campaign.content
    if content.kind == "series":
        content = campaign_content.content_of_part(content, min(campaign_rows.last_part(session, campaign_id) + 1, len(content.lessons)))
    return campaign.name, content, Learner(*person, frozenset())
