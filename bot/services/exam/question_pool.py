"""What papers are drawn from: made ready once for an exam, before everybody begins at the same moment (bot/docs/performance.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlmodel import Session

from bot.domain.exam.blueprint import Blueprint
from bot.domain.exam.exam import Exam
from bot.domain.exam.paper import CandidateItem, PaperPlan, difficulty, may_shuffle, missing, prepare
from bot.services.library.catalog import Catalog
from bot.storage.exam import attempts, exams

log = structlog.get_logger(__name__)

AHEAD = timedelta(minutes=10)
"""How long before its opening an exam is made ready."""
FRESH = timedelta(seconds=10)
"""How long the count of uses is believed; other replicas draw meanwhile."""
STALE = timedelta(minutes=1)
"""After so long somebody who begins counts again themselves: `prepare_ahead` does it sooner, and on the readers, where nobody waits for it."""


@dataclass(slots=True)
class Prepared:
    """The plan of an exam, and how often each question was in a paper as far as this process knows."""

    plan: PaperPlan
    read_at: datetime
    uses: Counter[str] = field(default_factory=Counter)


def pool(session: Session, catalog: Catalog) -> list[CandidateItem]:
    """Every question that may be drawn, with its expected difficulty."""
    known = attempts.first_answers(session)
    found: list[CandidateItem] = []
    for name, version_id in catalog.drawn.items():
        one = catalog.library.questions[name]
        answered, right = known.get(version_id, (0, 0))
        letters = one.letters if may_shuffle(one) else ""
        found.append(CandidateItem(name, version_id, one.kind, one.law, one.level, one.case, difficulty(one.level, answered, right), letters))
    return found


def scopes(catalog: Catalog, blueprint: Blueprint) -> dict[str, frozenset[str]]:
    """The questions behind each name that a blueprint uses; names that nobody has are left out."""
    found: dict[str, frozenset[str]] = {}
    for name in {row.scope for row in blueprint.rows if row.scope}:
        questions = catalog.library.questions_of(name)
        if questions is not None:
            found[name] = frozenset(one.id for one in questions)
    return found


def may_hold(catalog: Catalog, blueprint: Blueprint, kind: str) -> bool:
    """Whether a paper of this blueprint can have an item of a kind."""
    questions = catalog.library.questions
    fixed = (questions[name].kind for name, _ in blueprint.fixed if name in questions)
    return kind in {*(row.kind for row in blueprint.rows), *fixed}


def lacking(session: Session, catalog: Catalog, blueprint: Blueprint) -> list[str]:
    """What the banks lack for a blueprint, to the item."""
    return missing(blueprint, pool(session, catalog), scopes(catalog, blueprint))


def prepared(session: Session, catalog: Catalog, exam: Exam, now: datetime, fresh: timedelta = STALE) -> Prepared:
    """The plan of an exam, made at the first call and kept with the shelf; its count of uses no older than `fresh`.

    Raises ValueError where questions have gone meanwhile.
    """
    kept: Prepared | None = catalog.papers.get(exam.id)
    if kept is None:
        plan = prepare(exam.blueprint, pool(session, catalog), scopes(catalog, exam.blueprint))
        kept = catalog.papers[exam.id] = Prepared(plan, now, _uses(session, exam))
    elif exam.blueprint.most and now - kept.read_at > fresh:
        kept.uses, kept.read_at = _uses(session, exam), now
    return kept


def _uses(session: Session, exam: Exam) -> Counter[str]:
    return Counter(attempts.uses(session)) if exam.blueprint.most else Counter()


def prepare_ahead(session: Session, catalog: Catalog, now: datetime) -> int:
    """Make ready what opens soon or is open; only reads rows. How many exams are ready."""
    ready = 0
    at_hand = exams.published(session, now + AHEAD)
    for over in {*catalog.papers, *catalog.undrawn} - {one.id for one in at_hand}:
        # A plan holds every question of its banks: it goes with its exam, or a service that runs for years keeps them all.
        catalog.papers.pop(over, None)
        catalog.undrawn.pop(over, None)
    for exam in at_hand:
        if exam.closes_at <= now:
            continue
        try:
            prepared(session, catalog, exam, now, FRESH)
            ready += 1
            catalog.undrawn.pop(exam.id, None)
        except ValueError as lacking:
            # This comes by every few seconds: what it says is news only while it changes.
            if catalog.undrawn.get(exam.id) != str(lacking):
                catalog.undrawn[exam.id] = str(lacking)
                log.warning("no papers can be drawn", exam=exam.id, lacking=str(lacking))
    return ready
