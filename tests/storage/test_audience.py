"""Audiences against the roll: the right people on the right day, the others by reason, five thousand in one go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import insert, select
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.message import Refusal
from bot.domain.people.audience import parse_audience
from bot.storage.db.database import Database
from bot.storage.db.query import Query, table
from bot.storage.hours import ledger
from bot.storage.people import audience
from bot.storage.people.audience import EvaluatedAudience
from bot.storage.tables.exam import AttemptRow
from bot.storage.tables.hours import YearTotalRow
from bot.storage.tables.people import AbsenceRow, AccountRow, PersonRow, PostRow, TagRow, UnitRow
from bot.storage.tables.study import ReadingRow
from tests.conftest import NOW, enroll
from tests.support.rows import GOOD, put

TODAY = date(2026, 3, 2)
Who = Callable[..., str]


def invited(database: Database, said: str, on: date = TODAY) -> EvaluatedAudience:
    def work(session: Session) -> EvaluatedAudience:
        return audience.evaluate(session, audience.resolve(session, parse_audience(said)), on, NOW)

    return database.read_now(work)


def numbers(database: Database, said: str, on: date = TODAY) -> str:
    """The staff numbers of those invited."""
    found = invited(database, said, on).people
    return " ".join(one[1] for one in database.read_now(lambda session: audience.list_people(session, found)))


def left_out(database: Database, said: str, on: date = TODAY) -> dict[str, str]:
    found = invited(database, said, on).excluded
    names = {one[0]: one[1] for one in database.read_now(lambda session: audience.list_people(session, [who for who, _ in found]))}
    return {names[who]: reason for who, reason in found}


@pytest.fixture
def bureau(dispatcher: Dispatcher) -> Database:
    """Six people in three units: a chief, an administrator, three in the office and its section, one in the centre."""

    def work(session: Session) -> None:
        enroll(session, "1001", unit="某局/办公室", tier="公务员")
        enroll(session, "1002", unit="某局/办公室/文书科", tier="公务员")
        enroll(session, "1003", unit="某局/办公室", tier="领导干部", roles=("admin",))
        enroll(session, "1004", unit="某局/服务中心", tier="事业人员")
        enroll(session, "1005", unit="某局/服务中心", tier="")
        tagged = enroll(session, "1006", unit="某局/办公室", tier="公务员")
        session.add(TagRow(person_id=tagged, tag="新任"))

    dispatcher.database.write_now(work)
    return dispatcher.database


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("全员", "1001 1002 1003 1004 1005 1006"),
        ("单位=某局", "1001 1002 1003 1004 1005 1006"),
        ("单位=某局/办公室", "1001 1002 1003 1006"),
        ("单位=办公室(仅本级)", "1001 1003 1006"),
        ("单位=文书科", "1002"),
        ("层级=公务员", "1001 1002 1006"),
        ("层级=领导干部、事业人员", "1003 1004"),
        ("角色=管理员", "1003"),
        ("角色=学员", "1001 1002 1003 1004 1005 1006"),
        ("标签=新任", "1006"),
        ("标签=没有人有", ""),
        ("工号=1005、1001", "1001 1005"),
        ("单位=办公室 且 层级=公务员 且 非 标签=新任", "1001 1002"),
        ("标签=新任 或 单位=服务中心", "1004 1005 1006"),
        ("非(单位=办公室)", "1004 1005"),
        ("学时低于=100%", "1001 1002 1003 1004 1006"),
    ],
)
def test_an_audience_is_the_people_it_names(bureau: Database, said: str, expected: str) -> None:
    assert numbers(bureau, said) == expected
    assert left_out(bureau, said) == {}


def test_who_has_not_sat_or_not_passed_an_exam_is_told_by_its_number_and_by_its_name(bureau: Database) -> None:
    def sit(session: Session) -> None:
        put(session.connection(), "exam", GOOD["exam"])
        for staff_no, passed in (("1001", 1), ("1002", 0), ("1003", None)):
            who = audience.find_person_id(session, staff_no)
            put(session.connection(), "sitting", {**GOOD["sitting"], "id": who, "person_id": who, "kind": "exam", "scope": "900"})
            put(session.connection(), "attempt", {**GOOD["attempt"], "sitting_id": who, "person_id": who, "passed": passed})

    bureau.write_now(sit)
    for name in ("900", "年度学法考试"):
        assert numbers(bureau, f"未考={name}") == "1004 1005 1006"
        assert numbers(bureau, f"未合格={name}") == "1002 1003 1004 1005 1006"
        assert numbers(bureau, f"未合格={name} 且 非 未考={name}") == "1002 1003"
    with pytest.raises(Refusal, match="没有「901」这场考试"):
        numbers(bureau, "未考=901")


@pytest.mark.parametrize("said", ["未考=900", "未合格=900", "学时低于=100%", "单位=某局/服务中心", "非 标签=新任", "工号=1001、1005"])
def test_an_audience_is_the_same_within_a_statement_over_the_same_tables(bureau: Database, said: str) -> None:
    """A report looks at the attempts of an audience that itself asks who has none."""
    attempts, years, posts = table(AttemptRow), table(YearTotalRow), table(PostRow)
    audience_said = parse_audience(said)

    def within(session: Session) -> list[int]:
        selection, values = audience.selection(session, audience_said, TODAY, NOW)
        selected = selection.cte("selected")
        around = (
            selected.outerjoin(attempts, attempts.c.person_id == selected.c.id)
            .outerjoin(years, years.c.person_id == selected.c.id)
            .outerjoin(posts, posts.c.person_id == selected.c.id)
        )
        query = Query(select(selected.c.id).select_from(around).where(selected.c.reason == "").order_by(selected.c.id), gives=int)
        return query.all(session, **values)

    alone = bureau.read_now(lambda session: audience.evaluate(session, audience_said, TODAY, NOW))
    assert bureau.read_now(within) == alone.people != []


@pytest.mark.parametrize(("staff_no", "belongs"), [("1001", True), ("1004", False)])
def test_somebody_belongs_to_an_audience_on_leave_or_not(bureau: Database, staff_no: str, belongs: bool) -> None:
    def work(session: Session) -> bool:
        who = audience.find_person_id(session, staff_no)
        assert who is not None
        session.add(AbsenceRow(person_id=who, kind="leave", since=TODAY, recorded_by="t", recorded_at=NOW))
        session.flush()
        return audience.includes(session, parse_audience("单位=某局/办公室 且 非 标签=借调"), who, TODAY, NOW)

    assert bureau.write_now(work) is belongs


def test_hours_below_a_share_of_the_quota_are_counted_as_reports_count_them(bureau: Database) -> None:
    """A civil servant owes 40 hours: half is 20, and a quarter of an hour short is short."""

    def earn(session: Session, staff_no: str, seconds: int, category: str) -> None:
        who = audience.evaluate(session, parse_audience(f"工号={staff_no}"), TODAY, NOW).people[0]
        ledger.add(session, who, category, seconds, TODAY, ("lesson", f"{staff_no}{category}"), ("D2", 1), NOW)

    def work(session: Session) -> None:
        earn(session, "1001", 20 * 2700, "online")
        earn(session, "1002", 20 * 2700 - 1, "online")
        earn(session, "1006", 10 * 2700 - 1, "online")
        earn(session, "1006", 10 * 2700 + 1, "exam")

    bureau.write_now(work)

    assert numbers(bureau, "层级=公务员 且 学时低于=50%") == "1002 1006"
    assert numbers(bureau, "层级=公务员 且 学时低于=49%") == ""
    assert numbers(bureau, "层级=公务员 且 学时低于=50%", date(2027, 1, 4)) == "1001 1002 1006"


def test_a_lesson_not_finished_this_year_counts_as_not_finished(bureau: Database) -> None:
    def work(session: Session) -> None:
        ids = {one[1]: one[0] for one in audience.list_people(session, audience.evaluate(session, parse_audience("全员"), TODAY, NOW).people)}
        done = datetime(2026, 2, 1, tzinfo=UTC)
        before = datetime(2025, 12, 31, 15, 59, tzinfo=UTC)
        for staff_no, state, opened, closed in (("1001", "done", done, done), ("1002", "done", before, before), ("1006", "open", done, None)):
            session.add(ReadingRow(person_id=ids[staff_no], lesson="mfd-1191", digest="d", page=3, state=state, opened_at=opened, closed_at=closed))

    bureau.write_now(work)

    assert numbers(bureau, "层级=公务员 且 未学=mfd-1191") == "1002 1006"


def test_those_who_are_away_are_named_with_the_reason(bureau: Database) -> None:
    def work(session: Session) -> None:
        ids = {one[1]: one[0] for one in audience.list_people(session, audience.evaluate(session, parse_audience("全员"), TODAY, NOW).people)}
        for staff_no, kind, since, until in (
            ("1001", "leave", date(2026, 3, 2), date(2026, 3, 2)),
            ("1002", "secondment", date(2026, 1, 1), None),
            ("1003", "leave", date(2026, 3, 3), date(2026, 3, 10)),
        ):
            session.add(AbsenceRow(person_id=ids[staff_no], kind=kind, since=since, until=until, recorded_by="9001", recorded_at=NOW))
        left = session.get(PersonRow.model, ids["1004"])
        joins = session.get(PersonRow.model, ids["1005"])
        assert left is not None
        assert joins is not None
        left.left_on, joins.joined_on = date(2026, 3, 1), date(2026, 3, 3)
        gone = session.get(AccountRow.model, ids["1006"])
        assert gone is not None
        session.delete(gone)

    bureau.write_now(work)

    assert numbers(bureau, "全员") == "1003"
    assert left_out(bureau, "全员") == {"1001": "请假", "1002": "借调", "1004": "已离职", "1005": "未入职", "1006": "没有可用渠道"}
    assert left_out(bureau, "单位=服务中心") == {"1004": "已离职", "1005": "未入职"}
    assert numbers(bureau, "全员", date(2026, 3, 3)) == "1001 1005"
    assert left_out(bureau, "单位=服务中心", date(2026, 6, 1)) == {}


def test_a_post_counts_from_its_first_day_to_its_last(bureau: Database) -> None:
    def work(session: Session) -> None:
        person = audience.evaluate(session, parse_audience("工号=1004"), TODAY, NOW).people[0]
        unit = session.get(UnitRow.model, 2)
        assert unit is not None
        assert unit.path == "某局/办公室"
        session.add(PostRow(person_id=person, unit_id=2, since=date(2026, 3, 5), until=date(2026, 3, 6)))

    bureau.write_now(work)

    assert [("1004" in numbers(bureau, "单位=办公室", date(2026, 3, day))) for day in (4, 5, 6, 7)] == [False, True, True, False]


@pytest.mark.parametrize(("said", "sentence"), [("单位=没有的处", "没有「没有的处」这个单位"), ("工号=1001、9999", "没有工号 9999")])
def test_names_that_nobody_has_are_refused(bureau: Database, said: str, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        numbers(bureau, said)


def test_a_unit_name_that_two_units_share_asks_for_the_path(bureau: Database) -> None:
    bureau.write_now(lambda session: enroll(session, "1007", unit="某局/服务中心/文书科"))

    with pytest.raises(Refusal, match="有 2 个，请写全路径：某局/办公室/文书科、某局/服务中心/文书科"):
        numbers(bureau, "单位=文书科")


@pytest.mark.parametrize("hostile", ["标签=x'OR'1'='1", "标签=「x' OR 1=1 --」", "工号='||staff_no||'", "未学=「' OR ''='」 且 标签=甲"])
def test_what_people_write_is_a_value_and_never_a_statement(bureau: Database, hostile: str) -> None:
    found = bureau.read_now(lambda session: audience.evaluate(session, parse_audience(hostile), TODAY, NOW))

    assert found == EvaluatedAudience([], [])


def test_five_thousand_people_are_sorted_out_in_one_go(database: Database) -> None:
    def fill(session: Session) -> None:
        first = enroll(session, "0", unit="某局/处0")
        ids = range(first + 1, first + 5001)
        session.execute(insert(table(UnitRow)), [{"id": 10 + n, "parent_id": 1, "name": f"处{n + 1}", "path": f"某局/处{n + 1}"} for n in range(50)])
        session.execute(
            insert(table(PersonRow)),
            [{"id": one, "staff_no": f"{one:06}", "name": f"员{one}", "tier": "公务员", "recorded_at": NOW} for one in ids],
        )
        session.execute(insert(table(PostRow)), [{"person_id": one, "unit_id": 10 + one % 50, "since": date(2020, 1, 1)} for one in ids])
        session.execute(
            insert(table(AccountRow)), [{"channel": "wecom", "user": f"u{one}", "person_id": one, "bound_at": NOW, "bound_by": "test"} for one in ids]
        )

    database.write_now(fill)
    said = "单位=某局(含下级) 且 层级=公务员 且 非 标签=借调 且 未学=mfd-1191 且 (单位=处1 或 非 单位=处1)"
    found = invited(database, said)

    assert len(found.people) == 5001
    assert database.read_now(lambda session: audience.count_by_channel(session, found.people)) == {"wecom": 5000, "local": 1}
