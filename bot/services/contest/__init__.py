"""Contests: planned, played, closed once with a frozen board."""

from bot.services.contest.close import GRACE, Board, board_of, close, close_by, close_due, league_of, recount, stop
from bot.services.contest.plan import cancel, change, create, listed, open_, own, set_teams, told
from bot.services.contest.play import KIND, Standing, begin, end, found, join, offered, past, ranked, settle, standing
from bot.services.contest.source import draw, fixed
from bot.services.contest.tell import invite

__all__ = [
    "GRACE",
    "KIND",
    "Board",
    "Standing",
    "begin",
    "board_of",
    "cancel",
    "change",
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
    "ranked",
    "recount",
    "set_teams",
    "settle",
    "standing",
    "stop",
    "told",
]
