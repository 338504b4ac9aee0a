"""Commands and groups whose help, usage and misuse are Chinese, whole on every terminal; groups whose commands are imported when they are typed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

PLACEHOLDERS: dict[Any, str] = {int: "数字", float: "数字", str: "文字", Path: "文件"}
HELP_NAMES = {"help_option_names": ["-h", "--help"]}
_ERRORS = (
    (r"Missing argument (.+)\.", "缺少参数 {}。"),
    (r"Missing option (.+)\.", "缺少选项 {}。"),
    (r"Missing command\.", "缺少命令。"),
    (r"No such command (.+)\. Did you mean (.+)\?", "没有 {} 这个命令，您是不是要用 {}？"),
    (r"No such command (.+)\.", "没有 {} 这个命令。"),
    (r"No such option: (\S+) \(Possible options: (.+)\)", "没有 {} 这个选项，您是不是要用 {}？"),
    (r"No such option: (\S+) Did you mean (.+)\?", "没有 {} 这个选项，您是不是要用 {}？"),
    (r"No such option: (.+)", "没有 {} 这个选项。"),
    (r"Got unexpected extra argument\(s\) \((.+)\)", "多出了 {}。"),
    (r"Option (.+) requires an argument\.", "选项 {} 后面要写上值。"),
    (r"Option (.+) requires \d+ arguments\.", "选项 {} 后面要写上值。"),
    (r"Option (.+) does not take a value\.", "选项 {} 后面不写值。"),
    (r"Invalid value for (.+?): .*integer.*", "{} 应为整数。"),
    (r"Invalid value for (.+?): .*float.*", "{} 应为数字。"),
    (r"Invalid value for (.+?): .* is not one of (.+)\.", "{} 应为 {} 之一。"),
    (r"Invalid value for (.+?): ([^a-z]*[\u4e00-\u9fff].*)", "{}：{}"),
    (r"Invalid value for (.+?): .*", "{} 的值不对。"),
    (r"Invalid value: (.+)", "{}"),
)


def translate_error(message: str) -> str:
    """An error message of typer in Chinese; an unknown one is kept."""
    for pattern, ours in _ERRORS:
        if match := re.fullmatch(pattern, message, re.DOTALL):
            return ours.format(*(re.sub(r"['\[\]]", "", part).split(" / ")[0].replace(", ", "、") for part in match.groups()))
    return message


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    wide = min(max((_width(name) for name, _ in rows), default=0), 34)
    return ["", title, *(f"  {name}{' ' * max(2, wide + 2 - _width(name))}{text}" for name, text in rows)]


def _parameter_row(parameter: Any) -> tuple[str, str]:
    is_option = parameter.param_type_name == "option"
    names = "、".join([*parameter.opts, *parameter.secondary_opts]) if is_option else _metavar(parameter)
    placeholder = f" {_metavar(parameter)}" if is_option and not parameter.is_flag else ""
    default = parameter.default
    is_plain = isinstance(default, str | int | float) and not isinstance(default, bool) and default != ""
    notes = ["[必填]"] if parameter.required else [f"[默认：{default}]"] if is_plain else []
    return f"{names}{placeholder}", " ".join([parameter.help or "", *notes]).strip()


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or "文字")


def _usage(command: Any, context: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    pieces = [_metavar(one) + ("…" if one.nargs != 1 else "") for one in arguments]
    pieces = [piece if argument.required else f"[{piece}]" for piece, argument in zip(pieces, arguments, strict=True)]
    rest = ["命令 [参数]…"] if isinstance(command, TyperGroup) else pieces
    return f"用法：{' '.join([context.command_path, '[选项]', *rest])}"


def _help(command: Any, context: Any) -> str:
    lines = [_usage(command, context), "", (command.help or "").strip()]
    params = command.get_params(context)
    arguments = [_parameter_row(parameter) for parameter in params if parameter.param_type_name == "argument"]
    options = [_parameter_row(parameter) for parameter in params if parameter.param_type_name == "option"]
    lines += _table("参数：", arguments) if arguments else []
    lines += _table("选项：", options)
    if isinstance(command, TyperGroup):
        lines += _table("命令：", [(name, summary(command.get_command(context, name))) for name in command.list_commands(context)])
    return "\n".join(lines)


def summary(command: Any) -> str:
    """The first line of a command's help, whole."""
    return next(iter((command.help or "").strip().splitlines()), "")


def _chinese(help_option: Any) -> Any:
    if help_option is not None:
        help_option.help = "显示这份说明"
    return help_option


class ChineseCommand(TyperCommand):
    """A command whose help and usage are Chinese."""

    def get_usage(self, ctx: Any) -> str:
        return _usage(self, ctx)

    def get_help(self, ctx: Any) -> str:
        return _help(self, ctx)

    def get_help_option(self, ctx: Any) -> Any:
        return _chinese(super().get_help_option(ctx))


class ChineseGroup(TyperGroup):
    """A group whose help and usage are Chinese; its commands are made when one of them is asked for."""

    def __init__(self, name: str, about: str, load: Iterable[dict[str, Any]], **more: Any) -> None:
        super().__init__(name=name, help=about, no_args_is_help=True, context_settings=HELP_NAMES, rich_markup_mode=None, **more)
        self._still = iter(load)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.every_command())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        # What stands behind it is not imported.
        while cmd_name not in self.commands and (more := next(self._still, None)) is not None:
            self.commands.update(more)
        return self.commands.get(cmd_name)

    def every_command(self) -> dict[str, Any]:
        """The commands by name."""
        for more in self._still:
            self.commands.update(more)
        return dict(self.commands)

    def get_usage(self, ctx: Any) -> str:
        return _usage(self, ctx)

    def get_help(self, ctx: Any) -> str:
        return _help(self, ctx)

    def get_help_option(self, ctx: Any) -> Any:
        return _chinese(super().get_help_option(ctx))


def make_command(name: str, function: Callable[..., Any], about: str = "") -> Any:
    """The command of a function; its docstring is its help where nothing else is given."""
    info = CommandInfo(name=name, cls=ChineseCommand, callback=function, help=about or None, context_settings=HELP_NAMES)
    return get_command_from_info(info, pretty_exceptions_short=True, rich_markup_mode=None)


class LazyCommand(ChineseCommand):
    """A command that is known by name and help; its module is imported when it is typed."""

    def __init__(self, name: str, place: str, about: str) -> None:
        super().__init__(name=name, help=about, context_settings=HELP_NAMES, rich_markup_mode=None)
        self._place = place

    def load(self) -> Any:
        """The command itself."""
        module, _, function = self._place.partition(":")
        return make_command(str(self.name), getattr(import_module(module), function), self.help or "")

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent=parent, **extra)
