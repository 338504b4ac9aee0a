"""migrate, check and chat, as an operator types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rich.text import Text

from bot.cli.chat import render_reply, resolve_choice
from bot.domain.message import Option, QuestionCard, Reply
from tests.support.service import ROOT, bot, environment

ONE = Reply(
    "读题",
    QuestionCard("s:1:1", "第1/5题", "选[bold]?", (Option("A", "A. 甲"), Option("B", "B. 乙"))),
    (Option("跳过", "跳过"), Option("退出", "先退出")),
)
SEVERAL = Reply("", QuestionCard("s:1:2", "", "多选", (Option("A", "A. 甲"), Option("B", "B. 乙"), Option("C", "C. 丙")), several=True))


async def test_a_schema_goes_up_and_down_and_says_from_where_to_where(tmp_path: Path) -> None:
    env = environment(tmp_path / "bot.db")
    status, out, _ = await bot("migrate", env=env)
    assert (status, out.startswith("数据库结构：空 → ")) == (0, True)
    status, out, _ = await bot("migrate", "--json", env=env)
    told = json.loads(out)
    assert (status, told["before"] == told["after"] != "") == (0, True)
    status, out, _ = await bot("migrate", "--to", "base", "--json", env=env)
    assert (status, json.loads(out)["after"]) == (0, None)
    status, _, err = await bot("migrate", "--to", "9999", env=env)
    assert (status, "没有「9999」这个版本" in err, "Traceback" in err) == (1, True, False)


async def test_what_is_shipped_has_no_fault(tmp_path: Path) -> None:
    status, out, err = await bot("check", "--json", env=environment(tmp_path / "bot.db"))
    assert (status, json.loads(out)) == (0, []), err


async def test_every_fault_is_named_with_file_and_line(tmp_path: Path) -> None:
    # The program reads the content that stands beside it: a tree of its own, with the same program in it.
    shutil.copytree(ROOT / "bot", tmp_path / "tree" / "bot", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "content", tmp_path / "tree" / "content")
    (tmp_path / "tree" / "quiz_banks").mkdir()
    (tmp_path / "tree" / "quiz_banks" / "mfd.yaml").write_text("bank: [", encoding="utf-8")
    policy = tmp_path / "tree" / "content" / "policies" / "hours.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("seconds_per_hour: 2700", "seconds_per_hour: 许多"), encoding="utf-8")
    env = environment(tmp_path / "bot.db") | {"BOT_DINGTALK__MODE": "telepathy"}
    status, out, _ = await bot("check", "--json", env=env, cwd=tmp_path / "tree")
    found = json.loads(out)
    assert status == 1
    assert any(one["file"] == "content/policies/hours.yaml" and one["line"] > 1 and "D1" in one["sentence"] for one in found)
    assert found[0]["file"] == "设置"
    assert found[0]["sentence"].startswith("BOT_DINGTALK__MODE ")
    assert found[1]["file"] == "quiz_banks/mfd.yaml", "the cause stands before the lessons that miss its questions"
    status, out, _ = await bot("check", env=env, cwd=tmp_path / "tree")
    assert (status, f"发现 {len(found)} 处错误" in out) == (1, True)
    assert out.startswith("设置：BOT_DINGTALK__MODE ")


async def test_a_channel_setting_that_is_written_and_empty_is_named(tmp_path: Path) -> None:
    status, out, _ = await bot("check", env=environment(tmp_path / "bot.db") | {"BOT_WECOM__CORP_ID": ""})
    assert (status, "BOT_WECOM__CORP_ID" in out) == (1, True)


async def test_a_terminal_talks_like_any_channel_and_its_numbers_are_buttons(tmp_path: Path) -> None:
    env = environment(tmp_path / "bot.db")
    status, out, err = await bot("chat", "--demo", env=env, said="练习 民法典\n1\n退出\n我的学时\n")
    assert status == 0, err
    assert "第1/10题" in out
    assert "已记录" in out or "未记录" in out
    assert "学时" in out
    status, out, _ = await bot("chat", "--as", "1010", env=env, said="帮助\n")
    assert (status, "管理员" in out) == (0, True)
    status, _, err = await bot("chat", "--as", "nobody", env=env, said="")
    assert (status, "花名册里没有工号 nobody" in err) == (1, True)
    assert "1009（学员）" in err, "in the demo it says who there is"
    status, out, _ = await bot("chat", env=env, said="每日\n")
    assert (status, "绑定" in out) == (0, True), "without a number the terminal is a stranger"


@pytest.mark.parametrize(
    ("last", "typed", "heard"),
    [
        (ONE, "2", ("B", "s:1:1")),
        (ONE, "3", ("跳过", "")),
        (ONE, "4", ("退出", "")),
        (ONE, "5", ("5", "")),
        (ONE, "B", ("B", "")),
        (ONE, "0", ("0", "")),
        (ONE, "3B", ("3B", "")),
        (SEVERAL, "13", ("AC", "s:1:2")),
        (SEVERAL, "133", ("AC", "s:1:2")),
        (SEVERAL, "14", ("14", "")),
        (Reply("好", buttons=(Option("每日", "每日一练"),)), "1", ("每日", "")),
        (Reply("填空", QuestionCard("s:1:3", "", "几年？")), "1", ("1", "")),
        (Reply("填空", QuestionCard("s:1:3", "", "几年？"), buttons=(Option("纠错", "题有错"),)), "1", ("1", "")),
    ],
)
def test_a_number_is_the_button_it_stands_before_and_else_itself(last: Reply, typed: str, heard: tuple[str, str]) -> None:
    assert resolve_choice(last, typed) == heard


def test_below_a_question_answered_in_writing_no_button_has_a_number() -> None:
    written = Reply("填空", QuestionCard("s:1:3", "", "几年？"), buttons=(Option("纠错", "题有错"),))
    assert [Text.from_markup(line).plain.strip() for line in render_reply(written)] == ["填空", "几年？", "题有错：发「纠错」"]


def test_what_can_be_chosen_has_a_number_and_brackets_stay_brackets() -> None:
    lines = [Text.from_markup(line).plain for line in render_reply(ONE)]
    assert lines[2] == "选[bold]?"
    assert "2)" in lines[4]
    assert "B. 乙" in lines[4]
    assert "3)" in lines[5]
    assert "先退出" in lines[5]
