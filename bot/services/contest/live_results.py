"""How everybody stands in a live contest, made from the answers, the clocks and the decisions alone: the same rows give the same board."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from sqlmodel import Session

from bot.domain.contest import contest, leaderboard, scoring
from bot.domain.contest.contest import ContestRules
from bot.domain.contest.leaderboard import TeamPlace
from bot.domain.contest.scoring import ContestResult, ScoredAnswer
from bot.storage.contest import live_answers, live_state, players
from bot.storage.contest import teams as contest_teams
from bot.storage.contest.live_state import LiveItem, LiveState

ON_STAGE = "基础分加台上各轮得分"


@dataclass(frozen=True, slots=True)
class LiveStanding:
    """Everybody as they stand now."""

    rules: ContestRules
    people: list[leaderboard.PlayerPlace]
    teams: list[TeamPlace]


def rules_of(of: LiveState) -> ContestRules:
    return contest.rules_from_json(json.loads(of.rules))


def standing(session: Session, of: LiveState) -> LiveStanding:
    """The whole board of a contest as the rows stand."""
    rules = rules_of(of)
    results = _results(session, of, rules)
    if of.scheme is not None:
        # Who stood on the stage took part, though the answers were spoken.
        here = {who for who in live_state.people_to_call(session, of.id) if contest_teams.team_of(session, of.id, who) is not None}
        results |= {who: ContestResult(finished=of.opened_at) for who in here - results.keys()}
    everybody = [replace(one, result=results.get(one.id, scoring.NOTHING), took_part=one.id in results) for one in players.players(session, of.id)]
    of_teams = leaderboard.teams(rules, contest_teams.names(session, of.id), everybody)
    return LiveStanding(rules, leaderboard.places(everybody), decided(session, of, of_teams))


def own(session: Session, of: LiveState, person_id: int) -> ContestResult | None:
    """How one person stands, without looking at all the others: two thousand may ask at once. None before the first answer that counts."""
    return _results(session, of, rules_of(of), person_id).get(person_id)


def _results(session: Session, of: LiveState, rules: ContestRules, person_id: int | None = None) -> dict[int, ContestResult]:
    """What the answers of everybody come to; a void question and one that belongs to a team count for nobody."""
    counted = {one.n: one for one in live_state.items(session, of.id) if one.round == "all" and not one.void}
    worth = {n: replace(rules, base=one.points, seconds=max(1, one.seconds)) for n, one in counted.items()}
    adjusted = live_answers.person_points(session, of.id)
    found: dict[int, ContestResult] = {}
    for who, given in groupby(live_answers.answers(session, of.id, person_id), key=lambda one: one.person_id):
        if mine := [one for one in given if one.n in counted]:
            found[who] = _result(mine, counted, worth, adjusted.pop(who, 0))
    for who, points in adjusted.items():
        found[who] = ContestResult(points, finished=of.opened_at)
    return found


def _result(given: list[live_answers.GivenAnswer], items: Mapping[int, LiveItem], worth: Mapping[int, ContestRules], points: int) -> ContestResult:
    right, millis, in_a_row = 0, 0, 0
    last: datetime | None = None
    for one in given:
        took = items[one.n].window.elapsed(one.arrived) // timedelta(milliseconds=1)
        correct = one.earned == 1000
        points += scoring.worth(worth[one.n], ScoredAnswer(one.earned, correct, took), in_a_row)
        in_a_row = in_a_row + 1 if correct else 0
        right += correct
        millis += took
        last = one.arrived
    return ContestResult(points, right, millis, last)


def decided(session: Session, of: LiveState, by_members: list[TeamPlace]) -> list[TeamPlace]:
    """The teams with what was decided: on a stage what they began with and what was judged, else the fair mean of their members.

    Of equal score whoever won the sudden death goes first, then by the rule for ties.
    """
    points = live_answers.team_points(session, of.id)
    start = None if of.scheme is None else of.scheme.start * 1000
    scored = {one.team_id: (one.score if start is None else start) + points.get(one.team_id, (0, 0))[0] for one in by_members}

    def order(one: TeamPlace) -> tuple[float, ...]:
        won = points.get(one.team_id, (0, 0))[1]
        return (-scored[one.team_id], -won, *(one.result.order[1:] if start is None else ()))

    found: list[TeamPlace] = []
    ordered = sorted(by_members, key=lambda one: (order(one), one.name, one.team_id))
    for at, one in enumerate(ordered):
        tied = bool(found) and order(ordered[at - 1]) == order(one)
        found.append(replace(one, place=found[-1].place if tied else at + 1, score=scored[one.team_id]))
    return found


def keep(session: Session, of: LiveState) -> None:
    """Write down how everybody stands, for the board that is frozen at the close."""
    players.stand_all(session, of.id, ((one.player.id, one.player.result) for one in standing(session, of).people))
