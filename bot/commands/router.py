"""Finds the command that a text names, and suggests the nearest ones to this sender when there is none."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

from sqlmodel import Session

from bot.domain.library.library import Library
from bot.domain.message import Incoming, Option, Refusal, Reply
from bot.domain.people.person import Learner, RoleName
from bot.domain.text import wording
from bot.domain.times import day_of
from bot.services.library.catalog import Catalog

CommandHandler = Callable[["Context", str], Reply]
ArgumentCheck = Callable[["Context", str], bool]


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

    def written(self, argument: str) -> str:
        """What follows a command as its sender wrote it, for what is kept and shown: texts are heard in one width only (`normalize`)."""
        text = self.incoming.text.strip()
        near = max(0, len(text) - len(argument))
        starts = sorted(range(max(0, near - len(argument)), len(text)), key=lambda start: abs(start - near)) if argument else ()
        return next((text[start:].strip() for start in starts if normalize(text[start:]) == argument), argument)


def is_number(_: Context, argument: str) -> bool:
    """Whether what follows a command begins with the number of something."""
    return argument.removeprefix("#")[:1].isdigit()


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words (the first is its name), who may use it, its help, and whether it only reads (and may take its time).

    `takes` tells what follows it from a sentence that only begins with its word, where a sentence may be an answer.
    """

    words: tuple[str, ...]
    handler: CommandHandler
    help: str
    role: RoleName | None
    read_only: bool
    argument: str
    takes: ArgumentCheck = is_number

    @property
    def name(self) -> str:
        return self.words[0]

    def is_for(self, learner: Learner | None) -> bool:
        return self.role is None or (learner is not None and learner.may(self.role))


class Heard(NamedTuple):
    """What a text is heard as: a command, what follows it, and whether it says so itself (我的学时。) or is only understood so (看看我的学时)."""

    command: Command
    word: str
    argument: str
    firm: bool


COMMANDS: dict[str, Command] = {}
QUESTIONS: list[tuple[re.Pattern[str], Command]] = []
"""What people ask in their own words, and what answers it; the first that fits."""
PINYIN = {
    "meiri": "每日", "xuexi": "学习", "lianxi": "练习", "cuoti": "错题", "kaoshi": "考试", "jingsai": "竞赛", "xueshi": "我的学时", "bangzhu": "帮助",
    "jixu": "继续", "tuichu": "退出", "shezhi": "设置", "tiaozhan": "挑战", "zhengshu": "证书",
}  # fmt: skip
MAX_CACHED_LENGTH = 16
MAX_UNDERSTOOD_LENGTH = 40
"""What is longer is no command with courtesies around it and no question to the bot."""
NAMED_ARGUMENTS = ("<法>", "<课或法>", "<编号>", "<工号>", "<流水号>", "<主题或命令>")
"""What names something: courtesies around it are nobody's words. The rest is what people write, and stays as it is."""
NUMBERED_ARGUMENTS = ("<编号>", "<工号>", "<流水号>")
"""What is a number: words in its place are a question (考试 怎么补考). The title of a lesson may read like one."""


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
    *words: str, role: RoleName | None = RoleName.LEARNER, read_only: bool = False, argument: str = "", takes: ArgumentCheck = is_number
) -> Callable[[CommandHandler], CommandHandler]:
    """Register a command under its words. `argument` names what follows them in the help ("<法>"); `read_only` sends it to the read connection."""

    def register(handler: CommandHandler) -> CommandHandler:
        lines = (handler.__doc__ or "").strip().splitlines()
        if not lines:
            raise ValueError(f"{words[0]} has no help line")
        registered = Command(words, handler, lines[0].strip(), role, read_only, argument, takes)
        for word in words:
            if word in COMMANDS:
                raise ValueError(f"{word} is taken")
            COMMANDS[word] = registered
        _find_cached.cache_clear()
        return handler

    return register


def asked(name: str, pattern: str) -> Callable[[CommandHandler], CommandHandler]:
    """Register what answers a question that people put in their own words; `pattern` is looked for in the text without its courtesies."""

    def register(handler: CommandHandler) -> CommandHandler:
        QUESTIONS.append((re.compile(pattern, re.IGNORECASE), Command((name,), handler, "", RoleName.LEARNER, False, "")))
        _find_cached.cache_clear()
        return handler

    return register


_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]")
_QUOTED = re.compile(r"《([^《》]+)》([^《》]*)")
_WHITESPACE = re.compile(r"\s+")


def normalize(text: str) -> str:
    """Typed text in one form: full-width letters narrowed, invisible characters gone, spaces single."""
    return _WHITESPACE.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))).strip()


def find(text: str) -> Heard | None:
    """What a text is heard as, whatever stands around it; None when it is no command and no question of `QUESTIONS`."""
    # Most of what is heard is short and said by everybody (B, 对, 每日), and each message is looked up up to three times.
    return _find_cached(text) if len(text) <= MAX_CACHED_LENGTH else _find(text)


def _find(text: str) -> Heard | None:
    tidied = normalize(text).lstrip("/")
    for head in dict.fromkeys((tidied, tidied.partition(" ")[0])):
        for word in (head, wording.trim(head)):
            if word in COMMANDS:
                return _asked(tidied, word) or Heard(COMMANDS[word], word, _argument(COMMANDS[word], tidied[len(head) :]), True)
    if len(tidied) > MAX_UNDERSTOOD_LENGTH:
        return _begins_with_command(tidied)
    if "《" in tidied and (named := _begins_with_command(tidied)) is not None and tidied.removeprefix(named.word).startswith("《"):
        return named
    plain = wording.simplified(wording.trim(tidied)) or tidied
    if (question := _asked(plain)) is not None:
        return question
    for core in wording.cores(plain):
        word = PINYIN.get(core.lower(), core)
        if word in COMMANDS:
            return Heard(COMMANDS[word], word, "", False)
    return next((heard for core in wording.without_lead(plain) if (heard := _begins_with_command(core)) is not None), None)


_find_cached = lru_cache(maxsize=4096)(_find)


def _asked(text: str, word: str = "") -> Heard | None:
    """The question that a text puts; after a command's `word` only where a number should follow (考试 怎么补考)."""
    if word and (text == word or not _may_be_question(COMMANDS[word], text)):
        return None
    return next((Heard(answer, answer.name, "", False) for pattern, answer in QUESTIONS if pattern.search(text)), None)


def _may_be_question(entry: Command, text: str) -> bool:
    """Whether what follows a command may be a question: an administrator's acts, and what sets a value (依据=要点第五条), are meant as written."""
    return entry.role is RoleName.LEARNER and entry.argument in NUMBERED_ARGUMENTS and "=" not in text and len(text) <= MAX_UNDERSTOOD_LENGTH


def _begins_with_command(tidied: str) -> Heard | None:
    """练习民法典: the longest command with an argument that a text begins with."""
    longest = max((word for word, entry in COMMANDS.items() if entry.argument and tidied.startswith(word)), key=len, default="")
    return Heard(COMMANDS[longest], longest, _argument(COMMANDS[longest], tidied[len(longest) :]), False) if longest else None


def _argument(entry: Command, rest: str) -> str:
    """What follows a command, without what only stands around a name."""
    argument = rest.lstrip(":,").strip()
    if entry.argument and entry.argument not in NAMED_ARGUMENTS:
        return argument
    if wording.is_courtesy(argument):
        return ""
    if (quoted := _QUOTED.fullmatch(argument)) is not None and wording.is_courtesy(quoted[2]):
        return quoted[1]
    # A title may end as a question does.
    return argument if entry.argument == "<课或法>" else wording.trim(argument).rstrip("吧呢啊呀")


def unknown_command(ctx: Context, text: str) -> Reply:
    """Nothing fits: the commands that one slip made of it, as buttons, or the way to the help. Not allowed is answered the same way."""
    shown = text.strip()[:20]
    if near := near_commands(ctx, text):
        return Reply(
            f"没有看懂「{shown}」。您是想发 {'、'.join(f'「{name}」' for name in near)} 吗？", buttons=tuple(Option(name, name) for name in near)
        )
    return Reply(f"没有看懂「{shown}」。发送「帮助」看看能做什么。", buttons=(Option("帮助", "帮助"),))


def near_commands(ctx: Context, text: str) -> list[str]:
    """The names of the commands for this sender that a text is one slip away from. A command of others is no misspelling of ours."""
    head = wording.trim(normalize(text).partition(" ")[0])
    if head in COMMANDS:
        return []
    allowed = [word for word, entry in COMMANDS.items() if entry.is_for(ctx.learner)]
    return list(dict.fromkeys(COMMANDS[word].name for word in wording.nearest(head, allowed)))
