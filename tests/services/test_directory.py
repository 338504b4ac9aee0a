"""A platform's contacts become a roster: who is who, where they stand, and of whom they say nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from bot.domain.message import Refusal
from bot.domain.people.person import Department, Directory, DirectoryMember
from bot.services.people import roster as people_roster
from bot.services.people import roster_file
from bot.services.people.roster import RosterImportPlan
from bot.storage.db.database import Database
from bot.storage.files.table_reader import BadTableRows
from bot.storage.people import roster
from tests.conftest import NOW

TREE = (Department(1, 0, "某局"), Department(2, 1, "办公室"), Department(3, 1, "法规处"), Department(4, 3, "立法科/备案"))
STAFF = (
    DirectoryMember("zhangsan", "张三", (2,), "1001"),
    DirectoryMember("lisi", "李四", (3, 2), "1002"),
    DirectoryMember("wangwu", "王五", (4,), "1003"),
)
Sync = Callable[..., RosterImportPlan]


@pytest.fixture
def database(engine: Engine) -> Database:
    return Database(engine)


@pytest.fixture
def sync(database: Database) -> Sync:
    def run(entries: tuple[DirectoryMember, ...] = STAFF, *, channel: str = "wecom", under: str = "", leavers_ok: bool = False) -> RosterImportPlan:
        found = Directory(channel, TREE, entries)
        read = database.read_now(lambda session: roster_file.roster_of_directory(found, roster.list_people(session), under=under))
        return database.write_now(lambda session: people_roster.apply(session, read, NOW, actor="cli:test", via="cli", leavers_ok=leavers_ok))

    return run


def test_the_contacts_join_with_their_units_and_accounts_and_a_second_run_changes_nothing(database: Database, sync: Sync) -> None:
    plan = sync()
    assert [(step.kind, step.staff_no, step.units, step.bind) for step in plan.steps] == [
        ("joiner", "1001", ["某局/办公室"], [("wecom", "zhangsan")]),
        ("joiner", "1002", ["某局/法规处", "某局/办公室"], [("wecom", "lisi")]),
        ("joiner", "1003", ["某局/法规处/立法科∕备案"], [("wecom", "wangwu")]),
    ]
    assert sync().is_empty


def test_a_person_known_by_the_account_keeps_the_staff_number_they_have(sync: Sync) -> None:
    sync()
    plan = sync((DirectoryMember("zhangsan", "张三", (3,), ""), *STAFF[1:]))
    assert [(step.kind, step.staff_no, step.units) for step in plan.steps] == [("mover", "1001", ["某局/法规处"])]


def test_who_has_no_staff_number_and_is_not_known_is_left_out_and_named(sync: Sync) -> None:
    plan = sync((*STAFF, DirectoryMember("robot", "值班机器人", (2,), "")))
    assert len(plan.steps) == 3
    assert plan.notes == ("通讯录里没有工号、也没有绑定过的，没有导入：值班机器人 1 人",)


def test_who_was_in_the_contacts_and_is_gone_leaves_and_their_account_with_them(database: Database, sync: Sync) -> None:
    sync()
    plan = sync(STAFF[:2])
    assert [(step.kind, step.staff_no, step.unbind) for step in plan.steps] == [("leaver", "1003", [("wecom", "wangwu")])]


def test_half_a_directory_is_not_a_farewell(sync: Sync) -> None:
    sync()
    with pytest.raises(Refusal, match="超过一半"):
        sync(STAFF[:1])
    assert len(sync(STAFF[:1], leavers_ok=True).steps_of("leaver")) == 2


def test_those_of_whom_the_contacts_say_nothing_stay_as_they_are(database: Database, sync: Sync) -> None:
    sync()
    plan = sync((DirectoryMember("zs", "张三", (2,), "1001"),), channel="dingtalk")
    assert [(step.staff_no, step.bind, step.unbind) for step in plan.steps] == [("1001", [("dingtalk", "zs")], [])]
    assert plan.notes == ("没有绑定钉钉、通讯录里也没有的 2 人保持不变",)
    known = {one.staff_no: one for one in database.read_now(roster.list_people)}
    assert known["1001"].accounts == {"wecom": ("zhangsan", "roster"), "dingtalk": ("zs", "roster")}
    assert known["1003"].left_on is None


def test_tier_and_roles_are_none_of_the_contacts_business(database: Database, sync: Sync) -> None:
    sync()
    database.write_now(lambda session: roster.change_roles(session, desk_id(database, "1001"), ["admin"], []))
    assert sync().is_empty


def desk_id(database: Database, staff_no: str) -> int:
    return next(one.id for one in database.read_now(roster.list_people) if one.staff_no == staff_no)


def test_an_account_that_belongs_to_somebody_else_is_a_conflict_for_a_person_to_decide(sync: Sync) -> None:
    sync()
    with pytest.raises(BadTableRows) as caught:
        sync((*STAFF, DirectoryMember("other", "赵六", (2,), "1003")))
    assert "工号都是 1003" in str(caught.value)


def test_a_path_may_stand_before_every_department(sync: Sync) -> None:
    assert sync(under="某市/").steps[0].units == ["某市/某局/办公室"]


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (DirectoryMember("a", "张\u200b三丰", (2,), "1009"), "看不见"),
        (DirectoryMember("a", "张三丰", (), "1009"), "不在应用能看到的任何部门里"),
        (DirectoryMember("a", "张三丰", (99,), "1009"), "没有填"),
        (DirectoryMember("a b", "张三丰", (2,), "1009"), "账号应为"),
        (DirectoryMember("a", "张三丰", (2,), "10 09"), "工号应为"),
    ],
)
def test_what_cannot_be_taken_is_named_and_nothing_is_written(database: Database, sync: Sync, entry: DirectoryMember, what: str) -> None:
    with pytest.raises(BadTableRows, match=what):
        sync((*STAFF, entry))
    assert database.read_now(roster.list_people) == []


def test_contacts_without_a_single_staff_number_are_refused(sync: Sync) -> None:
    with pytest.raises(Refusal, match="没有一个有工号的人"):
        sync((DirectoryMember("a", "张三", (2,), ""),))


def test_departments_in_a_circle_are_refused() -> None:
    circle = Directory("wecom", (Department(1, 2, "甲"), Department(2, 1, "乙")), (DirectoryMember("a", "张三", (1,), "1"),))
    with pytest.raises(Refusal, match="绕成了圈"):
        roster_file.roster_of_directory(circle, [])
