"""A hostile table file ends a child process, never the service."""

from __future__ import annotations

import io
import subprocess
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from bot.domain.message import Refusal
from bot.storage.files import sandbox
from bot.storage.files.table import parse_table


def book(path: Path) -> Path:
    made = xlsxwriter.Workbook(path)
    page = made.add_worksheet()
    forms = {name: made.add_format({"num_format": name}) for name in ("yyyy-mm-dd", "hh:mm:ss", "[hh]:mm:ss", "yyyy-mm-dd hh:mm")}
    page.write_row(0, 0, ["文字", 1.5, True, 1001])
    page.write_datetime(1, 0, date(2020, 1, 2), forms["yyyy-mm-dd"])
    page.write_datetime(1, 1, time(8, 30), forms["hh:mm:ss"])
    page.write_datetime(1, 2, timedelta(hours=30), forms["[hh]:mm:ss"])
    page.write_datetime(1, 3, datetime.fromisoformat("2020-01-02T03:04"), forms["yyyy-mm-dd hh:mm"])
    made.close()
    return path


def test_the_child_reads_what_the_parser_reads(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx")
    read = sandbox.read_sheet(path)
    assert read == parse_table(path)
    assert {type(cell).__name__ for row in read.rows for cell in row} >= {"str", "float", "bool", "date", "time", "timedelta", "datetime"}


def test_a_refusal_comes_through_word_for_word(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"%PDF-1.7")
    with pytest.raises(Refusal, match="这是PDF，不是表格"):
        sandbox.read_sheet(path)


def test_a_file_that_makes_the_reader_abort_is_refused_and_we_live(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx")
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    strings = members["xl/sharedStrings.xml"]
    members["xl/sharedStrings.xml"] = strings.replace(b'uniqueCount="1"', b'uniqueCount="99999999999"')
    assert members["xl/sharedStrings.xml"] != strings
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    path.write_bytes(out.getvalue())
    with pytest.raises(Refusal, match="用尽了给定的内存和时间"):
        sandbox.read_sheet(path)


def test_a_child_that_does_not_come_back_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "TIMEOUT_SECONDS", 0.001)
    with pytest.raises(Refusal, match="用尽"):
        sandbox.read_sheet(book(tmp_path / "a.xlsx"))


def test_the_child_sees_none_of_our_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    run = subprocess.run

    def spy(*words: Any, **how: Any) -> Any:
        seen.append(how["env"])
        return run(*words, **how)

    monkeypatch.setenv("BOT_WECOM__SECRET", "not-for-children")
    monkeypatch.setattr(subprocess, "run", spy)
    sandbox.read_sheet(book(tmp_path / "a.xlsx"))
    assert "not-for-children" not in str(seen)
