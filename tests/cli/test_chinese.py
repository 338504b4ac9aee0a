"""Whoever mistypes a command, or asks for its help, reads Chinese."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.cli.help import translate_error
from tests.support.service import bot, environment


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("export", "缺少参数 哪一种。"),
        ("nix", "没有 nix 这个命令。"),
        ("report --unti", "没有 --unti 这个选项，您是不是要用 --out、--unit？"),
        ("export a b", "多出了 b。"),
        ("report --year x", "--year 应为整数。"),
        ("duty list --year x", "--year 应为整数。"),
        ("campaign skip 1 下周", "日期：「下周」不是日期，请写成 2026-03-10 或 3月10日。"),
        ("report --year", "选项 --year 后面要写上值。"),
        ("serve --demo=1", "选项 --demo 后面不写值。"),
    ],
)
async def test_misuse_is_two_and_one_chinese_sentence(tmp_path: Path, typed: str, said: str) -> None:
    status, _, err = await bot(*typed.split(), env=environment(tmp_path / "bot.db"))
    assert (status, err.splitlines()[0]) == (2, said)
    assert not re.search(r"[A-Za-z]+ [a-z]+ [a-z]+ [a-z]+", err.replace("python -m bot", "")), err


@pytest.mark.parametrize("command", ["", "serve", "ledger"])
async def test_help_is_framed_in_chinese(tmp_path: Path, command: str) -> None:
    status, out, _ = await bot(*command.split(), "--help", env=environment(tmp_path / "bot.db"))
    assert (status, "用法：" in out, "显示这份说明" in out) == (0, True, True)
    assert not re.search("Usage|Options|Commands|Show this", out)


def test_a_sentence_that_nobody_translated_is_not_lost() -> None:
    assert translate_error("Something new.") == "Something new."
