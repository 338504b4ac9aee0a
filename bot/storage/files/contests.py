"""A contest written down in a YAML file: its window, its questions, its audience, its rules; every fault with its line."""

from __future__ import annotations

from pathlib import Path

from bot.domain import contest as rules
from bot.domain.audience import parse_audience
from bot.domain.contest.plan import Plan
from bot.domain.message import Refusal
from bot.storage.files.models import ContestFile, validated
from bot.storage.files.strict import Fault, Refused, parse, text_of

LARGEST = 200_000


def read_contest(path: Path) -> tuple[Plan, tuple[str, ...]]:
    """The plan and the ids of fixed questions. Raises `Refusal` with file, line and sentence for everything that is wrong."""
    faults: list[Fault] = []
    try:
        node = parse(text_of(path, LARGEST))
    except Refused as refused:
        raise Refusal(str(Fault(path.name, refused.line, refused.sentence))) from None
    found = validated(ContestFile, node, path.name, faults)
    if found is None:
        raise Refusal("\n".join(map(str, faults)))
    said = rules.from_json({**rules.USUAL[found.form], **found.rules})
    plan = Plan(found.name, found.form, said, tuple(found.of), parse_audience(found.to), found.opens, found.closes, found.clause)
    return plan, tuple(found.questions)
