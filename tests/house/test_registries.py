"""Whoever adds a command, a report or a group of the command line finds it listed: a module that nobody imports would be missed in silence."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import pytest

from bot.cli import main
from bot.cli.help import LazyCommand
from bot.commands import actions
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
    [("bot/commands", "command", commands.MODULES), ("bot/commands", "action", commands.MODULES), ("bot/storage/reports", "report", reports.MODULES)],
)
def test_every_module_that_registers_something_is_listed_once(floor: str, decorator: str, listed: Sequence[ModuleType]) -> None:
    modules, names = registering(floor, decorator), [module.__name__ for module in listed]
    assert len(modules) > 4
    assert modules - set(names) == set()
    assert len(names) == len(set(names))


def test_every_act_of_the_shell_stands_in_its_group() -> None:
    assert commands.MODULES
    typed = set(main.every_command())
    assert len(typed) > 60
    assert {action.cli for action in actions.ACTIONS if action.cli} - typed == set()


def test_every_module_of_a_group_adds_to_it() -> None:
    for _, modules in main.GROUPS.values():
        assert len(modules) == len(set(modules))
        for name in modules:
            module = import_module(name)
            acts = [action for action in actions.ACTIONS if action.cli and action.function.__module__ == name]
            assert acts or getattr(module, "CLI", {}), name


def test_the_help_that_is_known_before_the_import_is_there_for_every_command() -> None:
    for name, command in main.command_line().every_command().items():
        assert command.help, name
        if isinstance(command, LazyCommand):
            assert command.load().help == command.help
