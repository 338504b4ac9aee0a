"""chat: the bot in a terminal, through the same dispatcher as every other channel."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from sqlmodel import Session

from bot import logs
from bot.app import build
from bot.cli.context import context, note
from bot.cli.serve import build_demo_app, open_writable_engine
from bot.domain.message import Address, Incoming, Refusal, Reply
from bot.services.demo.seed import PERSONAS, holds_demo
from bot.settings import PREFIX, Settings, env_name
from bot.storage.migrations import migrate
from bot.storage.people import accounts
from bot.storage.system import audit

CHANNEL, APP, GUEST = "local", "terminal", "terminal"
SAYS_NOTHING = (env_name("listen"), env_name("operator"))
"""Settings that do not tell whom the bot serves (deploy/start.py decides alike)."""
LEAVE = ("exit", "quit", "再见")


def chat(
    staff_no: Annotated[str, typer.Option("--as", metavar="工号", help="以谁的身份说话（工号）")] = "",
    demo: Annotated[bool, typer.Option("--demo", help="在演示的机关里说话（空库会先建好）")] = False,
) -> None:
    logs.configure(level=logging.ERROR)
    settings = context.settings()
    if demo or _is_fresh(settings):
        note("使用演示的机关（虚构数据）。")
        app = build_demo_app(settings)
        staff_no = staff_no or PERSONAS[0].staff_no
    else:
        app = build.build(settings, context.engine(settings))
        if not staff_no and _is_unconfigured() and app.database.read_now(holds_demo):
            staff_no = PERSONAS[0].staff_no
    try:
        user, name = app.database.write_now(lambda session: _bind_account(session, staff_no)) if staff_no else (GUEST, "未绑定的访客")
        note(f"以 {name} 的身份对话，Ctrl-D 结束。")
        asyncio.run(_talk(app, user))
    finally:
        app.database.engine.dispose()


def _persona_hint() -> str:
    return f"演示的机关里可以用：{'、'.join(f'{persona.staff_no}（{persona.label}）' for persona in PERSONAS)}。"


def _is_fresh(settings: Settings) -> bool:
    """True when nothing is configured and the database is empty: somebody is trying the bot out."""
    if not _is_unconfigured():
        return False
    engine = open_writable_engine(settings)
    try:
        return migrate.current(engine) is None
    finally:
        engine.dispose()


def _is_unconfigured() -> bool:
    """True when the environment sets at most what does not tell whom the bot serves."""
    return not any(key.upper().startswith(PREFIX) and key.upper() not in SAYS_NOTHING for key in os.environ)


def _bind_account(session: Session, staff_no: str) -> tuple[str, str]:
    """The account and name of a person in the terminal; the account is created and audited if missing. `Refusal` for an unknown staff number."""
    person = accounts.person_by_staff_no(session, staff_no)
    if person is None:
        raise Refusal(f"花名册里没有工号 {staff_no}。" + (_persona_hint() if holds_demo(session) else ""))
    person_id, name = person
    user = accounts.account_of(session, CHANNEL, person_id)
    if user is None:
        user, bound_at = f"cli-{staff_no}", context.now()
        accounts.bind_account(session, CHANNEL, user, person_id, bound_at, context.operator())
        audit.record(session, bound_at, context.operator(), "cli", "绑定终端账号", staff_no)
    return user, name


async def _talk(app: build.App, user: str) -> None:
    screen = Console(highlight=False, soft_wrap=True)
    app.database.start()
    last = Reply()
    sender = Address(CHANNEL, APP, user)
    try:
        while (typed := await asyncio.to_thread(_read_line)) is not None:
            words = typed.strip()
            if words in LEAVE:
                break
            if not words:
                continue
            text, task = resolve_choice(last, words)
            incoming = Incoming(sender, text, f"t{secrets.token_hex(12)}", app.clock(), "tap" if task else "text", task)
            last = await app.dispatcher.handle(incoming)
            for line in render_reply(last):
                screen.print(line)
    finally:
        await asyncio.to_thread(app.database.stop)


def _read_line() -> str | None:
    if sys.stdin.isatty():
        try:
            return input("› ")
        except (EOFError, KeyboardInterrupt):
            return None
    return sys.stdin.readline() or None


def resolve_choice(last: Reply, words: str) -> tuple[str, str]:
    """(text, task) of what was typed: a number picks an option of the open question or a command below it; other text is kept.

    Below a question that is answered in writing a number is an answer.
    """
    if words.isascii() and words.isdigit() and not _is_written(last):
        options = last.card.options if last.card is not None else ()
        number = int(words) - 1
        if last.card is not None and options and not last.card.several and 0 <= number < len(options):
            return options[number].say, last.card.task
        if last.card is not None and last.card.several and all(0 < int(digit) <= len(options) for digit in words):
            return "".join(options[int(digit) - 1].say for digit in dict.fromkeys(words)), last.card.task
        if 0 <= (place := number - len(options)) < len(last.buttons):
            return last.buttons[place].say, ""
    return words, ""


def _is_written(reply: Reply) -> bool:
    """Whether what follows is an answer in words or figures: a question without options is open."""
    return reply.card is not None and not reply.card.options


def render_reply(reply: Reply) -> list[str]:
    """The reply as lines for a terminal, with a number before everything that can be chosen."""
    lines = [escape(reply.text)] if reply.text else []
    number = 0
    if reply.card is not None:
        lines += [f"[bold]{escape(line)}[/bold]" for line in (reply.card.head, reply.card.stem) if line]
        for number, option in enumerate(reply.card.options, 1):
            label = option.label if option.label.startswith(option.say) else f"{option.say}. {option.label}"
            lines.append(f"  [cyan]{number})[/cyan] {escape(label)}")
        if reply.card.several:
            lines.append("  （可多选，例如 13 或 AC）")
    if _is_written(reply):
        commands = [f"{escape(button.label)}：发「{escape(button.say)}」" for button in reply.buttons]
    else:
        commands = [f"[cyan]{place})[/cyan] {escape(button.label)}" for place, button in enumerate(reply.buttons, number + 1)]
    if commands:
        lines.append("  " + "  ".join(commands))
    return lines
