"""Rows of questions and rules: their versions, which version may be drawn, and what was taken out because the text of its law contradicts it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime

from sqlalchemy import select
from sqlmodel import Session

from bot.storage.db.query import Query, bind, binds, columns, insert, replacing, table
from bot.storage.tables.hours import RuleRow
from bot.storage.tables.library import QuestionStateRow, QuestionVersionRow

_STATE, _VERSION, _RULE = (table(row) for row in (QuestionStateRow, QuestionVersionRow, RuleRow))

CONTRADICTED = "与法律文本不符"


@dataclass(frozen=True, slots=True)
class QuestionState:
    """A question's current version, and whether it may be drawn or why not."""

    question: str
    version_id: int
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class QuestionVersion:
    """A question as it stands in its file; `body` is its text in canonical form, `digest` that of the body."""

    question: str
    version: int
    bank: str
    digest: str
    body: str


@dataclass(frozen=True, slots=True)
class StoredRule:
    """One line of the hours policy in one version, which counts from `valid_from`."""

    line: str
    version: int
    valid_from: date
    digest: str
    body: str


_STATES = Query(select(*columns(_STATE, QuestionState)), gives=QuestionState)
_SOME_STATES = Query(select(*columns(_STATE, QuestionState)).where(_STATE.c.question.in_(bind("questions"))), gives=QuestionState)
_ACTIVE = Query(select(_STATE.c.question, _STATE.c.version_id).where(_STATE.c.state == "active"), gives=tuple[str, int])
_CURRENT = Query(
    select(_VERSION.c.id, _VERSION.c.version, _VERSION.c.digest).where(_VERSION.c.id.in_(select(_STATE.c.version_id))), gives=tuple[int, int, str]
)
_VERSION_IDS = Query(select(_VERSION.c.question, _VERSION.c.version, _VERSION.c.id), gives=tuple[str, int, int])
_BODY = Query(select(_VERSION.c.body).where(_VERSION.c.id == bind("id")), gives=str)
_ADD_VERSION = Query(insert(_VERSION).values(binds("question", "version", "bank", "digest", "body", "loaded_at")))
_SAVE_STATE = Query(
    replacing(
        insert(_STATE).values(binds("question", "version_id", "state", "reason", "changed_at")),
        ["question"],
        "version_id",
        "state",
        "reason",
        "changed_at",
    )
)
_RULES = Query(select(*columns(_RULE, StoredRule)).order_by(_RULE.c.line, _RULE.c.version), gives=StoredRule)
_ADD_RULE = Query(insert(_RULE).values(binds("line", "version", "valid_from", "digest", "body", "loaded_at")))


def question_states(session: Session) -> dict[str, QuestionState]:
    """Every question that ever was, by name."""
    return {state.question: state for state in _STATES.all(session)}


def active_questions(session: Session) -> list[tuple[str, int]]:
    """The questions that may be drawn, each with the row of its current version."""
    return _ACTIVE.all(session)


def current_versions(session: Session) -> dict[int, tuple[int, str]]:
    """The number and digest of each current version, by its row."""
    return {version_id: (version, digest) for version_id, version, digest in _CURRENT.all(session)}


def version_body(session: Session, version_id: int) -> str:
    """The text of a version, in canonical form. LookupError for a row that is not there."""
    return _BODY.one(session, id=version_id)


def add_versions(session: Session, versions: Sequence[QuestionVersion], now: datetime) -> dict[str, int]:
    """Write new versions; the row of each by the question's name."""
    _ADD_VERSION.many(session, [{**asdict(version), "loaded_at": now} for version in versions])
    ids = {(question, version): version_id for question, version, version_id in _VERSION_IDS.all(session)}
    return {version.question: ids[version.question, version.version] for version in versions}


def save_states(session: Session, states: Iterable[QuestionState], now: datetime) -> None:
    """Write states that are new or have changed."""
    _SAVE_STATE.many(session, [{**asdict(state), "changed_at": now} for state in states])


def stored_rules(session: Session) -> list[StoredRule]:
    """Every version of every rule, by line and version."""
    return _RULES.all(session)


def add_rule(session: Session, rule: StoredRule, now: datetime) -> None:
    """Write a new version of a rule."""
    _ADD_RULE.run(session, **asdict(rule), loaded_at=now)


def update_withdrawals(session: Session, reasons: Mapping[str, str], right: Collection[str], now: datetime) -> tuple[int, int]:
    """(taken out, put back). Only what was taken out for this reason is put back. Doing it twice changes nothing."""
    states = _SOME_STATES.all(session, questions=[*reasons, *right])
    withdrawn = [
        replace(state, state="withdrawn", reason=f"{CONTRADICTED}：{reasons[state.question]}")
        for state in states
        if state.question in reasons and state.state == "active"
    ]
    restored = [
        replace(state, state="active", reason="")
        for state in states
        if state.question not in reasons and state.state == "withdrawn" and state.reason.startswith(CONTRADICTED)
    ]
    save_states(session, [*withdrawn, *restored], now)
    return len(withdrawn), len(restored)
