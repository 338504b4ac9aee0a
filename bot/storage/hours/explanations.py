"""The entries and refusals of the ledger that 为什么 explains to a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Table, select
from sqlmodel import Session

from bot.domain.hours.policy import SOURCE_LABELS
from bot.domain.library.library import Library
from bot.storage.db.query import Query, bind, table
from bot.storage.tables.contest import ContestRow
from bot.storage.tables.exam import ExamRow
from bot.storage.tables.grading import OutsideExamRow
from bot.storage.tables.hours import EntryRow, UncreditedRow

_entries, _uncredited = table(EntryRow), table(UncreditedRow)
_reversals = _entries.alias("reversals")


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One entry of a person's ledger; seconds below zero take back the entry `reverses`."""

    id: int
    category: str
    seconds: int
    day: date
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


_LINE = select(
    _entries.c.id,
    _entries.c.category,
    _entries.c.credit_seconds.label("seconds"),
    _entries.c.day,
    _entries.c.source_kind,
    _entries.c.source_id,
    _entries.c.rule,
    _entries.c.rule_version.label("version"),
    _entries.c.reverses,
    select(_reversals.c.id).where(_reversals.c.reverses == _entries.c.id).scalar_subquery().label("reversed_by"),
).where(_entries.c.person_id == bind("person_id"))
_ENTRIES = Query(_LINE.order_by(_entries.c.id.desc()).limit(bind("top")), gives=LedgerLine)
_ENTRY = Query(_LINE.where(_entries.c.id == bind("id")), gives=LedgerLine)
_REFUSED = Query(
    select(_uncredited.c.seconds, _uncredited.c.reason, _uncredited.c.rule, _uncredited.c.rule_version.label("version"))
    .where(_uncredited.c.person_id == bind("person_id"), _uncredited.c.day == bind("day"), _uncredited.c.seconds > 0)
    .order_by(_uncredited.c.id.desc())
    .limit(10),
    gives=RefusedCredit,
)


def _name_of(event: Table) -> Query[str]:
    return Query(select(event.c.name).where(event.c.id == bind("id")), gives=str)


_EXAM = _name_of(table(ExamRow))
_EVENT_NAMES = {"exam": _EXAM, "makeup": _EXAM, "outside": _name_of(table(OutsideExamRow)), "contest": _name_of(table(ContestRow))}
"""Where the name of what was held is found, by kind of source."""


def entries(session: Session, person_id: int, top: int) -> list[LedgerLine]:
    """The newest entries first."""
    return _ENTRIES.all(session, person_id=person_id, top=top)


def entry(session: Session, person_id: int, entry_id: int) -> LedgerLine | None:
    """One entry of this person; another person's is not found."""
    return _ENTRY.first(session, person_id=person_id, id=entry_id)


def refused(session: Session, person_id: int, day: date) -> list[RefusedCredit]:
    """What was not credited on a day, newest first."""
    return _REFUSED.all(session, person_id=person_id, day=day)


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
    event = statement.first(session, id=int(number)) if statement is not None and number.isascii() and number.isdigit() else None
    return f"{label}「{name or source_id}」" if event is None else f"{label}《{event}》"
