"""What has to be known of people before something owed to them is said: read for a whole batch at once, whatever its size."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.content import CampaignContent
from bot.domain.contest.contest import contest_of_target
from bot.domain.delivery.quiet_hours import DeliveryRule, delivery_rule
from bot.domain.exam.exam import exam_of
from bot.domain.people.person import Learner, Preference
from bot.domain.times import day_of, start_of
from bot.storage.db.query import Statement
from bot.storage.delivery.queue import QueuedDelivery
from bot.storage.tables.columns import moment, stamp

AT_ONCE = 500

_TIMES = "SELECT id, content, state FROM occurrence WHERE id IN ({ids})"
_CAMPAIGNS = "SELECT id, content, delivery FROM campaign WHERE id IN ({ids})"
_PEOPLE = "SELECT id, staff_no, name, tier, left_on FROM person WHERE id IN ({ids})"
_ACCOUNTS = 'SELECT person_id, channel, "user" FROM account WHERE person_id IN ({ids}) ORDER BY person_id, channel'
_CHOSEN = "SELECT person_id, push_at, quiet_from, quiet_to, digest, channel FROM preference WHERE person_id IN ({ids})"
_AWAY = "SELECT person_id, kind FROM absence WHERE person_id IN ({ids}) AND since <= :day AND (until IS NULL OR until >= :day)"
_BUSY = "SELECT person_id FROM focus WHERE person_id IN ({ids})"
_NEXT_APP = Statement("SELECT channel, app FROM inbox WHERE (channel, app) > (:channel, :app) ORDER BY channel, app LIMIT 1")
_HEARD = "SELECT sender, MAX(arrived_at) FROM inbox WHERE channel = :channel AND app = :app AND sender IN ({names}) GROUP BY sender"
_LESSONS = """SELECT DISTINCT person_id, lesson FROM reading
    WHERE person_id IN ({ids}) AND state = 'done' AND closed_at >= :since AND lesson IN ({names})"""
_DAILY = "SELECT person_id FROM sitting WHERE person_id IN ({ids}) AND kind = 'daily' AND scope = :day AND state = 'done'"
_PLAYED = "SELECT person_id, contest_id FROM participation WHERE person_id IN ({ids}) AND finished_at IS NOT NULL"
_ENDED = "SELECT id FROM contest WHERE id IN ({ids}) AND state IN ('closed', 'cancelled')"
_SAT = "SELECT DISTINCT person_id, exam_id FROM attempt WHERE person_id IN ({ids})"
_OVER = "SELECT id FROM exam WHERE id IN ({ids}) AND state <> 'published'"
_EXAMINED = "SELECT person_id, MAX(deadline) FROM attempt WHERE person_id IN ({ids}) AND state = 'open' AND deadline > :now GROUP BY person_id"
_VOTED = "SELECT occurrence_id, person_id FROM vote WHERE occurrence_id IN ({ids})"
_READ = "SELECT id FROM delivery WHERE id IN ({ids}) AND read_at IS NOT NULL"
_REMINDED = """SELECT d.person_id, d.id FROM delivery d JOIN campaign c ON c.id = d.campaign_id
    WHERE d.person_id IN ({ids}) AND d.state IN ('sent', 'sending', 'unknown') AND c.kind = 'reminder' AND d.created_at >= :yesterday
      AND COALESCE(d.sent_at, d.lease_until, d.created_at) >= :today"""
_ACCOUNTS_ON = Statement("SELECT channel, COUNT(*) FROM account GROUP BY channel")


@dataclass(frozen=True, slots=True)
class ReachableAccount:
    """Where somebody can be reached; `heard` is when they last spoke there, in the app that they spoke to."""

    channel: str
    user: str
    app: str = ""
    heard: datetime | None = None


@dataclass(slots=True)
class RecipientFacts:
    """Everything about a batch of deliveries that decides whether, when and where each is said."""

    content: dict[int, CampaignContent] = field(default_factory=dict)
    rule: dict[int, DeliveryRule] = field(default_factory=dict)
    void: set[int] = field(default_factory=set)
    person: dict[int, Learner] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    accounts: dict[int, list[ReachableAccount]] = field(default_factory=lambda: defaultdict(list))
    chosen: dict[int, Preference] = field(default_factory=dict)
    away: dict[int, str] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    lessons: set[tuple[int, str]] = field(default_factory=set)
    daily: set[int] = field(default_factory=set)
    played: set[tuple[int, int]] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    sat: set[tuple[int, int]] = field(default_factory=set)
    over: set[int] = field(default_factory=set)
    examined: dict[int, datetime] = field(default_factory=dict)
    """Who is at an exam, until when."""
    voted: set[tuple[int, int]] = field(default_factory=set)
    read: set[int] = field(default_factory=set)
    reminded: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))


def _rows(session: Session, text: str, ids: Collection[int], names: Sequence[str] = (), **values: Any) -> Iterator[Any]:
    """The rows of a statement about many ids, a few hundred at a time; `names` are bound."""
    bound = {f"n{n}": name for n, name in enumerate(names)}
    listed, wanted = ", ".join(f":{one}" for one in bound) or "NULL", sorted(ids)
    for at in range(0, len(wanted), AT_ONCE):
        part = ", ".join(str(int(one)) for one in wanted[at : at + AT_ONCE])
        yield from Statement(text.format(ids=part, names=listed)).all(session, **bound, **values)


def known(session: Session, owed: Sequence[QueuedDelivery], now: datetime) -> RecipientFacts:
    """Read all that `services/delivery.py` plans with; some statements for each five hundred people."""
    found, today = RecipientFacts(), day_of(now)
    people = {one.person_id for one in owed}
    occurrences = {one.occurrence_id: one.campaign_id for one in owed}
    _plans(session, found, occurrences)
    for ident, staff_no, name, tier, left_on in _rows(session, _PEOPLE, people):
        found.person[ident] = Learner(ident, staff_no, name, tier, frozenset())
        if left_on is not None and left_on < today.isoformat():
            found.left.add(ident)
    for ident, *rest in _rows(session, _CHOSEN, people):
        found.chosen[ident] = Preference(rest[0], rest[1], rest[2], bool(rest[3]), rest[4])
    for ident, kind in _rows(session, _AWAY, people, day=today.isoformat()):
        found.away[ident] = "借调" if kind == "secondment" else "请假"
    found.busy.update(row[0] for row in _rows(session, _BUSY, people))
    found.examined.update((row[0], moment(row[1])) for row in _rows(session, _EXAMINED, people, now=stamp(now)))
    found.accounts.update(accounts(session, people))
    _finished(session, found, owed, people, now)
    return found


def _plans(session: Session, found: RecipientFacts, occurrences: dict[int, int]) -> None:
    of_campaign: dict[int, CampaignContent] = {}
    rules: dict[int, DeliveryRule] = {}
    for ident, content, delivery in _rows(session, _CAMPAIGNS, set(occurrences.values())):
        of_campaign[ident], rules[ident] = campaign_content.content_from_json(json.loads(content)), delivery_rule(json.loads(delivery))
    for ident, content, state in _rows(session, _TIMES, set(occurrences)):
        campaign = occurrences[ident]
        found.content[ident] = campaign_content.content_from_json(json.loads(content)) if content else of_campaign[campaign]
        found.rule[ident] = rules[campaign]
        if state == "void":
            found.void.add(ident)


def accounts(session: Session, people: Collection[int]) -> dict[int, list[ReachableAccount]]:
    """Every account of some people, with the app and the moment in which they last spoke there."""
    found: dict[int, list[ReachableAccount]] = defaultdict(list)
    rows = list(_rows(session, _ACCOUNTS, people))
    users: dict[str, list[str]] = defaultdict(list)
    for _, channel, user in rows:
        users[channel].append(user)
    heard: dict[tuple[str, str], tuple[str, str]] = {}
    # The inbox is found by channel, app and sender: one seek for each app there is, then one for each person.
    channel, app = "", ""
    while (row := _NEXT_APP.one(session, channel=channel, app=app)) is not None:
        channel, app = row
        for at in range(0, len(users[channel]), AT_ONCE):
            for user, arrived in _rows(session, _HEARD, [0], users[channel][at : at + AT_ONCE], channel=channel, app=app):
                heard[channel, user] = max(heard.get((channel, user), ("", "")), (arrived, app))
    for ident, channel, user in rows:
        arrived, app = heard.get((channel, user), ("", ""))
        found[ident].append(ReachableAccount(channel, user, app, moment(arrived) if arrived else None))
    return found


def _finished(session: Session, found: RecipientFacts, owed: Sequence[QueuedDelivery], people: Collection[int], now: datetime) -> None:
    """What of it somebody did meanwhile."""
    today = day_of(now)
    lessons = sorted({content.lesson for content in found.content.values() if content.lesson})
    if lessons:
        since = stamp(start_of(today.replace(month=1, day=1)))
        found.lessons.update((row[0], row[1]) for row in _rows(session, _LESSONS, people, lessons, since=since))
    if any(content.kind == "daily" or content.target == "每日" for content in found.content.values()):
        found.daily.update(row[0] for row in _rows(session, _DAILY, people, day=today.isoformat()))
    contests = {number for content in found.content.values() if (number := contest_of_target(content.target)) is not None}
    if contests:
        found.ended.update(row[0] for row in _rows(session, _ENDED, contests))
        found.played.update((row[0], row[1]) for row in _rows(session, _PLAYED, people) if row[1] in contests)
    exams = {number for content in found.content.values() if (number := exam_of(content.target)) is not None}
    if exams:
        found.over.update(row[0] for row in _rows(session, _OVER, exams))
        found.sat.update((row[0], row[1]) for row in _rows(session, _SAT, people) if row[1] in exams)
    polls = [ident for ident, content in found.content.items() if content.kind == "poll"]
    found.voted.update((row[0], row[1]) for row in _rows(session, _VOTED, polls))
    found.read.update(row[0] for row in _rows(session, _READ, [one.id for one in owed]))
    if any(content.kind == "reminder" for content in found.content.values()):
        morning = start_of(today)
        for person, ident in _rows(session, _REMINDED, people, today=stamp(morning), yesterday=stamp(morning - timedelta(days=1))):
            found.reminded[person].add(ident)


def accounts_on(session: Session) -> dict[str, int]:
    """How many accounts are bound on each channel."""
    return {row[0]: int(row[1]) for row in _ACCOUNTS_ON.all(session)}
