"""Notifications about a contest: an invitation when it opens, a reminder before it ends, and the results.

Invitations are ordinary campaigns: previewed, within quotas, held back in quiet hours, and not sent to people who have taken part.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from sqlmodel import Session

from bot.domain.campaign.campaign import Author
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule
from bot.domain.contest.contest import Contest, invitation_target, span_text
from bot.domain.times import SHANGHAI, day_of
from bot.services.campaign import manage
from bot.services.campaign.notifications import notify
from bot.services.library.catalog import Catalog
from bot.storage import campaign

REMINDER_THRESHOLD = timedelta(days=2)
"""A contest longer than this gets a reminder on the day before it ends."""
REMINDER_TIME = time(10, 0)


def invite(session: Session, catalog: Catalog, author: Author, contest: Contest, now: datetime) -> list[int]:
    """Start the campaigns that invite and remind its audience; their ids. Raises `Refusal` where the quotas do not allow them."""
    plan = contest.plan
    begins = max(now, plan.opens_at or now)
    send_at = (begins.astimezone(SHANGHAI) + timedelta(minutes=1)).replace(second=0, microsecond=0)
    invitation = _invitation(contest, _invitation_text(catalog, contest, now))
    if plan.closes_at is None or plan.closes_at - begins <= REMINDER_THRESHOLD:
        return [_start_campaign(session, catalog, author, contest, f"竞赛：{plan.name}", invitation, send_at, now)]
    closes = plan.closes_at.astimezone(SHANGHAI)
    remind_at = datetime.combine(closes.date() - timedelta(days=1), REMINDER_TIME, SHANGHAI)
    reminder = _invitation(contest, f"明天 {closes:%H:%M} 截止，还没有参加的请抓紧。")
    return [
        _start_campaign(session, catalog, author, contest, f"竞赛：{plan.name}", invitation, send_at, now, also=(reminder,)),
        _start_campaign(session, catalog, author, contest, f"竞赛提醒：{plan.name}", reminder, remind_at, now),
    ]


def _invitation(contest: Contest, text: str) -> CampaignContent:
    return CampaignContent("invitation", title=contest.name, text=text, target=invitation_target(contest.id))


def _start_campaign(
    session: Session,
    catalog: Catalog,
    author: Author,
    contest: Contest,
    name: str,
    content: CampaignContent,
    send_at: datetime,
    now: datetime,
    *,
    also: Sequence[CampaignContent] = (),
) -> int:
    schedule = Schedule("once", time=send_at.strftime("%H:%M"), on=send_at.date(), on_holiday="keep")
    campaign_id = manage.create(session, catalog, author, name[:80], content, schedule, contest.plan.audience, now, clause=contest.plan.clause)
    manage.start(session, catalog, author, campaign_id, now, also=also)
    return campaign_id


def _invitation_text(catalog: Catalog, contest: Contest, now: datetime) -> str:
    rule = catalog.policy.at("D5", day_of(now))
    hours = f"参加计 {rule.number_text('join')} 学时，名次不计学时。"
    rules = contest.rules
    sets = f"每天 {rules.sets_a_day} 套、每套 {rules.size} 题。" if contest.plan.form == "windowed" else ""
    span = span_text(contest.plan)
    return f"{f'{span}。' if span else ''}{sets}{hours}"


def stop_invitations(session: Session, author: Author, contest: Contest, reason: str, now: datetime) -> int:
    """Stop the invitation campaigns of a contest; returns how many were stopped."""
    target = invitation_target(contest.id)
    invitations = [
        invitation for invitation in campaign.all_campaigns(session) if invitation.content.target == target and invitation.state != "stopped"
    ]
    for invitation in invitations:
        manage.stop(session, author, invitation.id, reason, now)
    return len(invitations)


def queue_results(session: Session, contest: Contest, people: Sequence[int], now: datetime) -> None:
    """Queue the notice that results are available for these people."""
    content = CampaignContent(
        "invitation", title=contest.name, text="竞赛已结束，成绩已定，感谢参加。", target=f"{invitation_target(contest.id)} 成绩", label="看成绩"
    )
    notify(session, people, content, once=f"contest:{contest.id}:results", now=now, name="竞赛结果")
