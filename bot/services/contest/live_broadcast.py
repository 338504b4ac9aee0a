"""Broadcasts of a live contest to all phones: what is sent, to whom, on which channel, within the platforms' quotas.

Best effort: one replica claims a call by its row and sends it; a participant whom it does not reach catches up with 继续.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.contest.contest import invitation_target
from bot.domain.contest.leaderboard import band_label
from bot.domain.contest.live_rules import ROUND_LABELS
from bot.domain.delivery.outbound_message import MessageGroup, OutboundMessage, ReadyMessage, group_messages
from bot.domain.library.question import Question
from bot.domain.message import Address, Option, QuestionCard, Reply
from bot.domain.text.numbers import points_text
from bot.services.contest import live_scoring
from bot.services.delivery.plan import OpenChannels
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.storage.contest import live_answers, live_state, players
from bot.storage.contest.live_state import LiveItem, LiveState
from bot.storage.delivery import recipients

BUZZ_ANSWER = "抢"
SOLUTION_CALL = "told"
"""The kind of call that sends the key of a closed question; stored in `live_call`."""


@dataclass(frozen=True, slots=True)
class LiveCall:
    """One broadcast: the contest, the question (0 for none), the kind of call and the message; `team_id` where only one team gets it."""

    contest_id: int
    n: int
    kind: str
    reply: Reply
    team_id: int | None = None


def card_task(contest_id: int, n: int) -> str:
    """The task id on a card: contest and question, the same for everybody, so that one platform call reaches a thousand."""
    return f"l{contest_id}.{n}"


def question_card(live: LiveState, item: LiveItem, question: Question) -> QuestionCard:
    """The question with its buttons, or the one button of 抢答."""
    heading_parts = [f"第{item.n}/{live.items}题", ROUND_LABELS[item.round] if item.round != "all" else question.label]
    heading = " · ".join([*heading_parts, *([f"限时 {item.seconds} 秒"] if item.seconds else [])])
    if item.round == "buzzer":
        return QuestionCard(card_task(live.id, item.n), heading, question.stem, (Option(BUZZ_ANSWER, BUZZ_ANSWER),))
    options = tuple(Option(choice, choice if choice == label else f"{choice}. {label}") for choice, label in question.choices)
    return QuestionCard(card_task(live.id, item.n), heading, question.stem, options, question.kind == "multiple")


def pending_calls(session: Session, catalog: Catalog, now: datetime) -> list[LiveCall]:
    """Broadcasts that are due and not claimed yet; reads only."""
    calls: list[LiveCall] = []
    for live in live_state.list_running(session, now):
        item = live_state.get_item(session, live.id, live.course.item) if live.course.item else None
        kind = _next_call(live, item)
        # Checked first: composing a call may have to count two thousand answers.
        if kind is not None and not live_state.is_call_claimed(session, live.id, *kind):
            calls.append(_compose_call(session, catalog, live, item, kind[1]))
    return calls


def _next_call(live: LiveState, item: LiveItem | None) -> tuple[int, str] | None:
    """The broadcast that the current state calls for, as (question, kind of call); None for none."""
    course = live.course
    if course.phase == "finished":
        return 0, "end"
    if item is None or course.paused:
        return None
    if course.phase in ("reading", "open") and item.round != "risk":
        return item.n, "ask"
    return (item.n, SOLUTION_CALL) if course.phase == "closed" and item.round == "all" else None


def _compose_call(session: Session, catalog: Catalog, live: LiveState, item: LiveItem | None, kind: str) -> LiveCall:
    if item is None or kind == "end":
        return LiveCall(live.id, 0, kind, Reply(f"「{live.name}」结束了，谢谢参加。", buttons=(Option(invitation_target(live.id), "看成绩"),)))
    question = catalog.question(session, item.version_id)
    if kind == "ask":
        return LiveCall(live.id, item.n, kind, Reply(card=question_card(live, item, question)), item.team_id)
    return LiveCall(live.id, item.n, kind, Reply(closing_text(session, live, item, question)))


def closing_text(session: Session, live: LiveState, item: LiveItem, question: Question) -> str:
    """The message after a question is closed: the same for all, so that one platform call reaches a thousand."""
    if item.void:
        return f"第 {item.n} 题作废：{item.void}。大家都不计分。"
    choices = live_answers.choice_counts(session, live.id, item.n)
    answered, right = sum(count for _, count, _ in choices), sum(right_count for _, _, right_count in choices)
    share = f"{answered} 人作答，{right} 人答对。" if answered else "没有人作答。"
    return f"{solution_text(item, question)}\n{share}"


def solution_text(item: LiveItem, question: Question) -> str:
    """The key of a closed question with its explanation."""
    key = question.show_key()
    lines = [f"第 {item.n} 题答案：", key] if "\n" in key else [f"第 {item.n} 题答案：{key}"]
    return "\n".join([*lines, question.explanation])


def claim_call(session: Session, call: LiveCall, holder: str, now: datetime) -> bool:
    """True for the one replica that makes the call."""
    return live_state.claim_call(session, call.contest_id, call.n, call.kind, holder, now)


def plan_call(
    session: Session, call: LiveCall, now: datetime, channels: OpenChannels, sizes: Mapping[str, int]
) -> tuple[dict[str, list[MessageGroup[ReadyMessage]]], int]:
    """Recipients by channel, in groups of one platform call, and their total; everybody on the account they last wrote from."""
    people = live_state.call_recipients(session, call.contest_id, call.team_id)
    if call.kind == SOLUTION_CALL:
        at_exams = key_visibility.people_at_exams(session, now)
        people = [person_id for person_id in people if person_id not in at_exams]
    ready = []
    for person_id, accounts in recipients.reachable_accounts(session, people).items():
        reachable = [account for account in accounts if account.channel in channels.on]
        if not reachable:
            continue
        account = max(
            reachable, key=lambda account: (account.last_heard.timestamp() if account.last_heard else 0.0, -channels.on.index(account.channel))
        )
        message = OutboundMessage(
            Address(account.channel, account.app, account.user), call.reply, f"l{call.contest_id}.{call.n}.{call.kind}.{person_id}"
        )
        ready.append(ReadyMessage(message, account.last_heard, account.channel in channels.beyond_window))
    return group_messages(ready, sizes), len(people)


def is_current(session: Session, call: LiveCall) -> bool:
    """True while the call is still worth sending: a closed question is not sent any more."""
    live = live_state.get(session, call.contest_id)
    return live is not None and (call.n == 0 or (live.course.item == call.n and (call.kind != "ask" or live.course.phase in ("reading", "open"))))


def finish_call(session: Session, call: LiveCall, now: datetime, people: int, sent: int, failed: int) -> None:
    """Store the outcome of a call, for the host's console."""
    live_state.finish_call(session, call.contest_id, call.n, call.kind, now, people, sent, failed)
    live_state.bump_version(session, call.contest_id, now)


def standing_text(session: Session, live: LiveState, person_id: int) -> str:
    """A participant's result in a sentence; with the place once it is frozen, where the contest's rule publishes it."""
    participant = players.get(session, live.id, person_id) if live.course.phase == "finished" else None
    result = (
        participant.result
        if participant is not None and participant.result.finished is not None
        else live_scoring.person_result(session, live, person_id)
    )
    if result is None:
        return "您还没有答过题。"
    line = f"您答对 {result.correct} 题，得 {points_text(result.points)} 分"
    place_text = _place_text(session, live, participant.place) if participant is not None and participant.place is not None else ""
    return f"{line}，{place_text}。" if place_text else f"{line}。"


def _place_text(session: Session, live: LiveState, place: int) -> str:
    """第 3 名, a band, or nothing below the middle, by the rule of the board."""
    rule, size = live.rules.board, len(players.took_part(session, live.id))
    if rule == "all" or (rule == "upper" and place <= (size + 1) // 2):
        return f"第 {place} 名"
    return band_label(place, size) if rule == "bands" else ""
