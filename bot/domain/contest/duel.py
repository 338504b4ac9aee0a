"""The rules of a duel (对战): two or four players, the same questions, places and match points (bot/docs/rules.md S16, G1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from bot.domain.contest.leaderboard import ContestResult

PLAYER_COUNTS = (2, 4)
QUESTION_COUNT = 5
QUEUE_TIMEOUT = timedelta(seconds=30)
"""How long a player waits in the queue for an opponent."""
INVITATION_TIMEOUT = timedelta(minutes=10)
"""How long an invitation to a named colleague can be accepted."""
TIME_LIMIT = timedelta(minutes=3)
"""From the start of the match until answers no longer count."""
SCORED_PER_DAY = 2
"""Matches a day whose points count; later ones are played without points."""
INVITATIONS_PER_DAY = 10
"""How often a day one person may invite colleagues by name, so that invitations do not become a nuisance."""
POINTS_BY_PLACE = {1: (3,), 2: (3, 1), 3: (3, 2, 1), 4: (3, 2, 2, 1)}
"""Match points by place: the last gets at most two less than the winner."""


@dataclass(frozen=True, slots=True)
class RankedDuelPlayer:
    """A player after the match: the place, the match points, and the result behind them."""

    player: int
    place: int
    points: int
    result: ContestResult


def rank_players(results: Sequence[tuple[int, ContestResult]]) -> list[RankedDuelPlayer]:
    """Places and match points of those who played. Equal right answers are ordered by time; players that are still equal share the better place."""
    ordered = sorted(results, key=lambda entry: (_sort_key(entry[1]), entry[0]))
    table = POINTS_BY_PLACE[max(1, len(ordered))] if ordered else ()
    ranked: list[RankedDuelPlayer] = []
    for position, (player, result) in enumerate(ordered, 1):
        tied = bool(ranked) and _sort_key(ranked[-1].result) == _sort_key(result)
        place = ranked[-1].place if tied else position
        ranked.append(RankedDuelPlayer(player, place, table[place - 1], result))
    return ranked


def _sort_key(result: ContestResult) -> tuple[int, bool, int]:
    """Right answers, then time; a player who answered nothing took no time and is still last."""
    return (-result.correct, result.finished is None, result.millis)


def scored_points(matches: Sequence[tuple[date, int]]) -> int:
    """Match points that count, from (day, points) in the order of play: of each day the first two matches (bot/docs/rules.md G1)."""
    matches_by_day: Counter[date] = Counter()
    total = 0
    for day, points in matches:
        matches_by_day[day] += 1
        total += points if matches_by_day[day] <= SCORED_PER_DAY else 0
    return total
