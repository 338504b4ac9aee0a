"""Calling out to the phones: what is said to everybody at once, to whom and on which channel, within what the platforms allow.

Best effort, and fast: one replica claims a call by its row and makes it; whom it does not reach says 继续 and is where the others are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.contest.contest import target_of
from bot.domain.contest.leaderboard import band
from bot.domain.contest.stage_rounds import ROUND_LABELS
from bot.domain.delivery.outbound_message import OutboundMessage
from bot.domain.delivery.platform_limits import PlatformLimit
from bot.domain.library.question import Question
from bot.domain.message import Address, Option, QuestionCard, Reply
from bot.domain.text.numbers import points_text
from bot.services.contest import live_results
from bot.services.delivery.plan import OpenChannels, ReadyDelivery
from bot.services.delivery.send import DeliveryGroup, SpendingQuota, group_deliveries
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.storage.contest import live_answers, live_state, players
from bot.storage.contest.live_state import LiveItem, LiveState
from bot.storage.delivery import recipients
from bot.storage.delivery.queue import QueuedDelivery

BUZZ = "抢"
TOLD = "told"
"""The call that tells the key of a question that is closed."""


@dataclass(frozen=True, slots=True)
class LiveCall:
    """One call to make: the contest, the question (0 for none) and what is said; `team_id` where only one team is called."""

    contest_id: int
    n: int
    what: str
    reply: Reply
    team_id: int | None = None


def task_of(contest_id: int, n: int) -> str:
    """What a tap names: the contest and the place in it, the same for everybody, so that one call reaches a thousand."""
    return f"l{contest_id}.{n}"


def card(of: LiveState, item: LiveItem, question: Question) -> QuestionCard:
    """The question with its buttons, or the one button of 抢答."""
    named = [f"第{item.n}/{of.items}题", ROUND_LABELS[item.round] if item.round != "all" else question.label]
    head = " · ".join([*named, *([f"限时 {item.seconds} 秒"] if item.seconds else [])])
    if item.round == "buzzer":
        return QuestionCard(task_of(of.id, item.n), head, question.stem, (Option(BUZZ, BUZZ),))
    options = tuple(Option(said, said if said == shown else f"{said}. {shown}") for said, shown in question.choices)
    return QuestionCard(task_of(of.id, item.n), head, question.stem, options, question.kind == "multiple")


def owed(session: Session, catalog: Catalog, now: datetime) -> list[LiveCall]:
    """What is to be said and nobody has claimed yet; reads only."""
    found: list[LiveCall] = []
    for of in live_state.running(session, now):
        item = live_state.item(session, of.id, of.course.item) if of.course.item else None
        what = _what(of, item)
        # Asked first: to word a call may mean to count two thousand answers.
        if what is not None and not live_state.is_call_claimed(session, of.id, *what):
            found.append(_worded(session, catalog, of, item, what[1]))
    return found


def _what(of: LiveState, item: LiveItem | None) -> tuple[int, str] | None:
    """What the state of a contest is to be followed by on the phones: (question, kind of call)."""
    course = of.course
    if course.phase == "finished":
        return 0, "end"
    if item is None or course.paused:
        return None
    if course.phase in ("reading", "open") and item.round != "risk":
        return item.n, "ask"
    return (item.n, TOLD) if course.phase == "closed" and item.round == "all" else None


def _worded(session: Session, catalog: Catalog, of: LiveState, item: LiveItem | None, what: str) -> LiveCall:
    if item is None or what == "end":
        return LiveCall(of.id, 0, what, Reply(f"「{of.name}」结束了，谢谢参加。", buttons=(Option(target_of(of.id), "看成绩"),)))
    question = catalog.question(session, item.version_id)
    if what == "ask":
        return LiveCall(of.id, item.n, what, Reply(card=card(of, item, question)), item.team_id)
    return LiveCall(of.id, item.n, what, Reply(told(session, of, item, question)))


def told(session: Session, of: LiveState, item: LiveItem, question: Question) -> str:
    """What everybody is told once a question is closed: the same for all, so that one call reaches a thousand."""
    if item.void:
        return f"第 {item.n} 题作废：{item.void}。大家都不计分。"
    counted = live_answers.spread(session, of.id, item.n)
    answered, right = sum(one[1] for one in counted), sum(one[2] for one in counted)
    share = f"{answered} 人作答，{right} 人答对。" if answered else "没有人作答。"
    return f"{solved(item, question)}\n{share}"


def solved(item: LiveItem, question: Question) -> str:
    """The key of a closed question and why."""
    key = question.show_key()
    lines = [f"第 {item.n} 题答案：", key] if "\n" in key else [f"第 {item.n} 题答案：{key}"]
    return "\n".join([*lines, question.explanation])


def claim(session: Session, call: LiveCall, holder: str, now: datetime) -> bool:
    """True for the one replica that makes the call."""
    return live_state.claim_call(session, call.contest_id, call.n, call.what, holder, now)


def plan(
    session: Session, call: LiveCall, now: datetime, doors: OpenChannels, sizes: Mapping[str, int]
) -> tuple[dict[str, list[DeliveryGroup]], int]:
    """Who is called where: everybody on the account on which they spoke last; by channel in groups of one call, and how many people in all."""
    people = live_state.people_to_call(session, call.contest_id, call.team_id)
    if call.what == TOLD:
        at_exams = key_visibility.people_at_exams(session, now)
        people = [one for one in people if one not in at_exams]
    ready = []
    for person_id, accounts in recipients.reachable_accounts(session, people).items():
        open_ones = [one for one in accounts if one.channel in doors.on]
        if not open_ones:
            continue
        one = max(open_ones, key=lambda each: (each.last_heard.timestamp() if each.last_heard else 0.0, -doors.on.index(each.channel)))
        parcel = OutboundMessage(Address(one.channel, one.app, one.user), call.reply, f"l{call.contest_id}.{call.n}.{call.what}.{person_id}")
        ready.append(
            ReadyDelivery(QueuedDelivery(person_id, 0, 0, person_id, 0, now), parcel, 0, one.last_heard, 0, one.channel in doors.beyond_window)
        )
    return group_deliveries(ready, dict(sizes)), len(people)


def begin(
    session: Session, groups: Sequence[DeliveryGroup], now: datetime, limits: tuple[PlatformLimit, ...]
) -> tuple[list[DeliveryGroup], list[DeliveryGroup], datetime | None]:
    """What may go now, what has to wait for the channel, and until when; those who have had their fill of messages are left out."""
    till = SpendingQuota(session, groups[0].channel, now, limits)
    going: list[DeliveryGroup] = []
    for place, group in enumerate(groups):
        share = till.share(group)
        till.spend(share.going)
        if share.going:
            going.append(DeliveryGroup(group.channel, share.going))
        if share.wait is not None:
            till.close()
            return going, [*([DeliveryGroup(group.channel, share.rest)] if share.rest else []), *groups[place + 1 :]], share.wait
    till.close()
    return going, [], None


def holds(session: Session, call: LiveCall) -> bool:
    """True while the call still makes sense: a question that is closed need not be put to anybody any more."""
    of = live_state.stage(session, call.contest_id)
    return of is not None and (call.n == 0 or (of.course.item == call.n and (call.what != "ask" or of.course.phase in ("reading", "open"))))


def done(session: Session, call: LiveCall, now: datetime, people: int, sent: int, failed: int) -> None:
    """Write down what became of it, for the host to see."""
    live_state.call_done(session, call.contest_id, call.n, call.what, now, people, sent, failed)
    live_state.touch(session, call.contest_id, now)


def progress(session: Session, of: LiveState) -> dict[str, Any] | None:
    """How far the last call has come; None before the first."""
    return live_state.last_call(session, of.id)


def after(session: Session, of: LiveState, person_id: int) -> str:
    """How somebody stands, in a sentence; the place once it is frozen, as far as the contest's rule names places."""
    mine = players.mine(session, of.id, person_id) if of.course.phase == "finished" else None
    found = mine.result if mine is not None and mine.result.finished is not None else live_results.own(session, of, person_id)
    if found is None:
        return "您还没有答过题。"
    line = f"您答对 {found.correct} 题，得 {points_text(found.points)} 分"
    named = _place(session, of, mine.place) if mine is not None and mine.place is not None else ""
    return f"{line}，{named}。" if named else f"{line}。"


def _place(session: Session, of: LiveState, place: int) -> str:
    """第 3 名, a band, or nothing below the middle, by the rule of the board."""
    rule, size = live_results.rules_of(of).board, len(players.took_part(session, of.id))
    if rule == "all" or (rule == "upper" and place <= (size + 1) // 2):
        return f"第 {place} 名"
    return band(place, size) if rule == "bands" else ""
