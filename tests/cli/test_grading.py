"""`exam correct`, `contest correct`, `exam results`, `exam appeals` at the command line: dry runs that write nothing, two names, conflicts by row."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from sqlalchemy import Engine

from bot.cli.context import context
from bot.cli.main import main
from bot.dispatch import Dispatcher
from bot.services.grading import appeals
from tests.support.corrections import AFTER, WHY, Board
from tests.support.exams import SECOND
from tests.support.shell import Shell


@pytest.fixture
def board(dispatcher: Dispatcher) -> Board:
    return Board(dispatcher)


@pytest.fixture
def shell(board: Board, engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Three hours after the exam began; cli:wang sits at the shell."""
    monkeypatch.setenv("BOT_DATABASE_URL", engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://"))
    monkeypatch.setattr(context, "clock", lambda: AFTER)
    monkeypatch.setattr(context, "user", lambda: "wang")

    def run(*said: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bot", *said])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return Shell(board.hall.dispatcher.database, run)


def test_a_key_is_put_right_after_a_dry_run_with_a_second_name_and_only_once(shell: Shell, board: Board) -> None:
    said = ("exam", "correct", str(board.exam), board.first, f"改 {board.wrong}", "--reason", WHY)
    before = board.everything()

    seen = shell.json(*said)
    assert (seen["applied"], seen["papers"], seen["now_pass"], seen["credited"], seen["keys"]) == (False, 3, 1, 1, [board.wrong])
    assert {"staff_no": "1002", "score": [4.0, 6.0], "passed": [False, True]}.items() <= seen["changes"][1].items()
    assert "以上是预演" in shell(*said)
    assert board.everything() == before
    assert shell.run(*said, "--apply", "--second", "9001")[0] == 2, "nobody's consent can be typed by somebody else"

    proposed = shell.json(*said, "--as", "9001", "--apply")
    assert (proposed["applied"], proposed["state"], proposed["papers"]) == (False, "proposed", 3)
    number = proposed["correction"]
    assert f"请另一位管理员本人在聊天里发「更正 确认 {number}」" in proposed["waits_for"]
    once = board.everything()
    assert shell.json(*said, "--as", "9001", "--apply")["state"] == "proposed"
    assert board.everything() == once, "proposed twice it is one proposal"
    assert board.scores()[1] == (4000, False)

    impact = board.apply(number, SECOND)
    assert impact.is_new
    once = board.everything()
    again = shell.json(*said, "--as", "9001", "--apply")
    assert (again["applied"], again["state"], again["papers"]) == (False, "applied", 0)
    assert board.everything() == once
    assert board.look("SELECT proposed_by, decided_by FROM correction") == [("9001", "9002")]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (("exam", "correct", "{exam}", "{first}", "改 Q", "--reason", "x"), "没有「Q」这个答案"),
        (("exam", "correct", "99", "{first}", "作废", "--reason", "x"), "没有编号为 99 的考试"),
        (("contest", "correct", "99", "{first}", "作废", "--reason", "x"), "没有编号为 99 的竞赛"),
        (("exam", "correct", "{exam}", "{first}", "删除", "--reason", "x"), "没有看懂"),
    ],
)
def test_what_cannot_be_put_right_is_one_sentence_and_a_status(shell: Shell, board: Board, said: tuple[str, ...], answer: str) -> None:
    status, _, err = shell.run(*(one.format(exam=board.exam, first=board.first) for one in said))

    assert (status, answer in err, "Traceback" in err) == (1, True, False)


def sheet(folder: Path, *rows: tuple[Any, ...]) -> str:
    path = folder / "西湖先锋.xlsx"
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet()
        for at, row in enumerate([("姓名", "工号", "部门", "得分"), *rows]):
            page.write_row(at, 0, row)
    return str(path)


def test_results_from_elsewhere_are_matched_listed_and_credited_once(shell: Shell, board: Board, tmp_path: Path) -> None:
    file = sheet(tmp_path, ("学员1001", "1001", "办公室", 88), ("学员1002", "", "办公室", 59), ("谁", "", "办公室", 90))
    said = ("exam", "results", file, "--exam", "西湖先锋 2026", "--on", "2026-02-27")

    status, out, _ = shell.run(*said)
    assert (status, "对上 2 人" in out, "第 4 行 无工号 谁：办公室 没有 谁 这个人" in out) == (1, True, True)
    assert shell.count("outside_result") == 0
    status, out, _ = shell.run(*said, "--apply")
    assert (status, "已写入。" in out) == (3, True), "what was matched is kept, what is in conflict is told"
    assert shell.run("exam", "results", file, "--exam", "西湖先锋 2026", "--apply")[1].count("没有新的成绩") == 1
    assert board.look("SELECT source_id, credit_seconds FROM ledger WHERE source_id LIKE 'outside%'") == [("outside:1", 5400)]
    assert [(one["name"], one["people"], one["passed"]) for one in shell.json("exam", "results")] == [("西湖先锋 2026", 2, 1)]


def test_results_for_an_exam_of_ours_credit_nobody_twice(shell: Shell, board: Board, tmp_path: Path) -> None:
    """甲 passed it here already; 乙, who failed here, passed it there."""
    file = sheet(tmp_path, ("学员1001", "1001", "", 9), ("学员1002", "1002", "", 9))

    plan = shell.json("exam", "results", file, "--exam", str(board.exam), "--apply")

    assert [(one["staff_no"], one["credited"]) for one in plan["matched"]] == [("1001", False), ("1002", True)]
    assert board.look("SELECT COUNT(*), SUM(credit_seconds) FROM ledger") == [(3, 3 * 5400)]


@pytest.mark.parametrize(
    ("more", "status", "answer"),
    [
        ((), 2, "--exam"),
        (("--exam", "新考试"), 1, "--on 2026-11-20"),
        (("--exam", "新考试", "--on", "上周"), 1, "不是日期"),
        (("--exam", "新考试", "--on", "2026-02-27", "--pass", "零"), 1, "--pass"),
        (("--exam", "99"), 1, "没有编号为 99 的考试"),
    ],
)
def test_an_exam_must_be_named_so_that_nobody_guesses_it(shell: Shell, tmp_path: Path, more: tuple[str, ...], status: int, answer: str) -> None:
    found, _, err = shell.run("exam", "results", sheet(tmp_path, ("学员1001", "1001", "", 88)), *more)

    assert (found, answer in err) == (status, True)


def test_appeals_that_wait_are_listed(shell: Shell, board: Board) -> None:
    assert "没有待答复的申诉" in shell("exam", "appeals")
    calendar = board.hall.catalog.library.calendar
    board.hall.run(lambda session: appeals.file_appeal(session, calendar, board.people[1], board.exam, "第 1 题有误", AFTER))

    assert [(one["id"], one["staff_no"], one["said"], one["late"]) for one in shell.json("exam", "appeals")] == [(1, "1002", "第 1 题有误", False)]
