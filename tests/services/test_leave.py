"""Leave files as personnel offices write them: dry run, apply, apply again, and every fault by row and column."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from bot.cli.context import context
from bot.domain.message import Refusal
from bot.services.people import leave
from bot.services.people.leave import LeaveLine
from bot.storage.db.database import Database
from bot.storage.files.table import parse_table
from bot.storage.files.table_reader import BadTableRows, read_table
from bot.storage.people import leave as people_leave
from tests.conftest import NOW, enroll
from tests.support.shell import ReportShell

HEAD = "工号,姓名,类别,开始,结束\n"
GOOD = "二〇二六年请假登记,,,,\n" + HEAD + "1001,甲,请假,2026-03-04,2026/3/6\n1002,乙,借调,2026年3月1日,\n"


@pytest.fixture
def database_of(engine: Engine) -> Database:
    made = Database(engine)
    made.write_now(lambda session: [enroll(session, "1001", "学员甲"), enroll(session, "1002", "学员乙"), enroll(session, "1003", "已走")])
    made.write_now(lambda session: session.execute(text("UPDATE person SET left_on = '2026-01-31' WHERE staff_no = '1003'")))
    return made


def read_leave(database: Database, path: Path) -> tuple[LeaveLine, ...]:
    sheet = read_table(path, leave.LAYOUT)
    return database.read_now(lambda session: leave.lines_of(session, sheet, NOW)[0])


def faults(database: Database, csv: str, path: Path) -> list[tuple[int, str]]:
    path.write_text(csv, encoding="utf-8")
    with pytest.raises(BadTableRows) as bad:
        database.read_now(lambda session: leave.lines_of(session, parse_table(path), NOW))
    return [(one.row, one.column) for one in bad.value.faults]


def test_a_file_is_compared_then_recorded_and_the_second_time_changes_nothing(database_of: Database, tmp_path: Path) -> None:
    path = tmp_path / "leave.csv"
    path.write_text(GOOD, encoding="gbk")
    asked = read_leave(database_of, path)

    plan = database_of.read_now(lambda session: leave.compare(session, asked, NOW))
    assert [str(one) for one in plan.steps] == ["1001 学员甲 请假 2026-03-04 至 2026-03-06", "1002 学员乙 借调 2026-03-01 至 未定"]
    assert database_of.read_now(people_leave.records_by_person) == {}

    for expected in (False, True):
        done = database_of.write_now(lambda session: leave.apply(session, asked, NOW, actor="cli:test", via="cli"))
        assert done.is_empty is expected
    kept = [one for rows in database_of.read_now(people_leave.records_by_person).values() for one in rows]
    assert [(one.kind, str(one.since), str(one.until)) for one in kept] == [
        ("leave", "2026-03-04", "2026-03-06"),
        ("secondment", "2026-03-01", "None"),
    ]
    assert database_of.read_now(lambda session: session.execute(text("SELECT COUNT(*) FROM audit")).scalar_one()) == 2


def test_every_bad_cell_is_named_by_row_and_column(database_of: Database, tmp_path: Path) -> None:
    rows = (
        "1001,甲,请假,2026-03-04,\n"
        "1001,甲,出差,2026-04-04,2026-04-05\n"
        ",甲,请假,2026-05-04,2026-05-05\n"
        "1001,甲,请假,,2026-06-05\n"
        "1001,甲,请假,2026-07-09,2026-07-08\n"
        "1001,甲,请假,2026-13-01,2026-07-08\n"
        "1002,乙,请假,2026-08-01,2026-08-09\n"
        "1002,乙,借调,2026-08-09,\n"
        "7777,丁,出差,2026-03-04,2026-03-04\n"
        "1003,丙,请假,2026-03-04,2026-03-04\n"
    )
    assert faults(database_of, HEAD + rows, tmp_path / "x.csv") == [
        (2, "结束"), (3, "类别"), (4, "工号"), (5, "开始"), (6, "结束"), (7, "开始"), (9, "开始"), (10, "工号"), (10, "类别"), (11, "工号")
    ]  # fmt: skip


def test_strangers_leavers_and_days_already_taken_are_named_and_nothing_is_written(database_of: Database, tmp_path: Path) -> None:
    path = tmp_path / "leave.csv"
    path.write_text(GOOD, encoding="utf-8")
    asked = read_leave(database_of, path)
    database_of.write_now(lambda session: leave.apply(session, asked, NOW, actor="cli:test", via="cli"))
    path.write_text(HEAD + "1001,甲,借调,2026-03-06,\n7777,丁,请假,2026-03-04,2026-03-04\n1003,丙,请假,2026-03-04,2026-03-04\n", encoding="utf-8")
    with pytest.raises(BadTableRows) as bad:
        read_leave(database_of, path)

    assert [(one.row, one.column) for one in bad.value.faults] == [(2, "开始"), (3, "工号"), (4, "工号")]
    assert sum(map(len, database_of.read_now(people_leave.records_by_person).values())) == 2


@pytest.mark.parametrize("csv", ["工号,姓名\n1001,甲\n", "工号,类别,开始\n1001,请假,2026-03-04\n", HEAD])
def test_a_file_without_its_columns_or_rows_is_refused_in_a_sentence(database_of: Database, csv: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv, encoding="utf-8")
    with pytest.raises(Refusal, match="表头"):
        read_leave(database_of, path)


def test_the_command_line_plays_first_and_writes_when_told(
    database_of: Database, engine: Engine, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOT_DATABASE_URL", engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://"))
    monkeypatch.setattr(context, "clock", lambda: NOW)
    shell = ReportShell(None, capsysbinary, monkeypatch)  # type: ignore[arg-type]
    path = tmp_path / "leave.csv"
    path.write_text(GOOD, encoding="utf-8")

    status, out, _ = shell("leave", "import", str(path))
    assert (status, "以上是预演" in out, "新增 2" in out) == (0, True, True)
    assert database_of.read_now(people_leave.records_by_person) == {}

    assert shell.json("leave", "import", str(path), "--apply", "--json")["applied"] is True
    status, out, _ = shell("leave", "import", str(path), "--apply")
    assert (status, "没有变化" in out) == (0, True)

    path.write_text(HEAD + "1001,甲,出差,2026-03-04,2026-03-04\n", encoding="utf-8")
    status, out, _ = shell("leave", "import", str(path), "--json")
    assert (status, json.loads(out)["faults"]) == (1, [{"row": 2, "column": "类别", "reason": "应是 请假或借调（事假、病假、公休等都算请假）"}])
