"""Acts of administrators, each declared once: the words in the chat, the command at the shell, help, rehearsal and audit line come from here."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, TypeVar, get_args, get_origin

from sqlmodel import Session

from bot.commands.router import Context
from bot.domain.campaign.campaign import Author
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import Learner, RoleName
from bot.domain.text.dates import Year
from bot.domain.text.numbers import find_row_number
from bot.domain.times import day_of
from bot.services.campaign.manage import author_of
from bot.services.library.catalog import Catalog
from bot.storage.db.engine import rehearse
from bot.storage.system import audit

T = TypeVar("T")

CONFIRM = ("确认", "确定")
WRITTEN = ("原因", "理由", "内容")
"""Values that are kept and shown as they were written in the chat."""


@dataclass(frozen=True, slots=True)
class ActValue:
    """How one value of an act is written: its placeholder, its help, its option at the shell (empty: by its place), and how a file is read.

    Numbers, days and moments are read by their kind; `year` is the year of a day that is typed without one. `ask` is the refusal in the chat where
    it is missing; `{usage}` in it is how the act is said.
    """

    label: str
    help: str = ""
    option: str = ""
    read: Callable[[Any], Any] | None = None
    raw: Any = None
    ask: str = ""
    year: Year = "next"


SheetName = Annotated[str, ActValue("工作表", "xlsx 里的哪一张工作表：名称或序号；不写就取第一张表头合适的", "--sheet")]
"""Of every act that takes a table file."""


class Act:
    """One performance of an act: whose it is, through which door, when, and whether it is meant or only rehearsed."""

    def __init__(
        self,
        session: Session,
        author: Author,
        now: datetime,
        catalog: Callable[[], Catalog],
        rng: random.Random,
        *,
        applies: bool = True,
        learner: Learner | None = None,
    ) -> None:
        self.session, self.author, self.now, self.rng, self.applies, self.learner = session, author, now, rng, applies, learner
        self._load_catalog = catalog
        self._catalog: Catalog | None = None

    @property
    def catalog(self) -> Catalog:
        """Content, policy and limits; the shell reads its files only for the acts that ask."""
        if self._catalog is None:
            self._catalog = self._load_catalog()
        return self._catalog

    @property
    def today(self) -> date:
        return day_of(self.now)

    @property
    def me(self) -> Learner:
        """Who speaks in the chat. Raises `Refusal` at the shell, where nobody does."""
        if self.learner is None:
            raise Refusal("这件事要由本人在聊天里做。")
        return self.learner

    def require_whole_agency(self) -> None:
        """Raises `Refusal` for an administrator of some units only."""
        if self.author.roots is not None:
            raise Refusal("这件事关系到全单位，只有全局的管理员可以做。")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an act did, or would do: data for scripts, lines for a shell, a reply for a chat.

    `done` closes the lines once it was applied, `unchanged` is set where there was nothing to do. `target` names the subject in the audit line of
    an act that only reads. `status` is the exit status. `warning` is said to whoever sits at
    the shell, beside the result. `later` is the rest of an act that must wait for the first part to be committed.
    """

    data: Any = None
    lines: Sequence[str] | str = ()
    done: str = ""
    reply: Reply | None = None
    unchanged: bool = False
    asks: bool = True
    target: str = ""
    status: int = 0
    warning: str = ""
    later: tuple[timedelta, Callable[[Act], Outcome]] | None = None

    @property
    def text(self) -> list[str]:
        return [self.lines] if isinstance(self.lines, str) else [line for line in self.lines if line]


def draft_once(act: Act, draft: Callable[[], T], drafts: Sequence[T], is_same: Callable[[T, T], bool]) -> tuple[T, bool]:
    """A new draft, or the one there is that says the same: whoever applies a plan twice has one. Whether it is new."""
    if not drafts:
        return draft(), True
    wanted = rehearse(act.session, draft)
    same = next((known for known in drafts if is_same(known, wanted)), None)
    return (draft(), True) if same is None else (same, False)


ActFunction = Callable[..., Outcome]
Parse = Callable[[Context, str, str], Mapping[str, Any]]
"""Of a chat message the sender's context, the word that named the act, and what follows it: the values by name."""


@dataclass(frozen=True, slots=True)
class Action:
    """An act as declared. `words` are what is said in the chat, `cli` what is typed at the shell; either may be empty."""

    function: ActFunction
    words: tuple[str, ...]
    cli: str
    help: str
    usage: str
    role: RoleName
    effect: bool
    final: bool
    listed: bool
    audit: str
    jsonl: bool
    parse: Parse | None

    @property
    def title(self) -> str:
        return self.words[0] if self.words else self.cli

    def parameters(self) -> dict[str, tuple[Any, ActValue, Any]]:
        """By name the kind, the declared value and the default (`inspect.Parameter.empty`: required), in order."""
        declared = list(inspect.signature(self.function, eval_str=True).parameters.values())[1:]
        found: dict[str, tuple[Any, ActValue, Any]] = {}
        for parameter in declared:
            if get_origin(parameter.annotation) is not Annotated:
                raise TypeError(f"{self.title}: {parameter.name} says neither label nor help")
            kind, value = get_args(parameter.annotation)[:2]
            found[parameter.name] = (kind, value, parameter.default)
        return found

    def perform(self, act: Act, values: Mapping[str, Any]) -> Outcome:
        """Do it; of an act that only reads but is audited, the line is written before anything is shown."""
        outcome = self.function(act, **values)
        if self.audit:
            audit.record(act.session, act.now, act.author.actor, act.author.via, self.audit, outcome.target)
        return outcome

    # ── In the chat ──

    def say(self, ctx: Context, typed: str, word: str = "") -> Reply:
        """What the chat answers; an act that cannot be undone says first what stands, and asks."""
        word = word or self.title
        first, _, rest = typed.partition(" ")
        confirmed = self.final and first in CONFIRM
        text = rest.strip() if confirmed else typed
        values = self.parse(ctx, word, text) if self.parse is not None else self._parse(text)
        return self.carry_out(ctx, values, "" if confirmed else f"{word} {CONFIRM[0]} {text}".strip())

    def carry_out(self, ctx: Context, values: Mapping[str, Any], confirmation: str = "") -> Reply:
        """Perform it for the sender; `confirmation` is what they have to say first, where it cannot be undone."""
        declared = self.parameters()
        kept = {name for name, value in values.items() if isinstance(value, str) and value and declared[name][1].label in WRITTEN}
        values = {name: ctx.written(value) if name in kept else value for name, value in values.items()}
        if self.final and confirmation:
            outcome = rehearse(ctx.session, lambda: self.perform(act_of(ctx, applies=False), values))
            if outcome.asks and not outcome.unchanged:
                lines = [*outcome.text, f"还没有做，做了不能恢复。确认请点下面，或发「{confirmation}」。"]
                return Reply("\n".join(lines), buttons=(Option(confirmation, f"确认{self.words[0].split()[-1]}"),))
        outcome = self.perform(act_of(ctx), values)
        return outcome.reply if outcome.reply is not None else Reply("\n".join([*outcome.text, *([outcome.done] if outcome.done else [])]))

    def _parse(self, typed: str) -> dict[str, Any]:
        """A number first where one is asked for, and the rest as the text that follows."""
        values: dict[str, Any] = {}
        rest, said = typed.strip(), False
        for name, (kind, value, default) in self.parameters().items():
            if kind is int:
                first, _, rest = rest.partition(" ")
                number = find_row_number(first)
                if number is None:
                    raise Refusal(value.ask.format(usage=self.usage))
                values[name] = number
            elif kind is str and not said:
                values[name], said = rest.strip(), True
            elif default is inspect.Parameter.empty:
                raise TypeError(f"{self.title}: the chat cannot read {name}")
        return values


ACTIONS: list[Action] = []
"""Every act, in the order of its declaration."""


def action(
    *words: str,
    cli: str = "",
    usage: str = "",
    role: RoleName = RoleName.ADMIN,
    effect: bool = False,
    final: bool = False,
    listed: bool = False,
    audit: str = "",
    jsonl: bool = False,
    parse: Parse | None = None,
) -> Callable[[ActFunction], Action]:
    """Declare an act over a function that takes an `Act` and the values, each `Annotated[kind, ActValue(...)]`; its docstring is its help.

    `effect`: others notice it, so the shell rehearses it unless --apply is given. `final`: it cannot be undone, so the chat asks first. `listed`: it
    stands by itself in the help of the chat. `audit`: the line that is written where it only reads. `jsonl`: the result is one line of JSON each.
    `parse` reads what follows the words in the chat, where that is more than a number and a text.
    """

    def register(function: ActFunction) -> Action:
        lines = (function.__doc__ or "").strip().splitlines()
        if not lines:
            raise ValueError(f"{words or cli} has no help line")
        taken = {word for known in ACTIONS for word in known.words} | {known.cli for known in ACTIONS}
        if doubled := {*words, *([cli] if cli else [])} & taken:
            raise ValueError(f"{doubled} is taken")
        declared = Action(
            function, words, cli, lines[0].strip(), usage or (words[0] if words else ""), role, effect, final, listed, audit, jsonl, parse
        )
        declared.parameters()
        ACTIONS.append(declared)
        return declared

    return register


def act_of(ctx: Context, *, applies: bool = True) -> Act:
    """The act of whoever sent a message."""
    author = author_of(ctx.session, ctx.me, ctx.incoming.sender.channel)
    return Act(ctx.session, author, ctx.now, lambda: ctx.catalog, ctx.rng, applies=applies, learner=ctx.me)


def under(head: str) -> dict[str, Action]:
    """The acts whose words begin with a word ("考试"), by the word that follows."""
    return {said.split(" ", 1)[1]: declared for declared in ACTIONS for said in declared.words if said.split(" ", 1)[0] == head and " " in said}


def said_as(words: str) -> Action | None:
    """The act of these very words of two parts ("考试 发布"); of one word it is a command, which says more of itself."""
    return next((declared for declared in ACTIONS if " " in words and words in declared.words), None)


def of_shell(group: str) -> dict[str, Action]:
    """The acts of a group of the command line ("exam"), by the word that follows."""
    return {declared.cli.split(" ", 1)[1]: declared for declared in ACTIONS if declared.cli.split(" ", 1)[0] == group and " " in declared.cli}


def text_after(ctx: Context, after: str) -> str:
    """What was typed after a word, in the sender's own punctuation: it will be read by others."""
    return ctx.incoming.text.partition(after)[2].strip()
