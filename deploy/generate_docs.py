"""Writes the parts of the pages that the code itself knows: `python3 deploy/generate_docs.py [--check]`, inside the environment of the tests.

The picture of the floors and the table of the nouns in bot/docs/architecture.md; bot/docs/data-model.md and deploy/docs/chat-commands.md whole.
`--check` writes nothing and says with status 1 what is stale.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import grimp  # noqa: E402
from sqlalchemy import Table  # noqa: E402

from bot.commands import actions, registry, router  # noqa: E402
from bot.storage.tables import schema  # noqa: E402

FLOORS = ("cli", "app", "channels", "dispatch", "jobs", "web", "commands", "services", "storage", "domain")
NOUNS = ("people", "library", "study", "exam", "contest", "grading", "hours", "campaign", "delivery", "activity", "reports", "certificate")
MIDDLE = ("domain", "storage", "services", "commands", "cli", "web")
ARCHITECTURE = ROOT / "bot" / "docs" / "architecture.md"
DATA_MODEL = ROOT / "bot" / "docs" / "data-model.md"
CHAT_COMMANDS = ROOT / "deploy" / "docs" / "chat-commands.md"
ROLES = {"learner": "学员", "admin": "管理员", "supervisor": "督学"}
MARKS = ("<!-- generated: begin -->", "<!-- generated: end -->")


def floors() -> str:
    """The floors with the arrows between them as the imports draw them, and where each noun stands."""
    graph = grimp.build_graph("bot")
    arrows = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            here, there = module.split(".")[1:2], imported.split(".")[1:2]
            if here and there and here != there and here[0] in FLOORS and there[0] in FLOORS:
                arrows.add((FLOORS.index(here[0]), FLOORS.index(there[0])))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {FLOORS[here]} --> {FLOORS[there]}" for here, there in sorted(arrows)]
    lines += ["```", "", "Every import points down this picture. Where each noun stands:", ""]
    lines += ["| noun | " + " | ".join(MIDDLE) + " |", "| --- |" + " --- |" * len(MIDDLE)]
    for noun in NOUNS:
        lines.append(f"| {noun} | " + " | ".join(_place(floor, noun) for floor in MIDDLE) + " |")
    return "\n".join(lines)


def _place(floor: str, noun: str) -> str:
    folder = ROOT / "bot" / floor / noun
    file = folder.with_suffix(".py")
    if folder.is_dir():
        return ", ".join(f"`{path.stem}`" for path in sorted(folder.glob("*.py")) if path.stem != "__init__")
    return f"`{noun}.py`" if file.is_file() else ""


def data_model() -> str:
    """Every table with its sentence, its columns and what it refers to, and a picture of each noun."""
    lines = [
        "# Data model",
        "",
        "Written by `deploy/generate_docs.py` from the tables in `bot/storage/tables`; change those, then run `make -f deploy/Makefile docs`.",
        "",
        "Moments are UTC text with microseconds, days are days in Asia/Shanghai, flags are 0 or 1: see",
        "[decisions/0006](decisions/0006-text-timestamps-and-strict-tables.md). Rows of the ledger, the answers, the audit and whatever else is",
        "recorded for good refuse UPDATE and DELETE by triggers.",
    ]
    for module in schema.MODULES:
        noun = module.__name__.rsplit(".", 1)[1]
        rows = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "__table__")
        ]
        if not rows:
            continue
        lines += ["", f"## {noun}", "", (module.__doc__ or "").strip().splitlines()[0], "", "```mermaid", "erDiagram"]
        tables: list[Table] = [row.__table__ for row in rows]
        for table in tables:
            lines.append(f"    {table.name} {{")
            lines += [f"        {_kind(column)} {column.name}{_keys(column)}" for column in table.columns]
            lines.append("    }")
        for table in tables:
            for column in sorted(table.columns, key=lambda column: column.name):
                for key in sorted(column.foreign_keys, key=lambda key: key.target_fullname):
                    lines.append(f"    {key.column.table.name} ||--o{{ {table.name} : {column.name}")
        lines += ["```", "", "| table | class | what a row is |", "| --- | --- | --- |"]
        for row in rows:
            sentence = " ".join((row.__doc__ or "").split())
            lines.append(f"| `{row.__table__.name}` | `{row.__name__}` | {sentence.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def chat_commands() -> str:
    """What can be said in the chat, in the order of the help."""
    lines = [
        "# 聊天里的命令",
        "",
        "本页由 `deploy/generate_docs.py` 按代码里的登记写成；每条的说明就是聊天里「帮助」看到的那一句。按钮等于打出它的文字。",
        "",
        "| 命令 | 参数 | 谁可以用 | 说明 |",
        "| --- | --- | --- | --- |",
    ]
    assert registry.MODULES, "importing the list is what fills the register"
    for command in dict.fromkeys(router.COMMANDS.values()):
        who = ROLES[command.role.value] if command.role is not None else "任何人"
        lines.append(f"| {'、'.join(command.words)} | {command.argument.replace('|', '/')} | {who} | {command.help} |")
    lines += [
        "",
        "## 管理员的动作",
        "",
        "每个动作只声明一次（`@action`）：聊天里这样说，服务器上这样打（加 `--apply` 才生效，`--as 工号` 写明是谁）。",
        "标“先问”的不能恢复，聊天里先说现状、再问一次。",
        "",
        "| 聊天里 | 命令行 | 先问 | 说明 |",
        "| --- | --- | --- | --- |",
    ]
    for action in actions.ACTIONS:
        said = action.usage.replace("|", "/") if action.words else ""
        shell = f"`{action.cli}`" if action.cli else ""
        lines.append(f"| {said} | {shell} | {'先问' if action.final and action.words else ''} | {action.help} |")
    return "\n".join(lines) + "\n"


def _kind(column: object) -> str:
    return re.sub(r"\W", "", type(getattr(column, "type")).__name__).removesuffix("Type").lower()  # noqa: B009


def _keys(column: object) -> str:
    keys = [name for name, is_one in (("PK", getattr(column, "primary_key")), ("FK", bool(getattr(column, "foreign_keys")))) if is_one]  # noqa: B009
    return f" {', '.join(keys)}" if keys else ""


def pages() -> dict[Path, str]:
    """What each page should be."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    begin, end = (text.index(mark) for mark in MARKS)
    return {ARCHITECTURE: f"{text[: begin + len(MARKS[0])]}\n\n{floors()}\n\n{text[end:]}", DATA_MODEL: data_model(), CHAT_COMMANDS: chat_commands()}


def main(arguments: list[str]) -> int:
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run make -f deploy/Makefile docs")
        return 1 if stale else 0
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    print(f"written: {len(stale)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
