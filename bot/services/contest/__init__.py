"""Contests: planned, played, closed once with a frozen board."""

from bot.services.contest.close import GRACE, Board, board_of, close, close_by, close_due, league_of, recount
from bot.services.contest.plan import cancel, change, checked, create, listed, open_, own, set_teams, told
from bot.services.contest.play import KIND, SetOver, Standing, begin, check_runs, end, found, join, offered, past, ranked, settle, standing
from bot.services.contest.source import draw, fixed, pool
from bot.services.contest.tell import invite

__all__ = [
    "GRACE",
    "KIND",
    "Board",
    "SetOver",
    "Standing",
    "begin",
    "board_of",
    "cancel",
    "change",
    "check_runs",
    "checked",
    "close",
    "close_by",
    "close_due",
    "create",
    "draw",
    "end",
    "fixed",
    "found",
    "invite",
    "join",
    "league_of",
    "listed",
    "offered",
    "open_",
    "own",
    "past",
    "pool",
    "ranked",
    "recount",
    "set_teams",
    "settle",
    "standing",
    "told",
]
