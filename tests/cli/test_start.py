"""A command starts without the house: its help waits for no library that it does not need, and every command says in Chinese how it is used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest
from sqlalchemy import Engine

from bot.cli.help import ChineseGroup, make_command
from bot.cli.main import COMMANDS, GROUPS, every_command
from tests.conftest import ROOT

HEAVY = (
    "aiohttp", "alembic", "apscheduler", "cryptography", "fsrs", "jieba", "jinja2", "markdown_it", "prometheus_client", "psycopg",
    "rich", "segno", "sqlalchemy", "sqlmodel", "structlog", "typst", "wechatpy", "xlsxwriter", "yaml",
)  # fmt: skip
TOOLS = (
    "alembic", "apscheduler", "aiohttp", "jieba", "markdown_it", "psycopg", "rich", "segno", "sqlalchemy.dialects.postgresql", "structlog", "typst",
    "wechatpy", "xlsxwriter",
)  # fmt: skip
UNUSED_ON_SQLITE = (*TOOLS, "cryptography", "prometheus_client", "pygments", "yaml")
MAPPED = "[mapper.class_.__name__ for mapper in sys.modules['sqlmodel'].SQLModel._sa_registry.mappers]"
"""Row classes that were made into SQLModel classes for objects."""


def imported(words: tuple[str, ...], names: tuple[str, ...], *, mapped: str = "[]", env: Mapping[str, str] | None = None) -> str:
    program = f"""
import sys
sys.argv = ["bot", *{words!r}]
from bot.cli.main import main
try:
    main()
except SystemExit as end:
    print("status", end.code, file=sys.stderr)
print("imported", [name for name in {names!r} if name in sys.modules] + {mapped}, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False, env=env)
    assert "status 0" in done.stderr, done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("words", [("--help",), ("check", "--help")])
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert imported(words, HEAVY) == "imported []"


@pytest.mark.parametrize("words", [("exam", "--help"), ("campaign", "list", "--help"), ("certificate", "--help")])
def test_the_help_of_a_group_imports_no_tool_that_its_acts_may_never_need(words: tuple[str, ...]) -> None:
    assert imported(words, TOOLS) == "imported []"


@pytest.mark.parametrize("words", [("exam", "list"), ("report",), ("campaign", "list", "--json"), ("ledger", "verify")])
def test_a_command_on_sqlite_loads_what_it_needs_and_maps_no_object(words: tuple[str, ...], sqlite_engine: Engine) -> None:
    env = {**os.environ, "BOT_DATABASE_URL": sqlite_engine.url.render_as_string()}
    assert imported(words, UNUSED_ON_SQLITE, mapped=MAPPED, env=env) == "imported []"


def test_every_command_names_what_is_typed_in_chinese_and_whole() -> None:
    assert len(COMMANDS) + len(GROUPS) > 15
    for name, command in every_command().items():
        context = command.make_context(name, [], resilient_parsing=True)
        text = command.get_help(context)
        assert text.startswith("用法："), name
        assert not re.search(r"\b(TEXT|INTEGER|FLOAT|PATH|FILE|ARGS|OPTIONS|[A-Z]+_[A-Z]+)\b", re.sub(r"BOT_\w+", "", text)), text
        told = text.partition("\n")[2]
        assert not re.search(r"<(str|int|bool|float|path)>|…$|\.\.\.$", told, re.MULTILINE), text
        assert "显示这份说明" in text
        for word in context.command.params:
            assert word.param_type_name == "argument" or vars(word).get("help"), f"{name}: {word.name}"


def test_a_line_of_help_is_as_long_as_it_is() -> None:
    def far() -> None:
        """说明。"""

    long = "很长的一句说明" * 20
    group = ChineseGroup("组", "一组。", [{"远": make_command("远", far, long)}])
    context = group.make_context("组", ["远"], resilient_parsing=True)
    assert long in group.get_help(context)
