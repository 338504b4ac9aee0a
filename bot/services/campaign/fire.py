"""Firing: which campaigns are due, once, whatever the number of replicas that think so; what was missed is sent late or said to be missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from sqlmodel import Session

from bot.domain import calendar as calendars
from bot.domain.audience import Audience, Role
from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.campaign import SYSTEM, Campaign, Fired
from bot.domain.content import Content, at_part
from bot.domain.duty import HALF_YEAR
from bot.domain.rhythm import Rhythm, due_between, next_due
from bot.domain.times import SHANGHAI, day_of, start_of
from bot.services.shelf import Shelf
from bot.storage import audit, duty, switches
from bot.storage import campaign as rows

log = structlog.get_logger(__name__)

ON_TIME = timedelta(minutes=15)
"""Up to this late an occurrence is simply on time: a restart, a slow tick."""
LATEST = timedelta(hours=24)
"""Nothing is sent later than this; a message for a day that is over helps nobody."""
LOOK_AGAIN = timedelta(hours=6)
"""How long a computed next due time is believed at the most: a calendar that was edited counts from then on."""
MOST_AT_ONCE = 5000
"""Deliveries after which the rest waits for the next tick, so that answers are written in between."""
TICK = timedelta(microseconds=1)
TOLD = "系统提醒"
MERGED = "已并入后一次"


def fire_due(session: Session, shelf: Shelf, calendar: Calendar, now: datetime) -> list[Fired]:
    """Bring about what is due by `now`: occurrences, one a (campaign, due), and what is owed to whom; nothing while all pushes are paused.

    A campaign that another replica is at is left to it; the unique row decides in the end. Several times missed of one campaign are sent as
    one, late; what is too late, or whose campaign says so, is marked missed, and administrators are told by a notice.
    """
    if switches.is_on(session, switches.PAUSED):
        return []
    fired: list[Fired] = []
    for campaign_id in rows.due_ids(session, now):
        campaign = rows.seized(session, campaign_id)
        if campaign is None or campaign.state != "running" or campaign.planned_until is None or campaign.planned_until > now:
            continue
        fired += fire(session, shelf, calendar, campaign, now)
        if sum(one.invited for one in fired) >= MOST_AT_ONCE:
            break
    tell_missed(session, [one for one in fired if one.state == "missed"], now)
    tell_calendar(session, calendar, now)
    tell_half_year(session, now)
    return fired


def fire(session: Session, shelf: Shelf, calendar: Calendar, campaign: Campaign, now: datetime) -> list[Fired]:
    """What one campaign, held by this transaction, owes from where it was looked at last up to `now`."""
    since = campaign.planned_until or campaign.changed_at
    try:
        due = due_between(campaign.rhythm, since, now + TICK, calendar)
    except UnknownYear as unknown:
        # It stays as it is: once the year is known, what passed meanwhile is late or missed like anything else.
        log.warning("campaign asks for a year", campaign=campaign.id, year=unknown.year)
        return []
    fired: list[Fired] = []
    for at in due:
        made = _occur(session, campaign, at, now, is_last=at == due[-1])
        if made is not None:
            fired.append(made)
    _plan_on(session, shelf, calendar, campaign, now)
    return fired


def _occur(session: Session, campaign: Campaign, due: datetime, now: datetime, *, is_last: bool) -> Fired | None:
    late = now - due
    reason = ""
    if not is_last:
        reason = MERGED
    elif late > LATEST:
        reason = f"晚了 {late // timedelta(hours=1)} 小时，不再补发"
    elif late > ON_TIME and campaign.missed == "mark":
        reason = f"晚了 {late // timedelta(minutes=1)} 分钟，按设置不补发"
    if reason:
        occurrence_id = rows.occur(session, campaign.id, due, now, state="missed", note=reason)
        return None if occurrence_id is None else Fired(campaign.id, occurrence_id, campaign.name, due, "missed", note=reason)
    content, part = campaign.content, 0
    if content.kind == "series":
        part = rows.last_part(session, campaign.id) + 1
        if part > len(content.lessons):
            return None
        content = at_part(content, part)
    note = f"迟发 {late // timedelta(minutes=1)} 分钟" if late > ON_TIME else ""
    occurrence_id = rows.occur(session, campaign.id, due, now, part=part, content=content, note=note)
    if occurrence_id is None:
        return None
    invited, excluded = rows.queue(session, campaign.id, occurrence_id, campaign.audience, now, note)
    return Fired(campaign.id, occurrence_id, campaign.name, due, "fired", invited, excluded, note)


def _plan_on(session: Session, shelf: Shelf, calendar: Calendar, campaign: Campaign, now: datetime) -> None:
    """When to look again; a campaign with nothing more to come is done."""
    ended = campaign.kind == "series" and rows.last_part(session, campaign.id) >= len(campaign.content.lessons)
    upcoming, unknown = ([], None) if ended else next_due(campaign.rhythm, now + TICK, calendar)
    if not upcoming and unknown is None:
        rows.set_state(session, campaign.id, "running", "done", now)
        rows.plan_from(session, campaign.id, None)
        return
    rows.plan_from(session, campaign.id, look_again(upcoming, unknown, now))


def look_again(upcoming: Sequence[datetime], unknown: UnknownYear | None, now: datetime) -> datetime:
    """The moment up to which nothing can fall due: the next due time, the edge of what is known, or a few hours."""
    edges = [now + LOOK_AGAIN, *upcoming[:1]]
    if unknown is not None:
        edges.append(start_of(date(unknown.year, 1, 1)))
    return max(now + TICK, min(edges))


# ── Telling administrators ──


def announce(session: Session, name: str, text: str, now: datetime, audience: Audience | None = None) -> Fired:
    """Owe a notice of the house itself to administrators (or another audience), at once; quiet hours and budgets hold for it too."""
    return owe_at_once(session, name, Content("notice", title=TOLD, text=text), audience or Role("admin"), now)


def owe_at_once(session: Session, name: str, content: Content, audience: Audience, now: datetime, delivery: Mapping[str, Any] | None = None) -> Fired:
    """Owe something that the house itself has to say to an audience, now; `delivery` is the rule of a campaign (domain/delivery.py)."""
    minute = now.astimezone(SHANGHAI)
    rhythm = Rhythm("once", time=minute.strftime("%H:%M"), on=minute.date(), on_holiday="keep")
    campaign_id = rows.add(
        session, f"{TOLD}：{name}"[:80], content, rhythm, audience, by=SYSTEM, at=now, state="done", missed="mark", delivery=dict(delivery or {})
    )
    occurrence_id = rows.occur(session, campaign_id, now, now, content=content)
    if occurrence_id is None:
        raise AssertionError("a new campaign has no occurrence")
    invited, excluded = rows.queue(session, campaign_id, occurrence_id, audience, now)
    return Fired(campaign_id, occurrence_id, name, now, "fired", invited, excluded)


def tell_missed(session: Session, missed: Sequence[Fired], now: datetime) -> None:
    """One notice for all that was missed, and a line in the audit for each."""
    told = [one for one in missed if one.note != MERGED]
    for one in missed:
        audit.record(
            session, now, SYSTEM, SYSTEM, "错过活动", f"campaign:{one.campaign_id}", outcome="failed", detail=f"{_when(one.due)}，{one.note}"
        )
    if told:
        lines = [f"· {one.name}（编号 {one.campaign_id}）{_when(one.due)}：{one.note}" for one in told[:20]]
        more = f"\n……共 {len(told)} 次" if len(told) > 20 else ""
        announce(session, "有活动没有按时发出", "下面的活动没有按时发出：\n" + "\n".join(lines) + more, now)


def calendar_warning(calendar: Calendar, today: date) -> str:
    """What administrators are told about a year whose holidays nobody has entered; empty when all is known."""
    return calendars.warning(calendar, today)


def tell_calendar(session: Session, calendar: Calendar, now: datetime) -> None:
    """Once a week, as long as a year is asked for, whoever ticks first."""
    text = calendar_warning(calendar, day_of(now))
    if not text:
        return
    week = day_of(now).isocalendar()
    if switches.first_to(session, f"told:calendar:{week.year}-W{week.week:02}", now):
        announce(session, "放假安排", text, now)


def tell_half_year(session: Session, now: datetime) -> bool:
    """In July, once: administrators are told which offices have done nothing yet. True when this call told them."""
    today = day_of(now)
    name = f"told:duty:{today.year}-H1"
    if today.month != HALF_YEAR[0] + 1 or switches.is_on(session, name):
        return False
    idle = duty.idle_units(session, today.year, date(today.year, *HALF_YEAR))
    if not idle or not switches.first_to(session, name, now):
        return False
    lines = [f"· {unit}：{owed} 项都没有开展（联络员 {names or '没有登记'}）" for unit, owed, names in idle[:30]]
    announce(session, "责任清单半年提示", "\n".join(["上半年还没有开展任何一项普法责任清单活动的处室：", *lines, "明细：报表 责任清单"]), now)
    return True


def _when(due: datetime) -> str:
    return due.astimezone(SHANGHAI).strftime("%m-%d %H:%M")
