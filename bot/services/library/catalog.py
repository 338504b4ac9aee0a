"""The catalog: what the running service works with: the library, the versions of its questions in the database, the hours policy, platform limits.

Loading is idempotent: a file that changed on disk becomes a new version, an unchanged one changes nothing, and a version that somebody has
answered stays readable for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, col, select

from bot.domain.delivery.platform_limits import LIMITS, PlatformLimit
from bot.domain.hours.policy import HoursPolicy, RuleVersion
from bot.domain.library.library import Library
from bot.domain.library.question import Question, canonical_question, question_body, question_digest, question_from_body
from bot.domain.times import day_of
from bot.storage.db.query import Statement
from bot.storage.files.policies import PolicyFile
from bot.storage.tables.hours import RuleRow
from bot.storage.tables.library import QuestionStateRow, QuestionVersionRow

_BODY = Statement("SELECT body FROM question_version WHERE id = :id")
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
            row = _BODY.one(session, id=version_id)
            question = self._versions[version_id] = question_from_body(json.loads(row[0]))
        return question


def load_catalog(session: Session, library: Library, policy: PolicyFile, now: datetime, chars_a_minute: int = 400) -> Catalog:
    """Bring the rows in line with the files, and return the catalog."""
    _load_questions(session, library, now)
    _load_rules(session, policy, now)
    return read_catalog(session, library, chars_a_minute)


def read_catalog(session: Session, library: Library, chars_a_minute: int = 400) -> Catalog:
    """The catalog as the database stands; writes nothing."""
    active = session.exec(select(QuestionStateRow.question, QuestionStateRow.version_id).where(QuestionStateRow.state == "active"))
    versions = tuple(
        RuleVersion(rule.line, rule.version, rule.valid_from, json.loads(rule.body))
        for rule in session.exec(select(RuleRow).order_by(RuleRow.line, col(RuleRow.version)))
    )
    drawn = {question: version_id for question, version_id in active if question in library.questions}
    return Catalog(
        library, HoursPolicy(versions), drawn, chars_a_minute, {version: library.questions[question] for question, version in drawn.items()}
    )


def _load_questions(session: Session, library: Library, now: datetime) -> None:
    bank_of = {question: bank.id for bank in library.banks.values() for question in bank.questions}
    states = {state.question: state for state in session.exec(select(QuestionStateRow))}
    current = {
        row.id: (row.version, row.digest)
        for row in session.exec(select(QuestionVersionRow).where(col(QuestionVersionRow.id).in_(select(QuestionStateRow.version_id))))
    }
    changed: list[tuple[str, int, str]] = []
    for name, question in library.questions.items():
        state = states.get(name)
        digest = question_digest(question)
        version, current_digest = current[state.version_id] if state else (0, "")
        if current_digest != digest:
            changed.append((name, version + 1, digest))
        elif state is not None and state.state == "withdrawn" and state.reason == REMOVED_FROM_BANK:
            state.state, state.reason, state.changed_at = "active", "", now
    if changed:
        session.execute(
            insert(QuestionVersionRow),
            [
                {
                    "question": name,
                    "version": version,
                    "bank": bank_of.get(name, ""),
                    "digest": digest,
                    "body": canonical_question(question_body(library.questions[name])),
                    "loaded_at": now,
                }
                for name, version, digest in changed
            ],
        )
        ids = {
            (row[0], row[1]): row[2] for row in session.exec(select(QuestionVersionRow.question, QuestionVersionRow.version, QuestionVersionRow.id))
        }
        for name, version, _ in changed:
            version_id = ids[name, version]
            assert version_id is not None
            state = states.get(name)
            if state is None:
                session.add(QuestionStateRow(question=name, version_id=version_id, state="active", changed_at=now))
            else:
                state.version_id, state.state, state.reason, state.changed_at = version_id, "active", "", now
    for name, state in states.items():
        if name not in library.questions and state.state == "active":
            state.state, state.reason, state.changed_at = "withdrawn", REMOVED_FROM_BANK, now
    session.flush()


def _load_rules(session: Session, policy: PolicyFile, now: datetime) -> None:
    """A changed rule is a new version from today on; only the first version of a line takes the day that the file states."""
    newest: dict[str, RuleRow] = {}
    for rule in session.exec(select(RuleRow).order_by(col(RuleRow.version))):
        newest[rule.line] = rule
    for line, (body, digest) in policy.rules.items():
        current = newest.get(line)
        if current is not None and current.digest == digest:
            continue
        session.add(
            RuleRow(
                line=line,
                version=1 if current is None else current.version + 1,
                valid_from=policy.valid_from if current is None else max(policy.valid_from, day_of(now)),
                digest=digest,
                body=body,
                loaded_at=now,
            )
        )
    session.flush()
