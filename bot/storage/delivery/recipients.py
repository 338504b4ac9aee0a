"""The facts about recipients that a delivery plan needs, read for a whole batch at once, whatever its size."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import Text, func, or_, select, tuple_
from sqlmodel import Session

from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.content import CampaignContent
from bot.domain.contest.contest import contest_of_target
from bot.domain.delivery.platform_limits import WECHAT_WINDOW, heard_limit
from bot.domain.delivery.quiet_hours import DeliveryRule, delivery_rule_from_json
from bot.domain.exam.exam import exam_of_target
from bot.domain.people.person import Learner, Preference
from bot.domain.times import day_of, start_of
from bot.storage.db.query import Query, bind, columns, table
from bot.storage.delivery import completion, quota
from bot.storage.delivery.queue import QueuedDelivery
from bot.storage.tables.campaign import CampaignRow, OccurrenceRow
from bot.storage.tables.contest import ContestRow
from bot.storage.tables.delivery import DeliveryRow
from bot.storage.tables.exam import AttemptRow, ExamRow
from bot.storage.tables.people import AbsenceRow, AccountRow, PersonRow, PreferenceRow
from bot.storage.tables.study import FocusRow
from bot.storage.tables.system import InboxRow

_absences, _accounts, _attempts, _campaigns = table(AbsenceRow), table(AccountRow), table(AttemptRow), table(CampaignRow)
_contests, _deliveries, _exams, _inbox = table(ContestRow), table(DeliveryRow), table(ExamRow), table(InboxRow)
_occurrences, _people, _preferences, _tasks = table(OccurrenceRow), table(PersonRow), table(PreferenceRow), table(FocusRow)

_PEOPLE = Query(
    select(_people.c.id, _people.c.staff_no, _people.c.name, _people.c.tier, _people.c.left_on).where(_people.c.id.in_(bind("people"))),
    gives=tuple[int, str, str, str, date | None],
)
_ACCOUNTS = Query(
    select(_accounts.c.person_id, _accounts.c.channel, _accounts.c.user)
    .where(_accounts.c.person_id.in_(bind("people")))
    .order_by(_accounts.c.person_id, _accounts.c.channel),
    gives=tuple[int, str, str],
)
_CHOSEN = Query(
    select(_preferences.c.person_id, *columns(_preferences, Preference)).where(_preferences.c.person_id.in_(bind("people"))), gives=(int, Preference)
)
_AWAY = Query(
    select(_absences.c.person_id, _absences.c.kind).where(
        _absences.c.person_id.in_(bind("people")),
        _absences.c.since <= bind("day"),
        or_(_absences.c.until.is_(None), _absences.c.until >= bind("day")),
    ),
    gives=tuple[int, str],
)
_BUSY = Query(select(_tasks.c.person_id).where(_tasks.c.person_id.in_(bind("people"))), gives=int)
_AT_EXAM = Query(
    select(_attempts.c.person_id, func.max(_attempts.c.deadline))
    .where(_attempts.c.person_id.in_(bind("people")), _attempts.c.state == "open", _attempts.c.deadline > bind("now"))
    .group_by(_attempts.c.person_id),
    gives=tuple[int, datetime],
)
_NEXT_APP = Query(
    select(_inbox.c.channel, _inbox.c.app)
    .where(tuple_(_inbox.c.channel, _inbox.c.app) > tuple_(bind("channel", Text), bind("app", Text)))
    .order_by(_inbox.c.channel, _inbox.c.app)
    .limit(1),
    gives=tuple[str, str],
)
_HEARD = Query(
    select(_inbox.c.sender, func.max(_inbox.c.arrived_at))
    .where(_inbox.c.channel == bind("channel"), _inbox.c.app == bind("app"), _inbox.c.sender.in_(bind("users")))
    .group_by(_inbox.c.sender),
    gives=tuple[str, datetime],
)
_LAST_HEARD = Query(
    select(func.max(_inbox.c.arrived_at)).where(_inbox.c.channel == bind("channel"), _inbox.c.sender == bind("user")), gives=tuple[datetime | None]
)
_OCCURRENCES = Query(
    select(_occurrences.c.id, _occurrences.c.content, _campaigns.c.content, _campaigns.c.delivery, _occurrences.c.state, _occurrences.c.due)
    .join(_campaigns, _campaigns.c.id == _occurrences.c.campaign_id)
    .where(_occurrences.c.id.in_(bind("ids"))),
    gives=tuple[int, str, str, str, str, datetime],
)
_ENDED_CONTESTS = Query(select(_contests.c.id).where(_contests.c.id.in_(bind("ids")), _contests.c.state.in_(("closed", "cancelled"))), gives=int)
_ENDED_EXAMS = Query(select(_exams.c.id).where(_exams.c.id.in_(bind("ids")), _exams.c.state != "published"), gives=int)
_REMINDED = Query(
    select(_deliveries.c.person_id, _deliveries.c.id)
    .join(_campaigns, _campaigns.c.id == _deliveries.c.campaign_id)
    .where(
        _deliveries.c.person_id.in_(bind("people")),
        _deliveries.c.state.in_(("sent", "sending", "unknown")),
        _campaigns.c.kind == "reminder",
        _deliveries.c.created_at >= bind("yesterday"),
        func.coalesce(_deliveries.c.sent_at, _deliveries.c.lease_until, _deliveries.c.created_at) >= bind("today"),
    ),
    gives=tuple[int, int],
)
_ACCOUNTS_ON = Query(select(_accounts.c.channel, func.count()).group_by(_accounts.c.channel), gives=tuple[str, int])


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
    ended: set[int] = field(default_factory=set)
    """Occurrences whose contest or exam is over."""
    exam_until: dict[int, datetime] = field(default_factory=dict)
    """Until when somebody sits an exam."""
    reminded: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))


def recipient_facts(session: Session, deliveries: Sequence[QueuedDelivery], now: datetime) -> RecipientFacts:
    """Read all that bot/services/delivery/plan.py plans with: some statements, whatever the number of people."""
    facts, today = RecipientFacts(), day_of(now)
    people = sorted({delivery.person_id for delivery in deliveries})
    due = _read_contents(session, facts, sorted({delivery.occurrence_id for delivery in deliveries}))
    for person_id, staff_no, name, tier, left_on in _PEOPLE.all(session, people=people):
        facts.learner[person_id] = Learner(person_id, staff_no, name, tier, frozenset())
        if left_on is not None and left_on < today:
            facts.former.add(person_id)
    facts.preference.update(_CHOSEN.all(session, people=people))
    facts.away.update((person_id, "借调" if kind == "secondment" else "请假") for person_id, kind in _AWAY.all(session, people=people, day=today))
    facts.busy.update(_BUSY.all(session, people=people))
    facts.exam_until.update(_AT_EXAM.all(session, people=people, now=now))
    facts.accounts.update(reachable_accounts(session, people))
    _read_finished(session, facts, deliveries, due, people, now)
    return facts


def _read_contents(session: Session, facts: RecipientFacts, occurrences: Sequence[int]) -> dict[int, date]:
    """Read contents and rules; the day on which each occurrence fell due."""
    fired_on: dict[int, date] = {}
    for occurrence_id, own_content, content, rule, state, due in _OCCURRENCES.all(session, ids=occurrences):
        fired_on[occurrence_id] = day_of(due)
        facts.content[occurrence_id] = campaign_content.content_from_json(json.loads(own_content or content))
        facts.rule[occurrence_id] = delivery_rule_from_json(json.loads(rule))
        if state == "void":
            facts.void.add(occurrence_id)
    return fired_on


def reachable_accounts(session: Session, people: Sequence[int]) -> dict[int, list[ReachableAccount]]:
    """Every account of some people, with the app and the moment in which they last spoke there."""
    by_person: dict[int, list[ReachableAccount]] = defaultdict(list)
    accounts = _ACCOUNTS.all(session, people=people)
    users: dict[str, list[str]] = defaultdict(list)
    for _, channel, user in accounts:
        users[channel].append(user)
    last_messages: dict[tuple[str, str], tuple[datetime, str]] = {}
    # The inbox is found by channel, app and sender: one seek for each app there is, then one for each person.
    channel, app = "", ""
    while (found := _NEXT_APP.first(session, channel=channel, app=app)) is not None:
        channel, app = found
        if channel not in users:
            continue
        for user, last_message in _HEARD.all(session, channel=channel, app=app, users=users[channel]):
            known = last_messages.get((channel, user))
            if known is None or (last_message, app) > known:
                last_messages[channel, user] = last_message, app
    for person_id, channel, user in accounts:
        heard_at, heard_in = last_messages.get((channel, user), (None, ""))
        by_person[person_id].append(ReachableAccount(channel, user, heard_in, heard_at))
    return by_person


def _read_finished(
    session: Session, facts: RecipientFacts, deliveries: Sequence[QueuedDelivery], fired_on: dict[int, date], people: Sequence[int], now: datetime
) -> None:
    """What of it is over, and what of it somebody did meanwhile."""
    contests = {occurrence_id: contest_of_target(content.target) for occurrence_id, content in facts.content.items()}
    exams = {occurrence_id: exam_of_target(content.target) for occurrence_id, content in facts.content.items()}
    for of_occurrence, query in ((contests, _ENDED_CONTESTS), (exams, _ENDED_EXAMS)):
        if ids := {ident for ident in of_occurrence.values() if ident is not None}:
            ended = set(query.all(session, ids=sorted(ids)))
            facts.ended.update(occurrence_id for occurrence_id, ident in of_occurrence.items() if ident in ended)
    by_occurrence: dict[int, list[int]] = defaultdict(list)
    for delivery in deliveries:
        by_occurrence[delivery.occurrence_id].append(delivery.id)
    for occurrence_id, delivery_ids in by_occurrence.items():
        facts.done.update(completion.done_deliveries(session, occurrence_id, facts.content[occurrence_id], fired_on[occurrence_id], delivery_ids))
    if any(content.kind == "reminder" for content in facts.content.values()):
        morning = start_of(day_of(now))
        for person_id, delivery_id in _REMINDED.all(session, people=people, today=morning, yesterday=morning - timedelta(days=1)):
            facts.reminded[person_id].add(delivery_id)


def count_accounts(session: Session) -> dict[str, int]:
    """How many accounts are bound on each channel."""
    return dict(_ACCOUNTS_ON.all(session))


# ── One follower of WeChat ──


def last_heard(session: Session, channel: str, user: str) -> datetime | None:
    """When somebody was last heard on a channel, as far back as messages are kept (7 days)."""
    return _LAST_HEARD.one(session, channel=channel, user=user)[0]


def is_wechat_open(session: Session, user: str, now: datetime) -> bool:
    """True when a follower spoke less than 48 hours ago and what that opened is not used up (bot/docs/protocols.md#wechat-customer-service).

    Counts nothing: the delivery that is under way has counted itself already (bot/services/delivery/send.py). A tap opens less than a
    sentence does and is not told from one here; what the platform refuses then goes the other way.
    """
    heard = last_heard(session, "wechat", user)
    if heard is None or now - heard >= WECHAT_WINDOW:
        return False
    limit = heard_limit(heard)
    return quota.look(session, limit.key(user), limit.window, now) <= limit.usable()
