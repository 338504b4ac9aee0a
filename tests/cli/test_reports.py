"""report, export and ledger at the command line: what an operator types, what comes out, with which status."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import text

from bot.storage.reports.registry import REPORTS
from tests.support.shell import ReportShell

ROOT = Path(__file__).parents[2]


def test_without_a_name_the_reports_are_listed(report_shell: ReportShell) -> None:
    listed = [one["name"] for one in report_shell.json("report", "--json")]
    assert listed == list(REPORTS)
    assert {"达标率", "名单", "个人", "预警"} <= set(listed)
    assert "达标率" in report_shell("report")[1]


def test_the_rate_as_json_of_today_and_of_an_earlier_day(report_shell: ReportShell) -> None:
    now, before = report_shell.json("report", "达标率", "--json"), report_shell.json("report", "达标率", "--format", "json", "--as-of", "2026-02-28")

    assert [(row["unit"], row["counted"], row["reached"], row["rate"]) for row in now["rows"]] == [
        ("局", 2, 1, 50.0),
        ("局/一处", 1, 1, 100.0),
        ("局/二处", 1, 0, 0.0),
    ]
    assert [row["reached"] for row in before["rows"]] == [0, 0, 0]
    assert (before["as_of"], before["year"], before["head"]) == ("2026-02-28", 2026, None)


def test_one_unit_and_one_person(report_shell: ReportShell) -> None:
    assert [row["staff_no"] for row in report_shell.json("report", "名单", "--unit", "一处", "--json")["rows"]] == ["1001"]
    assert "张三" in report_shell("report", "个人", "1001")[1]
    assert report_shell("report", "个人")[0] == 1
    assert report_shell("report", "个人", "9999")[0] == 1


def test_csv_and_xlsx_go_to_a_file_that_appears_whole(report_shell: ReportShell, tmp_path: Path) -> None:
    for form in ("csv", "xlsx"):
        target = tmp_path / f"名单.{form}"
        assert report_shell("report", "名单", "--format", form, "--out", str(target))[0] == 0
        assert [path.name for path in tmp_path.iterdir() if path.suffix == f".{form}"] == [target.name]
    assert (tmp_path / "名单.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    rows = CalamineWorkbook.from_path(tmp_path / "名单.xlsx").get_sheet_by_name("人员").to_python()
    assert [row[1] for row in rows[3:5]] == ["张三", "=1+1"]
    status, out, _ = report_shell.bytes("report", "名单", "--format", "xlsx")
    assert (status, CalamineWorkbook.from_filelike(io.BytesIO(out)).sheet_names) == (0, ["人员", "说明"])


@pytest.mark.parametrize("written", ["2026-11-01", "2026/11/01", "2026年11月1日", "11月1日", "２０２６．１１．１"])
def test_a_day_is_taken_as_it_is_written(report_shell: ReportShell, written: str) -> None:
    status, out, err = report_shell("report", "达标率", "--as-of", written)
    assert status == 0, err
    assert "截至 2026-11-01" in out


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("report", "没有"), 1, "没有这张报表"),
        (("report", "达标率", "--format", "docx"), 1, "本版还不能输出 docx"),
        (("report", "达标率", "--format", "png"), 1, "本版还不能输出 png"),
        (("report", "达标率", "--format", "pdf"), 2, "没有 pdf 这种格式"),
        (("report", "达标率", "--as-of", "上周"), 1, "不是日期"),
        (("report", "达标率", "--as-of", "2026-02-30"), 1, "日历上没有 2026 年 2 月 30 日"),
        (("report", "达标率", "--as-of", "2026-11-21"), 1, "还没有到"),
        (("report", "达标率", "--year", "2027"), 1, "还没有数据"),
        (("report", "达标率", "--unit", "没有处"), 1, "没有这个单位"),
        (("report", "达标率", "--out", "/没有/这个/目录"), 1, "写不了"),
        (("export", "秘密"), 2, "没有 秘密 可导出"),
        (("export", "answers", "--since", "下周"), 2, "不是时间"),
        (("export", "answers", "--since", "2026-03-02", "--until", "2026-03-01"), 2, "晚于"),
        (("ledger", "seal", "--algorithm", "md5"), 1, "sha256"),
    ],
)
def test_a_refusal_is_one_sentence_and_a_status(report_shell: ReportShell, words: tuple[str, ...], status: int, says: str) -> None:
    found, out, err = report_shell(*words)

    assert (found, out) == (status, "")
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_an_export_is_a_line_for_each_row_and_nothing_else(report_shell: ReportShell) -> None:
    status, out, err = report_shell("export", "ledger")

    (line,) = [json.loads(line) for line in out.splitlines()]
    assert (status, line["staff_no"], line["credit_seconds"]) == (0, "1001", 108_000)
    assert "共 1 行" in err
    assert report_shell("export", "ledger", "--since", "2026-03-02")[1] == ""
    assert len(report_shell("export", "ledger", "--since", "2026-03-01T12:00:00+08:00")[1].splitlines()) == 1


def test_before_the_first_campaign_there_are_no_deliveries(report_shell: ReportShell) -> None:
    status, out, err = report_shell("export", "deliveries")

    assert (status, out) == (0, "")
    assert "共 0 行" in err


def test_sealing_then_verifying_and_a_tampered_entry_is_named_with_status_one(report_shell: ReportShell) -> None:
    sealed = report_shell.json("ledger", "seal", "--json")
    assert (sealed["sealed"], sealed["head"]["seq"]) == (1, 1)
    verified = report_shell.json("ledger", "verify", "--head", sealed["head"]["hash"], "--json")
    assert (verified["ok"], verified["sealed"], verified["loose"]) == (True, 1, 0)
    assert sealed["head"]["hash"] in report_shell("report", "达标率")[1]

    with report_shell.agency.database.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER ledger_refuses_update"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE ledger SET credit_seconds = 107999 WHERE id = 1"))

    status, out, _ = report_shell("ledger", "verify")
    assert status == 1
    assert "第 1 号（流水 #1）被改动" in out
    assert report_shell("ledger", "verify", "--head", "0" * 64)[0] == 1


def test_every_look_is_in_the_audit(report_shell: ReportShell) -> None:
    report_shell("report", "达标率", "--unit", "一处")
    report_shell("export", "ledger")

    lines = [json.loads(line) for line in report_shell("export", "audit")[1].splitlines()]
    assert [(line["via"], line["action"]) for line in lines] == [("cli", "报表 达标率"), ("cli", "导出 ledger"), ("cli", "导出 audit")]
    assert lines[0]["target"].startswith("一处")
