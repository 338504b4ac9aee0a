"""Firing: each due time of a campaign becomes one occurrence, whatever the number of replicas; what was missed is sent late or marked missed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.campaign.campaign import Campaign, FiredCampaign
from bot.domain.campaign.content import content_of_part
from bot.domain.campaign.schedule import due_between, next_due
from bot.domain.times import start_of
from bot.logs import get_logger
from bot.services.campaign.notifications import MERGED_NOTE, notify_annual_report, notify_calendar, notify_half_year, notify_missed
from bot.services.library.catalog import Catalog
from bot.storage import campaign as campaign_rows
from bot.storage.system import switches

log = get_logger(__name__)

PUNCTUAL_WITHIN = timedelta(minutes=15)
"""Up to this late an occurrence is simply on time: a restart, a slow tick."""
MAX_LATENESS = timedelta(hours=24)
"""Nothing is sent later than this; a message for a day that is over helps nobody."""
RECHECK_AFTER = timedelta(hours=6)
"""How long a computed next due time is believed at the most: a calendar that was edited counts from then on."""
MAX_QUEUED_PER_RUN = 5000
"""Deliveries after which the rest waits for the next tick, so that answers are written in between."""
CLOCK_STEP = timedelta(microseconds=1)


def fire_due(session: Session, catalog: Catalog, calendar: Calendar, now: datetime) -> list[FiredCampaign]:
    """Bring about what is due by `now`: occurrences, one a (campaign, due), and the deliveries that they queue; nothing while all pushes are paused.

    A campaign that another replica has locked is left to it; the unique row decides in the end. Several times missed of one campaign are sent as
    one, late; what is too late, or whose campaign says so, is marked missed, and administrators are told by a notice.
    """
    if switches.is_on(session, switches.PAUSED):
        return []
    if (going_on := _queue_next_piece(session)) is not None:
        return [going_on]
    fired: list[FiredCampaign] = []
    for campaign_id in campaign_rows.due_ids(session, now):
        campaign = campaign_rows.lock_if_free(session, campaign_id)
        if campaign is None or campaign.state != "running" or campaign.planned_until is None or campaign.planned_until > now:
            continue
        fired += fire(session, catalog, calendar, campaign, now)
        if (
            any(not fired_campaign.is_complete for fired_campaign in fired)
            or sum(fired_campaign.invited for fired_campaign in fired) >= MAX_QUEUED_PER_RUN
        ):
            break
    notify_missed(session, [fired_campaign for fired_campaign in fired if fired_campaign.state == "missed"], now)
    notify_calendar(session, calendar, now)
    notify_half_year(session, now)
    notify_annual_report(session, now)
    return fired


def fire(session: Session, catalog: Catalog, calendar: Calendar, campaign: Campaign, now: datetime) -> list[FiredCampaign]:
    """The occurrences of one campaign, locked by this transaction, from where it was looked at last up to `now`."""
    since = campaign.planned_until or campaign.changed_at
    try:
        due = due_between(campaign.schedule, since, now + CLOCK_STEP, calendar)
    except UnknownYear as unknown:
        # It stays as it is: once the year is known, what passed meanwhile is late or missed like anything else.
        log.warning("campaign asks for a year", campaign=campaign.id, year=unknown.year)
        return []
    fired: list[FiredCampaign] = []
    for due_at in due:
        fired_campaign = _record_occurrence(session, campaign, due_at, now, is_last=due_at == due[-1])
        if fired_campaign is not None:
            fired.append(fired_campaign)
    _plan_next(session, catalog, calendar, campaign, now)
    return fired


def _record_occurrence(session: Session, campaign: Campaign, due: datetime, now: datetime, *, is_last: bool) -> FiredCampaign | None:
    late = now - due
    reason = ""
    if not is_last:
        reason = MERGED_NOTE
    elif late > MAX_LATENESS:
        reason = f"晚了 {late // timedelta(hours=1)} 小时，不再补发"
    elif late > PUNCTUAL_WITHIN and campaign.missed == "mark":
        reason = f"晚了 {late // timedelta(minutes=1)} 分钟，按设置不补发"
    if reason:
        occurrence_id = campaign_rows.add_occurrence(session, campaign.id, due, now, state="missed", note=reason)
        return None if occurrence_id is None else FiredCampaign(campaign.id, occurrence_id, campaign.name, due, "missed", note=reason)
    content, part = campaign.content, 0
    if content.kind == "series":
        part = campaign_rows.last_part(session, campaign.id) + 1
        if part > len(content.lessons):
            return None
        content = content_of_part(content, part)
    note = f"迟发 {late // timedelta(minutes=1)} 分钟" if late > PUNCTUAL_WITHIN else ""
    occurrence_id = campaign_rows.add_occurrence(session, campaign.id, due, now, part=part, content=content, note=note)
    if occurrence_id is None:
        return None
    invited, excluded, is_complete = campaign_rows.queue_deliveries(session, campaign.id, occurrence_id, campaign.audience, now, note)
    return FiredCampaign(campaign.id, occurrence_id, campaign.name, due, "fired", invited, excluded, note, is_complete)


def _queue_next_piece(session: Session) -> FiredCampaign | None:
    """The next piece of what is queued a piece at a time, the oldest first; None where there is nothing of the kind.

    The audience is that of the day on which it fired, whoever goes on with it.
    """
    for unfinished in campaign_rows.unfinished_occurrences(session):
        campaign = campaign_rows.lock_if_free(session, unfinished.campaign_id)
        occurrence = campaign_rows.occurrence(session, unfinished.id)
        if campaign is None or occurrence is None or campaign.state == "paused":
            continue
        if campaign.state == "stopped" or occurrence.state != "fired":
            # Stopped or recalled meanwhile: whoever has no delivery yet gets none.
            campaign_rows.finish_queueing(session, unfinished.id)
            continue
        current = next((again for again in campaign_rows.unfinished_occurrences(session) if again.id == unfinished.id), None)
        if current is None:
            continue
        invited, excluded, is_complete = campaign_rows.queue_deliveries(
            session, campaign.id, current.id, campaign.audience, current.fired_at, current.note, after=current.queued_after
        )
        return FiredCampaign(campaign.id, current.id, campaign.name, occurrence.due, "fired", invited, excluded, current.note, is_complete)
    return None


def _plan_next(session: Session, catalog: Catalog, calendar: Calendar, campaign: Campaign, now: datetime) -> None:
    """When to look again; a campaign with nothing more to come is done."""
    ended = campaign.kind == "series" and campaign_rows.last_part(session, campaign.id) >= len(campaign.content.lessons)
    upcoming, unknown = ([], None) if ended else next_due(campaign.schedule, now + CLOCK_STEP, calendar)
    if not upcoming and unknown is None:
        campaign_rows.set_state(session, campaign.id, "running", "done", now)
        campaign_rows.set_planned_until(session, campaign.id, None)
        return
    campaign_rows.set_planned_until(session, campaign.id, next_check(upcoming, unknown, now))


def next_check(upcoming: Sequence[datetime], unknown: UnknownYear | None, now: datetime) -> datetime:
    """The moment up to which nothing can fall due: the next due time, the edge of what is known, or a few hours."""
    edges = [now + RECHECK_AFTER, *upcoming[:1]]
    if unknown is not None:
        edges.append(start_of(date(unknown.year, 1, 1)))
    return max(now + CLOCK_STEP, min(edges))
