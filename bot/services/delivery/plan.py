"""Whether, when and where something that is owed is said: completion, leave, quiet hours, the arbiter, the order of channels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent, render_content
from bot.domain.contest.contest import contest_of_target
from bot.domain.delivery.parcel import OutboundMessage
from bot.domain.delivery.platform_limits import WECHAT_HOURS
from bot.domain.delivery.quiet_hours import MIDST, RANK, TURN, URGENT, DeliveryRule, chosen_hour, quiet_until
from bot.domain.exam.exam import GO_ON, exam_of
from bot.domain.message import Address, Reply
from bot.domain.people.person import Preference
from bot.services.delivery import reminder_messages
from bot.services.library.catalog import Catalog
from bot.storage.delivery.queue import QueuedDelivery
from bot.storage.delivery.recipients import ReachableAccount, RecipientFacts, known

DONE, GONE, VOID, REMINDED, ENDED = "已完成", "已离职", "已撤回", "今天已提醒过", "竞赛已结束"
NOWHERE, TRIED, WINDOW = "没有可用渠道", "各渠道都没有送达", "微信 48 小时内没有互动"
QUIET, CHOSEN, BUSY = "等免打扰时段结束", "等本人设定的时间", "等手头的任务做完"
STUDY = ("lesson", "daily", "series", "digest")
"""What comes at the hour that a person chose; a notice does not wait for it."""

MADE_AT_ONCE = 200
"""Texts made for one person each in one plan: each takes a handful of queries, and a plan is good for seconds only."""


@dataclass(frozen=True, slots=True)
class OpenChannels:
    """The channels that are on, in the house's order; those closed for now with their moment; those that reach beyond WeChat's 48 hours."""

    on: tuple[str, ...]
    closed: Mapping[str, datetime] = field(default_factory=dict)
    beyond_window: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class ReadyDelivery:
    """Something that may be said now, on one channel. `heard` is when the person last spoke there; `beyond` when that need not be lately."""

    owed: QueuedDelivery
    parcel: OutboundMessage
    rank: int
    heard: datetime | None
    others: int
    """Further channels that may be tried when this one fails."""
    beyond: bool = False


@dataclass(slots=True)
class DeliveryPlan:
    """A batch, sorted: what goes now, what waits until when and why, what need not go any more and why."""

    ready: list[ReadyDelivery] = field(default_factory=list)
    later: list[tuple[int, datetime, str]] = field(default_factory=list)
    skip: list[tuple[int, str]] = field(default_factory=list)


def plan(
    session: Session,
    catalog: Catalog,
    owed: Sequence[QueuedDelivery],
    now: datetime,
    doors: OpenChannels,
    tried: Mapping[int, Collection[str]] | None = None,
) -> DeliveryPlan:
    """Sort a batch that was claimed; reads only. `tried` names the channels on which a delivery has failed already.

    Of several that one person is owed the most urgent goes now, and the others after it, one at a time.
    """
    facts = known(session, owed, now)
    order = sorted(owed, key=lambda each: (RANK.get(facts.content[each.occurrence_id].kind, URGENT + 1), each.id))
    told_now, told_next = _told_apart(facts, order, now)
    personal = _personal(session, catalog, facts, told_now, now)
    made = DeliveryPlan(later=[(one.id, now, "") for one in told_next])
    served: set[int] = set()
    rest = {one.id for one in told_next}
    for one in order:
        content, rule = facts.content[one.occurrence_id], facts.rule[one.occurrence_id]
        if one.id in rest:
            continue
        if reason := _needless(facts, one, content) or (DONE if personal.get(one.id, content) is None else ""):
            made.skip.append((one.id, reason))
            continue
        rank = RANK.get(content.kind, URGENT + 1)
        if (wait := _wait(facts, one, content, rule, now)) is not None:
            made.later.append((one.id, *wait))
            continue
        routes = _routes(facts, one, rule, now, doors, (tried or {}).get(one.id, ()))
        if isinstance(routes, str):
            made.skip.append((one.id, routes))
            continue
        first = routes[0]
        if (until := doors.closed.get(first.channel)) is not None and until > now:
            made.later.append((one.id, until, "通道暂停中"))
        elif one.person_id in served and rank > URGENT:
            made.later.append((one.id, now + TURN, BUSY))
        else:
            served.add(one.person_id)
            if content.kind == "reminder":
                facts.reminded[one.person_id].add(one.id)
            reply = personal.get(one.id) or render_content(content, catalog, facts.person[one.person_id], one.occurrence_id)
            made.ready.append(_ready(facts, one, reply, rank, routes, doors))
    return made


def _told_apart(facts: RecipientFacts, order: Sequence[QueuedDelivery], now: datetime) -> tuple[list[QueuedDelivery], list[QueuedDelivery]]:
    """What is made for one person each and may go: what is made now, and what the next plan makes, lest this one is stale before it is ready."""
    mine = [one for one in order if reminder_messages.is_personal(facts.content[one.occurrence_id])]
    due = [
        one
        for one in mine
        if not _needless(facts, one, facts.content[one.occurrence_id])
        and _wait(facts, one, facts.content[one.occurrence_id], facts.rule[one.occurrence_id], now) is None
    ]
    return due[:MADE_AT_ONCE], due[MADE_AT_ONCE:]


def _personal(session: Session, catalog: Catalog, facts: RecipientFacts, owed: Sequence[QueuedDelivery], now: datetime) -> dict[int, Reply | None]:
    """What is made for each person at the last moment: reminders, digests. None where meanwhile there is nothing to say."""
    wanted = {
        one.id: (one.person_id, facts.content[one.occurrence_id]) for one in owed if reminder_messages.is_personal(facts.content[one.occurrence_id])
    }
    return reminder_messages.told(session, catalog, wanted, now) if wanted else {}


def _needless(facts: RecipientFacts, one: QueuedDelivery, content: CampaignContent) -> str:
    """Why nothing need be said any more; empty when it has to."""
    who = one.person_id
    if one.occurrence_id in facts.void:
        return VOID
    if who in facts.left or who not in facts.person:
        return GONE
    if who in facts.away:
        return facts.away[who]
    trial, contest, exam = facts.rule[one.occurrence_id].trial, contest_of_target(content.target), exam_of(content.target)
    if (contest in facts.ended or exam in facts.over) and not trial:
        return ENDED
    done = not trial and (
        (content.lesson and (who, content.lesson) in facts.lessons)
        or ((content.kind == "daily" or content.target == "每日") and who in facts.daily)
        or (who, contest) in facts.played
        or (who, exam) in facts.sat
        or (one.occurrence_id, who) in facts.voted
        or one.id in facts.read
    )
    if done:
        return DONE
    if content.kind == "reminder" and facts.reminded[who] - {one.id}:
        return REMINDED
    return ""


def _wait(facts: RecipientFacts, one: QueuedDelivery, content: CampaignContent, rule: DeliveryRule, now: datetime) -> tuple[datetime, str] | None:
    """Until when somebody is left in peace, and why. In an exam nothing is said but what concerns it, whatever the hour (bot/docs/rules.md S28)."""
    if (until := facts.examined.get(one.person_id)) is not None and content.target != GO_ON:
        return min(until, now + TURN), BUSY
    chosen = facts.chosen.get(one.person_id, Preference())
    if rule.quiet and (until := quiet_until(now, chosen)) is not None:
        return until, QUIET
    if content.kind in STUDY and chosen.push_at and rule.quiet and (at := chosen_hour(now, chosen.push_at)) is not None:
        return at, CHOSEN
    if one.person_id in facts.busy and RANK.get(content.kind, URGENT + 1) > URGENT:
        heard = max((account.heard for account in facts.accounts[one.person_id] if account.heard is not None), default=None)
        if heard is not None and now - heard < MIDST:
            return now + TURN, BUSY
    return None


def _routes(
    facts: RecipientFacts, one: QueuedDelivery, rule: DeliveryRule, now: datetime, doors: OpenChannels, tried: Collection[str]
) -> list[ReachableAccount] | str:
    """Accounts in the order they are tried, or why there is none: the campaign's own order, then the channel that the person chose (设置), then the
    one that they used last. What is shut for now comes after what is open."""
    accounts = [account for account in facts.accounts[one.person_id] if account.channel in doors.on]
    if rule.channels:
        accounts = [account for account in accounts if account.channel in rule.channels]
    if not accounts:
        return NOWHERE
    left = [account for account in accounts if account.channel not in tried]
    if not left or (tried and not rule.fallback):
        return TRIED
    speakable = [account for account in left if account.channel != "wechat" or _reachable(account, now, doors)]
    if not speakable:
        return WINDOW
    first = facts.chosen.get(one.person_id, Preference()).channel

    def order(account: ReachableAccount) -> tuple[int, bool, bool, float, int]:
        named = rule.channels.index(account.channel) if rule.channels else 0
        shut = doors.closed.get(account.channel, now) > now
        return (
            named,
            shut and rule.fallback,
            account.channel != first,
            -(account.heard.timestamp() if account.heard else 0.0),
            _place(account, doors),
        )

    return sorted(speakable, key=order)


def _reachable(account: ReachableAccount, now: datetime, doors: OpenChannels) -> bool:
    """WeChat lets customer-service messages through for 48 hours after somebody spoke (bot/docs/protocols.md#wechat-customer-service)."""
    return "wechat" in doors.beyond_window or (account.heard is not None and now - account.heard < WECHAT_HOURS)


def _place(account: ReachableAccount, doors: OpenChannels) -> int:
    return doors.on.index(account.channel)


def _ready(
    facts: RecipientFacts, one: QueuedDelivery, reply: Reply, rank: int, routes: Sequence[ReachableAccount], doors: OpenChannels
) -> ReadyDelivery:
    first = routes[0]
    parcel = OutboundMessage(Address(first.channel, first.app, first.user), reply, f"d{one.id}")
    others = len(routes) - 1 if facts.rule[one.occurrence_id].fallback else 0
    return ReadyDelivery(one, parcel, rank, first.heard, others, first.channel in doors.beyond_window)
