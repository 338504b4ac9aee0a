"""Which tasks are open for whom, who is informed when they stay open, and the standing campaigns that reminders are deliveries of."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.domain.campaign import content as campaign_content
from bot.domain.delivery.reminders import ReminderTask
from bot.domain.times import day_of
from bot.storage.db.query import Statement
from bot.storage.delivery.completion import shown_by
from bot.storage.tables.columns import moment, stamp

BATCH = 500

_SENT = Statement(
    """SELECT c.id, c.name, c.content, c.delivery, o.id, o.due, o.content FROM campaign c JOIN occurrence o ON o.campaign_id = c.id
       WHERE c.state IN ('running', 'done') AND c.created_by <> 'system' AND o.state = 'fired' AND o.due >= :since
         AND (c.delivery LIKE '%"within"%' OR c.delivery LIKE '%"by"%') ORDER BY o.id"""
)
_LAST = Statement(
    """SELECT c.id, c.name, c.content, c.delivery, o.id, o.due, o.content FROM campaign c JOIN occurrence o ON o.campaign_id = c.id
       WHERE c.id = :id AND o.state = 'fired' ORDER BY o.due DESC LIMIT 1"""
)
_REMINDED = """SELECT DISTINCT d.person_id FROM delivery d JOIN campaign c ON c.id = d.campaign_id
    WHERE d.person_id IN ({ids}) AND c.kind = 'reminder' AND d.state IN ('sent', 'sending', 'unknown') AND d.sent_at >= :morning"""
_LIAISONS = Statement(
    """SELECT DISTINCT n.campaign_id, d.liaison_id FROM planned n JOIN duty d ON d.id = n.duty_id
       WHERE n.campaign_id IS NOT NULL AND d.liaison_id IS NOT NULL"""
)
_UNITS = Statement("SELECT id, parent_id FROM unit")
_POSTS = Statement(
    """SELECT o.person_id, o.unit_id, p.tier FROM post o JOIN person p ON p.id = o.person_id
       WHERE o.since <= :day AND (o.until IS NULL OR o.until >= :day) AND (p.left_on IS NULL OR p.left_on >= :day) ORDER BY o.id"""
)
_IN_CHARGE = Statement("SELECT unit_id, person_id FROM role WHERE role = 'supervisor' AND unit_id IS NOT NULL ORDER BY id")
_NAMES = "SELECT id, name, staff_no, tier FROM person WHERE id IN ({ids})"
_READERS = Statement(
    """SELECT p.id FROM person p WHERE (p.left_on IS NULL OR p.left_on >= :day) AND (p.joined_on IS NULL OR p.joined_on <= :day)
         AND EXISTS (SELECT 1 FROM account a WHERE a.person_id = p.id)
         AND NOT EXISTS (SELECT 1 FROM preference f WHERE f.person_id = p.id AND f.digest = 0)
         AND NOT EXISTS (SELECT 1 FROM absence a WHERE a.person_id = p.id AND a.since <= :day AND (a.until IS NULL OR a.until >= :day))
       ORDER BY p.id"""
)
_WEEK = Statement(
    """SELECT (SELECT COUNT(*) FROM sitting s WHERE s.person_id = :person_id AND s.kind = 'daily' AND s.scope >= :first AND s.scope <= :last
               AND s.state = 'done'),
              (SELECT COALESCE(SUM(t.seconds), 0) FROM day_total t WHERE t.person_id = :person_id AND t.day >= :first AND t.day <= :last)"""
)


# ── What is open ──


def _task(row: Any) -> tuple[ReminderTask, Mapping[str, Any]] | None:
    """A row as a task with its campaign's rule; None for what nobody can be seen to do."""
    content = campaign_content.content_from_json(json.loads(row[6] or row[2]))
    if shown_by(content) is None:
        return None
    return ReminderTask(row[0], row[4], row[1], content, day_of(moment(row[5]))), json.loads(row[3])


def sent_with_deadline(session: Session, since: datetime) -> list[tuple[ReminderTask, Mapping[str, Any]]]:
    """What fell due since a moment in campaigns that want it done by a day, with the campaign's rule."""
    return [task for row in _SENT.all(session, since=stamp(since)) if (task := _task(row)) is not None]


def last_task(session: Session, campaign_id: int) -> tuple[ReminderTask, Mapping[str, Any]] | None:
    """The last time a campaign fell due; None when it never did, or nobody can be seen to do it."""
    row = _LAST.one(session, id=campaign_id)
    return None if row is None else _task(row)


# ── Who is told ──


def liaisons(session: Session) -> dict[int, list[int]]:
    """The liaisons of the duty rows that a campaign serves."""
    by_campaign: dict[int, list[int]] = defaultdict(list)
    for campaign_id, person_id in _LIAISONS.all(session):
        by_campaign[campaign_id].append(person_id)
    return by_campaign


def heads(session: Session, people: Collection[int], today: date) -> dict[int, int]:
    """The head over each person: who supervises the unit, else the first of its leaders, else the head of the unit above; never oneself."""
    parent_of = {row[0]: row[1] for row in _UNITS.all(session)}
    unit_of: dict[int, int] = {}
    in_charge: dict[int, list[int]] = defaultdict(list)
    for unit_id, person_id in _IN_CHARGE.all(session):
        in_charge[unit_id].append(person_id)
    for person_id, unit_id, tier in _POSTS.all(session, day=today.isoformat()):
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
    by_id: dict[int, tuple[str, str, str]] = {}
    wanted = sorted(people)
    for start in range(0, len(wanted), BATCH):
        ids = ", ".join(str(int(person_id)) for person_id in wanted[start : start + BATCH])
        by_id |= {row[0]: (row[1], row[2], row[3]) for row in Statement(_NAMES.format(ids=ids)).all(session)}
    return by_id


def digest_readers(session: Session, today: date) -> list[int]:
    """Everybody at work who can be reached and has not turned the weekly digest off."""
    return [row[0] for row in _READERS.all(session, day=today.isoformat())]


def week_totals(session: Session, person_id: int, first: date, last: date) -> tuple[int, int]:
    """(daily sets finished, credit seconds earned) from one day to another."""
    row = _WEEK.one(session, person_id=person_id, first=first.isoformat(), last=last.isoformat())
    return int(row[0]), int(row[1])


def reminded_since(session: Session, people: Collection[int], morning: datetime) -> set[int]:
    """Who of some people has had a reminder since a moment."""
    reminded: set[int] = set()
    wanted = sorted(people)
    for start in range(0, len(wanted), BATCH):
        ids = ", ".join(str(int(person_id)) for person_id in wanted[start : start + BATCH])
        reminded |= {row[0] for row in Statement(_REMINDED.format(ids=ids)).all(session, morning=stamp(morning))}
    return reminded
