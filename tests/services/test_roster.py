"""The roll follows the roster: who joins, leaves, moves and changes, and what nobody guesses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.domain.message import Refusal
from bot.services.people import roster
from bot.services.people.roster import RosterImportPlan
from bot.services.people.roster_file import parse_roster
from bot.storage.db.database import Database
from bot.storage.files.table import parse_table
from bot.storage.people import accounts as people_accounts
from bot.storage.people import roster as people_roster
from bot.storage.people.roster import PersonRecord
from tests.conftest import NOW

HEAD = "工号,姓名,单位,层级,角色,钉钉账号,企业微信账号,入职日期,离职日期\n"
THREE = HEAD + (
    "1001,张三,某局/办公室,公务员,管理员,zhang,zs,2015-07-01,\n1002,李四,某局/法规处,领导干部,,li,,2016-03-02,\n1003,王五,某局/法规处,,,wang,,,\n"
)
TODAY = date(2026, 3, 2)


@dataclass
class Roll:
    """The roll of an agency whose roster is a file; `give` imports one, `see` reads what is there."""

    database: Database
    path: Path
    now: datetime = NOW

    def give(self, csv: str, *, apply: bool = True, leavers_ok: bool = True) -> RosterImportPlan:
        self.path.write_text(csv, encoding="utf-8")
        read = parse_roster(parse_table(self.path))
        if not apply:
            return self.database.read_now(lambda session: roster.compare(session, read, self.now))
        return self.database.write_now(lambda session: roster.apply(session, read, self.now, actor="cli:test", via="cli", leavers_ok=leavers_ok))

    def see(self) -> dict[str, PersonRecord]:
        return {one.staff_no: one for one in self.database.read_now(people_roster.list_people)}

    def count(self, table: str) -> int:
        def read(session: Session) -> int:
            return int(session.connection().execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one())

        return self.database.read_now(read)

    def posts(self, staff_no: str) -> list[tuple[str, str, str | None]]:
        return [(post.path, str(post.since), str(post.until) if post.until else None) for post in self.see()[staff_no].posts]


@pytest.fixture
def roll(engine: Engine, tmp_path: Path) -> Roll:
    return Roll(Database(engine), tmp_path / "roster.csv")


def numbers(plan: RosterImportPlan, kind: str) -> list[str]:
    return [step.staff_no for step in plan.steps_of(kind)]


def test_a_dry_run_tells_all_and_writes_nothing(roll: Roll) -> None:
    plan = roll.give(THREE, apply=False)
    assert numbers(plan, "joiner") == ["1001", "1002", "1003"]
    assert plan.new_units == ("某局", "某局/办公室", "某局/法规处")
    assert [roll.count(table) for table in ("person", "unit", "post", "account", "audit")] == [0] * 5


def test_the_first_import_makes_people_posts_roles_accounts_and_the_tree(roll: Roll) -> None:
    roll.give(THREE)
    seen = roll.see()
    assert seen["1001"].roles == {"admin"}
    assert seen["1001"].accounts == {"dingtalk": ("zhang", "roster"), "wecom": ("zs", "roster")}
    assert roll.posts("1001") == [("某局/办公室", "2015-07-01", None)]
    assert roll.posts("1003") == [("某局/法规处", "2026-03-02", None)]
    assert roll.count("unit") == 3
    assert roll.count("audit") == 4, "one line a person, one for the import"


def test_a_second_apply_changes_nothing(roll: Roll) -> None:
    roll.give(THREE)
    before = roll.see()
    plan = roll.give(THREE)
    assert plan.is_empty
    assert roll.see() == before
    assert roll.count("audit") == 4


def test_whoever_is_not_listed_any_more_leaves_today_with_accounts_and_roles(roll: Roll) -> None:
    roll.give(THREE)
    without = THREE.replace("1001,张三,某局/办公室,公务员,管理员,zhang,zs,2015-07-01,\n", "")
    plan = roll.give(without)
    assert numbers(plan, "leaver") == ["1001"]
    gone = roll.see()["1001"]
    assert (gone.left_on, gone.roles, gone.accounts) == (TODAY, set(), {})
    assert roll.posts("1001") == [("某局/办公室", "2015-07-01", "2026-03-02")]
    assert roll.give(without).is_empty
    roll.now += timedelta(days=30)
    assert roll.give(without).is_empty


def test_half_a_file_is_not_taken_for_a_farewell(roll: Roll) -> None:
    roll.give(THREE)
    one = HEAD + "1003,王五,某局/法规处,,,wang,,,\n"
    assert roll.give(one, apply=False).loses_most
    with pytest.raises(Refusal, match="--leavers-ok"):
        roll.give(one, leavers_ok=False)
    assert all(person.left_on is None for person in roll.see().values())
    assert numbers(roll.give(one, leavers_ok=True), "leaver") == ["1001", "1002"]


def test_a_mover_leaves_the_old_post_yesterday_and_begins_today(roll: Roll) -> None:
    roll.give(THREE)
    roll.now += timedelta(days=10)
    plan = roll.give(THREE.replace("张三,某局/办公室", "张三,某局/财务处"))
    assert numbers(plan, "mover") == ["1001"]
    assert roll.posts("1001") == [("某局/办公室", "2015-07-01", "2026-03-11"), ("某局/财务处", "2026-03-12", None)]
    assert roll.give(THREE.replace("张三,某局/办公室", "张三,某局/财务处")).is_empty


def test_a_move_taken_back_on_the_same_day_leaves_no_trace_in_the_posts(roll: Roll) -> None:
    roll.give(THREE)
    before = roll.posts("1001")
    roll.give(THREE.replace("张三,某局/办公室", "张三,某局/财务处"))
    roll.give(THREE)
    assert roll.posts("1001") == before


def test_a_second_row_opens_a_second_post_and_its_end_closes_one(roll: Roll) -> None:
    two = THREE + "1003,王五,某局/办公室,,,,,,\n"
    roll.give(two)
    assert [post[0] for post in roll.posts("1003")] == ["某局/法规处", "某局/办公室"]
    roll.now += timedelta(days=1)
    assert numbers(roll.give(THREE), "mover") == ["1003"]
    assert [(path, until) for path, _, until in roll.posts("1003")] == [("某局/法规处", None), ("某局/办公室", "2026-03-02")]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1002,李四", "1002,李思", "姓名 李四 → 李思"),
        ("领导干部", "局党组", "层级 领导干部 → 局党组"),
        ("公务员,管理员", "公务员,督学", "角色 管理员 → 督学"),
        ("公务员,管理员", "公务员,", "角色 管理员 → 学员"),
        ("zhang,zs", "zhang,zs2", "解绑企业微信账号 zs;绑定企业微信账号 zs2"),
        ("zhang,zs", "zhang,", "解绑企业微信账号 zs"),
        ("2016-03-02", "2016-03-03", "入职日期 2016-03-02 → 2016-03-03"),
        ("2016-03-02,", "2016-03-02,2026-06-30", "离职日期 空 → 2026-06-30"),
    ],
)
def test_a_change_is_said_and_made_once(roll: Roll, old: str, new: str, said: str) -> None:
    roll.give(THREE)
    changed = THREE.replace(old, new)
    assert changed != THREE
    (step,) = roll.give(changed).steps_of("change")
    assert ";".join(step.changes) == said
    assert roll.give(changed).is_empty


def test_a_day_of_leaving_in_the_roster_ends_post_account_and_role_when_it_has_come(roll: Roll) -> None:
    roll.give(THREE)
    leaving = THREE.replace("2015-07-01,\n", "2015-07-01,2026-02-27\n")
    assert numbers(roll.give(leaving), "leaver") == ["1001"]
    gone = roll.see()["1001"]
    assert (gone.left_on, gone.accounts, gone.roles) == (date(2026, 2, 27), {}, set())
    assert roll.posts("1001") == [("某局/办公室", "2015-07-01", "2026-02-27")]
    assert roll.give(leaving).is_empty


def test_columns_that_the_file_does_not_have_change_nothing(roll: Roll) -> None:
    roll.give(THREE)
    before = roll.see()
    plan = roll.give("工号,姓名,单位\n1001,张三,某局/办公室\n1002,李四,某局/法规处\n1003,王五,某局/法规处\n")
    assert plan.is_empty
    assert roll.see() == before


def test_an_empty_cell_does_not_unbind_what_its_owner_bound_in_chat(roll: Roll) -> None:
    roll.give(THREE)
    mine = roll.see()["1002"].id
    roll.database.write_now(lambda session: people_accounts.bind_account(session, "wecom", "li4", mine, NOW, "code"))
    assert roll.give(THREE).is_empty
    assert roll.see()["1002"].accounts["wecom"] == ("li4", "code")


def test_somebody_who_comes_back_is_the_same_person_with_a_new_post(roll: Roll) -> None:
    roll.give(THREE)
    mine = roll.see()["1001"].id
    roll.give(HEAD + "1002,李四,某局/法规处,领导干部,,li,,2016-03-02,\n1003,王五,某局/法规处,,,wang,,,\n")
    roll.now += timedelta(days=60)
    assert numbers(roll.give(THREE), "rejoiner") == ["1001"]
    back = roll.see()["1001"]
    assert (back.id, back.left_on, back.roles, back.accounts["wecom"]) == (mine, None, {"admin"}, ("zs", "roster"))
    assert roll.posts("1001") == [("某局/办公室", "2015-07-01", "2026-03-02"), ("某局/办公室", "2026-05-01", None)]
    assert roll.give(THREE).is_empty


def test_a_number_that_comes_back_under_another_name_is_a_conflict_and_nothing_is_applied(roll: Roll) -> None:
    roll.give(THREE)
    roll.give(HEAD + "1002,李四,某局/法规处,领导干部,,li,,2016-03-02,\n1003,王五,某局/法规处,,,wang,,,\n")
    reused = THREE.replace("张三", "赵六") + "1009,新人,某局,,,,,,\n"
    assert [one.staff_no for one in roll.give(reused, apply=False).conflicts] == ["1001"]
    with pytest.raises(Refusal, match="冲突"):
        roll.give(reused)
    assert "1009" not in roll.see()


def test_an_account_of_somebody_else_is_a_conflict(roll: Roll) -> None:
    roll.give(THREE)
    mine = roll.see()["1003"].id
    roll.database.write_now(lambda session: people_accounts.bind_account(session, "wecom", "chen", mine, NOW, "code"))
    taken = THREE.replace("领导干部,,li,,", "领导干部,,li,chen,")
    (conflict,) = roll.give(taken, apply=False).conflicts
    assert (conflict.row, conflict.staff_no) == (3, "1002")
    assert "1003" in conflict.reason
    with pytest.raises(Refusal, match="冲突"):
        roll.give(taken)
    assert roll.see()["1003"].accounts["wecom"] == ("chen", "code")


def test_two_people_swap_accounts_and_an_heir_takes_over_that_of_a_leaver(roll: Roll) -> None:
    roll.give(THREE)
    roll.give(THREE.replace("zhang,", "x,").replace(",li,", ",zhang,").replace(",x,", ",li,"))
    seen = roll.see()
    assert (seen["1001"].accounts["dingtalk"][0], seen["1002"].accounts["dingtalk"][0]) == ("li", "zhang")
    roll.give(HEAD + "1002,李四,某局/法规处,领导干部,,zhang,,2016-03-02,\n1004,赵六,某局/法规处,,,li,,,\n")
    assert roll.see()["1004"].accounts["dingtalk"] == ("li", "roster")


def test_staff_numbers_are_one_whatever_their_case(roll: Roll) -> None:
    roll.give("工号,姓名,单位\nA01,张三,某局\n")
    assert roll.give("工号,姓名,单位\na01,张三,某局\n").is_empty


def test_the_audit_names_numbers_and_acts_but_neither_names_nor_accounts(roll: Roll) -> None:
    roll.give(THREE)
    roll.give(THREE.replace("1002,李四", "1002,李思").replace("zhang,zs", "zhang,zs2"))

    def read(session: Session) -> str:
        return "\n".join(f"{row.actor} {row.action} {row.target} {row.detail}" for row in session.connection().execute(text("SELECT * FROM audit")))

    kept = roll.database.read_now(read)
    assert "cli:test 花名册变更 1002 姓名" in kept
    assert not [word for word in ("李四", "李思", "zs2", "zhang") if word in kept]


def test_a_fault_in_the_middle_of_an_import_leaves_nothing_behind(roll: Roll, monkeypatch: pytest.MonkeyPatch) -> None:
    roll.give(THREE)
    before = roll.see()
    bind: Callable[..., None] = people_accounts.bind_account

    def fail(session: Session, channel: str, user: str, *rest: object) -> None:
        if user == "last":
            raise RuntimeError("power cut")
        bind(session, channel, user, *rest)

    monkeypatch.setattr(people_accounts, "bind_account", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        roll.give(THREE.replace("李四", "李思") + "1004,赵六,某局/新处,,,first,last,,\n")
    assert roll.see() == before
    assert roll.count("unit") == 3
