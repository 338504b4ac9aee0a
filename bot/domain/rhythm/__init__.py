"""Rhythms: when a campaign falls due. `base` is the value, `due` its moments, `words` its sentence."""

from bot.domain.rhythm.base import LAW_DAYS, Rhythm, at_once, from_json, to_json, unrolled, without
from bot.domain.rhythm.due import due_between, next_due
from bot.domain.rhythm.words import describe, parse_rhythm

__all__ = [
    "LAW_DAYS",
    "Rhythm",
    "at_once",
    "describe",
    "due_between",
    "from_json",
    "next_due",
    "parse_rhythm",
    "to_json",
    "unrolled",
    "without",
]
