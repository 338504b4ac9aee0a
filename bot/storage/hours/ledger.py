"""The ledger of hours as rows: entries that are only ever added, each in one transaction with its running totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, case, exists, func, literal, select, update
from sqlalchemy.dialects.sqlite.dml import Insert
from sqlmodel import Session

from bot.domain.hours.policy import SOURCE_LABELS
from bot.domain.library.library import Library
from bot.storage.db.query import Query, bind, binds, insert, table
from bot.storage.tables.contest import ContestRow
from bot.storage.tables.exam import ExamRow
from bot.storage.tables.grading import OutsideExamRow
from bot.storage.tables.hours import DayTotalRow, EntryRow, UncreditedRow, YearTotalRow
from bot.storage.tables.study import AnswerRow

_days, _entries, _uncredited, _years = table(DayTotalRow), table(EntryRow), table(UncreditedRow), table(YearTotalRow)
_answers = table(AnswerRow)
_reversals = _entries.alias("reversals")


@dataclass(frozen=True, slots=True)
class UsedCredit:
    """What a person has in one category already: seconds and items of the year, seconds of the day."""

    year_seconds: int
    year_items: int
    day_seconds: int


@dataclass(frozen=True, slots=True)
class _Original:
    """What the mirror image of an entry repeats."""

    person_id: int
    category: str
    credit_seconds: int
    day: date
    law: str
    required: bool
    source_kind: str
    source_id: str
    rule: str
    rule_version: int


_OF_SOURCE = (
    _entries.c.person_id == bind("person_id"),
    _entries.c.source_kind == bind("source_kind"),
    _entries.c.source_id == bind("source_id"),
    _entries.c.reverses.is_(None),
)
_VALUES = binds(*(column.name for column in _entries.c if column.name != "id"))
_ADD = Query(insert(_entries).values(_VALUES).on_conflict_do_nothing().returning(_entries.c.id), gives=int)
_EARNED = Query(select(_entries.c.id).where(*_OF_SOURCE), gives=int)
# Not `reverses IS NULL`: SQLite would take that for the narrowest way in, and walk through nearly the whole ledger.
_ENTRIES_OF_SOURCE = Query(
    select(_entries.c.id, _entries.c.credit_seconds, case((exists().where(_reversals.c.reverses == _entries.c.id), 1), else_=0))
    .where(
        _entries.c.person_id == bind("person_id"),
        _entries.c.source_kind == bind("source_kind"),
        func.coalesce(_entries.c.reverses, 0) == 0,
        (_entries.c.source_id == bind("source_id")) | _entries.c.source_id.like(bind("source_id").concat("#%")),
    )
    .order_by(_entries.c.id),
    gives=tuple[int, int, int],
)
_REFUSED = Query(
    select(_uncredited.c.id)
    .where(
        _uncredited.c.person_id == bind("person_id"),
        _uncredited.c.source_kind == bind("source_kind"),
        _uncredited.c.source_id == bind("source_id"),
    )
    .limit(1),
    gives=int,
)


def _adding(total: Table, key: Sequence[str], *sums: str) -> Insert:
    """Adds to a running total, or begins it."""
    statement = insert(total).values(binds(*key, *sums))
    return statement.on_conflict_do_update(index_elements=key, set_={name: total.c[name] + statement.excluded[name] for name in sums})


_ADD_YEAR = Query(_adding(_years, ("person_id", "year", "category"), "seconds", "items"))
_ADD_DAY = Query(_adding(_days, ("person_id", "day", "category"), "seconds"))
_OF_YEAR = (_years.c.person_id == bind("person_id")) & (_years.c.year == bind("year")) & (_years.c.category == bind("category"))
_OF_DAY = (_days.c.person_id == bind("person_id")) & (_days.c.day == bind("day")) & (_days.c.category == bind("category"))
_TAKE_YEAR = Query(update(_years).values(seconds=_years.c.seconds + bind("less"), items=_years.c["items"] + bind("fewer")).where(_OF_YEAR))
_TAKE_DAY = Query(update(_days).values(seconds=_days.c.seconds + bind("less")).where(_OF_DAY))


def _used(*unless: ColumnElement[bool]) -> Select[Any]:
    """One row always, with nothing used where no total stands yet; none when what it is not to be given for holds."""
    always = select(literal(1, literal_execute=True).label("one")).subquery("always")
    return (
        select(
            func.coalesce(_years.c.seconds, 0).label("year_seconds"),
            func.coalesce(_years.c["items"], 0).label("year_items"),
            func.coalesce(_days.c.seconds, 0).label("day_seconds"),
        )
        .select_from(always)
        .join(_years, _OF_YEAR, isouter=True)
        .join(_days, _OF_DAY, isouter=True)
        .where(*unless)
    )


_USED = Query(_used(), gives=UsedCredit)
_USED_UNLESS_EARNED = Query(_used(~exists().where(*_OF_SOURCE)), gives=UsedCredit)
_ANSWERED_AT = and_(_answers.c.person_id == _entries.c.person_id, _answers.c.recorded_at == _entries.c.recorded_at)
_EARNED_IN_SITTING = Query(
    select(func.coalesce(func.sum(_entries.c.credit_seconds), 0))
    .join_from(_answers, _entries, _ANSWERED_AT)
    .where(
        _answers.c.sitting_id == bind("sitting_id"),
        _entries.c.source_kind == "item",
        func.substr(_entries.c.source_id, 6) == _answers.c.question,
        _entries.c.reverses.is_(None),
    ),
    gives=int,
)
_REFUSED_IN_SITTING = Query(
    select(func.coalesce(func.sum(_uncredited.c.seconds), 0), func.coalesce(func.max(_uncredited.c.reason), ""))
    .join_from(_answers, _uncredited, and_(_uncredited.c.person_id == _answers.c.person_id, _uncredited.c.at == _answers.c.recorded_at))
    .where(
        _answers.c.sitting_id == bind("sitting_id"),
        _uncredited.c.source_kind == "item",
        func.substr(_uncredited.c.source_id, 6) == _answers.c.question,
    ),
    gives=tuple[int, str],
)
_REFUSE = Query(insert(_uncredited).values(binds(*(column.name for column in _uncredited.c if column.name != "id"))))
_YEAR = Query(
    select(_years.c.category, _years.c.seconds).where(_years.c.person_id == bind("person_id"), _years.c.year == bind("year")),
    gives=tuple[str, int],
)
_ORIGINAL = Query(
    select(*(_entries.c[field.name] for field in fields(_Original))).where(_entries.c.id == bind("id"), _entries.c.reverses.is_(None)),
    gives=_Original,
)


def used_credit(session: Session, person_id: int, category: str, day: date) -> UsedCredit:
    return _USED.one(session, person_id=person_id, year=day.year, category=category, day=day)


def used_credit_unless_earned(session: Session, person_id: int, category: str, day: date, source: tuple[str, str]) -> UsedCredit | None:
    """`used_credit` and `has_earned` in one look, for the answer path: None when the source, (kind, id), has earned before."""
    return _USED_UNLESS_EARNED.first(
        session, person_id=person_id, year=day.year, category=category, day=day, source_kind=source[0], source_id=source[1]
    )


def has_earned(session: Session, person_id: int, source_kind: str, source_id: str) -> bool:
    """True when this source has earned before: one source earns once."""
    return _EARNED.first(session, person_id=person_id, source_kind=source_kind, source_id=source_id) is not None


def was_refused(session: Session, person_id: int, source: tuple[str, str]) -> bool:
    """True when some of this source, (kind, id), was not credited, with the reason kept."""
    return _REFUSED.first(session, person_id=person_id, source_kind=source[0], source_id=source[1]) is not None


def entries_of_source(session: Session, person_id: int, source_kind: str, source_id: str) -> list[tuple[int, int, bool]]:
    """(entry, seconds, whether it was taken back) of all that a source and its further entries (3, 3#2) have earned, in their order."""
    rows = _ENTRIES_OF_SOURCE.all(session, person_id=person_id, source_kind=source_kind, source_id=source_id)
    return [(row[0], row[1], bool(row[2])) for row in rows]


def add(
    session: Session,
    person_id: int,
    category: str,
    seconds: int,
    day: date,
    source: tuple[str, str],
    rule: tuple[str, int],
    recorded_at: datetime,
    *,
    law: str = "",
    required: bool = False,
    by: str = "system",
    items: int = 0,
) -> int | None:
    """The id of the new entry, or None when its source has earned before. `seconds` > 0; `source` is (kind, id), `rule` (line, version)."""
    entry_id = _ADD.first(
        session,
        person_id=person_id,
        category=category,
        credit_seconds=seconds,
        day=day,
        law=law,
        required=required,
        source_kind=source[0],
        source_id=source[1],
        rule=rule[0],
        rule_version=rule[1],
        recorded_at=recorded_at,
        recorded_by=by,
        reverses=None,
    )
    if entry_id is not None:
        _ADD_YEAR.run(session, person_id=person_id, year=day.year, category=category, seconds=seconds, items=items)
        _ADD_DAY.run(session, person_id=person_id, day=day, category=category, seconds=seconds)
    return entry_id


_ADD_ITEM = Query(
    insert(_entries).values(
        binds("person_id", "day", "law", "source_id", "rule", "rule_version", "recorded_at")
        | {"category": "practice", "credit_seconds": bind("seconds"), "required": False, "source_kind": "item", "recorded_by": "system"}
    )
)
_REFUSE_ITEM = Query(
    insert(_uncredited).values(binds("person_id", "source_id", "seconds", "day", "rule", "rule_version", "reason", "at") | {"source_kind": "item"})
)
_ITEM_COLUMNS = ("person_id", "day", "law", "source_id", "seconds", "rule", "rule_version", "recorded_at")


def earned_in_sitting(session: Session, sitting_id: int) -> int:
    """The seconds that the answers of a sitting earned as practised items."""
    return _EARNED_IN_SITTING.one(session, sitting_id=sitting_id)


def refused_in_sitting(session: Session, sitting_id: int) -> tuple[int, str]:
    """(seconds, a reason) of what a cap refused to the answers of a sitting."""
    return _REFUSED_IN_SITTING.one(session, sitting_id=sitting_id)


def add_items(session: Session, items: Sequence[Mapping[str, Any]]) -> None:
    """Entries of practised items with their running totals, one statement a table; the source of each must not have earned (unique).

    Each holds person_id, day, year, source_id, law, seconds (above 0), rule, rule_version, recorded_at.
    """
    _ADD_ITEM.many(session, [{name: item[name] for name in _ITEM_COLUMNS} for item in items])
    practised = {"category": "practice", "items": 1}
    _ADD_YEAR.many(session, [{name: item[name] for name in ("person_id", "year", "seconds")} | practised for item in items])
    _ADD_DAY.many(session, [{name: item[name] for name in ("person_id", "day", "seconds")} | {"category": "practice"} for item in items])


def refuse_items(session: Session, items: Sequence[Mapping[str, Any]]) -> None:
    """Keep why items were not credited, each with the columns of `uncredited` but the kind of its source."""
    _REFUSE_ITEM.many(session, items)


def reverse(session: Session, entry_id: int, recorded_at: datetime, by: str, *, items: int = 0) -> int | None:
    """Take an entry back by its mirror image; None when there is no such entry or it was reversed before."""
    original = _ORIGINAL.first(session, id=entry_id)
    if original is None:
        return None
    reversal_id = _ADD.first(
        session,
        person_id=original.person_id,
        category=original.category,
        credit_seconds=-original.credit_seconds,
        day=original.day,
        law=original.law,
        required=original.required,
        source_kind=original.source_kind,
        source_id=original.source_id,
        rule=original.rule,
        rule_version=original.rule_version,
        recorded_at=recorded_at,
        recorded_by=by,
        reverses=entry_id,
    )
    if reversal_id is not None:
        less = -original.credit_seconds
        _TAKE_YEAR.run(session, person_id=original.person_id, year=original.day.year, category=original.category, less=less, fewer=-items)
        _TAKE_DAY.run(session, person_id=original.person_id, day=original.day, category=original.category, less=less)
    return reversal_id


def refuse(
    session: Session, person_id: int, source: tuple[str, str], seconds: int, day: date, rule: tuple[str, int], reason: str, at: datetime
) -> None:
    """Keep why seconds were not credited, beside their source."""
    _REFUSE.run(
        session,
        person_id=person_id,
        source_kind=source[0],
        source_id=source[1],
        seconds=seconds,
        day=day,
        rule=rule[0],
        rule_version=rule[1],
        reason=reason,
        at=at,
    )


def year_seconds(session: Session, person_id: int, year: int) -> Mapping[str, int]:
    """Credit seconds of a person in a year by category."""
    return dict(_YEAR.all(session, person_id=person_id, year=year))


# ── What 为什么 explains to a person ──


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
_NEWEST_LINES = Query(_LINE.order_by(_entries.c.id.desc()).limit(bind("top")), gives=LedgerLine)
_ONE_LINE = Query(_LINE.where(_entries.c.id == bind("id")), gives=LedgerLine)
_REFUSED_ON_DAY = Query(
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


def newest_lines(session: Session, person_id: int, top: int) -> list[LedgerLine]:
    """The newest entries first."""
    return _NEWEST_LINES.all(session, person_id=person_id, top=top)


def line(session: Session, person_id: int, entry_id: int) -> LedgerLine | None:
    """One entry of this person; another person's is not found."""
    return _ONE_LINE.first(session, person_id=person_id, id=entry_id)


def refused_credit(session: Session, person_id: int, day: date) -> list[RefusedCredit]:
    """What was not credited on a day, newest first."""
    return _REFUSED_ON_DAY.all(session, person_id=person_id, day=day)


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
