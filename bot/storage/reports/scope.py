"""What all reports share: registration, the scope of units that the asker may see, and the SQL for people in office and their seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from bot.domain.hours.policy import YearQuotas, quotas
from bot.domain.message import Refusal
from bot.domain.reports import Part, ReportQuery, Scope, Table
from bot.storage.db.query import Statement
from bot.storage.hours import seals
from bot.storage.tables.columns import stamp

ReportFunction = Callable[[Session, Scope, ReportQuery], Table]
NO_UNIT = "没有这个单位，请核对名称（可写全路径，例如「某局/办公室」）。"


@dataclass(frozen=True, slots=True)
class ReportKind:
    """One report: its name, one line of help, what it is about (a unit, a person), and whether that must be said.

    `tells_keys` keeps it from whoever sits an exam (bot/services/library/key_visibility.py).
    """

    name: str
    help: str
    run: ReportFunction
    about: str
    requires_about: bool
    tells_keys: bool = False

    @property
    def example(self) -> str:
        """What it might be asked about: an exam by its number, a person by theirs."""
        return "12" if self.about == "考试" else "1001"


REGISTERED: dict[str, ReportKind] = {}
"""Filled by `report`; bot/storage/reports/registry.py puts it into order."""


def report(name: str, *, about: str, requires_about: bool = False, tells_keys: bool = False) -> Callable[[ReportFunction], ReportFunction]:
    """Register a report under its name; the first line of its docstring is its help. Chat, web and command line show it by themselves."""

    def register(run: ReportFunction) -> ReportFunction:
        lines = (run.__doc__ or "").strip().splitlines()
        if not lines:
            raise ValueError(f"{name} has no help line")
        if name in REGISTERED:
            raise ValueError(f"{name} is taken")
        REGISTERED[name] = ReportKind(name, lines[0].strip(), run, about, requires_about, tells_keys)
        return run

    return register


# ── Rules ──


def quotas_for(ask: ReportQuery) -> YearQuotas:
    """What the year asks, by the rules in force on the last day that counts."""
    try:
        return quotas(ask.policy, ask.last)
    except KeyError as missing:
        raise Refusal("数据库里还没有学时规则，请先启动一次服务（python -m bot serve）装入规则。") from missing


def make_table(
    session: Session, ask: ReportQuery, name: str, title: str, *parts: Part, notes: Sequence[str] = (), terms: Sequence[str] = ()
) -> Table:
    """A report with what is printed on all of them: day, year, rules, head of the seal."""
    rules = "、".join(ask.policy.at(line, ask.last).name for line in ("D1", "D11"))
    return Table(name, title, parts, ask.as_of, ask.year, rules, seals.head(session), tuple(notes), tuple(terms))


# ── Scope ──


_ROLE = Statement("SELECT unit_id FROM role WHERE person_id = :person_id AND role = 'supervisor'")
_POSTS = Statement("SELECT unit_id, since, until FROM post WHERE person_id = :person_id AND since <= :day ORDER BY COALESCE(until, '9999'), since")
_UNITS = Statement("SELECT id, parent_id, name, path FROM unit")


def scope_of(session: Session, person_id: int, today: date) -> Scope:
    """What a supervisor may see: the unit of the role, or the units of their own open posts; nothing without the role."""
    row = _ROLE.one(session, person_id=person_id)
    if row is None:
        return Scope(())
    return Scope((row[0],) if row[0] is not None else tuple(units_on(session, person_id, today)))


def units_on(session: Session, person_id: int, day: date) -> list[int]:
    """The units where a person has a post on a day; for one who has left, the last unit."""
    posts = _POSTS.all(session, person_id=person_id, day=day.isoformat())
    open_then = [unit for unit, _, until in posts if until is None or until >= day.isoformat()]
    return open_then or [unit for unit, _, _ in posts[-1:]]


@dataclass(frozen=True, slots=True)
class ReportUnit:
    """A unit within a scope: `above` are the units of the scope that contain it, itself first."""

    id: int
    name: str
    path: str
    above: tuple[int, ...]


def units_in(session: Session, scope: Scope) -> dict[int, ReportUnit]:
    """The units of a scope in the order of the tree."""
    rows = {row[0]: row for row in _UNITS.all(session)}
    report_units: list[ReportUnit] = []
    for unit_id, _, name, path in rows.values():
        chain: list[int] = []
        unit_above: int | None = unit_id
        while unit_above is not None and unit_above in rows and unit_above not in chain:
            chain.append(unit_above)
            unit_above = rows[unit_above][1]
        if scope.roots is not None:
            tops = [place for place, container_id in enumerate(chain) if container_id in scope.roots]
            if not tops:
                continue
            chain = chain[: tops[-1] + 1]
        report_units.append(ReportUnit(unit_id, name, path, tuple(chain)))
    return {unit.id: unit for unit in sorted(report_units, key=lambda unit: unit.path.split("/"))}


def narrow_scope(session: Session, scope: Scope, about: str) -> tuple[Scope, str]:
    """The scope of one unit by path or name, and how it is called; a unit outside the scope is refused like one that does not exist."""
    units = units_in(session, scope)
    if not about:
        tops = [unit for unit in units.values() if len(unit.above) == 1]
        return scope, "、".join(unit.path for unit in tops[:3]) + ("等" if len(tops) > 3 else "")
    wanted = about.strip("/ ")
    fitting = [unit for unit in units.values() if unit.path == wanted]
    fitting = fitting or [unit for unit in units.values() if unit.path.endswith(f"/{wanted}")]
    if not fitting:
        raise Refusal(NO_UNIT)
    if len(fitting) > 1:
        raise Refusal(f"叫这个名称的单位有 {len(fitting)} 个，请写全路径：{'、'.join(unit.path for unit in fitting[:5])}")
    return Scope((fitting[0].id,)), fitting[0].path


# ── People in office ──


@dataclass(frozen=True, slots=True)
class OfficePerson:
    """Somebody in office on a day, with the paths of their units within a scope, in the order of the tree."""

    id: int
    staff_no: str
    name: str
    tier: str
    units: tuple[str, ...]


_ON_DAY = "t.since <= :day AND (t.until IS NULL OR t.until >= :day)"
_IN_OFFICE = f"{_ON_DAY} AND (p.left_on IS NULL OR p.left_on >= :day)"
_PEOPLE_OF_UNIT = Statement(
    f"""SELECT p.id, p.staff_no, p.name, p.tier FROM post t JOIN person p ON p.id = t.person_id
        WHERE t.unit_id = :unit AND {_IN_OFFICE} ORDER BY p.id"""  # noqa: S608
)
_THEIR_OTHER_UNITS = Statement(
    f"""SELECT t.person_id, t.unit_id FROM post o JOIN post t ON t.person_id = o.person_id AND t.unit_id <> o.unit_id
        WHERE o.unit_id = :unit AND o.since <= :day AND (o.until IS NULL OR o.until >= :day) AND {_ON_DAY}"""  # noqa: S608
)


def people_by_unit(session: Session, units: Mapping[int, ReportUnit], day: date) -> Iterator[tuple[ReportUnit, list[OfficePerson]]]:
    """Unit after unit in the order of the tree with those for whom it is the first of their units, by id; each person comes once.

    Read while it is gone through: whoever stops after a page has read the units of that page.
    """
    places = {unit_id: place for place, unit_id in enumerate(units)}
    for unit in units.values():
        values = {"unit": unit.id, "day": day.isoformat()}
        others: dict[int, set[int]] = {}
        for person_id, other_id in _THEIR_OTHER_UNITS.all(session, **values):
            if other_id in places:
                others.setdefault(person_id, set()).add(other_id)
        people: dict[int, OfficePerson] = {}
        for person_id, staff_no, name, tier in _PEOPLE_OF_UNIT.all(session, **values):
            own = sorted({unit.id, *others.get(person_id, ())}, key=places.__getitem__)
            if own[0] == unit.id:
                people[person_id] = OfficePerson(person_id, staff_no, name, tier, tuple(units[unit_id].path for unit_id in own))
        yield unit, list(people.values())


def count_people(session: Session, scope: Scope, day: date) -> int:
    """How many people are in office in a scope on a day, each once."""
    text = f"WITH RECURSIVE {office_sql(scope)} SELECT COUNT(DISTINCT person_id) FROM office"  # noqa: S608
    return int(Statement(text).one(session, day=day.isoformat())[0])


def office_sql(scope: Scope) -> str:
    """The part `office` of a WITH RECURSIVE: (person_id, unit_id) of who has a post in a scope on :day and has not left.

    Somebody with two posts in one unit comes twice.
    """
    office = f"SELECT t.person_id, t.unit_id FROM post t JOIN person p ON p.id = t.person_id WHERE {_IN_OFFICE}"  # noqa: S608
    if scope.roots is None:
        return f"office AS ({office})"
    roots = ", ".join(str(int(root)) for root in scope.roots) or "NULL"
    tree = f"SELECT id FROM unit WHERE id IN ({roots}) UNION SELECT u.id FROM unit u JOIN tree ON u.parent_id = tree.id"  # noqa: S608
    return f"tree(id) AS ({tree}), office AS ({office} AND t.unit_id IN (SELECT id FROM tree))"  # noqa: S608


# ── Seconds ──


def seconds_sql(ask: ReportQuery, scope: Scope) -> str:
    """person_id, category, seconds of the year: the running totals for today, the ledger as it stood for any other day.

    A reversal carries the day of what it takes back, so an entry reversed after the day asked for still counts on that day.
    """
    only = "" if scope.roots is None else " AND person_id IN (SELECT person_id FROM office)"
    if ask.is_now:
        return f"SELECT person_id, category, seconds FROM year_total WHERE year = :year{only}"  # noqa: S608
    return (
        "SELECT person_id, category, CAST(SUM(credit_seconds) AS BIGINT) AS seconds FROM ledger"  # noqa: S608
        f" WHERE day >= :first AND day <= :day AND recorded_at < :until{only} GROUP BY person_id, category"
    )


_TOTALS_OF_UNIT = Statement(
    f"""SELECT y.person_id, y.category, y.seconds FROM post t JOIN year_total y ON y.person_id = t.person_id
        WHERE t.unit_id = :unit AND {_ON_DAY} AND y.year = :year"""  # noqa: S608
)
_LEDGER_OF_UNIT = Statement(
    f"""SELECT l.person_id, l.category, CAST(SUM(l.credit_seconds) AS BIGINT)
        FROM (SELECT DISTINCT t.person_id FROM post t WHERE t.unit_id = :unit AND {_ON_DAY}) w JOIN ledger l ON l.person_id = w.person_id
        WHERE l.day >= :first AND l.day <= :day AND l.recorded_at < :until GROUP BY l.person_id, l.category"""  # noqa: S608
)


def seconds_of_unit(session: Session, ask: ReportQuery, unit_id: int) -> dict[int, dict[str, int]]:
    """The same of those who are in one unit itself: person -> category -> seconds."""
    seconds: dict[int, dict[str, int]] = {}
    statement = _TOTALS_OF_UNIT if ask.is_now else _LEDGER_OF_UNIT
    for person_id, category, seconds_each in statement.all(session, unit=unit_id, **bind_values(ask)):
        seconds.setdefault(person_id, {})[category] = seconds_each
    return seconds


def bind_values(ask: ReportQuery) -> dict[str, Any]:
    """What the shared SQL binds. Both databases take names that a statement does not use."""
    return {"year": ask.year, "first": ask.first.isoformat(), "day": ask.last.isoformat(), "until": stamp(ask.until)}


QUARTERS_PER_HOUR = 4
_HOURS_CACHE: dict[int, Decimal] = {}


def hours_of_quarters(quarters: int) -> Decimal:
    """Quarter hours as 学时; one object for equal values, because a long list holds the same few a hundred thousand times."""
    hours = _HOURS_CACHE.get(quarters)
    if hours is None:
        hours = Decimal(quarters) / QUARTERS_PER_HOUR
        if 0 <= quarters < 4000:
            _HOURS_CACHE[quarters] = hours
    return hours
