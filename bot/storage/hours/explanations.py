"""The entries and refusals of the ledger that 为什么 explains to a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlmodel import Session

from bot.domain.hours.policy import SOURCE_LABELS
from bot.domain.library.library import Library
from bot.storage.db.query import Statement

_ENTRIES = Statement(
    """SELECT l.id, l.category, l.credit_seconds, l.day, l.source_kind, l.source_id, l.rule, l.rule_version, l.reverses,
              (SELECT r.id FROM ledger r WHERE r.reverses = l.id)
       FROM ledger l WHERE l.person_id = :person_id ORDER BY l.id DESC LIMIT :top"""
)
_ENTRY = Statement(
    """SELECT l.id, l.category, l.credit_seconds, l.day, l.source_kind, l.source_id, l.rule, l.rule_version, l.reverses,
              (SELECT r.id FROM ledger r WHERE r.reverses = l.id)
       FROM ledger l WHERE l.person_id = :person_id AND l.id = :id"""
)
_REFUSED = Statement(
    """SELECT seconds, reason, rule, rule_version FROM uncredited
       WHERE person_id = :person_id AND day = :day AND seconds > 0 ORDER BY id DESC LIMIT 10"""
)

_EXAM = Statement("SELECT name FROM exam WHERE id = :id")
_EVENT_NAMES = {
    "exam": _EXAM,
    "makeup": _EXAM,
    "outside": Statement("SELECT name FROM outside_exam WHERE id = :id"),
    "contest": Statement("SELECT name FROM contest WHERE id = :id"),
}
"""Where the name of what was held is found, by kind of source."""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One entry of a person's ledger; seconds below zero take back the entry `reverses`."""

    id: int
    category: str
    seconds: int
    day: str
    source_kind: str
    source_id: str
    rule: str
    version: int
    reverses: int | None
    reversed_by: int | None


@dataclass(frozen=True, slots=True)
class RefusedCredit:
    """Seconds that were not credited, and why."""

    seconds: int
    reason: str
    rule: str
    version: int


def entries(session: Session, person_id: int, top: int) -> list[LedgerLine]:
    """The newest entries first."""
    return [LedgerLine(*row) for row in _ENTRIES.all(session, person_id=person_id, top=top)]


def entry(session: Session, person_id: int, entry_id: int) -> LedgerLine | None:
    """One entry of this person; another person's is not found."""
    row = _ENTRY.one(session, person_id=person_id, id=entry_id)
    return None if row is None else LedgerLine(*row)


def refused(session: Session, person_id: int, day: date) -> list[RefusedCredit]:
    """What was not credited on a day, newest first."""
    return [RefusedCredit(*row) for row in _REFUSED.all(session, person_id=person_id, day=day.isoformat())]


def source_name(session: Session, library: Library, kind: str, source_id: str) -> str:
    """What an entry came from, in words: 《课名》, a question's point, an exam's or a contest's name, or the source as it is written."""
    _, _, name = source_id.partition(":")
    if kind == "lesson" and name in library.lessons:
        return f"《{library.lessons[name].title}》"
    if kind == "item" and name in library.questions:
        question = library.questions[name]
        return f"{question.law}题目「{question.point}」"
    label = SOURCE_LABELS.get(kind, kind)
    # Earned again after a reversal, a source has a number of its own (3#2).
    number = (name or source_id).partition("#")[0]
    statement = _EVENT_NAMES.get("outside" if source_id.startswith("outside:") else kind)
    row = statement.one(session, id=int(number)) if statement is not None and number.isascii() and number.isdigit() else None
    return f"{label}「{name or source_id}」" if row is None else f"{label}《{row[0]}》"
