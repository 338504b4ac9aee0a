"""What the house says to one person, made at the moment of sending: done meanwhile means nothing to say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent
from bot.domain.delivery.reminders import DUE, HEAD, HOURS, LADDER, LIAISON, NUDGE, WEEK, ReminderTask, names_text, ordered, task_line
from bot.domain.hours.policy import hours_text, quotas, shown_hours, total_hours
from bot.domain.message import Option, Reply
from bot.domain.times import chinese_day, day_of
from bot.services.delivery import correction_messages, reminders
from bot.services.hours import forecast
from bot.services.library.catalog import Catalog
from bot.services.study import mistakes
from bot.storage.delivery import reminders as delivery_reminders
from bot.storage.hours import ledger
from bot.storage.people import accounts

PERSONAL = (DUE, LADDER, WEEK)
MINE = Option("我的学时", "我的学时")
_BUTTONS = 3


def is_personal(content: CampaignContent) -> bool:
    """Whether the text is made for each person when it is sent."""
    if content.kind == "notice":
        return content.target.startswith(f"{correction_messages.TARGET}:")
    return content.kind in ("reminder", "digest") and (content.target in PERSONAL or content.target.startswith(f"{NUDGE}:"))


def told(session: Session, catalog: Catalog, wanted: Mapping[int, tuple[int, CampaignContent]], now: datetime) -> dict[int, Reply | None]:
    """The replies of deliveries, given as delivery -> (person, content); None for what need not be said any more. Reads only."""
    by_target: dict[str, dict[int, int]] = defaultdict(dict)
    for delivery_id, (person_id, content) in wanted.items():
        by_target[content.target][delivery_id] = person_id
    found: dict[int, Reply | None] = {}
    for target, people in by_target.items():
        said = _said(session, catalog, target, set(people.values()), now)
        found |= {delivery_id: said.get(person_id) for delivery_id, person_id in people.items()}
    return found


def _said(session: Session, catalog: Catalog, target: str, people: Collection[int], now: datetime) -> dict[int, Reply]:
    if target.startswith(f"{correction_messages.TARGET}:"):
        return correction_messages.notices_for(session, catalog, target, people)
    today, calendar = day_of(now), catalog.library.calendar
    if target == LADDER:
        return _ladder(session, catalog, people, today)
    named = [one for one in reminders.with_deadline(session, calendar, today) if one.is_told]
    if target == DUE:
        return {who: reminder(mine) for who, mine in reminders.by_person(session, named, today, people).items()}
    open_tasks = reminders.by_person(session, named, today, people)
    if target == WEEK:
        return _weeks(session, catalog, people, open_tasks, now)
    about = target.partition(":")[2]
    if about == HOURS:
        return _hours(session, catalog, people, open_tasks, now)
    asked = reminders.of_campaign(session, calendar, int(about), today)
    if asked is None:
        return {}
    others = {who: [one for one in mine if one.occurrence_id != asked.occurrence_id] for who, mine in open_tasks.items()}
    return {who: reminder([asked, *others.get(who, [])]) for who in delivery_reminders.open_people(session, asked, today, people)}


def reminder(mine: Sequence[ReminderTask]) -> Reply:
    """One message for all that is open."""
    listed = ordered(mine)
    lines = [f"⏰ 您有 {len(listed)} 项学法任务还没有完成：", *map(task_line, listed)]
    if len(listed) == 1:
        return Reply("\n".join(lines), buttons=listed[0].buttons)
    # Of several, each by its one command; a vote needs the whole question, which is asked when nothing else is.
    single = dict.fromkeys(one.buttons[0] for one in listed if len(one.buttons) == 1)
    return Reply("\n".join(lines), buttons=(*single, MINE)[:_BUTTONS])


def _hours(
    session: Session, catalog: Catalog, people: Collection[int], open_tasks: Mapping[int, Sequence[ReminderTask]], now: datetime
) -> dict[int, Reply]:
    found: dict[int, Reply] = {}
    for who, (name, _, tier) in delivery_reminders.names(session, people).items():
        ahead = forecast.outlook_of(session, catalog, who, tier, now)
        if ahead is None or not ahead.outlook.will_miss:
            continue
        outlook = ahead.outlook
        lines = [f"⏰ {name}，今年学时 {hours_text(outlook.total)}/{hours_text(outlook.quota.need)}。", forecast.sentence(ahead)]
        mine = ordered(open_tasks.get(who, ()))
        lines += ["还没有完成的任务：", *map(task_line, mine)] if mine else []
        found[who] = Reply("\n".join(lines), buttons=(Option("学习", "学习"), Option("每日", "每日一练"), MINE))
    return found


# ── The weekly digest ──


def _weeks(
    session: Session, catalog: Catalog, people: Collection[int], open_tasks: Mapping[int, Sequence[ReminderTask]], now: datetime
) -> dict[int, Reply]:
    return {
        who: _week(session, catalog, who, name, tier, open_tasks.get(who, ()), now)
        for who, (name, _, tier) in delivery_reminders.names(session, people).items()
        if accounts.get_preference(session, who).digest
    }


def _week(session: Session, catalog: Catalog, who: int, name: str, tier: str, mine: Sequence[ReminderTask], now: datetime) -> Reply:
    today, calendar = day_of(now), catalog.library.calendar
    first = today - timedelta(days=today.weekday() + 7)
    last = first + timedelta(days=6)
    sets, seconds = delivery_reminders.week(session, who, first, last)
    worked = calendar.workdays_between(first, last + timedelta(days=1)) if calendar.knows(first.year) and calendar.knows(last.year) else 0
    need = quotas(catalog.policy, today)
    total = total_hours(ledger.year_seconds(session, who, today.year), need.seconds_per_hour)
    asked = need.need(tier)
    running = mistakes.streak_of(session, calendar, who, now)
    lines = [
        f"🗂 {name}，上周学法小结（{chinese_day(first)}—{chinese_day(last)}）",
        f"每日一练 {sets}{f'/{worked}' if worked else ''} 天，学时 +{hours_text(shown_hours(seconds, need.seconds_per_hour))}"
        + (f"，连续学法 {running.days} 个工作日" if running.days else ""),
        f"今年合计 {hours_text(total)}{f'/{hours_text(asked)}' if asked is not None else ''} 学时",
    ]
    ahead = forecast.sentence(forecast.outlook_of(session, catalog, who, tier, now))
    lines += [ahead] if ahead else []
    lines += ["待完成：", *map(task_line, ordered(mine))] if mine else []
    return Reply("\n".join([*lines, "不想收周报，回复「设置 周报 关」。"]), buttons=(Option("每日", "每日一练"), MINE))


# ── The ladder ──


def overdue(session: Session, catalog: Catalog, today: date) -> list[tuple[ReminderTask, list[int]]]:
    """What is late enough for others to be told, with those who have not done it."""
    late = [one for one in reminders.with_deadline(session, catalog.library.calendar, today) if one.offset >= LIAISON]
    return [(one, delivery_reminders.open_people(session, one, today)) for one in late]


def told_of(session: Session, late: Sequence[tuple[ReminderTask, list[int]]], today: date) -> dict[int, list[tuple[ReminderTask, list[int]]]]:
    """Who is told of whom: liaisons of everybody in their campaigns, from the fifth day on heads of those in their unit."""
    found: dict[int, dict[int, tuple[ReminderTask, set[int]]]] = defaultdict(dict)
    liaisons = delivery_reminders.liaisons(session)
    over = delivery_reminders.heads(session, {who for task, people in late if task.offset >= HEAD for who in people}, today)
    for task, people in late:
        for who in people:
            above = [one for one in liaisons.get(task.campaign_id, ()) if one != who]
            if task.offset >= HEAD and who in over:
                above.append(over[who])
            for one in above:
                found[one].setdefault(task.occurrence_id, (task, set()))[1].add(who)
    return {one: [(task, sorted(people)) for task, people in listed.values()] for one, listed in found.items()}


def _ladder(session: Session, catalog: Catalog, people: Collection[int], today: date) -> dict[int, Reply]:
    late = told_of(session, overdue(session, catalog, today), today)
    late = {who: listed for who, listed in late.items() if who in people}
    names = delivery_reminders.names(session, {who for listed in late.values() for _, behind in listed for who in behind})
    found: dict[int, Reply] = {}
    for who, listed in late.items():
        lines = [f"📋 督办提醒：{len({one for _, behind in listed for one in behind})} 人有学法任务过期未完成，请您过问。"]
        for task, behind in sorted(listed, key=lambda one: -one[0].offset):
            lines.append(f"{task_line(task)}：{names_text([names[one][0] for one in behind])}")
        found[who] = Reply("\n".join(lines))
    return found
