"""The facts about recipients that a delivery plan needs, read for a whole batch at once, whatever its size."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.content import CampaignContent
from bot.domain.contest.contest import contest_of_target
from bot.domain.delivery.quiet_hours import DeliveryRule, delivery_rule_from_json
from bot.domain.exam.exam import exam_of_target
from bot.domain.people.person import Learner, Preference
from bot.domain.times import day_of, start_of
from bot.storage.db.query import Statement
from bot.storage.delivery import completion
from bot.storage.delivery.queue import QueuedDelivery
from bot.storage.tables.columns import moment, stamp

BATCH = 500

_TIMES = "SELECT id, content, state, due FROM occurrence WHERE id IN ({ids})"
_CAMPAIGNS = "SELECT id, content, delivery FROM campaign WHERE id IN ({ids})"
_PEOPLE = "SELECT id, staff_no, name, tier, left_on FROM person WHERE id IN ({ids})"
_ACCOUNTS = 'SELECT person_id, channel, "user" FROM account WHERE person_id IN ({ids}) ORDER BY person_id, channel'
_CHOSEN = "SELECT person_id, push_at, quiet_from, quiet_to, digest, channel FROM preference WHERE person_id IN ({ids})"
_AWAY = "SELECT person_id, kind FROM absence WHERE person_id IN ({ids}) AND since <= :day AND (until IS NULL OR until >= :day)"
_BUSY = "SELECT person_id FROM focus WHERE person_id IN ({ids})"
_NEXT_APP = Statement("SELECT channel, app FROM inbox WHERE (channel, app) > (:channel, :app) ORDER BY channel, app LIMIT 1")
_HEARD = "SELECT sender, MAX(arrived_at) FROM inbox WHERE channel = :channel AND app = :app AND sender IN ({names}) GROUP BY sender"
_ENDED = "SELECT id FROM contest WHERE id IN ({ids}) AND state IN ('closed', 'cancelled')"
_OVER = "SELECT id FROM exam WHERE id IN ({ids}) AND state <> 'published'"
_EXAMINED = "SELECT person_id, MAX(deadline) FROM attempt WHERE person_id IN ({ids}) AND state = 'open' AND deadline > :now GROUP BY person_id"
_REMINDED = """SELECT d.person_id, d.id FROM delivery d JOIN campaign c ON c.id = d.campaign_id
    WHERE d.person_id IN ({ids}) AND d.state IN ('sent', 'sending', 'unknown') AND c.kind = 'reminder' AND d.created_at >= :yesterday
      AND COALESCE(d.sent_at, d.lease_until, d.created_at) >= :today"""
_ACCOUNTS_ON = Statement("SELECT channel, COUNT(*) FROM account GROUP BY channel")


@dataclass(frozen=True, slots=True)
class ReachableAccount:
    """Where somebody can be reached; `last_heard` is when they last spoke there, in the app that they spoke to."""

    channel: str
    user: str
    app: str = ""
    last_heard: datetime | None = None


@dataclass(slots=True)
class RecipientFacts:
    """Everything about a batch of deliveries that decides whether, when and where each is said."""

    content: dict[int, CampaignContent] = field(default_factory=dict)
    rule: dict[int, DeliveryRule] = field(default_factory=dict)
    void: set[int] = field(default_factory=set)
    learner: dict[int, Learner] = field(default_factory=dict)
    former: set[int] = field(default_factory=set)
    accounts: dict[int, list[ReachableAccount]] = field(default_factory=lambda: defaultdict(list))
    preference: dict[int, Preference] = field(default_factory=dict)
    away: dict[int, str] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    """Deliveries of what the person has done meanwhile."""
    ended_contests: set[int] = field(default_factory=set)
    ended_exams: set[int] = field(default_factory=set)
    exam_until: dict[int, datetime] = field(default_factory=dict)
    """Until when somebody sits an exam."""
    reminded: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))


def _rows(session: Session, text: str, ids: Collection[int], names: Sequence[str] = (), **values: Any) -> Iterator[Any]:
    """The rows of a statement about many ids, a few hundred at a time; `names` are bound."""
    bound = {f"n{n}": name for n, name in enumerate(names)}
    listed, wanted = ", ".join(f":{parameter}" for parameter in bound) or "NULL", sorted(ids)
    for start in range(0, len(wanted), BATCH):
        batch = ", ".join(str(int(parameter)) for parameter in wanted[start : start + BATCH])
        yield from Statement(text.format(ids=batch, names=listed)).all(session, **bound, **values)


def recipient_facts(session: Session, deliveries: Sequence[QueuedDelivery], now: datetime) -> RecipientFacts:
    """Read all that bot/services/delivery/plan.py plans with; some statements for each five hundred people."""
    facts, today = RecipientFacts(), day_of(now)
    people = {delivery.person_id for delivery in deliveries}
    occurrences = {delivery.occurrence_id: delivery.campaign_id for delivery in deliveries}
    due = _read_contents(session, facts, occurrences)
    for person_id, staff_no, name, tier, left_on in _rows(session, _PEOPLE, people):
        facts.learner[person_id] = Learner(person_id, staff_no, name, tier, frozenset())
        if left_on is not None and left_on < today.isoformat():
            facts.former.add(person_id)
    for person_id, *preference in _rows(session, _CHOSEN, people):
        facts.preference[person_id] = Preference(preference[0], preference[1], preference[2], bool(preference[3]), preference[4])
    for person_id, kind in _rows(session, _AWAY, people, day=today.isoformat()):
        facts.away[person_id] = "借调" if kind == "secondment" else "请假"
    facts.busy.update(row[0] for row in _rows(session, _BUSY, people))
    facts.exam_until.update((row[0], moment(row[1])) for row in _rows(session, _EXAMINED, people, now=stamp(now)))
    facts.accounts.update(reachable_accounts(session, people))
    _read_finished(session, facts, deliveries, due, people, now)
    return facts


def _read_contents(session: Session, facts: RecipientFacts, occurrences: dict[int, int]) -> dict[int, date]:
    """Read contents and rules; the day on which each occurrence fell due."""
    fired_on: dict[int, date] = {}
    of_campaign: dict[int, CampaignContent] = {}
    rules: dict[int, DeliveryRule] = {}
    for ident, content, delivery in _rows(session, _CAMPAIGNS, set(occurrences.values())):
        of_campaign[ident], rules[ident] = campaign_content.content_from_json(json.loads(content)), delivery_rule_from_json(json.loads(delivery))
    for ident, content, state, due in _rows(session, _TIMES, set(occurrences)):
        fired_on[ident] = day_of(moment(due))
        campaign = occurrences[ident]
        facts.content[ident] = campaign_content.content_from_json(json.loads(content)) if content else of_campaign[campaign]
        facts.rule[ident] = rules[campaign]
        if state == "void":
            facts.void.add(ident)
    return fired_on


def reachable_accounts(session: Session, people: Collection[int]) -> dict[int, list[ReachableAccount]]:
    """Every account of some people, with the app and the moment in which they last spoke there."""
    by_person: dict[int, list[ReachableAccount]] = defaultdict(list)
    account_rows = list(_rows(session, _ACCOUNTS, people))
    users: dict[str, list[str]] = defaultdict(list)
    for _, channel, user in account_rows:
        users[channel].append(user)
    last_messages: dict[tuple[str, str], tuple[str, str]] = {}
    # The inbox is found by channel, app and sender: one seek for each app there is, then one for each person.
    channel, app = "", ""
    while (row := _NEXT_APP.one(session, channel=channel, app=app)) is not None:
        channel, app = row
        for start in range(0, len(users[channel]), BATCH):
            for user, last_message in _rows(session, _HEARD, [0], users[channel][start : start + BATCH], channel=channel, app=app):
                last_messages[channel, user] = max(last_messages.get((channel, user), ("", "")), (last_message, app))
    for person_id, channel, user in account_rows:
        last_message, app = last_messages.get((channel, user), ("", ""))
        by_person[person_id].append(ReachableAccount(channel, user, app, moment(last_message) if last_message else None))
    return by_person


def _read_finished(
    session: Session, facts: RecipientFacts, deliveries: Sequence[QueuedDelivery], fired_on: dict[int, date], people: Collection[int], now: datetime
) -> None:
    """What of it is over, and what of it somebody did meanwhile."""
    contents = facts.content.values()
    contests = {contest_id for content in contents if (contest_id := contest_of_target(content.target)) is not None}
    facts.ended_contests.update(row[0] for row in _rows(session, _ENDED, contests))
    exams = {exam_id for content in contents if (exam_id := exam_of_target(content.target)) is not None}
    facts.ended_exams.update(row[0] for row in _rows(session, _OVER, exams))
    of_occurrence: dict[int, list[int]] = defaultdict(list)
    for delivery in deliveries:
        of_occurrence[delivery.occurrence_id].append(delivery.id)
    for occurrence_id, ids in of_occurrence.items():
        facts.done.update(completion.done_deliveries(session, occurrence_id, facts.content[occurrence_id], fired_on[occurrence_id], ids))
    if any(content.kind == "reminder" for content in facts.content.values()):
        morning = start_of(day_of(now))
        for person_id, row_id in _rows(session, _REMINDED, people, today=stamp(morning), yesterday=stamp(morning - timedelta(days=1))):
            facts.reminded[person_id].add(row_id)


def count_accounts(session: Session) -> dict[str, int]:
    """How many accounts are bound on each channel."""
    return {row[0]: int(row[1]) for row in _ACCOUNTS_ON.all(session)}
