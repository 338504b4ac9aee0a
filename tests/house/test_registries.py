"""Whoever adds a command, a report or a group of the command line finds it listed: a module that nobody imports would be missed in silence."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from types import ModuleType

import pytest

from bot.cli import main
from bot.commands import registry as commands
from bot.storage.reports import registry as reports
from tests.conftest import ROOT


def registering(floor: str, decorator: str) -> set[str]:
    """The modules of a floor in which a function stands under this decorator, alone (`@report(…)`) or of a group (`@group.command(…)`)."""
    modules = set()
    for path in sorted((ROOT / floor).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                called = [ast.unparse(applied.func) for applied in node.decorator_list if isinstance(applied, ast.Call)]
                if decorator in {name.rpartition(".")[2] for name in called}:
                    modules.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return modules


@pytest.mark.parametrize(
    ("floor", "decorator", "listed"),
    [("bot/commands", "command", commands.MODULES), ("bot/storage/reports", "report", reports.MODULES), ("bot/cli", "command", main.MODULES)],
)
def test_every_module_that_registers_something_is_listed_once(floor: str, decorator: str, listed: Sequence[ModuleType]) -> None:
    modules, names = registering(floor, decorator), [module.__name__ for module in listed]
    assert len(modules) > 4
    assert modules - set(names) == set()
    assert len(names) == len(set(names))
