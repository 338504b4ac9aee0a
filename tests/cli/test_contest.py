"""`contest …` at the command line: rehearsed, applied, applied again; files with faults named; the board, the results, the teams."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.cli.context import context
from bot.cli.main import main
from bot.domain.contest.contest import ContestRules, rules_from_json
from bot.domain.contest.live_rules import SCHEME_PARAMETERS
from bot.domain.library.library import Library
from bot.domain.message import Address, Incoming, Refusal
from bot.domain.people.person import Learner, RoleName
from bot.services.contest import play
from bot.services.library.catalog import Catalog, load_catalog
from bot.services.study import quiz
from bot.storage.db.database import Database
from bot.storage.files.exam_files import read_contest
from bot.storage.files.models import ContestFile
from bot.storage.files.policies import load_policy
from tests.conftest import NOW, ROOT, enroll

WINDOW = """
name: 七一知识竞赛
opens: 2026-03-02 08:30
closes: 2026-03-09 18:00
of: [监察法]
to: 单位=某局
clause: 七一专题学习
rules: {size: 5, board: upper, teams: unit, best: 2}
"""


class Shell:
    """`python -m bot …` in this process, over people who can play."""

    def __init__(self, database: Database, catalog: Catalog, folder: Path, run: Callable[..., tuple[int, str, str]]) -> None:
        self.database, self.catalog, self.folder, self.run = database, catalog, folder, run

    def __call__(self, *said: str) -> str:
        status, out, err = self.run("contest", *said)
        assert status == 0, err
        return out

    def refused(self, *said: str) -> str:
        status, _, err = self.run("contest", *said)
        assert status == 1
        return err

    def json(self, *said: str) -> Any:
        return json.loads(self(*said, "--json"))

    def file(self, said: str = WINDOW) -> str:
        path = self.folder / "竞赛.yaml"
        path.write_text(said, encoding="utf-8")
        return str(path)

    def count(self, table: str) -> int:
        return int(self.database.read_now(lambda session: session.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one()))

    def drafted(self, said: str = WINDOW) -> str:
        return str(self.json("new", self.file(said), "--apply")["id"])

    def play(self, number: str, staff_no: str, right: int) -> None:
        """A whole set by somebody, of which the first so many are right."""

        def work(session: Session) -> None:
            person_id = session.execute(text("SELECT id FROM person WHERE staff_no = :no"), {"no": staff_no}).scalar_one()
            me = Learner(person_id, staff_no, "", "", frozenset({RoleName.LEARNER}))
            put: quiz.AskedQuestion | None = play.begin_set(session, self.catalog, me, int(number), NOW, random.Random(1))
            n = 0
            while put is not None:
                wrong = next(said for said, _ in put.question.choices if said not in put.question.key)
                incoming = Incoming(Address("local", "t", staff_no), "", f"{staff_no}-{n}", NOW + timedelta(seconds=n))
                outcome = quiz.answer(session, self.catalog, me.id, put, put.question.key if n < right else wrong, incoming, NOW)
                put, n = outcome.next_question, n + 1
            play.end_set(session, self.catalog, outcome.sitting, NOW)

        self.database.write_now(work)


@pytest.fixture
def shell(engine: Engine, shipped: Library, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    monkeypatch.setenv("BOT_DATABASE_URL", engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://"))
    monkeypatch.setattr(context, "clock", lambda: NOW)
    monkeypatch.setattr(context, "sleep", lambda seconds: None)
    database = Database(engine)
    policy, _ = load_policy(ROOT)
    assert policy is not None

    def work(session: Session) -> Catalog:
        made = load_catalog(session, shipped, policy, NOW)
        for staff_no, unit in (("1001", "某局/办公室"), ("1002", "某局/办公室"), ("1003", "某局/财务处")):
            enroll(session, staff_no, f"学员{staff_no}", unit=unit)
        return made

    catalog = database.write_now(work)

    def run(*said: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bot", *said])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return Shell(database, catalog, tmp_path, run)


def test_a_contest_is_rehearsed_drafted_opened_played_and_closed(shell: Shell) -> None:
    rehearsed = shell("new", shell.file())
    assert "今天 3 人" in rehearsed
    assert "什么都没有写" in rehearsed
    assert shell.count("contest") == 0
    number = shell.drafted()
    assert shell.json("open", number)["teams"] == 2
    assert (shell.count("team"), shell.count("campaign")) == (0, 0), "a rehearsal leaves nothing"
    assert shell.json("open", number, "--apply") == {"id": int(number), "applied": True, "teams": 2, "invited": True}
    assert (shell.count("team"), shell.count("campaign")) == (2, 2)
    for staff_no, right in (("1001", 5), ("1002", 3), ("1003", 4)):
        shell.play(number, staff_no, right)
    assert shell.json("close", number)["applied"] is False
    assert shell.json("show", number)["state"] == "open"
    closed = shell.json("close", number, "--apply")
    assert [(one["place"], one["name"], one["points"]) for one in closed["places"]] == [
        (1, "学员1001", 10.0), (2, "学员1003", 9.6), (3, "学员1002", 9.2),
    ]  # fmt: skip
    assert [(one["team"], one["score"]) for one in closed["teams"]] == [("某局/办公室", 9.6), ("某局/财务处", 9.6)]
    assert "没有可以结束的" in shell.refused("close", number, "--apply")
    rows = [json.loads(line) for line in shell("export", number).splitlines()]
    assert [(row["staff_no"], row["team"], row["place"]) for row in rows] == [
        ("1001", "某局/办公室", 1), ("1003", "某局/财务处", 2), ("1002", "某局/办公室", 3),
    ]  # fmt: skip
    assert shell.json("recount", number, "--apply")["moved"] == []
    assert "最高 2 人的平均分" in shell("board", number)
    assert "已结束" in shell("list")


def test_a_draft_is_changed_into_its_next_version_and_an_open_contest_is_not(shell: Shell) -> None:
    number = shell.drafted()
    assert shell.json("edit", number, shell.file(WINDOW.replace("size: 5", "size: 8")))["applied"] is False
    assert shell.json("show", number)["version"] == 1
    changed = shell.json("edit", number, shell.file(WINDOW.replace("size: 5", "size: 8")), "--apply")
    assert (changed["version"], changed["rules"]["size"]) == (2, 8)
    shell("open", number, "--no-invite", "--apply")
    assert "规则不能再改" in shell.refused("edit", number, shell.file(), "--apply")


def test_cancelling_needs_a_reason_and_takes_hours_back(shell: Shell) -> None:
    number = shell.drafted()
    shell("open", number, "--no-invite", "--apply")
    shell.play(number, "1001", 5)
    assert shell.json("cancel", number, "--reason", "题目外泄")["reversed"] == 1
    assert shell.count("ledger") == 1
    assert shell.json("cancel", number, "--reason", "题目外泄", "--apply")["reversed"] == 1
    assert shell.count("ledger") == 2
    assert "已取消" in shell.refused("open", number, "--apply")


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("name: x\nopens: 2026-03-02\n", "opens（开始） 应为时间，写作 2026-07-01 09:00"),
        ("name: x\nprize: 100\n", "不认识 “prize”"),
        ("opens: 2026-03-02 09:00\n", "缺少 name（名称）"),
        ("name: x\nrules: {speed: 80}\n", "速度权重"),
        ("name: x\nrules: {fame: 1}\n", "没有「fame」"),
        ("name: x\nform: lottery\n", "form（形式） 的写法不对"),
        ("name: x\nto: 单位\n", "对象"),
        ("name: [x\n", "竞赛.yaml:"),
        ("name: x\nform: live\nquestions: [nothing-01]\nof: [监察法]\n", "题目 nothing-01 不在题库里"),
    ],
)
def test_a_file_with_a_fault_is_refused_by_place_and_reason(shell: Shell, said: str, wrong: str) -> None:
    assert wrong in shell.refused("new", shell.file(said), "--apply")
    assert shell.count("contest") == 0


def test_a_live_contest_has_the_same_questions_for_all(shell: Shell) -> None:
    number = shell.drafted("name: 现场赛\nform: live\nof: [监察法]\nrules: {size: 6}\n")
    assert shell.count("contest_item") == 6
    assert shell.json("show", number)["rules"]["base"] == 1000, "a point a question where nothing else is said"


def teams_file(folder: Path, *rows: tuple[object, object]) -> str:
    path = folder / "队员.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate([("队名", "工号"), *rows]):
            for column, cell in enumerate(row):
                sheet.write(at, column, cell)
    return str(path)


LISTED = "name: 团体赛\nopens: 2026-03-02 09:00\ncloses: 2026-03-09 18:00\nof: [监察法]\nrules: {teams: listed}\n"


def test_teams_come_from_a_table_and_importing_it_again_changes_nothing(shell: Shell) -> None:
    number = shell.drafted(LISTED)
    assert "请先导入队员名单" in shell.refused("open", number, "--apply")
    path = teams_file(shell.folder, ("红队", 1001), ("红队", "1002"), ("蓝队", 1003))
    assert shell.json("teams", number, path)["members"] == 3
    assert shell.count("team_member") == 0
    for _ in range(2):
        assert shell.json("teams", number, path, "--apply") == {"applied": True, "teams": 2, "people": 3, "members": 3}
    assert (shell.count("team"), shell.count("team_member")) == (2, 3)
    shell("open", number, "--apply")


def test_a_faulty_row_of_a_team_list_is_named_and_nothing_is_written(shell: Shell) -> None:
    number = shell.drafted(LISTED)
    path = teams_file(shell.folder, ("红队", 1001), ("", 1002), ("蓝队", 1001), ("蓝队", ""))
    said = shell.refused("teams", number, path, "--apply")
    for part in ("第 3 行「队名」", "第 4 行「工号」：与第 2 行是同一个人", "第 5 行「工号」：没有填"):
        assert part in said
    assert "花名册里没有 7777" in shell.refused("teams", number, teams_file(shell.folder, ("红队", 7777)), "--apply")
    assert shell.count("team_member") == 0
    assert "没有找到表头" in shell.refused("teams", number, str(teams_file_without_head(shell.folder)), "--apply")


def teams_file_without_head(folder: Path) -> Path:
    path = folder / "无表头.csv"
    path.write_text("红队,1001\n", encoding="utf-8")
    return path


def test_the_page_about_contest_files_names_every_key_and_its_examples_are_files(tmp_path: Path) -> None:
    page = (ROOT / "deploy/docs/contest-files.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([^`\s]+)`", "\n".join(line.rpartition("|")[0] for line in page.splitlines() if line.startswith("| `"))))
    for keys in (ContestFile.model_fields, [field.name for field in fields(ContestRules)], SCHEME_PARAMETERS):
        assert set(keys) <= named, set(keys) - named
    for rule, default, bounds in re.findall(r"^\| `(\w+)` \| (\w+) \| ([\d–、\w]+) \|", page, re.MULTILINE):
        assert str(getattr(ContestRules(), rule)) == default
        if "–" in bounds and "、" not in bounds:
            low, high = map(int, bounds.split("–"))
            for value, stands in ((low - 1, False), (high + 1, False), (high, True)):
                assert stands is not ("应是" in _complaint(rule, value)), (rule, value)
    examples = re.findall(r"```yaml\n(.+?)```", page, re.DOTALL)
    assert [read_contest(_written(tmp_path, example))[0].form for example in examples] == ["windowed", "live", "onsite"]


def _complaint(rule: str, value: int) -> str:
    try:
        rules_from_json({rule: value})
    except Refusal as refusal:
        return str(refusal)
    return ""


def _written(folder: Path, said: str) -> Path:
    path = folder / "竞赛.yaml"
    path.write_text(said, encoding="utf-8")
    return path
