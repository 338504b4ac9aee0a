"""Audiences evaluated against the database: who is included on a day, who is excluded and why, in one statement for any number of people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.sql.visitors import iterate
from sqlmodel import Session

from bot.domain.hours.policy import HoursPolicy, RuleVersion, quotas
from bot.domain.message import Refusal
from bot.domain.people.audience import (
    All,
    And,
    Audience,
    ExamNotPassed,
    ExamNotTaken,
    HoursBelow,
    Leaf,
    LessonNotDone,
    Not,
    Or,
    PeopleAre,
    RoleIs,
    TagIs,
    TierIs,
    UnitIs,
    leaves,
    map_leaves,
)
from bot.domain.times import start_of
from bot.storage.db.query import Query, bind, columns, table
from bot.storage.people import roster
from bot.storage.people.accounts import PersonName
from bot.storage.tables.columns import DayType, JsonType, MomentType
from bot.storage.tables.exam import AttemptRow, ExamRow
from bot.storage.tables.hours import RuleRow, YearTotalRow
from bot.storage.tables.people import AbsenceRow, AccountRow, PersonRow, PostRow, RoleRow, TagRow, UnitRow
from bot.storage.tables.study import ReadingRow

_absences, _accounts, _attempts, _exams, _people, _posts, _readings, _roles, _rules, _tags, _units, _years = (
    table(row)
    for row in (
        AbsenceRow, AccountRow, AttemptRow, ExamRow, PersonRow, PostRow, ReadingRow, RoleRow, RuleRow, TagRow, UnitRow, YearTotalRow,
    )
)  # fmt: skip

NEARBY = timedelta(days=31)
"""How long those who left, or are still to join, are named among the excluded; after that they are simply not here."""
_QUARTERS = 4
_DAY, _NOW = bind("day", DayType), bind("now", MomentType)


@dataclass(frozen=True, slots=True)
class EvaluatedAudience:
    """Who gets it, by id in order, and who is left out with the reason in Chinese."""

    people: list[int]
    excluded: list[tuple[int, str]]


def evaluate(session: Session, audience: Audience, day: date, now: datetime) -> EvaluatedAudience:
    """Who an audience is on a day in Asia/Shanghai; `now` is the moment up to which lessons and hours count.

    Leave and secondment pause a person, a joiner is in from the first day, one who left is out from the day after the last.
    """
    evaluation = _evaluation(audience, _quota_of(session, audience, day))
    rows = evaluation.query.all(session, **evaluation.values(day, now))
    return EvaluatedAudience([person_id for person_id, reason in rows if not reason], [row for row in rows if row[1]])


def selection(session: Session, audience: Audience, day: date, now: datetime) -> tuple[Select[Any], dict[str, Any]]:
    """The statement behind `evaluate`, (id, reason) a row in no order, with the values it binds: for statements that go on from it."""
    evaluation = _evaluation(audience, _quota_of(session, audience, day))
    return evaluation.statement, evaluation.values(day, now)


def includes(session: Session, audience: Audience, person_id: int, day: date, now: datetime) -> bool:
    """Whether somebody belongs to an audience on a day; leave changes nothing about that."""
    membership = _membership(audience, _quota_of(session, audience, day))
    return membership.query.first(session, me=person_id, **membership.values(day, now)) is not None


# ── An expression as a statement ──


class _Quota(NamedTuple):
    """What the year's rules ask of each tier: hours, and how many seconds make one."""

    per_hour: int
    hours: tuple[tuple[str, Decimal], ...]


class _AudienceStatement:
    """A statement over people with the words that its audience binds; which day and moment it asks about comes with each call."""

    __slots__ = ("_asked", "_words", "query", "statement")

    def __init__(self, statement: Select[Any], words: dict[str, Any], query: Query[Any]) -> None:
        self.statement, self.query, self._words = statement, query, words
        bound = {element.key for element in iterate(statement) if isinstance(element, BindParameter) and element.required}
        self._asked = bound - words.keys() - {"me"}

    def values(self, day: date, now: datetime) -> dict[str, Any]:
        year_began = start_of(date(day.year, 1, 1))
        asked = {"day": day, "now": now, "gone": day - NEARBY, "coming": day + NEARBY, "year": day.year, "year_began": year_began}
        return {**self._words, **{name: asked[name] for name in self._asked}}


def _has(*conditions: ColumnElement[bool], among: FromClause | None = None) -> ColumnElement[bool]:
    """Said of people: there is such a row. Of the tables around it only theirs is meant, whatever statement goes on from the selection."""
    rows = exists() if among is None else exists().select_from(among)
    return rows.where(*conditions).correlate(_people)


def _away(kind: str = "") -> ColumnElement[bool]:
    """On leave or seconded on the day; of one kind when it is named."""
    days = (_absences.c.since <= _DAY, _absences.c.until.is_(None) | (_absences.c.until >= _DAY))
    return _has(_absences.c.person_id == _people.c.id, *days, *([_absences.c.kind == kind] if kind else []))


_REASON = case(
    (_people.c.left_on < _DAY, "已离职"),
    (_people.c.joined_on > _DAY, "未入职"),
    (_away("secondment"), "借调"),
    (_away(), "请假"),
    (~_has(_accounts.c.person_id == _people.c.id), "没有可用渠道"),
    else_="",
).label("reason")


# Everybody who begins an exam in the same second asks about the same audience.
@lru_cache(maxsize=256)
def _evaluation(audience: Audience, quota: _Quota | None) -> _AudienceStatement:
    builder = _ConditionBuilder(quota)
    is_here = (
        _people.c.left_on.is_(None) | (_people.c.left_on >= bind("gone")),
        _people.c.joined_on.is_(None) | (_people.c.joined_on <= bind("coming")),
    )
    statement = select(_people.c.id, _REASON).where(*is_here, builder.condition(audience))
    return _AudienceStatement(statement, builder.words, Query(statement.order_by(_people.c.id), gives=tuple[int, str]))


@lru_cache(maxsize=256)
def _membership(audience: Audience, quota: _Quota | None) -> _AudienceStatement:
    builder = _ConditionBuilder(quota)
    statement = select(_people.c.id).where(_people.c.id == bind("me"), builder.condition(audience))
    return _AudienceStatement(statement, builder.words, Query(statement, gives=int))


_RULES = Query(
    select(*columns(_rules, RuleVersion, body=type_coerce(_rules.c.body, JsonType(dict, dict))))
    .where(_rules.c.line.in_(["D1", "D11"]))
    .order_by(_rules.c.line, _rules.c.version),
    gives=RuleVersion,
)
_TIERS = Query(select(_people.c.tier).distinct(), gives=str)


def _quota_of(session: Session, audience: Audience, day: date) -> _Quota | None:
    """The quota of each tier that has one, where an audience asks for hours; None where it does not."""
    if not any(isinstance(leaf, HoursBelow) for leaf in leaves(audience)):
        return None
    try:
        quota_table = quotas(HoursPolicy(tuple(_RULES.all(session))), day)
    except KeyError:
        raise Refusal("数据库里还没有学时规则，不能按学时选人，请先启动一次服务（python -m bot serve）装入规则。") from None
    needs = ((tier, quota_table.need(tier)) for tier in sorted(_TIERS.all(session)))
    return _Quota(quota_table.seconds_per_hour, tuple((tier, hours) for tier, hours in needs if hours is not None))


class _ConditionBuilder:
    """The condition on people that an expression stands for; what people wrote goes into bound values only."""

    def __init__(self, quota: _Quota | None) -> None:
        self.words: dict[str, Any] = {}
        self._quota = quota

    def _bind(self, value: Any) -> BindParameter[Any]:
        name = f"v{len(self.words)}"
        self.words[name] = value
        return bind(name, Integer if isinstance(value, int) else Text)

    def condition(self, audience: Audience) -> ColumnElement[bool]:
        match audience:
            case And(parts):
                return and_(true(), *(self.condition(part) for part in parts))
            case Or(parts):
                return or_(false(), *(self.condition(part) for part in parts))
            case Not(part):
                return not_(self.condition(part))
            case _:
                return self._leaf_condition(audience)

    def _leaf_condition(self, leaf: Leaf) -> ColumnElement[bool]:
        match leaf:
            case All() | RoleIs("learner"):
                return true()
            case UnitIs(path, deep):
                return self._unit_condition(path, deep)
            case TierIs(tier):
                # Somebody with two tiers (领导干部、公务员) is in both.
                listed = literal("、").concat(_people.c.tier).concat("、")
                return listed.like(literal("%、").concat(cast(self._bind(tier), Text)).concat("、%"))
            case RoleIs(role):
                return _has(_roles.c.person_id == _people.c.id, _roles.c.role == self._bind(role))
            case TagIs(tag):
                return _has(_tags.c.person_id == _people.c.id, _tags.c.tag == self._bind(tag))
            case PeopleAre(staff_nos):
                return _people.c.staff_no.in_(self._bind(staff_nos)) if staff_nos else false()
            case LessonNotDone(lesson):
                return ~_has(
                    _readings.c.person_id == _people.c.id,
                    _readings.c.lesson == self._bind(lesson),
                    _readings.c.state == "done",
                    _readings.c.closed_at >= bind("year_began"),
                    _readings.c.closed_at <= _NOW,
                )
            case ExamNotTaken(exam):
                return self._no_attempt_condition(exam)
            case ExamNotPassed(exam):
                return self._no_attempt_condition(exam, _attempts.c.passed == 1)
            case HoursBelow(share):
                return self._hours_below_condition(Decimal(share.numerator) / Decimal(share.denominator))
        raise AssertionError(leaf)

    def _unit_condition(self, path: str, deep: bool) -> ColumnElement[bool]:
        place = self._bind(path)
        # Of somebody who is not here on the day, where they were last, or will be first.
        on = case((_people.c.left_on < _DAY, _people.c.left_on), (_people.c.joined_on > _DAY, _people.c.joined_on), else_=_DAY)
        return _has(
            _posts.c.person_id == _people.c.id,
            roster.within(place) if deep else _units.c.path == place,
            _posts.c.since <= on,
            _posts.c.until.is_(None) | (_posts.c.until >= on),
            among=_posts.join(_units, _units.c.id == _posts.c.unit_id),
        )

    def _no_attempt_condition(self, exam: str, *further: ColumnElement[bool]) -> ColumnElement[bool]:
        of_exam = (_attempts.c.person_id == _people.c.id, _goes_by(self._bind(exam)), *further)
        return ~_has(*of_exam, among=_attempts.join(_exams, _exams.c.id == _attempts.c.exam_id))

    def _hours_below_condition(self, share: Decimal) -> ColumnElement[bool]:
        """Hours as they are reported: each category rounded down to a quarter, then added (bot/docs/rules.md D1)."""
        if self._quota is None or not self._quota.hours:
            return false()
        needs = [
            (_people.c.tier == self._bind(tier), int((hours * _QUARTERS * share).to_integral_value(ROUND_CEILING)))
            for tier, hours in self._quota.hours
        ]
        quarters = func.sum(_years.c.seconds * _QUARTERS // self._bind(self._quota.per_hour))
        total = select(quarters).where(_years.c.person_id == _people.c.id, _years.c.year == bind("year")).correlate(_people).scalar_subquery()
        return func.coalesce(total, 0) < case(*needs, else_=0)


def _goes_by(name: BindParameter[str]) -> ColumnElement[bool]:
    """Said of exams: by number or name."""
    return (cast(_exams.c.id, Text) == name) | (_exams.c.name == name)


# ── Names that people give ──

_EXAM = Query(select(_exams.c.id).where(_goes_by(bind("exam", Text))).limit(1), gives=int)
_KNOWN_STAFF_NOS = Query(select(_people.c.staff_no).where(_people.c.staff_no.in_(bind("staff_nos"))), gives=str)


def resolve(session: Session, audience: Audience) -> Audience:
    """The audience with every unit by its full path. Raises `Refusal` for a unit, a staff number or an exam that there is not."""

    def known(leaf: Leaf) -> Audience:
        match leaf:
            case UnitIs(path, deep):
                return UnitIs(unit_path(session, path), deep)
            case PeopleAre(staff_nos):
                _check_people(session, staff_nos)
            case ExamNotTaken(exam) | ExamNotPassed(exam):
                if _EXAM.first(session, exam=exam) is None:
                    raise Refusal(f"没有「{exam[:40]}」这场考试，请写考试的编号或全名。发送「考试」看列表。")
        return leaf

    return map_leaves(audience, known)


def unit_path(session: Session, name: str) -> str:
    """The full path of a unit by path or own name. Raises `Refusal` when none or several go by it."""
    paths = roster.find_unit_paths(session, name)
    if not paths:
        raise Refusal(f"没有「{name[:80]}」这个单位，请核对名称，可写全路径，例如 某局/办公室。")
    if len(paths) > 1 and name not in paths:
        raise Refusal(f"叫「{name[:80]}」的单位有 {len(paths)} 个，请写全路径：{'、'.join(paths[:5])}。")
    return name if name in paths else paths[0]


def _check_people(session: Session, staff_nos: Sequence[str]) -> None:
    known = set(_KNOWN_STAFF_NOS.all(session, staff_nos=staff_nos))
    missing = [staff_no for staff_no in staff_nos if staff_no not in known]
    if missing:
        raise Refusal(f"没有工号 {'、'.join(missing[:10])}{'等' if len(missing) > 10 else ''}，请核对花名册。")


# ── People by id and staff number ──


class PersonTier(NamedTuple):
    """Somebody with their tier."""

    id: int
    staff_no: str
    name: str
    tier: str


_NAMES = Query(
    select(_people.c.id, _people.c.staff_no, _people.c.name).where(_people.c.id.in_(bind("ids"))).order_by(_people.c.staff_no),
    gives=PersonName,
)
_PERSON = Query(select(_people.c.id, _people.c.staff_no, _people.c.name, _people.c.tier).where(_people.c.id == bind("id")), gives=PersonTier)
_ID_BY_STAFF_NO = Query(select(_people.c.id).where(_people.c.staff_no == bind("staff_no")), gives=int)
_CHANNEL_ORDER = ("wecom", "dingtalk", "zwding", "wechat", "local")
_FIRST_CHANNELS = (
    select(
        func.min(case({channel: rank for rank, channel in enumerate(_CHANNEL_ORDER)}, value=_accounts.c.channel, else_=len(_CHANNEL_ORDER))).label(
            "rank"
        )
    )
    .where(_accounts.c.person_id.in_(bind("ids")))
    .group_by(_accounts.c.person_id)
    .subquery("firsts")
)
_BY_CHANNEL = Query(select(_FIRST_CHANNELS.c.rank, func.count()).group_by(_FIRST_CHANNELS.c.rank), gives=tuple[int, int])


def list_people(session: Session, ids: Sequence[int]) -> list[PersonName]:
    """People by staff number."""
    return _NAMES.all(session, ids=ids)


def count_by_channel(session: Session, ids: Sequence[int]) -> Counter[str]:
    """How many of some people would be reached on each channel: everybody once, on the first channel they have in the order of `_CHANNEL_ORDER`."""
    return Counter({_CHANNEL_ORDER[rank]: count for rank, count in _BY_CHANNEL.all(session, ids=ids) if rank < len(_CHANNEL_ORDER)})


def get_person(session: Session, person_id: int) -> PersonTier | None:
    return _PERSON.first(session, id=person_id)


def find_person_id(session: Session, staff_no: str) -> int | None:
    return _ID_BY_STAFF_NO.first(session, staff_no=staff_no)
