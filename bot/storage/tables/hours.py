"""The tables of hours: rules and their versions, the ledger, refused credit with its reason, running totals, and the hash chain."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text

from bot.storage.tables.columns import (
    KEYED,
    STRICT,
    Row,
    day_column,
    flag_column,
    integer_column,
    is_day,
    is_flag,
    is_moment,
    key_column,
    moment_column,
    one_of,
    text_column,
    unique_where_present,
)

CATEGORIES = ("online", "practice", "exam", "contest", "collective", "external")
_ORIGINAL = text("reverses IS NULL")


class RuleRow(Row):
    """One line of the policy (rule D1 …) in one version; an entry names both, and a new version counts from its day on, never backwards."""

    __tablename__ = "rule"
    __table_args__ = (
        CheckConstraint("version >= 1", name="versions_count_from_one"),
        UniqueConstraint("line", "version"),
        is_day("valid_from"),
        is_moment("loaded_at"),
        STRICT,
    )

    id: int | None = key_column()
    line: str = text_column()
    version: int = integer_column()
    valid_from: date = day_column()
    digest: str = text_column()
    body: str = text_column()
    loaded_at: datetime = moment_column()


class EntryRow(Row):
    """One line of the ledger, in credit seconds. Never updated, never deleted (triggers); put right by an entry that reverses it."""

    __tablename__ = "ledger"
    __table_args__ = (
        one_of("category", *CATEGORIES),
        CheckConstraint("(reverses IS NULL AND credit_seconds > 0) OR (reverses IS NOT NULL AND credit_seconds < 0)", name="a_reversal_takes_back"),
        CheckConstraint("abs(credit_seconds) <= 604800", name="credit_is_plausible"),
        CheckConstraint("reverses IS NULL OR reverses <> id", name="does_not_reverse_itself"),
        is_flag("required"),
        is_day("day"),
        is_moment("recorded_at"),
        unique_where_present("ledger_reversed_once", "reverses"),
        Index("one_source_earns_once", "person_id", "source_kind", "source_id", unique=True, sqlite_where=_ORIGINAL),
        Index("ledger_of_person", "person_id", "day"),
        Index("ledger_in_time", "recorded_at"),
        STRICT,
    )

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id")
    category: str = text_column()
    credit_seconds: int = integer_column()
    day: date = day_column()
    law: str = text_column(default="")
    required: bool = flag_column(default=False)
    source_kind: str = text_column()
    source_id: str = text_column()
    rule: str = text_column()
    rule_version: int = integer_column()
    recorded_at: datetime = moment_column()
    recorded_by: str = text_column()
    reverses: int | None = integer_column(default=None, foreign_key="ledger.id")


class UncreditedRow(Row):
    """Seconds that a cap or a rule refused, beside their source, with the reason a person can read."""

    __tablename__ = "uncredited"
    __table_args__ = (
        CheckConstraint("seconds >= 0", name="refused_is_not_negative"),
        is_day("day"),
        is_moment("at"),
        Index("uncredited_of_person", "person_id", "day"),
        STRICT,
    )

    id: int | None = key_column()
    person_id: int = integer_column(foreign_key="person.id")
    source_kind: str = text_column()
    source_id: str = text_column()
    seconds: int = integer_column()
    day: date = day_column()
    rule: str = text_column()
    rule_version: int = integer_column()
    reason: str = text_column()
    at: datetime = moment_column()


class YearTotalRow(Row):
    """The ledger of one person, year and category added up; written with each entry, equal to the ledger to the second."""

    __tablename__ = "year_total"
    __table_args__ = (one_of("category", *CATEGORIES), CheckConstraint("seconds >= 0 AND items >= 0", name="totals_are_not_negative"), KEYED)

    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    year: int = integer_column(primary_key=True)
    category: str = text_column(primary_key=True)
    seconds: int = integer_column(default=0)
    items: int = integer_column(default=0)


class DayTotalRow(Row):
    """The same of one day, for the caps of a day."""

    __tablename__ = "day_total"
    __table_args__ = (one_of("category", *CATEGORIES), is_day("day"), CheckConstraint("seconds >= 0", name="totals_are_not_negative"), KEYED)

    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    day: date = day_column(primary_key=True)
    category: str = text_column(primary_key=True)
    seconds: int = integer_column(default=0)


class SealRow(Row):
    """An entry's place in the chain of hashes (bot/docs/rules.md#the-ledger)."""

    __tablename__ = "seal"
    __table_args__ = (CheckConstraint("seq >= 1", name="places_count_from_one"), is_moment("sealed_at"), STRICT)

    seq: int = integer_column(primary_key=True)
    entry_id: int = integer_column(foreign_key="ledger.id", unique=True)
    algorithm: str = text_column()
    hash: str = text_column()
    sealed_at: datetime = moment_column()


class ForecastRow(Row):
    """What was last foretold of somebody's year, and everything it was made from, by which a reader sees whether it still holds.

    `basis` is the day with the rules and the calendar, `entry_id` their newest entry of the ledger, `away` their leave as text; `outlook` the total,
    the expectation, the margin, and what is there and expected of collective study, in 学时 (empty where nothing is foretold); `tested_error` (in
    quarters), `tested_hit` and `range_held` how the same arithmetic did in the year before. It can be made again at any time from the other tables.
    """

    __tablename__ = "forecast"
    __table_args__ = (
        one_of("verdict", "none", "early", "fine", "doubtful", "likely", "sure"),
        CheckConstraint("tested_error >= 0", name="error_is_not_negative"),
        is_day("joined_on"),
        is_flag("tested_hit"),
        is_flag("range_held"),
        STRICT,
    )

    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    basis: str = text_column()
    entry_id: int = integer_column(default=0)
    tier: str = text_column()
    joined_on: date | None = day_column(default=None)
    away: str = text_column(default="")
    verdict: str = text_column()
    outlook: str = text_column(default="")
    tested_error: int | None = integer_column(default=None)
    tested_hit: bool | None = flag_column(default=None)
    range_held: bool | None = flag_column(default=None)


class ForecastRunRow(Row):
    """The one row that says for which basis all forecasts are kept, and up to which entry of the ledger."""

    __tablename__ = "forecast_run"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), is_moment("made_at"), STRICT)

    id: int = integer_column(primary_key=True)
    basis: str = text_column()
    entry_id: int = integer_column()
    made_at: datetime = moment_column()
