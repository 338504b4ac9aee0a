"""How everybody stands in a live contest, made from the answers, the clocks and the decisions alone: the same rows give the same board."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from sqlmodel import Session

from bot.domain import contest
from bot.domain.contest import Result, Rules, Said, TeamPlace
from bot.storage import players, teams
from bot.storage.live import calling, play, stage
from bot.storage.live.stage import Item, Stage

ON_STAGE = "基础分加台上各轮得分"


@dataclass(frozen=True, slots=True)
class Standing:
    """Everybody as they stand now."""

    rules: Rules
    people: list[contest.Place]
    teams: list[TeamPlace]


def rules_of(of: Stage) -> Rules:
    return contest.from_json(json.loads(of.rules))


def standing(session: Session, of: Stage) -> Standing:
    """The whole board of a contest as the rows stand."""
    rules = rules_of(of)
    results = _results(session, of, rules)
    if of.scheme is not None:
        # Who stood on the stage took part, though the answers were spoken.
        here = {who for who in calling.people(session, of.id) if teams.team_of(session, of.id, who) is not None}
        results |= {who: Result(finished=of.opened_at) for who in here - results.keys()}
    everybody = [
        replace(one, result=results.get(one.id, contest.score.NOTHING), took_part=one.id in results) for one in players.players(session, of.id)
    ]
    of_teams = contest.teams(rules, teams.names(session, of.id), everybody)
    return Standing(rules, contest.places(everybody), decided(session, of, of_teams))


def own(session: Session, of: Stage, person_id: int) -> Result | None:
    """How one person stands, without looking at all the others: two thousand may ask at once. None before the first answer that counts."""
    return _results(session, of, rules_of(of), person_id).get(person_id)


def _results(session: Session, of: Stage, rules: Rules, person_id: int | None = None) -> dict[int, Result]:
    """What the answers of everybody come to; a void question and one that belongs to a team count for nobody."""
    counted = {one.n: one for one in stage.items(session, of.id) if one.round == "all" and not one.void}
    worth = {n: replace(rules, base=one.points, seconds=max(1, one.seconds)) for n, one in counted.items()}
    adjusted = play.person_points(session, of.id)
    found: dict[int, Result] = {}
    for who, given in groupby(play.answers(session, of.id, person_id), key=lambda one: one.person_id):
        if mine := [one for one in given if one.n in counted]:
            found[who] = _result(mine, counted, worth, adjusted.pop(who, 0))
    for who, points in adjusted.items():
        found[who] = Result(points, finished=of.opened_at)
    return found


def _result(given: list[play.Given], items: Mapping[int, Item], worth: Mapping[int, Rules], points: int) -> Result:
    right, millis, in_a_row = 0, 0, 0
    last: datetime | None = None
    for one in given:
        took = items[one.n].window.elapsed(one.arrived) // timedelta(milliseconds=1)
        correct = one.earned == 1000
        points += contest.worth(worth[one.n], Said(one.earned, correct, took), in_a_row)
        in_a_row = in_a_row + 1 if correct else 0
        right += correct
        millis += took
        last = one.arrived
    return Result(points, right, millis, last)


def decided(session: Session, of: Stage, by_members: list[TeamPlace]) -> list[TeamPlace]:
    """The teams with what was decided: on a stage what they began with and what was judged, else the fair mean of their members (S17).

    Of equal score whoever won the sudden death goes first, then by the rule for ties.
    """
    points = play.team_points(session, of.id)
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


def keep(session: Session, of: Stage) -> None:
    """Write down how everybody stands, for the board that is frozen at the close."""
    players.stand_all(session, of.id, ((one.player.id, one.player.result) for one in standing(session, of).people))
