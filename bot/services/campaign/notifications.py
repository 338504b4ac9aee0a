"""Notifications: each of some people hears of a matter once, whichever replica says it and how often; and what the service says by itself.

That is to administrators what was missed, stopped or is to be entered, to readers what was recalled. A notification goes the way of every delivery:
within the quotas, held back in quiet hours, on the channel that the person uses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.domain import calendar as calendar_values
from bot.domain.activity import HALF_YEAR
from bot.domain.calendar import Calendar
from bot.domain.campaign.campaign import SYSTEM, Author, FiredCampaign, is_person
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import immediate_schedule
from bot.domain.people.audience import Audience, PeopleAre, RoleIs
from bot.domain.people.person import CHANNELS
from bot.domain.times import SHANGHAI, day_of
from bot.storage import activity, campaign
from bot.storage.delivery import notifications
from bot.storage.system import audit, switches

NOTICE_TITLE = "系统提醒"
MERGED_NOTE = "已并入后一次"
FEBRUARY, ANNUAL_REPORT_DAYS = 2, (1, 20)
"""From which days of February on the report of the year before is called to mind."""

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


def send_notice(session: Session, name: str, text: str, now: datetime, audience: Audience | None = None) -> FiredCampaign:
    """Queue a notice of the service to administrators (or another audience) at once; quiet hours and quotas hold for it too."""
    return queue_now(session, name, notice_content(text), audience or RoleIs("admin"), now)


def notice_content(text: str) -> CampaignContent:
    """A notice as the service sends it by itself."""
    return CampaignContent("notice", title=NOTICE_TITLE, text=text)


def queue_now(
    session: Session, name: str, content: CampaignContent, audience: Audience, now: datetime, delivery: Mapping[str, Any] | None = None
) -> FiredCampaign:
    """Queue a content of the service for an audience, now; `delivery` is its rule (bot/domain/delivery/quiet_hours.py)."""
    campaign_id = _add_campaign(session, name, content, audience, now, delivery)
    occurrence_id = campaign.add_occurrence(session, campaign_id, now, now, content=content)
    if occurrence_id is None:
        raise AssertionError("a new campaign has no occurrence")
    invited, excluded, is_complete = campaign.queue_deliveries(session, campaign_id, occurrence_id, audience, now)
    return FiredCampaign(campaign_id, occurrence_id, name, now, "fired", invited, excluded, is_complete=is_complete)


def notify_named(session: Session, author: Author, what: str, now: datetime) -> None:
    """Whoever's name was used at the shell for an act of two names hears of it: the operator typed it, not they."""
    if not author.is_own_word and is_person(author.actor):
        text = f"有人在命令行以您的名义{what}。若不是您同意的，请马上告诉另一位管理员，不要批准。"
        queue_now(session, "以您的名义", CampaignContent("notice", title=NOTICE_TITLE, text=text), PeopleAre((author.actor,)), now)


def _add_campaign(
    session: Session, name: str, content: CampaignContent, audience: Audience, now: datetime, delivery: Mapping[str, Any] | None = None
) -> int:
    title, rule = f"{NOTICE_TITLE}：{name}"[:80], dict(delivery or {})
    return campaign.add(session, title, content, immediate_schedule(now), audience, by=SYSTEM, at=now, state="done", missed="mark", delivery=rule)


def notify_recalled(session: Session, name: str, occurrence_id: int, due: datetime, people: Sequence[int], now: datetime) -> None:
    """Whoever got what is void now is told so: not every platform takes a message back, and nobody shall go on with it (bot/docs/rules.md A26)."""
    text = f"{_moment_text(due)} 发给您的「{name}」已经撤回，请不要再照它做，也不用再回复；已经学完的课、答完的题照常算数。"
    notify(session, people, notice_content(text), once=f"recall:{occurrence_id}", now=now, name=f"{NOTICE_TITLE}：撤回 {name}")


def notify_channel_stopped(session: Session, channel: str, error: str, until: datetime, now: datetime) -> None:
    """Administrators are told that nothing goes out on a channel, once an hour whatever the number of replicas that notice."""
    if switches.claim_latch(session, f"told:stopped:{channel}:{now:%Y-%m-%dT%H}", now):
        name = CHANNELS.get(channel, channel)
        text = (
            f"{name}暂时发不出去（{error[:80]}），{_moment_text(until)} 前不再尝试，排队的不会丢。"
            "请检查这个通道的密钥、IP 白名单和接口权限，改好后会自动接着发。"
        )
        send_notice(session, f"{name}停发", text, now)


def notify_missed(session: Session, missed: Sequence[FiredCampaign], now: datetime) -> None:
    """One notice for all that was missed, and a line in the audit for each."""
    unmerged = [occurrence for occurrence in missed if occurrence.note != MERGED_NOTE]
    for occurrence in missed:
        audit.record(
            session,
            now,
            SYSTEM,
            SYSTEM,
            "错过活动",
            f"campaign:{occurrence.campaign_id}",
            outcome="failed",
            detail=f"{_moment_text(occurrence.due)}，{occurrence.note}",
        )
    if unmerged:
        lines = [
            f"· {occurrence.name}（编号 {occurrence.campaign_id}）{_moment_text(occurrence.due)}：{occurrence.note}" for occurrence in unmerged[:20]
        ]
        more = f"\n……共 {len(unmerged)} 次" if len(unmerged) > 20 else ""
        send_notice(session, "有活动没有按时发出", "下面的活动没有按时发出：\n" + "\n".join(lines) + more, now)


def notify_calendar(session: Session, calendar: Calendar, now: datetime) -> None:
    """Once a week, as long as a year is asked for, whoever ticks first."""
    text = calendar_values.missing_year_warning(calendar, day_of(now))
    if not text:
        return
    week = day_of(now).isocalendar()
    if switches.claim_latch(session, f"told:calendar:{week.year}-W{week.week:02}", now):
        send_notice(session, "放假安排", text, now)


def notify_half_year(session: Session, now: datetime) -> bool:
    """In July, once: administrators are told which offices have done nothing yet. True when this call told them."""
    today = day_of(now)
    name = f"told:duty:{today.year}-H1"
    if today.month != HALF_YEAR[0] + 1 or switches.is_on(session, name):
        return False
    idle = activity.idle_units(session, today.year, date(today.year, *HALF_YEAR))
    if not idle or not switches.claim_latch(session, name, now):
        return False
    lines = [f"· {unit}：{duties} 项都没有开展（联络员 {names or '没有登记'}）" for unit, duties, names in idle[:30]]
    send_notice(session, "责任清单半年提示", "\n".join(["上半年还没有开展任何一项普法责任清单活动的处室：", *lines, "明细：报表 责任清单"]), now)
    return True


def notify_annual_report(session: Session, now: datetime) -> bool:
    """Twice in February administrators are told that last year's report is to be public before 1 March. True when told now."""
    today = day_of(now)
    day = max((report_day for report_day in ANNUAL_REPORT_DAYS if today.month == FEBRUARY and today.day >= report_day), default=0)
    if not day or not switches.claim_latch(session, f"told:annual:{today.year}-02-{day:02}", now):
        return False
    days_left = (date(today.year, FEBRUARY + 1, 1) - today).days
    text = (
        f"{today.year - 1} 年度法治政府建设报告应在 3 月 1 日前公开，还有 {days_left} 天。"
        f"学法、责任清单和活动的数字见报表（截至 {today.year - 1}-12-31）：形式、责任清单、活动依据、达标率。"
    )
    send_notice(session, "年度报告", text, now)
    return True


def _moment_text(due: datetime) -> str:
    return due.astimezone(SHANGHAI).strftime("%m-%d %H:%M")
