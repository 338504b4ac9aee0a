"""A one-off notice: drafted, looked at, confirmed, and gone."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.audience import Audience
from bot.domain.calendar import Calendar
from bot.domain.campaign import STATE_LABELS, Author, Fired
from bot.domain.content import Content
from bot.domain.message import Refusal
from bot.domain.rhythm import at_once
from bot.services.campaign import plan
from bot.services.campaign.fire import fire
from bot.services.shelf import Shelf
from bot.storage import audit, switches
from bot.storage import campaign as rows

GOOD_FOR = timedelta(hours=2)
"""How long a draft waits for its word; after that people, hours and minds may have changed."""
ONE_OFF = {"one_off": True}


def draft_push(session: Session, shelf: Shelf, author: Author, content: Content, audience: Audience, now: datetime, clause: str = "") -> int:
    """The draft of a one-off push; `confirm_push` sends it."""
    name = (content.title or content.text or "推送").split("\n")[0][:30]
    return plan.create(session, shelf, author, name, content, at_once(now), audience, now, clause=clause, delivery=dict(ONE_OFF))


def confirm_push(session: Session, shelf: Shelf, calendar: Calendar, author: Author, campaign_id: int, now: datetime) -> Fired:
    """Send a drafted push, once: a second word finds it sent. Raises `Refusal` for what is no draft of a push, too old, or paused."""
    campaign = plan.own(session, author, campaign_id, hold=True)
    if not campaign.delivery.get("one_off"):
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」不是一次性推送，请用：活动 启动 {campaign_id}")
    if campaign.state != "draft":
        raise Refusal(f"推送 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，不会再发一次。")
    if now - campaign.changed_at > GOOD_FOR:
        raise Refusal(f"推送 {campaign_id} 是两小时以前起草的，请重新发一次「推送」，看过名单再确认。")
    if switches.is_on(session, switches.PAUSED):
        raise Refusal("全部推送已被暂停，现在不能发。恢复请发：恢复 全部")
    plan.affordable(session, shelf, campaign, now)
    rhythm = at_once(now)
    plan.change(session, shelf, author, campaign_id, now, rhythm=rhythm)
    rows.set_state(session, campaign_id, "draft", "running", now)
    minute = now.replace(second=0, microsecond=0)
    rows.plan_from(session, campaign_id, minute)
    held = plan.own(session, author, campaign_id, hold=True)
    fired = fire(session, shelf, calendar, held, now)
    if not fired:
        raise Refusal(f"推送 {campaign_id} 已经发过了。")
    audit.record(session, now, author.actor, author.via, "确认推送", f"campaign:{campaign_id}", detail=f"{fired[0].invited} 人")
    return fired[0]
