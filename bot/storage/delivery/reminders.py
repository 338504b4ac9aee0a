"""Which tasks are open for whom, who is informed when they stay open, and the standing campaigns that reminders are deliveries of."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlmodel import Session

from bot.domain.campaign import content as campaign_content
from bot.domain.delivery.reminders import ReminderTask
from bot.domain.times import day_of
from bot.storage.db.query import Query, bind, columns, table
from bot.storage.delivery.completion import shown_by
from bot.storage.tables.activity import DutyRow, PlannedRow
from bot.storage.tables.campaign import CampaignRow, OccurrenceRow
from bot.storage.tables.columns import DayType
from bot.storage.tables.delivery import DeliveryRow
from bot.storage.tables.hours import DayTotalRow
from bot.storage.tables.people import AbsenceRow, AccountRow, PersonRow, PostRow, PreferenceRow, RoleRow, UnitRow
from bot.storage.tables.study import SittingRow

_absences, _accounts, _campaigns, _deliveries = table(AbsenceRow), table(AccountRow), table(CampaignRow), table(DeliveryRow)
_duties, _day_totals, _occurrences, _people = table(DutyRow), table(DayTotalRow), table(OccurrenceRow), table(PersonRow)
_planned, _posts, _preferences, _roles = table(PlannedRow), table(PostRow), table(PreferenceRow), table(RoleRow)
_sittings, _units = table(SittingRow), table(UnitRow)


@dataclass(frozen=True, slots=True)
class _FiredTask:
    """An occurrence with its campaign, as the rows have them."""

    campaign_id: int
    name: str
    campaign_content: str
    rule: str
    occurrence_id: int
    due: datetime
    content: str


_FIRED = (
    select(
        *columns(
            _occurrences, _FiredTask, name=_campaigns.c.name, campaign_content=_campaigns.c.content, rule=_campaigns.c.delivery,
            occurrence_id=_occurrences.c.id,
        )
    )
    .join(_campaigns, _campaigns.c.id == _occurrences.c.campaign_id)
    .where(_occurrences.c.state == "fired")
)  # fmt: skip
_SENT = Query(
    _FIRED.where(
        _campaigns.c.state.in_(("running", "done")),
        _campaigns.c.created_by != "system",
        _occurrences.c.due >= bind("since"),
        or_(_campaigns.c.delivery.like('%"within"%'), _campaigns.c.delivery.like('%"by"%')),
    ).order_by(_occurrences.c.id),
    gives=_FiredTask,
)
_LAST = Query(_FIRED.where(_campaigns.c.id == bind("campaign_id")).order_by(_occurrences.c.due.desc()).limit(1), gives=_FiredTask)
_REMINDED = Query(
    select(_deliveries.c.person_id)
    .distinct()
    .join(_campaigns, _campaigns.c.id == _deliveries.c.campaign_id)
    .where(
        _deliveries.c.person_id.in_(bind("people")),
        _campaigns.c.kind == "reminder",
        _deliveries.c.state.in_(("sent", "sending", "unknown")),
        _deliveries.c.sent_at >= bind("morning"),
    ),
    gives=int,
)
_LIAISONS = Query(
    select(_planned.c.campaign_id, _duties.c.liaison_id)
    .distinct()
    .join(_duties, _duties.c.id == _planned.c.duty_id)
    .where(_planned.c.campaign_id.is_not(None), _duties.c.liaison_id.is_not(None)),
    gives=tuple[int, int],
)
_UNITS = Query(select(_units.c.id, _units.c.parent_id), gives=tuple[int, int | None])
_HAS_NOT_LEFT = or_(_people.c.left_on.is_(None), _people.c.left_on >= bind("day"))
_POSTS = Query(
    select(_posts.c.person_id, _posts.c.unit_id, _people.c.tier)
    .join(_people, _people.c.id == _posts.c.person_id)
    .where(_posts.c.since <= bind("day"), or_(_posts.c.until.is_(None), _posts.c.until >= bind("day")), _HAS_NOT_LEFT)
    .order_by(_posts.c.id),
    gives=tuple[int, int, str],
)
_IN_CHARGE = Query(
    select(_roles.c.unit_id, _roles.c.person_id).where(_roles.c.role == "supervisor", _roles.c.unit_id.is_not(None)).order_by(_roles.c.id),
    gives=tuple[int, int],
)
_NAMES = Query(
    select(_people.c.id, _people.c.name, _people.c.staff_no, _people.c.tier).where(_people.c.id.in_(bind("people"))), gives=tuple[int, str, str, str]
)
_READERS = Query(
    select(_people.c.id)
    .where(
        _HAS_NOT_LEFT,
        or_(_people.c.joined_on.is_(None), _people.c.joined_on <= bind("day")),
        exists().where(_accounts.c.person_id == _people.c.id),
        ~exists().where(_preferences.c.person_id == _people.c.id, _preferences.c.digest == 0),
        ~exists().where(
            _absences.c.person_id == _people.c.id,
            _absences.c.since <= bind("day"),
            or_(_absences.c.until.is_(None), _absences.c.until >= bind("day")),
        ),
    )
    .order_by(_people.c.id),
    gives=int,
)
_WEEK = Query(
    select(
        select(func.count())
        .where(
            _sittings.c.person_id == bind("person_id"),
            _sittings.c.kind == "daily",
            _sittings.c.scope >= bind("first", DayType),
            _sittings.c.scope <= bind("last", DayType),
            _sittings.c.state == "done",
        )
        .scalar_subquery(),
        select(func.coalesce(func.sum(_day_totals.c.seconds), 0))
        .where(_day_totals.c.person_id == bind("person_id"), _day_totals.c.day >= bind("first", DayType), _day_totals.c.day <= bind("last", DayType))
        .scalar_subquery(),
    ),
    gives=tuple[int, int],
)


# ── What is open ──


def _task(fired: _FiredTask) -> tuple[ReminderTask, Mapping[str, Any]] | None:
    """An occurrence as a task with its campaign's rule; None for what nobody can be seen to do."""
    content = campaign_content.content_from_json(json.loads(fired.content or fired.campaign_content))
    if shown_by(content) is None:
        return None
    return ReminderTask(fired.campaign_id, fired.occurrence_id, fired.name, content, day_of(fired.due)), json.loads(fired.rule)


def sent_with_deadline(session: Session, since: datetime) -> list[tuple[ReminderTask, Mapping[str, Any]]]:
    """What fell due since a moment in campaigns that want it done by a day, with the campaign's rule."""
    return [task for fired in _SENT.all(session, since=since) if (task := _task(fired)) is not None]


def last_task(session: Session, campaign_id: int) -> tuple[ReminderTask, Mapping[str, Any]] | None:
    """The last time a campaign fell due; None when it never did, or nobody can be seen to do it."""
    fired = _LAST.first(session, campaign_id=campaign_id)
    return None if fired is None else _task(fired)


# ── Who is told ──


def liaisons(session: Session) -> dict[int, list[int]]:
    """The liaisons of the duty rows that a campaign serves."""
    by_campaign: dict[int, list[int]] = defaultdict(list)
    for campaign_id, person_id in _LIAISONS.all(session):
        by_campaign[campaign_id].append(person_id)
    return by_campaign


def heads(session: Session, people: Collection[int], today: date) -> dict[int, int]:
    """The head over each person: who supervises the unit, else the first of its leaders, else the head of the unit above; never oneself."""
    parent_of = dict(_UNITS.all(session))
    unit_of: dict[int, int] = {}
    in_charge: dict[int, list[int]] = defaultdict(list)
    for unit_id, person_id in _IN_CHARGE.all(session):
        in_charge[unit_id].append(person_id)
    for person_id, unit_id, tier in _POSTS.all(session, day=today):
        unit_of.setdefault(person_id, unit_id)
        if {"领导干部", "局党组"} & set(tier.split("、")):
            in_charge[unit_id].append(person_id)
    head_of: dict[int, int] = {}
    for person_id in people:
        unit: int | None = unit_of.get(person_id)
        while unit is not None:
            if in_charge[unit] and person_id not in in_charge[unit][:1]:
                head_of[person_id] = in_charge[unit][0]
                break
            unit = parent_of.get(unit)
    return head_of


def names_by_id(session: Session, people: Collection[int]) -> dict[int, tuple[str, str, str]]:
    """(name, staff number, tier) by id."""
    return {person_id: (name, staff_no, tier) for person_id, name, staff_no, tier in _NAMES.all(session, people=people)}


def digest_readers(session: Session, today: date) -> list[int]:
    """Everybody at work who can be reached and has not turned the weekly digest off."""
    return _READERS.all(session, day=today)


def week_totals(session: Session, person_id: int, first: date, last: date) -> tuple[int, int]:
    """(daily sets finished, credit seconds earned) from one day to another."""
    return _WEEK.one(session, person_id=person_id, first=first, last=last)


def reminded_since(session: Session, people: Collection[int], morning: datetime) -> set[int]:
    """Who of some people has had a reminder since a moment."""
    return set(_REMINDED.all(session, people=people, morning=morning))
