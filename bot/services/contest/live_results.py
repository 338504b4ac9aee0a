"""Results of a live contest, computed from answers, question clocks and decisions alone: the same rows give the same board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from sqlmodel import Session

from bot.domain.contest import leaderboard
from bot.domain.contest.contest import ContestRules
from bot.domain.contest.leaderboard import ContestResult, ScoredAnswer, TeamPlace
from bot.storage.contest import live_answers, live_state, players
from bot.storage.contest.live_answers import TeamPoints
from bot.storage.contest.live_state import LiveItem, LiveState

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
