"""`exam …` at the command line: dry runs that write nothing, a blueprint from a file, two names for extra time, results for scripts."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bot.cli.context import context
from bot.dispatch import Dispatcher
from bot.domain.message import Refusal
from bot.services.exam import attempt
from bot.services.library import catalog
from bot.storage.files.exam_files import read_exam
from bot.storage.files.loader import load_library
from tests.conftest import NOW, ROOT, enroll
from tests.support.exams import ExamHarness
from tests.support.shell import Shell

FILE = """
name: 年度学法考试
opens: 2026-03-02 09:00
closes: 2026-03-02 11:00
to: 单位=某局(含下级)
gate: 无
late: 30
results: 立即
grace: 3
clause: 年度要点第三条
blueprint:
  minutes: 30
  pass: 60%
  cases: '>=30%'
  points: {single: 2, judge: 1}
  rows:
    - {kind: single, law: 民法典, count: 4, levels: {1: 1, 2: 2, 3: 1}}
    - {kind: judge, count: 2}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "exam.yaml"
    path.write_text(FILE, "utf-8")
    return path


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the clock of the command line, and who sits at it."""

    def set_(moment: datetime, who: str = "wang") -> None:
        monkeypatch.setattr(context, "clock", lambda: moment)
        monkeypatch.setattr(context, "user", lambda: who)

    set_(NOW)
    return set_


def test_an_exam_is_made_from_a_file_published_and_ended(shell: Shell, file: Path, at: Callable[..., None]) -> None:
    seen = shell.json("exam", "new", str(file))
    assert (seen["id"], seen["applied"], seen["people"], seen["items"], seen["total"], seen["pass_line"]) == (None, False, 2, 6, 10.0, 6.0)
    assert shell.count("exam") == 0
    made = shell.json("exam", "new", str(file), "--apply")
    n = str(made["id"])
    assert made["blueprint"] == "民法典 单选 4×2 难度1:1/2:2/3:1、判断 2×1；案例≥2 题；30 分钟；及格 6 分；近 2 份卷不重复"
    assert (made["late_minutes"], made["grace_seconds"], made["results"]) == (30, 3, "at_once")
    assert shell.json("exam", "publish", n)["state"] == "published"
    assert "已发布" not in shell("exam", "publish", n), "a rehearsal does not say that it is done"
    assert [one["state"] for one in shell.json("exam", "list")] == ["draft"], "a rehearsal leaves nothing"
    assert shell.count("campaign") == 0
    shell("exam", "publish", n, "--apply")
    assert (shell.count("campaign"), shell.json("exam", "progress", n)["invited"]) == (1, 2)
    at(NOW + timedelta(minutes=10))
    rehearsal = shell("exam", "close", n, "--reason", "断电")
    assert f"结束考试 {n}《年度学法考试》：代交 0 份。" in rehearsal
    assert "什么都没有写" in rehearsal
    assert f"取消考试 {n}《年度学法考试》：0 人正在考。" in shell("exam", "cancel", n, "--reason", "断电")
    assert shell.json("exam", "close", n, "--reason", "断电", "--apply")["handed_in"] == 0
    other = shell.json("exam", "new", str(file), "--apply")["id"]
    assert other != int(n), "a draft is only the same as another draft"
    again = shell.json("exam", "new", str(file), "--apply")
    assert (again["id"], again["applied"], shell.count("exam")) == (other, False, 2)
    status, _, err = shell.run("exam", "release", n, "--apply")
    assert (status, "按规则交卷后立即出分" in err) == (1, True), "what everybody sees is not released once more"
    drafted = shell.json("exam", "makeup", n, "--opens", "3月10日 9:00", "--closes", "2026年3月10日 11点", "--cap", "７分")
    assert (drafted["id"], drafted["makeup_of"], drafted["cap"], drafted["people"]) == (None, int(n), 7.0, 2)
    acts = shell.database.read_now(
        lambda session: session.execute(text("SELECT action FROM audit WHERE actor = 'cli:wang' ORDER BY id")).scalars().all()
    )
    assert acts == ["新建考试", "新建活动", "发布考试", "停止活动", "结束考试", "新建考试"]


def test_extra_time_at_the_shell_takes_two_people_and_results_are_exported(shell: Shell, file: Path, at: Callable[..., None]) -> None:
    n = shell.json("exam", "new", str(file), "--apply")["id"]
    shell("exam", "publish", str(n), "--apply")
    shell.database.write_now(lambda session: enroll(session, "9001", roles=("admin",)))

    def begin(session: Any) -> int:
        stocked = catalog.read_catalog(session, load_library(ROOT)[0])
        return attempt.begin(session, stocked, 1, n, NOW, random.Random(1)).status.sitting_id

    sitting_id = shell.database.write_now(begin)
    asked = shell.json("exam", "extend", str(n), "1001", "１０分钟", "--reason", "断网")
    assert (asked["id"], asked["applied"], shell.count("extension")) == (None, False, 0)
    asked = shell.json("exam", "extend", str(n), "1001", "10", "--reason", "断网", "--apply")
    assert (asked["asked_by"], asked["approved_by"]) == ("cli:wang", None)
    at(NOW + timedelta(minutes=1), "li")
    for who in ((), ("--as", "9001")):
        status, _, err = shell.run("exam", "approve", str(asked["id"]), *who, "--apply")
        assert (status, "批准要由本人说，命令行不能代" in err) == (1, True)
    assert shell.database.read_now(lambda session: session.execute(text("SELECT approved_by FROM extension")).scalars().all()) == [None]
    at(NOW + timedelta(minutes=2))
    shell("exam", "close", str(n), "--reason", "结束", "--apply")
    (line,) = shell("exam", "export", str(n)).splitlines()
    row = json.loads(line)
    assert (row["staff_no"], row["session"], row["closed_by"], row["score"], row["passed"], row["answered"]) == (
        "1001",
        sitting_id,
        "staff",
        0,
        False,
        0,
    )
    assert 0 < row["difficulty"] < 1
    status, _, err = shell.run("exam", "extend", str(n), "1001", "10", "--reopen", "--reason", "误交")
    assert (status, "答案可以查看了，不能再重开" in err) == (1, True)
    assert shell.run("exam", "show", "99")[0] == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (FILE.replace("law: 民法典, count: 4", "law: 民法典, count: 71").replace(", levels: {1: 1, 2: 2, 3: 1}", ""), "民法典 单选题 还差 3 道"),
        (FILE.replace("单位=某局(含下级)", "单位=没有"), "没有「没有」这个单位"),
        (FILE.replace("gate: 无", "gate: 课 zz-01"), "没有课程 zz-01"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(shell: Shell, file: Path, at: Callable[..., None], written: str, said: str) -> None:
    file.write_text(written, "utf-8")
    status, _, err = shell.run("exam", "new", str(file), "--apply")
    assert (status, said in err) == (1, True), err
    assert shell.count("exam") == 0


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "exam.yaml:1: 文件是空的"),
        ("- a", "文件应写成"),
        (FILE.replace("late: 30", "colour: 30"), "没有 colour 这一项"),
        (FILE.replace("name: 年度学法考试", ""), "缺少 name"),
        (FILE.replace("2026-03-02 09:00", "tomorrow"), "没有看懂时间「tomorrow」"),
        (FILE.replace("late: 30", "late: often"), "late 应是数字"),
        (FILE.replace("results: 立即", "results: 马上"), "出分只能写"),
        (FILE.replace("kind: judge", "kind: essay"), "每一行都要有 kind"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(file: Path, written: str, said: str) -> None:
    file.write_text(written, "utf-8")
    with pytest.raises(Refusal) as refused:
        read_exam(file)
    assert said in str(refused.value)


def test_a_file_may_say_its_blueprint_in_a_line_and_its_keys_in_chinese(file: Path) -> None:
    file.write_text("名称: 小测\n开放: 2026-03-02 09:00\n截止: 2026-03-02 10:00\n蓝图: 判断 10×1；15 分钟；及格 6 分\n", "utf-8")
    wanted = read_exam(file)
    assert (wanted.name, wanted.blueprint.size, wanted.blueprint.minutes, wanted.results) == ("小测", 10, 15, "after_close")


def test_a_file_that_cannot_be_read_is_refused_in_chinese(shell: Shell, tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.yaml", "没有这个文件或目录"), (tmp_path, "这是目录，不是文件")):
        status, _, err = shell.run("exam", "new", str(path))
        assert (status, f"读不了这个文件：{why}" in err) == (1, True)


def test_the_sample_of_the_readme_is_an_exam_that_can_be_sat(dispatcher: Dispatcher, tmp_path: Path) -> None:
    samples = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    file = tmp_path / "年度考试.yaml"
    file.write_text(next(sample for sample in samples if "blueprint:" in sample), "utf-8")
    exam = ExamHarness(dispatcher).exam(ExamHarness(dispatcher).draft_wanted(read_exam(file)))
    assert exam.last_entry == exam.closes_at > exam.opens_at + timedelta(minutes=exam.minutes)
