"""催学: an administrator reminds those who have not done a task or fall behind, after looking at who they are; and sets a campaign's deadline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.domain.campaign.campaign import STATE_LABELS, Author, Campaign
from bot.domain.campaign.content import NUDGE, CampaignContent
from bot.domain.campaign.schedule import immediate_schedule
from bot.domain.delivery.reminders import ReminderTask, deadline_text, parse_deadline
from bot.domain.message import Refusal
from bot.domain.people.audience import All
from bot.domain.reports import Scope
from bot.domain.times import day_of, start_of
from bot.services.campaign import manage
from bot.services.campaign.push import DRAFT_VALID_FOR
from bot.services.delivery.reminder_messages import last_task_of
from bot.services.hours.forecast import report_query
from bot.services.library.catalog import Catalog
from bot.storage import campaign as campaign_rows
from bot.storage.delivery import completion, notifications, reminders
from bot.storage.people import roster
from bot.storage.reports import forecast
from bot.storage.system import audit, switches

NUDGE_KEY = "nudge"


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """A campaign with something left to do: the task, and who has not done it."""

    campaign: Campaign
    task: ReminderTask
    people: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NudgeDraft:
    """What a nudge would do: its number (0 while nothing is drafted), what it is about, whom it reaches by name, how many had a reminder today."""

    id: int
    about: str
    names: tuple[tuple[str, str], ...]
    reminded: int


def open_campaigns(session: Session, catalog: Catalog, author: Author, now: datetime) -> list[OpenCampaign]:
    """What an administrator can urge: campaigns of theirs that went out and that somebody has not done."""
    open_list: list[OpenCampaign] = []
    for campaign in manage.visible_campaigns(session, author):
        if campaign.state not in ("running", "done") or NUDGE_KEY in campaign.delivery:
            continue
        task = last_task_of(session, catalog.library.calendar, campaign.id, day_of(now))
        if task is not None and (people := completion.open_people(session, task, day_of(now))):
            open_list.append(OpenCampaign(campaign, task, tuple(people)))
    return open_list


def preview(session: Session, catalog: Catalog, author: Author, about: int | None, now: datetime) -> NudgeDraft:
    """Whom a nudge about a campaign, or about the hours of the year (None), would reach; nothing is written. Raises `Refusal` for nobody.

    Who had a reminder today gets no second.
    """
    recipients = _recipients(session, catalog, author, about, now)
    campaign = None if about is None else manage.require_campaign(session, author, about)
    title = "学时进度" if campaign is None else campaign.name
    if not recipients:
        raise Refusal(f"「{title}」没有需要催的人：{'按现在的进度都能达标' if campaign is None else '都完成了，或都在请假、借调'}。")
    names = reminders.names_by_id(session, recipients)
    reminded_today = reminders.reminded_since(session, recipients, start_of(day_of(now)))
    return NudgeDraft(0, title, tuple(names[person_id][:2] for person_id in recipients), len(reminded_today))


def draft(session: Session, catalog: Catalog, author: Author, about: int | None, now: datetime) -> NudgeDraft:
    """Look, and keep what was looked at for `confirm`; nothing is sent. Raises `Refusal` for nobody."""
    nudge_preview = preview(session, catalog, author, about, now)
    content = CampaignContent("reminder", target=NUDGE, about=about or 0)
    audience = All() if about is None else manage.require_campaign(session, author, about).audience
    campaign_id = manage.create(
        session, catalog, author, f"催学：{nudge_preview.about}"[:80], content, immediate_schedule(now), audience, now, delivery={NUDGE_KEY: True}
    )
    return replace(nudge_preview, id=campaign_id)


def confirm(session: Session, catalog: Catalog, author: Author, draft_id: int, now: datetime) -> int:
    """Send it, once, to those who still have not done it; how many. Raises `Refusal`."""
    campaign = manage.require_campaign(session, author, draft_id, hold=True)
    if NUDGE_KEY not in campaign.delivery or campaign.content.target != NUDGE:
        raise Refusal(f"{draft_id} 不是催学的编号。发送「催学」重新开始。")
    if campaign.state != "draft":
        raise Refusal(f"催学 {draft_id} {STATE_LABELS[campaign.state]}，不会再发一次。")
    if now - campaign.changed_at > DRAFT_VALID_FOR:
        raise Refusal(f"催学 {draft_id} 是两小时以前起草的，请重新发「催学」，看过名单再确认。")
    if switches.is_on(session, switches.PAUSED):
        raise Refusal("全部推送已被暂停，现在不能发。恢复请发：恢复 全部")
    recipients = _recipients(session, catalog, author, campaign.content.about or None, now)
    if not recipients:
        raise Refusal("刚刚都完成了，没有要催的人。")
    manage.require_quota(session, catalog, campaign, now, people=recipients)
    campaign_rows.set_state(session, draft_id, "draft", "done", now)
    if notifications.add(session, draft_id, recipients, f"nudge:{draft_id}", now) is None:
        raise Refusal(f"催学 {draft_id} 已经发过了。")
    audit.record(session, now, author.actor, author.via, "催学", f"campaign:{draft_id}", detail=f"{campaign.name}，{len(recipients)} 人")
    return len(recipients)


def _recipients(session: Session, catalog: Catalog, author: Author, about: int | None, now: datetime) -> list[int]:
    today = day_of(now)
    if about is None:
        return people_behind(session, catalog, author_scope(session, author), today)
    manage.require_campaign(session, author, about)
    task = last_task_of(session, catalog.library.calendar, about, today)
    if task is None:
        raise Refusal(f"活动 {about} 还没有发过，或者看不出谁做了谁没做（例如不要回执的通知），不能催。")
    return completion.open_people(session, task, today)


def author_scope(session: Session, author: Author) -> Scope:
    """The units an administrator looks after, as reports know them."""
    if author.roots is None:
        return Scope()
    ids = roster.unit_ids(session)
    return Scope(tuple(ids[path] for path in author.roots if path in ids))


def people_behind(session: Session, catalog: Catalog, scope: Scope, today: date) -> list[int]:
    """Who will miss the quota at the present pace, without those who are away today. Raises `UnknownYear`."""
    return forecast.people_to_miss(session, scope, report_query(catalog, today))


def set_deadline(session: Session, author: Author, campaign_id: int, typed: str, now: datetime) -> str:
    """Give a campaign a deadline, from which reminders go out; the rule in words. It may be given after the campaign has gone out."""
    campaign = manage.require_campaign(session, author, campaign_id, hold=True)
    if campaign.state == "stopped" or NUDGE_KEY in campaign.delivery or completion.shown_by(campaign.content) is None:
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」不能设期限：它已停止，或者看不出谁做了谁没做（例如不要回执的通知）。")
    rule = parse_deadline(typed, day_of(now))
    delivery: Mapping[str, Any] = {key: value for key, value in campaign.delivery.items() if key not in ("by", "within")} | rule
    campaign_rows.change(session, replace(campaign, delivery=delivery), now)
    audit.record(session, now, author.actor, author.via, "设定期限", f"campaign:{campaign_id}", detail=deadline_text(rule))
    return deadline_text(rule)
