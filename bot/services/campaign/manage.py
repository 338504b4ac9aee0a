"""Planning: a campaign is drafted, looked at before it is sent, started, paused, changed, stopped and called back; every act is audited."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import takewhile
from typing import Any

from sqlmodel import Session

from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.campaign import content as campaign_content
from bot.domain.campaign import schedule
from bot.domain.campaign.campaign import MISSED_LABELS, STATE_LABELS, Author, Campaign, CampaignPreview
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule, due_between, next_due
from bot.domain.message import Refusal
from bot.domain.people.audience import Audience, describe_audience, lies_within, limited
from bot.domain.people.person import Learner
from bot.domain.times import day_of
from bot.services.campaign.cost import cost_of_schedule
from bot.services.campaign.notifications import tell_recalled
from bot.services.library.catalog import Catalog
from bot.storage import campaign as campaign_rows
from bot.storage.people import admin_scope
from bot.storage.people import audience as people_audience
from bot.storage.system import audit, switches

NAMES_SHOWN = 20
DUE_SHOWN = 5
MOST_VOIDED = 400


@dataclass(frozen=True, slots=True)
class RecallOutcome:
    """What a recall found: how many were still waiting, and what had gone out, for the channels that can take it back."""

    skipped: int
    sent: tuple[tuple[int, str, str], ...]


def author_of(session: Session, learner: Learner, via: str) -> Author:
    """An administrator and what they reach. With a unit in their role: that unit and all below it; with none: the whole agency."""
    return Author(learner.staff_no, via, admin_scope.admin_roots(session, learner.id))


def own(session: Session, author: Author, campaign_id: int, *, hold: bool = False) -> Campaign:
    """A campaign that an administrator may see and steer. One that reaches beyond their units is refused like one that does not exist."""
    found = campaign_rows.held(session, campaign_id) if hold else campaign_rows.get(session, campaign_id)
    if found is None or not lies_within(found.audience, author.roots):
        raise Refusal(f"没有编号为 {campaign_id} 的活动。发送「活动」看列表。")
    return found


def listed(session: Session, author: Author) -> list[Campaign]:
    """The campaigns of an administrator, newest first; what the house tells administrators by itself is not among them."""
    return [one for one in campaign_rows.everything(session) if lies_within(one.audience, author.roots)]


# ── Before ──


def reach(session: Session, author: Author, audience: Audience) -> Audience:
    """The audience with full unit names, cut down to what the author reaches. Raises `Refusal` for names that nobody has."""
    return limited(people_audience.resolved(session, audience), author.roots)


def preview(
    session: Session,
    catalog: Catalog,
    calendar: Calendar,
    audience: Audience,
    rhythm: Schedule,
    now: datetime,
    content: CampaignContent | None = None,
) -> CampaignPreview:
    """What would happen if it began now, at the cost of one plain message each where the content is not known yet; writes nothing."""
    invited = people_audience.evaluate(session, audience, day_of(now), now)
    shown = people_audience.named(session, invited.people[:NAMES_SHOWN])
    left_out = dict(invited.excluded)
    excluded = tuple((staff_no, name, left_out[who]) for who, staff_no, name in people_audience.named(session, list(left_out)))
    due, unknown = next_due(rhythm, now, calendar, DUE_SHOWN)
    asks = str(unknown) if unknown is not None else ""
    names = tuple(name for _, _, name in shown)
    weighed = cost_of_schedule(session, catalog, invited.people, rhythm, now, content)
    return CampaignPreview(len(invited.people), names, excluded, tuple(due), asks, weighed.text if invited.people else "", weighed.fits)


def create(
    session: Session,
    catalog: Catalog,
    author: Author,
    name: str,
    content: CampaignContent,
    rhythm: Schedule,
    audience: Audience,
    now: datetime,
    *,
    clause: str = "",
    missed: str = "send",
    delivery: dict[str, Any] | None = None,
) -> int:
    """A draft; nothing is sent before `start`. Raises `Refusal` for names and lessons that do not exist."""
    title = campaign_content.clean_content(name).replace("\n", " ")
    if not 1 <= len(title) <= 80:
        raise Refusal("活动名称应为 1 到 80 个字。")
    _known_rule(missed)
    if wrong := campaign_content.content_faults(content, catalog.library):
        raise Refusal(wrong)
    if (rhythm.kind == "series") != (content.kind == "series"):
        rhythm = _as_series(rhythm) if content.kind == "series" else schedule.unrolled(rhythm)
    within = reach(session, author, audience)
    campaign_id = campaign_rows.add(
        session, title, content, rhythm, within, by=author.actor, at=now, missed=missed, clause=clause[:200], delivery=delivery or {}
    )
    detail = f"{title}；{campaign_content.describe_content(content)}；{schedule.describe_schedule(rhythm)}；{describe_audience(within)}；{clause}"
    audit.record(session, now, author.actor, author.via, "新建活动", f"campaign:{campaign_id}", detail=detail)
    return campaign_id


def _known_rule(missed: str) -> None:
    if missed not in MISSED_LABELS:
        raise Refusal("错过的处理只能是 补发 或 不补。")


def _as_series(rhythm: Schedule) -> Schedule:
    if rhythm.kind == "once":
        raise Refusal("连载要有频次，例如 每个工作日 09:00 或 每周一 09:00。")
    return replace(rhythm, kind="series", each=rhythm.kind)


# ── States ──


def can_start(calendar: Calendar, rhythm: Schedule, now: datetime) -> bool:
    """Whether anything is to fall due in the years that are known."""
    return bool(next_due(rhythm, now, calendar)[0])


def start(session: Session, catalog: Catalog, author: Author, campaign_id: int, now: datetime) -> Campaign:
    """A draft becomes a running campaign. Refused when nothing would ever fall due, and asked when its next time lies in an unknown year."""
    campaign = own(session, author, campaign_id, hold=True)
    if campaign.state != "draft":
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，只有草稿可以启动。")
    due, unknown = next_due(campaign.rhythm, now, catalog.library.calendar)
    if not due and unknown is not None:
        raise Refusal(f"还不能启动：{unknown}")
    if not due:
        raise Refusal(f"还不能启动：「{schedule.describe_schedule(campaign.rhythm)}」从现在起没有要发的时间，请改频次：活动 改 {campaign_id} 频次=…")
    affordable(session, catalog, campaign, now)
    campaign_rows.set_state(session, campaign_id, "draft", "running", now)
    campaign_rows.plan_from(session, campaign_id, now)
    audit.record(session, now, author.actor, author.via, "启动活动", f"campaign:{campaign_id}", detail=f"第 {campaign.version} 版")
    return campaign


def affordable(session: Session, catalog: Catalog, campaign: Campaign, now: datetime) -> None:
    """Raises `Refusal` when what is left of a day's or a month's budget does not carry it."""
    invited = people_audience.evaluate(session, campaign.audience, day_of(now), now).people
    weighed = cost_of_schedule(session, catalog, invited, campaign.rhythm, now, campaign.content)
    if not weighed.fits:
        raise Refusal(f"活动 {campaign.id}「{campaign.name}」现在不能发，超出了平台还剩的额度：\n{weighed.text}\n请缩小对象或减少次数。")


def pause(session: Session, author: Author, campaign_id: int, reason: str, now: datetime) -> Campaign:
    """Nothing falls due and nothing that waits is sent until it is resumed; what has gone out stays."""
    campaign = own(session, author, campaign_id, hold=True)
    is_sending = campaign.state == "done" and campaign_rows.open_deliveries(session, campaign_id) > 0
    if campaign.state != "running" and not is_sending:
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，没有可以暂停的。")
    campaign_rows.set_state(session, campaign_id, campaign.state, "paused", now)
    audit.record(session, now, author.actor, author.via, "暂停活动", f"campaign:{campaign_id}", detail=reason)
    return campaign


def resume(session: Session, calendar: Calendar, author: Author, campaign_id: int, now: datetime) -> Campaign:
    """On it goes, from now: what fell due during the pause is noted as left out and never sent; what waited in the queue is sent."""
    campaign = own(session, author, campaign_id, hold=True)
    if campaign.state != "paused":
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，没有暂停。")
    campaign_rows.set_state(session, campaign_id, "paused", "running", now)
    _leave_out(session, calendar, campaign, now)
    campaign_rows.plan_from(session, campaign_id, now)
    audit.record(session, now, author.actor, author.via, "恢复活动", f"campaign:{campaign_id}")
    return campaign


def _leave_out(session: Session, calendar: Calendar, campaign: Campaign, now: datetime) -> None:
    if campaign.planned_until is None:
        return
    try:
        passed = due_between(campaign.rhythm, campaign.planned_until, now, calendar)
    except UnknownYear:
        # Nobody can say what fell due in a year that nobody entered; from now on the campaign asks for it.
        return
    for due in passed[-MOST_VOIDED:]:
        campaign_rows.occur(session, campaign.id, due, now, state="void", note="暂停期间，不发")


def stop(session: Session, author: Author, campaign_id: int, reason: str, now: datetime) -> int:
    """For good: nothing more falls due, what still waits is not sent. How many were still waiting."""
    campaign = own(session, author, campaign_id, hold=True)
    if campaign.state == "stopped":
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」已经停止。")
    campaign_rows.set_state(session, campaign_id, campaign.state, "stopped", now)
    campaign_rows.plan_from(session, campaign_id, None)
    skipped = campaign_rows.skip_queued(session, campaign_id, "活动已停止")
    audit.record(session, now, author.actor, author.via, "停止活动", f"campaign:{campaign_id}", detail=f"{reason}；{skipped} 条未发".strip("；"))
    return skipped


def pause_all(session: Session, author: Author, reason: str, now: datetime) -> bool:
    """The switch for an emergency: no push of any campaign from now on; answers, lessons and running exams go on. False when it was on."""
    _whole(author)
    done = switches.turn(session, switches.PAUSED, True, author.actor, now, reason)
    audit.record(session, now, author.actor, author.via, "暂停全部推送", detail=reason)
    return done


def resume_all(session: Session, author: Author, now: datetime) -> bool:
    """Pushes go on; what fell due meanwhile is late, and sent or marked missed by each campaign's rule. False when nothing was paused.

    Deadlines of what had been sent move by the working days of the pause (`bot/domain/delivery/reminders.py`).
    """
    _whole(author)
    turned = switches.switch(session, switches.PAUSED)
    done = switches.turn(session, switches.PAUSED, False, author.actor, now)
    if done and turned is not None and day_of(turned.at) < day_of(now):
        switches.record_pause(session, day_of(turned.at), day_of(now), now)
    audit.record(session, now, author.actor, author.via, "恢复全部推送")
    return done


def _whole(author: Author) -> None:
    if author.roots is not None:
        raise Refusal("暂停或恢复全部推送，只有全局的管理员可以做。您可以暂停自己单位的活动：暂停 编号 原因。")


# ── Changes ──


def change(session: Session, catalog: Catalog, author: Author, campaign_id: int, now: datetime, **changed: Any) -> Campaign:
    """The next version of a plan, by which a running one goes at once: any of its fields; of one that is over only the clause."""
    campaign = own(session, author, campaign_id, hold=True)
    if campaign.state in ("stopped", "done") and changed.keys() != {"clause"}:
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，不能再改；请另建一个。")
    _known_rule(changed.get("missed", campaign.missed))
    if "audience" in changed:
        changed["audience"] = reach(session, author, changed["audience"])
    content: CampaignContent = changed.get("content", campaign.content)
    rhythm: Schedule = changed.get("rhythm", campaign.rhythm)
    if content.kind == "series" and rhythm.kind != "series":
        changed["rhythm"] = _as_series(rhythm)
    elif content.kind != "series" and rhythm.kind == "series":
        changed["rhythm"] = schedule.unrolled(rhythm)
    if wrong := campaign_content.content_faults(content, catalog.library):
        raise Refusal(wrong)
    made = replace(campaign, **changed)
    campaign_rows.change(session, made, now)
    if campaign.state == "running" and made.rhythm != campaign.rhythm:
        campaign_rows.plan_from(session, campaign_id, _taken_over(session, catalog.library.calendar, campaign, made, now))
    detail = (
        f"第 {campaign.version + 1} 版：{'、'.join(sorted(changed))}；{schedule.describe_schedule(made.rhythm)}；{describe_audience(made.audience)}"
    )
    audit.record(session, now, author.actor, author.via, "修改活动", f"campaign:{campaign_id}", detail=detail)
    return own(session, author, campaign_id)


def _taken_over(session: Session, calendar: Calendar, was: Campaign, made: Campaign, now: datetime) -> datetime:
    """From when the new plan counts. What was due and has not come about yet stays due where the new plan has it too, and is missed where not.

    The new plan brings nothing about that was not due before it was made.
    """
    since = was.planned_until or now
    try:
        overdue = due_between(was.rhythm, since, now, calendar)
        planned = due_between(made.rhythm, since, now, calendar)
    except UnknownYear:
        # Nobody can say what was due in a year that nobody entered; from now on the campaign asks for it.
        return now
    kept = list(takewhile(set(overdue).__contains__, reversed(planned)))
    for due in [one for one in overdue if one not in kept][-MOST_VOIDED:]:
        campaign_rows.occur(session, was.id, due, now, state="missed", note="计划改了，原定的这一次没有发")
    return min(kept, default=now)


def skip_date(session: Session, catalog: Catalog, author: Author, campaign_id: int, day: date, now: datetime) -> Campaign:
    """One day on which it does not fall due."""
    campaign = own(session, author, campaign_id)
    return change(session, catalog, author, campaign_id, now, rhythm=schedule.without(campaign.rhythm, day))


def recall(session: Session, author: Author, campaign_id: int, now: datetime) -> RecallOutcome:
    """The last time it went out is void: what waits is not sent, what went out is named for the channels that can take it back, and its readers are
    told. What was learnt or answered by then counts; 已阅 and 投票 that come later do not."""
    campaign = own(session, author, campaign_id, hold=True)
    last = next((one for one in campaign_rows.latest(session, campaign_id, 1) if one.state == "fired"), None)
    if last is None:
        raise Refusal(f"活动 {campaign_id} 最近没有发出过，没有可以撤回的。")
    skipped = campaign_rows.skip_occurrence(session, last.id, "已撤回")
    sent = tuple(campaign_rows.sent(session, last.id))
    campaign_rows.void(session, last.id, "已撤回")
    tell_recalled(session, campaign.name, last.due, campaign_rows.reached(session, last.id), now)
    audit.record(session, now, author.actor, author.via, "撤回活动", f"occurrence:{last.id}", detail=f"未发 {skipped}，已发 {len(sent)}")
    return RecallOutcome(skipped, sent)
