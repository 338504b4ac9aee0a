"""Closing a contest: closed once by whichever caller comes first; in one transaction the board is frozen, hours are credited, players notified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.campaign.campaign import SYSTEM, Author
from bot.domain.contest import leaderboard
from bot.domain.contest.contest import STATE_LABELS, TIE_RULE, Contest, team_score_text
from bot.domain.contest.leaderboard import PlayerPlace, RankedPlayer, TeamPlace
from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.services.contest import live_scoring, notifications
from bot.services.contest.manage import require_contest
from bot.services.contest.play import settle_set
from bot.services.hours import credit
from bot.services.library.catalog import Catalog
from bot.storage.contest import contests, live_state, players
from bot.storage.system import audit

GRACE = timedelta(seconds=5)
"""How long after its end a contest is closed: longer than an answer that arrived in time may wait for the database (`patience` of `Database`)."""


@dataclass(frozen=True, slots=True)
class Board:
    """The places of players and teams; the contest's rule decides what is published (bot/domain/contest/leaderboard.py)."""

    contest: Contest
    places: tuple[PlayerPlace, ...]
    teams: tuple[TeamPlace, ...]
    joined: int

    @property
    def is_frozen(self) -> bool:
        return self.contest.state == "closed"


def board_of(session: Session, contest: Contest) -> Board:
    """The board as the rows stand; of a closed contest these do not change any more."""
    participants = players.list_ranked(session, contest.id)
    ranked_teams = leaderboard.rank_teams(contest.rules, players.team_names(session, contest.id), participants)
    live = live_state.get(session, contest.id)
    decided_teams = ranked_teams if live is None else live_scoring.rank_teams(session, live, ranked_teams)
    return Board(contest, tuple(leaderboard.rank_players(participants)), tuple(decided_teams), players.count_joined(session, contest.id))


def close_due(session: Session, catalog: Catalog, now: datetime) -> list[int]:
    """Close the windowed contests whose end is past, and the grace with it; the ids of those that this call closed."""
    return [contest_id for contest_id in contests.due_to_close(session, now - GRACE) if close(session, catalog, contest_id, now) is not None]


def close(session: Session, catalog: Catalog, contest_id: int, now: datetime, by: str = SYSTEM, via: str = SYSTEM) -> Board | None:
    """Freeze the board: the board for the one caller that closed it, None for everybody after.

    A set under way counts as far as it was answered. Hours are for taking part (rule D5): at least one set finished, or one answer where a host asks.
    """
    contest = contests.lock_exclusive(session, contest_id)
    if contest is None or contest.state != "open":
        return None
    for sitting_id, person_id in players.open_sets(session, contest_id):
        settle_set(session, contest, sitting_id, person_id, now)
    players.close_open_sets(session, contest_id, now)
    board = _freeze(session, contest, now)
    for person_id in players.finished_a_set(session, contest_id) if contest.plan.form == "windowed" else players.took_part(session, contest_id):
        credit.earn_contest(session, catalog.policy, person_id, contest_id, day_of(contest.plan.closes_at or now), now)
    if contest.plan.form == "windowed":
        # Participants of a live contest have seen the result on site.
        notifications.queue_results(session, contest, [entry.player.id for entry in board.places], now)
    detail = f"{len(board.places)} 人有成绩，{len(board.teams)} 队"
    audit.record(session, now, by, via, "竞赛结束", f"contest:{contest_id}", detail=detail)
    return board


def end_early(session: Session, author: Author, contest_id: int, now: datetime) -> Contest:
    """An administrator ends it before its time: what arrives from now on does not count; what arrived before is waited for, then it is closed.

    Closed at once, it would stand in the way of those who are just answering. Raises `Refusal` for one that is not open or has not begun.
    """
    contest = require_contest(session, author, contest_id, hold=True)
    if contest.state != "open":
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」{STATE_LABELS[contest.state]}，没有可以结束的。")
    opens = contest.plan.opens_at
    if opens is not None and now <= opens:
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」还没有开始；不办了请取消：contest cancel {contest_id}。")
    if opens is not None and contests.end_early(session, contest_id, now):
        audit.record(session, now, author.actor, author.via, "提前截止竞赛", f"contest:{contest_id}")
    return contest


def close_early(session: Session, catalog: Catalog, author: Author, contest_id: int, now: datetime) -> Board:
    """Freeze the board now, when nothing is on its way any more (`end_early`, then the grace). Raises `Refusal` for one that is not open."""
    contest = require_contest(session, author, contest_id)
    board = close(session, catalog, contest_id, now, author.actor, author.via) if contest.state == "open" else None
    if board is None:
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」{STATE_LABELS[contest.state]}，没有可以结束的。")
    return board


def _freeze(session: Session, contest: Contest, now: datetime) -> Board:
    board = board_of(session, contest)
    players.set_places(session, contest.id, [(entry.player.id, entry.place) for entry in board.places])
    contests.freeze(session, contest.id, _board_json(board), now)
    frozen = contests.get(session, contest.id)
    assert frozen is not None
    return Board(frozen, board.places, board.teams, board.joined)


def _board_json(board: Board) -> dict[str, Any]:
    """What the contest's row keeps beside the places in `participation`."""
    contest = board.contest
    return {
        "version": contest.version,
        "ties": TIE_RULE,
        "joined": board.joined,
        "took_part": len(board.places),
        "team_rule": _team_score_text(contest) if board.teams else "",
        "teams": [
            {"place": team.place, "team": team.name, "score": team.score, "counted": team.counted, "members": team.members, "present": team.present}
            for team in board.teams
        ],
    }


def _team_score_text(contest: Contest) -> str:
    return live_scoring.STAGE_SCORE_TEXT if contest.plan.form == "onsite" else team_score_text(contest.rules)


def recount(session: Session, contest_id: int, now: datetime) -> tuple[Board, Board]:
    """The boards before and after everything is counted again from the answers as they are marked now; a frozen board is frozen anew.

    Without a changed mark both are equal: that is how a board is proved.
    """
    contest = contests.lock(session, contest_id)
    if contest is None:
        raise Refusal(f"没有编号为 {contest_id} 的竞赛。")
    before = board_of(session, contest)
    for sitting_id, person_id in players.ended_sets(session, contest_id):
        settle_set(session, contest, sitting_id, person_id, now)
    if (live := live_state.get(session, contest_id)) is not None:
        live_scoring.save_results(session, live)
    return before, _freeze(session, contest, now) if contest.state == "closed" else board_of(session, contest)


def league_places(board: Board, person_id: int) -> list[PlayerPlace]:
    """The board of somebody's group among equals (bot/docs/rules.md S21), or the whole board where there are no groups."""
    size = board.contest.rules.league
    if not size:
        return list(board.places)
    groups = leaderboard.split_into_leagues([entry.player for entry in board.places], size)
    mine: list[RankedPlayer] = next((group for group in groups if any(player.id == person_id for player in group)), [])
    return leaderboard.rank_players(mine)
