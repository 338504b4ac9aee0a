"""Contests: what answers come to, who stands where, and what of it is said (features.md S15 S17 S21 V21, G1, G7)."""

from bot.domain.contest.board import BANDS, Place, Player, TeamPlace, band, leagues, middle, named, places, team_heading, teams
from bot.domain.contest.rules import BOARDS, TAKES, TEAMS, TIES, USUAL, Rules, describe, from_json, team_text, to_json
from bot.domain.contest.score import NOTHING, Done, Result, Said, overall, total, worth
from bot.domain.correction import points_text

__all__ = [
    "BANDS",
    "BOARDS",
    "NOTHING",
    "TAKES",
    "TEAMS",
    "TIES",
    "USUAL",
    "Done",
    "Place",
    "Player",
    "Result",
    "Rules",
    "Said",
    "TeamPlace",
    "band",
    "describe",
    "from_json",
    "leagues",
    "middle",
    "named",
    "overall",
    "places",
    "points_text",
    "team_heading",
    "team_text",
    "teams",
    "to_json",
    "total",
    "worth",
]
