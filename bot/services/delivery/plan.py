"""Planning a batch of queued deliveries: whether each is still needed, when it may be sent, and on which channel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent, render_content
from bot.domain.delivery.outbound_message import OutboundMessage, ReadyMessage
from bot.domain.delivery.platform_limits import WECHAT_WINDOW
from bot.domain.delivery.quiet_hours import ACTIVE_FOR, BUSY_DELAY, PRIORITY, URGENT_PRIORITY, DeliveryRule, chosen_hour, quiet_hours_end
from bot.domain.exam.exam import RESUME_TARGET
from bot.domain.message import Address, Reply
from bot.domain.people.person import Preference
from bot.services.delivery import reminder_messages
from bot.services.library.catalog import Catalog
from bot.storage.delivery.queue import QueuedDelivery
from bot.storage.delivery.recipients import ReachableAccount, RecipientFacts, recipient_facts

DONE, GONE, VOID, REMINDED, ENDED = "已完成", "已离职", "已撤回", "今天已提醒过", "竞赛已结束"
NOWHERE, TRIED, WINDOW = "没有可用渠道", "各渠道都没有送达", "微信 48 小时内没有互动"
QUIET, CHOSEN, BUSY = "等免打扰时段结束", "等本人设定的时间", "等手头的任务做完"
STUDY_KINDS = ("lesson", "daily", "series", "digest")
"""What comes at the hour that a person chose; a notice does not wait for it."""

USUAL = Preference()
ADDRESSED_TO_NOBODY = ("lesson", "series", "daily", "notice", "poll", "invitation")
"""Kinds of content whose words are the same for everybody, so that one plan renders them once."""

MAX_PERSONAL_TEXTS = 200
"""Texts made for one person each in one plan: each takes a handful of queries, and a plan is good for seconds only."""


@dataclass(frozen=True, slots=True)
class OpenChannels:
    """The channels that are on, in the order of the settings; those closed for now with their moment; those that reach beyond WeChat's 48 hours."""

    on: tuple[str, ...]
    closed: Mapping[str, datetime] = field(default_factory=dict)
    beyond_window: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class ReadyDelivery(ReadyMessage):
    """A delivery that may be sent now, on one channel; `fallbacks` are further channels that may be tried when this one fails."""

    queued: QueuedDelivery
    fallbacks: int


@dataclass(slots=True)
class DeliveryPlan:
    """A batch, sorted: what goes now, the most urgent first, what waits until when and why, what need not go any more and why."""

    ready: list[ReadyDelivery] = field(default_factory=list)
    later: list[tuple[int, datetime, str]] = field(default_factory=list)
    skip: list[tuple[int, str]] = field(default_factory=list)


def plan_deliveries(
    session: Session,
    catalog: Catalog,
    claimed: Sequence[QueuedDelivery],
    now: datetime,
    channels: OpenChannels,
    tried: Mapping[int, Collection[str]] | None = None,
) -> DeliveryPlan:
    """Sort a batch that was claimed; reads only. `tried` names the channels on which a delivery has failed already.

    Of several for one person the most urgent goes now, and the others after it, one at a time.
    """
    facts = recipient_facts(session, claimed, now)
    order = sorted(claimed, key=lambda each: (PRIORITY.get(facts.content[each.occurrence_id].kind, URGENT_PRIORITY + 1), each.id))
    personal_now, personal_next = _split_personal(facts, order, now)
    personal = _personal_replies(session, catalog, facts, personal_now, now)
    result = DeliveryPlan(later=[(delivery.id, now, "") for delivery in personal_next])
    served: set[int] = set()
    rendered: dict[int, Reply] = {}
    postponed = {delivery.id for delivery in personal_next}
    for delivery in order:
        content, rule = facts.content[delivery.occurrence_id], facts.rule[delivery.occurrence_id]
        if delivery.id in postponed:
            continue
        if reason := _skip_reason(facts, delivery, content) or (DONE if personal.get(delivery.id, content) is None else ""):
            result.skip.append((delivery.id, reason))
            continue
        rank = PRIORITY.get(content.kind, URGENT_PRIORITY + 1)
        if (wait := _waiting_until(facts, delivery, content, rule, now)) is not None:
            result.later.append((delivery.id, *wait))
            continue
        routes = _routes(facts, delivery, rule, now, channels, (tried or {}).get(delivery.id, ()))
        if isinstance(routes, str):
            result.skip.append((delivery.id, routes))
            continue
        first = routes[0]
        if (until := channels.closed.get(first.channel)) is not None and until > now:
            result.later.append((delivery.id, until, "通道暂停中"))
        elif delivery.person_id in served and rank > URGENT_PRIORITY:
            result.later.append((delivery.id, now + BUSY_DELAY, BUSY))
        else:
            served.add(delivery.person_id)
            if content.kind == "reminder":
                facts.reminded[delivery.person_id].add(delivery.id)
            if (reply := personal.get(delivery.id) or rendered.get(delivery.occurrence_id)) is None:
                reply = render_content(content, catalog, facts.learner[delivery.person_id], delivery.occurrence_id)
                if content.kind in ADDRESSED_TO_NOBODY and delivery.id not in personal:
                    rendered[delivery.occurrence_id] = reply
            result.ready.append(_ready_delivery(facts, delivery, reply, routes, channels))
    return result


def _split_personal(facts: RecipientFacts, order: Sequence[QueuedDelivery], now: datetime) -> tuple[list[QueuedDelivery], list[QueuedDelivery]]:
    """What is made for one person each and may go: what is made now, and what the next plan makes, lest this one is stale before it is ready."""
    personal = [delivery for delivery in order if reminder_messages.is_personal(facts.content[delivery.occurrence_id])]
    due = [
        delivery
        for delivery in personal
        if not _skip_reason(facts, delivery, facts.content[delivery.occurrence_id])
        and _waiting_until(facts, delivery, facts.content[delivery.occurrence_id], facts.rule[delivery.occurrence_id], now) is None
    ]
    return due[:MAX_PERSONAL_TEXTS], due[MAX_PERSONAL_TEXTS:]


def _personal_replies(
    session: Session, catalog: Catalog, facts: RecipientFacts, deliveries: Sequence[QueuedDelivery], now: datetime
) -> dict[int, Reply | None]:
    """What is made for each person at the last moment: reminders, digests. None where meanwhile there is nothing to say."""
    wanted = {
        delivery.id: (delivery.person_id, facts.content[delivery.occurrence_id])
        for delivery in deliveries
        if reminder_messages.is_personal(facts.content[delivery.occurrence_id])
    }
    return reminder_messages.personal_replies(session, catalog, wanted, now) if wanted else {}


def _skip_reason(facts: RecipientFacts, delivery: QueuedDelivery, content: CampaignContent) -> str:
    """Why nothing need be said any more; empty when it has to."""
    person_id = delivery.person_id
    if delivery.occurrence_id in facts.void:
        return VOID
    if person_id in facts.former or person_id not in facts.learner:
        return GONE
    if person_id in facts.away:
        return facts.away[person_id]
    trial = facts.rule[delivery.occurrence_id].trial
    if delivery.occurrence_id in facts.ended and not trial:
        return ENDED
    if delivery.id in facts.done and not trial:
        return DONE
    if content.kind == "reminder" and facts.reminded[person_id] - {delivery.id}:
        return REMINDED
    return ""


def _waiting_until(
    facts: RecipientFacts, delivery: QueuedDelivery, content: CampaignContent, rule: DeliveryRule, now: datetime
) -> tuple[datetime, str] | None:
    """Until when somebody is left in peace, and why. In an exam nothing is said but what concerns it, whatever the hour (bot/docs/rules.md S28)."""
    if (until := facts.exam_until.get(delivery.person_id)) is not None and content.target != RESUME_TARGET:
        return min(until, now + BUSY_DELAY), BUSY
    preference = facts.preference.get(delivery.person_id, USUAL)
    if rule.quiet and (until := _quiet_until(now, preference)) is not None:
        return until, QUIET
    if content.kind in STUDY_KINDS and preference.push_at and rule.quiet and (chosen_time := chosen_hour(now, preference.push_at)) is not None:
        return chosen_time, CHOSEN
    if delivery.person_id in facts.busy and PRIORITY.get(content.kind, URGENT_PRIORITY + 1) > URGENT_PRIORITY:
        heard = max((account.last_heard for account in facts.accounts[delivery.person_id] if account.last_heard is not None), default=None)
        if heard is not None and now - heard < ACTIVE_FOR:
            return now + BUSY_DELAY, BUSY
    return None


@lru_cache(maxsize=4096)
def _quiet_until(now: datetime, preference: Preference) -> datetime | None:
    """`quiet_hours_end`; in one plan nearly everybody has chosen the same."""
    return quiet_hours_end(now, preference)


def _routes(
    facts: RecipientFacts, delivery: QueuedDelivery, rule: DeliveryRule, now: datetime, channels: OpenChannels, tried: Collection[str]
) -> list[ReachableAccount] | str:
    """Accounts in the order they are tried, or why there is none: the campaign's own order, then the channel that the person chose (设置), then the
    one that they used last. What is shut for now comes after what is open."""
    accounts = [account for account in facts.accounts[delivery.person_id] if account.channel in channels.on]
    if rule.channels:
        accounts = [account for account in accounts if account.channel in rule.channels]
    if not accounts:
        return NOWHERE
    untried = [account for account in accounts if account.channel not in tried]
    if not untried or (tried and not rule.fallback):
        return TRIED
    speakable = [account for account in untried if account.channel != "wechat" or _is_wechat_open(account, now, channels)]
    if not speakable:
        return WINDOW
    if len(speakable) == 1:
        return speakable
    preferred = facts.preference.get(delivery.person_id, USUAL).channel

    def order(account: ReachableAccount) -> tuple[int, bool, bool, float, int]:
        named = rule.channels.index(account.channel) if rule.channels else 0
        shut = channels.closed.get(account.channel, now) > now
        return (
            named,
            shut and rule.fallback,
            account.channel != preferred,
            -(account.last_heard.timestamp() if account.last_heard else 0.0),
            _channel_order(account, channels),
        )

    return sorted(speakable, key=order)


def _is_wechat_open(account: ReachableAccount, now: datetime, channels: OpenChannels) -> bool:
    """WeChat lets customer-service messages through for 48 hours after somebody spoke (bot/docs/protocols.md#wechat-customer-service)."""
    return "wechat" in channels.beyond_window or (account.last_heard is not None and now - account.last_heard < WECHAT_WINDOW)


def _channel_order(account: ReachableAccount, channels: OpenChannels) -> int:
    return channels.on.index(account.channel)


def _ready_delivery(
    facts: RecipientFacts, delivery: QueuedDelivery, reply: Reply, routes: Sequence[ReachableAccount], channels: OpenChannels
) -> ReadyDelivery:
    first = routes[0]
    message = OutboundMessage(Address(first.channel, first.app, first.user), reply, f"d{delivery.id}")
    fallbacks = len(routes) - 1 if facts.rule[delivery.occurrence_id].fallback else 0
    return ReadyDelivery(message, first.last_heard, first.channel in channels.beyond_window, delivery, fallbacks)
