"""The pool that papers are drawn from, and the plan of each exam, prepared before everybody begins at once (bot/docs/performance.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.exam import paper
from bot.domain.exam.blueprint import Blueprint
from bot.domain.exam.exam import Exam
from bot.domain.exam.paper import CandidateItem, PaperPlan, build_plan, expected_difficulty, find_shortages, may_shuffle
from bot.logs import get_logger
from bot.services.library.catalog import Catalog
from bot.storage.exam import attempts, exams

log = get_logger(__name__)

PREPARE_AHEAD = timedelta(minutes=10)
"""How long before its opening an exam is made ready."""
USES_FRESH = timedelta(seconds=10)
"""How long the count of uses is believed; other replicas draw meanwhile."""
USES_STALE = timedelta(minutes=1)
"""After so long somebody who begins counts again themselves: `prepare_ahead` does it sooner, and on the readers, where nobody waits for it."""


@dataclass(slots=True)
class PreparedPlan:
    """The plan of an exam, and how often each question was in a paper as far as this process knows."""

    plan: PaperPlan
    read_at: datetime
    uses: Counter[str] = field(default_factory=Counter)


def list_candidates(session: Session, catalog: Catalog) -> list[CandidateItem]:
    """Every question that may be drawn, with its expected difficulty."""
    answer_counts = attempts.first_answer_counts(session)
    items: list[CandidateItem] = []
    for name, version_id in catalog.drawn.items():
        question = catalog.library.questions[name]
        answered, right = answer_counts.get(version_id, (0, 0))
        letters = question.letters if may_shuffle(question) else ""
        items.append(
            CandidateItem(
                name,
                version_id,
                question.kind,
                question.law,
                question.level,
                question.case,
                expected_difficulty(question.level, answered, right),
                letters,
            )
        )
    return items


def questions_by_scope(catalog: Catalog, blueprint: Blueprint) -> dict[str, frozenset[str]]:
    """The questions behind each name that a blueprint uses; names that nobody has are left out."""
    scope_questions: dict[str, frozenset[str]] = {}
    for name in {row.scope for row in blueprint.rows if row.scope}:
        questions = catalog.library.questions_of(name)
        if questions is not None:
            scope_questions[name] = frozenset(question.id for question in questions)
    return scope_questions


def may_contain_kind(catalog: Catalog, blueprint: Blueprint, kind: str) -> bool:
    """Whether a paper of this blueprint can have an item of a kind."""
    questions = catalog.library.questions
    fixed = (questions[name].kind for name, _ in blueprint.fixed if name in questions)
    return kind in {*(row.kind for row in blueprint.rows), *fixed}


def blueprint_shortages(session: Session, catalog: Catalog, blueprint: Blueprint) -> list[str]:
    """What the banks lack for a blueprint, to the item."""
    return find_shortages(blueprint, list_candidates(session, catalog), questions_by_scope(catalog, blueprint))


def papers_within_most(session: Session, catalog: Catalog, blueprint: Blueprint) -> int | None:
    """How many papers the banks still make within the blueprint's uses per question; None where it sets no limit or no paper can be drawn."""
    if not blueprint.most or blueprint_shortages(session, catalog, blueprint):
        return None
    plan = build_plan(blueprint, list_candidates(session, catalog), questions_by_scope(catalog, blueprint))
    return paper.papers_within_most(plan, Counter(attempts.question_uses(session)))


def prepared_plan(session: Session, catalog: Catalog, exam: Exam, now: datetime, fresh: timedelta = USES_STALE) -> PreparedPlan:
    """The plan of an exam, made at the first call and kept with the catalog; its count of uses is no older than `fresh`.

    Raises ValueError where questions have gone meanwhile.
    """
    cached: PreparedPlan | None = catalog.papers.get(exam.id)
    if cached is None:
        plan = build_plan(exam.blueprint, list_candidates(session, catalog), questions_by_scope(catalog, exam.blueprint))
        cached = catalog.papers[exam.id] = PreparedPlan(plan, now, _count_uses(session, exam))
    elif exam.blueprint.most and now - cached.read_at > fresh:
        cached.uses, cached.read_at = _count_uses(session, exam), now
    return cached


def _count_uses(session: Session, exam: Exam) -> Counter[str]:
    return Counter(attempts.question_uses(session)) if exam.blueprint.most else Counter()


def prepare_ahead(session: Session, catalog: Catalog, now: datetime) -> int:
    """Prepare the plans of exams that are open or open soon; reads rows only. How many are ready."""
    ready = 0
    upcoming = exams.list_published(session, now + PREPARE_AHEAD)
    for exam_id in {*catalog.papers, *catalog.undrawn} - {exam.id for exam in upcoming}:
        # A plan holds every question of its banks: it goes with its exam, or a service that runs for years keeps them all.
        catalog.papers.pop(exam_id, None)
        catalog.undrawn.pop(exam_id, None)
    for exam in upcoming:
        if exam.closes_at <= now:
            continue
        try:
            prepared_plan(session, catalog, exam, now, USES_FRESH)
            ready += 1
            catalog.undrawn.pop(exam.id, None)
        except ValueError as shortage:
            # This comes by every few seconds: what it says is news only while it changes.
            if catalog.undrawn.get(exam.id) != str(shortage):
                catalog.undrawn[exam.id] = str(shortage)
                log.warning("no papers can be drawn", exam=exam.id, lacking=str(shortage))
    return ready
