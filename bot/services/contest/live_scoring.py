"""Scores of a live contest: results from answers, question clocks and decisions, and the judging of a stage.

The same rows give the same board. On a stage (bot/docs/rules.md S18): which team pressed first, false starts, judged answers,
sudden death.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from sqlmodel import Session

from bot.domain.contest import leaderboard, live_rules
from bot.domain.contest.contest import ContestRules
from bot.domain.contest.leaderboard import ContestResult, ScoredAnswer, TeamPlace
from bot.domain.contest.live_rules import StageScheme
from bot.domain.message import Refusal
from bot.storage.contest import live_answers, live_state, players
from bot.storage.contest.live_answers import PressedBuzzer, TeamAnswer, TeamPoints
from bot.storage.contest.live_state import LiveItem, LiveState

# ── Results ──


NOTHING_DECIDED = TeamPoints(0, 0)
STAGE_SCORE_TEXT = "基础分加台上各轮得分"


@dataclass(frozen=True, slots=True)
class LiveStanding:
    """The current places of all players and teams."""

    rules: ContestRules
    people: list[leaderboard.PlayerPlace]
    teams: list[TeamPlace]


def standing(session: Session, live: LiveState) -> LiveStanding:
    """The whole board of a contest as the rows stand."""
    rules = live.rules
    results = _results_by_person(session, live, rules)
    if live.scheme is not None:
        # Team members on the stage took part, though their answers were spoken.
        on_stage = {
            person_id for person_id in live_state.call_recipients(session, live.id) if players.team_of(session, live.id, person_id) is not None
        }
        results |= {person_id: ContestResult(finished=live.opened_at) for person_id in on_stage - results.keys()}
    participants = [
        replace(player, result=results.get(player.id, leaderboard.NO_RESULT), took_part=player.id in results)
        for player in players.list_ranked(session, live.id)
    ]
    ranked_teams = leaderboard.rank_teams(rules, players.team_names(session, live.id), participants)
    return LiveStanding(rules, leaderboard.rank_players(participants), rank_teams(session, live, ranked_teams))


def person_result(session: Session, live: LiveState, person_id: int) -> ContestResult | None:
    """The result of one person, without computing all the others: two thousand may ask at once. None before the first answer that counts."""
    return _results_by_person(session, live, live.rules, person_id).get(person_id)


def _results_by_person(session: Session, live: LiveState, rules: ContestRules, person_id: int | None = None) -> dict[int, ContestResult]:
    """Results by person; void questions and questions of a team do not count."""
    counted = {item.n: item for item in live_state.list_items(session, live.id) if item.round == "all" and not item.void}
    rules_by_item = {n: replace(rules, base=item.points, seconds=max(1, item.seconds)) for n, item in counted.items()}
    adjusted = live_answers.person_points(session, live.id)
    results: dict[int, ContestResult] = {}
    for participant_id, given in groupby(live_answers.answers(session, live.id, person_id), key=lambda answer: answer.person_id):
        if counted_answers := [answer for answer in given if answer.n in counted]:
            results[participant_id] = _score_answers(counted_answers, counted, rules_by_item, adjusted.pop(participant_id, 0))
    for participant_id, points in adjusted.items():
        results[participant_id] = ContestResult(points, finished=live.opened_at)
    return results


def _score_answers(
    given: list[live_answers.GivenAnswer], items: Mapping[int, LiveItem], rules_by_item: Mapping[int, ContestRules], points: int
) -> ContestResult:
    right, millis, in_a_row = 0, 0, 0
    last: datetime | None = None
    for answer in given:
        elapsed = items[answer.n].window.elapsed(answer.arrived) // timedelta(milliseconds=1)
        correct = answer.earned == 1000
        points += leaderboard.answer_points(rules_by_item[answer.n], ScoredAnswer(answer.earned, correct, elapsed), in_a_row)
        in_a_row = in_a_row + 1 if correct else 0
        right += correct
        millis += elapsed
        last = answer.arrived
    return ContestResult(points, right, millis, last)


def rank_teams(session: Session, live: LiveState, ranked_teams: list[TeamPlace]) -> list[TeamPlace]:
    """The teams with what was decided: on a stage what they began with and what was judged, else the fair mean of their members.

    Of equal score whoever won the sudden death goes first, then by the rule for ties.
    """
    points = live_answers.team_points(session, live.id)
    start = None if live.scheme is None else live.scheme.start * 1000
    scored = {team.team_id: (team.score if start is None else start) + points.get(team.team_id, NOTHING_DECIDED).points for team in ranked_teams}

    def order(team: TeamPlace) -> tuple[float, ...]:
        won = points.get(team.team_id, NOTHING_DECIDED).won
        return (-scored[team.team_id], -won, *(team.result.order[1:] if start is None else ()))

    decided_teams: list[TeamPlace] = []
    ordered = sorted(ranked_teams, key=lambda team: (order(team), team.name, team.team_id))
    for index, team in enumerate(ordered):
        tied = bool(decided_teams) and order(ordered[index - 1]) == order(team)
        decided_teams.append(replace(team, place=decided_teams[-1].place if tied else index + 1, score=scored[team.team_id]))
    return decided_teams


def save_results(session: Session, live: LiveState) -> None:
    """Store everybody's result, for the board that is frozen at the end."""
    players.set_results(session, live.id, ((entry.player.id, entry.player.result) for entry in standing(session, live).people))


# ── On the stage ──


SYSTEM = "system"
SETTLE_TIME = timedelta(milliseconds=300)
"""How long after the first press others may still turn out to have arrived earlier, at another replica; then it is decided for good."""


@dataclass(frozen=True, slots=True)
class BuzzerPress:
    """The outcome of a press: a false start with its penalty, or a valid press whose order is still being decided."""

    is_false_start: bool
    points: int = 0
    then: str = ""


def check_phone_answer(item: LiveItem, team_id: int | None) -> None:
    """Raises `Refusal` for who may not answer a question on the phone."""
    if item.round in ("buzzer", "risk"):
        raise Refusal("未记录：这一题在台上口头作答。" if item.round == "risk" else "未记录：这一题先抢后答，点「抢」或回复「抢」。")
    if item.round in ("required", "tie") and team_id is None:
        raise Refusal("未记录：这一题由参赛队作答。")
    if item.team_id is not None and item.team_id != team_id:
        raise Refusal("未记录：这一题轮到别的队作答。")


def require_scheme(live: LiveState) -> StageScheme:
    if live.scheme is None:
        raise Refusal("这场竞赛没有台上环节的规则，不能抢答、判分或选分。")
    return live.scheme


def record_press(session: Session, live: LiveState, item: LiveItem, team_id: int, person_id: int, arrived: datetime) -> BuzzerPress:
    """Record a press. A false start is penalised at once, by the rule of the scheme."""
    rules = require_scheme(live).buzzer
    if item.void:
        raise Refusal(f"未记录：这一题已经作废（{item.void}）。")
    if item.window.closed_at is not None and arrived >= item.window.closed_at:
        raise Refusal("未记录：这一题已经结束。")
    buzzers_opened = None if item.buzz_at is None else _micros(item.buzz_at)
    is_false_start = live_rules.is_false_start(live_rules.Buzz(0, team_id, _micros(arrived)), buzzers_opened, rules)
    if not is_false_start and not item.window.accepts(arrived):
        raise Refusal("未记录：这一题现在不能抢。")
    if not live_answers.add_buzz(session, live.id, item.n, team_id, person_id, arrived, fault=is_false_start):
        raise Refusal("未记录：你们队这一题已经抢过了，以第一次为准。")
    if not is_false_start:
        return BuzzerPress(False)
    price = rules.fault(live_answers.count_false_starts(session, live.id, team_id))
    live_answers.add_decision(session, live.id, SYSTEM, "犯规", arrived, n=item.n, team_id=team_id, points=-price.points * 1000, why="开抢之前抢答")
    if price.then == "void":
        why = "有队抢答犯规，本题作废"
        live_state.void_item(session, item, why)
        live_answers.add_decision(session, live.id, SYSTEM, "作废", arrived, n=item.n, why=why)
        if live.course.item == item.n and live.course.phase in ("reading", "open"):
            live_state.set_clock(session, item, item.window.closed(arrived))
            live_state.set_course(session, live, live.course.after("void"), arrived)
            return BuzzerPress(True, price.points, price.then)
    live_state.bump_version(session, live.id, arrived)
    return BuzzerPress(True, price.points, price.then)


def settled_press(session: Session, live: LiveState, item: LiveItem, now: datetime) -> PressedBuzzer | None:
    """The press that wins, once no earlier one can arrive; None while there is none, or a team answers already."""
    if live.scheme is None or item.round != "buzzer" or item.holder_id is not None or item.void or live.course.paused:
        return None
    presses = [press for press in live_answers.buzzes(session, live.id, item.n) if not press.is_false_start]
    buzzers_opened = None if item.buzz_at is None else _micros(item.buzz_at)
    first_buzz = live_rules.first_valid_buzz(
        [press.buzz for press in presses], buzzers_opened, live_answers.excluded_teams(session, live.id, item.n), live.scheme.buzzer
    )
    press = next((press for press in presses if press.buzz == first_buzz), None)
    return press if press is not None and now - press.arrived >= SETTLE_TIME else None


def assign_answer(session: Session, live: LiveState, item: LiveItem, press: PressedBuzzer, now: datetime) -> None:
    """Give the answer to this team; the decision is final."""
    assert live.scheme is not None
    answer = live.scheme.buzzer.answer_seconds
    live_state.set_holder(session, item, press.buzz.team, now + timedelta(seconds=answer) if answer else None)
    if live.course.phase == "reading":
        live_state.set_course(session, live, live.course.after("buzz"), now)
    else:
        live_state.bump_version(session, live.id, now)
    later_presses = [
        later_press
        for later_press in live_answers.buzzes(session, live.id, item.n)
        if not later_press.is_false_start and later_press.arrived >= press.arrived and later_press.buzz != press.buzz
    ]
    delays = [f"{later_press.team} 晚 {(later_press.arrived - press.arrived) / timedelta(milliseconds=1):.1f} 毫秒" for later_press in later_presses]
    why = f"{press.person} 先到" + (f"；{'，'.join(delays[:3])}" if delays else "")
    live_answers.add_decision(session, live.id, SYSTEM, "抢到", now, n=item.n, team_id=press.buzz.team, why=why[:200])


def judge_closed(session: Session, live: LiveState, item: LiveItem, now: datetime) -> None:
    """Judge a closed question whose answers were given on phones, by what was recorded."""
    if live.scheme is None or item.void:
        return
    if item.round == "required":
        _judge_phones(session, live, live.scheme, item, now)
    elif item.round == "tie":
        _sudden_death(session, live, item, now)


def _judge_phones(session: Session, live: LiveState, scheme: StageScheme, item: LiveItem, now: datetime) -> None:
    for team_id in [item.team_id] if item.team_id is not None else players.team_names(session, live.id):
        answers = live_answers.team_answers(session, live.id, item.n, team_id)
        if answers and not live_answers.is_judged(session, live.id, item.n, team_id):
            right = _is_team_right(scheme, answers)
            points = live_rules.judged_points(scheme, "required", right) * 1000
            why = f"手机作答{'正确' if right else '不正确'}"
            live_answers.add_decision(session, live.id, SYSTEM, "判分", now, n=item.n, team_id=team_id, points=points, why=why)


def _is_team_right(scheme: StageScheme, answers: list[TeamAnswer]) -> bool:
    if scheme.required.by != "agree":
        return answers[0].is_right
    return live_rules.agreed_choice([answer.choice for answer in answers], scheme.required.members) is not None and answers[0].is_right


def tied_teams(team_places: list[TeamPlace]) -> list[int]:
    """The teams of the best place that several share: those who meet in the sudden death; nobody when all places are clear."""
    shared = sorted(place for place in {team.place for team in team_places} if sum(team.place == place for team in team_places) > 1)
    return [team.team_id for team in team_places if shared and team.place == shared[0]]


def _sudden_death(session: Session, live: LiveState, item: LiveItem, now: datetime) -> None:
    """Of the teams that are level, who alone is right goes before the others; else another question decides."""
    tied = tied_teams(standing(session, live).teams)
    answers_by_team = {team_id: live_answers.team_answers(session, live.id, item.n, team_id) for team_id in tied}
    remaining = live_rules.remaining_teams(
        tied, frozenset(team_id for team_id, answers in answers_by_team.items() if answers and answers[0].is_right)
    )
    if len(remaining) == 1:
        live_answers.add_decision(session, live.id, SYSTEM, "加赛", now, n=item.n, team_id=remaining[0], why="加赛中只有该队答对")
    elif remaining:
        live_answers.add_decision(session, live.id, SYSTEM, "再加一题", now, n=item.n, why=f"{len(remaining)} 队仍然相同")


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
