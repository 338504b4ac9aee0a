"""Filling an empty database with the demo: a bureau of 120 people in 9 units, with what they studied last year and this year.

Nobody in it exists: the names are surnames with 甲乙丙丁 behind them. The same day gives the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlmodel import Session

from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.services.demo import bureau, exams, past
from bot.services.library.catalog import Catalog
from bot.storage.db.query import Query, table
from bot.storage.tables.people import PersonRow, UnitRow

_PERSON, _UNIT = table(PersonRow), table(UnitRow)
_ANYBODY = Query(select(_PERSON.c.id).limit(1), gives=int)
_ROOT = Query(select(_UNIT.c.id).where(_UNIT.c.path == bureau.ROOT), gives=int)

LEARNER = ("每日", "学习", "考试", "竞赛", "错题", "我的学时", "帮助")


@dataclass(frozen=True, slots=True)
class Character:
    """Somebody whom a visitor of the demo can be."""

    staff_no: str
    name: str
    label: str
    quick: tuple[str, ...]


def _character(staff_no: str, label: str, quick: tuple[str, ...] = LEARNER) -> Character:
    return Character(staff_no, next(member.name for member in bureau.PEOPLE if member.staff_no == staff_no), label, quick)


PERSONAS = (
    _character("1009", "学员"),
    _character("1053", "执法人员"),
    _character("1006", "领导干部"),
    _character("1010", "管理员", ("活动", "考试", "主持", "纠错", "每日", "帮助")),
    _character("1022", "督学", ("报表", "报表 达标率", "每日", "帮助")),
)
"""Staff first: who opens the page is a learner until they choose otherwise."""


def holds_demo(session: Session) -> bool:
    """True when the people in this database are the made-up bureau's."""
    return _ROOT.first(session) is not None


def seed(session: Session, catalog: Catalog, now: datetime) -> None:
    """Fill an empty database with the bureau; nothing when it is there already. Raises `Refusal` where other people are on the roll.

    The page of the demo lets everybody speak for everybody: it must never stand before a real roster.
    """
    if _ANYBODY.first(session) is not None:
        if not holds_demo(session):
            raise Refusal("数据库里已有真实的花名册，演示模式只能用在空库上：请去掉 --demo，或用 BOT_DATABASE_URL 换一个库。")
        return
    people = bureau.create_bureau(session, day_of(now), now)
    past.write_history(session, catalog, people, now)
    exams.create_past_exam(session, catalog, people, now)
