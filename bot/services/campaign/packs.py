"""A law day's pack becomes draft campaigns of a year, each on its working day."""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Session

from bot.domain.campaign.campaign import Author, Campaign, dated_items, pack_item_content
from bot.domain.campaign.content import content_faults
from bot.domain.campaign.schedule import LAW_DAYS, Schedule
from bot.domain.library.library import LawDayPack, PackItem
from bot.domain.message import Refusal
from bot.domain.people.audience import All, Audience
from bot.domain.text.numbers import find_whole
from bot.domain.times import SHANGHAI, day_of
from bot.services.campaign import manage
from bot.services.library.catalog import Catalog

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
    drafted = [campaign for campaign in manage.visible_campaigns(session, author) if campaign.clause == clause and campaign.state != "stopped"]
    if drafted:
        raise Refusal(f"这个活动包已经起草过了：{'、'.join(f'{campaign.id}「{campaign.name}」' for campaign in drafted[:5])}。")
    ids = [
        manage.create(session, catalog, author, item.name, pack_item_content(item), schedule, audience or All(), now, clause=clause, missed="send")
        for item, schedule in items
    ]
    return [manage.require_campaign(session, author, campaign) for campaign in ids]
