"""The stage: who pressed first, what a false start costs, what a judged answer brings, who survives the sudden death (bot/docs/rules.md S18)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.contest import stage_rounds
from bot.domain.contest.leaderboard import TeamPlace
from bot.domain.contest.stage_rounds import Scheme
from bot.domain.message import Refusal
from bot.services.contest import live_results
from bot.storage.contest import live_answers, live_state, teams
from bot.storage.contest.live_answers import PressedBuzzer
from bot.storage.contest.live_state import LiveItem, LiveState

SYSTEM = "system"
SETTLE = timedelta(milliseconds=300)
"""How long after the first press others may still turn out to have arrived earlier, at another replica; then it is decided for good."""


@dataclass(frozen=True, slots=True)
class BuzzerPress:
    """What a press came to: a false start with its price, or a press in time whose place is being decided."""

    fault: bool
    points: int = 0
    then: str = ""


def check_phone(item: LiveItem, team_id: int | None) -> None:
    """Raises `Refusal` for who may not answer a question on the phone."""
    if item.round in ("buzzer", "risk"):
        raise Refusal("未记录：这一题在台上口头作答。" if item.round == "risk" else "未记录：这一题先抢后答，点「抢」或回复「抢」。")
    if item.round in ("required", "tie") and team_id is None:
        raise Refusal("未记录：这一题由参赛队作答。")
    if item.team_id is not None and item.team_id != team_id:
        raise Refusal("未记录：这一题轮到别的队作答。")


def scheme_of(of: LiveState) -> Scheme:
    if of.scheme is None:
        raise Refusal("这场竞赛没有台上环节的规则，不能抢答、判分或选分。")
    return of.scheme


def press(session: Session, of: LiveState, item: LiveItem, team_id: int, person_id: int, arrived: datetime) -> BuzzerPress:
    """Take down a press. A false start is dealt with at once, by the rule of the scheme."""
    rule = scheme_of(of).buzzer
    if item.void:
        raise Refusal(f"未记录：这一题已经作废（{item.void}）。")
    if item.window.closed_at is not None and arrived >= item.window.closed_at:
        raise Refusal("未记录：这一题已经结束。")
    opened = None if item.buzz_at is None else _micros(item.buzz_at)
    fault = stage_rounds.is_fault(stage_rounds.Buzz(0, team_id, _micros(arrived)), opened, rule)
    if not fault and not item.window.takes(arrived):
        raise Refusal("未记录：这一题现在不能抢。")
    if not live_answers.press(session, of.id, item.n, team_id, person_id, arrived, fault=fault):
        raise Refusal("未记录：你们队这一题已经抢过了，以第一次为准。")
    if not fault:
        return BuzzerPress(False)
    price = rule.fault(live_answers.faults(session, of.id, team_id))
    live_answers.decide(session, of.id, SYSTEM, "犯规", arrived, n=item.n, team_id=team_id, points=-price.points * 1000, why="开抢之前抢答")
    if price.then == "void":
        why = "有队抢答犯规，本题作废"
        live_state.void(session, item, why)
        live_answers.decide(session, of.id, SYSTEM, "作废", arrived, n=item.n, why=why)
        if of.course.item == item.n and of.course.phase in ("reading", "open"):
            live_state.set_clock(session, item, item.window.closed(arrived))
            live_state.move(session, of, of.course.after("void"), arrived)
            return BuzzerPress(True, price.points, price.then)
    live_state.touch(session, of.id, arrived)
    return BuzzerPress(True, price.points, price.then)


def chosen(session: Session, of: LiveState, item: LiveItem, now: datetime) -> PressedBuzzer | None:
    """The team that is to answer, once it is settled that nobody arrived earlier; None while nobody is, or somebody answers already."""
    if of.scheme is None or item.round != "buzzer" or item.holder_id is not None or item.void or of.course.paused:
        return None
    pressed = [one for one in live_answers.buzzes(session, of.id, item.n) if not one.fault]
    opened = None if item.buzz_at is None else _micros(item.buzz_at)
    found = stage_rounds.first([one.buzz for one in pressed], opened, live_answers.out(session, of.id, item.n), of.scheme.buzzer)
    one = next((each for each in pressed if each.buzz == found), None)
    return one if one is not None and now - one.arrived >= SETTLE else None


def settle(session: Session, of: LiveState, item: LiveItem, one: PressedBuzzer, now: datetime) -> None:
    """This team answers, for good."""
    assert of.scheme is not None
    answer = of.scheme.buzzer.answer_seconds
    live_state.hold(session, item, one.buzz.team, now + timedelta(seconds=answer) if answer else None)
    if of.course.phase == "reading":
        live_state.move(session, of, of.course.after("buzz"), now)
    else:
        live_state.touch(session, of.id, now)
    later = [each for each in live_answers.buzzes(session, of.id, item.n) if not each.fault and each.arrived >= one.arrived and each.buzz != one.buzz]
    apart = [f"{each.team} 晚 {(each.arrived - one.arrived) / timedelta(milliseconds=1):.1f} 毫秒" for each in later]
    why = f"{one.person} 先到" + (f"；{'，'.join(apart[:3])}" if apart else "")
    live_answers.decide(session, of.id, SYSTEM, "抢到", now, n=item.n, team_id=one.buzz.team, why=why[:200])


def close(session: Session, of: LiveState, item: LiveItem, now: datetime) -> None:
    """What a question brings by itself when it closes: teams that answered on the phone are judged by what was recorded."""
    if of.scheme is None or item.void:
        return
    if item.round == "required":
        _judge_phones(session, of, of.scheme, item, now)
    elif item.round == "tie":
        _sudden_death(session, of, item, now)


def _judge_phones(session: Session, of: LiveState, scheme: Scheme, item: LiveItem, now: datetime) -> None:
    for team_id in [item.team_id] if item.team_id is not None else teams.names(session, of.id):
        given = live_answers.of_team(session, of.id, item.n, team_id)
        if given and not live_answers.is_judged(session, of.id, item.n, team_id):
            right = _right(scheme, given)
            points = stage_rounds.delta(scheme, "required", right) * 1000
            why = f"手机作答{'正确' if right else '不正确'}"
            live_answers.decide(session, of.id, SYSTEM, "判分", now, n=item.n, team_id=team_id, points=points, why=why)


def _right(scheme: Scheme, given: list[tuple[str, bool]]) -> bool:
    if scheme.required.by != "agree":
        return given[0][1]
    return stage_rounds.agreed([choice for choice, _ in given], scheme.required.members) is not None and given[0][1]


def level(lines: list[TeamPlace]) -> list[int]:
    """The teams of the best place that several share: those who meet in the sudden death; nobody when all places are clear."""
    shared = sorted(place for place in {one.place for one in lines} if sum(one.place == place for one in lines) > 1)
    return [one.team_id for one in lines if shared and one.place == shared[0]]


def _sudden_death(session: Session, of: LiveState, item: LiveItem, now: datetime) -> None:
    """Of the teams that are level, who alone is right goes before the others; else another question decides."""
    meet = level(live_results.standing(session, of).teams)
    given = {team_id: live_answers.of_team(session, of.id, item.n, team_id) for team_id in meet}
    stayed = stage_rounds.survivors(meet, frozenset(team_id for team_id, said in given.items() if said and said[0][1]))
    if len(stayed) == 1:
        live_answers.decide(session, of.id, SYSTEM, "加赛", now, n=item.n, team_id=stayed[0], why="加赛中只有该队答对")
    elif stayed:
        live_answers.decide(session, of.id, SYSTEM, "再加一题", now, n=item.n, why=f"{len(stayed)} 队仍然相同")


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
