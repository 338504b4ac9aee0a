"""The catalog: what the running service works with: the library, the versions of its questions in the database, the hours policy, platform limits.

Loading is idempotent: a file that changed on disk becomes a new version, an unchanged one changes nothing, and a version that somebody has
answered stays readable for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit
from bot.domain.hours.policy import HoursPolicy, RuleVersion
from bot.domain.library.library import Library
from bot.domain.library.question import Question, canonical_question, question_body, question_digest, question_from_body
from bot.domain.times import day_of
from bot.storage import library as rows
from bot.storage.library import QuestionState, QuestionVersion, StoredRule

if TYPE_CHECKING:
    from bot.storage.files.policies import PolicyFile

REMOVED_FROM_BANK = "题库中已无此题"


@dataclass
class Catalog:
    """The library and what the rows add to it. `drawn` maps the questions that may be drawn to the row of their current version.

    `papers` keeps the plans of exams (bot/services/exam/question_pool.py) as long as these questions are the ones at hand; `undrawn` holds the reason
    for each exam that cannot be drawn from them.
    """

    library: Library
    policy: HoursPolicy
    drawn: Mapping[str, int]
    chars_a_minute: int = 400
    _versions: dict[int, Question] = field(default_factory=dict)
    limits: tuple[PlatformLimit, ...] = LIMITS
    papers: dict[int, Any] = field(default_factory=dict, compare=False)
    undrawn: dict[int, str] = field(default_factory=dict, compare=False)

    def question(self, session: Session, version_id: int) -> Question:
        """A question in the version of a row, whatever its file says today."""
        question = self._versions.get(version_id)
        if question is None:
            question = self._versions[version_id] = question_from_body(json.loads(rows.version_body(session, version_id)))
        return question


def load_catalog(session: Session, library: Library, policy: PolicyFile, now: datetime, chars_a_minute: int = 400) -> Catalog:
    """Bring the rows in line with the files, and return the catalog."""
    _load_questions(session, library, now)
    _load_rules(session, policy, now)
    return read_catalog(session, library, chars_a_minute)


def read_catalog(session: Session, library: Library, chars_a_minute: int = 400) -> Catalog:
    """The catalog as the database stands; writes nothing."""
    versions = tuple(RuleVersion(rule.line, rule.version, rule.valid_from, json.loads(rule.body)) for rule in rows.stored_rules(session))
    drawn = {question: version_id for question, version_id in rows.active_questions(session) if question in library.questions}
    return Catalog(
        library, HoursPolicy(versions), drawn, chars_a_minute, {version: library.questions[question] for question, version in drawn.items()}
    )


def _load_questions(session: Session, library: Library, now: datetime) -> None:
    bank_of = {question: bank.id for bank in library.banks.values() for question in bank.questions}
    states, current = rows.question_states(session), rows.current_versions(session)
    new_versions: list[QuestionVersion] = []
    changed: list[QuestionState] = []
    for name, question in library.questions.items():
        state, digest = states.get(name), question_digest(question)
        version, current_digest = current[state.version_id] if state else (0, "")
        if current_digest != digest:
            body = canonical_question(question_body(question))
            new_versions.append(QuestionVersion(name, version + 1, bank_of.get(name, ""), digest, body))
        elif state is not None and state.state == "withdrawn" and state.reason == REMOVED_FROM_BANK:
            changed.append(replace(state, state="active", reason=""))
    if new_versions:
        changed += [QuestionState(name, version_id, "active", "") for name, version_id in rows.add_versions(session, new_versions, now).items()]
    changed += [
        replace(state, state="withdrawn", reason=REMOVED_FROM_BANK)
        for name, state in states.items()
        if name not in library.questions and state.state == "active"
    ]
    if changed:
        rows.save_states(session, changed, now)


def _load_rules(session: Session, policy: PolicyFile, now: datetime) -> None:
    """A changed rule is a new version from today on; only the first version of a line takes the day that the file states."""
    newest = {rule.line: rule for rule in rows.stored_rules(session)}
    for line, (body, digest) in policy.rules.items():
        current = newest.get(line)
        if current is None:
            rows.add_rule(session, StoredRule(line, 1, policy.valid_from, digest, body), now)
        elif current.digest != digest:
            rows.add_rule(session, StoredRule(line, current.version + 1, max(policy.valid_from, day_of(now)), digest, body), now)
