"""Finds the command that a text names, and suggests the nearest ones to this sender when there is none."""

from __future__ import annotations

import difflib
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from types import ModuleType

from sqlmodel import Session

from bot.domain.library.library import Library
from bot.domain.message import Incoming, Option, Refusal, Reply
from bot.domain.people.person import Learner, RoleName
from bot.domain.times import day_of
from bot.services.library.catalog import Catalog

CommandHandler = Callable[["Context", str], Reply]


@dataclass(slots=True)
class Context:
    """What a command is given: the caller's transaction, who speaks, what is known, and the moment the message arrived.

    `audit_entry` is what the audit is to know of a look; `refused_power` the word, with its argument, that this person has no right to.
    `pages` is where our own pages stand (https://…, no slash at the end); empty where nobody could open one.
    """

    session: Session
    incoming: Incoming
    catalog: Catalog
    now: datetime
    rng: random.Random
    learner: Learner | None = None
    audit_entry: tuple[str, str] | None = None
    refused_power: tuple[str, str] | None = None
    pages: str = ""

    @property
    def me(self) -> Learner:
        if self.learner is None:
            raise Refusal("请先绑定工号：发送「绑定 工号 验证码」。验证码请向本单位管理员领取。")
        return self.learner

    @property
    def library(self) -> Library:
        return self.catalog.library

    @property
    def today(self) -> date:
        return day_of(self.now)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words (the first is its name), who may use it, its help, and whether it only reads (and may take its time)."""

    words: tuple[str, ...]
    handler: CommandHandler
    help: str
    role: RoleName | None
    read_only: bool
    argument: str

    @property
    def name(self) -> str:
        return self.words[0]

    def is_for(self, learner: Learner | None) -> bool:
        return self.role is None or (learner is not None and learner.may(self.role))


COMMANDS: dict[str, Command] = {}
MAX_CACHED_LENGTH = 16


def order_commands(modules: Sequence[ModuleType]) -> None:
    """Put the commands into the order of the modules that hold them. Raises RuntimeError for a command whose module is not listed."""
    places = {module.__name__: place for place, module in enumerate(modules)}
    unlisted = sorted({command.name for command in COMMANDS.values() if command.handler.__module__ not in places})
    if unlisted:
        raise RuntimeError(f"commands of modules that bot/commands/registry.py does not list: {', '.join(unlisted)}")
    ordered = sorted(COMMANDS.items(), key=lambda entry: places[entry[1].handler.__module__])
    COMMANDS.clear()
    COMMANDS.update(ordered)


def command(
    *words: str, role: RoleName | None = RoleName.LEARNER, read_only: bool = False, argument: str = ""
) -> Callable[[CommandHandler], CommandHandler]:
    """Register a command under its words. `argument` names what follows them in the help ("<法>"); `read_only` sends it to the read connection."""

    def register(handler: CommandHandler) -> CommandHandler:
        lines = (handler.__doc__ or "").strip().splitlines()
        if not lines:
            raise ValueError(f"{words[0]} has no help line")
        registered = Command(words, handler, lines[0].strip(), role, read_only, argument)
        for word in words:
            if word in COMMANDS:
                raise ValueError(f"{word} is taken")
            COMMANDS[word] = registered
        _find_cached.cache_clear()
        return handler

    return register


_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]")
_WHITESPACE = re.compile(r"\s+")


def normalize(text: str) -> str:
    """Typed text in one form: full-width letters narrowed, invisible characters gone, spaces single."""
    return _WHITESPACE.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))).strip()


def find(text: str, *, strict: bool = False) -> tuple[Command, str] | None:
    """The command a text names and its argument; without `strict` the space before the argument may be missing (练习民法典)."""
    # Most of what is heard is short and said by everybody (B, 对, 每日), and each message is looked up up to three times.
    return _find_cached(text, strict) if len(text) <= MAX_CACHED_LENGTH else _find(text, strict)


def _find(text: str, strict: bool) -> tuple[Command, str] | None:
    tidied = normalize(text).lstrip("/")
    word, _, rest = tidied.partition(" ")
    if word in COMMANDS:
        return COMMANDS[word], rest.strip()
    if strict:
        return None
    matches = [word for word, entry in COMMANDS.items() if entry.argument and tidied.startswith(word)]
    if not matches:
        return None
    longest = max(matches, key=len)
    return COMMANDS[longest], tidied[len(longest) :].lstrip(":,").strip()


_find_cached = lru_cache(maxsize=4096)(_find)


def unknown_command(ctx: Context, text: str) -> Reply:
    """Nothing fits: the nearest commands this sender may use, or the way to the help. Not allowed is answered the same way."""
    tidied = normalize(text)
    head = tidied.partition(" ")[0][:12]
    # A command of others is no misspelling of ours.
    allowed = [] if head in COMMANDS else [word for word, entry in COMMANDS.items() if entry.is_for(ctx.learner)]
    near = difflib.get_close_matches(head, allowed, n=2, cutoff=0.5) or [word for word in allowed if head and len(head) > 1 and head in word][:2]
    if near:
        return Reply(
            f"没有看懂「{tidied[:20]}」。您是想发 {'、'.join(f'「{word}」' for word in near)} 吗？",
            buttons=tuple(Option(word, word) for word in near),
        )
    return Reply(f"没有看懂「{tidied[:20]}」。发送「帮助」看看能做什么。", buttons=(Option("帮助", "帮助"),))
