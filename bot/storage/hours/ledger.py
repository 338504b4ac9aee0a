"""The ledger of hours as rows: entries that are only ever added, each in one transaction with its running totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.storage.db.query import Query, Statement, bind, binds, insert, table
from bot.storage.tables.columns import stamp
from bot.storage.tables.hours import DayTotalRow, EntryRow, UncreditedRow, YearTotalRow

_ADD = Statement(
    """INSERT INTO ledger (person_id, category, credit_seconds, day, law, required, source_kind, source_id, rule, rule_version,
                           recorded_at, recorded_by, reverses)
       VALUES (:person_id, :category, :credit_seconds, :day, :law, :required, :source_kind, :source_id, :rule, :rule_version,
               :recorded_at, :recorded_by, :reverses)
       ON CONFLICT DO NOTHING RETURNING id"""
)
_EARNED = Statement(
    "SELECT id FROM ledger WHERE person_id = :person_id AND source_kind = :source_kind AND source_id = :source_id AND reverses IS NULL"
)
# Not `reverses IS NULL`: SQLite would take that for the narrowest way in, and walk through nearly the whole ledger.
_ENTRIES_OF_SOURCE = Statement(
    """SELECT l.id, l.credit_seconds, CASE WHEN EXISTS (SELECT 1 FROM ledger r WHERE r.reverses = l.id) THEN 1 ELSE 0 END
       FROM ledger l WHERE l.person_id = :person_id AND l.source_kind = :source_kind AND COALESCE(l.reverses, 0) = 0
         AND (l.source_id = :source_id OR l.source_id LIKE :source_id || '#%') ORDER BY l.id"""
)
_REFUSED = Statement("SELECT 1 FROM uncredited WHERE person_id = :person_id AND source_kind = :source_kind AND source_id = :source_id LIMIT 1")
_ADD_YEAR = Statement(
    """INSERT INTO year_total (person_id, year, category, seconds, items) VALUES (:person_id, :year, :category, :seconds, :items)
       ON CONFLICT (person_id, year, category)
       DO UPDATE SET seconds = year_total.seconds + excluded.seconds, items = year_total.items + excluded.items"""
)
_ADD_DAY = Statement(
    """INSERT INTO day_total (person_id, day, category, seconds) VALUES (:person_id, :day, :category, :seconds)
       ON CONFLICT (person_id, day, category) DO UPDATE SET seconds = day_total.seconds + excluded.seconds"""
)
_TAKE_YEAR = Statement(
    """UPDATE year_total SET seconds = seconds + :seconds, items = items + :items
       WHERE person_id = :person_id AND year = :year AND category = :category"""
)
_TAKE_DAY = Statement("UPDATE day_total SET seconds = seconds + :seconds WHERE person_id = :person_id AND day = :day AND category = :category")
_USED = Statement(
    """SELECT COALESCE(y.seconds, 0), COALESCE(y.items, 0), COALESCE(d.seconds, 0) FROM (SELECT 1 AS one) AS always
       LEFT JOIN year_total y ON y.person_id = :person_id AND y.year = :year AND y.category = :category
       LEFT JOIN day_total d ON d.person_id = :person_id AND d.day = :day AND d.category = :category"""
)
_USED_UNLESS_EARNED = Statement(
    """SELECT COALESCE(y.seconds, 0), COALESCE(y.items, 0), COALESCE(d.seconds, 0) FROM (SELECT 1 AS one) AS always
       LEFT JOIN year_total y ON y.person_id = :person_id AND y.year = :year AND y.category = :category
       LEFT JOIN day_total d ON d.person_id = :person_id AND d.day = :day AND d.category = :category
       WHERE NOT EXISTS (SELECT 1 FROM ledger l WHERE l.person_id = :person_id AND l.source_kind = :source_kind AND l.source_id = :source_id
                         AND l.reverses IS NULL)"""
)
_REFUSE = Statement(
    """INSERT INTO uncredited (person_id, source_kind, source_id, seconds, day, rule, rule_version, reason, at)
       VALUES (:person_id, :source_kind, :source_id, :seconds, :day, :rule, :rule_version, :reason, :at)"""
)
_YEAR = Statement("SELECT category, seconds FROM year_total WHERE person_id = :person_id AND year = :year")
_ORIGINAL = Statement(
    """SELECT person_id, category, credit_seconds, day, law, required, source_kind, source_id, rule, rule_version
       FROM ledger WHERE id = :id AND reverses IS NULL"""
)


@dataclass(frozen=True, slots=True)
class UsedCredit:
    """What a person has in one category already: seconds and items of the year, seconds of the day."""

    year_seconds: int
    year_items: int
    day_seconds: int


def used_credit(session: Session, person_id: int, category: str, day: date) -> UsedCredit:
    row = _USED.one(session, person_id=person_id, year=day.year, category=category, day=day.isoformat())
    return UsedCredit(*row)


def used_credit_unless_earned(session: Session, person_id: int, category: str, day: date, source: tuple[str, str]) -> UsedCredit | None:
    """`used_credit` and `has_earned` in one look, for the answer path: None when the source, (kind, id), has earned before."""
    row = _USED_UNLESS_EARNED.one(
        session, person_id=person_id, year=day.year, category=category, day=day.isoformat(), source_kind=source[0], source_id=source[1]
    )
    return None if row is None else UsedCredit(*row)


def has_earned(session: Session, person_id: int, source_kind: str, source_id: str) -> bool:
    """True when this source has earned before: one source earns once."""
    return _EARNED.one(session, person_id=person_id, source_kind=source_kind, source_id=source_id) is not None


def was_refused(session: Session, person_id: int, source: tuple[str, str]) -> bool:
    """True when some of this source, (kind, id), was not credited, with the reason kept."""
    return _REFUSED.one(session, person_id=person_id, source_kind=source[0], source_id=source[1]) is not None


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
    row = _ADD.one(
        session,
        person_id=person_id,
        category=category,
        credit_seconds=seconds,
        day=day.isoformat(),
        law=law,
        required=int(required),
        source_kind=source[0],
        source_id=source[1],
        rule=rule[0],
        rule_version=rule[1],
        recorded_at=stamp(recorded_at),
        recorded_by=by,
        reverses=None,
    )
    if row is None:
        return None
    _ADD_YEAR.run(session, person_id=person_id, year=day.year, category=category, seconds=seconds, items=items)
    _ADD_DAY.run(session, person_id=person_id, day=day.isoformat(), category=category, seconds=seconds)
    return int(row[0])


_ENTRY, _YEAR_TOTAL, _DAY_TOTAL, _UNCREDITED = table(EntryRow), table(YearTotalRow), table(DayTotalRow), table(UncreditedRow)
_ADD_ITEM = Query(
    insert(_ENTRY).values(
        binds("person_id", "day", "law", "source_id", "rule", "rule_version", "recorded_at")
        | {"category": "practice", "credit_seconds": bind("seconds"), "required": False, "source_kind": "item", "recorded_by": "system"}
    )
)
_ADDED_YEAR = insert(_YEAR_TOTAL).values(binds("person_id", "year", "seconds") | {"category": "practice", "items": 1})
_ADD_ITEM_YEAR = Query(
    _ADDED_YEAR.on_conflict_do_update(
        index_elements=["person_id", "year", "category"],
        set_={"seconds": _YEAR_TOTAL.c.seconds + _ADDED_YEAR.excluded.seconds, "items": _YEAR_TOTAL.c["items"] + _ADDED_YEAR.excluded["items"]},
    )
)
_ADDED_DAY = insert(_DAY_TOTAL).values(binds("person_id", "day", "seconds") | {"category": "practice"})
_ADD_ITEM_DAY = Query(
    _ADDED_DAY.on_conflict_do_update(
        index_elements=["person_id", "day", "category"], set_={"seconds": _DAY_TOTAL.c.seconds + _ADDED_DAY.excluded.seconds}
    )
)
_REFUSE_ITEM = Query(
    insert(_UNCREDITED).values(binds("person_id", "source_id", "seconds", "day", "rule", "rule_version", "reason", "at") | {"source_kind": "item"})
)


_ITEM_COLUMNS = ("person_id", "day", "law", "source_id", "seconds", "rule", "rule_version", "recorded_at")


def add_items(session: Session, items: Sequence[Mapping[str, Any]]) -> None:
    """Entries of practised items with their running totals, one statement a table; the source of each must not have earned (unique).

    Each holds person_id, day, year, source_id, law, seconds (above 0), rule, rule_version, recorded_at.
    """
    _ADD_ITEM.many(session, [{name: item[name] for name in _ITEM_COLUMNS} for item in items])
    _ADD_ITEM_YEAR.many(session, [{name: item[name] for name in ("person_id", "year", "seconds")} for item in items])
    _ADD_ITEM_DAY.many(session, [{name: item[name] for name in ("person_id", "day", "seconds")} for item in items])


def refuse_items(session: Session, items: Sequence[Mapping[str, Any]]) -> None:
    """Keep why items were not credited, each with the columns of `uncredited` but the kind of its source."""
    _REFUSE_ITEM.many(session, items)


def reverse(session: Session, entry_id: int, recorded_at: datetime, by: str, *, items: int = 0) -> int | None:
    """Take an entry back by its mirror image; None when there is no such entry or it was reversed before."""
    original = _ORIGINAL.one(session, id=entry_id)
    if original is None:
        return None
    person_id, category, seconds, day, law, required, source_kind, source_id, rule, rule_version = original
    row = _ADD.one(
        session,
        person_id=person_id,
        category=category,
        credit_seconds=-seconds,
        day=day,
        law=law,
        required=required,
        source_kind=source_kind,
        source_id=source_id,
        rule=rule,
        rule_version=rule_version,
        recorded_at=stamp(recorded_at),
        recorded_by=by,
        reverses=entry_id,
    )
    if row is None:
        return None
    _TAKE_YEAR.run(session, person_id=person_id, year=int(day[:4]), category=category, seconds=-seconds, items=-items)
    _TAKE_DAY.run(session, person_id=person_id, day=day, category=category, seconds=-seconds)
    return int(row[0])


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
        day=day.isoformat(),
        rule=rule[0],
        rule_version=rule[1],
        reason=reason,
        at=stamp(at),
    )


def year_seconds(session: Session, person_id: int, year: int) -> Mapping[str, int]:
    """Credit seconds of a person in a year by category."""
    return dict(_YEAR.all(session, person_id=person_id, year=year))
