"""Audiences evaluated against the database: who is included on a day, who is excluded and why, in one statement for any number of people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any

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
    map_leaves,
)
from bot.domain.times import start_of
from bot.storage.db.query import Statement
from bot.storage.people import roster
from bot.storage.tables.columns import stamp

NEARBY = timedelta(days=31)
"""How long those who left, or are still to join, are named among the excluded; after that they are simply not here."""
_QUARTERS = 4
_KNOWN_STAFF_NOS = "SELECT staff_no FROM person WHERE staff_no IN ({names})"
_RULES = Statement("SELECT line, version, valid_from, body FROM rule WHERE line IN ('D1', 'D11') ORDER BY line, version")
_TIERS = Statement("SELECT DISTINCT tier FROM person")
_PERSON = Statement("SELECT id, staff_no, name, tier FROM person WHERE id = :id")
_EXAM = Statement("SELECT 1 FROM exam WHERE CAST(id AS TEXT) = :exam OR name = :exam LIMIT 1")
_ID_BY_STAFF_NO = Statement("SELECT id FROM person WHERE staff_no = :staff_no")
_POST_DAY = """CASE WHEN p.left_on IS NOT NULL AND p.left_on < :day THEN p.left_on
              WHEN p.joined_on IS NOT NULL AND p.joined_on > :day THEN p.joined_on ELSE CAST(:day AS TEXT) END"""
_EVALUATE = """SELECT p.id, CASE
    WHEN p.left_on IS NOT NULL AND p.left_on < :day THEN '已离职'
    WHEN p.joined_on IS NOT NULL AND p.joined_on > :day THEN '未入职'
    WHEN EXISTS (SELECT 1 FROM absence a WHERE a.person_id = p.id AND a.kind = 'secondment' AND a.since <= :day
                 AND (a.until IS NULL OR a.until >= :day)) THEN '借调'
    WHEN EXISTS (SELECT 1 FROM absence a WHERE a.person_id = p.id AND a.since <= :day AND (a.until IS NULL OR a.until >= :day)) THEN '请假'
    WHEN NOT EXISTS (SELECT 1 FROM account c WHERE c.person_id = p.id) THEN '没有可用渠道'
    ELSE '' END AS reason
FROM person p
WHERE (p.left_on IS NULL OR p.left_on >= :gone) AND (p.joined_on IS NULL OR p.joined_on <= :coming) AND ({condition})"""


@dataclass(frozen=True, slots=True)
class EvaluatedAudience:
    """Who gets it, by id in order, and who is left out with the reason in Chinese."""

    people: list[int]
    excluded: list[tuple[int, str]]


def evaluate(session: Session, audience: Audience, day: date, now: datetime) -> EvaluatedAudience:
    """Who an audience is on a day in Asia/Shanghai; `now` is the moment up to which lessons and hours count.

    Leave and secondment pause a person, a joiner is in from the first day, one who left is out from the day after the last.
    """
    text, values = selection_statement(session, audience, day, now)
    rows = Statement(f"{text} ORDER BY p.id").all(session, **values)
    return EvaluatedAudience([row[0] for row in rows if not row[1]], [(row[0], row[1]) for row in rows if row[1]])


def selection_statement(session: Session, audience: Audience, day: date, now: datetime) -> tuple[str, dict[str, Any]]:
    """The statement behind `evaluate`, (person id, reason) a row, with the values it binds: for statements that go on from it."""
    values: dict[str, Any] = {"day": day.isoformat(), "gone": (day - NEARBY).isoformat(), "coming": (day + NEARBY).isoformat()}
    condition = _ConditionBuilder(session, day, now, values).condition(audience)
    return _EVALUATE.format(condition=condition), values


def includes(session: Session, audience: Audience, person_id: int, day: date, now: datetime) -> bool:
    """Whether somebody belongs to an audience on a day; leave changes nothing about that."""
    values: dict[str, Any] = {"day": day.isoformat(), "me": person_id}
    condition = _ConditionBuilder(session, day, now, values).condition(audience)
    return _cached_statement(f"SELECT 1 FROM person p WHERE p.id = :me AND ({condition})").one(session, **values) is not None  # noqa: S608


class _ConditionBuilder:
    """The condition on `p` that an expression stands for; what people wrote goes into bound values only."""

    def __init__(self, session: Session, day: date, now: datetime, values: dict[str, Any]) -> None:
        self.session, self.day, self.now, self.values = session, day, now, values

    def _bind(self, value: Any) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def condition(self, audience: Audience) -> str:
        match audience:
            case And(parts):
                return "(" + " AND ".join(self.condition(part) for part in parts) + ")"
            case Or(parts):
                return "(" + " OR ".join(self.condition(part) for part in parts) + ")"
            case Not(part):
                return f"(NOT {self.condition(part)})"
            case _:
                return self._leaf_condition(audience)

    def _leaf_condition(self, leaf: Leaf) -> str:
        match leaf:
            case All() | RoleIs("learner"):
                return "(1 = 1)"
            case UnitIs(path, deep):
                return self._unit_condition(path, deep)
            case TierIs(tier):
                # Somebody with two tiers (领导干部、公务员) is in both.
                return f"('、' || p.tier || '、' LIKE '%、' || CAST({self._bind(tier)} AS TEXT) || '、%')"
            case RoleIs(role):
                return f"EXISTS (SELECT 1 FROM role r WHERE r.person_id = p.id AND r.role = {self._bind(role)})"  # noqa: S608
            case TagIs(tag):
                return f"EXISTS (SELECT 1 FROM tag g WHERE g.person_id = p.id AND g.tag = {self._bind(tag)})"  # noqa: S608
            case PeopleAre(staff_nos):
                return f"p.staff_no IN ({', '.join(self._bind(staff_no) for staff_no in staff_nos)})" if staff_nos else "(1 = 0)"
            case LessonNotDone(lesson):
                since = self._bind(stamp(start_of(date(self.day.year, 1, 1))))
                until = self._bind(stamp(self.now))
                return (
                    f"NOT EXISTS (SELECT 1 FROM reading d WHERE d.person_id = p.id AND d.lesson = {self._bind(lesson)} AND d.state = 'done'"  # noqa: S608
                    f" AND d.closed_at >= {since} AND d.closed_at <= {until})"
                )
            case ExamNotTaken(exam):
                return self._no_attempt_condition(exam, "")
            case ExamNotPassed(exam):
                return self._no_attempt_condition(exam, " AND t.passed = 1")
            case HoursBelow(share):
                return self._hours_below_condition(Decimal(share.numerator) / Decimal(share.denominator))
        raise AssertionError(leaf)

    def _unit_condition(self, path: str, deep: bool) -> str:
        unit_condition = f"u.path = {self._bind(path)}"
        if deep:
            prefix = f"{path}/"
            unit_condition = f"({unit_condition} OR substr(u.path, 1, {len(prefix)}) = {self._bind(prefix)})"
        return (
            f"EXISTS (SELECT 1 FROM post o JOIN unit u ON u.id = o.unit_id WHERE o.person_id = p.id AND {unit_condition}"  # noqa: S608
            f" AND o.since <= {_POST_DAY} AND (o.until IS NULL OR o.until >= {_POST_DAY}))"
        )

    def _no_attempt_condition(self, exam: str, extra: str) -> str:
        exam_value = self._bind(exam)
        return (
            "NOT EXISTS (SELECT 1 FROM attempt t JOIN exam x ON x.id = t.exam_id WHERE t.person_id = p.id"  # noqa: S608
            f" AND (CAST(x.id AS TEXT) = {exam_value} OR x.name = {exam_value}){extra})"
        )

    def _hours_below_condition(self, share: Decimal) -> str:
        """Hours as they are reported: each category rounded down to a quarter, then added (bot/docs/rules.md D1)."""
        rules = tuple(RuleVersion(row[0], row[1], date.fromisoformat(row[2]), json.loads(row[3])) for row in _RULES.all(self.session))
        try:
            quota_table = quotas(HoursPolicy(rules), self.day)
        except KeyError:
            raise Refusal("数据库里还没有学时规则，不能按学时选人，请先启动一次服务（python -m bot serve）装入规则。") from None
        per_hour = self._bind(quota_table.seconds_per_hour)
        cases = []
        for (tier,) in _TIERS.all(self.session):
            hours = quota_table.need(tier)
            if hours is not None:
                cases.append(f"WHEN p.tier = {self._bind(tier)} THEN {int((hours * _QUARTERS * share).to_integral_value(ROUND_CEILING))}")
        if not cases:
            return "(1 = 0)"
        year = self._bind(self.day.year)
        return (
            f"COALESCE((SELECT SUM(t.seconds * {_QUARTERS} / {per_hour}) FROM year_total t WHERE t.person_id = p.id AND t.year = {year}), 0)"  # noqa: S608
            f" < (CASE {' '.join(cases)} ELSE 0 END)"
        )


def resolve(session: Session, audience: Audience) -> Audience:
    """The audience with every unit by its full path. Raises `Refusal` for a unit, a staff number or an exam that there is not."""

    def known(leaf: Leaf) -> Audience:
        match leaf:
            case UnitIs(path, deep):
                return UnitIs(unit_path(session, path), deep)
            case PeopleAre(staff_nos):
                _check_people(session, staff_nos)
            case ExamNotTaken(exam) | ExamNotPassed(exam):
                if _EXAM.one(session, exam=exam) is None:
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
    values = {f"n{number}": staff_no for number, staff_no in enumerate(staff_nos)}
    known = (
        {row[0] for row in Statement(_KNOWN_STAFF_NOS.format(names=", ".join(f":{name}" for name in values))).all(session, **values)}
        if values
        else set()
    )
    missing = [staff_no for staff_no in staff_nos if staff_no not in known]
    if missing:
        raise Refusal(f"没有工号 {'、'.join(missing[:10])}{'等' if len(missing) > 10 else ''}，请核对花名册。")


def _id_list(ids: Sequence[int]) -> str:
    return ", ".join(str(int(person_id)) for person_id in ids) or "NULL"


def list_people(session: Session, ids: Sequence[int]) -> list[tuple[int, str, str]]:
    """(id, staff number, name) of people, by staff number."""
    return [tuple(row) for row in Statement(f"SELECT id, staff_no, name FROM person WHERE id IN ({_id_list(ids)}) ORDER BY staff_no").all(session)]  # noqa: S608


_cached_statement = lru_cache(maxsize=256)(Statement)
"""Statements that many people ask for in the same second (everybody who begins an exam)."""
_CHANNEL_ORDER = ("wecom", "dingtalk", "zwding", "wechat", "local")


def count_by_channel(session: Session, ids: Sequence[int]) -> Counter[str]:
    """How many of some people would be reached on each channel: everybody once, on the first channel they have in the order of `_CHANNEL_ORDER`."""
    ranks = " ".join(f"WHEN '{channel}' THEN {rank}" for rank, channel in enumerate(_CHANNEL_ORDER))
    text = f"""SELECT place, COUNT(*) FROM (SELECT MIN(CASE channel {ranks} ELSE {len(_CHANNEL_ORDER)} END) AS place FROM account
        WHERE person_id IN ({_id_list(ids)}) GROUP BY person_id) f GROUP BY place"""  # noqa: S608
    return Counter({_CHANNEL_ORDER[row[0]]: int(row[1]) for row in Statement(text).all(session) if row[0] < len(_CHANNEL_ORDER)})


def get_person(session: Session, person_id: int) -> tuple[int, str, str, str] | None:
    """(id, staff number, name, tier)."""
    row = _PERSON.one(session, id=person_id)
    return None if row is None else (row[0], row[1], row[2], row[3])


def find_person_id(session: Session, staff_no: str) -> int | None:
    row = _ID_BY_STAFF_NO.one(session, staff_no=staff_no)
    return None if row is None else int(row[0])
