"""Translates typer's own texts into Chinese: help, usage and error messages."""

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
    """An error message of typer in Chinese; an unknown one is kept."""
    for pattern, ours in _ERRORS:
        if match := re.fullmatch(pattern, message, re.DOTALL):
            return ours.format(*(part.strip("'").replace(", ", "、") for part in match.groups()))
    return message


def _print_error(wrong: Any) -> None:
    if type(wrong).__name__ == "NoArgsIsHelpError":  # the help was printed already
        return
    ctx = getattr(wrong, "ctx", None)
    print(translate_error(wrong.format_message()), file=sys.stderr)
    if ctx is not None:
        print(f"{ctx.get_usage()}\n用 {ctx.command_path} --help 看说明。", file=sys.stderr)


def translate_typer() -> None:
    """Patch typer's texts; call before the first command runs."""
    for name, ours in _TITLES.items():
        setattr(rich_utils, name, ours)
    setattr(rich_utils, "rich_format_error", _print_error)  # noqa: B010 - mypy knows no function that is replaced
    for kind in (core.TyperCommand, core.TyperGroup):
        _translate_command(kind)


def _translate_command(kind: Any) -> None:
    original_usage, original_option = kind.get_usage, kind.get_help_option

    def get_usage(self: Any, ctx: Any) -> str:
        text: str = original_usage(self, ctx)
        for theirs, ours in _USAGE:
            text = text.replace(theirs, ours, 1)
        return text

    def get_help_option(self: Any, ctx: Any) -> Any:
        help_option = original_option(self, ctx)
        if help_option is not None:
            help_option.help = "显示这份说明"
        return help_option

    kind.get_usage, kind.get_help_option = get_usage, get_help_option
