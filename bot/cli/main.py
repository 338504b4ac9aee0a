"""`python -m bot`: every group and command by name, imported when it is typed, and the one place where a fault becomes a sentence and a status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import Exit, TyperException

from bot.cli.context import EXIT_REFUSED, EXIT_USAGE, context
from bot.cli.help import ChineseGroup, LazyCommand, make_command, translate_error
from bot.domain.message import Misuse, Refusal

PROGRAM = "python -m bot"

COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("bot.cli.serve:serve", "启动服务；收到 SIGTERM 后停止接收，处理完手头的消息再退出。"),
    "migrate": ("bot.cli.serve:migrate", "升级（或降级）数据库结构。"),
    "check": ("bot.cli.check:check", "检查设置、课程、题库和学时规则：每处错误给出文件和行号。"),
    "doctor": ("bot.cli.doctor:doctor", "体检：设置、时钟、磁盘、数据库、备份、渠道等三十多项，每项一句原因和办法；有故障时退出码为 1。"),
    "backup": ("bot.cli.system:backup_command", "备份数据库：服务运行时也可以做；做完核对副本（页、引用、哈希链）。"),
    "restore": ("bot.cli.system:restore_command", "从备份恢复：先核对备份，再换上去。原有的数据库要加 --apply 才换，换下来的改名留着。"),
    "chat": ("bot.cli.chat:chat", "在终端里和机器人对话；选项可输入字母，也可输入编号；Ctrl-D 结束。"),
    "report": ("bot.cli.reports:report_command", "看报表：达标率、名单、个人；不带名称则列出全部。"),
    "export": ("bot.cli.reports:export_command", "逐行导出 JSON（每行一条，从旧到新）；服务运行时也可以导出。--json 与不加相同。"),
}
"""Commands that are no act of an administrator, by name: where the function stands, and its help."""

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "roster": ("花名册：导入、发放绑定验证码、从平台通讯录同步。", ("bot.commands.people", "bot.cli.people")),
    "leave": ("请假、借调：导入。", ("bot.commands.people",)),
    "bank": ("题库：逐题核对依据。", ("bot.cli.library",)),
    "campaign": (
        "活动：起草、预览、启动、暂停、停止、撤回、活动包。",
        ("bot.commands.campaign.manage", "bot.commands.campaign.push", "bot.commands.delivery", "bot.cli.campaign"),
    ),
    "public": ("对公众：公众号图文与群发、群机器人；人数单独计，不算干部学法。", ("bot.cli.public_series",)),
    "duty": ("普法责任清单：导入、查看、记已办、半年提示。", ("bot.commands.activity",)),
    "exam": (
        "考试：起草、发布、进度、加时、批准、结束、公布、补考、成绩。",
        ("bot.commands.exam.manage", "bot.commands.grading.corrections", "bot.commands.grading.outside_results", "bot.commands.grading.appeals"),
    ),
    "contest": ("竞赛：起草、开放、结束、取消、组队、榜单、成绩。", ("bot.commands.contest.manage", "bot.commands.grading.corrections")),
    "certificate": ("证书：签发、撤销、换发、查看、生成图片和 PDF。", ("bot.commands.certificate", "bot.cli.certificate")),
    "ledger": ("学时流水：封存与核验。", ("bot.cli.reports",)),
}
"""Groups by name: their help, and the modules in which their acts are declared, or their commands where these are no acts (`CLI`)."""


def _load(group: str) -> Iterator[dict[str, Any]]:
    """The commands of a group, module by module."""
    for name_of_module in GROUPS[group][1]:
        module = import_module(name_of_module)
        commands: dict[str, Any] = {}
        by_hand: dict[str, Callable[..., Any]] = getattr(module, "CLI", {})
        commands |= {name.split(" ", 1)[1]: make_command(name.split(" ", 1)[1], by_hand[name]) for name in by_hand if name.split(" ")[0] == group}
        if module.__name__.startswith("bot.commands."):
            from bot.cli.acts import command_of
            from bot.commands import actions

            for name, action in actions.of_shell(group).items():
                if action.function.__module__ == module.__name__:
                    commands[name] = make_command(name, command_of(action))
        yield commands


def read_global_options(config: Annotated[Path | None, typer.Option("--config", metavar="文件", help="TOML 配置文件")] = None) -> None:
    """学法机器人：学法、答题、学时与报表。"""
    context.config = config


def command_line() -> ChineseGroup:
    """The whole command line; nothing of it is imported yet."""

    commands: dict[str, Any] = {name: LazyCommand(name, *place) for name, place in COMMANDS.items()}
    commands |= {name: ChineseGroup(name, about, _load(name)) for name, (about, _) in GROUPS.items()}
    options = make_command("bot", read_global_options)
    return ChineseGroup("bot", options.help, [commands], params=options.params, callback=options.callback)


def every_command() -> dict[str, TyperCommand]:
    """Every command by what is typed ("exam publish"), with its module imported."""
    commands: dict[str, TyperCommand] = {}
    for name, command in command_line().every_command().items():
        if isinstance(command, ChineseGroup):
            commands |= {f"{name} {each}": inner for each, inner in command.every_command().items()}
        else:
            commands[name] = command.load()
    return commands


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a known fault ends in one Chinese sentence and an exit status, never in a stack trace."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    context.begin(typed)
    try:
        sys.exit(command_line().main(typed, prog_name=PROGRAM, standalone_mode=False) or 0)
    except Exit as ended:
        sys.exit(ended.exit_code)
    except TyperException as wrong:
        sys.exit(_misused(wrong))
    except typer.Abort:
        context.print_refusal(Refusal("已中止。"))
        sys.exit(EXIT_REFUSED)
    except Refusal as refusal:
        context.print_refusal(refusal)
        sys.exit(EXIT_USAGE if isinstance(refusal, Misuse) else EXIT_REFUSED)
    except Exception as wrong:
        from bot.cli import faults

        fault = faults.sentence_and_status(wrong)
        if fault is None:
            raise
        context.print_refusal(Refusal(fault[0]))
        sys.exit(fault[1])


def _misused(wrong: TyperException) -> int:
    """Say what was wrong with the typing, and where to read more; without a command at all the help is printed."""
    place = getattr(wrong, "ctx", None)
    if type(wrong).__name__ == "NoArgsIsHelpError":
        print(place.get_help() if place is not None else "", file=sys.stderr)
        return wrong.exit_code
    context.print_refusal(Refusal(translate_error(wrong.format_message())))
    if place is not None:
        print(f"{place.get_usage()}\n用 {place.command_path} --help 看说明。", file=sys.stderr)
    return wrong.exit_code
