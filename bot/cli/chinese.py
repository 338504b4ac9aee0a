"""The frame around our commands, which typer says in English, in Chinese: help, usage, and what was typed wrongly."""

from __future__ import annotations

import re
import sys
from typing import Any

from typer import core, rich_utils

_TITLES = {"ARGUMENTS_PANEL_TITLE": "参数", "OPTIONS_PANEL_TITLE": "选项", "COMMANDS_PANEL_TITLE": "命令", "ABORTED_TEXT": "已中止。"}
_TITLES |= {"DEFAULT_STRING": "[默认：{}]", "REQUIRED_LONG_STRING": "[必填]", "ENVVAR_STRING": "[环境变量：{}]"}
_USAGE = (("Usage: ", "用法："), ("[OPTIONS]", "[选项]"), ("COMMAND [ARGS]...", "命令 [参数]…"))
_ERRORS = (
    (r"Missing argument (.+)\.", "缺少参数 {}。"),
    (r"Missing option (.+)\.", "缺少选项 {}。"),
    (r"Missing command\.", "缺少命令。"),
    (r"No such command (.+)\.", "没有 {} 这个命令。"),
    (r"No such option: (\S+) \(Possible options: (.+)\)", "没有 {} 这个选项，您是不是要用 {}？"),
    (r"No such option: (.+)", "没有 {} 这个选项。"),
    (r"Got unexpected extra argument\(s\) \((.+)\)", "多出了 {}。"),
    (r"Option (.+) requires an argument\.", "选项 {} 后面要写上值。"),
    (r"Option (.+) does not take a value\.", "选项 {} 后面不写值。"),
    (r"Invalid value for (.+?): .*integer.*", "{} 应为整数。"),
    (r"Invalid value for (.+?): .*", "{} 的值不对。"),
)


def translate_error(message: str) -> str:
    """What was typed wrongly, in Chinese; a sentence of typer's that is not known stays as it is."""
    for pattern, ours in _ERRORS:
        if match := re.fullmatch(pattern, message, re.DOTALL):
            return ours.format(*(part.strip("'").replace(", ", "、") for part in match.groups()))
    return message


def _print_error(wrong: Any) -> None:
    if type(wrong).__name__ == "NoArgsIsHelpError":  # its help has been shown
        return
    ctx = getattr(wrong, "ctx", None)
    print(translate_error(wrong.format_message()), file=sys.stderr)
    if ctx is not None:
        print(f"{ctx.get_usage()}\n用 {ctx.command_path} --help 看说明。", file=sys.stderr)


def translate_typer() -> None:
    """Make typer say it; before the first command is run."""
    for name, ours in _TITLES.items():
        setattr(rich_utils, name, ours)
    setattr(rich_utils, "rich_format_error", _print_error)  # noqa: B010 - mypy knows no function that is replaced
    for kind in (core.TyperCommand, core.TyperGroup):
        _translate_command(kind)


def _translate_command(kind: Any) -> None:
    original_usage, original_option = kind.get_usage, kind.get_help_option

    def get_usage(self: Any, ctx: Any) -> str:
        said: str = original_usage(self, ctx)
        for theirs, ours in _USAGE:
            said = said.replace(theirs, ours, 1)
        return said

    def get_help_option(self: Any, ctx: Any) -> Any:
        found = original_option(self, ctx)
        if found is not None:
            found.help = "显示这份说明"
        return found

    kind.get_usage, kind.get_help_option = get_usage, get_help_option
