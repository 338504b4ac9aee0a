"""Leaderboards of players and teams: points, how results are ordered and ties are broken, places, and which names may be published.

What breaks a tie is `ContestResult.order`; whoever is equal after it shares a place. A board is computed from results alone, so the same rows
give the same board whoever asks. Teams compare fairly whatever their size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeVar

from bot.domain.contest.contest import FULL_SPEED_MILLIS, ContestRules, team_score_text


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One recorded answer: the share it earned in thousandths, whether it was right, and how long it took in milliseconds."""

    earned: int
    correct: bool
    millis: int


@dataclass(frozen=True, slots=True)
class ContestResult:
    """How somebody stands: points in thousandths, right answers, milliseconds, and the moment the last of it was done (None: nothing was)."""

    points: int = 0
    correct: int = 0
    millis: int = 0
    finished: datetime | None = None

    @property
    def order(self) -> tuple[int, int, int, float]:
        """The smaller, the better: points, then right answers, then time, then who was done first (bot/domain/contest/contest.py, TIE_RULE)."""
        done = float("inf") if self.finished is None else self.finished.timestamp()
        return (-self.points, -self.correct, self.millis, done)


NO_RESULT = ContestResult()
"""The result of somebody who has answered nothing."""


@dataclass(frozen=True, slots=True)
class FinishedSet:
    """A set as it ended: the day in Asia/Shanghai on which it was begun, and what it came to."""

    day: date
    result: ContestResult


def answer_points(rules: ContestRules, answer: ScoredAnswer, in_a_row: int = 0) -> int:
    """Points of one answer in thousandths. `in_a_row` right answers stood before it; a wrong one never costs anything.

    With a speed weight of w percent an answer after t of the T seconds keeps 100 − w·t/T percent; within half a second nothing is lost.
    """
    kept = 100_000
    if rules.speed and answer.millis > FULL_SPEED_MILLIS:
        kept -= rules.speed * 1000 * min(answer.millis, rules.seconds * 1000) // (rules.seconds * 1000)
    points = rules.base * answer.earned * kept // (1000 * 100_000)
    return points + (rules.streak if answer.correct and in_a_row else 0)


def set_result(rules: ContestRules, answers: Sequence[ScoredAnswer], finished: datetime | None, *, is_whole: bool) -> ContestResult:
    """A set's result from its answers in the order they were given; `is_whole` when the set was finished, and so earns what finishing earns."""
    points, in_a_row = rules.finish if is_whole else 0, 0
    for answer in answers:
        points += answer_points(rules, answer, in_a_row)
        in_a_row = in_a_row + 1 if answer.correct else 0
    return ContestResult(points, sum(answer.correct for answer in answers), sum(answer.millis for answer in answers), finished)


def overall_result(rules: ContestRules, sets: Iterable[FinishedSet]) -> ContestResult:
    """A person's result from the sets that were finished: of each day the best `counted_a_day`, together or the best of them alone."""
    days: defaultdict[date, list[ContestResult]] = defaultdict(list)
    for finished_set in sets:
        days[finished_set.day].append(finished_set.result)
    counted = [result for results in days.values() for result in sorted(results, key=lambda result: result.order)[: rules.counted_a_day]]
    if not counted:
        return NO_RESULT
    if rules.take == "best":
        return min(counted, key=lambda result: result.order)
    moments = [result.finished for result in counted if result.finished is not None]
    return ContestResult(
        sum(result.points for result in counted),
        sum(result.correct for result in counted),
        sum(result.millis for result in counted),
        max(moments, default=None),
    )


BANDS = ((10, "第一档"), (30, "第二档"), (60, "第三档"), (100, "第四档"))
"""Up to which percentage of those who took part a band reaches."""


@dataclass(frozen=True, slots=True)
class RankedPlayer:
    """Somebody who took part, or a member of a team who did not (`took_part` is False; then the result is empty)."""

    id: int
    name: str
    result: ContestResult = NO_RESULT
    team_id: int | None = None
    took_part: bool = True
    strength: int = 0


@dataclass(frozen=True, slots=True)
class PlayerPlace:
    """A player with their place, counted from one; those that the rule cannot tell apart share it, and the next place is left out."""

    place: int
    player: RankedPlayer


@dataclass(frozen=True, slots=True)
class TeamPlace:
    """A team with its place and score: thousandths of a point, the mean over `counted` of its `members`, of whom `present` took part."""

    place: int
    team_id: int
    name: str
    score: int
    counted: int
    members: int
    present: int
    result: ContestResult = NO_RESULT


def rank_players(players: Iterable[RankedPlayer]) -> list[PlayerPlace]:
    """Those who took part in their order; within one place by name, so that a board is always the same."""
    ranked: list[PlayerPlace] = []
    for position, player in enumerate(
        sorted((entry for entry in players if entry.took_part), key=lambda entry: (*entry.result.order, entry.name, entry.id)), 1
    ):
        tied = bool(ranked) and ranked[-1].player.result.order == player.result.order
        ranked.append(PlayerPlace(ranked[-1].place if tied else position, player))
    return ranked


def rank_teams(rules: ContestRules, names: Mapping[int, str], players: Iterable[RankedPlayer]) -> list[TeamPlace]:
    """The board of teams: of each the mean over its best `rules.best` members, or over all of them; who did not take part counts as zero.

    A team with fewer members than `best` is measured over those it has. Ties as for players, over the sums of those who count.
    """
    members_by_team: defaultdict[int, list[RankedPlayer]] = defaultdict(list)
    for player in players:
        if player.team_id is not None and player.team_id in names:
            members_by_team[player.team_id].append(player)
    scored: list[tuple[int, ContestResult, int, int, int]] = []
    for team_id, members in members_by_team.items():
        counted = min(rules.best, len(members)) if rules.best else len(members)
        best_results = sorted((member.result for member in members if member.took_part), key=lambda result: result.order)[:counted]
        moments = [result.finished for result in best_results if result.finished is not None]
        result = ContestResult(
            sum(result.points for result in best_results) // counted,
            # Over different numbers of members sums say nothing: means in thousandths do.
            sum(result.correct for result in best_results) * 1000 // counted,
            sum(result.millis for result in best_results) // counted,
            max(moments, default=None),
        )
        scored.append((team_id, result, counted, len(members), sum(member.took_part for member in members)))
    ranked: list[TeamPlace] = []
    for position, (team_id, result, counted, member_count, present) in enumerate(
        sorted(scored, key=lambda entry: (*entry[1].order, names[entry[0]], entry[0])), 1
    ):
        tied = bool(ranked) and ranked[-1].result.order == result.order
        ranked.append(
            TeamPlace(ranked[-1].place if tied else position, team_id, names[team_id], result.points, counted, member_count, present, result)
        )
    return ranked


def team_heading(rules: ContestRules) -> str:
    return f"团队榜，{team_score_text(rules)}"


# ── Publication ──


class Ranked(Protocol):
    """Whatever has a place on a board: a player or a team."""

    @property
    def place(self) -> int: ...


RankedT = TypeVar("RankedT", bound=Ranked)


def upper_half_size(board: Sequence[Ranked]) -> int:
    """How many of a board stand in its middle or above; a place that begins there is named whole."""
    half = (len(board) + 1) // 2
    while half < len(board) and half and board[half].place == board[half - 1].place:
        half += 1
    return half


def publishable_entries(rules: ContestRules, board: Sequence[RankedT]) -> list[RankedT]:
    """Those whose names and places may be said, by the rule of the contest: nobody, the middle and above, or all."""
    match rules.board:
        case "all":
            return list(board)
        case "upper":
            return list(board[: upper_half_size(board)])
    return []


def band_label(place: int, size: int) -> str:
    """The band of a place among so many: what is said instead of places."""
    share = 100 * (place - 1) // max(1, size)
    return next(label for limit, label in BANDS if share < limit)


def split_into_leagues(players: Iterable[RankedPlayer], size: int) -> list[list[RankedPlayer]]:
    """Groups among equals (bot/docs/rules.md S21): everybody by strength, cut into groups of about `size` whose sizes differ by one at the most."""
    ordered = sorted((player for player in players if player.took_part), key=lambda player: (-player.strength, player.id))
    if not ordered:
        return []
    group_count = max(1, round(len(ordered) / size))
    base_size, remainder = divmod(len(ordered), group_count)
    groups, start = [], 0
    for index in range(group_count):
        end = start + base_size + (index < remainder)
        groups.append(ordered[start:end])
        start = end
    return groups
