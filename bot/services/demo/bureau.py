"""The demo's made-up bureau: units, people, posts and roles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import insert, select
from sqlmodel import Session

from bot.storage.db.query import table
from bot.storage.tables.people import AccountRow, PersonRow, PostRow, RoleRow, UnitRow

_ACCOUNT, _PERSON, _POST, _ROLE, _UNIT = (table(row) for row in (AccountRow, PersonRow, PostRow, RoleRow, UnitRow))

ROOT = "某市机关事务管理局"
LEADERS = f"{ROOT}/局领导"
OFFICE = f"{ROOT}/办公室"
LEGAL = f"{ROOT}/政策法规处"
ASSETS = f"{ROOT}/财务资产处"
FORCE = f"{ROOT}/综合执法支队"
FIRST = f"{FORCE}/执法一大队"
SECOND = f"{FORCE}/执法二大队"
SERVICE = f"{ROOT}/机关服务中心"
UNITS = (ROOT, LEADERS, OFFICE, LEGAL, ASSETS, FORCE, FIRST, SECOND, SERVICE)

SURNAMES = "赵钱孙李周吴郑王冯陈褚卫"
ORDINALS = "甲乙丙丁戊己庚辛壬癸"


@dataclass(frozen=True, slots=True)
class UnitStaffing:
    """How many work in a unit, how many of them lead it, the tier of the others, and how diligent the unit is on the whole (1 reaches the quota)."""

    unit: str
    size: int
    heads: int
    tier: str
    zeal: float


STAFFING = (
    UnitStaffing(LEADERS, 5, 0, "局党组", 1.06),
    UnitStaffing(OFFICE, 16, 3, "公务员", 1.02),
    UnitStaffing(LEGAL, 12, 2, "公务员", 1.18),
    UnitStaffing(ASSETS, 17, 3, "公务员", 0.86),
    UnitStaffing(FORCE, 12, 3, "执法人员", 1.0),
    UnitStaffing(FIRST, 18, 2, "执法人员", 0.94),
    UnitStaffing(SECOND, 16, 2, "执法人员", 0.78),
    UnitStaffing(SERVICE, 24, 2, "事业人员", 0.9),
)


@dataclass(frozen=True, slots=True)
class BureauMember:
    """One person of the bureau before there is a row; `number` counts from 0 over all."""

    number: int
    staff_no: str
    name: str
    tier: str
    unit: str
    zeal: float


def _members() -> tuple[BureauMember, ...]:
    members: list[BureauMember] = []
    for staffing in STAFFING:
        for place in range(staffing.size):
            number = len(members)
            # Surnames run faster than ordinals, so that neighbours do not look like one family.
            name = SURNAMES[number % len(SURNAMES)] + ORDINALS[number // len(SURNAMES)]
            tier = "领导干部" if place < staffing.heads else staffing.tier
            members.append(BureauMember(number, str(1001 + number), name, tier, staffing.unit, staffing.zeal))
    return tuple(members)


PEOPLE = _members()
ROLES = (
    ("1010", "admin", None),
    ("1023", "admin", None),
    ("1099", "admin", SERVICE),
    ("1022", "supervisor", ROOT),
    ("1051", "supervisor", FORCE),
    ("1097", "supervisor", None),
)
"""(staff number, role, the unit whose subtree they see; their own when None)."""
SECOND_POSTS = (("1024", OFFICE),)
"""Somebody of 政策法规处 who also works in the office: counted once in every sum."""
MOVED = (("1040", ASSETS, OFFICE),)
"""(staff number, from, to): moved on the first of July last year."""


def create_bureau(session: Session, today: date, now: datetime) -> dict[str, int]:
    """Write the bureau; the row of each person by staff number."""
    units = _create_units(session)
    session.execute(
        insert(_PERSON),
        [
            {
                "staff_no": member.staff_no,
                "name": member.name,
                "tier": member.tier,
                "joined_on": join_date(member.number, today),
                "left_on": None,
                "recorded_at": now,
            }
            for member in PEOPLE
        ],
    )
    person_ids = {row[0]: row[1] for row in session.execute(select(_PERSON.c.staff_no, _PERSON.c.id))}
    session.execute(insert(_POST), _post_rows(units, person_ids, today))
    session.execute(
        insert(_ACCOUNT),
        [
            {"channel": "local", "user": member.staff_no, "person_id": person_ids[member.staff_no], "bound_at": now, "bound_by": "demo"}
            for member in PEOPLE
        ],
    )
    session.execute(
        insert(_ROLE),
        [{"person_id": person_ids[staff_no], "role": role, "unit_id": units[unit] if unit else None} for staff_no, role, unit in ROLES],
    )
    return person_ids


def join_date(number: int, today: date) -> date:
    """The day somebody joined: most of them long ago, every fortieth in the spring of last year."""
    return date(today.year - 1, 3, 1) if number % 40 == 39 else date(2010 + number % 12, 1 + number % 12, 1)


def _create_units(session: Session) -> dict[str, int]:
    unit_ids: dict[str, int] = {}
    for path in UNITS:
        parent, _, name = path.rpartition("/")
        statement = insert(_UNIT).values(parent_id=unit_ids.get(parent), name=name, path=path).returning(_UNIT.c.id)
        unit_ids[path] = session.execute(statement).scalar_one()
    return unit_ids


def _post_rows(unit_ids: dict[str, int], person_ids: dict[str, int], today: date) -> list[dict[str, object]]:
    moved = {staff_no: (old, new) for staff_no, old, new in MOVED}
    posts: list[dict[str, object]] = []
    for member in PEOPLE:
        since, person_id = join_date(member.number, today), person_ids[member.staff_no]
        if member.staff_no in moved:
            old, new = moved[member.staff_no]
            posts.append({"person_id": person_id, "unit_id": unit_ids[old], "since": since, "until": date(today.year - 1, 6, 30)})
            posts.append({"person_id": person_id, "unit_id": unit_ids[new], "since": date(today.year - 1, 7, 1), "until": None})
        else:
            posts.append({"person_id": person_id, "unit_id": unit_ids[member.unit], "since": since, "until": None})
    for staff_no, unit in SECOND_POSTS:
        posts.append({"person_id": person_ids[staff_no], "unit_id": unit_ids[unit], "since": date(today.year - 1, 1, 1), "until": None})
    return posts
