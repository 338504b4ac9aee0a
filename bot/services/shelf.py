"""What is at hand while the service runs: the library as loaded, the versions of its questions as rows, the policy of hours, the platforms' limits.

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

from bot.domain.hours import Policy, RuleVersion
from bot.domain.library import Library
from bot.domain.limits import LIMITS, Limit
from bot.domain.question import Question, canonical, digest, from_body, to_body
from bot.domain.times import day_of
from bot.storage.files.policy import PolicyFile
from bot.storage.sql import Sql
from bot.storage.tables import QuestionState, QuestionVersion, Rule

_BODY = Sql("SELECT body FROM question_version WHERE id = :id")
GONE = "题库中已无此题"


@dataclass
class Shelf:
    """The library and what the rows add to it. `drawn` maps the questions that may be drawn to the row of their current version.

    `papers` keeps the plans of exams (services/exam/pools.py) as long as these questions are the ones at hand; `undrawn` is what was said
    of exams that cannot be drawn from them.
    """

    library: Library
    policy: Policy
    drawn: Mapping[str, int]
    chars_a_minute: int = 400
    _versions: dict[int, Question] = field(default_factory=dict)
    limits: tuple[Limit, ...] = LIMITS
    papers: dict[int, Any] = field(default_factory=dict, compare=False)
    undrawn: dict[int, str] = field(default_factory=dict, compare=False)

    def question(self, session: Session, version_id: int) -> Question:
        """A question in the version of a row, whatever its file says today."""
        found = self._versions.get(version_id)
        if found is None:
            row = _BODY.one(session, id=version_id)
            found = self._versions[version_id] = from_body(json.loads(row[0]))
        return found


def fill(session: Session, library: Library, policy: PolicyFile, now: datetime, chars_a_minute: int = 400) -> Shelf:
    """Bring the rows in line with the files, and give what is at hand from now on."""
    _load_questions(session, library, now)
    _load_rules(session, policy, now)
    return stock(session, library, chars_a_minute)


def stock(session: Session, library: Library, chars_a_minute: int = 400) -> Shelf:
    """The shelf as the rows stand, nothing written."""
    active = session.exec(select(QuestionState.question, QuestionState.version_id).where(QuestionState.state == "active"))
    versions = tuple(
        RuleVersion(rule.line, rule.version, rule.valid_from, json.loads(rule.body))
        for rule in session.exec(select(Rule).order_by(Rule.line, col(Rule.version)))
    )
    drawn = {question: version_id for question, version_id in active if question in library.questions}
    return Shelf(library, Policy(versions), drawn, chars_a_minute, {version: library.questions[question] for question, version in drawn.items()})


def _load_questions(session: Session, library: Library, now: datetime) -> None:
    bank_of = {question: bank.id for bank in library.banks.values() for question in bank.questions}
    states = {state.question: state for state in session.exec(select(QuestionState))}
    current = {
        row.id: (row.version, row.digest)
        for row in session.exec(select(QuestionVersion).where(col(QuestionVersion.id).in_(select(QuestionState.version_id))))
    }
    fresh: list[tuple[str, int, str]] = []
    for name, question in library.questions.items():
        state = states.get(name)
        made = digest(question)
        version, kept = current[state.version_id] if state else (0, "")
        if kept != made:
            fresh.append((name, version + 1, made))
        elif state is not None and state.state == "withdrawn" and state.reason == GONE:
            state.state, state.reason, state.changed_at = "active", "", now
    if fresh:
        session.execute(
            insert(QuestionVersion),
            [
                {
                    "question": name,
                    "version": version,
                    "bank": bank_of.get(name, ""),
                    "digest": made,
                    "body": canonical(to_body(library.questions[name])),
                    "loaded_at": now,
                }
                for name, version, made in fresh
            ],
        )
        ids = {(row[0], row[1]): row[2] for row in session.exec(select(QuestionVersion.question, QuestionVersion.version, QuestionVersion.id))}
        for name, version, _ in fresh:
            version_id = ids[name, version]
            assert version_id is not None
            state = states.get(name)
            if state is None:
                session.add(QuestionState(question=name, version_id=version_id, state="active", changed_at=now))
            else:
                state.version_id, state.state, state.reason, state.changed_at = version_id, "active", "", now
    for name, state in states.items():
        if name not in library.questions and state.state == "active":
            state.state, state.reason, state.changed_at = "withdrawn", GONE, now
    session.flush()


def _load_rules(session: Session, policy: PolicyFile, now: datetime) -> None:
    """A changed rule is a new version from today on; only the first version of a line takes the day that the file states."""
    newest: dict[str, Rule] = {}
    for rule in session.exec(select(Rule).order_by(col(Rule.version))):
        newest[rule.line] = rule
    for line, (body, made) in policy.rules.items():
        had = newest.get(line)
        if had is not None and had.digest == made:
            continue
        session.add(
            Rule(
                line=line,
                version=1 if had is None else had.version + 1,
                valid_from=policy.valid_from if had is None else max(policy.valid_from, day_of(now)),
                digest=made,
                body=body,
                loaded_at=now,
            )
        )
    session.flush()
