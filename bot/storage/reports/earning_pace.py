"""What people earned day by day, for the forecast: one pass over the ledger, one person after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter

from sqlmodel import Session

from bot.domain.hours.forecast import EarnedOnDay, ForecastQuota
from bot.domain.hours.policy import HoursPolicy, YearQuotas
from bot.domain.reports import Scope
from bot.domain.times import end_of
from bot.storage.db.query import Statement, stream
from bot.storage.reports.scope import office_of
from bot.storage.tables.columns import stamp

_CAPPED = {"practice": "D3", "contest": "D5"}
_OF = Statement(
    """SELECT category, day, SUM(credit_seconds) FROM ledger
       WHERE person_id = :person_id AND day >= :first AND day <= :last GROUP BY category, day"""
)
_JOINED = Statement("SELECT joined_on FROM person WHERE id = :person_id")
# Reversals name the same lesson as what they take back, and a lesson taken back earns no second time: no need to tell them apart.
_LESSONS = Statement(
    "SELECT DISTINCT source_id FROM ledger WHERE person_id = :person_id AND day >= :first AND day <= :last AND source_kind = 'lesson'"
)


@dataclass(slots=True)
class EarningPerson:
    """Somebody in office with what they earned: `earned` as known at the cut, `final` all of the year as known at the end."""

    id: int
    staff_no: str
    name: str
    tier: str
    joined_on: date | None
    earned: list[EarnedOnDay] = field(default_factory=list)
    final: dict[str, int] = field(default_factory=dict)


def quota_of(tier: str, need: YearQuotas, policy: HoursPolicy, on: date) -> ForecastQuota | None:
    """What a tier is asked for on a day; None when nothing is."""
    hours = need.need(tier)
    if hours is None:
        return None
    caps: dict[str, int] = {}
    for category, line in _CAPPED.items():
        if any(one.line == line for one in policy.versions):
            caps[category] = policy.seconds(policy.at(line, on).number("year_cap"), on)
    return ForecastQuota(hours, need.floor(tier), need.seconds_per_hour, caps)


def people(session: Session, scope: Scope, cut: date, known: datetime) -> Iterator[EarningPerson]:
    """Everybody in office in a scope on a day, with the year until then as the ledger stood at the end of that day.

    `known` is the moment up to which the ledger is read for `final`, which holds the whole year.
    """
    values = {
        "day": cut.isoformat(),
        "first": date(cut.year, 1, 1).isoformat(),
        "last": date(cut.year, 12, 31).isoformat(),
        "cut": stamp(end_of(cut)),
        "known": stamp(known),
    }
    text = f"""WITH RECURSIVE {office_of(scope)},
        who AS (SELECT DISTINCT person_id FROM office)
        SELECT p.id, p.staff_no, p.name, p.tier, p.joined_on, l.category, l.day, CAST(SUM(l.credit_seconds) AS BIGINT),
               CAST(SUM(CASE WHEN l.recorded_at < :cut AND l.day <= :day THEN l.credit_seconds ELSE 0 END) AS BIGINT)
        FROM who w JOIN person p ON p.id = w.person_id
        LEFT JOIN ledger l ON l.person_id = p.id AND l.day >= :first AND l.day <= :last AND l.recorded_at < :known
        GROUP BY p.id, p.staff_no, p.name, p.tier, p.joined_on, l.category, l.day ORDER BY p.id"""  # noqa: S608
    for _, rows in groupby(stream(session, text, values), key=itemgetter(0)):
        found: EarningPerson | None = None
        for person_id, staff_no, name, tier, joined_on, category, day, seconds, then in rows:
            if found is None:
                found = EarningPerson(person_id, staff_no, name, tier, joined_on and date.fromisoformat(joined_on))
            if category is not None:
                found.final[category] = found.final.get(category, 0) + int(seconds)
                if then:
                    found.earned.append(EarnedOnDay(category, date.fromisoformat(day), int(then)))
        assert found is not None
        yield found


def earned(session: Session, person_id: int, on: date) -> list[EarnedOnDay]:
    """What one person earned this year until a day."""
    rows = _OF.all(session, person_id=person_id, first=date(on.year, 1, 1).isoformat(), last=on.isoformat())
    return [EarnedOnDay(row[0], date.fromisoformat(row[1]), int(row[2])) for row in rows]


def joined_on(session: Session, person_id: int) -> date | None:
    row = _JOINED.one(session, person_id=person_id)
    return None if row is None or row[0] is None else date.fromisoformat(row[0])


def lessons_earned(session: Session, person_id: int, year: int) -> set[str]:
    """The lessons that earned already this year and earn nothing more."""
    rows = _LESSONS.all(session, person_id=person_id, first=date(year, 1, 1).isoformat(), last=date(year, 12, 31).isoformat())
    return {row[0].partition(":")[2] for row in rows}
