"""A supervisor sees the own units; what lies outside is answered as if it were not there."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from bot.domain.message import Refusal
from bot.domain.reports import Scope
from bot.storage.reports.scope import scope_of
from bot.storage.tables.people import RoleRow
from tests.support.agency import TODAY, Agency, by_unit


@pytest.fixture
def agency(engine: Engine) -> Agency:
    return Agency(engine)


def supervisor(agency: Agency, staff_no: str, posts: list[str], unit: str | None = None) -> Scope:
    person = agency.person(staff_no, posts)
    unit_id = agency.unit(unit) if unit else None
    agency.database.write_now(lambda session: session.add(RoleRow(person_id=person, role="supervisor", unit_id=unit_id)))
    return agency.database.read_now(lambda session: scope_of(session, person, TODAY))


def refusal(agency: Agency, name: str, about: str, scope: Scope) -> str:
    with pytest.raises(Refusal) as refused:
        agency.look(name, about, scope=scope)
    return str(refused.value)


def test_a_supervisor_sees_the_subtree_of_the_role_or_of_the_own_posts(agency: Agency) -> None:
    agency.unit("局/二处/甲科")
    own = supervisor(agency, "1", ["局/一处"])
    given = supervisor(agency, "2", ["局/一处"], "局/二处")

    assert list(by_unit(agency.look("达标率", scope=own))) == ["局/一处"]
    assert list(by_unit(agency.look("达标率", scope=given))) == ["局/二处", "局/二处/甲科"]


def test_two_units_of_one_supervisor_come_with_a_sum_that_counts_people_once(agency: Agency) -> None:
    agency.person("5", ["局/一处", "局/三处"])
    both = supervisor(agency, "1", ["局/一处", "局/三处"])

    found = by_unit(agency.look("达标率", scope=both))

    assert {unit: row["counted"] for unit, row in found.items()} == {"合计": 2, "局/一处": 2, "局/三处": 2}


def test_another_unit_is_answered_like_one_that_does_not_exist(agency: Agency) -> None:
    agency.person("7", ["局/二处"])
    own = supervisor(agency, "1", ["局/一处"])

    for name in ("达标率", "名单"):
        assert len({refusal(agency, name, about, own) for about in ("局/二处", "二处", "局", "没有的处", "%", "局/一处/..")}) == 1
    assert refusal(agency, "个人", "7", own) == refusal(agency, "个人", "不存在", own)


def test_somebody_without_the_role_sees_nothing(agency: Agency) -> None:
    person = agency.person("1")
    none = agency.database.read_now(lambda session: scope_of(session, person, TODAY))

    assert none == Scope(())
    assert agency.look("达标率", scope=none).parts[0].rows == []
    assert agency.look("名单", scope=none).parts[0].rows == []
    assert refusal(agency, "个人", "1", none)


def test_a_name_that_two_units_share_is_asked_back_and_only_within_the_scope(agency: Agency) -> None:
    for path in ("局/一处/综合科", "局/二处/综合科"):
        agency.unit(path)
    own = supervisor(agency, "1", ["局/一处"])

    assert "2 个" in refusal(agency, "达标率", "综合科", Scope())
    assert list(by_unit(agency.look("达标率", "综合科", scope=own))) == ["局/一处/综合科"]


def test_a_leaver_is_seen_by_the_last_unit_and_by_no_other(agency: Agency) -> None:
    agency.person("7", [("局/一处", "2020-01-01", "2026-03-01"), ("局/二处", "2026-03-02", "2026-06-30")], left_on="2026-06-30")
    first, second = supervisor(agency, "1", ["局/一处"]), supervisor(agency, "2", ["局/二处"])

    assert agency.look("个人", "7", scope=second).parts
    assert refusal(agency, "个人", "7", first) == refusal(agency, "个人", "8", first)
