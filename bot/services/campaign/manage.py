"""Managing campaigns: draft (one, or the pack of a law day), preview, start, pause, resume, change, stop and recall, each in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import takewhile
from typing import Any

from sqlmodel import Session

from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.campaign import MISSED_LABELS, STATE_LABELS, Author, Campaign, CampaignPreview, dated_items, pack_item_content
from bot.domain.campaign.content import CampaignContent, content_faults, content_texts
from bot.domain.campaign.schedule import LAW_DAYS, Schedule, describe_schedule, due_between, next_due, without_date, without_series
from bot.domain.library.library import LawDayPack, PackItem
from bot.domain.message import Refusal
from bot.domain.people.audience import All, Audience, describe_audience, lies_within_units, limit_to_units
from bot.domain.people.person import Learner
from bot.domain.text.numbers import find_whole
from bot.domain.times import SHANGHAI, day_of
from bot.services.campaign.cost import schedule_cost
from bot.services.campaign.notifications import notify_recalled
from bot.services.library.catalog import Catalog
from bot.storage import campaign as campaign_rows
from bot.storage.people import audience as people_audience
from bot.storage.people import roster
from bot.storage.system import audit, switches

NAMES_SHOWN = 20
DUE_SHOWN = 5
MAX_RECORDED = 400
COLUMNS = {"schedule": "rhythm"}
"""Fields of a campaign that are stored under another name; the audit log names the columns."""


@dataclass(frozen=True, slots=True)
class RecallOutcome:
    """What a recall found: how many were still waiting, and what had gone out, for the channels that can take it back."""

    skipped: int
    sent: tuple[tuple[int, str, str], ...]


def author_of(session: Session, learner: Learner, via: str) -> Author:
    """An administrator and what they reach. With a unit in their role: that unit and all below it; with none: the whole agency."""
    return Author(learner.staff_no, via, roster.admin_roots(session, learner.id))


def require_campaign(session: Session, author: Author, campaign_id: int, *, hold: bool = False) -> Campaign:
    """A campaign that an administrator may see and steer. One that reaches beyond their units is refused like one that does not exist."""
    campaign = campaign_rows.get_locked(session, campaign_id) if hold else campaign_rows.get(session, campaign_id)
    if campaign is None or not lies_within_units(campaign.audience, author.roots):
        raise Refusal(f"没有编号为 {campaign_id} 的活动。发送「活动」看列表。")
    return campaign


def visible_campaigns(session: Session, author: Author) -> list[Campaign]:
    """The campaigns of an administrator, newest first, without those that the service made by itself."""
    return [campaign for campaign in campaign_rows.all_campaigns(session) if lies_within_units(campaign.audience, author.roots)]


# ── Before ──


def reachable_audience(session: Session, author: Author, audience: Audience) -> Audience:
    """The audience with full unit names, cut down to what the author reaches. Raises `Refusal` for names that nobody has."""
    return limit_to_units(people_audience.resolve(session, audience), author.roots)


def preview(
    session: Session,
    catalog: Catalog,
    calendar: Calendar,
    audience: Audience,
    schedule: Schedule,
    now: datetime,
    content: CampaignContent | None = None,
) -> CampaignPreview:
    """What would happen if it began now, at the cost of one plain message each where the content is not known yet; writes nothing."""
    evaluated = people_audience.evaluate(session, audience, day_of(now), now)
    shown = people_audience.list_people(session, evaluated.people[:NAMES_SHOWN])
    reasons = dict(evaluated.excluded)
    excluded = tuple((staff_no, name, reasons[person_id]) for person_id, staff_no, name in people_audience.list_people(session, list(reasons)))
    due, unknown = next_due(schedule, now, calendar, DUE_SHOWN)
    asks = str(unknown) if unknown is not None else ""
    names = tuple(name for _, _, name in shown)
    cost = schedule_cost(session, catalog, evaluated.people, schedule, now, content)
    return CampaignPreview(len(evaluated.people), names, excluded, tuple(due), asks, cost.text if evaluated.people else "", cost.fits)


def create(
    session: Session,
    catalog: Catalog,
    author: Author,
    name: str,
    content: CampaignContent,
    schedule: Schedule,
    audience: Audience,
    now: datetime,
    *,
    clause: str = "",
    missed: str = "send",
    delivery: dict[str, Any] | None = None,
) -> int:
    """A draft; nothing is sent before `start`. Raises `Refusal` for names and lessons that do not exist."""
    title = campaign_content.clean_title(name, "活动", catalog.library)
    _require_missed_rule(missed)
    if fault := catalog.library.misnomer_fault(*content_texts(content)) or campaign_content.content_faults(content, catalog.library):
        raise Refusal(fault)
    if (schedule.kind == "series") != (content.kind == "series"):
        schedule = _as_series(schedule) if content.kind == "series" else without_series(schedule)
    reached = reachable_audience(session, author, audience)
    campaign_id = campaign_rows.add(
        session, title, content, schedule, reached, by=author.actor, at=now, missed=missed, clause=clause[:200], delivery=delivery or {}
    )
    detail = f"{title}；{campaign_content.describe_content(content)}；{describe_schedule(schedule)}；{describe_audience(reached)}；{clause}"
    audit.record(session, now, author.actor, author.via, "新建活动", f"campaign:{campaign_id}", detail=detail)
    return campaign_id


def _require_missed_rule(missed: str) -> None:
    if missed not in MISSED_LABELS:
        raise Refusal("错过的处理只能是 补发 或 不补。")


def _as_series(schedule: Schedule) -> Schedule:
    if schedule.kind == "once":
        raise Refusal("连载要有频次，例如 每个工作日 09:00 或 每周一 09:00。")
    return replace(schedule, kind="series", each=schedule.kind)


# ── States ──


def can_start(calendar: Calendar, schedule: Schedule, now: datetime) -> bool:
    """Whether anything is to fall due in the years that are known."""
    return bool(next_due(schedule, now, calendar)[0])


def start(session: Session, catalog: Catalog, author: Author, campaign_id: int, now: datetime, *, also: Sequence[CampaignContent] = ()) -> Campaign:
    """A draft becomes a running campaign. Refused when nothing would ever fall due, and asked when its next time lies in an unknown year.

    `also` is what else is sent to its audience with it, as far as the quotas go.
    """
    campaign = require_campaign(session, author, campaign_id, hold=True)
    if campaign.state != "draft":
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，只有草稿可以启动。")
    due, unknown = next_due(campaign.schedule, now, catalog.library.calendar)
    if not due and unknown is not None:
        raise Refusal(f"还不能启动：{unknown}")
    if not due:
        raise Refusal(f"还不能启动：「{describe_schedule(campaign.schedule)}」从现在起没有要发的时间，请改频次：活动 改 {campaign_id} 频次=…")
    require_quota(session, catalog, campaign, now, also=also)
    campaign_rows.set_state(session, campaign_id, "draft", "running", now)
    campaign_rows.set_planned_until(session, campaign_id, now)
    audit.record(session, now, author.actor, author.via, "启动活动", f"campaign:{campaign_id}", detail=f"第 {campaign.version} 版")
    return campaign


def require_quota(
    session: Session,
    catalog: Catalog,
    campaign: Campaign,
    now: datetime,
    *,
    people: Sequence[int] | None = None,
    also: Sequence[CampaignContent] = (),
) -> None:
    """Raises `Refusal` when what is left of a day's or a month's quota is not enough: every act that makes many messages asks here first.

    `people` are those it goes to where that is not the campaign's audience.
    """
    invited = people_audience.evaluate(session, campaign.audience, day_of(now), now).people if people is None else people
    cost = schedule_cost(session, catalog, invited, campaign.schedule, now, campaign.content, also)
    if not cost.fits:
        raise Refusal(f"活动 {campaign.id}「{campaign.name}」现在不能发，超出了平台还剩的额度：\n{cost.text}\n请缩小对象或减少次数。")


def pause(session: Session, author: Author, campaign_id: int, reason: str, now: datetime) -> Campaign:
    """Nothing falls due and nothing that waits is sent until it is resumed; what has gone out stays."""
    campaign = require_campaign(session, author, campaign_id, hold=True)
    is_sending = campaign.state == "done" and campaign_rows.count_open_deliveries(session, campaign_id) > 0
    if campaign.state != "running" and not is_sending:
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，没有可以暂停的。")
    campaign_rows.set_state(session, campaign_id, campaign.state, "paused", now)
    audit.record(session, now, author.actor, author.via, "暂停活动", f"campaign:{campaign_id}", detail=reason)
    return campaign


def resume(session: Session, calendar: Calendar, author: Author, campaign_id: int, now: datetime) -> Campaign:
    """On it goes, from now: what fell due during the pause is noted as left out and never sent; what waited in the queue is sent."""
    campaign = require_campaign(session, author, campaign_id, hold=True)
    if campaign.state != "paused":
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，没有暂停。")
    campaign_rows.set_state(session, campaign_id, "paused", "running", now)
    _record_paused(session, calendar, campaign, now)
    campaign_rows.set_planned_until(session, campaign_id, now)
    audit.record(session, now, author.actor, author.via, "恢复活动", f"campaign:{campaign_id}")
    return campaign


def _record_paused(session: Session, calendar: Calendar, campaign: Campaign, now: datetime) -> None:
    if campaign.planned_until is None:
        return
    try:
        passed = due_between(campaign.schedule, campaign.planned_until, now, calendar)
    except UnknownYear:
        # Nobody can say what fell due in a year that nobody entered; from now on the campaign asks for it.
        return
    for due in passed[-MAX_RECORDED:]:
        campaign_rows.add_occurrence(session, campaign.id, due, now, state="void", note="暂停期间，不发")


def stop(session: Session, author: Author, campaign_id: int, reason: str, now: datetime) -> int:
    """For good: nothing more falls due, what still waits is not sent. How many were still waiting."""
    campaign = require_campaign(session, author, campaign_id, hold=True)
    if campaign.state == "stopped":
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」已经停止。")
    campaign_rows.set_state(session, campaign_id, campaign.state, "stopped", now)
    campaign_rows.set_planned_until(session, campaign_id, None)
    skipped = campaign_rows.skip_queued(session, campaign_id, "活动已停止")
    audit.record(session, now, author.actor, author.via, "停止活动", f"campaign:{campaign_id}", detail=f"{reason}；{skipped} 条未发".strip("；"))
    return skipped


def pause_all(session: Session, author: Author, reason: str, now: datetime) -> bool:
    """The switch for an emergency: no push of any campaign from now on; answers, lessons and running exams go on. False when it was on."""
    _require_whole_agency(author)
    changed = switches.turn(session, switches.PAUSED, True, author.actor, now, reason)
    audit.record(session, now, author.actor, author.via, "暂停全部推送", detail=reason)
    return changed


def resume_all(session: Session, author: Author, now: datetime) -> bool:
    """Pushes go on; what fell due meanwhile is late, and sent or marked missed by each campaign's rule. False when nothing was paused.

    Deadlines of what had been sent move by the working days of the pause (`bot/domain/delivery/reminders.py`).
    """
    _require_whole_agency(author)
    switch = switches.switch(session, switches.PAUSED)
    changed = switches.turn(session, switches.PAUSED, False, author.actor, now)
    if changed and switch is not None and day_of(switch.at) < day_of(now):
        switches.record_pause(session, day_of(switch.at), day_of(now), now)
    audit.record(session, now, author.actor, author.via, "恢复全部推送")
    return changed


def _require_whole_agency(author: Author) -> None:
    if author.roots is not None:
        raise Refusal("暂停或恢复全部推送，只有全局的管理员可以做。您可以暂停自己单位的活动：暂停 编号 原因。")


# ── Changes ──


def change(session: Session, catalog: Catalog, author: Author, campaign_id: int, now: datetime, **changed: Any) -> Campaign:
    """The next version of a plan, by which a running one goes at once: any of its fields; of one that is over only the clause."""
    campaign = require_campaign(session, author, campaign_id, hold=True)
    if campaign.state in ("stopped", "done") and changed.keys() != {"clause"}:
        raise Refusal(f"活动 {campaign_id}「{campaign.name}」{STATE_LABELS[campaign.state]}，不能再改；请另建一个。")
    _require_missed_rule(changed.get("missed", campaign.missed))
    if "audience" in changed:
        changed["audience"] = reachable_audience(session, author, changed["audience"])
    # What was written before stays as it is: a clause can be given to it as well.
    written = (changed.get("name", ""), *(content_texts(changed["content"]) if "content" in changed else ()))
    if fault := catalog.library.misnomer_fault(*written):
        raise Refusal(fault)
    content: CampaignContent = changed.get("content", campaign.content)
    schedule: Schedule = changed.get("schedule", campaign.schedule)
    if content.kind == "series" and schedule.kind != "series":
        changed["schedule"] = _as_series(schedule)
    elif content.kind != "series" and schedule.kind == "series":
        changed["schedule"] = without_series(schedule)
    if fault := campaign_content.content_faults(content, catalog.library):
        raise Refusal(fault)
    updated = replace(campaign, **changed)
    if campaign.state in ("running", "paused") and changed.keys() & {"audience", "content", "schedule"}:
        # Otherwise a small campaign is started and becomes a large one.
        require_quota(session, catalog, updated, now)
    campaign_rows.change(session, updated, now)
    if campaign.state == "running" and updated.schedule != campaign.schedule:
        campaign_rows.set_planned_until(session, campaign_id, _replanned_from(session, catalog.library.calendar, campaign, updated, now))
    columns = "、".join(sorted(COLUMNS.get(field, field) for field in changed))
    detail = f"第 {campaign.version + 1} 版：{columns}；{describe_schedule(updated.schedule)}；{describe_audience(updated.audience)}"
    audit.record(session, now, author.actor, author.via, "修改活动", f"campaign:{campaign_id}", detail=detail)
    return require_campaign(session, author, campaign_id)


def _replanned_from(session: Session, calendar: Calendar, before: Campaign, after: Campaign, now: datetime) -> datetime:
    """From when the new plan counts. What was due and has not come about yet stays due where the new plan has it too, and is missed where not.

    The new plan brings nothing about that was not due before it was made.
    """
    since = before.planned_until or now
    try:
        overdue = due_between(before.schedule, since, now, calendar)
        planned = due_between(after.schedule, since, now, calendar)
    except UnknownYear:
        # Nobody can say what was due in a year that nobody entered; from now on the campaign asks for it.
        return now
    carried_over = list(takewhile(set(overdue).__contains__, reversed(planned)))
    for due in [due_at for due_at in overdue if due_at not in carried_over][-MAX_RECORDED:]:
        campaign_rows.add_occurrence(session, before.id, due, now, state="missed", note="计划改了，原定的这一次没有发")
    return min(carried_over, default=now)


def skip_date(session: Session, catalog: Catalog, author: Author, campaign_id: int, day: date, now: datetime) -> Campaign:
    """One day on which it does not fall due."""
    campaign = require_campaign(session, author, campaign_id)
    return change(session, catalog, author, campaign_id, now, schedule=without_date(campaign.schedule, day))


def recall(session: Session, author: Author, campaign_id: int, now: datetime) -> RecallOutcome:
    """The last time it went out is void: what waits is not sent, what went out is named for the channels that can take it back, and its readers are
    told. What was learnt or answered by then counts; 已阅 and 投票 that come later do not."""
    campaign = require_campaign(session, author, campaign_id, hold=True)
    last_occurrence = next(
        (occurrence for occurrence in campaign_rows.latest_occurrences(session, campaign_id, 1) if occurrence.state == "fired"), None
    )
    if last_occurrence is None:
        raise Refusal(f"活动 {campaign_id} 最近没有发出过，没有可以撤回的。")
    skipped = campaign_rows.skip_occurrence(session, last_occurrence.id, "已撤回")
    sent = tuple(campaign_rows.sent_deliveries(session, last_occurrence.id))
    campaign_rows.void_occurrence(session, last_occurrence.id, "已撤回")
    notify_recalled(session, campaign.name, last_occurrence.id, last_occurrence.due, campaign_rows.reached_people(session, last_occurrence.id), now)
    audit.record(session, now, author.actor, author.via, "撤回活动", f"occurrence:{last_occurrence.id}", detail=f"未发 {skipped}，已发 {len(sent)}")
    return RecallOutcome(skipped, sent)


# ── The pack of a law day becomes draft campaigns of a year, each on its working day ──

YEARS = range(1000, 10_000)


def find_pack(catalog: Catalog, name: str) -> LawDayPack:
    """The pack of a name, or of the name of its law day. Raises `Refusal` with the names there are."""
    packs = catalog.library.packs
    fitting = [pack for pack in packs.values() if name in (pack.name, pack.law_day)]
    if not fitting:
        raise Refusal(f"没有「{name[:20]}」这个活动包。现有：{'、'.join(packs) or '无'}。")
    return fitting[0]


def upcoming_items(catalog: Catalog, pack: LawDayPack, now: datetime, year: int | None = None) -> list[tuple[PackItem, Schedule]]:
    """The items still to come, of a year or of the next time that the law day comes round. Raises `UnknownYear` for a year to be entered."""
    today = day_of(now)
    month, day = LAW_DAYS[pack.law_day]
    chosen = year or (today.year if date(today.year, month, day) >= today else today.year + 1)
    calendar = catalog.library.calendar
    items = [(item, schedule) for item, schedule in dated_items(pack, chosen, calendar) if _is_upcoming(schedule, now)]
    if not items:
        raise Refusal(f"{chosen} 年的「{pack.name}」已经过去了，可以写明下一年：活动 包 {pack.name} {chosen + 1}。")
    return items


def _is_upcoming(schedule: Schedule, now: datetime) -> bool:
    return schedule.on is not None and datetime.fromisoformat(f"{schedule.on}T{schedule.time}").replace(tzinfo=SHANGHAI) > now


def split_year(typed: str) -> tuple[str, int | None]:
    """ "国家宪法日 2026" as a pack's name and a year."""
    name, _, tail = typed.strip().rpartition(" ")
    year = find_whole(tail, "年度", "年") if name else None
    return (name, year) if year is not None and year in YEARS else (typed.strip(), None)


def draft_pack(session: Session, catalog: Catalog, author: Author, typed: str, now: datetime, audience: Audience | None = None) -> list[Campaign]:
    """Drafts of a pack, named as "国家宪法日" or "国家宪法日 2026"; nothing is sent before each is started. A second time is refused."""
    name, year = split_year(typed)
    pack = find_pack(catalog, name)
    faults = [fault for item in pack.items if (fault := content_faults(pack_item_content(item), catalog.library))]
    if faults:
        raise Refusal(faults[0])
    items = upcoming_items(catalog, pack, now, year)
    clause = f"{pack.clause}（活动包 {pack.name} {items[0][1].on:%Y}）"
    drafted = [campaign for campaign in visible_campaigns(session, author) if campaign.clause == clause and campaign.state != "stopped"]
    if drafted:
        raise Refusal(f"这个活动包已经起草过了：{'、'.join(f'{campaign.id}「{campaign.name}」' for campaign in drafted[:5])}。")
    ids = [
        create(session, catalog, author, item.name, pack_item_content(item), schedule, audience or All(), now, clause=clause, missed="send")
        for item, schedule in items
    ]
    return [require_campaign(session, author, campaign) for campaign in ids]
