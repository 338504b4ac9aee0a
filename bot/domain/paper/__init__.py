"""Papers: what an exam asks for (a blueprint), whether the library can give it, and one person's paper drawn from it (features.md A05, A06).

A blueprint is a value; `words` reads and writes it, `plan` says what is missing or how many of which strata everybody gets, `draw` makes a paper.
"""

from bot.domain.paper.blueprint import Blueprint, Row, from_json, to_json, whole
from bot.domain.paper.draw import Drawn, Paper, assemble
from bot.domain.paper.plan import Item, Plan, difficulty, missing, prepare
from bot.domain.paper.shuffle import as_file, as_shown, may_shuffle, shown_as
from bot.domain.paper.words import EXAMPLE, describe, parse_blueprint, points_text, read_blueprint

__all__ = [
    "EXAMPLE",
    "Blueprint",
    "Drawn",
    "Item",
    "Paper",
    "Plan",
    "Row",
    "as_file",
    "as_shown",
    "assemble",
    "describe",
    "difficulty",
    "from_json",
    "may_shuffle",
    "missing",
    "parse_blueprint",
    "points_text",
    "prepare",
    "read_blueprint",
    "shown_as",
    "to_json",
    "whole",
]
