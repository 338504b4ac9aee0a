"""What all reports share: registration, the scope of units that the asker may see, and the statements about people in office and their seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import CTE, ClauseElement, ColumnElement, Integer, Select, Text, and_, func, literal, or_, select
from sqlmodel import Session

from bot.domain.hours.policy import YearQuotas, quotas
from bot.domain.message import Refusal
from bot.domain.reports import Part, ReportQuery, Scope, Table
from bot.storage.db.query import Query, bind, table
from bot.storage.hours import seals
from bot.storage.tables.hours import CATEGORIES, EntryRow, YearTotalRow
from bot.storage.tables.people import PersonRow, PostRow, RoleRow, UnitRow

T = TypeVar("T")
_PERSON, _POST, _ROLE, _UNIT, _ENTRY, _YEAR_TOTAL = (table(row) for row in (PersonRow, PostRow, RoleRow, UnitRow, EntryRow, YearTotalRow))
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


_SUPERVISED = Query(select(_ROLE.c.unit_id).where(_ROLE.c.person_id == bind("person_id"), _ROLE.c.role == "supervisor"), gives=tuple[int | None])
_POSTS_UNTIL = Query(
    select(_POST.c.unit_id, _POST.c.until)
    .where(_POST.c.person_id == bind("person_id"), _POST.c.since <= bind("day"))
    .order_by(func.coalesce(_POST.c.until, literal("9999", Text)), _POST.c.since),
    gives=tuple[int, date | None],
)
_UNITS = Query(select(_UNIT.c.id, _UNIT.c.parent_id, _UNIT.c.name, _UNIT.c.path), gives=tuple[int, int | None, str, str])


def scope_of(session: Session, person_id: int, today: date) -> Scope:
    """What a supervisor may see: the unit of the role, or the units of their own open posts; nothing without the role."""
    role = _SUPERVISED.first(session, person_id=person_id)
    if role is None:
        return Scope(())
    (unit_id,) = role
    return Scope((unit_id,) if unit_id is not None else tuple(units_on(session, person_id, today)))


def units_on(session: Session, person_id: int, day: date) -> list[int]:
    """The units where a person has a post on a day; for one who has left, the last unit."""
    posts = _POSTS_UNTIL.all(session, person_id=person_id, day=day)
    open_then = [unit_id for unit_id, until in posts if until is None or until >= day]
    return open_then or [unit_id for unit_id, _ in posts[-1:]]


@dataclass(frozen=True, slots=True)
class ReportUnit:
    """A unit within a scope: `above` are the units of the scope that contain it, itself first."""

    id: int
    name: str
    path: str
    above: tuple[int, ...]


def units_in(session: Session, scope: Scope) -> dict[int, ReportUnit]:
    """The units of a scope in the order of the tree."""
    units = _UNITS.all(session)
    parent_of = {unit_id: parent_id for unit_id, parent_id, _, _ in units}
    report_units: list[ReportUnit] = []
    for unit_id, _, name, path in units:
        chain: list[int] = []
        unit_above: int | None = unit_id
        while unit_above is not None and unit_above in parent_of and unit_above not in chain:
            chain.append(unit_above)
            unit_above = parent_of[unit_above]
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


def on_day(post: Any) -> ColumnElement[bool]:
    """Whether a post is held on the day asked for."""
    return and_(post.c.since <= bind("day"), or_(post.c.until.is_(None), post.c.until >= bind("day")))


_OTHER_POST = _POST.alias("other_post")
_NOT_LEFT = or_(_PERSON.c.left_on.is_(None), _PERSON.c.left_on >= bind("day"))
_IN_OFFICE = select(_POST.c.person_id, _POST.c.unit_id).join_from(_POST, _PERSON, _PERSON.c.id == _POST.c.person_id).where(on_day(_POST), _NOT_LEFT)
_PEOPLE_OF_UNIT = Query(
    _IN_OFFICE.with_only_columns(_PERSON.c.id, _PERSON.c.staff_no, _PERSON.c.name, _PERSON.c.tier)
    .where(_POST.c.unit_id == bind("unit"))
    .order_by(_PERSON.c.id),
    gives=tuple[int, str, str, str],
)
_THEIR_OTHER_UNITS = Query(
    select(_OTHER_POST.c.person_id, _OTHER_POST.c.unit_id)
    .join_from(_POST, _OTHER_POST, and_(_OTHER_POST.c.person_id == _POST.c.person_id, _OTHER_POST.c.unit_id != _POST.c.unit_id))
    .where(_POST.c.unit_id == bind("unit"), on_day(_POST), on_day(_OTHER_POST)),
    gives=tuple[int, int],
)


class Office:
    """Who is in office on the day asked for, as the parts of a statement: in the whole agency, or in some units (`roots`) and all below them."""

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole
        if whole:
            in_office = _IN_OFFICE
        else:
            tops = select(_UNIT.c.id).where(_UNIT.c.id.in_(bind("roots"))).cte("tree", recursive=True)
            tree = tops.union(select(_UNIT.c.id).join_from(_UNIT, tops, _UNIT.c.parent_id == tops.c.id))
            in_office = _IN_OFFICE.where(_POST.c.unit_id.in_(select(tree.c.id)))
        self.posts: CTE = in_office.cte("office")
        """(person_id, unit_id); somebody with two posts in one unit comes twice."""

    def has(self, person_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether somebody is in office there."""
        return person_id.in_(select(self.posts.c.person_id))


class ScopedQuery(NamedTuple, Generic[T]):
    """A statement over the people in office in a scope: one text for the whole agency, one for some of its units. Its calls give `day`."""

    agency: Query[T]
    units: Query[T]

    def one(self, session: Session, scope: Scope, **values: Any) -> T:
        return self.agency.one(session, **values) if scope.roots is None else self.units.one(session, roots=scope.roots, **values)

    def all(self, session: Session, scope: Scope, **values: Any) -> list[T]:
        return self.agency.all(session, **values) if scope.roots is None else self.units.all(session, roots=scope.roots, **values)

    def stream(self, session: Session, scope: Scope, **values: Any) -> Iterator[T]:
        return self.agency.stream(session, **values) if scope.roots is None else self.units.stream(session, roots=scope.roots, **values)


def scoped(build: Callable[[Office], ClauseElement], gives: Any = tuple) -> ScopedQuery[Any]:
    """The statement that is built over an office, for both kinds of scopes."""
    return ScopedQuery(*(Query(build(Office(whole=whole)), gives=gives) for whole in (True, False)))


_COUNT_PEOPLE = scoped(lambda office: select(func.count(office.posts.c.person_id.distinct())), gives=int)
_PEOPLE_IN_OFFICE = scoped(lambda office: select(office.posts.c.person_id).distinct(), gives=int)


def people_by_unit(session: Session, units: Mapping[int, ReportUnit], day: date) -> Iterator[tuple[ReportUnit, list[OfficePerson]]]:
    """Unit after unit in the order of the tree with those for whom it is the first of their units, by id; each person comes once.

    Read while it is gone through: whoever stops after a page has read the units of that page.
    """
    places = {unit_id: place for place, unit_id in enumerate(units)}
    for unit in units.values():
        others: dict[int, set[int]] = {}
        for person_id, other_id in _THEIR_OTHER_UNITS.all(session, unit=unit.id, day=day):
            if other_id in places:
                others.setdefault(person_id, set()).add(other_id)
        people: dict[int, OfficePerson] = {}
        for person_id, staff_no, name, tier in _PEOPLE_OF_UNIT.all(session, unit=unit.id, day=day):
            own = sorted({unit.id, *others.get(person_id, ())}, key=places.__getitem__)
            if own[0] == unit.id:
                people[person_id] = OfficePerson(person_id, staff_no, name, tier, tuple(units[unit_id].path for unit_id in own))
        yield unit, list(people.values())


def count_people(session: Session, scope: Scope, day: date) -> int:
    """How many people are in office in a scope on a day, each once."""
    return int(_COUNT_PEOPLE.one(session, scope, day=day))


def people_in_office(session: Session, scope: Scope, day: date) -> list[int]:
    """Who is in office in a scope on a day, each once."""
    return _PEOPLE_IN_OFFICE.all(session, scope, day=day)


# ── Seconds ──

# A reversal carries the day of what it takes back, so an entry reversed after the day asked for still counts on that day.
IN_LEDGER = and_(_ENTRY.c.day >= bind("first"), _ENTRY.c.day <= bind("day"), _ENTRY.c.recorded_at < bind("until"))
"""Whether an entry of the ledger counts for the year as it stood at the end of the day asked for."""
_TOTALS_OF_UNIT = Query(
    select(_YEAR_TOTAL.c.person_id, _YEAR_TOTAL.c.category, _YEAR_TOTAL.c.seconds)
    .join_from(_POST, _YEAR_TOTAL, _YEAR_TOTAL.c.person_id == _POST.c.person_id)
    .where(_POST.c.unit_id == bind("unit"), on_day(_POST), _YEAR_TOTAL.c.year == bind("year")),
    gives=tuple[int, str, int],
)
_IN_UNIT = select(_POST.c.person_id).where(_POST.c.unit_id == bind("unit"), on_day(_POST)).distinct().subquery("in_unit")
_LEDGER_OF_UNIT = Query(
    select(_ENTRY.c.person_id, _ENTRY.c.category, func.sum(_ENTRY.c.credit_seconds))
    .join_from(_IN_UNIT, _ENTRY, _ENTRY.c.person_id == _IN_UNIT.c.person_id)
    .where(IN_LEDGER)
    .group_by(_ENTRY.c.person_id, _ENTRY.c.category),
    gives=tuple[int, str, int],
)


def seconds_of_unit(session: Session, ask: ReportQuery, unit_id: int) -> dict[int, dict[str, int]]:
    """Credit seconds of those in one unit itself, person -> category -> seconds: the running totals for today, else the ledger as it stood."""
    if ask.is_now:
        rows = _TOTALS_OF_UNIT.all(session, unit=unit_id, day=ask.last, year=ask.year)
    else:
        rows = _LEDGER_OF_UNIT.all(session, unit=unit_id, first=ask.first, day=ask.last, until=ask.until)
    seconds: dict[int, dict[str, int]] = {}
    for person_id, category, seconds_each in rows:
        seconds.setdefault(person_id, {})[category] = seconds_each
    return seconds


QUARTERS_PER_HOUR = 4


def _quarters(seconds: ColumnElement[int]) -> ColumnElement[int]:
    """Whole division of seconds gives the quarters that `shown_hours` rounds down to; a test holds the two together."""
    return seconds * QUARTERS_PER_HOUR // bind("per_hour", Integer)


def quarters_by_person(office: Office, *, is_now: bool) -> Select[tuple[int, int, int]]:
    """(person_id, total, collective) in quarter hours: each category rounded down, then added.

    Out of the ledger the categories of a person are summed in one pass of their entries, in the order in which the index has them: a GROUP BY
    person and category sorts a million entries, 1.9 s against 1.0 s.
    """
    if is_now:
        quarters = _quarters(_YEAR_TOTAL.c.seconds)
        collective = func.coalesce(func.sum(quarters).filter(_YEAR_TOTAL.c.category == "collective"), 0)
        of_year = select(_YEAR_TOTAL.c.person_id, func.sum(quarters).label("total"), collective.label("collective")).where(
            _YEAR_TOTAL.c.year == bind("year")
        )
        return (of_year if office.whole else of_year.where(office.has(_YEAR_TOTAL.c.person_id))).group_by(_YEAR_TOTAL.c.person_id)
    sums = [func.coalesce(func.sum(_ENTRY.c.credit_seconds).filter(_ENTRY.c.category == category), 0).label(category) for category in CATEGORIES]
    entries = select(_ENTRY.c.person_id, *sums).where(IN_LEDGER)
    by_person = (entries if office.whole else entries.where(office.has(_ENTRY.c.person_id))).group_by(_ENTRY.c.person_id).subquery("seconds")
    total = sum((_quarters(by_person.c[category]) for category in CATEGORIES[1:]), _quarters(by_person.c[CATEGORIES[0]]))
    return select(by_person.c.person_id, total.label("total"), _quarters(by_person.c.collective).label("collective"))


_HOURS_CACHE: dict[int, Decimal] = {}


def hours_of_quarters(quarters: int) -> Decimal:
    """Quarter hours as 学时; one object for equal values, because a long list holds the same few a hundred thousand times."""
    hours = _HOURS_CACHE.get(quarters)
    if hours is None:
        hours = Decimal(quarters) / QUARTERS_PER_HOUR
        if 0 <= quarters < 4000:
            _HOURS_CACHE[quarters] = hours
    return hours
