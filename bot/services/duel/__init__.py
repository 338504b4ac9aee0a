"""Matches: called and answered in `calls`, played in `play`, told in `news`."""

from bot.services.duel.calls import Call, Joined, accept, called_by, cancel, current, decline, invite, look_for
from bot.services.duel.news import results, tell, why_off
from bot.services.duel.play import GRACE, KIND, Over, expire, finish, put, record

__all__ = [
    "GRACE",
    "KIND",
    "Call",
    "Joined",
    "Over",
    "accept",
    "called_by",
    "cancel",
    "current",
    "decline",
    "expire",
    "finish",
    "invite",
    "look_for",
    "put",
    "record",
    "results",
    "tell",
    "why_off",
]
